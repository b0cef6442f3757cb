package gate

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// The errors that a caller branches on.
var (
	// ErrNotFound is returned for what is not there, or is another tenant's.
	ErrNotFound = ledger.ErrNotFound
	// ErrConflict is returned when the release does not stand where the
	// request needs it, or an idempotency key came with another body.
	ErrConflict = errors.New("gate: the release has moved on")
	// ErrHeld is returned for a release that is held.
	ErrHeld = errors.New("gate: the release is held")
	// ErrExpired is returned for a permit or release past its time.
	ErrExpired = errors.New("gate: expired")
	// ErrNoSubject is returned, as the *InvalidError it is, for an action about
	// somebody who is not on file. Whoever shows it to people at a console tells
	// them who is a customer: Pretend is for them (invariant 23).
	ErrNoSubject error = &InvalidError{Field: "subject", Says: "is not known"}
	// ErrForbidden is returned to a person, client or executor that may not
	// ask this.
	ErrForbidden = errors.New("gate: not allowed")
)

// An InvalidError names the field of a request that cannot be used, and why.
type InvalidError struct {
	Field string // "" = the request as a whole
	Says  string // one sentence, without the value
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return "gate: " + e.Says
	}
	return "gate: " + e.Field + ": " + e.Says
}

// The kinds of records the gate writes, beside those of ledger.
const (
	KindRelease     ledger.Kind = "release"     // keys: state, subject, traversal, window, open, spent, ready, duress, seems
	KindApproval    ledger.Kind = "approval"    // keys: release, person
	KindPermit      ledger.Kind = "permit"      // keys: release
	KindPayee       ledger.Kind = "payee"       // keys: subject; known payees, from our own releases or a signed import
	KindMandate     ledger.Kind = "mandate"     // keys: subject
	KindImport      ledger.Kind = "import"      // one, of the first import
	KindIdempotency ledger.Kind = "idempotency" // answers already given
	kindAlarm       ledger.Kind = "alarm"       // written by verify
)

// The numbers that policies and time-outs keep to.
const (
	permitLife    = 60 * time.Second
	permitTries   = 3 // permits that may lapse unredeemed
	approvalLife  = 15 * time.Minute
	pendingLife   = 24 * time.Hour
	papersLife    = 7 * 24 * time.Hour // C5: somebody has to come with their papers
	readyLife     = 15 * time.Minute   // C0–C3
	readyLifeLong = 24 * time.Hour     // C4–C5
	payeeAge      = 72 * time.Hour     // since the payment that made a payee known
	sumWindow     = 24 * time.Hour
	lockLife      = 24 * time.Hour
	staffWait     = 24 * time.Hour
	mandateWait   = 24 * time.Hour
)

// Policies gives the policies of a tenant. Both may return nil, which refuses.
type Policies interface {
	Current(ringfence.TenantID) *policy.Policy
	ByHash(ringfence.TenantID, [32]byte) *policy.Policy
}

// Ramping is what Policies may implement too. While a bundle gets a share of
// the calls, a release must satisfy the policy it was opened under, the one in
// force, and each of these; so must what is spoken and who is connected.
type Ramping interface {
	Also(ringfence.TenantID) []*policy.Policy
}

// demanded lists the policy in force, which may be nil, and those of a ramp.
func (g *Gate) demanded(tenant ringfence.TenantID) []*policy.Policy {
	out := []*policy.Policy{g.cfg.Policies.Current(tenant)}
	if r, ok := g.cfg.Policies.(Ramping); ok {
		out = append(out, r.Also(tenant)...)
	}
	return out
}

