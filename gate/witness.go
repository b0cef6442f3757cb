package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// witnesses may attest that somebody stood before them. Whoever only reads or
// runs the machines may not.
var witnesses = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleRisk}

// ProofingMessage is the 32 bytes that each of two members of staff signs who
// saw the person and their papers: SHA-256("ringfence/proofing/v1" ‖ 0x00 ‖
// tenant ‖ 0x00 ‖ who proves ‖ 0x00 ‖ release ‖ 0x00 ‖ digest).
func ProofingMessage(r Release) [32]byte {
	h := sha256.New()
	h.Write([]byte("ringfence/proofing/v1\x00" + string(r.Tenant) + "\x00" + string(r.Proves) + "\x00" + string(r.ID) + "\x00"))
	h.Write(r.Digest[:])
	return [32]byte(h.Sum(nil))
}

// Proofing returns the release that an identity may be proofed for now, in the
// transaction in which verify writes what was found: it waits for evidence, and
// the call in which it was opened is over (C5 is never proved inside the first
// call). Anything else is ErrConflict, ErrHeld or ErrExpired.
func (g *Gate) Proofing(ctx context.Context, tx ledger.Tx, id ringfence.ReleaseID) (Release, error) {
	r, _, err := ledger.Read[row](ctx, tx, KindRelease, string(id))
	if err != nil {
		return Release{}, err
	}
	if r.State != StatePendingEvidence {
		return Release{}, stateError(r.State)
	}
	over, err := ended(ctx, tx, r.Traversal)
	if err == nil && !over {
		err = ErrConflict
	}
	return r.public(), err
}

// Witnessed is Proofing with signatures over ProofingMessage: each by an active
// member of staff with role agent, supervisor or risk and their own passkey, no
// two by one person. ErrForbidden otherwise.
func (g *Gate) Witnessed(ctx context.Context, tx ledger.Tx, tenant ringfence.TenantID, id ringfence.ReleaseID, sigs ...Signature) (Release, error) {
	r, err := g.Proofing(ctx, tx, id)
	if err != nil {
		return Release{}, err
	}
	if len(sigs) == 0 {
		return Release{}, ErrForbidden
	}
	d := desk{g: g, ctx: ctx, tx: tx, tenant: tenant, now: tx.Now()}
	if err := d.signed(ProofingMessage(r), len(sigs), sigs, witnesses...); err != nil {
		return Release{}, err
	}
	return r, nil
}

// ended reports whether a traversal is over; no traversal is.
func ended(ctx context.Context, tx ledger.Tx, id ringfence.TraversalID) (bool, error) {
	if id == "" {
		return true, nil
	}
	for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Traversal: id}) {
		if err != nil || e.Event == "traversal.ended" {
			return err == nil, err
		}
	}
	return false, nil
}

// otherTeam reports that one of the approvers is known to be of another team
// than whoever opened the action. A team that is not on file is not another one.
func (t *turn) otherTeam(approvers []ringfence.PersonID) (bool, error) {
	own := ""
	if by := cmp.Or(t.r.Opener.Person, t.r.Opener.Maker); by != "" {
		p, err := t.personNamed(by)
		if err != nil {
			return false, err
		}
		own = p.Team
	}
	for _, id := range approvers {
		p, err := t.personNamed(id)
		if err != nil {
			return false, err
		}
		if p.Team != "" && p.Team != own {
			return true, nil
		}
	}
	return false, nil
}

// personNamed reads a member of staff; one who is not on file has no team.
func (t *turn) personNamed(id ringfence.PersonID) (ringfence.Person, error) {
	p, _, err := ledger.Read[ringfence.Person](t.ctx, t.tx, ledger.KindPerson, string(id))
	if errors.Is(err, ledger.ErrNotFound) {
		return ringfence.Person{}, nil
	}
	return p, err
}

// Papers is what of a subject's record can be compared with papers: names, and
// the fields by which people say who they are. Amounts and everything else stay
// here.
func Papers(p *policy.Policy, s ringfence.Subject) map[string]string {
	out := map[string]string{}
	if p == nil {
		return out
	}
	kind, ok := p.Kind(s.Kind)
	if !ok {
		return out
	}
	for _, f := range kind.Fields {
		if v := s.Record[f.Name]; v != "" && !f.Type.Secret && (f.Type.Base == policy.BaseName || slices.Contains(kind.IdentifiedBy, f.Name)) {
			out[f.Name] = v
		}
	}
	return out
}
