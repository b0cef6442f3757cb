package gate

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
)

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
// with it its permit and approvals. It may be called again until it returns
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
		if err := d.signed(msg, 2, sigs, ringfence.RoleAdmin, ringfence.RoleRisk); err != nil {
			return err
		}
		return d.entry("epoch.signed", "", "", sigs, map[string]string{"sha256": ringfence.Digest(msg).String(), "reason": e.Reason})
	})
	if err != nil {
		return err
	}
	var errs []error
	for s := range moves {
		for s.BeforeRedeemed() {
			open, err := g.List(ctx, tenant, Filter{State: s, Limit: 1000})
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
			if err := errors.Join(errs...); err != nil || len(open) < 1000 {
				break
			}
		}
	}
	return errors.Join(errs...)
}