// Config is what the gate is built from. Store, Policies, Key and Log are
// needed; without the others, what needs them is refused.
type Config struct {
	Store    ledger.Store
	Policies Policies
	// Key signs permits: Ed25519, apart from every transport key.
	Key crypto.Signer
	// Issuer stands in each permit; empty means "ringfence".
	Issuer string
	// Log signs the head that each permit carries (invariant 22).
	Log *ledger.Signer
	// Executor names the system that performs a type of action; "" = nobody
	// does, and such a release never leaves ready.
	Executor func(tenant ringfence.TenantID, action string) string
	// Signals asks for the passive observations about a release's subject and
	// call, outside any transaction and within 2 s. What it leaves out is
	// unknown, and so is a good sign that is older than signalAge. nil = all
	// unknown.
	Signals func(ctx context.Context, r Release) []ringfence.Signal
	// CheckApproval verifies that the assertion is by the named passkey of the
	// approver, with user verification, over the 32 bytes of ApprovalMessage.
	// nil refuses every approval.
	CheckApproval func(ctx context.Context, passkey ringfence.Authenticator, message [32]byte, assertion []byte) error
	// Keep turns the secret field of an action into what an authenticator holds.
	// nil refuses actions that carry one.
	Keep func(ctx context.Context, k Keeping) (Kept, error)
	// CheckKey verifies a signature by a person's enrolled command-line key that
	// may sign by now; it serves NewEpoch and Erase only. nil refuses them all.
	CheckKey func(ctx context.Context, tx ledger.Tx, s Signature, message [32]byte) error
	// Frozen says why nothing of C2 and above may go now (clock, store), or "".
	Frozen func(ringfence.TenantID) policy.Reason
	// Changed is told of every durable change of a release, after it, on the
	// goroutine that made it; it must not block. What an executor may fetch is
	// read with List, never concluded from a state.
	Changed func(Release)
	// Announce is called inside the transaction that makes a release ready for
	// an executor other than Self, so that what it writes is true with it. An
	// error undoes the move. nil announces nothing.
	Announce func(ctx context.Context, tx ledger.Tx, r Release) error
	// Seems is told of each entry that a release under duress would have made
	// had it been done, in the transaction in which it seems to be: who hears of
	// entries hears of these. No entry stands in the log. nil tells nobody.
	Seems func(ctx context.Context, tx ledger.Tx, e ledger.Entry) error
	// SingleOperator waives the second person for staff changes; never for
	// imports or approvals.
	SingleOperator bool
}

// Gate decides and releases. It is safe for concurrent use.
type Gate struct {
	cfg Config
	pub ed25519.PublicKey

	mu       sync.Mutex
	watchers map[string][]*func() // by release and by traversal
}

// New returns a gate.
func New(cfg Config) (*Gate, error) {
	if cfg.Store == nil || cfg.Policies == nil || cfg.Key == nil || cfg.Log == nil {
		return nil, errors.New("gate: want a store, policies, a permit key and a log signer")
	}
	pub, ok := cfg.Key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("gate: permit key is %T, want ed25519", cfg.Key.Public())
	}
	if cfg.Issuer == "" {
		cfg.Issuer = "ringfence"
	}
	return &Gate{cfg: cfg, pub: pub, watchers: map[string][]*func(){}}, nil
}

// PublicKey verifies permits; its JWKS is web's to publish.
func (g *Gate) PublicKey() ed25519.PublicKey { return g.pub }

// Watch returns a channel that gets a value after every durable change of a
// release, several changes perhaps as one, and a function that ends it. It
// only wakes: what happened is read with Lookup. What other nodes did wakes by
// Wake.
func (g *Gate) Watch(id ringfence.ReleaseID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	return ch, g.watch(string(id), func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	})
}

// WatchTraversal has wake called after each such change of any release of a
// traversal, those opened later included, until the function that it returns is
// called. wake must not wait and must not call the gate: it is on the goroutine
// that made the change, and a call in progress spends none of its own on it.
func (g *Gate) WatchTraversal(id ringfence.TraversalID, wake func()) (stop func()) {
	return g.watch(string(id), wake)
}

func (g *Gate) watch(id string, wake func()) (stop func()) {
	w := &wake
	g.mu.Lock()
	g.watchers[id] = append(g.watchers[id], w)
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		rest := slices.DeleteFunc(g.watchers[id], func(have *func()) bool { return have == w })
		if g.watchers[id] = rest; len(rest) == 0 {
			delete(g.watchers, id)
		}
	}
}

// Wake wakes who waits here for what an entry tells, which another node wrote.
func (g *Gate) Wake(e ledger.Entry) {
	for _, id := range [...]string{string(e.Release), string(e.Traversal)} {
		if id != "" {
			g.wake(id)
		}
	}
}

func (g *Gate) wake(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.watchers[id] {
		(*w)()
	}
}
