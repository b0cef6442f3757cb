package rows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence/ledger"
)

// Put implements ledger.Records.
func (t *Tx) Put(ctx context.Context, r *ledger.Record) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if r.Kind == "" || r.ID == "" || !isText(r.ID) || !json.Valid(r.Body) {
		return fmt.Errorf("put %s %q: want a kind, an id and a JSON body", r.Kind, r.ID)
	}
	old, known, err := t.before(ctx, r.Kind, r.ID, r.Version)
	if err != nil {
		return err
	}
	box, err := t.box(ctx, r.Subject, true)
	if err != nil {
		return err
	}
	sealed := sealContent(box, r, t.row(r.Kind, r.ID, r.Version+1))
	t.touch(place{r.Kind, r.ID})
	if err := t.put(ctx, r, old, sealed, known); err != nil {
		return err
	}
	if err := t.putKeys(ctx, r, old); err != nil {
		return t.broke("put keys", err)
	}
	r.Version++
	t.raised = append(t.raised, r)
	delete(t.gone, place{r.Kind, r.ID})
	t.keep(*r)
	return nil
}

// before returns the record that is there, if it is of the version that the
// caller saw, and whether it is known. What is new is mostly not asked for: the
// insertion itself finds out.
func (t *Tx) before(ctx context.Context, kind ledger.Kind, id string, version int64) (old ledger.Record, known bool, err error) {
	old, known = t.recent(kind, id) // the zero record: it is not there
	known = known || t.gone[place{kind, id}]
	if !known && version != 0 {
		if old, err = t.Get(ctx, kind, id); errors.Is(err, ledger.ErrNotFound) {
			return old, false, ledger.ErrConflict
		}
		known = true
	}
	if err == nil && known && old.Version != version {
		err = ledger.ErrConflict
	}
	return old, known, err
}

const (
	updateRecord = `UPDATE records SET version = version + 1, subject = ?, sort = ?, sealed = ? WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`
	// updateSealed names no column of an index, so that none is written.
	updateSealed = `UPDATE records SET version = version + 1, sealed = ? WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`
)

// touch notes a record that is about to change.
func (t *Tx) touch(p place) {
	t.touched = append(t.touched, p)
	if t.wrote != nil {
		t.wrote.records[p] = true
	}
}

// put writes the row. When this transaction saw the row before, nobody else
// can have changed it since, so the answer need not be waited for. A hopeful one is
// never waited for: that a new record is there already undoes the commit, and
// its transactions run again where they can be told.
func (t *Tx) put(ctx context.Context, r *ledger.Record, was ledger.Record, sealed []byte, known bool) error {
	query, args := InsertRecord, []any{t.cfg.Tenant, r.Kind, r.ID, r.Subject, r.Sort, sealed}
	switch {
	case r.Version != 0 && was.Subject == r.Subject && was.Sort == r.Sort:
		query, args = updateSealed, []any{sealed, t.cfg.Tenant, r.Kind, r.ID, r.Version}
	case r.Version != 0:
		query, args = updateRecord, []any{r.Subject, r.Sort, sealed, t.cfg.Tenant, r.Kind, r.ID, r.Version}
	}
	if known || t.cfg.Hopeful {
		if err := t.cfg.DB.Exec(ctx, 1, query, args...); err != nil {
			return t.broke("put", err)
		}
		return nil
	}
	n, err := t.cfg.DB.Change(ctx, query, args...)
	if err != nil {
		return t.broke("put", err)
	}
	if n != 1 {
		return ledger.ErrConflict
	}
	return nil
}

// Delete implements ledger.Records.
func (t *Tx) Delete(ctx context.Context, kind ledger.Kind, id string, version int64) error {
	if err := t.usable(true); err != nil {
		return err
	}
	old, err := t.Get(ctx, kind, id)
	if err != nil {
		return err
	}
	if old.Version != version {
		return ledger.ErrConflict
	}
	t.touch(place{kind, id})
	t.gone[place{kind, id}] = true
	delete(t.cfg.Recent.records, place{kind, id})
	if err := t.cfg.DB.Exec(ctx, 1, `DELETE FROM records WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`, t.cfg.Tenant, kind, id, version); err != nil {
		return t.broke("delete", err)
	}
	if err := t.dropKeys(ctx, old, nil); err != nil {
		return t.broke("delete", err)
	}
	return nil
}
