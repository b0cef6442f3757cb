package verify

import (
	"cmp"
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Identify finds the subject of a kind by one of its identifying fields, or
// makes one up: an id that is always the same for the same claim, that nobody
// without the pepper can tell from a real one, and that no store holds.
// Challenges for it are decoys (invariant 23). known is for the gate's own
// records and the agent's console after a proof, never for a prompt.
func (v *Verifier) Identify(ctx context.Context, tenant ringfence.TenantID, kind ringfence.SubjectKind, field, value string) (s ringfence.Subject, known bool, err error) {
	err = v.cfg.Store.View(ctx, tenant, func(tx Tx) error {
		s, known, err = FindSubject(ctx, tx, kind, field, value)
		return err
	})
	if err != nil {
		return ringfence.Subject{}, false, err
	}
	nobody := ringfence.Subject{ID: v.nobody(tenant, kind, field, value), Tenant: tenant, Kind: kind, Status: ringfence.StatusActive, Record: map[string]string{field: value}}
	if !known {
		return nobody, false, nil
	}
	return s, true, nil
}

// nobody is the id of the subject that a false claim names: 128 bits of a
// keyed hash in the form of an id.
func (v *Verifier) nobody(tenant ringfence.TenantID, kind ringfence.SubjectKind, field, value string) ringfence.SubjectID {
	sum := Keyed(v.cfg.Pepper, "nobody", []byte(tenant), []byte(kind), []byte(field), []byte(value))
	const crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	// 17 bytes give 28 characters; an id has 26, the first of 3 bits.
	text := base32.NewEncoding(crockford).WithPadding(base32.NoPadding).EncodeToString(sum[:17])[:26]
	return ringfence.SubjectID(ringfence.PrefixSubject + "_" + string(crockford[strings.IndexByte(crockford, text[0])&7]) + text[1:])
}

// FindSubject reads the active subject of a kind whose identifying field has
// exactly this value. Two matches are none.
func FindSubject(ctx context.Context, tx Tx, kind ringfence.SubjectKind, field, value string) (ringfence.Subject, bool, error) {
	if value == "" {
		return ringfence.Subject{}, false, nil
	}
	recs, err := tx.List(ctx, ledger.KindSubject, Query{Key: string(kind) + ":" + field, Value: value, Limit: 2})
	if err != nil || len(recs) != 1 {
		return ringfence.Subject{}, false, err
	}
	var s ringfence.Subject
	if err := json.Unmarshal(recs[0].Body, &s); err != nil {
		return ringfence.Subject{}, false, fmt.Errorf("subject %s: %v", recs[0].ID, err)
	}
	return s, s.Status == ringfence.StatusActive && s.Kind == kind, nil
}

// SubjectByID reads a subject that a console or a job named.
func SubjectByID(ctx context.Context, tx Tx, id ringfence.SubjectID) (ringfence.Subject, error) {
	s, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(id))
	return s, err
}

// ContactPoints lists all contact points of a subject, whatever their status,
// the longest unchanged first.
func ContactPoints(ctx context.Context, tx Tx, subject ringfence.SubjectID) ([]ringfence.ContactPoint, error) {
	list, err := bySubject[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, subject)
	slices.SortFunc(list, func(a, b ringfence.ContactPoint) int {
		return cmp.Or(a.ChangedAt.Compare(b.ChangedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// Authenticators lists all authenticators of a subject (or of a person, whose
// id stands in its place), whatever their status.
func Authenticators(ctx context.Context, tx Tx, subject ringfence.SubjectID) ([]ringfence.Authenticator, error) {
	return bySubject[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, subject)
}

func bySubject[T any](ctx context.Context, tx Tx, kind Kind, subject ringfence.SubjectID) ([]T, error) {
	if subject == "" {
		return nil, nil
	}
	return ledger.Rows[T](ctx, tx, kind, Query{Key: "subject", Value: string(subject)})
}

func decodeAuthenticator(rec Record) (ringfence.Authenticator, error) {
	var a ringfence.Authenticator
	if err := json.Unmarshal(rec.Body, &a); err != nil {
		return a, fmt.Errorf("%s %s: %v", rec.Kind, rec.ID, err)
	}
	return a, nil
}

// active keeps the active authenticators of one type.
func active(list []ringfence.Authenticator, t ringfence.AuthenticatorType) []ringfence.Authenticator {
	return slices.DeleteFunc(list, func(a ringfence.Authenticator) bool {
		return a.Type != t || a.Status != ringfence.StatusActive
	})
}
