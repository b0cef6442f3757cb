package rows

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Owners returns a page of the owners of keys, in order, behind one of them;
// begin with after = nil. The empty one is the tenant itself.
func Owners(ctx context.Context, tx ledger.Tx, after *ringfence.SubjectID, limit int) (out []ringfence.SubjectID, err error) {
	t, ok := tx.(*Tx)
	if !ok {
		return nil, errForeign
	}
	query, args := `SELECT subject FROM box_keys WHERE tenant_id = ? ORDER BY subject LIMIT ?`, []any{t.cfg.Tenant, limit}
	if after != nil {
		query, args = `SELECT subject FROM box_keys WHERE tenant_id = ? AND subject > ? ORDER BY subject LIMIT ?`, []any{t.cfg.Tenant, *after, limit}
	}
	err = t.ask(ctx, always, query, func(s Scanner) error {
		var id ringfence.SubjectID
		err := s.Scan(&id)
		out = append(out, id)
		return err
	}, args...)
	if err != nil {
		return nil, t.broke("owners", err)
	}
	return out, nil
}

// Change is what Rekey does to the key of an owner.
type Change int

const (
	// Rewrap wraps it anew with the master's primary key.
	Rewrap Change = iota + 1
	// Renew puts a new generation before the old one, unless one is there.
	Renew
	// Retire drops the old generations.
	Retire
)

// Rekey changes the keys of some owners and turns the tenant's keys, so that
// every process reads them again.
func Rekey(ctx context.Context, tx ledger.Tx, what Change, owners []ringfence.SubjectID) error {
	t, ok := tx.(*Tx)
	if !ok {
		return errForeign
	}
	if err := t.usable(true); err != nil {
		return err
	}
	for _, id := range owners {
		if err := t.rekey(ctx, what, owner{t.cfg.Tenant, id}); err != nil {
			return err
		}
	}
	return t.turnKeys(ctx)
}

func (t *Tx) rekey(ctx context.Context, what Change, o owner) error {
	wrapped, err := t.wrapped(ctx, o)
	if err != nil || wrapped == nil {
		return err // erased meanwhile
	}
	m := t.cfg.Keys.master
	box, err := m.Box(wrapped, o.aad())
	if err != nil {
		return t.broke("open key", err)
	}
	switch {
	case what == Rewrap:
		wrapped, err = m.Rewrap(wrapped, o.aad())
	case what == Renew && !box.Turning():
		wrapped, err = m.Renew(wrapped, o.aad())
	case what == Retire && box.Turning():
		wrapped, err = m.Retire(wrapped, o.aad())
	default:
		return nil
	}
	if err != nil {
		return t.broke("key", err)
	}
	if err := t.cfg.DB.Exec(ctx, 1, `UPDATE box_keys SET wrapped = ? WHERE tenant_id = ? AND subject = ?`, wrapped, o.tenant, o.subject); err != nil {
		return t.broke("key", err)
	}
	return nil
}

// Place is where a walk over all records of a tenant stands; the zero Place is
// before the first.
type Place struct {
	Kind ledger.Kind
	ID   string
}

// Walk opens up to limit records behind a place, in a View too, and returns
// the place of the last, how many there were, and how many it sealed anew: with
// reseal those that an old generation sealed, and all look-up values. A record
// that does not verify ends it with ErrTampered.
func Walk(ctx context.Context, tx ledger.Tx, after Place, limit int, reseal bool) (last Place, n, changed int, err error) {
	t, ok := tx.(*Tx)
	if !ok {
		return after, 0, 0, errForeign
	}
	if err := t.usable(reseal); err != nil {
		return after, 0, 0, err
	}
	page, err := t.page(ctx, `SELECT kind, id, version, subject, sort, sealed FROM records WHERE tenant_id = ? AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?`,
		t.cfg.Tenant, after.Kind, after.ID, limit)
	if err != nil {
		return after, 0, 0, t.broke("walk", err)
	}
	for _, r := range page {
		after = Place{r.Kind, r.ID}
		did, err := t.visit(ctx, r, reseal)
		if err != nil {
			return after, 0, 0, fmt.Errorf("%s %s: %w", r.Kind, r.ID, err)
		}
		if did {
			changed++
		}
	}
	return after, len(page), changed, nil
}

// page reads records as they are stored.
func (t *Tx) page(ctx context.Context, query string, args ...any) (page []sealedRecord, err error) {
	err = t.ask(ctx, always, query, func(s Scanner) error {
		var r sealedRecord
		err := s.Scan(&r.Kind, &r.ID, &r.Version, &r.Subject, &r.Sort, &r.sealed)
		page = append(page, r)
		return err
	}, args...)
	return page, err
}

func (t *Tx) visit(ctx context.Context, r sealedRecord, reseal bool) (changed bool, err error) {
	box, err := t.box(ctx, r.Subject, false)
	if err != nil {
		return false, err
	}
	at := t.row(r.Kind, r.ID, r.Version)
	c, err := openContent(box, r, at)
	if err != nil || !reseal {
		return false, err
	}
	r.Body, r.Keys = c.body, c.keys
	if !box.Newest(r.sealed, at) {
		sealed := sealContent(box, &r.Record, at)
		if err := t.cfg.DB.Exec(ctx, 1, `UPDATE records SET sealed = ? WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`, sealed, t.cfg.Tenant, r.Kind, r.ID, r.Version); err != nil {
			return false, t.broke("reseal", err)
		}
		changed = true
	}
	if len(r.Keys) == 0 {
		return changed, nil
	}
	again, err := t.reblind(ctx, r.Record)
	return changed || again, err
}

// reblind writes the look-up values of a record under the newest generation,
// if an older one wrote any.
func (t *Tx) reblind(ctx context.Context, r ledger.Record) (bool, error) {
	box, err := t.box(ctx, "", false)
	if err != nil || !box.Turning() {
		return false, err
	}
	old := false
	for name, value := range r.Keys {
		n := 0
		if err := t.ask(ctx, always, `SELECT COUNT(*) FROM record_keys WHERE tenant_id = ? AND kind = ? AND blind = ? AND sort = ? AND id = ?`,
			func(s Scanner) error { return s.Scan(&n) }, t.cfg.Tenant, r.Kind, box.Blind(string(r.Kind), name, value), r.Sort, r.ID); err != nil {
			return false, t.broke("blind", err)
		}
		old = old || n == 0
	}
	if !old {
		return false, nil
	}
	if err := errors.Join(t.dropKeys(ctx, r, nil), t.addKeys(ctx, &r, nil)); err != nil {
		return false, t.broke("blind", err)
	}
	return true, nil
}
