package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Observation is what the network says about a leg: a fact about the leg and
// the subject it claims to be, bound to no action.
type Observation struct {
	Traversal ringfence.TraversalID
	Leg       ringfence.LegID
	Subject   ringfence.SubjectID
	// Fact is attested or known_number; anything else is an error.
	Fact ringfence.Fact
	// Number is the signed number of the caller; known_number compares it with
	// the subject's telephones.
	Number ringfence.TN
	// NotYounger is the least age of the telephone that matches. Zero asks for
	// none here; the gate judges ages in any case.
	NotYounger time.Duration
}

// Observe writes a leg fact as Evidence. The caller has judged the signature
// and its leg already; what is judged here is the record: the subject is on
// file, the number is an active telephone of theirs, and the leg was never
// taken over by somebody else (invariant 17). ok is false when the fact does
// not hold, which leaves an entry and no Evidence; a subject that Identify made
// up meets the same steps (invariant 23).
func (v *Verifier) Observe(ctx context.Context, tenant ringfence.TenantID, o Observation) (e ringfence.Evidence, ok bool, err error) {
	if o.Fact != ringfence.FactAttested && o.Fact != ringfence.FactKnownNumber {
		return e, false, fmt.Errorf("verify: %q is no fact that a leg carries by itself", o.Fact)
	}
	if o.Traversal == "" || o.Leg == "" || o.Subject == "" {
		return e, false, nil
	}
	id := ringfence.NewID[ringfence.EvidenceID](ringfence.PrefixEvidence)
	err = v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		e, ok = ringfence.Evidence{ID: id, Tenant: tenant, Subject: o.Subject, Fact: o.Fact, Traversal: o.Traversal, Leg: o.Leg, At: tx.Now()}, false
		entry := Entry{Event: "stir.verified", Traversal: o.Traversal, Leg: o.Leg, Data: map[string]string{"fact": string(o.Fact)}}
		if ok, err = observed(ctx, tx, o, &e); err != nil {
			return err
		}
		if ok {
			entry.Subject, entry.Data["evidence"] = o.Subject, string(e.ID)
			if entry.Data["evidence_sha256"], err = writeEvidence(ctx, tx, e); err != nil {
				return err
			}
		}
		_, err = tx.Append(ctx, entry)
		return err
	})
	if err != nil || !ok {
		return ringfence.Evidence{}, false, err
	}
	return e, true, nil
}

// observed judges an observation by the record, and names in e the telephone
// that matched.
func observed(ctx context.Context, tx Tx, o Observation, e *ringfence.Evidence) (bool, error) {
	s, _, err := load[ringfence.Subject](ctx, tx, ledger.KindSubject, string(o.Subject))
	if err != nil || s.Status != ringfence.StatusActive {
		return false, err // nobody, or a made-up subject
	}
	if _, version, err := load[ledger.LegVoid](ctx, tx, ledger.KindLegVoid, string(o.Leg)); err != nil || version != 0 {
		return false, err
	}
	if o.Fact == ringfence.FactAttested {
		return true, nil
	}
	points, err := ContactPoints(ctx, tx, o.Subject)
	for _, p := range points {
		phone := p.Type == ringfence.ContactMobile || p.Type == ringfence.ContactLandline
		if phone && p.Status == ringfence.StatusActive && o.Number != "" && p.Value == string(o.Number) &&
			!p.ChangedAt.IsZero() && tx.Now().Sub(p.ChangedAt) >= o.NotYounger {
			e.ContactPoint = p.ID
			return err == nil, err
		}
	}
	return false, err
}

// VoidLeg records that the far end of a leg is somebody else now. From then on
// the gate counts no leg fact of it that is older, and no signature of it ever
// again; what is bound to an action stays proved for that action (invariant 17).
func (v *Verifier) VoidLeg(ctx context.Context, tenant ringfence.TenantID, traversal ringfence.TraversalID, leg ringfence.LegID) error {
	return v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		_, version, err := load[ledger.LegVoid](ctx, tx, ledger.KindLegVoid, string(leg))
		if err != nil {
			return err
		}
		rec := Record{Kind: ledger.KindLegVoid, ID: string(leg), Version: version, Keys: map[string]string{"traversal": string(traversal)},
			Sort: tx.Now().UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, ledger.LegVoid{Traversal: traversal, Leg: leg, At: tx.Now()}); err != nil {
			return err
		}
		_, err = tx.Append(ctx, Entry{Event: "leg.diverted", Traversal: traversal, Leg: leg, Data: map[string]string{"why": "changed"}})
		return err
	})
}
