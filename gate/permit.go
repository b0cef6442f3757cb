package gate

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// permitType is the JWS header typ of a permit, so that no other token of the
// same key ever passes for one (RFC 8725, section 3.11).
const permitType = "ringfence-permit+jwt"

const maxPermitBytes = 8 << 10

// Claims are what a permit says. It holds no field of the action: the
// executor gets the action by redeeming.
type Claims struct {
	Issuer   string              `json:"iss"`
	Audience string              `json:"aud"` // the one executor
	ID       ringfence.PermitID  `json:"jti"`
	Tenant   ringfence.TenantID  `json:"tenant"`
	Release  ringfence.ReleaseID `json:"sub"`
	Type     string              `json:"action"`
	Digest   ringfence.Digest    `json:"digest"`
	IssuedAt int64               `json:"iat"` // Unix seconds
	Expires  int64               `json:"exp"`
	// Index is the place of the `permitted` entry in the tenant's log, and
	// Head the signed note that covers it: each executor is a witness.
	Index int64  `json:"ledger_index"`
	Head  string `json:"ledger_head"`
}

// permit is the row of one permit. The token itself is never stored.
type permit struct {
	ID       ringfence.PermitID  `json:"id"`
	Release  ringfence.ReleaseID `json:"release"`
	Executor string              `json:"executor"`
	Digest   ringfence.Digest    `json:"digest"`
	Expires  time.Time           `json:"expires"`
	Redeemed time.Time           `json:"redeemed,omitzero"`
	Outcome  Outcome             `json:"outcome,omitempty"`
}

// Permit mints the one-time permit of a ready release, for its executor and
// nobody else. What can still change is judged once more, by the policy the
// release was opened under and by the one in force; if either does not allow,
// no permit comes and the verdict says why. One permit at a time: while one
// is out, ErrConflict.
func (g *Gate) Permit(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, executor string) (token string, v Verdict, err error) {
	var refused error
	_, err = g.changeJudging(ctx, tenant, id, func(t *turn) error {
		token, refused = "", nil
		switch {
		case executor == "" || executor != t.r.Executor:
			return ErrForbidden
		case t.r.State == StatePermitted && t.lapsed():
			if err := t.lapse(Actor{Flow: "time"}); err != nil {
				return err
			}
		case t.over():
			return ErrExpired
		}
		if t.r.State != StateReady {
			return stateError(t.r.State)
		}
		wait := false
		switch v, wait, err = t.decideTwice(); {
		case err != nil:
			return err
		case wait:
			return nil
		case v.Decision != Allow:
			return t.fallBack(v, Actor{Flow: "permit"})
		}
		if t.r.Duress {
			refused = ErrConflict // as if another hand of the executor had been faster
			return t.seemPermitted()
		}
		token, err = t.mint()
		return err
	})
	if err = cmp.Or(err, refused); err != nil {
		token = ""
	}
	return token, v, err
}

// decideTwice judges by the pinned policy, by the current one and by that of a
// ramp; the answer is the first that does not allow. wait reports that nothing
// is missing but time, because one of them holds longer.
func (t *turn) decideTwice() (v Verdict, wait bool, err error) {
	c, err := t.gather()
	if err != nil {
		return Verdict{}, false, err
	}
	v = Decide(t.pinned(), c, t.now)
	for _, also := range t.g.demanded(t.r.Tenant) {
		if v.Decision != Allow {
			break
		}
		if also != nil && ringfence.Digest(also.Hash()) == t.r.Policy {
			continue
		}
		again := Decide(also, c, t.now)
		if again.Decision != Allow || again.Class > v.Class {
			v = again
		}
		if again.Decision == Allow && t.now.Before(t.r.CoolingAt.Add(again.Hold)) {
			wait = true
			v = Verdict{Reasons: []policy.Reason{policy.ReasonRaised}, Class: again.Class, Approvals: v.Approvals,
				Next: "The policy in force holds this longer than the one it was opened under. It goes when that time is over."}
		}
	}
	t.remember(v)
	return v, wait, nil
}

// permitOut books that a permit is out.
func (t *turn) permitOut(id ringfence.PermitID) {
	t.r.Permit, t.r.PermitUntil = id, t.now.Add(permitLife)
	t.r.Permits++
}

