package main

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/web"
)

// signedIn is a person with roles at their console.
func signedIn(t *testing.T, a *app, p ringfence.Person) *lab.Staff {
	t.Helper()
	link, err := a.invite(t.Context(), ringfence.DefaultTenant, p)
	if err != nil {
		t.Fatal(err)
	}
	staff := lab.NewStaff(p.Name, a.cfg.Web.Staff.URL, passkeytest.New(a.cfg.Web.Staff.URL), nil)
	if err := staff.Join(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if err := staff.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	return staff
}

// answering lets the agents' phone take calls.
func answering(t *testing.T, agents *peer.Peer) chan *peer.Call {
	calls := make(chan *peer.Call, 4)
	agents.Serve(func(ctx context.Context, c *peer.Call) {
		if err := c.Answer(ctx); err != nil {
			t.Errorf("agent: %v", err)
			return
		}
		calls <- c
		<-c.Done()
	})
	return calls
}

// dial calls the accounts line.
func dial(t *testing.T, a *app) *peer.Call {
	t.Helper()
	call, err := newPeer(t, "caller").Call(t.Context(), peer.Invite{To: "sip:442079460001@" + a.ua.Addrs()["carrier"].String(), FromTN: "447700900123"})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func recorded(c *config.Config) {
	c.Lines[0].Language = "" // the notice is in the tenant's
	c.Lines[0].Record = config.LineRecord{On: true, From: "agent", Notice: "This call is recorded.", Decline: "9"}
	c.Media.Recording.KeepFreeMiB = 1
}

// waitFor polls what has no event of its own, without a sleep.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (a *app) recordingsOf(t *testing.T) []web.Recording {
	t.Helper()
	rows, err := recordings{a.recorder}.List(t.Context(), ringfence.DefaultTenant, web.RecordingQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A call of a line that records is kept, encrypted; a supervisor hears it for a
// reason, whole and in parts; an agent does not.
func TestARecordedCallIsHeardForAReason(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, recorded)
	sup := signedIn(t, a, ringfence.Person{Name: "Sue", Email: "sue@example.com", Roles: []ringfence.Role{ringfence.RoleSupervisor}})
	call := dial(t, a)
	agent := <-ringing
	if err := call.Say(t.Context(), tone()); err != nil {
		t.Fatal(err)
	}
	agent.Hangup()
	<-call.Done()
	waitFor(t, "the recording was kept", func() bool { r := a.recordingsOf(t); return len(r) == 1 && r[0].State == "kept" })
	rec := a.recordingsOf(t)[0]
	if rec.Consent != "notice" || rec.Class != "standard" || len(rec.People) != 1 || rec.Millis < 800 {
		t.Errorf("have %+v", rec)
	}
	var pass struct{ Audio string }
	if err := sup.Ask(t.Context(), "POST", "/v1/recordings/"+rec.ID+"/play", map[string]any{"reason": "complaint 7"}, &pass); err != nil {
		t.Fatal(err)
	}
	wav, err := sup.Fetch(t.Context(), pass.Audio, "")
	if err != nil || int64(len(wav)) != 44+rec.Millis*8*4 {
		t.Fatalf("%d octets, %v", len(wav), err)
	}
	var left int16
	for i := 44; i+3 < len(wav); i += 4 {
		left = max(left, int16(binary.LittleEndian.Uint16(wav[i:])))
	}
	if left < 6000 {
		t.Errorf("the caller is at most %d loud", left)
	}
	if part, err := sup.Fetch(t.Context(), pass.Audio, "bytes=100-199"); err != nil || string(part) != string(wav[100:200]) {
		t.Errorf("a part: %d octets, %v", len(part), err)
	}
	raw, err := os.ReadFile(filepath.Join(a.cfg.Data, "recordings", rec.ID))
	if err != nil || len(raw) == 0 {
		t.Fatal(err)
	}
}

func TestWhoDeclinesIsNotRecorded(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, recorded, func(c *config.Config) {
		c.Lines[0].Record.Notice = "This call is recorded. If you do not want that, press nine now."
	})
	call := dial(t, a)
	if err := call.Press("9"); err != nil {
		t.Fatal(err)
	}
	agent := <-ringing
	if err := agent.Say(t.Context(), tone()); err != nil {
		t.Fatal(err)
	}
	call.Hangup()
	<-agent.Done()
	if r := a.recordingsOf(t); len(r) != 0 {
		t.Errorf("recorded all the same: %+v", r)
	}
}

func TestNothingIsRecordedByDefault(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents)
	call := dial(t, a)
	agent := <-ringing
	call.Hangup()
	<-agent.Done()
	if r := a.recordingsOf(t); len(r) != 0 {
		t.Errorf("recorded: %+v", r)
	}
}
