package gate

import (
	"context"
	"maps"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// EnrolSubject stores a passkey that a subject made on an invited link, or the
// recovery codes that they were shown there, as pending. It counts for nothing
// until a released action binds it: a link alone changes no authenticator.
func (g *Gate) EnrolSubject(ctx context.Context, tx ledger.Tx, a ringfence.Authenticator) error {
	s, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(a.Subject))
	if err != nil {
		return err
	}
	if s.Status != ringfence.StatusActive || a.Type != ringfence.AuthPasskey && a.Type != ringfence.AuthRecovery {
		return ErrForbidden
	}
	a.Status = ringfence.StatusPending
	return g.enrol(ctx, tx, a, nil, ledger.Entry{Event: "authenticator.added", Subject: s.ID, Object: string(a.ID), Data: map[string]string{"status": "pending", "type": string(a.Type)}})
}

func (g *Gate) enrol(ctx context.Context, tx ledger.Tx, a ringfence.Authenticator, keys map[string]string, e ledger.Entry) error {
	now := tx.Now()
	a.BoundAt, a.StoredAt = now, now
	rec := ledger.Record{Kind: ledger.KindAuthenticator, ID: string(a.ID), Sort: now.UnixNano(), Keys: map[string]string{"subject": string(a.Subject)}}
	maps.Copy(rec.Keys, keys)
	if ringfence.ValidID(string(a.Subject), ringfence.PrefixSubject) {
		rec.Subject = a.Subject
	}
	if err := ledger.Write(ctx, tx, &rec, a); err != nil {
		return err
	}
	_, err := tx.Append(ctx, e)
	return err
}
