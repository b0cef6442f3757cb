package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

// The demo is the proof of the main job: every call of it, on real SIP, real
// RTP and real HTTP, with every outcome as it should be.
func TestDemoOnce(t *testing.T) {
	t.Parallel()
	var story, answer bytes.Buffer
	err := (&demoCmd{Once: true, JSON: true}).play(t.Context(), &story, &answer)
	if err != nil {
		t.Fatalf("%v\n%s", err, story.String())
	}
	var got result
	if err := json.Unmarshal(answer.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !got.OK || len(got.Outcomes) < 25 || got.Outcomes[0].After > 30 {
		t.Errorf("%d outcomes, ok %v, the first after %.0f s: want 25 or more, all right, the first within 30 s", len(got.Outcomes), got.OK, got.Outcomes[0].After)
	}
	for _, call := range []string{"Call 1", "Call 2", "Call 3", "What was proved"} {
		if !slices.ContainsFunc(got.Outcomes, func(o outcome) bool { return o.Call == call }) {
			t.Errorf("%s has no outcome", call)
		}
	}
	for _, want := range []string{"hold: 5s", "staff_wait: 0s", "the ledger verifies"} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("the transcript does not say %q", want)
		}
	}
}

// An outcome that is not as it should be is the demo's failure.
func TestDemoTellsFailure(t *testing.T) {
	var story bytes.Buffer
	tr := newTranscript(&story)
	if tr.result().OK {
		t.Error("a demo without outcomes is as it should be")
	}
	tr.scene("Call 1", "a call")
	tr.check(true, "this", "")
	if !tr.result().OK || tr.failed() != 0 {
		t.Error("one good outcome is not as it should be")
	}
	tr.check(false, "that", "why")
	if tr.result().OK || tr.failed() != 1 || !strings.Contains(story.String(), "✗") {
		t.Errorf("a failed outcome is not told:\n%s", story.String())
	}
}

// What stays up after the calls: a login that works, once.
func TestDemoStaysUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	story := &watched{found: make(chan string, 1), want: regexp.MustCompile(`http://localhost:\d+/invite#\S+`)}
	confirmed := &watched{found: make(chan string, 1), want: regexp.MustCompile(`confirmed your passkey`)}
	d, err := newDemo(ctx, newTranscript(io.MultiWriter(story, confirmed)), false)
	if err != nil {
		t.Fatal(err)
	}
	up, leave := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.stayUp(up) }()
	var link string
	select {
	case link = <-story.found:
	case <-ctx.Done():
		t.Fatal("no login was printed")
	}
	you := lab.NewStaff("You", d.cfg.Web.Staff.URL, passkeytest.New(d.cfg.Web.Staff.URL), nil)
	if err := you.Join(ctx, link); err != nil {
		t.Errorf("the login does not work: %v", err)
	}
	if len(you.Check) != 6 {
		t.Errorf("the passkey counts with nobody's confirmation: %q", you.Check)
	}
	select { // Grace has said so
	case <-confirmed.found:
	case <-ctx.Done():
		t.Fatal("nobody confirmed the passkey")
	}
	if err := you.Login(ctx); err != nil {
		t.Errorf("the passkey does not sign in: %v", err)
	}
	if _, err := you.Calls(ctx); err != nil {
		t.Errorf("the console shows no calls: %v", err)
	}
	if you.Join(ctx, link) == nil {
		t.Error("the login works twice")
	}
	leave()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := d.close(ctx); err != nil {
		t.Error(err)
	}
}

// watched is a writer that finds one thing in what is written.
type watched struct {
	want  *regexp.Regexp
	found chan string
}

func (w *watched) Write(p []byte) (int, error) {
	if m := w.want.Find(p); m != nil {
		select {
		case w.found <- string(m):
		default:
		}
	}
	return len(p), nil
}
