package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

// floor is a room of agents at their consoles.
type floor struct {
	w    *world
	mu   sync.Mutex
	away map[ringfence.PersonID]bool
	gone map[ringfence.PersonID]bool // no console
}

func newFloor(w *world) *floor {
	return &floor{w: w, away: map[ringfence.PersonID]bool{}, gone: map[ringfence.PersonID]bool{}}
}

func (f *floor) set(who ringfence.PersonID, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away[who] = away
}

// staff are those of a queue as web tells it: busy with a call of their own,
// away, or ready.
func (f *floor) staff(who ...ringfence.PersonID) func(context.Context) Staff {
	return func(context.Context) (s Staff) {
		busy := map[ringfence.PersonID]bool{}
		for _, c := range f.w.r.Live(ten) {
			busy[c.Owner] = busy[c.Owner] || c.State == "talking"
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, p := range who {
			switch {
			case f.gone[p]:
			case busy[p]:
				s.Busy++
			case !f.away[p]:
				s.Ready = append(s.Ready, Place{Person: p, URI: "sip:" + string(p) + "@pbx"})
			}
		}
		return s
	}
}

// rings makes a person's phone ring until the test answers.
func (w *world) rings(who ...ringfence.PersonID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range who {
		w.phones["sip:"+string(p)+"@pbx"] = "rings"
	}
}

// none checks that nobody is rung now.
func (w *world) none(when string) {
	w.t.Helper()
	synctest.Wait()
	if n := len(w.calls); n > 0 {
		w.t.Fatalf("%s: %d were rung: %s", when, n, (<-w.calls).p.To)
	}
}

// waits calls a line and lets the caller come to the queue.
func (w *world) waits() *line {
	w.t.Helper()
	caller := w.call("accounts-line")
	pass(30 * time.Second) // the flow speaks before it connects
	if up, _, music, _ := caller.state(); !up || !music {
		w.t.Fatal("the caller does not wait with music")
	}
	return caller
}

func TestCallerWaitsForWhoeverIsReadyNext(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada, ben), All: true}
		f.set(ben, true)
		first, agent, _ := w.talking()
		second := w.waits()
		w.none("while the only clerk talks")
		agent.end(ringfence.EndBye)
		first.gone()
		again := w.placed()
		if again.p.To != "sip:per_ada@pbx" {
			t.Errorf("%s was rung", again.p.To)
		}
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" && v.Owner == ada })

		third := w.waits()
		w.none("while one talks and the other is away")
		f.set(ben, false)
		pass(2 * time.Second)
		if l := w.placed(); l.p.To != "sip:per_ben@pbx" {
			t.Errorf("%s was rung for the third", l.p.To)
		}
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" && v.Owner == ben })
		second.end(ringfence.EndBye)
		third.end(ringfence.EndBye)
		w.ended()
	})
}

// Who came first is served first, also over two queues that share a clerk.
func TestFirstComeFirstServed(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada), All: true}
		w.queues["customer_service"] = Queue{Name: "customer_service", People: f.staff(ada)}
		_, agent, _ := w.talking()
		w.lines["open"] = Line{Name: "open", Tenant: ten, Flow: "none such", Fallback: "customer_service", Language: "en"}
		waiting := []*line{w.waits()}
		waiting = append(waiting, w.call("open"))
		pass(time.Minute / 2)
		waiting = append(waiting, w.waits())
		for i, caller := range waiting {
			agent.end(ringfence.EndBye)
			agent = w.placed()
			w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
			if _, _, _, peer := caller.state(); peer != agent.id {
				t.Errorf("caller %d was not the next", i)
			}
			w.none("before the clerk is free")
		}
		agent.end(ringfence.EndBye)
		w.ended()
	})
}

// Everybody is rung for the first caller; for the second, who is left when one
// of them has answered. Nobody's phone rings for two.
func TestNobodyIsRungForTwoCallers(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada, ben), All: true}
		w.rings(ada, ben)
		first := w.call("accounts-line")
		a, b := w.placed(), w.placed()
		second := w.waits()
		w.none("while both are rung")
		a.answer()
		if cause := b.gone(); cause != ringfence.EndHangup {
			t.Errorf("the other went on ringing: %s", cause)
		}
		b = w.placed()
		if b.p.To != "sip:per_ben@pbx" {
			t.Errorf("%s was rung for the second caller", b.p.To)
		}
		b.answer()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.Owner == ben })
		first.end(ringfence.EndBye)
		second.end(ringfence.EndBye)
		w.ended()
	})
}

// Who did not want a caller is not rung for them again, unless they went away
// and came back.
func TestDeclinedIsNotRungAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada, ben), All: true}
		w.rings(ben)
		busy, _, _ := w.talking()
		b := w.placed() // Ben was rung for it too
		b.gone()
		caller := w.call("accounts-line")
		b = w.placed()
		b.end(ringfence.EndDeclined)
		pass(10 * time.Second)
		w.none("after he declined")
		f.set(ben, true)
		pass(2 * time.Second)
		f.set(ben, false)
		pass(2 * time.Second)
		b = w.placed()
		b.answer()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.Owner == ben })
		caller.end(ringfence.EndBye)
		busy.end(ringfence.EndBye)
		w.ended()
	})
}

