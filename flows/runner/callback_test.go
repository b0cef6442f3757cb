package runner

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// talking calls the accounts line and waits until the clerk has the caller.
func (w *world) talking() (caller, agent *line, v ringfence.LiveCall) {
	w.t.Helper()
	caller = w.call("accounts-line")
	agent = w.placed()
	return caller, agent, w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
}

// stepUp starts a console flow on a call for a new action.
func (w *world) stepUp(v ringfence.LiveCall, flow, action string) gate.Release {
	w.t.Helper()
	rel := w.opens(v, action)
	if err := w.r.StepUp(context.Background(), w.act(v), flow, rel.ID); err != nil {
		w.t.Fatal(err)
	}
	return rel
}

// back waits until the check is over and the caller talks again.
func (w *world) back() ringfence.LiveCall {
	w.t.Helper()
	return w.until("put back", func(v ringfence.LiveCall) bool { return v.State == "talking" && v.Outcome != "" })
}

func TestHeldCallBack(t *testing.T) {
	for _, c := range []struct {
		name    string
		phone   string
		outcome string
		event   string // in the ledger
	}{
		{"no answer", "silent", "wrong", "challenge.cancelled"},
		{"declined", "declined", "refused", "challenge.cancelled"},
		{"diverted", "diverted", "wrong", "challenge.diverted"},
		{"unreachable", "unreachable", "wrong", "challenge.cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.phones[string(mobile)] = c.phone
				_, agent, v := w.talking()
				w.stepUp(v, "step-up-call-back", "bank_change")
				if _, _, music, peer := agent.state(); !music || peer != "" {
					t.Error("the agent is not parked")
				}
				v = w.back()
				if v.Outcome != c.outcome {
					t.Errorf("have outcome %s, want %s", v.Outcome, c.outcome)
				}
				if _, _, music, peer := agent.state(); music || peer == "" {
					t.Error("the agent is still parked")
				}
				if n := count(w.steps(), "challenge.satisfied"); n != 0 || count(w.steps(), c.event) != 1 {
					t.Errorf("have %v", w.steps())
				}
				if c.phone == "diverted" {
					if s := w.asked(v.Releases[0].ID); s.State != gate.StateHeld {
						t.Errorf("the release is %s, want held", s.State)
					}
				}
				agent.end(ringfence.EndBye)
				w.ended()
			})
		})
	}
}

// Busy is told as busy, and at once: the flow rings later.
func TestBusyNumberIsRungLater(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "busy"
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-call-back", "bank_change")
		caller.hears("While you hold")
		caller.hears("We will hang up now")
		caller.gone()
		agent.gone()
		w.ended()
		if n := len(w.calls); n != 4 {
			t.Errorf("rung %d times, want once held and 3 times later", n)
		}
		for n := 0; len(w.calls) > 0; n++ { // only the first is one that a caller waits for
			if p := (<-w.calls).p; (p.During == caller.ID()) != (n == 0) || n > 0 && p.During != "" {
				t.Errorf("call-back %d is placed during %q", n, p.During)
			}
		}
	})
}

func TestHeldCallBackSatisfied(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		rel := w.stepUp(v, "step-up-call-back", "bank_change")
		told := carry(caller.hears("Whoever answers must enter this code"))
		placed := w.placed()
		if placed.p.To != string(mobile) || !placed.p.Contact || placed.p.During != caller.ID() || placed.p.Beside != "" {
			t.Fatalf("have %+v", placed.p)
		}
		placed.keys(digitsIn(placed.hears("Now key these two digits")) + told)
		placed.keys(yes(placed.hears("If that is right")))
		if cause := placed.gone(); cause != ringfence.EndHangup {
			t.Errorf("ended by %s", cause)
		}
		v = w.back()
		if v.Outcome != "ok" {
			t.Errorf("have outcome %s: %+v", v.Outcome, v.Timeline)
		}
		facts := map[ringfence.Fact]ringfence.Tri{}
		for _, e := range v.Evidence {
			if _, twice := facts[e.Fact]; twice {
				t.Errorf("%s stands twice in the panel", e.Fact)
			}
			facts[e.Fact] = e.Good
			if e.Release != rel.ID {
				t.Errorf("%s is shown for release %q", e.Fact, e.Release)
			}
		}
		if facts[ringfence.FactCallback] != ringfence.Yes || facts[ringfence.FactConfirmed] != ringfence.Yes {
			t.Errorf("have %v", facts)
		}
		agent.end(ringfence.EndBye)
		w.ended()
	})
}

