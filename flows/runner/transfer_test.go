package runner

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// mayTransfer lets the clerks' phones transfer.
func (w *world) mayTransfer() {
	w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: func(context.Context) Staff {
		return Staff{Ready: []Place{{Person: ada, URI: "sip:ada@pbx", MayTransfer: true}}}
	}}
}

// refer is a REFER of an agent's phone; it returns what the phone was told so far.
func (l *line) refer(to, replaces string) []int {
	l.emit(ringfence.LegEvent{Kind: ringfence.LegTransfer, Refer: ringfence.Referral{To: to, Replaces: replaces}})
	synctest.Wait()
	return l.heardOf()
}

func (l *line) heardOf() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

func (w *world) refusals() (n int) {
	for _, s := range w.steps() {
		if s == "alert.raised" {
			n++
		}
	}
	return n
}

// A phone has calls go on only where the configuration says, and the call stays
// as it was otherwise.
func TestTransferRefused(t *testing.T) {
	for name, c := range map[string]struct {
		may          bool
		to, replaces string
		want         int
		prepare      func(*world)
	}{
		"a phone that may not":           {false, "202", "", 403, nil},
		"nowhere":                        {true, "", "", 403, nil},
		"a number outside":               {true, "442079460000", "", 403, nil},
		"an unknown queue":               {true, "boardroom", "", 403, nil},
		"a queue, attended":              {true, "customer_service", "c;to-tag=a;from-tag=b", 403, nil},
		"a queue that the policy guards": {true, "payments_desk", "", 403, nil},
		"a queue in which nobody is":     {true, "customer_service", "", 480, func(w *world) { w.queues["customer_service"] = Queue{Name: "customer_service"} }},
		"a colleague who cannot be rung": {true, "202", "", 503, func(w *world) { w.phones["sip:ben@pbx"] = "unreachable" }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if c.may {
					w.mayTransfer()
				}
				if c.prepare != nil {
					c.prepare(w)
				}
				caller, agent, v := w.talking()
				if told := agent.refer(c.to, c.replaces); !slices.Equal(told, []int{c.want}) {
					t.Errorf("the phone was told %v, want %d", told, c.want)
				}
				now := w.live()
				if _, _, _, peer := caller.state(); peer != agent.id || now.Owner != ada || now.State != "talking" || now.Epoch != v.Epoch {
					t.Errorf("the call changed: %+v", now)
				}
				if n := w.refusals(); (n == 1) != (c.want == 403) {
					t.Errorf("%d alerts in the ledger", n)
				}
				caller.end(ringfence.EndBye)
				agent.gone()
				w.ended()
			})
		})
	}
}

// A caller has no say in where the call goes: the edge refuses their REFER, and
// an event of their leg would change nothing.
func TestTransferByTheCaller(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayTransfer()
		caller, agent, _ := w.talking()
		caller.refer("202", "")
		if _, _, _, peer := caller.state(); peer != agent.id || len(w.calls) != 0 {
			t.Error("the caller's transfer was heard")
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

// The traversal goes on with the new agent: its evidence and releases stay, and
// the old phone hears how it went.
func TestTransferToAColleague(t *testing.T) {
	for _, replaces := range []string{"", "c1;to-tag=a;from-tag=b"} {
		inWorld(t, func(w *world) {
			w.mayTransfer()
			w.phones["sip:ben@pbx"] = "rings"
			caller, agent, v := w.talking()
			rel := w.opens(v, "bank_change")
			v = w.until("the release is shown", func(v ringfence.LiveCall) bool { return len(v.Releases) == 1 })
			if told := agent.refer("202", replaces); !slices.Equal(told, []int{100}) {
				t.Errorf("told %v", told)
			}
			bens := w.placed()
			if bens.p.Replaces != replaces || !bens.p.MayTransfer || bens.p.To != "sip:ben@pbx" {
				t.Errorf("placed %+v", bens.p)
			}
			if told := agent.refer("202", ""); !slices.Equal(told, []int{100, 491}) {
				t.Errorf("a second one while the first goes on: told %v", told)
			}
			bens.emit(ringfence.LegEvent{Kind: ringfence.LegRinging})
			bens.answer()
			agent.gone()
			now := w.until("the colleague has the call", func(v ringfence.LiveCall) bool {
				_, _, _, peer := caller.state()
				return v.Owner == ben && v.State == "talking" && peer == bens.id
			})
			if told := agent.heardOf(); !slices.Equal(told, []int{100, 491, 180, 200}) {
				t.Errorf("told %v", told)
			}
			if now.Subject != v.Subject || now.Traversal != v.Traversal || len(now.Releases) != len(v.Releases) || w.release("bank_change").ID != rel.ID {
				t.Errorf("before %+v\nafter %+v", v, now)
			}
			if err := w.r.HangUp(context.Background(), w.act(v)); err != ErrNoCall {
				t.Errorf("the first agent still acts on it: %v", err)
			}
			bens.refer("202", "") // to themselves
			if told := bens.heardOf(); !slices.Equal(told, []int{403}) {
				t.Errorf("told %v", told)
			}
			caller.end(ringfence.EndBye)
			bens.gone()
			w.ended()
		})
	}
}

// A colleague who does not take it leaves the call where it was.
func TestTransferNotTaken(t *testing.T) {
	for does, want := range map[string]int{"busy": 486, "declined": 603, "silent": 480, "diverted": 480} {
		t.Run(does, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.mayTransfer()
				w.phones["sip:ben@pbx"] = does
				caller, agent, _ := w.talking()
				agent.refer("202", "")
				w.placed().gone()
				synctest.Wait()
				if told := agent.heardOf(); !slices.Equal(told, []int{100, want}) {
					t.Errorf("told %v, want %d", told, want)
				}
				if now := w.live(); now.Owner != ada || now.State != "talking" {
					t.Errorf("owner %s, %s", now.Owner, now.State)
				}
				caller.end(ringfence.EndBye)
				agent.gone()
				w.ended()
			})
		})
	}
}

