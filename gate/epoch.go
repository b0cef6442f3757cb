package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// KindEpoch is the record of a signed epoch, named by the checkpoint outside
// that it answers.
const KindEpoch ledger.Kind = "epoch"

// epochRow is what is kept of an epoch.
type epochRow struct {
	Epoch
	SignedAt time.Time `json:"signed_at"`
}

func epochID(outside string) string {
	sum := sha256.Sum256([]byte(outside))
	return hex.EncodeToString(sum[:])
}

// EpochSigned reports whether an epoch was signed in full knowledge of this
// checkpoint outside, so that the store may go on in spite of it.
func EpochSigned(ctx context.Context, tx ledger.Tx, outside []byte) (bool, error) {
	row, _, err := ledger.Read[epochRow](ctx, tx, KindEpoch, epochID(string(outside)))
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil && row.Outside == string(outside) && len(outside) > 0, err
}

// Epoch is what two persons sign when a store was restored or rolled back:
// where the log stands now, and where the newest checkpoint outside says that
// it stood.
type Epoch struct {
	Store   string // the store's head, as a signed checkpoint
	Outside string // the newest checkpoint kept elsewhere; empty = lost
	Reason  string
}

// EpochMessage is the 32 bytes that two persons sign.
func EpochMessage(tenant ringfence.TenantID, e Epoch) ([32]byte, error) {
	return message("epoch", tenant, e)
}

// NewEpoch starts again after a restore (invariant 33): signed by two persons
// with role admin or risk, it voids every release that is not redeemed, and
// with it its permit and approvals, and suspends recovery codes, of which some
// may have been used after the copy was made. It may be called again until it returns
// no error; verify voids the challenges.
func (g *Gate) NewEpoch(ctx context.Context, tenant ringfence.TenantID, e Epoch, sigs ...Signature) error {
	msg, err := EpochMessage(tenant, e)
	if err != nil {
		return err
	}
	if e.Reason == "" || e.Store == "" {
		return &InvalidError{Field: "reason", Says: "say why, and where the store stands"}
	}
	err = g.desk(ctx, tenant, func(d desk) error {
		if err := d.signedByTwo(msg, sigs); err != nil {
			return err
		}
		_, version, err := ledger.Read[epochRow](ctx, d.tx, KindEpoch, epochID(e.Outside))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err := d.put(KindEpoch, epochID(e.Outside), version, "", nil, epochRow{e, d.now}); err != nil {
			return err
		}
		return d.entry("epoch.signed", "", "", sigs, map[string]string{"sha256": ringfence.Digest(msg).String(), "reason": e.Reason})
	})
	if err == nil {
		err = g.stopRecoveryCodes(ctx, tenant, sigs)
	}
	if err != nil {
		return err
	}
	var errs []error
	for s := range moves {
		if !s.BeforeRedeemed() {
			continue
		}
		open, err := g.All(ctx, tenant, Filter{State: s})
		errs = append(errs, err)
		for _, r := range open {
			_, err := g.change(ctx, tenant, r.ID, func(t *turn) error {
				if !t.r.State.BeforeRedeemed() {
					return nil
				}
				return t.move(StateInvalidated, Actor{Flow: "epoch"}, "the store was restored: open it again")
			})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// signedByTwo admits two different persons with role admin or risk, each by
// passkey or by an enrolled key.
func (d desk) signedByTwo(msg [32]byte, sigs []Signature) error {
	people := map[ringfence.PersonID]bool{}
	for _, s := range sigs {
		if s.Key == "" {
			if err := d.signed(msg, 1, []Signature{s}, ringfence.RoleAdmin, ringfence.RoleRisk); err != nil {
				return err
			}
			people[s.Person] = true
			continue
		}
		p, _, err := ledger.Read[ringfence.Person](d.ctx, d.tx, ledger.KindPerson, string(s.Person))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err != nil || !p.Has(ringfence.RoleAdmin, d.now) && !p.Has(ringfence.RoleRisk, d.now) ||
			d.g.cfg.CheckKey == nil || d.g.cfg.CheckKey(d.ctx, d.tx, s, msg) != nil {
			return ErrForbidden
		}
		people[s.Person] = true
	}
	if len(people) < 2 {
		return ErrForbidden
	}
	return nil
}

// recoveryPage is how many authenticators one transaction looks at.
const recoveryPage = 500

// stopRecoveryCodes suspends every set of recovery codes, a page at a time.
func (g *Gate) stopRecoveryCodes(ctx context.Context, tenant ringfence.TenantID, sigs []Signature) error {
	q := ledger.Query{Limit: recoveryPage}
	for {
		var page []ledger.Record
		err := g.desk(ctx, tenant, func(d desk) (err error) {
			if page, err = d.tx.List(ctx, ledger.KindAuthenticator, q); err != nil {
				return err
			}
			for _, rec := range page {
				a, _, err := ledger.Read[ringfence.Authenticator](ctx, d.tx, ledger.KindAuthenticator, rec.ID)
				if err == nil && a.Type == ringfence.AuthRecovery && a.Status == ringfence.StatusActive {
					err = d.setStatus(a.Subject, rec.ID, ringfence.StatusActive, ringfence.StatusSuspended, "suspended", slices.Clone(sigs), map[string]string{"why": "the store was restored"})
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(page) < q.Limit {
			return err
		}
		q.After, q.AfterID = page[len(page)-1].Sort, page[len(page)-1].ID
	}
}
