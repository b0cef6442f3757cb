package gate

import (
	"cmp"
	"context"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// shownTx is a transaction whose writes only show in it: records stay in
// memory, over those of the store, and entries are collected. It is how an
// action that is only done in appearance goes through the very code that does
// it.
type shownTx struct {
	ledger.Tx
	over    []ledger.Record // one of each kind and id
	entries []ledger.Entry
}

func (s *shownTx) index(kind ledger.Kind, id string) int {
	return slices.IndexFunc(s.over, func(r ledger.Record) bool { return r.Kind == kind && r.ID == id })
}

// Get implements ledger.Records.
func (s *shownTx) Get(ctx context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	if i := s.index(kind, id); i >= 0 {
		return s.over[i], nil
	}
	return s.Tx.Get(ctx, kind, id)
}

// Put implements ledger.Records.
func (s *shownTx) Put(ctx context.Context, r *ledger.Record) error {
	old, err := s.Get(ctx, r.Kind, r.ID)
	switch {
	case err != nil && !missing(err):
		return err
	case old.Version != r.Version:
		return ledger.ErrConflict
	}
	r.Version++
	if i := s.index(r.Kind, r.ID); i >= 0 {
		s.over[i] = *r
	} else {
		s.over = append(s.over, *r)
	}
	return nil
}

// Delete implements ledger.Records; what the gate trusts is never deleted.
func (s *shownTx) Delete(context.Context, ledger.Kind, string, int64) error {
	return ledger.ErrReadOnly
}

// EraseSubject implements ledger.Records.
func (s *shownTx) EraseSubject(context.Context, ringfence.SubjectID) error { return ledger.ErrReadOnly }

// OnCommit implements ledger.Tx: nothing is committed.
func (s *shownTx) OnCommit(func()) {}

// Append implements ledger.Appender.
func (s *shownTx) Append(ctx context.Context, e ledger.Entry) (int64, error) {
	size, err := s.Size(ctx)
	e.At = s.Now()
	s.entries = append(s.entries, e)
	return size, err
}

// List implements ledger.Records.
func (s *shownTx) List(ctx context.Context, kind ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	if !slices.ContainsFunc(s.over, func(r ledger.Record) bool { return r.Kind == kind }) {
		return s.Tx.List(ctx, kind, q)
	}
	limit := cmp.Or(q.Limit, 200)
	var out []ledger.Record
	for _, r := range s.over {
		if r.Kind == kind && selects(q, r) {
			out = append(out, r)
		}
	}
	under := 0
	for r, err := range ledger.All(ctx, s.Tx, kind, q) {
		if err != nil {
			return nil, err
		}
		if s.index(kind, r.ID) >= 0 {
			continue
		}
		if out, under = append(out, r), under+1; under == limit {
			break
		}
	}
	slices.SortStableFunc(out, order(q))
	return out[:min(len(out), limit)], nil
}

// order is the order in which q lists.
func order(q ledger.Query) func(a, b ledger.Record) int {
	return func(a, b ledger.Record) int {
		c := cmp.Or(cmp.Compare(a.Sort, b.Sort), cmp.Compare(a.ID, b.ID))
		if q.Desc {
			return -c
		}
		return c
	}
}

// selects reports whether q, limits aside, lists a record.
func selects(q ledger.Query, r ledger.Record) bool {
	if q.AfterID != "" && order(q)(r, ledger.Record{Sort: q.After, ID: q.AfterID}) <= 0 {
		return false
	}
	return (q.Key == "" || r.Keys[q.Key] == q.Value) && (q.From == 0 || r.Sort >= q.From) && (q.To == 0 || r.Sort < q.To)
}

// Shown is the directory of a subject as everybody but roles risk and
// supervisor may see it: with what releases under duress changed in appearance
// (invariant 26). It is for showing; nothing is decided by it.
func Shown(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) (ledger.Tx, error) {
	rows, err := ledger.Rows[row](ctx, tx, KindRelease, ledger.Query{Key: "seems", Value: string(subject)})
	if err != nil || len(rows) == 0 {
		return tx, err
	}
	out := &shownTx{Tx: tx}
	for _, r := range rows {
		for _, rec := range r.Seems {
			if i := out.index(rec.Kind, rec.ID); i >= 0 {
				out.over[i] = rec
			} else {
				out.over = append(out.over, rec)
			}
		}
	}
	return out, nil
}
