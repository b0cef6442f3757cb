package rows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
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
	old, known := t.recent(r.Kind, r.ID) // the zero record: it is not there
	if known = known || t.gone[place{r.Kind, r.ID}]; known && old.Version != r.Version {
		return ledger.ErrConflict
	}
	box, err := t.box(ctx, r.Subject, true)
	if err != nil {
		return err
	}
	sealed, err := sealContent(box, r, t.row(r.Kind, r.ID, r.Version+1))
	if err != nil {
		return err
	}
	t.touched = append(t.touched, place{r.Kind, r.ID})
	if err := t.put(ctx, r, sealed, known); err != nil {
		return err
	}
	if err := t.putKeys(ctx, r, old, known); err != nil {
		return t.broke("put keys", err)
	}
	r.Version++
	delete(t.gone, place{r.Kind, r.ID})
	t.keep(*r)
	return nil
}

func sealContent(box *seal.Box, r *ledger.Record, at seal.Row) ([]byte, error) {
	raw, err := json.Marshal(content{Body: r.Body, Keys: r.Keys, Sub: string(r.Subject), Sort: r.Sort})
	if err != nil {
		return nil, fmt.Errorf("put: %v", err)
	}
	return box.Seal(raw, at), nil
}

const (
	insertRecord = `INSERT INTO records (tenant_id, kind, id, version, subject, sort, sealed) VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING`
	updateRecord = `UPDATE records SET version = version + 1, subject = ?, sort = ?, sealed = ? WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`
)

// put writes the row. When this transaction saw the row before, nobody else
// can have changed it since, so the answer need not be waited for.
func (t *Tx) put(ctx context.Context, r *ledger.Record, sealed []byte, known bool) error {
	query, args := insertRecord, []any{t.cfg.Tenant, r.Kind, r.ID, r.Subject, r.Sort, sealed}
	if r.Version != 0 {
		query, args = updateRecord, []any{r.Subject, r.Sort, sealed, t.cfg.Tenant, r.Kind, r.ID, r.Version}
	}
	if known {
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

// putKeys brings the keys of a record up to date. Mostly one changed, or none.
func (t *Tx) putKeys(ctx context.Context, r *ledger.Record, was ledger.Record, known bool) error {
	if r.Version > 0 && (!known || was.Sort != r.Sort) {
		if err := t.dropKeys(ctx, r.Kind, r.ID); err != nil {
			return err
		}
		t.forgetKind(r.Kind)
		was.Keys = nil
	}
	if len(was.Keys) == 0 && len(r.Keys) == 0 {
		return nil
	}
	box, err := t.box(ctx, "", true)
	if err != nil {
		return err
	}
	for name, value := range was.Keys {
		if now, ok := r.Keys[name]; ok && now == value {
			continue
		}
		t.forgetKey(r.Kind, name, value)
		for _, blind := range box.Blinds(string(r.Kind), name, value) {
			if err := t.cfg.DB.Exec(ctx, Any, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND blind = ? AND sort = ? AND id = ?`,
				t.cfg.Tenant, r.Kind, blind, was.Sort, r.ID); err != nil {
				return err
			}
		}
	}
	for name, value := range r.Keys {
		if before, ok := was.Keys[name]; ok && before == value {
			continue
		}
		t.forgetKey(r.Kind, name, value)
		if err := t.cfg.DB.Exec(ctx, 1, `INSERT INTO record_keys (tenant_id, kind, blind, sort, id) VALUES (?, ?, ?, ?, ?)`,
			t.cfg.Tenant, r.Kind, box.Blind(string(r.Kind), name, value), r.Sort, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) dropKeys(ctx context.Context, kind ledger.Kind, id string) error {
	return t.cfg.DB.Exec(ctx, Any, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND id = ?`, t.cfg.Tenant, kind, id)
}

// Delete implements ledger.Records.
func (t *Tx) Delete(ctx context.Context, kind ledger.Kind, id string, version int64) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if !isText(id) {
		return ledger.ErrNotFound
	}
	n, err := t.cfg.DB.Change(ctx, `DELETE FROM records WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`, t.cfg.Tenant, kind, id, version)
	if err != nil {
		return t.broke("delete", err)
	}
	if n == 1 {
		t.touched = append(t.touched, place{kind, id})
		t.gone[place{kind, id}] = true
		delete(t.cfg.Recent.records, place{kind, id})
		t.forgetKind(kind)
		if err := t.dropKeys(ctx, kind, id); err != nil {
			return t.broke("delete", err)
		}
		return nil
	}
	if _, err := t.Get(ctx, kind, id); err != nil {
		return err
	}
	return ledger.ErrConflict
}

// EraseSubject implements ledger.Records.
func (t *Tx) EraseSubject(ctx context.Context, id ringfence.SubjectID) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if id == "" || !isText(string(id)) {
		return errors.New("erase: no subject named")
	}
	for _, q := range [...]string{
		`DELETE FROM record_keys WHERE tenant_id = ? AND EXISTS (SELECT 1 FROM records r WHERE r.tenant_id = record_keys.tenant_id AND r.subject = ? AND r.subject <> '' AND r.kind = record_keys.kind AND r.id = record_keys.id)`,
		`DELETE FROM records WHERE tenant_id = ? AND subject = ? AND subject <> ''`,
		`DELETE FROM box_keys WHERE tenant_id = ? AND subject = ?`,
	} {
		if err := t.cfg.DB.Exec(ctx, Any, q, t.cfg.Tenant, id); err != nil {
			return t.broke("erase", err)
		}
	}
	return t.turnKeys(ctx)
}
