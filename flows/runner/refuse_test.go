package runner

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

// inWorld runs a test in a bubble of its own; what is left at its end, a
// goroutine included, fails it.
func inWorld(t *testing.T, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t)) })
}

// pass lets time go by inside a bubble.
func pass(d time.Duration) { time.Sleep(d) }

func TestNewRefusesMissingParts(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Fatal("a runner without rooms was made")
	}
}

func TestUnknownLineIs404(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("nobody's number")
		l.gone()
		if l.code != 404 {
			t.Fatalf("have %d, want 404", l.code)
		}
		if len(w.steps()) != 0 {
			t.Fatalf("a call that reached nothing left %v", w.steps())
		}
	})
}

func TestDrainingIs503(t *testing.T) {
	inWorld(t, func(w *world) {
		w.r.Drain(context.Background())
		l := w.call("customer-line")
		l.gone()
		if l.code != 503 {
			t.Fatalf("have %d, want 503", l.code)
		}
		over, cancel := context.WithCancel(context.Background())
		cancel()
		w.r.Drain(over) // twice and out of time: harmless
		w.r.Drain(over)
	})
}

func TestRefusedByConfiguration(t *testing.T) {
	inWorld(t, func(w *world) {
		w.caller.Code, w.caller.Reason = 438, `STIR;cause=438`
		l := w.call("customer-line")
		l.gone()
		if l.code != 438 {
			t.Fatalf("have %d, want 438", l.code)
		}
		w.ended()
	})
}

func TestFlowThatCannotStartFallsBack(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*world)
	}{
		{"no such flow", func(w *world) {
			w.lines["customer-line"] = Line{Name: "customer-line", Tenant: ten, Flow: "none", Fallback: "customer_service"}
		}},
		{"no bundle", func(w *world) { w.bundle = nil }},
		{"not an inbound flow", func(w *world) {
			w.lines["customer-line"] = Line{Name: "customer-line", Tenant: ten, Flow: "step-up-code", Fallback: "customer_service"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c.edit(w)
				l := w.call("customer-line")
				agent := w.placed()
				v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
				if len(v.Evidence) != 0 || v.Claim != "" || v.Owner != ada {
					t.Fatalf("have %+v, want an unverified call of the agent's", v)
				}
				if _, _, _, peer := l.state(); peer != agent.id {
					t.Fatal("caller and agent do not hear each other")
				}
				l.end(ringfence.EndBye)
				agent.gone()
				w.ended()
			})
		})
	}
}

func TestFallbackNowhereHangsUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.lines["customer-line"] = Line{Name: "customer-line", Tenant: ten, Flow: "none"}
		w.call("customer-line").gone()
		w.ended()
	})
}

func TestFlowThatEndsAtOnceDoesNotFallBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bundle = compile(flowsOf(), map[string]string{"short.yaml": "flow: short\nabout: ends at once\nstarts: inbound\nlanguage: en\nscenes:\n  only:\n    - hangup\n"})
		w.lines["short"] = Line{Name: "short", Tenant: ten, Flow: "short", Fallback: "customer_service"}
		w.call("short").gone()
		w.ended()
		if len(w.calls) != 0 {
			t.Fatal("a caller whose flow had ended was put through")
		}
	})
}

// identified plays a caller up to the PIN.
func identified(l *line, number string) {
	l.hears("customer number")
	l.keys(number)
	l.hears("telephone PIN")
}

func TestWrongPINThreeTimes(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("customer-line")
		identified(l, account)
		for i := range 3 {
			l.keys("000000#")
			if i < 2 {
				l.hears("not right")
				l.hears("telephone PIN")
			}
		}
		l.hears("could not confirm")
		l.gone()
		w.ended()
		if n := count(w.steps(), "challenge.tried"); n != 3 {
			t.Errorf("%d tries were counted, want 3: one for each entry", n)
		}
		if n := count(w.steps(), "challenge.satisfied") + count(w.steps(), "release.requested"); n != 0 {
			t.Errorf("something was proved or asked for: %v", w.steps())
		}
	})
}

