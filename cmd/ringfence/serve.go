package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/config"
)

// configFlag is shared by every command that reads a configuration.
type configFlag struct {
	Config string `short:"c" help:"Configuration; else ./ringfence.yaml, else /etc/ringfence/ringfence.yaml." placeholder:"FILE"`
}

// load finds, reads and judges the configuration.
func (c configFlag) load() (config.Config, error) {
	path := c.Config
	if path == "" {
		path = "ringfence.yaml"
		if _, err := os.Stat(path); err != nil {
			const system = "/etc/ringfence/ringfence.yaml"
			if _, err := os.Stat(system); err == nil {
				path = system
			}
		}
	}
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return cfg, &exitError{code: 2, text: err.Error()}
	}
	return cfg, nil
}

// serveCmd runs everything until it is told to stop. The first TERM drains:
// calls in progress go on, new ones are refused. The second stops.
type serveCmd struct {
	configFlag
	Drain time.Duration `help:"How long calls in progress may go on after the first TERM." default:"1h"`
}

// Run serves.
func (c *serveCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := newLog(cfg.Telemetry, os.Stderr)
	life := context.WithoutCancel(ctx)
	a, err := newApp(life, cfg, appOptions{Log: log})
	if err != nil {
		return err
	}
	if err := a.start(life); err != nil {
		return fmt.Errorf("start: %w (%v)", err, a.store.Close())
	}
	for name, addr := range a.ua.Addrs() {
		log.Info("sip", "listener", name, "addr", addr.String())
	}
	log.Info("ready", "staff", cfg.Web.Staff.URL, "public", cfg.Web.Public.URL)
	if err := a.firstRun(life, os.Stdout, isTerminal(os.Stdout)); err != nil {
		log.Error("the owner's link was not made", "err", err)
	}
	again := make(chan os.Signal, 2)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	<-ctx.Done()
	drainFirstSignal(again)
	log.Info("draining", "calls", a.runner.Active(), "at_most", c.Drain.String())
	drain, stop := context.WithTimeout(life, c.Drain)
	defer stop()
	go func() {
		select {
		case <-again:
			stop()
		case <-drain.Done():
		}
	}()
	a.drain(drain)
	err = a.close(life)
	log.Info("stopped")
	return err
}

// drainFirstSignal takes the signal that ended ctx off the channel.
func drainFirstSignal(again chan os.Signal) {
	select {
	case <-again:
	case <-time.After(100 * time.Millisecond):
	}
}
