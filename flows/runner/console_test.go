package runner

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

func TestStepUpsOneAtATime(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		caller, agent, v := w.talking()
		rel := w.stepUp(v, "step-up-code", "bank_change")
		if err := w.r.StepUp(ctx, w.act(v), "step-up-code", rel.ID); err != ErrBusy {
			t.Errorf("a second check: %v, want ErrBusy", err)
		}
		if err := w.r.Identify(ctx, w.act(v), "customer", "account", account); err != ErrBusy {
			t.Errorf("another claim meanwhile: %v, want ErrBusy", err)
		}
		caller.hears("telephone PIN")
		if _, cut, _, peer := caller.state(); !cut || peer != "" {
			t.Error("the caller's secret can be heard")
		}
		caller.keys(pinOK + "#")
		caller.hears("authenticator app")
		caller.keys(totpOK + "#")
		v = w.back()
		if v.Outcome != "ok" || len(v.Evidence) != 2 {
			t.Errorf("have %s, %+v", v.Outcome, v.Evidence)
		}
		if _, cut, _, peer := caller.state(); cut || peer != agent.id {
			t.Error("the caller is not back")
		}
		// What is proved and fresh is not asked again.
		if err := w.r.StepUp(ctx, w.act(v), "step-up-code", rel.ID); err != nil {
			t.Fatal(err)
		}
		caller.hears("authenticator app")
		if err := w.r.CancelStepUp(ctx, w.act(v)); err != nil {
			t.Fatal(err)
		}
		v = w.live()
		if _, cut, _, peer := caller.state(); cut || peer != agent.id || v.State != "talking" || v.Outcome != "cancelled" {
			t.Errorf("the caller is not back: %s %s", v.State, v.Outcome)
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

func TestStepUpRefusesAForeignOrClosedRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		caller, agent, v := w.talking()
		rel := w.opens(v, "bank_change")
		foreign, _, err := w.gate.Open(ctx, ten, gate.OpenRequest{Type: "payment", Subject: w.customer, Fields: fields("payment"), By: gate.Actor{Client: "app"}, AskedBy: gate.AskedPhone})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.gate.Cancel(ctx, ten, rel.ID, gate.Actor{Person: ada}, "changed")
		for _, id := range []ringfence.ReleaseID{foreign.ID, rel.ID} {
			if err := w.r.StepUp(ctx, w.act(v), "step-up-code", id); err != ErrNoCall {
				t.Errorf("%s: %v, want ErrNoCall", id, err)
			}
		}
		agent.end(ringfence.EndBye)
		caller.gone()
		w.ended()
	})
}

func TestAgentHangsUpDuringACheck(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		inWorld(t, func(w *world) {
			caller, agent, v := w.talking()
			w.stepUp(v, "step-up-code", "bank_change")
			caller.hears("telephone PIN")
			agent.end(ringfence.EndBye)
			synctest.Wait()
			if cancel {
				if err := w.r.CancelStepUp(context.Background(), w.act(v)); err != nil {
					t.Fatal(err)
				}
			} else {
				caller.keys(pinOK + "#")
				caller.hears("authenticator app")
				caller.keys(totpOK + "#")
			}
			again := w.placed() // the queue that the call came from
			w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
			if _, cut, _, peer := caller.state(); cut || peer != again.id {
				t.Error("the caller is not put through")
			}
			again.end(ringfence.EndBye)
			caller.gone()
			w.ended()
		})
	}
}

func TestCallerHangsUpDuringACheck(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-code", "bank_change")
		caller.hears("telephone PIN")
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

// The agent hears what the flow tells before their leg ends.
func TestAgentHearsTheWarningWhole(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.phones["447700900456"] = "silent"
		w.stepUp(v, "check-claimed-person", "invoice")
		agent.hears("We could not prove who this is")
		caller.gone()
		agent.gone()
		w.ended()
	})
}

