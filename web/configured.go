package web

import (
	"context"
	"crypto/sha256"
	"errors"
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
		if version == 0 {
			c.StoredAt = tx.Now()
		} else if sameClient(old, c) {
			return nil
		}
		rec := ledger.Record{Kind: kindClient, ID: c.ID, Version: version, Sort: c.StoredAt.UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, c); err != nil {
			return err
		}
		_, err = tx.Append(ctx, ledger.Entry{Event: "config.changed", Object: c.ID, Data: map[string]string{"what": "service account of the configuration"}})
		return err
	})
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