func (t *turn) mint() (string, error) {
	if t.r.Duress {
		return "", ErrConflict
	}
	row := permit{ID: ringfence.NewID[ringfence.PermitID](ringfence.PrefixPermit), Release: t.r.ID, Executor: t.r.Executor,
		Digest: t.r.Digest, Expires: t.now.Add(permitLife)}
	t.permitOut(row.ID)
	if err := t.move(StatePermitted, Actor{Client: t.r.Executor}, "permit minted"); err != nil {
		return "", err
	}
	size, err := t.tx.Size(t.ctx)
	if err != nil {
		return "", err
	}
	head, err := ledger.HeadOf(t.ctx, t.tx)
	if err != nil {
		return "", err
	}
	note, err := t.g.cfg.Log.Sign(t.r.Tenant, head)
	if err != nil {
		return "", err
	}
	rec := ledger.Record{Kind: KindPermit, ID: string(row.ID), Subject: t.r.Subject, Keys: map[string]string{"release": string(t.r.ID)}, Sort: t.now.UnixNano()}
	if err := ledger.Write(t.ctx, t.tx, &rec, row); err != nil {
		return "", err
	}
	return t.g.sign(Claims{Issuer: t.g.cfg.Issuer, Audience: row.Executor, ID: row.ID, Tenant: t.r.Tenant, Release: t.r.ID, Type: t.r.Type,
		Digest: row.Digest, IssuedAt: t.now.Unix(), Expires: row.Expires.Unix(), Index: size - 1, Head: string(note)})
}

// opaque lets go-jose sign with a key that it never sees (KMS, HSM).
type opaque struct {
	key crypto.Signer
	id  string
}

func (o opaque) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: o.key.Public(), KeyID: o.id, Algorithm: string(jose.EdDSA), Use: "sig"}
}
func (o opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.EdDSA} }
func (o opaque) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return o.key.Sign(rand.Reader, payload, crypto.Hash(0))
}

// JWK is the public key of permits, with its RFC 7638 thumbprint as kid.
func (g *Gate) JWK() jose.JSONWebKey {
	k := jose.JSONWebKey{Key: g.pub, Algorithm: string(jose.EdDSA), Use: "sig"}
	if sum, err := k.Thumbprint(crypto.SHA256); err == nil {
		k.KeyID = ringfence.Digest(sum).String()
	}
	return k
}

func (g *Gate) sign(c Claims) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: opaque{g.cfg.Key, g.JWK().KeyID}},
		(&jose.SignerOptions{}).WithType(permitType))
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// ReadPermit verifies the signature of a permit and returns its claims. Time
// and use are judged by Redeem. Every fault is ErrForbidden.
func (g *Gate) ReadPermit(token string) (Claims, error) {
	var c Claims
	if len(token) > maxPermitBytes {
		return c, ErrForbidden
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(jws.Signatures) != 1 {
		return c, ErrForbidden
	}
	if typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); typ != permitType {
		return c, ErrForbidden
	}
	body, err := jws.Verify(g.pub)
	if err != nil || json.Unmarshal(body, &c) != nil || c.Issuer != g.cfg.Issuer {
		return Claims{}, ErrForbidden
	}
	return c, nil
}

// Redemption is what the executor acts on, instead of its own copy.
type Redemption struct {
	Permit    ringfence.PermitID  `json:"permit"`
	Release   ringfence.ReleaseID `json:"release"`
	Type      string              `json:"type"`
	Canonical []byte              `json:"canonical"` // RFC 8785, nonce included
	Digest    ringfence.Digest    `json:"digest"`
	At        time.Time           `json:"at"`
}

