package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/scripts"
)

// demoWaivers are the two defaults that the demo's bundle waives, so that hours
// become seconds. Everything else of it is the shipped bundle.
var demoWaivers = []struct{ rule, value, says string }{
	{"hold", "5s", "hold: 5s. A change of bank details cools off for 12 hours; here for 5 seconds"},
	{"staff_wait", "0s", "staff_wait: 0s. New staff wait 24 hours before they may approve or sign; here not at all"},
}

// demoScripts writes the bundle of the demo and says what it waives.
func (d *demo) demoScripts(dir string) error {
	for _, w := range demoWaivers {
		d.t.tell("waived", "%s", w.says)
	}
	return writeDemoScripts(dir, time.Now())
}

// writeDemoScripts writes the shipped bundle, with the demo's waivers in its
// policy, into a folder.
func writeDemoScripts(dir string, now time.Time) error {
	if err := os.CopyFS(dir, scripts.FS); err != nil {
		return err
	}
	path := filepath.Join(dir, "policy.yaml")
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(f, "\nwaivers:\n")
	for _, w := range demoWaivers {
		if _, err := fmt.Fprintf(f, "  - { rule: %s, value: %s, reason: demonstration, until: %s }\n",
			w.rule, w.value, now.AddDate(0, 0, 30).Format(time.DateOnly)); err != nil {
			return err
		}
	}
	return f.Close()
}
