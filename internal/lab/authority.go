package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// Authority is a certificate authority for calls with the server from which
// verifiers fetch its certificates, and a provider that signs with one of them.
type Authority struct {
	ca     *stirtest.Authority
	signer *stirshaken.Signer
	addr   string
	server *http.Server
	wg     sync.WaitGroup

	mu      sync.Mutex
	fetched int
}

// NewAuthority makes the keys and opens the server on a free loopback port.
func NewAuthority(now time.Time) (*Authority, error) {
	ca, err := stirtest.New(now)
	if err != nil {
		return nil, err
	}
	leaf, err := ca.Leaf(stirtest.Options{Name: "carrier", SPC: "1234"})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &Authority{ca: ca, addr: ln.Addr().String()}
	a.server = &http.Server{Handler: a.counted(ca.Handler()), ReadHeaderTimeout: 5 * time.Second}
	if a.signer, err = leaf.Signer("http://" + a.addr + "/carrier.pem"); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	a.wg.Go(func() { _ = a.server.Serve(ln) })
	return a, nil
}

func (a *Authority) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.fetched++
		a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// RootPEM is what a verifier must trust to believe this carrier.
func (a *Authority) RootPEM() []byte { return a.ca.RootPEM() }

// Host is the host:port that a verifier must allow as a lab's.
func (a *Authority) Host() string { return a.addr }

// Fetched counts the requests for certificates so far.
func (a *Authority) Fetched() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetched
}

// Sign makes the Identity values of a call from orig to dest; the empty
// attestation signs nothing.
func (a *Authority) Sign(attest ringfence.Attest, orig, dest string) ([]string, error) {
	if attest == ringfence.AttestNone {
		return nil, nil
	}
	now := time.Now()
	signed, refused, err := a.signer.Sign(stirshaken.SigningRequest{Orig: stirshaken.Party{TN: ringfence.TN(orig)},
		Dest: []stirshaken.Party{{TN: ringfence.TN(dest)}}, Attest: attest, Iat: now}, now)
	if err != nil {
		return nil, err
	}
	if refused != "" {
		return nil, fmt.Errorf("lab: the carrier would not sign: %s", refused)
	}
	return []string{signed.Identity}, nil
}

// Close ends the server.
func (a *Authority) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := a.server.Shutdown(ctx)
	a.wg.Wait()
	return err
}
