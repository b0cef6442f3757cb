package sqlite

import (
	"context"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// maxRecentLists bounds the lists remembered.
const maxRecentLists = 20_000

// keyPlace is one value of one key of the records of one kind.
type keyPlace struct {
	tenant      ringfence.TenantID
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
func (t *tx) knownList(ctx context.Context, kind ledger.Kind, q ledger.Query, limit int) ([]ledger.Record, bool, error) {
	if t.recent == nil || !wholeList(q) {
		return nil, false, nil
	}
	ids, ok := t.recent.lists[keyPlace{t.tenant, kind, q.Key, q.Value}]
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
func (t *tx) keepList(kind ledger.Kind, q ledger.Query, found []ledger.Record) {
	if len(t.recent.lists) >= maxRecentLists {
		clear(t.recent.lists)
	}
	ids := make(keyed, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	if q.Desc {
		slices.Reverse(ids)
	}
	t.recent.lists[keyPlace{t.tenant, kind, q.Key, q.Value}] = ids
}

// forgetKey forgets the lists that a change of one key makes wrong.
func (t *tx) forgetKey(kind ledger.Kind, name, value string) {
	if t.recent != nil {
		delete(t.recent.lists, keyPlace{t.tenant, kind, name, value})
	}
}

// forgetKind forgets all lists of a kind, where it is not known which keys a
// record had.
func (t *tx) forgetKind(kind ledger.Kind) {
	if t.recent == nil {
		return
	}
	for p := range t.recent.lists {
		if p.tenant == t.tenant && p.kind == kind {
			delete(t.recent.lists, p)
		}
	}
}
