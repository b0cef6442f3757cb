package shelf

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Key is an Ed25519 key with which a person signs bundles on the command line.
// Its id is the hexadecimal SHA-256 of the public key.
type Key struct {
	ID     string             `json:"id"`
	Person ringfence.PersonID `json:"person"`
	Public ed25519.PublicKey  `json:"public"`
	Status ringfence.Status   `json:"status"`
	// Since is when it may sign; zero while signatures are missing.
	Since    time.Time  `json:"since"`
	StoredAt time.Time  `json:"stored_at"`
	Signed   []Approval `json:"signed,omitempty"` // by those who vouch for it
}

// KeyID names a public key.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:])
}

// KeyMessage is the 32 bytes that two persons sign to enrol a key for a third.
func KeyMessage(tenant ringfence.TenantID, person ringfence.PersonID, public ed25519.PublicKey) [32]byte {
	return sha256.Sum256(slices.Concat([]byte("ringfence/key/v1\x00"+string(tenant)+"\x00"+string(person)+"\x00"), public))
}

// KeyResult says where an enrolment stands.
type KeyResult struct {
	Refused Refusal   `json:"refused,omitempty"`
	Key     string    `json:"key"`
	Since   time.Time `json:"since,omitzero"` // zero: signatures are missing
}

// statusPending is a key that waits for signatures; it signs nothing.
const statusPending ringfence.Status = "pending"

// EnrolKey enrols a key for a person, signed by two others with role admin or
// risk over KeyMessage; it may sign 24 hours later. Each call may bring one
// signature or none. The first two persons, before any subject is stored,
// need no signature for their first key and do not wait (invariant 20). A key
// whose person loses their roles signs nothing.
func (s *Shelf) EnrolKey(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, public ed25519.PublicKey, sigs ...Approval) (out KeyResult, err error) {
	if len(public) != ed25519.PublicKeySize {
		return out, errors.New("shelf: want an Ed25519 public key of 32 bytes")
	}
	msg := KeyMessage(tenant, person, public)
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = KeyResult{Key: KeyID(public)}
		_, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(person))
		if errors.Is(err, ledger.ErrNotFound) {
			out.Refused = RefuseSigner
			return nil
		}
		if err != nil {
			return err
		}
		k, version, err := ledger.Read[Key](ctx, tx, kindKey, out.Key)
		if errors.Is(err, ledger.ErrNotFound) {
			k = Key{ID: out.Key, Person: person, Public: public, Status: statusPending, StoredAt: tx.Now()}
		} else if err != nil {
			return err
		} else if k.Person != person || k.Status != statusPending {
			out.Refused = RefuseTaken
			return nil
		}
		for _, a := range sigs {
			if a.Person == person {
				out.Refused = RefuseSigner // nobody vouches for a key of their own
				return nil
			}
			if _, out.Refused, err = s.signed(ctx, tx, a, msg, vouchers); err != nil || out.Refused != Done {
				return err
			}
			k.Signed = append(slices.DeleteFunc(k.Signed, func(o Approval) bool { return o.Person == a.Person }), a)
		}
		exempt, err := s.exempt(ctx, tx, person)
		if err != nil {
			return err
		}
		return s.putKey(ctx, tx, k, version, exempt, msg, &out)
	})
	return out, err
}

var vouchers = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk}

func (s *Shelf) putKey(ctx context.Context, tx ledger.Tx, k Key, version int64, exempt bool, msg [32]byte, out *KeyResult) error {
	want := 2
	if s.cfg.SingleOperator {
		want = 1
	}
	vouched := map[ringfence.PersonID]bool{}
	for _, a := range k.Signed {
		if _, refusal, err := s.signed(ctx, tx, a, msg, vouchers); err != nil {
			return err
		} else if refusal == Done {
			vouched[a.Person] = true
		}
	}
	switch {
	case exempt:
		k.Status, k.Since = ringfence.StatusActive, tx.Now()
	case len(vouched) >= want:
		k.Status, k.Since = ringfence.StatusActive, tx.Now().Add(keyWait)
	default:
		out.Refused = RefuseMoreSign
	}
	rec := ledger.Record{Kind: kindKey, ID: k.ID, Version: version, Sort: tx.Now().UnixNano(), Keys: map[string]string{"person": string(k.Person)}}
	if err := ledger.Write(ctx, tx, &rec, k); err != nil || out.Refused != Done {
		return err
	}
	out.Since = k.Since
	_, err := tx.Append(ctx, ledger.Entry{Event: "authenticator.added", Person: k.Person, Object: k.ID, Data: listed(map[string]string{
		"type": "ed25519", "since": k.Since.UTC().Format(time.RFC3339), "exempt": fmt.Sprint(exempt)}, k.Signed)})
	return err
}

// exempt: at most two persons are there, no subject is stored, and the person
// has no other key.
func (s *Shelf) exempt(ctx context.Context, tx ledger.Tx, person ringfence.PersonID) (bool, error) {
	subjects, err := tx.List(ctx, ledger.KindSubject, ledger.Query{Limit: 1})
	if err != nil || len(subjects) > 0 {
		return false, err
	}
	people, err := tx.List(ctx, ledger.KindPerson, ledger.Query{Limit: 3})
	if err != nil || len(people) > 2 {
		return false, err
	}
	keys, err := ledger.Rows[Key](ctx, tx, kindKey, ledger.Query{Key: "person", Value: string(person)})
	active := slices.ContainsFunc(keys, func(k Key) bool { return k.Status == ringfence.StatusActive })
	return err == nil && !active, err
}
