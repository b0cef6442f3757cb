package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
)

// person is how somebody plays a call by what they hear. It remembers the carry
// code of one leg for the other.
type person struct {
	w     *world
	wrong bool // keys wrong things instead
	star  bool // says "I did not ask for this"

	mu    sync.Mutex
	carry string
}

func (p *person) hears(l *line, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.Contains(text, "code. ") && carry(text) != "" {
		p.carry = carry(text)
	}
	if keys := p.answer(text); keys != "" {
		go l.keys(keys)
	}
}

func (p *person) answer(text string) string {
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("customer number"), has("staff number"):
		if has("staff number") {
			return "123456"
		}
		return account
	case has("user number of six"), has("six digit user number"):
		return "123456"
	case has("new PIN of six"):
		return "739164"
	case has("press star.") && p.star:
		return "*"
	case has("Now key these two digits"):
		if p.wrong {
			return "000000"
		}
		return digitsIn(text) + p.carry
	case yes(text) != "":
		if p.wrong {
			return "2"
		}
		return yes(text)
	case has("enter your telephone PIN"):
		if p.wrong {
			return "000000#"
		}
		return pinOK + "#"
	case has("authenticator app"):
		if p.wrong {
			return "000000#"
		}
		return totpOK + "#"
	case has("text message"):
		return string(p.w.Post.Code()) + "#"
	case has("For your balance"):
		return "2"
	case has("new account"):
		return "55556666"
	}
	return ""
}

