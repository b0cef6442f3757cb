package rows

import (
	"context"
	"slices"

	"github.com/ringfence/ringfence/ledger"
)

// maxRecentLists bounds the lists remembered.
const maxRecentLists = 20_000

// keyPlace is one value of one key of the records of one kind.
type keyPlace struct {
	kind        ledger.Kind
	name, value string
}

// keyed is the whole list of the records that carry a key's value, by id, in
// rising order. Most are empty: alarms, approvals.
type keyed []string

// wholeList reports whether q asks for all records of one key's value.
func wholeList(q ledger.Query) bool {
	return q.Key != "" && q.From == 0 && q.To == 0 && q.AfterID == ""
}

// knownList answers q from what is remembered.
func (t *Tx) knownList(ctx context.Context, kind ledger.Kind, q ledger.Query, limit int) ([]ledger.Record, bool, error) {
	if t.cfg.ReadOnly || !wholeList(q) {
		return nil, false, nil
	}
	if err := t.edge(ctx); err != nil {
		return nil, false, err
	}
	ids, ok := t.cfg.Recent.lists[keyPlace{kind, q.Key, q.Value}]
	if !ok || len(ids) > limit {
		return nil, false, nil
	}
	out := make([]ledger.Record, 0, len(ids))
	for _, id := range ids {
		r, err := t.Get(ctx, kind, id)
		if err != nil {
			return nil, false, err
		}
		out = append(out, r)
	}
	if q.Desc {
		slices.Reverse(out)
	}
	return out, true, nil
}

// keepList remembers the list that q found.
func (t *Tx) keepList(kind ledger.Kind, q ledger.Query, found []ledger.Record) {
	if t.cfg.ReadOnly || !wholeList(q) {
		return
	}
	lists := t.cfg.Recent.lists
	if len(lists) >= maxRecentLists {
		clear(lists)
	}
	ids := make(keyed, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	if q.Desc {
		slices.Reverse(ids)
	}
	p := keyPlace{kind, q.Key, q.Value}
	t.listed = append(t.listed, p)
	lists[p] = ids
}

// forgetKey forgets the list that a change of one key makes wrong.
func (t *Tx) forgetKey(kind ledger.Kind, name, value string) {
	delete(t.cfg.Recent.lists, keyPlace{kind, name, value})
}