func TestStarHoldsAndAlerts(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		rel := w.stepUp(v, "check-claimed-person", "invoice")
		caller.hears("Whoever answers")
		placed := w.placed()
		placed.hears("press star")
		placed.keys("*")
		placed.end(ringfence.EndBye) // at once: what was said counts all the same
		caller.gone()
		agent.gone()
		w.ended()
		if got := w.asked(rel.ID); got.State != gate.StateHeld {
			t.Errorf("the release is %s, want held", got.State)
		}
		if count(w.steps(), "challenge.rejected") != 1 {
			t.Errorf("have %v", w.steps())
		}
	})
}

func TestEarlyDigitsVoidTheTry(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-call-back", "bank_change")
		told := carry(caller.hears("Whoever answers"))
		placed := w.placed()
		for range 3 { // a machine that plays the carry code into the announcement
			placed.hears("Only go on if")
			placed.keys("12" + told)
		}
		if v := w.back(); v.Outcome != "wrong" {
			t.Errorf("have outcome %s", v.Outcome)
		}
		if n := count(w.steps(), "challenge.tried"); n != 3 {
			t.Errorf("%d tries were counted, want 3: one for each burst", n)
		}
		if n := count(w.steps(), "challenge.satisfied"); n != 0 {
			t.Errorf("have %v", w.steps())
		}
		agent.end(ringfence.EndBye)
		w.ended()
	})
}

func TestSameNumberRingsNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		w.caller.Orig = mobile
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-call-back", "bank_change")
		told := carry(caller.hears("We will hang up now"))
		caller.gone()
		agent.gone()
		placed := w.placed() // on the hung-up leg, not while it held
		placed.keys(digitsIn(placed.hears("Now key these two digits")) + told)
		placed.keys(yes(placed.hears("If that is right")))
		again := w.placed() // the agent who asked
		v = w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		if again.p.To != "sip:per_ada@pbx" || v.Outcome != "ok" {
			t.Errorf("have %s after %s", again.p.To, v.Outcome)
		}
		again.end(ringfence.EndBye)
		placed.gone()
		w.ended()
	})
}

func TestChangedLegNeverCounts(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-call-back", "bank_change")
		told := carry(caller.hears("Whoever answers"))
		placed := w.placed()
		keys := digitsIn(placed.hears("Now key these two digits")) + told
		placed.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
		placed.keys(keys)
		if v := w.back(); v.Outcome != "wrong" {
			t.Errorf("have outcome %s", v.Outcome)
		}
		if n := count(w.steps(), "challenge.satisfied"); n != 0 {
			t.Errorf("have %v", w.steps())
		}
		agent.end(ringfence.EndBye)
		w.ended()
	})
}

// A network may say only after the answer that the call reached another number:
// it is diverted like any other, and the release is held.
func TestCallBackThatTurnsOutDiverted(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		rel := w.stepUp(v, "step-up-call-back", "bank_change")
		told := carry(caller.hears("Whoever answers"))
		placed := w.placed()
		keys := digitsIn(placed.hears("Now key these two digits")) + told
		placed.emit(ringfence.LegEvent{Kind: ringfence.LegDiverted})
		placed.end(ringfence.EndDiverted)
		placed.keys(keys)
		w.back()
		if count(w.steps(), "challenge.satisfied") != 0 || count(w.steps(), "challenge.diverted") != 1 || count(w.steps(), "leg.diverted") != 1 {
			t.Errorf("have %v", w.steps())
		}
		if s := w.asked(rel.ID); s.State != gate.StateHeld {
			t.Errorf("the release is %s, want held", s.State)
		}
		agent.end(ringfence.EndBye)
		w.ended()
	})
}

