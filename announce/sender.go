package announce

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
)

// Endpoint is where an executor listens.
type Endpoint struct {
	Executor string
	// URL is https, or http on loopback, without user and fragment.
	URL string
	// Secret is "whsec_" and the base64 of 24 to 64 random bytes.
	Secret ringfence.Secret
	// Networks are addresses that are not public and may be dialled for it.
	Networks []netip.Prefix
}

// Config is what a Sender is made of.
type Config struct {
	Store     ledger.Store
	Endpoints []Endpoint
	// Look is how often an endpoint's deliveries are looked for, beside being
	// woken. Zero means 1 s.
	Look time.Duration
	// Timeout bounds one request. Zero means 10 s.
	Timeout time.Duration
	// Log takes what went wrong; nil discards.
	Log *slog.Logger
}

// Sender sends announcements. It is safe for concurrent use.
type Sender struct {
	cfg       Config
	log       *slog.Logger
	endpoints map[string]*endpoint
}

type endpoint struct {
	Endpoint
	sign   *standardwebhooks.Webhook
	client *http.Client
	bell   chan struct{} // holds a value after something was owed
}

// New returns a Sender, or says what of an endpoint is wrong.
func New(cfg Config) (*Sender, error) {
	if cfg.Look == 0 {
		cfg.Look = time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	s := &Sender{cfg: cfg, log: cfg.Log, endpoints: map[string]*endpoint{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, e := range cfg.Endpoints {
		made, err := newEndpoint(e, cfg.Timeout)
		if err != nil {
			return nil, fmt.Errorf("webhook of %s: %w", e.Executor, err)
		}
		s.endpoints[e.Executor] = made
	}
	return s, nil
}

func newEndpoint(e Endpoint, timeout time.Duration) (*endpoint, error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the address is no plain URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, errors.New("off loopback the address begins with https")
	}
	text, ok := strings.CutPrefix(string(e.Secret), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("the secret is whsec_ and the base64 of 24 to 64 random bytes")
	}
	sign, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("the secret cannot sign")
	}
	dial := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return e.mayDial(address) }}
	transport := &http.Transport{DialContext: dial.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: timeout,
		MaxResponseHeaderBytes: 32 << 10, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2}
	client := &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &endpoint{Endpoint: e, sign: sign, client: client, bell: make(chan struct{}, 1)}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// errAddress is returned for an address that must not be dialled.
var errAddress = errors.New("the name leads to an address that is not public: name its network in webhook_networks")

// mayDial judges the very address that is about to be dialled, so that a name
// that answers differently the second time gains nothing.
func (e Endpoint) mayDial(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	ip := at.Addr().Unmap()
	if slices.ContainsFunc(e.Networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return nil
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(reserved, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return errAddress
	}
	return nil
}

// reserved are networks that IsPrivate does not know: shared address space
// (RFC 6598), benchmarks (RFC 2544), 0/8 and 240/4 (RFC 6890), documentation
// (RFC 5737, RFC 3849), discard (RFC 6666), site-local (RFC 3879), and prefixes
// that embed IPv4 addresses (RFC 4291, RFC 6052, RFC 3056, RFC 3068, RFC 4380).
var reserved = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}

func (s *Sender) wake(executor string) {
	if e := s.endpoints[executor]; e != nil {
		select {
		case e.bell <- struct{}{}:
		default:
		}
	}
}

// Run sends what is owed to the executors of a tenant until ctx ends, each by
// itself, so that one that hangs delays no other.
func (s *Sender) Run(ctx context.Context, tenant ringfence.TenantID) {
	var all sync.WaitGroup
	for _, e := range s.endpoints {
		all.Go(func() { s.serve(ctx, tenant, e) })
	}
	all.Wait()
}

func (s *Sender) serve(ctx context.Context, tenant ringfence.TenantID, e *endpoint) {
	defer e.client.CloseIdleConnections()
	tick := time.NewTicker(s.cfg.Look)
	defer tick.Stop()
	for {
		if err := s.sendDue(ctx, tenant, e); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "announcements", "executor", e.Executor, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.bell:
		}
	}
}

// atOnce is how many deliveries one look sends to an executor.
const atOnce = 100

// sendDue sends what is due to one executor. When it does not answer, the rest
// waits for the next look.
func (s *Sender) sendDue(ctx context.Context, tenant ringfence.TenantID, e *endpoint) error {
	var due []Delivery
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		due = nil
		for rec, err := range ledger.All(ctx, tx, kindDelivery, ledger.Query{Key: "due", Value: e.Executor}) {
			if err != nil || len(due) == atOnce {
				return err
			}
			d, err := ledger.Decode[Delivery](rec)
			if err != nil {
				return err
			}
			if !d.Next.After(tx.Now()) {
				due = append(due, d)
			}
		}
		return nil
	})
	for i := 0; err == nil && i < len(due) && ctx.Err() == nil; i++ {
		a := e.send(ctx, tenant, due[i])
		if ctx.Err() != nil {
			return nil // stopped in the middle: it is owed still
		}
		failpoint.Hit(failpoint.AnnounceSent)
		err = s.settle(ctx, tenant, due[i].ID, a)
		if a.Status == 0 {
			return err
		}
	}
	return err
}

// body is what is sent; it is the same at every attempt.
func (d Delivery) body(tenant ringfence.TenantID) ([]byte, error) {
	return json.Marshal(map[string]any{"type": "release.ready", "timestamp": d.At.UTC().Format(time.RFC3339Nano),
		"data": map[string]any{"tenant": tenant, "release": d.Release, "executor": d.Executor}})
}

// send makes one request.
func (e *endpoint) send(ctx context.Context, tenant ringfence.TenantID, d Delivery) Attempt {
	began := time.Now()
	a := Attempt{At: began.UTC()}
	status, err := e.post(ctx, tenant, d, began)
	a.Status, a.Millis = status, time.Since(began).Milliseconds()
	switch {
	case errors.Is(err, errAddress):
		a.Says = errAddress.Error()
	case errors.Is(err, context.DeadlineExceeded):
		a.Says = "no answer in time"
	case err != nil:
		a.Says = "not reached, or no answer"
	}
	return a
}

func (e *endpoint) post(ctx context.Context, tenant ringfence.TenantID, d Delivery, now time.Time) (int, error) {
	body, err := d.body(tenant)
	if err != nil {
		return 0, err
	}
	signature, err := e.sign.Sign(d.ID, now, body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ringfence")
	req.Header.Set(standardwebhooks.HeaderWebhookID, d.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return resp.StatusCode, nil
}