// play plays one flow from its beginning; k > 0 cuts the caller's leg, or the
// leg that we placed, after k events. It returns how many events there were.
func (w *world) play(f *flows.Flow, p *person, k int, placed bool) int {
	p.w, w.auto = w, p.hears
	w.cutAt = k
	w.cutting = func() {
		w.mu.Lock()
		legs := slices.Clone(w.legs)
		w.mu.Unlock()
		var victim *line
		for _, l := range legs {
			if l.p.Purpose == "agent" {
				continue
			}
			l.mu.Lock()
			live := !l.over
			l.mu.Unlock()
			if live && (victim == nil || placed) {
				victim = l
			}
		}
		if victim != nil {
			victim.end(ringfence.EndBye)
		}
	}
	done := make(chan struct{})
	var people sync.WaitGroup
	defer people.Wait()
	defer close(done)
	people.Go(func() {
		for {
			select {
			case n := <-w.notices:
				w.approves(n)
			case <-w.calls: // nobody waits for it
			case <-done:
				return
			}
		}
	})
	ctx := context.Background()
	switch f.Starts {
	case flows.StartsInbound:
		w.call(f.Name)
		w.maybe(func(ringfence.LiveCall) bool { return true })
	case flows.StartsConsole:
		w.phones["sip:per_ada@pbx"] = "answers"
		w.call("accounts-line")
		v, ok := w.maybe(func(v ringfence.LiveCall) bool { return v.State == "talking" })
		if ok && w.opensIf(v, actionOf(f)) {
			_ = w.r.StepUp(ctx, w.act(v), f.Name, w.release(actionOf(f)).ID)
		}
		// The agent hangs up once the caller is back, or after an hour.
		if v, ok := w.maybe(func(v ringfence.LiveCall) bool { return v.State == "talking" && v.Outcome != "" }); ok {
			_ = w.r.HangUp(ctx, w.act(v))
		}
	case flows.StartsJob:
		rel, _, err := w.gate.Open(ctx, ten, gate.OpenRequest{Type: actionOf(f), Subject: w.customer, Fields: fields(actionOf(f)), By: gate.Actor{Client: "app"}, AskedBy: gate.AskedPhone})
		if err != nil {
			w.t.Fatal(err)
		}
		started, err := w.r.Start(ctx, Job{Tenant: ten, Flow: f.Name, Release: rel.ID, Client: "app", Channel: "passkey", Line: Line{Language: "en"}})
		if err != nil {
			w.t.Fatal(err)
		}
		p.mu.Lock()
		p.carry = string([]byte(started.Code))
		p.mu.Unlock()
	}
	w.rest()
	w.r.Drain(ctx)
	w.closed()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// maybe waits for a view, unless the calls end first.
func (w *world) maybe(ok func(ringfence.LiveCall) bool) (ringfence.LiveCall, bool) {
	changed, stop := w.r.Watch(ten)
	defer stop()
	limit := time.After(time.Hour)
	seen := false
	for {
		all := w.r.Live(ten)
		for _, v := range all {
			if seen = true; ok(v) {
				return v, true
			}
		}
		if seen && w.r.Active() == 0 {
			return ringfence.LiveCall{}, false
		}
		select {
		case <-changed:
		case <-limit:
			return ringfence.LiveCall{}, false
		}
	}
}

// rest waits until no traversal is live, ending calls that only talk.
func (w *world) rest() {
	w.t.Helper()
	changed, stop := w.r.Watch(ten)
	defer stop()
	talk := time.After(time.Hour)
	limit := time.After(4 * time.Hour)
	for w.r.Active() > 0 {
		select {
		case <-changed:
		case <-talk:
			for _, v := range w.r.Live(ten) {
				if v.Flow != "" {
					w.t.Errorf("an hour later the flow still stands: %+v", v)
				}
			}
			w.mu.Lock()
			var live []*line
			live = append(live, w.legs...)
			w.mu.Unlock()
			for _, l := range live {
				if l.p.Purpose == "agent" {
					l.end(ringfence.EndBye)
				}
			}
		case <-limit:
			w.t.Fatalf("never rests: %+v", w.r.Live(ten))
		}
	}
}

// opensIf opens an action on a call that may end meanwhile.
func (w *world) opensIf(v ringfence.LiveCall, action string) bool {
	a, _ := w.Current(ten).Action(action)
	claim := claims[a.About]
	if err := w.r.Identify(context.Background(), w.act(v), a.About, claim[0], claim[1]); err != nil {
		return false
	}
	v, ok := w.maybe(func(v ringfence.LiveCall) bool { return v.Subject != "" })
	if !ok {
		return false
	}
	rel, _, err := w.gate.Open(context.Background(), ten, gate.OpenRequest{Type: action, Subject: v.Subject, Fields: fields(action),
		Traversal: v.Traversal, By: gate.Actor{Person: ada}, AskedBy: gate.AskedPhone})
	if err == nil && w.r.find(ten, v.Traversal) == nil { // opened for a call that had just ended: the opener's to cancel
		_, _ = w.gate.Cancel(context.Background(), ten, rel.ID, gate.Actor{Person: ada}, "the call has ended")
		return false
	}
	return err == nil
}

// actionOf is the action a console or job flow is played with.
func actionOf(f *flows.Flow) string {
	if len(f.Actions) == 0 || f.Actions[0] == flows.Given {
		return "bank_change"
	}
	return f.Actions[0]
}

// Hanging up after any event of any shipped flow leaves nothing open: no
// challenge, no release that waits for proof, no leg, no goroutine, and one
// end in the ledger.
func TestHangUpAnywhere(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 5
	}
	for _, f := range shipped().Flows() {
		if f.Starts == flows.StartsCallback {
			continue
		}
		for _, way := range []struct {
			name        string
			wrong, star bool
			number      string // what the number on file does
			placed      bool
		}{{name: "right"}, {name: "wrong", wrong: true}, {name: "star", star: true}, {name: "the other leg", placed: true}, {name: "busy", number: "busy"}} {
			t.Run(f.Name+"/"+way.name, func(t *testing.T) {
				played := func(t *testing.T, k int) (n int) {
					inWorld(t, func(w *world) {
						for _, number := range []ringfence.TN{mobile, "447700900456", "447700900789"} {
							w.phones[string(number)] = way.number
						}
						n = w.play(f, &person{wrong: way.wrong, star: way.star}, k, way.placed)
					})
					return n
				}
				all := played(t, 0)
				for k := 1; k <= all; k += step {
					ok := t.Run(fmt.Sprint(k), func(t *testing.T) { played(t, k) })
					if !ok {
						return
					}
				}
			})
		}
	}
}
