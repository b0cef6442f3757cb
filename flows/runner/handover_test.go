package runner

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ringfence/ringfence"
)

// bensPhone gives Ben a phone that does so when it is rung.
func (w *world) bensPhone(does string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phoneOf = map[ringfence.PersonID]string{ben: "sip:ben@pbx", manager: "sip:manager@pbx"}
	w.phones["sip:ben@pbx"] = does
}

func (w *world) handOver(v ringfence.LiveCall, to ringfence.PersonID) {
	w.t.Helper()
	if err := w.r.HandOver(context.Background(), w.act(v), to); err != nil {
		w.t.Fatal(err)
	}
}

// A colleague who does not take the call gets nothing of it, and the agent
// keeps it.
func TestHandOverNotTaken(t *testing.T) {
	for _, does := range []string{"busy", "declined", "silent"} {
		t.Run(does, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.bensPhone(does)
				caller, agent, v := w.talking()
				w.handOver(v, ben)
				w.placed().gone()
				if now := w.live(); now.Owner != ada || now.State != "talking" {
					t.Errorf("owner %s, %s", now.Owner, now.State)
				}
				if _, _, _, peer := caller.state(); peer != agent.id {
					t.Error("the agent lost the caller")
				}
				caller.end(ringfence.EndBye)
				agent.gone()
				w.ended()
			})
		})
	}
}

// The call is the colleague's, audio and all, when they answer; until then it
// is the agent's.
func TestHandOverRingsTheColleague(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bensPhone("rings")
		caller, agent, v := w.talking()
		w.handOver(v, ben)
		bens := w.placed()
		if now := w.live(); now.Owner != ada {
			t.Errorf("owner is %s before the answer", now.Owner)
		}
		bens.answer()
		agent.gone()
		w.until("the caller hears the colleague", func(v ringfence.LiveCall) bool {
			_, _, _, peer := caller.state()
			return v.Owner == ben && v.State == "talking" && peer == bens.id
		})
		if err := w.r.HangUp(context.Background(), w.act(v)); err != ErrNoCall {
			t.Errorf("the agent still acts on it: %v", err)
		}
		caller.end(ringfence.EndBye)
		bens.gone()
		w.ended()
	})
}

// An agent who hangs up at once leaves the caller with music, not with nothing.
func TestHandOverBlind(t *testing.T) {
	for _, taken := range []bool{true, false} {
		inWorld(t, func(w *world) {
			w.bensPhone("rings")
			caller, agent, v := w.talking()
			w.handOver(v, ben)
			bens := w.placed()
			agent.end(ringfence.EndBye)
			w.until("the agent has gone", func(v ringfence.LiveCall) bool {
				_, _, looped, _ := caller.state()
				return looped
			})
			last := bens
			if taken {
				bens.answer()
			} else {
				bens.end(ringfence.EndDeclined)
				last = w.placed() // the queue that the call came from
			}
			w.until("the caller speaks with somebody", func(v ringfence.LiveCall) bool {
				_, _, _, peer := caller.state()
				return peer == last.id && v.State == "talking" && (v.Owner == ben) == taken
			})
			caller.end(ringfence.EndBye)
			last.gone()
			w.ended()
		})
	}
}

// A check that runs goes on, and a caller who hangs up stops the ringing.
func TestHandOverDuringACheck(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bensPhone("rings")
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-code", "bank_change")
		caller.hears("telephone PIN")
		w.handOver(v, ben)
		bens := w.placed()
		bens.answer()
		agent.gone()
		w.until("the colleague is parked", func(v ringfence.LiveCall) bool {
			_, _, looped, peer := bens.state()
			return v.Owner == ben && v.State == "step_up" && looped && peer == ""
		})
		caller.end(ringfence.EndBye)
		bens.gone()
		w.ended()
	})
	inWorld(t, func(w *world) {
		w.bensPhone("rings")
		caller, agent, v := w.talking()
		w.handOver(v, ben)
		bens := w.placed()
		caller.end(ringfence.EndBye)
		bens.gone()
		agent.gone()
		w.ended()
	})
}

// A supervisor who takes over owns the call at once; the audio follows when
// their phone is answered.
func TestTakeOverIsAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bensPhone("rings")
		caller, agent, v := w.talking()
		act := Act{Tenant: ten, By: manager, Traversal: v.Traversal, Supervisor: true}
		w.mu.Lock()
		w.phones["sip:manager@pbx"] = "rings"
		w.mu.Unlock()
		if err := w.r.HandOver(context.Background(), act, manager); err != nil {
			t.Fatal(err)
		}
		managers := w.placed()
		if now := w.live(); now.Owner != manager {
			t.Errorf("owner is %s", now.Owner)
		}
		managers.answer()
		agent.gone()
		w.until("joined", func(ringfence.LiveCall) bool {
			_, _, _, peer := caller.state()
			return peer == managers.id
		})
		caller.end(ringfence.EndBye)
		managers.gone()
		w.ended()
	})
}

// Hold from a browser plays music to the caller, and a check ends it for as
// long as it runs; a desk phone has music of its own.
func TestAgentHolds(t *testing.T) {
	for _, place := range []string{"browser:default/ada", "sip:ada@pbx"} {
		inWorld(t, func(w *world) {
			told := w.attending()
			w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: func(context.Context) Staff { return Staff{Ready: []Place{{Person: ada, URI: place}}} }}
			caller, agent, _ := w.talking()
			agent.emit(ringfence.LegEvent{Kind: ringfence.LegHeld})
			synctest.Wait()
			if place == "sip:ada@pbx" {
				if _, _, looped, peer := caller.state(); looped || peer != agent.id {
					t.Error("a desk phone's hold changed the relay")
				}
			} else {
				held := func(want bool) {
					w.until("held", func(ringfence.LiveCall) bool {
						_, _, looped, peer := caller.state()
						return looped == want && (peer == "") == want
					})
				}
				held(true)
				agent.emit(ringfence.LegEvent{Kind: ringfence.LegHeld, Whole: true})
				held(false)
			}
			caller.emit(ringfence.LegEvent{Kind: ringfence.LegHeld})
			caller.end(ringfence.EndBye)
			agent.gone()
			w.ended()
			var holds []Moment // without what joined anew
			for _, m := range told() {
				if m.Kind == MomentHeld {
					holds = append(holds, m)
				}
			}
			if len(holds) < 2 || !holds[0].AgentHolds || holds[0].CallerHolds || holds[0].Person != ada || holds[0].Agent == nil || !holds[len(holds)-1].CallerHolds {
				t.Errorf("told of holds %+v", holds)
			}
		})
	}
}
