package shelf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Config is what a Shelf works with. Store and Base are needed.
type Config struct {
	Store ledger.Store
	// Base is in force while a tenant never published anything.
	Base *flows.Bundle
	// Prove proves a bundle anew whenever this process loads it; it is also what
	// writes the certificate that is kept with a bundle. nil = lint only, which
	// flows does whatever is said here.
	Prove func(*flows.Bundle) (flows.Certificate, error)
	// Accept says why a bundle cannot serve the tenant, e.g. because a line
	// names a flow that it does not have. Optional.
	Accept func(ringfence.TenantID, *flows.Bundle) error
	// CheckPasskey verifies a passkey assertion over a message, as the gate
	// does for approvals. nil refuses them all; enrolled keys still sign.
	CheckPasskey func(ctx context.Context, passkey ringfence.Authenticator, message [32]byte, assertion []byte) error
	// Audio is the folder that Base was read from, for its recordings. Optional.
	Audio fs.FS
	// CheckAudio says why a recording cannot be played. Optional.
	CheckAudio func(wav []byte) error
	// SingleOperator waives the second person, never role risk.
	SingleOperator bool
	Log            *slog.Logger
}

// Shelf hands out the bundle in force. It is safe for concurrent use.
type Shelf struct {
	cfg Config

	mu    sync.Mutex // one refresh at a time
	views sync.Map   // ringfence.TenantID → *atomic.Pointer[view]

	shadows sync.Map // ringfence.TenantID → *shadowing
}

// view is what one tenant runs, never changed once it is shown.
type view struct {
	version  int64
	state    state
	current  *flows.Bundle
	ramp     *flows.Bundle
	byHash   map[string]*flows.Bundle
	policies map[[32]byte]*policy.Policy
}

// New returns a shelf. Nothing is in force for a tenant before Refresh.
func New(cfg Config) (*Shelf, error) {
	if cfg.Store == nil || cfg.Base == nil {
		return nil, errors.New("shelf: want a store and a base")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Shelf{cfg: cfg}, nil
}

func (s *Shelf) view(tenant ringfence.TenantID) *view {
	if p, ok := s.views.Load(tenant); ok {
		return p.(*atomic.Pointer[view]).Load()
	}
	return nil
}

// Current returns the bundle in force; nil when none is known, which refuses.
func (s *Shelf) Current(tenant ringfence.TenantID) *flows.Bundle {
	if v := s.view(tenant); v != nil {
		return v.current
	}
	return nil
}

// ByHash returns a bundle that was in force once, nil for any other.
func (s *Shelf) ByHash(tenant ringfence.TenantID, hash string) *flows.Bundle {
	if v := s.view(tenant); v != nil {
		return v.byHash[hash]
	}
	return nil
}

// Policy returns the policy in force; nil refuses.
func (s *Shelf) Policy(tenant ringfence.TenantID) *policy.Policy {
	if b := s.Current(tenant); b != nil {
		return b.Policy()
	}
	return nil
}

// PolicyByHash returns the policy of a bundle that was in force once.
func (s *Shelf) PolicyByHash(tenant ringfence.TenantID, hash [32]byte) *policy.Policy {
	if v := s.view(tenant); v != nil {
		return v.policies[hash]
	}
	return nil
}

// load makes a bundle of stored bytes. They have to be what their name says,
// and to hold under this very version of the engine.
func (s *Shelf) load(hash string, canonical []byte) (*flows.Bundle, error) {
	return s.take(hash, storedBundle{Canonical: canonical})
}

// parse is load without the proof.
func (s *Shelf) parse(hash string, canonical []byte) (*flows.Bundle, error) {
	if hash == s.cfg.Base.HashText() {
		return s.cfg.Base, nil
	}
	b, found := flows.ReadBundle(canonical)
	if b == nil {
		return nil, fmt.Errorf("bundle %s does not load: %s", short(hash), firstError(found))
	}
	if b.HashText() != hash {
		return nil, fmt.Errorf("the bytes of bundle %s are those of %s", short(hash), short(b.HashText()))
	}
	return b, nil
}

func (s *Shelf) prove(b *flows.Bundle) error {
	_, err := s.certify(b)
	return err
}

// certify proves a bundle here and now.
func (s *Shelf) certify(b *flows.Bundle) (flows.Certificate, error) {
	if s.cfg.Prove == nil {
		return flows.Certificate{}, nil
	}
	c, err := s.cfg.Prove(b)
	if err != nil {
		return c, fmt.Errorf("bundle %s is not proved by this version: %v", short(b.HashText()), err)
	}
	return c, nil
}

// take makes a bundle of what is stored. Its certificate convinces nobody: the
// proof is done anew, and a certificate of this very version that says
// something else means that somebody wrote into the store.
func (s *Shelf) take(hash string, row storedBundle) (*flows.Bundle, error) {
	b, err := s.parse(hash, row.Canonical)
	if err != nil || b == s.cfg.Base {
		return b, err
	}
	now, err := s.certify(b)
	if err != nil || len(row.Certificate) == 0 {
		return b, err
	}
	kept, err := flows.ReadCertificate(row.Certificate)
	switch {
	case err != nil:
		return nil, fmt.Errorf("bundle %s: %v", short(hash), err)
	case kept.Bundle != hash || kept.Result != flows.ResultProved:
		return nil, fmt.Errorf("the certificate of bundle %s is not that of a proof of it", short(hash))
	case s.cfg.Prove != nil && kept.Engine == now.Engine && !bytes.Equal(kept.Canonical(), now.Canonical()):
		return nil, fmt.Errorf("the certificate of bundle %s is not the one that this version writes", short(hash))
	}
	return b, nil
}

// accept asks whether the tenant can run on a bundle.
func (s *Shelf) accept(tenant ringfence.TenantID, b *flows.Bundle) error {
	if s.cfg.Accept == nil {
		return nil
	}
	if err := s.cfg.Accept(tenant, b); err != nil {
		return fmt.Errorf("bundle %s cannot serve: %v", short(b.HashText()), err)
	}
	return nil
}

func firstError(list []flows.Diagnostic) string {
	for _, d := range list {
		if policy.Failed([]policy.Diagnostic{d}) {
			return d.String()
		}
	}
	return "it has errors"
}

func short(hash string) string { return hash[:min(len(hash), 12)] }

// pollEvery is how soon a process notices what another one published.
const pollEvery = time.Second

// Run keeps the tenant up to date, and watches its ramp, until ctx ends.
func (s *Shelf) Run(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(pollEvery)
	defer every.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := s.Refresh(ctx, tenant)
		if err == nil {
			err = errors.Join(s.Watch(ctx, tenant), s.refreshShadow(ctx, tenant), s.keepFollowed(ctx, tenant))
		}
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said: // once, not every second
			said = err.Error()
			s.cfg.Log.Error("publications not taken up; what ran goes on", "tenant", string(tenant), "err", err)
		}
	}
}
