package gate

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Erasure is what two persons sign to erase a subject.
type Erasure struct {
	Subject ringfence.SubjectID `json:"subject"`
	Reason  string              `json:"reason"` // who asked, and when: it stays in the log, so it names no person
}

// ErasureMessage is the 32 bytes that two persons sign.
func ErasureMessage(tenant ringfence.TenantID, e Erasure) ([32]byte, error) {
	return message("erasure", tenant, e)
}

// Erase destroys the key of a subject, and with it everything that is kept about
// them: record, contact points, authenticators, evidence, actions with payee and
// amount, known payees and mandates. The log keeps its entries and verifies; it
// says that the id was erased, why, and who signed. It is signed by two persons
// with role admin or risk. Whoever has an action under way is refused, for
// nobody could prove afterwards what came of it.
func (g *Gate) Erase(ctx context.Context, tenant ringfence.TenantID, e Erasure, sigs ...Signature) error {
	if e.Reason == "" || len(e.Reason) > maxReason {
		return &InvalidError{Field: "reason", Says: "say why, in 200 bytes at most"}
	}
	msg, err := ErasureMessage(tenant, e)
	if err != nil {
		return err
	}
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.signedByTwo(msg, sigs); err != nil {
			return err
		}
		if err := d.erasable(e.Subject); err != nil {
			return err
		}
		if err := d.tx.EraseSubject(d.ctx, e.Subject); err != nil {
			return err
		}
		return d.entry("subject.erased", "", string(e.Subject), sigs, map[string]string{"sha256": ringfence.Digest(msg).String(), "reason": e.Reason})
	})
}

const maxReason = 200

// Erasable says whether a subject could be erased now: ErrNotFound for who is
// not on file, an *InvalidError for who has an action under way.
func (g *Gate) Erasable(ctx context.Context, tenant ringfence.TenantID, id ringfence.SubjectID) error {
	return g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		return desk{g: g, ctx: ctx, tx: tx, tenant: tenant, now: tx.Now()}.erasable(id)
	})
}

func (d desk) erasable(id ringfence.SubjectID) error {
	if _, _, err := ledger.Read[ringfence.Subject](d.ctx, d.tx, ledger.KindSubject, string(id)); err != nil {
		return err
	}
	for rec, err := range ledger.All(d.ctx, d.tx, KindRelease, bySubject(id)) {
		if err != nil {
			return err
		}
		r, err := ledger.Decode[row](rec)
		if err != nil {
			return err
		}
		if s := r.State; s.BeforeRedeemed() || s == StateRedeemed || s == StateExecUnknown {
			return &InvalidError{Field: "subject", Says: "has an action under way: wait for it, or cancel it first"}
		}
	}
	return nil
}
