package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Config is what a Runner works with. Every field but the ones marked
// optional is required.
type Config struct {
	Rooms
	Store     ledger.Store
	Phone     Phone
	Voice     Voice
	Identity  Identity
	Directory Directory
	Bundles   Bundles
	// Sign makes Identity values for a leg that we place; nil = unsigned.
	Sign func(ctx context.Context, from, to string) []string
	// SignOn makes Identity values for the leg by which a caller's call goes on
	// to a place whose trunk wants it signed; nil = unsigned.
	SignOn func(ctx context.Context, call Onward) []string
	// Music is what a waiting caller hears; empty = silence.
	Music ringfence.Clip
	// Notify tells people of something they are asked for or must know: an
	// approval, an alert. Optional. It must not block.
	Notify func(Notice)
	// Attend is told who hears whom. Optional. It must not block.
	Attend func(Moment)
	// Delays before each attempt of a call-back after a hang-up. Empty means
	// 30 s, 2 min, 5 min.
	Delays []time.Duration
	// Cooling is how old a contact point must be for known_number. Zero means
	// 24 h.
	Cooling time.Duration
	Log     *slog.Logger
}

// Notice is something that people are to learn of outside the call.
type Notice struct {
	Tenant    ringfence.TenantID
	Kind      string // approval, alert
	Traversal ringfence.TraversalID
	Release   ringfence.ReleaseID
	Group     string
	Text      string
}

// Runner leads all live traversals of one process.
type Runner struct {
	cfg  Config
	stop chan struct{}
	once sync.Once // closes stop
	wg   sync.WaitGroup
	lag  lag
	ends atomic.Uint64 // of traversals

	mu       sync.Mutex
	draining bool
	live     map[ringfence.TraversalID]*traversal
	views    map[ringfence.TenantID]map[ringfence.TraversalID]ringfence.LiveCall
	watchers map[chan struct{}]ringfence.TenantID
	codes    map[codeKey]ringfence.TraversalID

	board board
}

// ErrDraining refuses new traversals while the process is stopping.
var ErrDraining = errors.New("runner: draining")

// New returns a Runner.
func New(cfg Config) (*Runner, error) {
	if cfg.Store == nil || cfg.Phone == nil || cfg.Voice == nil || cfg.Identity == nil || cfg.Directory == nil ||
		cfg.Bundles == nil || cfg.Verify == nil || cfg.Gate == nil || cfg.Desk == nil {
		return nil, errors.New("runner: a part is missing")
	}
	if len(cfg.Delays) == 0 {
		cfg.Delays = []time.Duration{30 * time.Second, 2 * time.Minute, 5 * time.Minute}
	}
	if cfg.Cooling == 0 {
		cfg.Cooling = 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{cfg: cfg, stop: make(chan struct{}), live: map[ringfence.TraversalID]*traversal{},
		views: map[ringfence.TenantID]map[ringfence.TraversalID]ringfence.LiveCall{}, watchers: map[chan struct{}]ringfence.TenantID{},
		codes: map[codeKey]ringfence.TraversalID{}}, nil
}

// Inbound leads a call that has come in. It returns at once: a goroutine that
// waited for the call's end would be one a call.
func (r *Runner) Inbound(ctx context.Context, leg Leg) {
	info := leg.Info()
	line, ok := r.cfg.Directory.Line(info.Trunk, info.Called)
	if !ok {
		_ = leg.Refuse(ctx, 404, "Not Found")
		return
	}
	t := r.begin(line)
	if t == nil {
		_ = leg.Refuse(ctx, 503, "Service Unavailable", [2]string{"Retry-After", "30"})
		return
	}
	t.start(ctx, func(ctx context.Context) { t.inbound(ctx, leg) })
}

// begin registers a new traversal, unless the process is stopping. Who began
// it starts it, or abandons it.
func (r *Runner) begin(line Line) *traversal {
	return r.beginAs(line, ringfence.NewID[ringfence.TraversalID](ringfence.PrefixTraversal))
}

// beginAs is begin under an id that is known already. It refuses one that is
// live.
func (r *Runner) beginAs(line Line, id ringfence.TraversalID) *traversal {
	t := &traversal{
		r: r, id: id, tenant: line.Tenant, line: line,
		in: make(chan func(), 64), done: make(chan struct{}), challenges: map[refKey]*challenge{},
	}
	t.live = ringfence.LiveCall{Tenant: t.tenant, Traversal: t.id, Reference: newReference(), Began: time.Now(), State: "in_flow", Line: line.Name}
	if !r.register(t) {
		return nil
	}
	return t
}

func (r *Runner) register(t *traversal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining || r.live[t.id] != nil {
		return false
	}
	r.live[t.id] = t
	r.wg.Add(1)
	return true
}

// start runs a traversal that was begun.
func (t *traversal) start(ctx context.Context, begin func(context.Context)) {
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer t.r.wg.Done()
		t.run(ctx, begin)
	}()
}

