package shelf

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// minCalls is how many calls of each kind have ended before they are compared;
// minSigma how far the ramp's rate has to lie over the other, in standard
// deviations of the difference: 2 is wrong about once in forty times.
const (
	minCalls = 20
	minSigma = 2.0
)

// tally counts how the calls of one tenant that this process leads end, while
// a ramp runs: those of the ramp and the others. A restart begins anew.
type tally struct {
	mu    sync.Mutex
	since time.Time // of the ramp that is counted; zero = none
	next  int64     // first entry not read yet
	calls map[ringfence.TraversalID]watched
	ramp  count
	rest  count
}

type watched struct{ ramp, bad bool }

type count struct{ ended, bad int }

// rate is the part that ended badly; 0 of none.
func (c count) rate() float64 {
	if c.ended == 0 {
		return 0
	}
	return float64(c.bad) / float64(c.ended)
}

// worse reports that the ramp's calls end badly more often than the others,
// beyond chance.
func worse(ramp, rest count) bool {
	if ramp.ended < minCalls || rest.ended < minCalls || ramp.rate() <= rest.rate() {
		return false
	}
	n, m := float64(ramp.ended), float64(rest.ended)
	p := float64(ramp.bad+rest.bad) / (n + m)
	return ramp.rate()-rest.rate() > minSigma*math.Sqrt(p*(1-p)*(1/n+1/m))
}

func (s *Shelf) tally(tenant ringfence.TenantID) *tally {
	t, _ := s.tallies.LoadOrStore(tenant, &tally{})
	return t.(*tally)
}

// began notes which bundle a call got.
func (t *tally) began(since time.Time, id ringfence.TraversalID, ramp bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.Equal(since) && t.calls != nil {
		t.calls[id] = watched{ramp: ramp}
	}
}

// Watch reads how calls went since the last time and stops a ramp that does
// worse than what was in force: more denials, more challenges that could not
// be delivered, more hang-ups while something waited for proof. It leaves the
// ramp only when the policy in force is no looser than the ramp's; else new
// calls stay out, and both policies are asked until persons decide.
func (s *Shelf) Watch(ctx context.Context, tenant ringfence.TenantID) error {
	v, t := s.view(tenant), s.tally(tenant)
	if v == nil || v.ramp == nil || v.state.Ramp.Stopped != "" {
		t.reset(time.Time{}, 0)
		return nil
	}
	var read []ledger.Entry
	fresh, from := t.place(v.state.Ramp.Since)
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		if fresh {
			from, err = tx.Size(ctx)
			return err
		}
		read, err = tx.Entries(ctx, ledger.EntryQuery{From: from, Limit: 1000})
		return err
	})
	if err != nil {
		return err
	}
	if fresh {
		t.reset(v.state.Ramp.Since, from)
		return nil
	}
	ramp, rest := t.take(read)
	if !worse(ramp, rest) {
		return nil
	}
	why := fmt.Sprintf("%d of %d calls of the ramp were denied, could not be reached or hung up before release; of the others %d of %d", ramp.bad, ramp.ended, rest.bad, rest.ended)
	return s.abandon(ctx, tenant, v, why)
}

// place is the first entry to read; fresh means that this ramp is new here.
func (t *tally) place(since time.Time) (fresh bool, from int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls == nil || !t.since.Equal(since), t.next
}

func (t *tally) reset(since time.Time, next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since, t.next, t.calls, t.ramp, t.rest = since, next, nil, count{}, count{}
	if !since.IsZero() {
		t.calls = map[ringfence.TraversalID]watched{}
	}
}

// take counts entries.
func (t *tally) take(read []ledger.Entry) (ramp, rest count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range read {
		t.next = e.Index + 1
		call, ok := t.calls[e.Traversal]
		if !ok {
			continue
		}
		switch e.Event {
		case "release.denied", "challenge.undeliverable":
			call.bad = true
		case "release.cancelled":
			call.bad = call.bad || e.Data["flow"] == "traversal" // the call ended, nobody cancelled
		case "traversal.ended":
			of := &t.rest
			if call.ramp {
				of = &t.ramp
			}
			of.ended++
			if call.bad {
				of.bad++
			}
			delete(t.calls, e.Traversal)
			continue
		default:
			continue
		}
		t.calls[e.Traversal] = call
	}
	return t.ramp, t.rest
}

// abandon keeps new calls out of the ramp, and leaves it if that is no looser.
func (s *Shelf) abandon(ctx context.Context, tenant ringfence.TenantID, v *view, why string) error {
	leave := !flows.PolicyLooser(v.ramp, v.current)
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		st, version, err := readState(ctx, tx)
		if err != nil || version != v.version || st.Ramp == nil || st.Ramp.Stopped != "" {
			return err
		}
		if _, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Object: st.Ramp.Bundle, Data: map[string]string{"alarm": "ramp", "text": why}}); err != nil {
			return err
		}
		ramp := *st.Ramp
		ramp.Stopped = why
		st.Ramp = &ramp
		at, err := tx.Append(ctx, ledger.Entry{Event: "policy.rolled_back", Object: ramp.Bundle,
			Data: map[string]string{"ramp": "stopped", "left": fmt.Sprint(leave), "bundle": s.hashOf(st), "why": why}})
		if err != nil {
			return err
		}
		st.Entry = at
		if leave {
			st.Ramp = nil
			st.note(Publication{Bundle: s.hashOf(st), Policy: v.current.Policy().Hash(), How: howRolledBack, At: tx.Now()})
		}
		return writeState(ctx, tx, st, version)
	})
	if err != nil {
		return err
	}
	s.cfg.Log.Error("a ramp was stopped", "tenant", string(tenant), "bundle", v.ramp.HashText(), "left", leave, "why", why)
	return s.Refresh(ctx, tenant)
}
