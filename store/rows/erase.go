package rows

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// erasePage is how many records are looked at at once.
const erasePage = 500

// EraseSubject implements ledger.Records.
func (t *Tx) EraseSubject(ctx context.Context, id ringfence.SubjectID) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if id == "" || !isText(string(id)) {
		return errors.New("erase: no subject named")
	}
	for after := (Place{}); ; {
		page, err := t.page(ctx, `SELECT kind, id, version, subject, sort, sealed FROM records WHERE tenant_id = ? AND subject = ? AND subject <> '' AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?`,
			t.cfg.Tenant, id, after.Kind, after.ID, erasePage)
		if err != nil {
			return t.broke("erase", err)
		}
		for _, r := range page {
			after = Place{r.Kind, r.ID}
			if err := t.eraseKeys(ctx, r); err != nil {
				return t.broke("erase", err)
			}
		}
		if len(page) < erasePage {
			break
		}
	}
	for _, q := range [...]string{
		`DELETE FROM records WHERE tenant_id = ? AND subject = ? AND subject <> ''`,
		`DELETE FROM box_keys WHERE tenant_id = ? AND subject = ?`,
	} {
		if err := t.cfg.DB.Exec(ctx, Any, q, t.cfg.Tenant, id); err != nil {
			return t.broke("erase", err)
		}
	}
	return t.turnKeys(ctx)
}

// eraseKeys removes the look-up values of a record. Those of one that does not
// verify are not known; they lead to nothing.
func (t *Tx) eraseKeys(ctx context.Context, r sealedRecord) error {
	old, err := t.open(ctx, r)
	if errors.Is(err, ledger.ErrTampered) || errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t.touch(place{r.Kind, r.ID})
	return t.dropKeys(ctx, old, nil)
}
