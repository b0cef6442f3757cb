package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// model is what a store must look like, in plain maps.
type model struct {
	rows    map[string]ledger.Record
	entries int64
}

func (m model) clone() model { return model{maps.Clone(m.rows), m.entries} }

// list answers a query the slow way.
func (m model) list(q ledger.Query) string {
	var found []ledger.Record
	for _, r := range m.rows {
		if (q.Key == "" || r.Keys[q.Key] == q.Value && q.Value != "") && (q.From == 0 || r.Sort >= q.From) && (q.To == 0 || r.Sort < q.To) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b ledger.Record) int {
		if a.Sort != b.Sort {
			return int(a.Sort - b.Sort)
		}
		return strings.Compare(a.ID, b.ID)
	})
	if q.Desc {
		slices.Reverse(found)
	}
	return shown(found[:min(len(found), q.Limit)])
}

func shown(rows []ledger.Record) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s v%d %s %d %v %s; ", r.ID, r.Version, r.Subject, r.Sort, r.Keys, r.Body)
	}
	return b.String()
}

var errWanted = errors.New("a transaction that is meant to fail")

// agreesWithModel plays random transactions, some of which fail, and
// asks after each the same questions of the store and of plain maps.
func agreesWithModel(t *testing.T, s ledger.Store) {
	for seed := range uint64(12) {
		play(t, s, ringfence.TenantID(fmt.Sprintf("ten_%d", seed)), rand.New(rand.NewPCG(seed, 7)))
	}
}

func play(t *testing.T, s ledger.Store, tenant ringfence.TenantID, r *rand.Rand) {
	t.Helper()
	m := model{rows: map[string]ledger.Record{}}
	for step := range 60 {
		var next model
		seed := r.Uint64()
		fails := r.IntN(3) == 0
		err := s.Update(t.Context(), tenant, func(tx ledger.Tx) error {
			next = m.clone()
			again := rand.New(rand.NewPCG(seed, 1)) // the callback may run more than once
			for range 1 + again.IntN(4) {
				if err := next.act(t.Context(), tx, again); err != nil {
					return err
				}
			}
			if err := next.agree(t.Context(), tx, again); err != nil {
				return err
			}
			if fails {
				return errWanted
			}
			return nil
		})
		if fails != (err != nil) || err != nil && !errors.Is(err, errWanted) {
			t.Fatalf("%s, step %d: %v", tenant, step, err)
		}
		if err == nil {
			m = next
		}
		view(t, s, tenant, func(tx ledger.Tx) error { return m.agree(t.Context(), tx, r) })
	}
}

// act does one random thing to the store and to the model.
func (m *model) act(ctx context.Context, tx ledger.Tx, r *rand.Rand) error {
	id := string(rune('a' + r.IntN(8)))
	was, exists := m.rows[id]
	switch what := r.IntN(12); {
	case what == 0:
		sub := ringfence.SubjectID(fmt.Sprintf("sub_%d", r.IntN(3)))
		maps.DeleteFunc(m.rows, func(_ string, row ledger.Record) bool { return row.Subject == sub })
		return tx.EraseSubject(ctx, sub)
	case what == 1 && exists:
		delete(m.rows, id)
		return tx.Delete(ctx, kind, id, was.Version)
	case what == 2:
		m.entries++
		_, err := tx.Append(ctx, ledger.Entry{Event: "traversal.began"})
		return err
	case what < 5 && exists: // a stale write changes nothing
		stale := ledger.Record{Kind: kind, ID: id, Version: was.Version + 1, Body: []byte(`{}`)}
		if err := tx.Put(ctx, &stale); !errors.Is(err, ledger.ErrConflict) {
			return fmt.Errorf("a stale write got %v", err)
		}
		return nil
	}
	row := ledger.Record{Kind: kind, ID: id, Version: was.Version, Subject: was.Subject, Sort: int64(r.IntN(4)), Keys: map[string]string{},
		Body: fmt.Appendf(nil, `{"n":%d}`, r.IntN(1000))}
	if !exists {
		row.Subject = [...]ringfence.SubjectID{"", "sub_0", "sub_1", "sub_2"}[r.IntN(4)]
	}
	for _, name := range []string{"color", "size"} {
		if n := r.IntN(4); n > 0 {
			row.Keys[name] = fmt.Sprint(n)
		}
	}
	if err := tx.Put(ctx, &row); err != nil {
		return err
	}
	m.rows[id] = row
	return nil
}

// agree asks the store and the model the same questions.
func (m *model) agree(ctx context.Context, tx ledger.Tx, r *rand.Rand) error {
	if size, err := tx.Size(ctx); err != nil || size != m.entries {
		return fmt.Errorf("%d entries, want %d: %v", size, m.entries, err)
	}
	for _, q := range []ledger.Query{{Key: "color", Value: "1"}, {Key: "color", Value: "2"}, {Key: "size", Value: "1"}, {Key: "size", Value: "2"}, {}} {
		q.Desc, q.Limit = r.IntN(2) == 0, 1+r.IntN(9)
		if r.IntN(3) == 0 {
			q.From, q.To = int64(r.IntN(3)), int64(r.IntN(5))
		}
		rows, err := tx.List(ctx, kind, q)
		if err != nil {
			return err
		}
		if have, want := shown(rows), m.list(q); have != want {
			return fmt.Errorf("list %+v:\nhave %s\nwant %s", q, have, want)
		}
	}
	for id := 'a'; id < 'i'; id++ {
		row, err := tx.Get(ctx, kind, string(id))
		want, exists := m.rows[string(id)]
		if exists != (err == nil) || exists && shown([]ledger.Record{row}) != shown([]ledger.Record{want}) {
			return fmt.Errorf("get %c: have %s %v, want %s", id, shown([]ledger.Record{row}), err, shown([]ledger.Record{want}))
		}
	}
	return nil
}
