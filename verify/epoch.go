package verify

import (
	"context"

	"github.com/ringfence/ringfence"
)

// whyEpoch stands in the end of a challenge that a restore voided.
const whyEpoch = "the store was restored"

// VoidAll cancels every open challenge of a tenant, for a new epoch.
func (v *Verifier) VoidAll(ctx context.Context, tenant ringfence.TenantID) error {
	q := Query{Key: "open", Value: "yes", Limit: 500}
	for {
		var open int
		if err := v.cfg.Store.View(ctx, tenant, func(tx Tx) error {
			recs, err := tx.List(ctx, KindChallenge, q)
			open = len(recs)
			return err
		}); err != nil || open == 0 {
			return err
		}
		if err := v.sweep(ctx, tenant, q, StateCancelled, whyEpoch); err != nil {
			return err
		}
	}
}
