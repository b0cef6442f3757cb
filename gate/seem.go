package gate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// A release under duress goes on in appearance only (invariant 26). Its row
// moves through the states that the same proofs would lead to, at the pace at
// which its executor last worked, and everybody but roles risk and supervisor
// sees that; no permit is minted, the directory stays as it is, and no entry
// says that anything was done, so that the log stays true.

// seeming is what a release under duress does in appearance only: everything
// from the permit on.
func (t *turn) seeming(to State) bool {
	switch to {
	case StatePermitted, StateRedeemed, StateExecuted, StateExecFailed:
		return t.r.Duress
	case StateReady:
		return t.r.Stood == StateReady // a permit that never was has lapsed
	default:
		return false
	}
}

// seem moves the row and nothing else. Whoever is told of what is done is told.
func (t *turn) seem(to State, by Actor, why string) error {
	t.r.Stood = cmp.Or(t.r.Stood, t.r.State)
	if to == StateReady {
		t.r.Stood = ""
	}
	if to == StateRedeemed {
		t.r.Spent = t.now
	}
	t.r.State, t.r.Why = to, why
	return t.wouldTell(ledger.Entry{Event: events[to], At: t.now, Traversal: t.r.Traversal, Subject: t.r.Subject, Release: t.r.ID,
		Person: by.Person, Client: by.Client})
}

func (t *turn) wouldTell(e ledger.Entry) error {
	if t.g.cfg.Seems == nil {
		return nil
	}
	return t.g.cfg.Seems(t.ctx, t.tx, e)
}

// inAppearance runs what changes the directory. Under duress the directory
// keeps what it holds, and the row remembers what it would hold.
func (t *turn) inAppearance(f func(*turn) error) error {
	if !t.r.Duress {
		return f(t)
	}
	told, err := t.only(f)
	for _, e := range told {
		if err == nil {
			err = t.wouldTell(e)
		}
	}
	return err
}

// only runs f over what the row remembers, and returns what f would have
// entered.
func (t *turn) only(f func(*turn) error) ([]ledger.Entry, error) {
	tx := &shownTx{Tx: t.tx, over: slices.Clone(t.r.Seems)}
	seen := *t
	seen.tx = tx
	if err := f(&seen); err != nil {
		return nil, err
	}
	t.r.Seems = tx.over
	return tx.entries, nil
}

// pace is when the executor of a release under duress would have got its
// permit, redeemed it and reported. Zero is never.
type pace struct {
	Permitted time.Time `json:"permitted,omitzero"`
	Redeemed  time.Time `json:"redeemed,omitzero"`
	Executed  time.Time `json:"executed,omitzero"`
}

// seemsDue reports that by now the executor would have led the release on.
func (r row) seemsDue(now time.Time) bool {
	if !r.Duress || r.Pace == nil {
		return false
	}
	at := map[State]time.Time{StateReady: r.Pace.Permitted, StatePermitted: r.Pace.Redeemed, StateRedeemed: r.Pace.Executed}[r.State]
	return !at.IsZero() && !now.Before(at)
}

// goOn does what the executor would have done by now, one step at a time.
func (t *turn) goOn() error {
	by := Actor{Client: t.r.Executor}
	switch t.r.State {
	case StateReady:
		v, wait, err := t.decideTwice()
		switch {
		case err != nil || wait:
			return err
		case v.Decision != Allow:
			return t.fallBack(v, Actor{Flow: "permit"})
		}
		return t.seemPermitted()
	case StatePermitted:
		return t.move(StateRedeemed, by, "permit redeemed")
	default:
		return t.seemExecuted()
	}
}

// seemPermitted is mint without a permit.
func (t *turn) seemPermitted() error {
	t.permitOut(ringfence.NewID[ringfence.PermitID](ringfence.PrefixPermit))
	return t.move(StatePermitted, Actor{Client: t.r.Executor}, "permit minted")
}

func (t *turn) seemExecuted() error {
	if err := t.inAppearance((*turn).learnPayee); err != nil {
		return err
	}
	return t.move(StateExecuted, Actor{Client: t.r.Executor}, "reported by the executor")
}

