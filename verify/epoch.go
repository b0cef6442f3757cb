package verify

import (
	"context"

	"github.com/ringfence/ringfence"
)

// whyEpoch stands in the end of a challenge that a restore voided.
const whyEpoch = "the store was restored"

// VoidAll cancels every open challenge of a tenant, for a new epoch.
func (v *Verifier) VoidAll(ctx context.Context, tenant ringfence.TenantID) error {
	return v.sweep(ctx, tenant, Query{Key: "open", Value: "yes"}, StateCancelled, whyEpoch)
}