// hungUp plays the customer line up to the hang-up and returns the carry code.
func hungUp(w *world) (told string) {
	w.t.Helper()
	caller := w.call("customer-line")
	identified(caller, account)
	caller.keys(pinOK + "#")
	caller.hears("For your balance")
	caller.keys("2")
	caller.hears("new account")
	caller.keys("55556666")
	caller.hears("authenticator app")
	caller.keys(totpOK + "#")
	told = carry(caller.hears("Please note this code"))
	caller.gone()
	return told
}

func TestCallBackIsAnsweredTheSecondTime(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "silent"
		told := hungUp(w)
		first := w.placed()
		first.gone()
		w.mu.Lock()
		w.phones[string(mobile)] = "answers"
		w.mu.Unlock()
		began := time.Now()
		placed := w.placed()
		if waited := time.Since(began); waited != 2*time.Minute {
			t.Errorf("rung again after %v, want 2m", waited)
		}
		finish(w, placed, told)
	})
}

// finish answers the call back to its end.
func finish(w *world, placed *line, told string) {
	w.t.Helper()
	placed.keys(digitsIn(placed.hears("Now key these two digits")) + told)
	placed.keys(yes(placed.hears("You asked us to pay you")))
	placed.hears("A colleague has to agree")
	for n := range w.notices {
		if n.Kind == "approval" {
			w.approves(n)
			break
		}
	}
	placed.hears("We have your request. It takes effect")
	placed.gone()
	w.ended()
	if rel := w.release("bank_change"); rel.State != gate.StateCooling {
		w.t.Errorf("the release is %s, want cooling", rel.State)
	}
}

func TestNobodyAnswersThreeTimes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "silent"
		hungUp(w)
		w.ended()
		if n := len(w.calls); n != 3 {
			t.Errorf("rung %d times, want 3", n)
		}
		if !slices.ContainsFunc(w.Store.Entries(ten), func(e ledger.Entry) bool {
			return e.Event == "alert.raised" && e.Data["text"] == "call back not completed"
		}) {
			t.Errorf("the flow did not leave its reach line by silent: %v", w.steps())
		}
	})
}

func TestDivertedCallBackIsNotTriedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "diverted"
		hungUp(w)
		w.ended()
		if n := len(w.calls); n != 1 {
			t.Errorf("rung %d times, want 1", n)
		}
		if rel := w.release("bank_change"); rel.State == gate.StatePendingEvidence {
			t.Errorf("the release is %s", rel.State)
		}
	})
}

// A stop of the process, and a start over the same store: the call is owed
// still.
func TestSuspendedCallSurvivesARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "silent"
		told := hungUp(w)
		w.placed().gone()
		restart(w)
		if count(w.steps(), "traversal.ended") != 0 {
			t.Fatal("the stop ended what it should have left")
		}
		w.phones[string(mobile)] = "answers"
		if err := w.r.Resume(context.Background(), ten, func(name string) (Line, bool) { l, ok := w.lines[name]; return l, ok }); err != nil {
			t.Fatal(err)
		}
		if err := w.r.Resume(context.Background(), ten, func(string) (Line, bool) { return Line{}, false }); err != nil { // twice: once is enough
			t.Fatal(err)
		}
		finish(w, w.placed(), told)
		if n := count(w.steps(), "traversal.resumed"); n != 1 {
			t.Errorf("%d traversal.resumed, want 1", n)
		}
	})
}

func restart(w *world) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	w.r.Drain(over)
	w.open()
}