// setPace takes the times of the last release that the executor carried out.
// One that never carried anything out leaves its releases ready.
func (t *turn) setPace() error {
	if !t.r.Duress || t.r.Pace != nil || t.r.Executor == "" || t.r.Executor == Self || t.r.State != StateReady && t.r.State != StatePermitted {
		return nil
	}
	took, err := t.usual()
	t.r.Pace = &pace{}
	if err != nil || took == nil {
		return err
	}
	permitted := t.now
	if t.r.State == StateReady {
		permitted = t.r.ReadyAt.Add(took[0])
	}
	redeemed := permitted.Add(took[1])
	*t.r.Pace = pace{Permitted: permitted, Redeemed: redeemed, Executed: redeemed.Add(took[2])}
	return nil
}

// usual is how long the executor took last time: to the permit, to the
// redemption, to the report. nil = it never did anything, or not lately.
func (t *turn) usual() ([]time.Duration, error) {
	done, err := t.tx.Entries(t.ctx, ledger.EntryQuery{Event: events[StateExecuted], Desc: true, Limit: usualAmong})
	if err != nil {
		return nil, err
	}
	for _, e := range done {
		if e.Data["executor"] != t.r.Executor {
			continue
		}
		at := map[ledger.Event]time.Time{}
		for s, err := range ledger.AllEntries(t.ctx, t.tx, ledger.EntryQuery{Release: e.Release}) {
			if err != nil {
				return nil, err
			}
			at[s.Event] = s.At
		}
		ready, permitted, redeemed := at[events[StateReady]], at[events[StatePermitted]], at[events[StateRedeemed]]
		if !ready.IsZero() && !permitted.Before(ready) && !redeemed.Before(permitted) && !e.At.Before(redeemed) {
			return []time.Duration{permitted.Sub(ready), redeemed.Sub(permitted), e.At.Sub(redeemed)}, nil
		}
	}
	return nil, nil
}

// usualAmong is among how many of the newest executions, by whatever executor,
// one is looked for.
const usualAmong = ledger.MaxPage

// seemTick keeps what is shown of releases under duress at its executor's pace,
// and wakes here who watches one that another node moved: no entry tells them.
func (g *Gate) seemTick(ctx context.Context, tenant ringfence.TenantID) error {
	var due []ringfence.ReleaseID
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		due = due[:0]
		rows, err := ledger.Rows[row](ctx, tx, KindRelease, ledger.Query{Key: "duress", Value: "yes", Desc: true})
		for _, r := range rows {
			if r.seemsDue(tx.Now()) {
				due = append(due, r.ID)
			}
			if r.Stood != "" && tx.Now().Sub(r.ChangedAt) < seemWake {
				g.wake(string(r.ID))
				g.wake(string(r.Traversal))
			}
		}
		return err
	})
	for _, id := range due {
		for range 3 {
			r, err2 := g.changeJudging(ctx, tenant, id, func(t *turn) error {
				if !t.r.seemsDue(t.now) {
					return errSeems
				}
				return t.goOn()
			})
			if errors.Is(err2, errSeems) {
				break // another node has done it, or its time is not come
			}
			if err = cmp.Or(err, err2); err2 != nil || !r.State.awaited() {
				break
			}
		}
	}
	return err
}

// errSeems undoes a turn that found nothing to do, so that no version tells it.
var errSeems = errors.New("gate: nothing is due")

// seemWake is how long after a move in appearance other nodes still wake.
const seemWake = 1500 * time.Millisecond

// awaited reports a state that an executor leads on from.
func (s State) awaited() bool {
	return s == StateReady || s == StatePermitted || s == StateRedeemed
}

// truth is a release under duress as roles risk and supervisor see it.
func (r row) truth() Release {
	out := r.Release
	out.State = cmp.Or(r.Stood, r.State)
	out.Reasons = []policy.Reason{policy.ReasonDuress}
	return out
}

// unmask ends the appearance: the row stands where it stood.
func (t *turn) unmask() {
	t.r.State, t.r.Stood, t.r.Seems, t.r.Pace, t.r.Spent = cmp.Or(t.r.Stood, t.r.State), "", nil, &pace{}, time.Time{}
}
