package gate

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// voids are the legs of a traversal whose far end became somebody else, with
// the last time it did (invariant 17).
type voids map[ringfence.LegID]time.Time

func readVoids(ctx context.Context, tx ledger.Tx, traversal ringfence.TraversalID) (voids, error) {
	if traversal == "" {
		return nil, nil
	}
	rows, err := ledger.Rows[ledger.LegVoid](ctx, tx, ledger.KindLegVoid, ledger.Query{Key: "traversal", Value: string(traversal)})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := voids{}
	for _, r := range rows {
		out[r.Leg] = r.At
	}
	return out, nil
}

// void reports whether what a leg proved is gone with whoever held it. What
// the new party proves counts again; what the carrier signed was about the old
// one and never does.
func (v voids) void(e ringfence.Evidence) bool {
	at, changed := v[e.Leg]
	return changed && (signal(e.Fact) || !e.At.After(at))
}

// voidFor is void for a release: a proof bound to an action stays proved for
// that action.
func (v voids) voidFor(e ringfence.Evidence) bool { return !e.Fact.Bound() && v.void(e) }

func signal(f ringfence.Fact) bool {
	return f == ringfence.FactAttested || f == ringfence.FactKnownNumber
}