func TestRightPINAfterWrongOnes(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("customer-line")
		identified(l, account)
		for range 2 {
			l.keys("000000#")
			l.hears("telephone PIN")
		}
		l.keys(pinOK + "#")
		l.hears("For your balance")
		v := w.live()
		if len(v.Evidence) == 0 || !slices.ContainsFunc(v.Evidence, func(e ringfence.LiveEvidence) bool { return e.Fact == ringfence.FactPIN && e.Good == ringfence.Yes }) {
			t.Fatalf("have %+v, want the PIN", v.Evidence)
		}
		l.end(ringfence.EndBye)
		w.ended()
	})
}

func TestSilenceAsksAgainAndSpendsNoTry(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("customer-line")
		identified(l, account)
		l.hears("did not hear any keys")
		l.hears("telephone PIN")
		l.keys(pinOK + "#")
		l.hears("For your balance")
		if n := count(w.steps(), "challenge.tried"); n != 1 {
			t.Errorf("%d tries were counted, want 1", n)
		}
		l.end(ringfence.EndBye)
		w.ended()
	})
}

func count(list []string, one string) int {
	n := 0
	for _, x := range list {
		if x == one {
			n++
		}
	}
	return n
}

// transcript is what a caller with a number of somebody or nobody meets.
func transcript(t *testing.T, from *Caller, called, number, pin string) (heard, events []string, took time.Duration) {
	inWorld(t, func(w *world) {
		began := time.Now()
		if from != nil {
			w.caller = *from
		}
		w.auto = func(l *line, text string) {
			switch {
			case strings.Contains(text, "customer number"):
				go l.keys(number)
			case strings.Contains(text, "enter your telephone PIN"), strings.Contains(text, "new PIN of six"):
				go l.keys(pin)
			case strings.Contains(text, "authenticator app"):
				go l.keys("000000#")
			}
		}
		l := w.call(called)
		l.gone()
		w.ended()
		took = time.Since(began)
		heard = slices.Clone(l.texts)
		for _, e := range w.Store.Entries(ten) {
			if !strings.HasPrefix(string(e.Event), "release.") { // a decoy has no release: entries are the gate's own
				events = append(events, string(e.Event))
			}
		}
	})
	return heard, events, took
}

// Nobody on the telephone can find out who is a customer (invariant 23).
func TestUnknownCustomerMeetsTheSame(t *testing.T) {
	stranger := signedCaller
	stranger.Orig = "447700900999"
	for _, from := range []*Caller{nil, &stranger} {
		for called, pin := range map[string]string{"customer-line": "000000#", "enrol-pin": "739164"} {
			known, knownSteps, knownTime := transcript(t, from, called, account, pin)
			unknown, unknownSteps, unknownTime := transcript(t, from, called, "99999999", pin)
			if !slices.Equal(known, unknown) {
				t.Errorf("%s: a customer hears %q\nnobody hears %q", called, known, unknown)
			}
			if !slices.Equal(knownSteps, unknownSteps) {
				t.Errorf("%s: steps of a customer %v\nof nobody %v", called, knownSteps, unknownSteps)
			}
			if knownTime != unknownTime {
				t.Errorf("%s: %v for a customer, %v for nobody", called, knownTime, unknownTime)
			}
		}
	}
}

// A bundle that the prover never saw is still held by the guards.
func TestSpeakGuardRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		w.plant("    - say: You are {customer.first_name} and have {customer.balance}.\n    - say: Next line.\n    - hangup\n")
		l := w.call("planted")
		l.hears("customer number")
		l.keys(account)
		l.gone()
		w.ended()
		for _, text := range l.texts {
			if strings.Contains(text, "Ann") || strings.Contains(text, "1250") {
				t.Errorf("it was spoken: %q", text)
			}
		}
		if len(w.log.find("ERROR speak guard refused")) == 0 {
			t.Errorf("the log does not say so: %q", w.log.lines)
		}
	})
}

func TestQueueGuardRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		w.plant("    - connect: payments_desk\n      closed: off\n      full: off\n      silent: off\n      down: off\n  off:\n    - say: Not put through.\n    - hangup\n")
		l := w.call("planted")
		l.hears("customer number")
		l.keys(account)
		l.hears("Not put through")
		l.gone()
		w.ended()
		if len(w.calls) != 0 {
			t.Error("an agent was rung")
		}
		if len(w.log.find("ERROR queue guard refused")) == 0 {
			t.Errorf("the log does not say so: %q", w.log.lines)
		}
	})
}

func TestLineThatCannotBeRenderedIsAFault(t *testing.T) {
	inWorld(t, func(w *world) {
		w.voice.fail = func(text string) bool { return strings.Contains(text, "telephone PIN") }
		l := w.call("customer-line")
		l.hears("customer number")
		l.keys(account)
		l.hears("put you through") // down: to_agent
		agent := w.placed()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		agent.end(ringfence.EndBye)
		l.gone()
		w.ended()
	})
}

func TestCommandsOfStrangersFindNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("accounts-line")
		agent := w.placed()
		v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		ctx := context.Background()
		for _, who := range []Act{{Tenant: ten, By: ben, Traversal: v.Traversal}, {Tenant: ten, By: "", Traversal: v.Traversal},
			{Tenant: "other", By: ada, Traversal: v.Traversal}, {Tenant: ten, By: ada, Traversal: "trv_none"}, {Tenant: ten, By: ben, Traversal: v.Traversal, Supervisor: true}} {
			for name, err := range map[string]error{
				"step-up": w.r.StepUp(ctx, who, "step-up-code", ""), "cancel": w.r.CancelStepUp(ctx, who), "identify": w.r.Identify(ctx, who, "customer", "account", account),
				"hand over": w.r.HandOver(ctx, who, manager), "hang up": w.r.HangUp(ctx, who), "pressure": w.r.Pressure(ctx, who), "report": w.r.Report(ctx, who, "x"),
			} {
				if err != ErrNoCall && !(who.Supervisor && name == "report") { // which a supervisor may
					t.Errorf("%+v %s: %v, want ErrNoCall", who, name, err)
				}
			}
		}
		if _, err := w.r.Take(ctx, ten, ben, "1234"); err != ErrWrongCode {
			t.Errorf("take: %v", err)
		}
		if err := w.r.StepUp(ctx, w.act(v), "none", ""); err != ErrUnknownFlow {
			t.Errorf("unknown flow: %v", err)
		}
		if err := w.r.StepUp(ctx, w.act(v), "customer-line", ""); err != ErrUnknownFlow {
			t.Errorf("a flow that agents do not start: %v", err)
		}
		if err := w.r.CancelStepUp(ctx, w.act(v)); err != ErrBusy {
			t.Errorf("cancel of nothing: %v", err)
		}
		if err := w.r.StepUp(ctx, w.act(v), "step-up-code", ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease)); err != ErrNoCall {
			t.Errorf("unknown release: %v", err)
		}
		if _, _, _, peer := l.state(); peer != agent.id {
			t.Error("a refused command parted caller and agent")
		}
		if err := w.r.HangUp(ctx, w.act(v)); err != nil {
			t.Fatal(err)
		}
		l.gone()
		agent.gone()
		w.ended()
	})
}

// A panic ends its own call and no other.
func TestPanicEndsOneCall(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("customer-line")
		other := w.call("customer-line")
		l.hears("customer number")
		v := w.r.find(ten, w.traversalOf(l))
		v.post(func() { panic("planted") })
		l.gone()
		other.hears("customer number")
		other.keys(account)
		other.hears("telephone PIN")
		other.end(ringfence.EndBye)
		for w.r.Active() > 0 {
			synctest.Wait()
		}
		if len(w.log.find("traversal panicked")) != 1 {
			t.Errorf("have %q", w.log.lines)
		}
		w.log.lines = nil
		w.ended()
	})
}
