package shelf

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// tally counts how the calls of one tenant end while a ramp runs: those of the
// ramp and the others. It is stored, and read from the ledger, so it counts the
// calls of every process and goes on after a restart.
type tally struct {
	Since time.Time                         `json:"since"` // of the ramp that is counted
	Next  int64                             `json:"next"`  // first entry not read yet
	Calls map[ringfence.TraversalID]watched `json:"calls"` // that have not ended
	Ramp  count                             `json:"ramp"`
	Rest  count                             `json:"rest"`
}

// maxWatched bounds the calls that are under way; more are not counted.
const maxWatched = 5000

type watched struct {
	Ramp bool `json:"ramp,omitempty"`
	Bad  bool `json:"bad,omitempty"`
}

type count struct {
	Ended int `json:"ended"`
	Bad   int `json:"bad"`
}

// rate is the part that ended badly; 0 of none.
func (c count) rate() float64 {
	if c.Ended == 0 {
		return 0
	}
	return float64(c.Bad) / float64(c.Ended)
}

// worse reports that the ramp's calls end badly more often than the others,
// beyond chance.
func worse(ramp, rest count) bool {
	if ramp.Ended < minCalls || rest.Ended < minCalls || ramp.rate() <= rest.rate() {
		return false
	}
	n, m := float64(ramp.Ended), float64(rest.Ended)
	p := float64(ramp.Bad+rest.Bad) / (n + m)
	return ramp.rate()-rest.rate() > minSigma*math.Sqrt(p*(1-p)*(1/n+1/m))
}

// Watch reads how calls went since the last time and stops a ramp that does
// worse than what was in force: more denials, more challenges that could not
// be delivered, more hang-ups while something waited for proof. It leaves the
// ramp only when the policy in force is no looser than the ramp's; else new
// calls stay out, and both policies are asked until persons decide.
func (s *Shelf) Watch(ctx context.Context, tenant ringfence.TenantID) error {
	v := s.view(tenant)
	if v == nil || v.ramp == nil || v.state.Ramp.Stopped != "" {
		return nil
	}
	t, err := s.count(ctx, tenant, v)
	if err != nil || !worse(t.Ramp, t.Rest) {
		return err
	}
	why := fmt.Sprintf("%d of %d calls of the ramp were denied, could not be reached or hung up before release; of the others %d of %d",
		t.Ramp.Bad, t.Ramp.Ended, t.Rest.Bad, t.Rest.Ended)
	return s.abandon(ctx, tenant, v, why)
}

// count reads on in the ledger and keeps what it found. When another process
// was quicker, its count is as good.
func (s *Shelf) count(ctx context.Context, tenant ringfence.TenantID, v *view) (t tally, err error) {
	read := func(tx ledger.Tx) (version int64, found []ledger.Entry, err error) {
		if t, version, err = readTally(ctx, tx, v); err != nil {
			return 0, nil, err
		}
		found, err = tx.Entries(ctx, ledger.EntryQuery{From: t.Next, Limit: ledger.MaxPage})
		return version, found, err
	}
	fresh := 0
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		_, found, err := read(tx)
		fresh = len(found)
		return err
	})
	if err != nil || fresh == 0 {
		return t, err
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		version, found, err := read(tx)
		if err != nil {
			return err
		}
		t.take(found, v.ramp.HashText())
		rec := ledger.Record{Kind: kindTally, ID: stateID, Version: version}
		return ledger.Write(ctx, tx, &rec, t)
	})
	if errors.Is(err, ledger.ErrConflict) {
		return tally{}, nil
	}
	return t, err
}

// readTally returns the count of the ramp that runs: a new one begins at the
// entry that began the ramp.
func readTally(ctx context.Context, tx ledger.Tx, v *view) (tally, int64, error) {
	t, version, err := ledger.Read[tally](ctx, tx, kindTally, stateID)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return t, version, err
	}
	if err != nil || !t.Since.Equal(v.state.Ramp.Since) {
		t = tally{Since: v.state.Ramp.Since, Next: v.state.Entry + 1}
	}
	if t.Calls == nil {
		t.Calls = map[ringfence.TraversalID]watched{}
	}
	return t, version, nil
}

// take counts entries. Which bundle a call got stands in its first one.
func (t *tally) take(read []ledger.Entry, ramp string) {
	for _, e := range read {
		t.Next = e.Index + 1
		call, known := t.Calls[e.Traversal]
		switch {
		case e.Event == "traversal.began" && e.Data["bundle"] != "" && len(t.Calls) < maxWatched:
			t.Calls[e.Traversal] = watched{Ramp: e.Data["bundle"] == ramp}
		case !known:
		case e.Event == "release.denied", e.Event == "challenge.undeliverable",
			e.Event == "release.cancelled" && e.Data["flow"] == "traversal": // the call ended, nobody cancelled
			call.Bad = true
			t.Calls[e.Traversal] = call
		case e.Event == "traversal.ended":
			of := &t.Rest
			if call.Ramp {
				of = &t.Ramp
			}
			of.Ended++
			if call.Bad {
				of.Bad++
			}
			delete(t.Calls, e.Traversal)
		}
	}
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
