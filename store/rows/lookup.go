package rows

import (
	"context"

	"github.com/ringfence/ringfence/ledger"
)

// putKeys brings the look-up values of a record up to date. Mostly one changed,
// or none.
func (t *Tx) putKeys(ctx context.Context, r *ledger.Record, was ledger.Record) error {
	keep := r.Keys
	if was.Sort != r.Sort {
		keep = nil // the place in every list changes
	}
	if err := t.dropKeys(ctx, was, keep); err != nil {
		return err
	}
	if was.Sort != r.Sort {
		was.Keys = nil
	}
	return t.addKeys(ctx, r, was.Keys)
}

// dropKeys removes the look-up values of a record, but for those that keep
// holds too.
func (t *Tx) dropKeys(ctx context.Context, was ledger.Record, keep map[string]string) error {
	for name, value := range was.Keys {
		if now, ok := keep[name]; ok && now == value {
			continue
		}
		t.delist(keyPlace{was.Kind, name, value}, listed{was.Sort, was.ID})
		t.relist(keyPlace{was.Kind, name, value})
		box, err := t.box(ctx, "", true)
		if err != nil {
			return err
		}
		for _, blind := range box.Blinds(string(was.Kind), name, value) {
			if err := t.cfg.DB.Exec(ctx, Any, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND blind = ? AND sort = ? AND id = ?`,
				t.cfg.Tenant, was.Kind, blind, was.Sort, was.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// addKeys writes the look-up values of a record that are not there yet, each by
// a statement of its own: one that can break off half way costs SQLite a journal.
func (t *Tx) addKeys(ctx context.Context, r *ledger.Record, there map[string]string) error {
	for name, value := range r.Keys {
		if before, ok := there[name]; ok && before == value {
			continue
		}
		t.enlist(keyPlace{r.Kind, name, value}, listed{r.Sort, r.ID})
		t.relist(keyPlace{r.Kind, name, value})
		box, err := t.box(ctx, "", true)
		if err != nil {
			return err
		}
		if err := t.cfg.DB.Exec(ctx, 1, InsertKey,
			t.cfg.Tenant, r.Kind, box.Blind(string(r.Kind), name, value), r.Sort, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// relist notes a list that is about to change.
func (t *Tx) relist(p keyPlace) {
	if t.wrote != nil {
		t.wrote.lists[p] = true
	}
}