// Whoever answers a queue's address hears nothing of the caller before the code
// that they are whispered, and everything after it.
func TestNobodyIsHeardBeforeTheWhisper(t *testing.T) {
	inWorld(t, func(w *world) {
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", URI: "sip:queue@pbx"}
		w.voice.fail = func(text string) bool {
			if len(text) == 4 && strings.Trim(text, "0123456789") == "" {
				pass(2 * time.Second) // the code takes time to become audio
			}
			return false
		}
		caller := w.call("accounts-line")
		agent := w.placed()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		pass(time.Second)
		if _, _, _, peer := caller.state(); peer != "" {
			t.Error("they were joined before the whisper began")
		}
		agent.hears("")
		synctest.Wait()
		if _, _, _, peer := caller.state(); peer != agent.id {
			t.Error("they were not joined with the whisper")
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

func TestTakeByWhisperedCode(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", URI: "sip:queue@pbx"}
		caller := w.call("accounts-line")
		agent := w.placed()
		v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		if v.Owner != "" {
			t.Errorf("a call of nobody's is %s's", v.Owner)
		}
		digits := agent.hears("")
		if len(digits) != 4 {
			t.Fatalf("whispered %q", digits)
		}
		for _, text := range caller.texts {
			if strings.Contains(text, digits) {
				t.Error("the caller heard the code")
			}
		}
		wrong := "0000"
		if digits == wrong {
			wrong = "1111"
		}
		for _, bad := range []string{"", "1", wrong} {
			if _, err := w.r.Take(ctx, ten, ada, bad); err != ErrWrongCode {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if _, err := w.r.Take(ctx, "other", ada, digits); err != ErrWrongCode {
			t.Errorf("another tenant took it: %v", err)
		}
		if id, err := w.r.Take(ctx, ten, ada, digits); err != nil || id != v.Traversal {
			t.Fatalf("have %s, %v", id, err)
		}
		if _, err := w.r.Take(ctx, ten, ben, digits); err != ErrWrongCode {
			t.Errorf("taken twice: %v", err)
		}
		if v := w.live(); v.Owner != ada {
			t.Errorf("owner is %q", v.Owner)
		}
		// A colleague, then a supervisor who takes over.
		if err := w.r.HandOver(ctx, w.act(v), ben); err != nil {
			t.Fatal(err)
		}
		if err := w.r.HandOver(ctx, w.act(v), ada); err != ErrNoCall {
			t.Errorf("handed over by who does not own it: %v", err)
		}
		if err := w.r.HandOver(ctx, Act{Tenant: ten, By: manager, Traversal: v.Traversal, Supervisor: true}, manager); err != nil {
			t.Error(err)
		}
		if now := w.live(); now.Owner != manager || now.Epoch <= v.Epoch+2 {
			t.Errorf("have %s at epoch %d", now.Owner, now.Epoch)
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

func TestQueue(t *testing.T) {
	three := func(w *world, all bool) Queue {
		return Queue{Name: "payments_clerk", People: w.staff(ada, ben, manager), All: all}
	}
	for _, c := range []struct {
		name  string
		queue func(*world) Queue
		legs  int
	}{
		{"nobody is ready", func(w *world) Queue { return Queue{People: w.staff()} }, 0},
		{"nobody answers", func(w *world) Queue { q := three(w, true); q.Wait = time.Minute; return q }, 3},
		{"nobody answers in turn", func(w *world) Queue { return three(w, false) }, 3},
		{"nobody can be rung", func(w *world) Queue { return Queue{URI: "sip:gone@pbx"} }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.queues["payments_clerk"] = c.queue(w)
				for _, p := range []string{"ada", "ben", "manager"} {
					w.phones["sip:per_"+p+"@pbx"] = "silent"
				}
				w.phones["sip:gone@pbx"] = "unreachable"
				caller := w.call("accounts-line")
				caller.hears("Nobody can take your call")
				if _, _, music, _ := caller.state(); music {
					t.Error("the music goes on")
				}
				caller.gone()
				w.ended()
				if n := len(w.calls); n != c.legs {
					t.Errorf("%d were rung, want %d", n, c.legs)
				}
			})
		})
	}
	t.Run("first to answer wins", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.queues["payments_clerk"] = three(w, true)
			w.phones["sip:per_ada@pbx"], w.phones["sip:per_ben@pbx"], w.phones["sip:per_manager@pbx"] = "rings", "answers", "rings"
			caller := w.call("accounts-line")
			a, b, m := w.placed(), w.placed(), w.placed()
			a.gone()
			m.gone()
			if v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" }); v.Owner != ben {
				t.Errorf("have %s of %s", v.State, v.Owner)
			}
			caller.end(ringfence.EndBye)
			b.gone()
			w.ended()
		})
	})
	t.Run("declined goes to the next", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.queues["payments_clerk"] = three(w, false)
			w.phones["sip:per_ada@pbx"], w.phones["sip:per_ben@pbx"] = "declined", "unreachable"
			caller := w.call("accounts-line")
			a, m := w.placed(), w.placed()
			a.gone()
			if v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" }); v.Owner != manager {
				t.Errorf("have %s", v.Owner)
			}
			m.end(ringfence.EndBye)
			caller.gone()
			w.ended()
		})
	})
	t.Run("full", func(t *testing.T) {
		inWorld(t, func(w *world) {
			q := three(w, true)
			q.Max = 1
			w.queues["payments_clerk"] = q
			for _, p := range []string{"ada", "ben", "manager"} {
				w.phones["sip:per_"+p+"@pbx"] = "rings"
			}
			first := w.call("accounts-line")
			w.until("queued", func(v ringfence.LiveCall) bool { return v.State == "queued" })
			late := w.call("accounts-line")
			late.hears("Nobody can take your call")
			late.gone()
			first.end(ringfence.EndBye)
			w.ended()
		})
	})
}

