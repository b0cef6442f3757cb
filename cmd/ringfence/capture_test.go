package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// packetsIn reads a pcap file of raw IPv4: the UDP payloads.
func packetsIn(t *testing.T, file []byte) (out [][]byte) {
	t.Helper()
	if len(file) < 24 || binary.LittleEndian.Uint32(file) != 0xa1b23c4d || binary.LittleEndian.Uint32(file[20:]) != 101 {
		t.Fatalf("no pcap: % x", file[:min(24, len(file))])
	}
	for b := file[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if len(b) < 16+n || n < 28 || b[16] != 0x45 || b[25] != 17 {
			t.Fatalf("record of %d octets: % x", n, b[:min(48, len(b))])
		}
		out = append(out, b[16+28:16+n])
		b = b[16+n:]
	}
	return out
}

// The packets of a live call leave for a reason and to who asked, with no number,
// no key that was pressed and no audio in them.
func TestPacketsOfACallAreTakenForAReason(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents)
	ops := signedIn(t, a, ringfence.Person{Name: "Olga", Email: "olga@example.com", Roles: []ringfence.Role{ringfence.RoleOps}})
	call := dial(t, a)
	agent := <-ringing
	path := "/v1/traversals/" + string(a.runner.Live(ringfence.DefaultTenant)[0].Traversal) + "/captures"
	ask := map[string]any{"reason": "no audio from this carrier, ticket 12", "seconds": 300}
	refused := func(who string, err error, status int) {
		t.Helper()
		if p, ok := problemIn(err); !ok || p.Status != status {
			t.Errorf("%s: %v, want %d", who, err, status)
		}
	}
	refused("without a reason", ops.Ask(t.Context(), "POST", path, map[string]any{"reason": "   ", "seconds": 1}, nil), 422)
	refused("for a day", ops.Ask(t.Context(), "POST", path, map[string]any{"reason": "ticket", "seconds": 86400}, nil), 422)
	refused("of no call", ops.Ask(t.Context(), "POST", "/v1/traversals/trv_none/captures", ask, nil), 404)
	var c web.Capture
	if err := ops.Ask(t.Context(), "POST", path, ask, &c); err != nil {
		t.Fatal(err)
	}
	refused("a second at once", ops.Ask(t.Context(), "POST", path, ask, nil), 409)
	for range 3 {
		if err := call.Say(t.Context(), tone()); err != nil {
			t.Fatal(err)
		}
	}
	if err := call.Press("482137"); err != nil {
		t.Fatal(err)
	}
	if err := agent.Hold(t.Context(), true); err != nil { // a message with SDP inside the call
		t.Fatal(err)
	}
	agent.Hangup()
	<-call.Done()
	waitFor(t, "the capture ended with the call", func() bool {
		cs := a.captures
		cs.mu.Lock()
		defer cs.mu.Unlock()
		return len(cs.all) == 1 && cs.all[0].Done
	})
	if _, file, err := a.captures.Take(t.Context(), ringfence.DefaultTenant, c.ID, gate.Actor{Person: "per_other"}); err == nil || file != nil {
		t.Error("somebody else takes the file")
	}
	if _, file, err := a.captures.Take(t.Context(), "other", c.ID, a.captures.all[0].ask.By); err == nil || file != nil {
		t.Error("another tenant takes the file")
	}
	file, err := ops.Fetch(t.Context(), c.File, "")
	if err != nil {
		t.Fatal(err)
	}
	messages, media := 0, 0
	var methods []string
	for _, p := range packetsIn(t, file) {
		if len(p) == 12 && p[0] == 0x80 {
			media++
		} else if line, _, ok := strings.Cut(string(p), "\r\n"); ok && strings.Contains(line, "SIP/2.0") {
			messages++
			methods = append(methods, strings.Fields(line)[0])
		} else {
			t.Errorf("neither SIP nor a header of RTP: %q", p)
		}
	}
	if text := strings.Join(methods, " "); media < 100 || messages < 4 || !strings.Contains(text, "INVITE") || !strings.Contains(text, "BYE") {
		t.Errorf("%d headers of RTP, messages %v", media, methods)
	}
	for _, word := range []string{"447700900123", "7700900", "442079460001", "ada@example.com", "482137"} {
		if bytes.Contains(file, []byte(word)) {
			t.Errorf("%s stands in the file", word)
		}
	}
	var entries []ledger.Entry
	if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) (err error) {
		entries, err = tx.Entries(t.Context(), ledger.EntryQuery{Traversal: c.Traversal, Limit: 1000})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range entries {
		if strings.HasPrefix(string(e.Event), "capture.") {
			words = append(words, string(e.Event))
			if e.Person == "" || e.Object != c.ID || !strings.Contains(e.Data["reason"], "ticket 12") {
				t.Errorf("entry %+v", e)
			}
		}
	}
	if got := strings.Join(words, " "); got != "capture.shown capture.exported" {
		t.Errorf("entries %q", got)
	}
	if c.Until.Before(time.Now()) {
		t.Errorf("until %v", c.Until)
	}
}