// abandon takes back a traversal that was begun and never started.
func (t *traversal) abandon() {
	defer t.r.wg.Done()
	close(t.done)
	t.live.State = "ended"
	t.r.publish(t.live)
}

// referenceLetters leaves out what is confused when heard or read.
const referenceLetters = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// newReference returns a public call reference: 8 of 31 characters, 39.6 bits.
func newReference() string {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic("runner: no randomness: " + err.Error())
	}
	out := make([]byte, len(raw))
	for i, b := range raw {
		out[i] = referenceLetters[int(b)%len(referenceLetters)]
	}
	return string(out)
}

// Active is how many traversals are live.
func (r *Runner) Active() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live)
}

// Drain takes no new traversal and waits for those that are live, until ctx
// ends; then it ends them.
func (r *Runner) Drain(ctx context.Context) {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	finished := make(chan struct{})
	go func() { r.wg.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		r.once.Do(func() { close(r.stop) })
		<-finished
	}
}

// find returns a live traversal of a tenant.
func (r *Runner) find(tenant ringfence.TenantID, id ringfence.TraversalID) *traversal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.live[id]; t != nil && t.tenant == tenant {
		return t
	}
	return nil
}

// Live returns what a console may see of a tenant's live traversals.
func (r *Runner) Live(tenant ringfence.TenantID) []ringfence.LiveCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]ringfence.LiveCall, 0, len(r.views[tenant]))
	for _, v := range r.views[tenant] {
		out = append(out, v)
	}
	return out
}

// Watch returns a channel that holds a value whenever Live of the tenant may
// have changed since the last receive, and a function that ends the watch.
func (r *Runner) Watch(tenant ringfence.TenantID) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	r.watchers[c] = tenant
	r.mu.Unlock()
	return c, func() {
		r.mu.Lock()
		delete(r.watchers, c)
		r.mu.Unlock()
	}
}

// publish shows a view and wakes who watches; a view of an ended traversal is
// taken away.
func (r *Runner) publish(v ringfence.LiveCall) {
	if v.State == "ended" {
		defer r.board.wake() // whoever was in it may be ready
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.views[v.Tenant] == nil {
		r.views[v.Tenant] = map[ringfence.TraversalID]ringfence.LiveCall{}
	}
	if v.State == "ended" {
		delete(r.views[v.Tenant], v.Traversal)
		delete(r.live, v.Traversal)
	} else {
		r.views[v.Tenant][v.Traversal] = v
	}
	for c, tenant := range r.watchers {
		if tenant == v.Tenant {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// entry writes entries, in a transaction of their own. That they could not be written
// is an alarm in the log: calls go on, money does not (the gate needs the same
// store).
func (r *Runner) entry(ctx context.Context, tenant ringfence.TenantID, es ...ledger.Entry) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := r.update(ctx, tenant, func(tx ledger.Tx) error {
		for _, e := range es {
			if _, err := tx.Append(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, e := range es {
			r.cfg.Log.Error("ledger entry not written", "event", string(e.Event), "traversal", string(e.Traversal), "err", err)
		}
	}
}

// errNotLive is wrapped by commands for a traversal that is not there.
var errNotLive = fmt.Errorf("runner: no such live call")