func TestJob(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		inWorld(t, func(w *world) {
			if stopped {
				w.phones[string(mobile)] = "rings"
			}
			ctx := context.Background()
			rel, _, err := w.gate.Open(ctx, ten, gate.OpenRequest{Type: "payment", Subject: w.customer, Fields: fields("payment"), By: gate.Actor{Client: "app"}, AskedBy: gate.AskedPhone})
			if err != nil {
				t.Fatal(err)
			}
			job := Job{Tenant: ten, Flow: "callback-payment", Release: rel.ID, Client: "app", Channel: "passkey"}
			for flow, want := range map[string]error{"customer-line": ErrNoJob, "none": ErrNoJob} {
				bad := job
				bad.Flow = flow
				if _, err := w.r.Start(ctx, bad); err != want {
					t.Errorf("%s: %v, want %v", flow, err, want)
				}
			}
			got, err := w.r.Start(ctx, job)
			if err != nil {
				t.Fatal(err)
			}
			told := string([]byte(got.Code))
			if len(told) != 4 {
				t.Fatalf("have a code of %d digits", len(told))
			}
			placed := w.placed()
			if stopped {
				restart(w)
				w.phones[string(mobile)] = "answers"
				if err := w.r.Resume(ctx, ten, func(string) (Line, bool) { return Line{}, false }); err != nil {
					t.Fatal(err)
				}
				placed = w.placed()
			}
			placed.keys(digitsIn(placed.hears("Now key these two digits")) + told)
			placed.hears("telephone PIN")
			placed.keys(pinOK + "#")
			placed.hears("authenticator app")
			placed.keys(totpOK + "#")
			placed.hears("Hello Ann")
			placed.keys(yes(placed.hears("You are paying")))
			placed.gone()
			w.ended()
			if _, ours, err := w.r.PlacedBy(ctx, ten, got.Reference); err != nil || !ours {
				t.Errorf("the call we placed is not confirmed: %v %v", ours, err)
			}
			for tail, want := range map[string]bool{string(mobile[len(mobile)-4:]): true, "0000": false, "": false, "123": false} {
				if _, ours, err := w.r.Confirm(ctx, ten, got.Reference, tail); err != nil || ours != want {
					t.Errorf("confirmed to …%s: %v %v", tail, ours, err)
				}
			}
			keyed, tail4 := ringfence.Keypad(got.Reference), string(mobile[len(mobile)-4:])
			for _, bad := range [][2]string{{keyed, "0000"}, {keyed, ""}, {"", tail4}, {"00000000", tail4}, {keyed[:7], tail4}} {
				if c, err := w.r.ConfirmKeyed(ctx, ten, bad[0], bad[1]); err != nil || c != (Confirmed{}) {
					t.Errorf("keyed %q: %+v %v", bad, c, err)
				}
			}
			if c, err := w.r.ConfirmKeyed(ctx, ten, keyed, tail4); err != nil || !c.Ours || c.Action != "payment" {
				t.Errorf("keyed as it is: %+v %v", c, err)
			}
			pass(confirmLife)
			if c, _ := w.r.ConfirmKeyed(ctx, ten, keyed, tail4); c.Ours {
				t.Error("a keyed call is confirmed a quarter of an hour after its end")
			}
			if _, ours, _ := w.r.Confirm(ctx, ten, got.Reference, string(mobile[len(mobile)-4:])); ours {
				t.Error("a call is confirmed a quarter of an hour after its end")
			}
			if _, ours, _ := w.r.Confirm(ctx, ten, "22222222", string(mobile[len(mobile)-4:])); ours {
				t.Error("a call that is none is confirmed")
			}
			if _, ours, err := w.r.PlacedBy(ctx, ten, "22222222"); err != nil || ours {
				t.Errorf("a reference of nobody's is confirmed: %v %v", ours, err)
			}
			if _, err := w.r.Start(ctx, job); err == nil {
				t.Error("a stopped runner took a job on")
			}
			for _, l := range w.log.lines {
				if strings.Contains(l, told) {
					t.Errorf("the carry code stands in the log: %s", l)
				}
			}
		})
	}
}

// asked is a release after its agent tried to release it.
func (w *world) asked(id ringfence.ReleaseID) gate.Release {
	w.t.Helper()
	_, _, _ = w.gate.Release(context.Background(), ten, id, gate.Actor{Person: ada}) // held is a refusal
	return must(w.gate.Lookup(context.Background(), ten, id))
}