func TestLegChangedVoidsFactsOfTheLegOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		w.caller = Caller{Valid: ringfence.Yes, Attest: ringfence.AttestFull, Orig: mobile, Number: "yes", Says: "signed"}
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-code", "bank_change")
		caller.hears("telephone PIN")
		caller.keys(pinOK + "#")
		caller.hears("authenticator app")
		caller.keys(totpOK + "#")
		w.back()
		caller.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
		synctest.Wait()
		v = w.live()
		for _, e := range v.Evidence {
			if e.Fact == ringfence.FactPIN {
				t.Error("the PIN still counts for whoever has the phone now")
			}
		}
		if len(v.Evidence) != 1 || v.Evidence[0].Fact != ringfence.FactTOTP {
			t.Errorf("have %+v, want what is bound to the action", v.Evidence)
		}
		agent.end(ringfence.EndBye)
		caller.gone()
		w.ended()
	})
}

// Duress and pressure change nothing that agent or caller can see, and hold
// what is open (invariant 26).
func TestDuressIsInvisible(t *testing.T) {
	play := func(pin string, pressure bool) (heard string, view string, duress bool) {
		inWorld(t, func(w *world) {
			caller, agent, v := w.talking()
			rel := w.stepUp(v, "step-up-code", "bank_change")
			caller.hears("telephone PIN")
			caller.keys(pin + "#")
			caller.hears("authenticator app")
			caller.keys(totpOK + "#")
			v = w.back()
			if pressure {
				if err := w.r.Pressure(context.Background(), w.act(v)); err != nil {
					t.Fatal(err)
				}
				v = w.live()
			}
			texts := []string{v.State, v.Outcome, v.Alert}
			for _, e := range v.Evidence {
				texts = append(texts, e.Says, e.Good.String())
			}
			for _, r := range v.Releases {
				texts = append(texts, r.State, r.Why)
			}
			for _, e := range v.Timeline {
				texts = append(texts, e.Text)
			}
			view, heard = strings.Join(texts, "\n"), strings.Join(caller.texts, "\n")
			for _, rec := range w.List(verify.KindAlarm) {
				duress = duress || strings.Contains(string(rec.Body), string(verify.AlarmDuress)) && slices.Contains(w.Events(), "alert.raised")
			}
			_ = rel
			agent.end(ringfence.EndBye)
			caller.gone()
			w.ended()
		})
		return heard, view, duress
	}
	heard, view, none := play(pinOK, false)
	for name, got := range map[string]func() (string, string, bool){
		"duress PIN": func() (string, string, bool) { return play("911911", false) },
		"pressure":   func() (string, string, bool) { return play(pinOK, true) },
	} {
		h, v, alarm := got()
		if h != heard || v != view {
			t.Errorf("%s shows:\n%s\nwithout:\n%s", name, v, view)
		}
		if !alarm || none {
			t.Errorf("%s: alarm %v, without %v", name, alarm, none)
		}
	}
}

func TestNobodyIsTakenLikeAnybodyByTheAgent(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		if err := w.r.Identify(context.Background(), w.act(v), "customer", "account", "99999999"); err != nil {
			t.Fatal(err)
		}
		nobody := w.live()
		if err := w.r.Identify(context.Background(), w.act(v), "customer", "account", account); err != nil {
			t.Fatal(err)
		}
		if somebody := w.live(); nobody.Claim != somebody.Claim || nobody.Subject == "" || len(nobody.Subject) != len(somebody.Subject) {
			t.Errorf("nobody: %q %s; somebody: %q %s", nobody.Claim, nobody.Subject, somebody.Claim, somebody.Subject)
		}
		agent.end(ringfence.EndBye)
		caller.gone()
		w.ended()
	})
}