// A caller who hangs up meanwhile ends all of it.
func TestTransferOfACallerWhoLeaves(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayTransfer()
		w.phones["sip:ben@pbx"] = "rings"
		caller, agent, _ := w.talking()
		agent.refer("202", "")
		bens := w.placed()
		caller.end(ringfence.EndBye)
		bens.gone()
		agent.gone()
		if told := agent.heardOf(); !slices.Equal(told, []int{100, 487}) {
			t.Errorf("told %v", told)
		}
		w.ended()
	})
}

// A queue takes the caller, nobody owns the call until somebody answers, and the
// agent's phone is free at once.
func TestTransferToAQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayTransfer()
		w.queues["customer_service"] = Queue{Name: "customer_service", People: w.staff(ben), All: true}
		w.phones["sip:per_ben@pbx"] = "rings"
		caller, agent, _ := w.talking()
		if told := agent.refer("customer_service", ""); !slices.Equal(told, []int{200}) {
			t.Errorf("told %v", told)
		}
		agent.gone()
		bens := w.placed()
		w.until("queued", func(v ringfence.LiveCall) bool {
			_, _, looped, peer := caller.state()
			return v.State == "queued" && v.Queue == "customer_service" && v.Owner == "" && looped && peer == ""
		})
		bens.answer()
		w.until("talking", func(v ringfence.LiveCall) bool {
			_, _, _, peer := caller.state()
			return v.State == "talking" && v.Owner == ben && peer == bens.id
		})
		caller.end(ringfence.EndBye)
		bens.gone()
		w.ended()
	})
}

// No transfer to a queue while a check runs: the check would be lost.
func TestTransferDuringACheck(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mayTransfer()
		caller, agent, v := w.talking()
		w.stepUp(v, "step-up-code", "bank_change")
		caller.hears("telephone PIN")
		if told := agent.refer("customer_service", ""); !slices.Equal(told, []int{491}) {
			t.Errorf("told %v", told)
		}
		if v := w.live(); v.State != "step_up" {
			t.Errorf("state %s", v.State)
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}

// Somebody else at the agent's phone: what the leg proved is void in the gate
// too, the console says so, and a queue's code is another one from now on.
func TestAgentChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", URI: "sip:clerks@pbx"}
		caller, agent, v := w.talking()
		before := agent.hears("")
		if _, err := w.r.Take(context.Background(), ten, ada, before); err != nil {
			t.Fatal(err)
		}
		v = w.until("taken", func(v ringfence.LiveCall) bool { return v.Owner == ada })
		agent.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
		now := w.until("nobody's", func(now ringfence.LiveCall) bool { return now.Owner == "" && now.Epoch > v.Epoch })
		after := agent.hears("")
		if after == before {
			t.Error("the code is still the one that the first agent heard")
		}
		if last := now.Timeline[len(now.Timeline)-1]; !last.Bad {
			t.Errorf("the console says %q", last.Text)
		}
		if _, err := w.r.Take(context.Background(), ten, ben, before); err == nil {
			t.Error("the old code takes the call")
		}
		if n := len(w.List(ledger.KindLegVoid)); n != 1 {
			t.Errorf("the gate knows of %d void legs", n)
		}
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
	})
}