// A caller waits no longer than they may, and hears the flow's way on.
func TestWaitEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada), All: true}
		first, _, _ := w.talking()
		second := w.waits()
		second.hears("Nobody can take your call")
		if _, _, music, _ := second.state(); music {
			t.Error("the music goes on")
		}
		second.gone()
		w.none("after the wait")
		first.end(ringfence.EndBye)
		w.ended()
		if len(w.r.board.waiting)+len(w.r.board.rung) > 0 || w.r.board.running {
			t.Error("the board is not at rest")
		}
	})
}

// Who hangs up leaves the line; the phone that rang for them rings for the next.
func TestCallerWhoHangsUpLeavesTheLine(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada), All: true}
		w.rings(ada)
		first := w.call("accounts-line")
		a := w.placed()
		second, third := w.waits(), w.waits()
		second.end(ringfence.EndBye)
		synctest.Wait() // or the phone rings for the second once more
		first.end(ringfence.EndBye)
		a.gone()
		a = w.placed()
		a.answer()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		if _, _, _, peer := third.state(); peer != a.id {
			t.Error("the third caller was not the next")
		}
		third.end(ringfence.EndBye)
		w.ended()
	})
}

func TestWaitingCallerIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(ada), All: true,
			Announce: map[string]string{"en": "Please stay on the line."}, Every: 40 * time.Second}
		first, agent, _ := w.talking()
		second := w.call("accounts-line")
		second.hears("Please stay on the line.")
		if _, _, music, _ := second.state(); !music {
			t.Error("the music does not go on")
		}
		second.hears("Please stay on the line.")
		agent.end(ringfence.EndBye)
		w.placed()
		w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		told := len(second.texts)
		pass(5 * time.Minute)
		if len(second.texts) != told {
			t.Error("told while they talk")
		}
		second.end(ringfence.EndBye)
		first.gone()
		w.ended()
	})
}

// A caller whom no flow leads goes on to the queue that stands in, if the policy
// opens it.
func TestOverflow(t *testing.T) {
	for _, c := range []struct {
		name string
		to   map[string]string // overflow of each queue
		want string            // who answers; empty = the caller is hung up on
	}{
		{"nowhere", map[string]string{}, ""},
		{"an open queue", map[string]string{"customer_service": "payments_clerk"}, "payments_clerk"},
		{"round in a circle", map[string]string{"customer_service": "help_desk", "help_desk": "customer_service"}, ""},
		{"a queue that the policy guards", map[string]string{"customer_service": "payments_desk"}, ""},
		{"no such queue", map[string]string{"customer_service": "nowhere"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				for name, q := range w.queues {
					q.Overflow = c.to[name]
					if name == "customer_service" || name == "help_desk" {
						q.People = w.staff()
					}
					w.queues[name] = q
				}
				w.lines["open"] = Line{Name: "open", Tenant: ten, Flow: "none such", Fallback: "customer_service", Language: "en"}
				caller := w.call("open")
				if c.want != "" {
					v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
					if v.Queue != c.want {
						t.Errorf("have %s", v.Queue)
					}
					caller.end(ringfence.EndBye)
				}
				caller.gone()
				w.ended()
			})
		})
	}
}

// Many callers and few clerks of every kind: nobody is ever rung for two, every
// call ends, and nothing is left.
func TestBoardUnderLoad(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { boardUnderLoad(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func boardUnderLoad(t *testing.T, dice *rand.Rand) {
	inWorld(t, func(w *world) {
		f := newFloor(w)
		who := []ringfence.PersonID{ada, ben, manager}
		w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(who...), All: dice.IntN(2) == 0, Each: 25 * time.Second}
		var callers []*line
		for range 60 {
			switch dice.IntN(6) {
			case 0, 1, 5:
				callers = append(callers, w.call("accounts-line"))
			case 2:
				f.set(who[dice.IntN(3)], dice.IntN(2) == 0)
			case 3:
				w.mu.Lock()
				w.phones["sip:"+string(who[dice.IntN(3)])+"@pbx"] = []string{"answers", "busy", "declined", "silent", "silent", "unreachable"}[dice.IntN(6)]
				w.mu.Unlock()
			case 4:
				if len(callers) > 0 {
					callers[dice.IntN(len(callers))].end(ringfence.EndBye)
				}
			}
			pass(time.Duration(dice.IntN(10)) * time.Second)
			w.rungOnce()
			for len(w.calls) > 0 {
				<-w.calls
			}
		}
		for _, c := range callers {
			c.end(ringfence.EndBye)
		}
		w.ended()
	})
}

// rungOnce checks that no phone has two calls.
func (w *world) rungOnce() {
	w.t.Helper()
	w.mu.Lock()
	legs := slices.Clone(w.legs)
	w.mu.Unlock()
	on := map[string]int{}
	for _, l := range legs {
		l.mu.Lock()
		if !l.over && l.p.To != "" {
			on[l.p.To]++
		}
		l.mu.Unlock()
	}
	for to, n := range on {
		if n > 1 {
			w.t.Errorf("%s has %d calls at once", to, n)
		}
	}
}
