package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// The owner's link is written to a terminal and nowhere else, again until it
// was used, and never once there is somebody else.
func TestTheOwnersLink(t *testing.T) {
	cfg, err := config.Parse([]byte(startingConfig), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data = t.TempDir()
	var log bytes.Buffer
	a, err := newApp(t.Context(), cfg, appOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer a.store.Close()
	var out bytes.Buffer
	run := func(terminal bool) string {
		t.Helper()
		out.Reset()
		if err := a.firstRun(t.Context(), &out, terminal); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := run(false); got != "" || !strings.Contains(log.String(), "ringfence user invite") {
		t.Errorf("without a terminal %q was written; the log says %s", got, &log)
	}
	first, again := run(true), run(true)
	if !strings.Contains(first, "/invite#") || !strings.Contains(again, "/invite#") || first == again {
		t.Errorf("a terminal was shown %q and then %q", first, again)
	}
	if strings.Contains(log.String(), "/invite#") {
		t.Error("the log has a link")
	}
	// The built-in telephone is for labs, and calls nothing but lines.
	phone := &trial{a: a}
	if err := phone.Call(ringfence.DefaultTenant, "442079460000"); err != web.ErrNoCall {
		t.Errorf("a call without a listener: %v", err)
	}
	if err := phone.Key(ringfence.DefaultTenant, "1"); err != web.ErrNoCall {
		t.Errorf("keys without a call: %v", err)
	}
	a.cfg.Deliver.Outbox = false
	if lines, why := phone.Lines(ringfence.DefaultTenant); len(lines) > 0 || !strings.Contains(why, "deliver.outbox") {
		t.Errorf("outside of a lab the built-in telephone calls %v, %q", lines, why)
	}
	if _, err := a.invite(t.Context(), ringfence.DefaultTenant, ringfence.Person{Name: "Ada", Email: "ada@example.com", Roles: ownerRoles}); err != nil {
		t.Fatal(err)
	}
	if got := run(true); got != "" {
		t.Errorf("with somebody there, %q was written", got)
	}
}
