package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/internal/config"
)

// Run implements kong's command.
func (c *flowRouteCmd) Run() error {
	cfg, err := c.configFlag.load()
	if err != nil {
		return &exitError{2, err.Error()}
	}
	b, _, err := loadFlows(c.Dir)
	if err != nil {
		return err
	}
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	for _, l := range cfg.Lines {
		if len(l.Trunks) > 0 && c.Trunk != "" && !slices.Contains(l.Trunks, c.Trunk) {
			continue
		}
		if slices.ContainsFunc(l.Numbers, func(n string) bool { return digitsOf(n) == digitsOf(c.Number) }) {
			return describeLine(l, b, at)
		}
	}
	fmt.Printf("%s matches no line: the call gets 404\n", c.Number)
	return &exitError{code: 1}
}

func describeLine(l config.Line, b *flows.Bundle, at time.Time) error {
	fmt.Printf("line:     %s\nflow:     %s\n", l.Name, l.Flow)
	if len(l.Trunks) > 0 {
		fmt.Printf("trunks:   %s\n", strings.Join(l.Trunks, ", "))
	}
	if l.Kind != "" {
		fmt.Printf("kind:     %s: no flow leads its calls\n", l.Kind)
		return nil
	}
	zone, err := time.LoadLocation(l.Zone)
	if err != nil {
		zone = time.UTC
	}
	open := len(l.Hours) == 0
	for _, text := range l.Hours {
		if h, err := config.ParseHours(text); err == nil && h.Open(at.In(zone)) {
			open = true
		}
	}
	fmt.Printf("open:     %t at %s\nfallback: %s\n", open, at.In(zone).Format("Monday 15:04 MST"), l.Fallback)
	f, ok := b.Flow(l.Flow)
	switch {
	case !ok:
		return &exitError{1, "the flow " + l.Flow + " does not exist: the call goes to the fallback queue"}
	case f.Starts != flows.StartsInbound:
		return &exitError{1, "the flow " + l.Flow + " starts by " + string(f.Starts) + ": the call goes to the fallback queue"}
	}
	if _, ok := b.Policy().Queue(l.Fallback); l.Fallback != "" && !ok {
		return &exitError{1, "the policy knows no queue " + l.Fallback}
	}
	fmt.Printf("\n%s", f.Read())
	return nil
}
