package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// kindClient holds Client.
const kindClient ledger.Kind = "client"

const prefixClient = "cli"

// Client is a service account: a bank's core system, an ERP, an executor, a
// customer channel. The zero Client may do nothing.
type Client struct {
	ID   string `json:"id"` // cli_…
	Name string `json:"name"`
	// SecretHash is the SHA-256, in hexadecimal, of a 256-bit random secret
	// that was shown once.
	SecretHash string         `json:"secret_hash"`
	Scopes     []Scope        `json:"scopes"`
	Networks   []netip.Prefix `json:"networks,omitempty"` // empty = from anywhere the listener is reached
	Executor   string         `json:"executor,omitempty"` // the executor it is; permits are bound to it
	Channel    string         `json:"channel,omitempty"`  // customer channel: how persons log in there
	// Key is the RFC 7638 thumbprint (base64url of SHA-256) of the key that the
	// account proves possession of by DPoP; Certificate that of its client
	// certificate (x5t#S256). With either set the credential alone opens
	// nothing; an executor has one of them.
	Key         string `json:"key,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	// By is who made it and was shown its secret; "" = the configuration.
	By       ringfence.PersonID `json:"by,omitempty"`
	StoredAt time.Time          `json:"stored_at"`
	Status   ringfence.Status   `json:"status"`
	// Dropped: it is removed because the configuration no longer names it, and
	// comes back when it does. What a person removed stays removed.
	Dropped bool `json:"dropped,omitempty"`
}

// CreateClient stores a service account and returns its bearer credential,
// which is shown once and kept only as a hash.
func (s *Server) CreateClient(ctx context.Context, tenant ringfence.TenantID, c Client, by ringfence.PersonID) (Client, ringfence.Secret, error) {
	if c.Name == "" || len(c.Scopes) == 0 {
		return Client{}, nil, problem.New(problem.Unprocessable, "A service account needs a name and at least one scope.")
	}
	for _, sc := range c.Scopes {
		if !slices.Contains(scopes, sc) {
			return Client{}, nil, problem.New(problem.Unprocessable, fmt.Sprintf("There is no scope %q.", sc))
		}
	}
	if slices.Contains(c.Scopes, ScopeExecute) != (c.Executor != "") {
		return Client{}, nil, problem.New(problem.Unprocessable, "The scope execute goes with the name of an executor, and only with it.")
	}
	if c.Executor != "" && c.Key == "" && c.Certificate == "" {
		return Client{}, nil, problem.New(problem.Unprocessable, "An executor needs a key of its own: the thumbprint of a DPoP key or of a client certificate.")
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Client{}, nil, err
	}
	c.ID, c.By = ringfence.NewID[string](prefixClient), by
	secret := base64.RawURLEncoding.EncodeToString(raw[:])
	c.SecretHash, c.Status = hashSecret(secret), ringfence.StatusActive
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		if by != "" { // what the machine's own configuration says is its owner's to say
			if err := alone(ctx, tx, c.Executor); err != nil {
				return err
			}
		}
		c.StoredAt = tx.Now()
		rec := ledger.Record{Kind: kindClient, ID: c.ID, Sort: c.StoredAt.UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, c); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "config.changed", Person: by, Object: c.ID, Data: map[string]string{"what": "service account added"}})
		return err
	})
	if err != nil {
		return Client{}, nil, err
	}
	return c, ringfence.Secret(string(tenant) + "." + c.ID + "." + secret), nil
}

// alone refuses a second credential for an executor: whoever had it could redeem
// what was released for the first. It is ended first, which the first notices.
func alone(ctx context.Context, tx ledger.Tx, executor string) error {
	if executor == "" {
		return nil
	}
	return eachClient(ctx, tx, func(c Client, _ int64) error {
		if c.Executor == executor && c.Status == ringfence.StatusActive {
			return problem.New(problem.Conflict, "That executor has a credential. End it before you make another.")
		}
		return nil
	})
}

// eachClient hands f every service account with its version, the ended ones as
// well, until f returns an error.
func eachClient(ctx context.Context, tx ledger.Tx, f func(c Client, version int64) error) error {
	for rec, err := range ledger.All(ctx, tx, kindClient, ledger.Query{}) {
		if err != nil {
			return err
		}
		c, err := ledger.Decode[Client](rec)
		if err != nil {
			return err
		}
		if err := f(c, rec.Version); err != nil {
			return err
		}
	}
	return nil
}

// authenticateClient finds the service account of a bearer credential, which
// is tenant.id.secret. Every miss reads the same.
func (s *Server) authenticateClient(r *http.Request, header string) (principal, error) {
	no := problem.New(problem.Unauthenticated, "The credential is not known.")
	scheme, credential, _ := strings.Cut(header, " ")
	part := strings.Split(credential, ".")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") || len(part) != 3 || !ringfence.ValidID(part[1], prefixClient) {
		return principal{}, no
	}
	tenant := ringfence.TenantID(part[0])
	if tenant != ringfence.DefaultTenant && !ringfence.ValidID(part[0], ringfence.PrefixTenant) {
		return principal{}, no
	}
	var c Client
	var now time.Time
	err := s.cfg.Store.View(r.Context(), tenant, func(tx ledger.Tx) (err error) {
		now = tx.Now()
		c, _, err = ledger.Read[Client](r.Context(), tx, kindClient, part[1])
		return err
	})
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return principal{}, err
	}
	have := sha256.Sum256([]byte(part[2]))
	want, _ := hex.DecodeString(c.SecretHash) // nothing, which equals no hash, when there is none
	if subtle.ConstantTimeCompare(have[:], want) != 1 || c.Status != ringfence.StatusActive || !c.from(r.RemoteAddr) {
		return principal{}, no
	}
	if (c.Key != "" || c.Certificate != "") && !s.proofs.holds(r, c, credential, now) {
		return principal{}, errNoProof
	}
	return principal{tenant: tenant, client: c, at: now}, nil
}

// same refuses an account that was ended, or got another secret, scope or
// network, since it was read.
func (c Client) same(ctx context.Context, tx ledger.Tx) error {
	now, _, err := ledger.Read[Client](ctx, tx, kindClient, c.ID)
	if err == nil && (now.Status != ringfence.StatusActive || now.SecretHash != c.SecretHash || now.Key != c.Key || now.Certificate != c.Certificate ||
		!slices.Equal(now.Scopes, c.Scopes) || !slices.Equal(now.Networks, c.Networks)) {
		err = ledger.ErrNotFound
	}
	return err
}

// from reports whether the account may be used from the address.
func (c Client) from(remote string) bool {
	if len(c.Networks) == 0 {
		return true
	}
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool { return n.Contains(at.Addr().Unmap()) })
}
