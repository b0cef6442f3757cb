package executor

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
)

// Bounds of what is taken from the network.
const (
	maxAnswerBytes  = 256 << 10
	maxPermitBytes  = 8 << 10
	maxWebhookBytes = 64 << 10
)

// Config is what a Client is made of. URL, Name, Credential, Journal and a
// key (Key or a client certificate in TLS) are required.
type Config struct {
	// URL is the origin of ringfence's staff listener, https unless loopback.
	URL string
	// Name is this executor's, as ringfence has it: the audience of its permits.
	Name string
	// Issuer is the ledger.name of ringfence; empty means "ringfence".
	Issuer string
	// Tenant is whose releases these are; empty means the default tenant.
	Tenant ringfence.TenantID
	// Credential is that of the service account.
	Credential ringfence.Secret
	// Key signs DPoP proofs (RFC 9449): Ed25519 or ECDSA P-256. nil = the
	// client certificate in TLS proves who asks (RFC 8705).
	Key crypto.Signer
	// TLS sets roots and a client certificate; nil = the system's roots.
	TLS *tls.Config
	// Journal keeps what was done. A Client owns it while it runs.
	Journal Journal
	// LogKey verifies the signed head of the ledger that each permit carries
	// (note.NewVerifier over `ringfence ledger key`); nil keeps heads unread.
	LogKey note.Verifier
	// Skew is how far the clocks may be apart. Zero means 30 s; at most 2 min.
	Skew time.Duration
	// Poll is the pause between two looks for work; a webhook shortens it.
	// Zero means 2 s.
	Poll time.Duration
	// Stale bounds how long after its redemption an action may still be begun,
	// when a crash came between. Zero means 5 min.
	Stale time.Duration
	// Log takes what went wrong; nil discards. It never gets a permit, a field
	// of an action or a credential.
	Log *slog.Logger
}

// Client pulls, verifies, redeems and reports. It is safe for concurrent use.
type Client struct {
	cfg   Config
	base  *url.URL
	http  *http.Client
	proof *dpop
	log   *slog.Logger
	wake  chan struct{}
	heard heard

	busyMu sync.Mutex // guards busy
	busy   map[ringfence.ReleaseID]bool

	keysMu sync.Mutex // guards keys and fetched
	keys   jose.JSONWebKeySet
	at     time.Time // when keys were fetched
}

// New returns a Client, or says what of the configuration is wrong.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.URL, "/"))
	certified := cfg.TLS != nil && (len(cfg.TLS.Certificates) > 0 || cfg.TLS.GetClientCertificate != nil)
	switch {
	case err != nil || base.Host == "" || base.Path != "" || base.User != nil || base.RawQuery != "":
		return nil, errors.New("executor: URL is the origin of ringfence, such as https://ringfence.example.com")
	case base.Scheme != "https" && !(base.Scheme == "http" && loopback(base.Hostname())):
		return nil, errors.New("executor: off loopback the URL begins with https")
	case cfg.Name == "":
		return nil, errors.New("executor: want the name that ringfence knows this executor by")
	case len(cfg.Credential) == 0:
		return nil, errors.New("executor: want the credential of the service account")
	case cfg.Key == nil && !certified:
		return nil, errors.New("executor: want a key for DPoP, or a client certificate in TLS")
	case cfg.Journal == nil:
		return nil, errors.New("executor: want a journal: OpenJournal makes one in a file")
	case cfg.Skew < 0 || cfg.Skew > 2*time.Minute:
		return nil, errors.New("executor: Skew is within 0 and 2 minutes")
	}
	cfg.Issuer, cfg.Tenant = or(cfg.Issuer, "ringfence"), or(cfg.Tenant, ringfence.DefaultTenant)
	cfg.Skew, cfg.Poll, cfg.Stale = or(cfg.Skew, 30*time.Second), or(cfg.Poll, 2*time.Second), or(cfg.Stale, 5*time.Minute)
	c := &Client{cfg: cfg, base: base, log: cfg.Log, wake: make(chan struct{}, 1), busy: map[ringfence.ReleaseID]bool{}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Key != nil {
		if c.proof, err = newDPoP(cfg.Key); err != nil {
			return nil, err
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.TLSClientConfig = nil, cfg.TLS
	c.http = &http.Client{Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// or returns the first value that is not zero.
func or[T comparable](have, other T) T {
	var zero T
	if have == zero {
		return other
	}
	return have
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close lets go of idle connections. The journal is the caller's to close.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Ready lists the releases that wait for this executor.
func (c *Client) Ready(ctx context.Context) ([]ringfence.ReleaseID, error) {
	var out struct {
		Releases []struct {
			ID ringfence.ReleaseID `json:"id"`
		} `json:"releases"`
	}
	if err := c.get(ctx, "/v1/releases", &out); err != nil {
		return nil, err
	}
	var ids []ringfence.ReleaseID
	for _, r := range out.Releases {
		if ringfence.ValidID(string(r.ID), ringfence.PrefixRelease) {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}
