package runner

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// TestTelephonesThatCannotBeReached: a caller goes on to the next of a queue,
// whatever is wrong with the telephones before; and when all are, the caller hears
// what the flow says. Nothing is proved by any of it.
func TestTelephonesThatCannotBeReached(t *testing.T) {
	faults := []string{"unreachable", "silent", "away", "failed", "busy", "declined"}
	for _, last := range []string{"answers", "failed"} {
		t.Run("the last "+last, func(t *testing.T) {
			inWorld(t, func(w *world) {
				f := newFloor(w)
				var who []ringfence.PersonID
				for _, fault := range append(slices.Clone(faults), last) {
					p := ringfence.PersonID("per_" + string(rune('a'+len(who))))
					who = append(who, p)
					w.phones["sip:"+string(p)+"@pbx"] = fault
				}
				w.queues["payments_clerk"] = Queue{Name: "payments_clerk", People: f.staff(who...), Each: 10 * time.Second}
				began := time.Now()
				caller := w.call("accounts-line")
				if last == "answers" {
					w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" && v.Owner == who[len(who)-1] })
					if n := len(w.calls); n != len(faults) { // the one that cannot even be placed is none
						t.Errorf("%d were rung, want %d", n, len(faults))
					}
					caller.end(ringfence.EndBye)
				} else {
					caller.hears("Nobody can take your call")
					caller.gone()
				}
				if took := time.Since(began); took > 90*time.Second {
					t.Errorf("it took %v", took)
				}
				w.ended()
				if n := count(w.steps(), "challenge.satisfied") + count(w.steps(), "release.ready"); n != 0 {
					t.Errorf("have %v", w.steps())
				}
			})
		})
	}
}

// TestTheEndOfMediaIsTold: a call whose packets stay away ends for both, the
// ledger says why, and so does the timeline: nobody hung up.
func TestTheEndOfMediaIsTold(t *testing.T) {
	for _, whose := range []string{"caller", "agent"} {
		t.Run(whose, func(t *testing.T) {
			inWorld(t, func(w *world) {
				caller, agent, v := w.talking()
				rel := w.opens(v, "bank_change")
				dead, other := caller, agent
				if whose == "agent" {
					dead, other = agent, caller
				}
				told := w.follows(v.Traversal)
				dead.end(ringfence.EndMedia)
				if cause := other.gone(); cause != ringfence.EndHangup {
					t.Errorf("the other ended by %s", cause)
				}
				w.ended()
				if want := "no sound came from the " + whose + " any more"; !slices.Contains(told(), want) {
					t.Errorf("the timeline does not say %q: %q", want, told())
				}
				if !slices.ContainsFunc(w.Store.Entries(ten), func(e ledger.Entry) bool {
					return e.Event == "leg.ended" && e.Leg == dead.id && e.Data["cause"] == string(ringfence.EndMedia)
				}) {
					t.Errorf("the ledger does not say why: %v", w.steps())
				}
				if s := w.asked(rel.ID); s.State != gate.StateCancelled || count(w.steps(), "challenge.satisfied") != 0 {
					t.Errorf("the release is %s", s.State)
				}
			})
		})
	}
}

// follows gathers the texts of a call's timeline.
func (w *world) follows(id ringfence.TraversalID) (texts func() []string) {
	var out []string
	moments := make(chan ringfence.LiveCall, 1)
	w.r.cfg.Attend = func(m Moment) {
		if m.Kind == MomentEnded && m.Traversal == id {
			moments <- m.Call
		}
	}
	return func() []string {
		select {
		case v := <-moments:
			for _, e := range v.Timeline {
				out = append(out, e.Text)
			}
		default:
		}
		return out
	}
}

// slow is a store whose commits take long, or never come back.
type slow struct {
	ledger.Store
	commit time.Duration
}

func (s slow) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	select {
	case <-time.After(s.commit):
		return s.Store.Update(ctx, tenant, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestASlowStore: while each commit takes 2 s, or none comes back at all, callers
// are answered, hear something and reach a person.
func TestASlowStore(t *testing.T) {
	for name, c := range map[string]struct{ commit, answer, silence, person time.Duration }{
		"two seconds": {2 * time.Second, 3 * time.Second, 10 * time.Second, time.Minute},
		"never":       {time.Hour, 11 * time.Second, 30 * time.Second, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.behind = func(s ledger.Store) ledger.Store { return slow{s, c.commit} }
				w.open()
				began := time.Now()
				caller := w.call("accounts-line")
				quiet, heard, longest := time.Now(), 0, time.Duration(0)
				for answered := false; ; {
					pass(100 * time.Millisecond)
					up, _, music, peer := caller.state()
					if up && !answered {
						answered, quiet = true, time.Now()
						if took := time.Since(began); took > c.answer {
							t.Errorf("answered after %v", took)
						}
					}
					caller.mu.Lock()
					said, speaks := len(caller.texts), caller.now != ""
					caller.mu.Unlock()
					if said > heard || speaks || music {
						heard, quiet = said, time.Now()
					}
					if longest = max(longest, time.Since(quiet)); longest > c.silence {
						t.Fatalf("silence for %v after %q, answered %v", longest, caller.texts, answered)
					}
					if peer != "" {
						break
					}
					if time.Since(began) > c.person {
						t.Fatalf("with nobody after %v: %q", c.person, caller.texts)
					}
				}
				t.Logf("%v: a person after %v, the longest silence %v", name, time.Since(began), longest)
				caller.end(ringfence.EndBye)
				w.ended()
				if count(w.steps(), "challenge.satisfied") != 0 {
					t.Errorf("have %v", w.steps())
				}
			})
		})
	}
}
