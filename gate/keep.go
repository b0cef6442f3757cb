package gate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Keeping is the secret fields of an action on their way to become one
// authenticator: a PIN that a caller chose on a call, perhaps with the one they
// would key under pressure.
type Keeping struct {
	Action string
	Values map[string]ringfence.Secret // by field
	// Own are the subject's numbers, which the secret may not be part of; empty
	// for nobody.
	Own []string
	// Before is what the authenticator of the same kind holds now; empty = none.
	Before ringfence.Secret
}

// Kept is what an authenticator's Secret is to hold.
type Kept struct {
	Type   ringfence.AuthenticatorType
	Secret ringfence.Secret
	// Refused says what is wrong with the secret of a field itself; told at once.
	Field, Refused string
	// Barred says what is wrong with it for this subject. It is told when the
	// action would be done: at once, it would tell a stranger about the subject
	// (invariant 23).
	Barred string
}

// Fingerprint is the text by which an action names an authenticator that comes:
// SHA-256 of its secret in hexadecimal.
func Fingerprint(secret ringfence.Secret) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// CheckDigits are six digits of a fingerprint, shown where the authenticator is
// made and spoken where it is approved, so that the two can be compared.
func CheckDigits(fingerprint string) string {
	sum := sha256.Sum256([]byte("ringfence/enrolment/v1\x00" + fingerprint))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

// Performs reports whether an action changes the directory, which the gate does
// itself, and no executor.
func Performs(a *policy.Action) bool {
	if a == nil || !changesDirectory(a.Like) {
		return false
	}
	return slices.ContainsFunc(a.Carries, func(f policy.Field) bool { return effectOf(f) != "" })
}

func changesDirectory(l policy.Like) bool {
	switch l {
	case policy.LikeContactChange, policy.LikeAuthenticatorReset, policy.LikeFirstAuthenticator, policy.LikeMandateChange:
		return true
	default:
		return false
	}
}

// kept reports a field whose value nobody may read, not even in a release. What
// only names something on file is marked secret so that nobody has to hear it.
func kept(f policy.Field) bool { return f.Type.Secret && !names(f.Name) }

func names(field string) bool {
	switch field {
	case "contact", "authenticator", "resume", "fingerprint", "mandate", "person":
		return true
	}
	return false
}

// keep takes every secret out of the fields of an action and leaves the
// fingerprint of what holds them in their place. known is false for nobody, who
// costs the same work.
func (g *Gate) keep(ctx context.Context, tenant ringfence.TenantID, a *policy.Action, r *row, known bool) error {
	k := Keeping{Action: a.Name, Values: map[string]ringfence.Secret{}}
	for _, f := range a.Carries {
		if !kept(f) {
			continue
		}
		switch {
		case r.Opener.Flow == "" || r.Opener.Person != "" || r.Opener.Client != "":
			return &InvalidError{Field: f.Name, Says: "is secret: the caller keys it, nobody else"}
		case g.cfg.Keep == nil || r.Executor != Self:
			return &InvalidError{Field: f.Name, Says: "is secret, and nothing here can keep it"}
		}
		k.Values[f.Name] = ringfence.Secret(r.Fields[f.Name])
	}
	if len(k.Values) == 0 {
		return nil
	}
	if known {
		if err := g.ownNumbers(ctx, tenant, r.Subject, &k); err != nil {
			return err
		}
	}
	out, err := g.cfg.Keep(ctx, k)
	switch {
	case err != nil:
		return err
	case out.Refused != "":
		return &InvalidError{Field: out.Field, Says: "is " + out.Refused}
	case len(out.Secret) == 0 && out.Barred == "":
		return errors.New("gate: nothing was kept of a secret")
	case len(out.Secret) == 0:
		out.Secret = ringfence.Secret(r.Nonce) // what was barred is never bound
	}
	for name, value := range k.Values {
		clear(value)
		r.Fields[name] = Fingerprint(out.Secret)
	}
	r.Barred = out.Barred
	r.pending = &ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Tenant: tenant,
		Subject: r.Subject, Type: out.Type, Secret: out.Secret, Lane: policy.LaneMemory, Status: ringfence.StatusPending}
	r.Enrols = r.pending.ID
	return nil
}

// ownNumbers reads what a PIN may not be part of, and the PIN it follows.
func (g *Gate) ownNumbers(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, k *Keeping) error {
	return g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		k.Own, k.Before = nil, nil
		s, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(subject))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		for _, v := range s.Record {
			k.Own = append(k.Own, v)
		}
		points, err := ledger.Rows[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, bySubject(subject))
		if err != nil {
			return err
		}
		for _, p := range points {
			k.Own = append(k.Own, p.Value)
		}
		auths, err := ledger.Rows[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, bySubject(subject))
		for _, a := range auths {
			if a.Type == ringfence.AuthPIN && a.Status == ringfence.StatusActive {
				k.Before = a.Secret
			}
		}
		return err
	})
}

