package rows

import (
	"cmp"
	"context"
	"slices"

	"github.com/ringfence/ringfence/ledger"
)

// Bounds of the lists remembered: how many, and how long one may be.
const (
	maxRecentLists  = 20_000
	maxRecentLength = maxPage
)

// keyPlace is one value of one key of the records of one kind.
type keyPlace struct {
	kind        ledger.Kind
	name, value string
}

// keyed is the whole list of the records that carry a key's value, in rising
// order. Most are empty: alarms, approvals. nil stands for one that is too long
// to remember.
type keyed []listed

type listed struct {
	sort int64
	id   string
}

func (a listed) compare(b listed) int {
	return cmp.Or(cmp.Compare(a.sort, b.sort), cmp.Compare(a.id, b.id))
}

// wholeList reports whether q asks for all records of one key's value, or those
// of a span of it.
func wholeList(q ledger.Query) bool { return q.Key != "" && q.AfterID == "" }

// knownList answers q from what is remembered.
func (t *Tx) knownList(ctx context.Context, kind ledger.Kind, q ledger.Query, limit int) ([]ledger.Record, bool, error) {
	if t.cfg.ReadOnly || !wholeList(q) {
		return nil, false, nil
	}
	if err := t.edge(ctx); err != nil {
		return nil, false, err
	}
	all, ok := t.cfg.Recent.lists[keyPlace{kind, q.Key, q.Value}]
	if !ok || all == nil {
		return nil, false, nil
	}
	span := slices.DeleteFunc(slices.Clone(all), func(l listed) bool { return q.From != 0 && l.sort < q.From || q.To != 0 && l.sort >= q.To })
	if q.Desc {
		slices.Reverse(span)
	}
	out := make([]ledger.Record, 0, min(len(span), limit))
	for _, l := range span[:min(len(span), limit)] {
		r, err := t.Get(ctx, kind, l.id)
		if err != nil {
			return nil, false, err
		}
		out = append(out, r)
	}
	return out, true, nil
}

// learnList reads the whole of the list that q asks for a span of, unless it is
// known to be too long, so that the next one who asks need not.
func (t *Tx) learnList(ctx context.Context, kind ledger.Kind, q ledger.Query) error {
	_, asked := t.cfg.Recent.lists[keyPlace{kind, q.Key, q.Value}]
	if t.cfg.ReadOnly || asked || !wholeList(q) || q.From == 0 && q.To == 0 {
		return nil
	}
	_, err := t.list(ctx, kind, ledger.Query{Key: q.Key, Value: q.Value}, maxRecentLength)
	return err
}

// keepList remembers the whole list that q found; complete says that there is
// no more of it.
func (t *Tx) keepList(kind ledger.Kind, q ledger.Query, found []ledger.Record, complete bool) {
	if t.cfg.ReadOnly || !wholeList(q) || q.From != 0 || q.To != 0 || !complete && len(found) < maxRecentLength {
		return
	}
	lists := t.cfg.Recent.lists
	if len(lists) >= maxRecentLists {
		clear(lists)
	}
	var all keyed
	if complete {
		all = make(keyed, len(found))
	}
	for i := range all {
		all[i] = listed{found[i].Sort, found[i].ID}
	}
	if q.Desc {
		slices.Reverse(all)
	}
	p := keyPlace{kind, q.Key, q.Value}
	t.listed = append(t.listed, p)
	lists[p] = all
}

// enlist adds a record to a list that is remembered.
func (t *Tx) enlist(p keyPlace, l listed) {
	all, ok := t.cfg.Recent.lists[p]
	if !ok || all == nil {
		return
	}
	t.listed = append(t.listed, p)
	at, there := slices.BinarySearchFunc(all, l, listed.compare)
	switch {
	case there:
	case len(all) >= maxRecentLength:
		t.cfg.Recent.lists[p] = nil
	default:
		t.cfg.Recent.lists[p] = slices.Insert(all, at, l)
	}
}

// delist takes a record out of a list that is remembered.
func (t *Tx) delist(p keyPlace, l listed) {
	all := t.cfg.Recent.lists[p]
	if at, there := slices.BinarySearchFunc(all, l, listed.compare); there {
		t.listed = append(t.listed, p)
		t.cfg.Recent.lists[p] = slices.Delete(all, at, at+1)
	}
}