// No code, PIN or secret field stands in a view, log, entry, stored state or
// notice (planted secrets are swept for).
func TestSecretsStandNowhere(t *testing.T) {
	inWorld(t, func(w *world) {
		var views strings.Builder
		changed, stop := w.r.Watch(ten)
		defer stop()
		done := make(chan struct{})
		var looking sync.WaitGroup
		looking.Go(func() {
			for {
				select {
				case <-changed:
					views.WriteString(asJSON(w.r.Live(ten)))
				case <-done:
					return
				}
			}
		})
		const newPIN = "739164"
		secrets := map[string]string{"PIN": newPIN, "TOTP": totpOK}
		caller := w.call("enrol-pin")
		caller.hears("customer number")
		caller.keys(account)
		caller.hears("new PIN of six")
		caller.keys(newPIN)
		caller.hears("authenticator app")
		caller.keys(totpOK + "#")
		secrets["carry code"] = carry(caller.hears("Please note this code"))
		placed := w.placed()
		fresh := digitsIn(placed.hears("Now key these two digits"))
		secrets["fresh digits and code"] = fresh + secrets["carry code"]
		jobs := w.List(kindJob)
		placed.keys(secrets["fresh digits and code"])
		placed.keys(yes(placed.hears("set a new telephone PIN")))
		placed.hears("A colleague has to agree")
		synctest.Wait()
		placed.end(ringfence.EndBye)
		w.ended()
		close(done)
		looking.Wait()
		places := map[string]string{"views": views.String(), "log": strings.Join(w.log.lines, "\n"), "ledger": asJSON(w.Store.Entries(ten)), "jobs": asJSON(jobs)}
		for _, kind := range []ledger.Kind{verify.KindChallenge, kindReference, ledger.KindEvidence, gate.KindRelease, gate.KindApproval} {
			for _, rec := range w.List(kind) {
				places[string(kind)] += string(rec.Body) + "\n"
			}
		}
		if n := len(jobs) + strings.Count(places["views"], "set_pin"); n == 0 {
			t.Fatal("nothing was looked at")
		}
		for what, secret := range secrets {
			for place, text := range places {
				if secret == "" || strings.Contains(text, `"`+secret+`"`) || strings.Contains(text, " "+secret) || len(secret) > 4 && verifytest.Stands([]byte(text), secret) {
					t.Errorf("the %s stands in %s", what, place)
				}
			}
		}
	})
}

// A view that was given out never changes.
func TestViewsAreNeverWrittenAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.opens(v, "bank_change")
		early := w.until("opened", func(v ringfence.LiveCall) bool { return len(v.Releases) > 0 })
		before := asJSON(early)
		if err := w.r.StepUp(context.Background(), w.act(v), "step-up-code", early.Releases[0].ID); err != nil {
			t.Fatal(err)
		}
		caller.hears("telephone PIN")
		caller.keys(pinOK + "#")
		caller.hears("authenticator app")
		caller.keys("000000#")
		caller.hears("authenticator app")
		caller.keys(totpOK + "#")
		w.back()
		if asJSON(early) != before {
			t.Error("an older view was written to")
		}
		agent.end(ringfence.EndBye)
		caller.gone()
		w.ended()
	})
}

// Results that come late, or twice, move nothing.
func TestLateResultsAreIgnored(t *testing.T) {
	inWorld(t, func(w *world) {
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-code", "bank_change")
		caller.hears("telephone PIN")
		tr := w.r.find(ten, v.Traversal)
		old := make(chan *challenge, 1)
		tr.post(func() {
			for _, c := range tr.challenges {
				old <- c
				break
			}
		})
		c := <-old
		if err := w.r.CancelStepUp(context.Background(), w.act(v)); err != nil {
			t.Fatal(err)
		}
		if err := w.r.StepUp(context.Background(), w.act(v), "step-up-code", w.live().Releases[0].ID); err != nil {
			t.Fatal(err)
		}
		caller.hears("telephone PIN")
		for range 2 {
			tr.post(func() { tr.result(c, verify.Result{Outcome: verify.OutcomeSatisfied}) })
			tr.post(func() {
				tr.result(&challenge{key: c.key, fact: c.fact}, verify.Result{Outcome: verify.OutcomeSatisfied})
			})
		}
		synctest.Wait()
		if v := w.live(); v.State != "step_up" || !strings.Contains(v.Playing, "PIN") {
			t.Errorf("have %s at %q", v.State, v.Playing)
		}
		agent.end(ringfence.EndBye)
		caller.end(ringfence.EndBye)
		w.ended()
	})
}