// enrolment finds the pending authenticator that an action names by its
// fingerprint, so that nobody has to bring it again.
func (t *turn) enrolment(a *policy.Action) error {
	want := t.r.Fields["fingerprint"]
	if want == "" || !changesDirectory(a.Like) {
		return nil
	}
	if c, ok := t.r.Fields["check"]; ok && c != CheckDigits(want) {
		return &InvalidError{Field: "check", Says: "are not the check digits of the fingerprint"}
	}
	auths, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(t.r.Subject))
	for _, p := range auths {
		if p.Status == ringfence.StatusPending && Fingerprint(p.Secret) == want && t.r.Fields["type"] == string(p.Type) {
			t.r.Enrols = p.ID
		}
	}
	return err
}

// bindPending makes the authenticator that the action enrols count from now on.
// A new PIN, and a new set of recovery codes, take the place of the old.
func (t *turn) bindPending(d desk, want string) error {
	p, version, err := ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, string(t.r.Enrols))
	if missing(err) || err == nil && (p.Subject != t.r.Subject || p.Status != ringfence.StatusPending || Fingerprint(p.Secret) != want) {
		return &InvalidError{Field: "fingerprint", Says: "names nothing that waits to be enrolled"}
	} else if err != nil {
		return err
	}
	if p.Type == ringfence.AuthPIN || p.Type == ringfence.AuthRecovery {
		if err := t.replaceOlder(d, p.Type); err != nil {
			return err
		}
	}
	if err := t.activate(d, p, version); err != nil {
		return err
	}
	return t.companions(d, p)
}

func (t *turn) activate(d desk, p ringfence.Authenticator, version int64) error {
	p.Status, p.BoundAt, p.StoredAt, p.Failures = ringfence.StatusActive, t.now, t.now, 0
	if err := d.putAuthenticator(p, version); err != nil {
		return err
	}
	return d.entry("authenticator.added", t.r.Subject, string(p.ID), nil, map[string]string{"release": string(t.r.ID), "type": string(p.Type)})
}

// companions makes the recovery codes count that were made in the same step as
// a passkey, and takes away everything else from whoever starts again: it was
// lost, and may have been found.
func (t *turn) companions(d desk, made ringfence.Authenticator) error {
	auths, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(t.r.Subject))
	if err != nil {
		return err
	}
	a, _ := t.pinned().Action(t.r.Type)
	again := a != nil && a.Class >= ringfence.C5
	for _, one := range auths {
		switch {
		case one.ID == made.ID || one.Status == ringfence.StatusRemoved:
		case one.Status == ringfence.StatusPending && one.Type == ringfence.AuthRecovery && madeWith(one.Secret) == made.ID:
			if err := t.replaceOlder(d, one.Type); err != nil {
				return err
			}
			_, version, err := ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, string(one.ID))
			if err != nil {
				return err
			}
			if err := t.activate(d, one, version); err != nil {
				return err
			}
		case again && one.Type != ringfence.AuthRecovery:
			if err := t.removeAuthenticator(d, one.ID); err != nil {
				return err
			}
		}
	}
	if again {
		return t.lostCodes(d, made)
	}
	return nil
}

// lostCodes takes recovery codes away that were made before whoever holds them
// started again.
func (t *turn) lostCodes(d desk, made ringfence.Authenticator) error {
	auths, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(t.r.Subject))
	for _, one := range auths {
		if err == nil && one.Type == ringfence.AuthRecovery && one.Status != ringfence.StatusRemoved && madeWith(one.Secret) != made.ID {
			err = t.removeAuthenticator(d, one.ID)
		}
	}
	return err
}

// madeWith names the passkey in whose making a set of recovery codes was made.
func madeWith(set ringfence.Secret) ringfence.AuthenticatorID {
	var s struct {
		With ringfence.AuthenticatorID `json:"with"`
	}
	if json.Unmarshal(set, &s) != nil {
		return ""
	}
	return s.With
}

func (t *turn) replaceOlder(d desk, typ ringfence.AuthenticatorType) error {
	auths, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(t.r.Subject))
	if err != nil {
		return err
	}
	for _, old := range auths {
		if old.Type != typ || old.Status == ringfence.StatusPending || old.Status == ringfence.StatusRemoved {
			continue
		}
		if err := t.removeAuthenticator(d, old.ID); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) removeAuthenticator(d desk, id ringfence.AuthenticatorID) error {
	old, version, err := ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, string(id))
	if err != nil {
		return err
	}
	old.Status, old.RemovedAt = ringfence.StatusRemoved, t.now
	if err := d.putAuthenticator(old, version); err != nil {
		return err
	}
	return d.entry("authenticator.removed", t.r.Subject, string(id), nil, map[string]string{"release": string(t.r.ID)})
}
