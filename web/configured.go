package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// ConfiguredClientID is the id of a service account that the configuration
// names: always the same for the same name, so that its credential can be
// written down before the first start.
func ConfiguredClientID(name string) string {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	sum := sha256.Sum256([]byte("ringfence/configured-client/v1\x00" + name))
	var b strings.Builder
	for i := range 26 {
		b.WriteByte(letters[sum[i]&31])
	}
	return prefixClient + "_" + b.String()
}

// ErrClientRemoved reports a service account of the configuration that a person
// removed in the console. It comes back with another credential only.
var ErrClientRemoved = errors.New("was removed by a person: give it another credential, or take it out of the configuration")

// PutClient stores a service account of the configuration under its own id,
// or brings a stored one up to date. It writes nothing when nothing changed.
func (s *Server) PutClient(ctx context.Context, tenant ringfence.TenantID, c Client, secret ringfence.Secret) error {
	c.ID = ConfiguredClientID(c.Name)
	c.SecretHash, c.Status = hashSecret(string(secret)), ringfence.StatusActive
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		old, version, err := ledger.Read[Client](ctx, tx, kindClient, c.ID)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		c.StoredAt = old.StoredAt
		switch {
		case version == 0:
			c.StoredAt = tx.Now()
		case old.Status == ringfence.StatusRemoved && !old.Dropped && old.SecretHash == c.SecretHash:
			return ErrClientRemoved
		case sameClient(old, c):
			return nil
		}
		return putConfigured(ctx, tx, c, version, "service account of the configuration")
	})
}

// DropClients removes the service accounts that an earlier configuration named
// and this one does not: a credential that is taken out of the file is worth
// nothing from the next start on.
func (s *Server) DropClients(ctx context.Context, tenant ringfence.TenantID, named []string) error {
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		return eachClient(ctx, tx, func(c Client, version int64) error {
			if c.ID != ConfiguredClientID(c.Name) || c.Status != ringfence.StatusActive || slices.Contains(named, c.Name) {
				return nil
			}
			c.Status, c.Dropped = ringfence.StatusRemoved, true
			return putConfigured(ctx, tx, c, version, "service account no longer in the configuration")
		})
	})
}

func putConfigured(ctx context.Context, tx ledger.Tx, c Client, version int64, what string) error {
	rec := ledger.Record{Kind: kindClient, ID: c.ID, Version: version, Sort: c.StoredAt.UnixNano()}
	if err := ledger.Write(ctx, tx, &rec, c); err != nil {
		return err
	}
	_, err := tx.Append(ctx, ledger.Entry{Event: "config.changed", Object: c.ID, Data: map[string]string{"what": what}})
	return err
}

func sameClient(a, b Client) bool {
	if a.Name != b.Name || a.SecretHash != b.SecretHash || a.Executor != b.Executor || a.Status != b.Status ||
		a.Channel != b.Channel || a.Key != b.Key || a.Certificate != b.Certificate ||
		len(a.Scopes) != len(b.Scopes) || len(a.Networks) != len(b.Networks) {
		return false
	}
	for i := range a.Scopes {
		if a.Scopes[i] != b.Scopes[i] {
			return false
		}
	}
	for i := range a.Networks {
		if a.Networks[i] != b.Networks[i] {
			return false
		}
	}
	return true
}
