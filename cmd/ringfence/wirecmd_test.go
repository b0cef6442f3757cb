package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// typed runs one command of the program as a service account with this scope,
// and returns what it printed and its exit status.
func typed(t *testing.T, a *app, scope web.Scope, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ringfence", args...) // TestMain puts it on the path
	cmd.Args = append(cmd.Args, "--url", a.cfg.Web.Staff.URL, "--credential", credentialOf(t, a, scope))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func credentialOf(t *testing.T, a *app, scope web.Scope) string {
	t.Helper()
	_, secret, err := a.web.CreateClient(t.Context(), ringfence.DefaultTenant, web.Client{Name: string(scope), Scopes: []web.Scope{scope}}, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(file, append([]byte(secret), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Bans and packets can be had on the command line, by an account that may, and
// the audit record names it.
func TestTheWireFromTheCommandLine(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents)
	a.ua.Ban(netip.MustParseAddr("192.0.2.7"), time.Now().Add(time.Hour))
	call := dial(t, a)
	agent := <-ringing
	reference := a.runner.Live(ringfence.DefaultTenant)[0].Reference
	file := filepath.Join(t.TempDir(), "call.pcap")
	capture := []string{"capture", reference, "--reason", "ticket 12", "--for", "300s", "--out", file}
	for _, tt := range []struct {
		scope web.Scope
		args  []string
		code  int
		says  string
	}{
		{web.ScopeTraversals, []string{"bans", "list"}, 1, "Not allowed"},
		{web.ScopeTraversals, capture, 1, "Not allowed"},
		{web.ScopeWire, []string{"bans", "list"}, 0, "192.0.2.7  until 2"},
		{web.ScopeWire, []string{"bans", "lift", "192.0.2.8", "--why", "our own scanner"}, 1, "There is no such thing"},
		{web.ScopeWire, []string{"bans", "lift", "here", "--why", "our own scanner"}, 1, "source is no IP address"},
		{web.ScopeWire, []string{"bans", "lift", "192.0.2.7"}, 2, "--why"},
		{web.ScopeWire, []string{"bans", "lift", "192.0.2.7", "--why", "our own scanner"}, 0, ""},
		{web.ScopeWire, []string{"bans", "list"}, 0, "nobody is ignored"},
		{web.ScopeWire, append([]string{"capture", "NONE2345"}, capture[2:]...), 1, "There is no such thing"},
		{web.ScopeWire, append(capture[:4:4], "--for", "1h", "--out", file), 1, "expected number <= 600"},
	} {
		if out, code := typed(t, a, tt.scope, tt.args...); code != tt.code || !strings.Contains(out, tt.says) {
			t.Errorf("%v as %s: status %d, want %d with %q:\n%s", tt.args, tt.scope, code, tt.code, tt.says, out)
		}
	}
	var out string
	var code int
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, code = typed(t, a, web.ScopeWire, capture...)
	}()
	waitFor(t, "the capture runs", func() bool {
		a.captures.mu.Lock()
		defer a.captures.mu.Unlock()
		return len(a.captures.all) == 1
	})
	agent.Hangup()
	<-call.Done()
	<-done
	raw, err := os.ReadFile(file)
	if err != nil || code != 0 || !strings.Contains(out, "sha256 ") || len(packetsIn(t, raw)) == 0 { // how much of the end it saw is chance
		t.Errorf("status %d, %v:\n%s", code, err, out)
	}
	if out, code := typed(t, a, web.ScopeWire, capture...); code != 2 || !strings.Contains(out, "is there already") {
		t.Errorf("over a file: status %d:\n%s", code, out)
	}
	var events []string
	if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		entries, err := tx.Entries(t.Context(), ledger.EntryQuery{Limit: 1000})
		for _, e := range entries {
			if strings.HasPrefix(e.Client, "cli_") && e.Person == "" {
				events = append(events, string(e.Event))
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events, " "); got != "config.changed capture.shown capture.exported" {
		t.Errorf("entries %q", got)
	}
}