// Redeem spends a permit, exactly once, and returns the action. The executor
// asks before it acts, under its own key; k lets it ask again after a crash
// and get the same answer. A second use is ErrConflict, a late one ErrExpired,
// a permit of somebody else ErrForbidden, a release held meanwhile ErrHeld.
func (g *Gate) Redeem(ctx context.Context, tenant ringfence.TenantID, executor, token string, k Key) (Redemption, error) {
	c, err := g.ReadPermit(token)
	if err != nil {
		return Redemption{}, err
	}
	if executor == "" || c.Audience != executor || c.Tenant != tenant {
		return Redemption{}, ErrForbidden
	}
	var out Redemption
	var refused error
	_, err = g.change(ctx, tenant, c.Release, func(t *turn) error {
		refused = nil
		p, version, err := ledger.Read[permit](t.ctx, t.tx, KindPermit, string(c.ID))
		if err != nil {
			return err
		}
		if p.Executor != executor || p.Release != t.r.ID || p.Digest != t.r.Digest || c.Digest != p.Digest {
			return ErrForbidden
		}
		old, err := recall(t.ctx, t.tx, k)
		if err != nil {
			return err
		}
		again := old == string(p.ID) && !p.Redeemed.IsZero()
		if !again {
			if refused = t.redeemable(p); refused != nil {
				return nil // an alarm found on the way is kept
			}
			if err := t.newest(p); err != nil {
				return err
			}
			if t.r.Duress {
				refused = ErrConflict // as if it were redeemed already, and so it looks from now on
				return t.move(StateRedeemed, Actor{Client: executor}, "permit redeemed")
			}
			p.Redeemed = t.now
			rec := ledger.Record{Kind: KindPermit, ID: string(p.ID), Version: version, Subject: t.r.Subject,
				Keys: map[string]string{"release": string(t.r.ID)}, Sort: t.now.UnixNano()}
			if err := ledger.Write(t.ctx, t.tx, &rec, p); err != nil {
				return err
			}
			if err := t.move(StateRedeemed, Actor{Client: executor}, "permit redeemed"); err != nil {
				return err
			}
			if err := remember(t.ctx, t.tx, k, string(p.ID)); err != nil {
				return err
			}
		}
		canonical, digest, err := Canonical(t.r.Release)
		if err != nil || digest != t.r.Digest {
			return errors.Join(errRead, err)
		}
		out = Redemption{Permit: p.ID, Release: t.r.ID, Type: t.r.Type, Canonical: canonical, Digest: digest, At: p.Redeemed}
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Redemption{}, err
	}
	return out, nil
}

// newest holds the row of a permit that would be redeemed against the log: the
// last move of the release must be the one that minted it. Rows are sealed, but
// an older copy of one is sealed as well; whoever puts one back would redeem a
// permit twice.
func (t *turn) newest(p permit) error {
	for _, limit := range lastMoves {
		last, err := t.tx.Entries(t.ctx, ledger.EntryQuery{Release: t.r.ID, Desc: true, Limit: limit})
		if err != nil {
			return err
		}
		for _, e := range last {
			if to := e.Data["to"]; to != "" {
				if to == string(StatePermitted) && e.Data["permit"] == string(p.ID) {
					return nil
				}
				return ledger.ErrTampered
			}
		}
	}
	return ledger.ErrTampered
}

// lastMoves is among how many of the newest entries of a release its last move
// is looked for: mostly it is the newest, but holds and alarms may have come
// after it.
var lastMoves = [...]int{1, 100}

// redeemable judges time, use and everything that may have stopped the
// release since the permit was minted.
func (t *turn) redeemable(p permit) error {
	switch {
	case !p.Redeemed.IsZero():
		return ErrConflict
	case !t.now.Before(p.Expires):
		return ErrExpired
	case t.r.State == StateHeld:
		return ErrHeld
	case t.r.State != StatePermitted || t.r.Permit != p.ID:
		return ErrConflict
	case t.g.cfg.Frozen != nil && t.r.Class >= ringfence.C2 && t.g.cfg.Frozen(t.r.Tenant) != "":
		return ErrHeld
	default:
		return nil
	}
}

// Outcome is what the executor reports. The empty value is no report.
type Outcome string

// The outcomes.
const (
	OutcomeExecuted Outcome = "executed"
	OutcomeFailed   Outcome = "failed"
	OutcomeUnknown  Outcome = "unknown"
)

// Report records what came of a redeemed action; the same report again is
// harmless, another one is ErrConflict. An executed payment at C4 makes its
// payee known from 72 hours later on.
func (g *Gate) Report(ctx context.Context, tenant ringfence.TenantID, executor string, id ringfence.PermitID, outcome Outcome) (Release, error) {
	to, ok := map[Outcome]State{OutcomeExecuted: StateExecuted, OutcomeFailed: StateExecFailed, OutcomeUnknown: StateExecUnknown}[outcome]
	if !ok {
		return Release{}, &InvalidError{Field: "outcome", Says: "want executed, failed or unknown"}
	}
	var release ringfence.ReleaseID
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		p, _, err := ledger.Read[permit](ctx, tx, KindPermit, string(id))
		if release = p.Release; err == nil && p.Executor != executor {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return Release{}, err
	}
	return g.change(ctx, tenant, release, func(t *turn) error {
		switch {
		case t.r.Permit != id, t.r.Stood != "": // what only seems redeemed was not
			return ErrConflict
		case t.r.State == to:
			return nil
		}
		if err := t.move(to, Actor{Client: executor}, "reported by the executor"); err != nil {
			return err
		}
		if outcome == OutcomeExecuted {
			return t.learnPayee()
		}
		return nil
	})
}

// Reconcile settles an unknown outcome by what the executor's journal says,
// found out by a person. It is never tried again under a new release.
func (g *Gate) Reconcile(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by ringfence.PersonID, outcome Outcome) (Release, error) {
	if outcome != OutcomeExecuted && outcome != OutcomeFailed {
		return Release{}, &InvalidError{Field: "outcome", Says: "want executed or failed"}
	}
	return g.change(ctx, tenant, id, func(t *turn) error {
		p, _, err := ledger.Read[ringfence.Person](t.ctx, t.tx, ledger.KindPerson, string(by))
		if err != nil || !p.Has(ringfence.RoleOps, t.now) && !p.Has(ringfence.RoleRisk, t.now) {
			return ErrForbidden
		}
		if err := t.move(StateReconciled, Actor{Person: by}, "the executor's journal says "+string(outcome)); err != nil {
			return err
		}
		if outcome == OutcomeExecuted {
			return t.learnPayee()
		}
		return nil
	})
}
