package shelf

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Approval is one person's signature over a message of this room: by a key
// they enrolled, or by their passkey. Exactly one of Key and Authenticator is
// set.
type Approval struct {
	Person        ringfence.PersonID        `json:"person"`
	Key           string                    `json:"key,omitempty"`
	Authenticator ringfence.AuthenticatorID `json:"authenticator,omitempty"`
	// Signature is 64 bytes of Ed25519, or the assertion.
	Signature []byte `json:"signature"`
}

// A Refusal says why something was not done; it is the answer, not a failure
// to find one.
type Refusal string

// The refusals. The words are shown to people and stand in JSON.
const (
	Done           Refusal = ""
	RefuseSigner   Refusal = "this person may not sign: want an active member of staff with role ops, risk or admin whose waiting time is over"
	RefuseKey      Refusal = "the signature is not by a key or passkey of this person that may sign yet"
	RefuseBytes    Refusal = "the bundle cannot be used"
	RefuseUnknown  Refusal = "no such bundle was ever in force"
	RefuseInForce  Refusal = "this bundle is in force already"
	RefuseMoreSign Refusal = "a second, different person has to sign"
	RefuseRisk     Refusal = "something is looser: one of those who sign has to hold role risk"
	RefuseNoRamp   Refusal = "no bundle is being ramped"
	RefuseNoShadow Refusal = "no bundle follows the calls"
	RefuseTaken    Refusal = "this key is enrolled already"
)

// signers are the roles that may sign a bundle.
var signers = []ringfence.Role{ringfence.RoleOps, ringfence.RoleRisk, ringfence.RoleAdmin}

// signed verifies one approval in the transaction that uses it and returns
// the person.
func (s *Shelf) signed(ctx context.Context, tx ledger.Tx, a Approval, msg [32]byte, roles []ringfence.Role) (ringfence.Person, Refusal, error) {
	p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(a.Person))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return p, RefuseSigner, err
	}
	if err != nil || !slices.ContainsFunc(roles, func(r ringfence.Role) bool { return p.Has(r, tx.Now()) }) {
		return ringfence.Person{}, RefuseSigner, nil
	}
	var ok bool
	switch {
	case a.Key != "" && a.Authenticator == "":
		ok, err = keySigned(ctx, tx, a, msg)
	case a.Key == "" && a.Authenticator != "":
		ok, err = s.passkeySigned(ctx, tx, a, msg)
	}
	if err != nil || !ok {
		return ringfence.Person{}, RefuseKey, err
	}
	return p, Done, nil
}

func keySigned(ctx context.Context, tx ledger.Tx, a Approval, msg [32]byte) (bool, error) {
	k, _, err := ledger.Read[Key](ctx, tx, kindKey, a.Key)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil && k.Person == a.Person && k.Status == ringfence.StatusActive && !tx.Now().Before(k.Since) &&
		len(k.Public) == ed25519.PublicKeySize && ed25519.Verify(k.Public, msg[:], a.Signature), err
}

// passkeySigned: the first passkey counts as soon as the person's roles do, a
// later one after the waiting time (invariant 20), as in the gate.
func (s *Shelf) passkeySigned(ctx context.Context, tx ledger.Tx, a Approval, msg [32]byte) (bool, error) {
	if s.cfg.CheckPasskey == nil {
		return false, nil
	}
	all, err := ledger.Rows[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, ledger.Query{Key: "subject", Value: string(a.Person)})
	if err != nil {
		return false, err
	}
	var mine ringfence.Authenticator
	first := time.Time{}
	for _, one := range all {
		if one.Type != ringfence.AuthPasskey {
			continue
		}
		if first.IsZero() || one.StoredAt.Before(first) {
			first = one.StoredAt
		}
		if one.ID == a.Authenticator {
			mine = one
		}
	}
	since := mine.StoredAt
	if mine.BoundAt.After(since) {
		since = mine.BoundAt // when a colleague confirmed it
	}
	old := !mine.StoredAt.IsZero() && (!mine.StoredAt.After(first) || tx.Now().Sub(since) >= keyWait)
	return old && mine.Status == ringfence.StatusActive && string(mine.Subject) == string(a.Person) &&
		s.cfg.CheckPasskey(ctx, mine, msg, a.Signature) == nil, nil
}

// enough judges the signatures of a proposal together: all of them are
// verified anew, by different persons with different keys.
func (s *Shelf) enough(ctx context.Context, tx ledger.Tx, msg [32]byte, sigs []Approval, want int, risk bool) (Refusal, error) {
	if s.cfg.SingleOperator {
		want = min(want, 1)
	}
	people, hasRisk := map[ringfence.PersonID]bool{}, false
	for _, a := range sigs {
		p, refusal, err := s.signed(ctx, tx, a, msg, signers)
		if err != nil {
			return refusal, err
		}
		if refusal != Done {
			continue // left, was suspended or lost the key meanwhile
		}
		people[p.ID] = true
		hasRisk = hasRisk || p.Has(ringfence.RoleRisk, tx.Now())
	}
	switch {
	case len(people) == 0 || len(people) < want:
		return RefuseMoreSign, nil
	case risk && !hasRisk:
		return RefuseRisk, nil
	}
	return Done, nil
}

// listed writes who signed into the data of an entry.
func listed(data map[string]string, sigs []Approval) map[string]string {
	for i, a := range sigs {
		sum := sha256.Sum256(a.Signature)
		data[fmt.Sprintf("signed_%d", i+1)] = string(a.Person) + " " + ringfence.Digest(sum).String()
	}
	return data
}

func persons(sigs []Approval) []ringfence.PersonID {
	var out []ringfence.PersonID
	for _, a := range sigs {
		out = append(out, a.Person)
	}
	return out
}

// ErrSigner is returned by CheckKey for a signature that does not count.
var ErrSigner = errors.New("shelf: not signed by an enrolled key of this person that may sign yet")

// CheckKey verifies a signature by an enrolled key, in a transaction of
// whoever asks. What the person may do is not judged here.
func CheckKey(ctx context.Context, tx ledger.Tx, a Approval, msg [32]byte) error {
	ok, err := keySigned(ctx, tx, a, msg)
	if err == nil && !ok {
		err = ErrSigner
	}
	return err
}
