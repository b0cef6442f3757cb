package web

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/passkey"
)

// fakeCalls is a switchboard beside the tests: it keeps live calls, checks
// owners and remembers what it was told.
type fakeCalls struct {
	mu       sync.Mutex
	live     []ringfence.LiveCall
	watchers []chan struct{}
	told     []string
	gate     *gate.Gate                         // which judges what is made up
	made     map[ringfence.ReleaseID]*pretended // about people who are not on file
	running  map[ringfence.TraversalID]string
	had      map[ringfence.TraversalID]ringfence.PersonID // whose the calls were that are over
}

func (f *fakeCalls) Live(tenant ringfence.TenantID) []ringfence.LiveCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.live)
	return slices.DeleteFunc(out, func(c ringfence.LiveCall) bool { return c.Tenant != tenant })
}

func (f *fakeCalls) Watch(ringfence.TenantID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers, ch)
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.watchers = slices.DeleteFunc(f.watchers, func(c chan struct{}) bool { return c == ch })
	}
}

// change applies a change to a live call, new when its id is not there yet.
func (f *fakeCalls) change(id ringfence.TraversalID, with func(*ringfence.LiveCall)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.live, func(c ringfence.LiveCall) bool { return c.Traversal == id })
	if i < 0 {
		f.live = append(f.live, ringfence.LiveCall{Tenant: ringfence.DefaultTenant, Traversal: id, Began: time.Now()})
		i = len(f.live) - 1
	}
	with(&f.live[i])
	f.live[i].Version++
	f.wakeLocked()
}

func (f *fakeCalls) end(id ringfence.TraversalID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.had == nil {
		f.had = map[ringfence.TraversalID]ringfence.PersonID{}
	}
	f.live = slices.DeleteFunc(f.live, func(c ringfence.LiveCall) bool {
		if c.Traversal == id {
			f.had[id] = c.Owner
		}
		return c.Traversal == id
	})
	f.wakeLocked()
}

func (f *fakeCalls) wakeLocked() {
	for _, w := range f.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (f *fakeCalls) Placed(_ context.Context, _ ringfence.TenantID, ref string) (time.Time, bool, error) {
	return time.Now().Add(-2 * time.Minute), ref == "K7M2P9QX", nil
}

func (f *fakeCalls) Confirm(_ context.Context, _ ringfence.TenantID, ref, tail string) (time.Time, bool, error) {
	return time.Now().Add(-2 * time.Minute), ref == "K7M2P9QX" && tail == "0123", nil
}

func (f *fakeCalls) tell(who Act, what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.live, func(c ringfence.LiveCall) bool { return c.Tenant == who.Tenant && c.Traversal == who.Traversal })
	if i < 0 || f.live[i].Owner != who.By && !who.Supervisor {
		return ErrNoCall
	}
	f.told = append(f.told, what)
	return nil
}

func (f *fakeCalls) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

func (f *fakeCalls) Take(_ context.Context, tenant ringfence.TenantID, by ringfence.PersonID, code string) (ringfence.TraversalID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.live {
		if f.live[i].Tenant == tenant && f.live[i].Owner == "" && code == "4711" {
			f.live[i].Owner, f.live[i].Version = by, f.live[i].Version+1
			f.wakeLocked()
			return f.live[i].Traversal, nil
		}
	}
	return "", ErrWrongCode
}

func (f *fakeCalls) StepUp(_ context.Context, s StepUp) error {
	if err := f.tell(s.Act, "step-up "+s.Flow+" "+string(s.Release)); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Flow == "no-such-flow" {
		return ErrUnknownFlow
	}
	if f.running[s.Traversal] != "" {
		return ErrBusy
	}
	if f.running == nil {
		f.running = map[ringfence.TraversalID]string{}
	}
	f.running[s.Traversal] = s.Flow
	return nil
}

func (f *fakeCalls) CancelStepUp(_ context.Context, who Act) error {
	f.mu.Lock()
	delete(f.running, who.Traversal)
	f.mu.Unlock()
	return f.tell(who, "cancel")
}

func (f *fakeCalls) Identify(_ context.Context, who Act, c Claim) error {
	return f.tell(who, "identify "+string(c.Kind)+" "+c.Field+" "+c.Value)
}

func (f *fakeCalls) HandOver(_ context.Context, who Act, to ringfence.PersonID) error {
	return f.tell(who, "hand over to "+string(to))
}

func (f *fakeCalls) HangUp(_ context.Context, who Act) error   { return f.tell(who, "hang up") }
func (f *fakeCalls) Pressure(_ context.Context, who Act) error { return f.tell(who, "pressure") }
func (f *fakeCalls) Report(_ context.Context, who Act, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.live, func(c ringfence.LiveCall) bool { return c.Tenant == who.Tenant && c.Traversal == who.Traversal })
	if i >= 0 && f.live[i].Owner != who.By && !who.Supervisor || i < 0 && (f.had[who.Traversal] != who.By || who.By == "") {
		return ErrNoCall
	}
	f.told = append(f.told, "report "+text)
	return nil
}

// desktop is a server with its store and a few signed-in people.
type desktop struct {
	*Server
	t     testing.TB
	store *ledgertest.Memory
	calls *fakeCalls
	gate  *gate.Gate
	rp    passkey.RP // of staff, once there is one
}

// onePolicy is a policy in force for every tenant.
type onePolicy struct{ *policy.Policy }

func (p onePolicy) Current(ringfence.TenantID) *policy.Policy { return p.Policy }
func (p onePolicy) ByHash(_ ringfence.TenantID, hash [32]byte) *policy.Policy {
	if p.Hash() == hash {
		return p.Policy
	}
	return nil
}

func testPolicies(t testing.TB) onePolicy {
	t.Helper()
	src, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, found := policy.Load("policy.yaml", src)
	if p == nil {
		t.Fatal(found)
	}
	return onePolicy{p}
}

// newGate is a real gate over the test policy. Its executor is "core"; an
// approval counts when the passkey's own signature verifies.
func newGate(t testing.TB, store ledger.Store, check func(context.Context, ringfence.Authenticator, [32]byte, []byte) error) *gate.Gate {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledger.NewSigner("test", key)
	if err != nil {
		t.Fatal(err)
	}
	_, permits, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Config{Store: store, Policies: testPolicies(t), Key: permits, Log: log,
		Executor:      func(ringfence.TenantID, string) string { return "core" },
		CheckApproval: check})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newDesktop(t testing.TB, with ...func(*Config)) *desktop {
	t.Helper()
	d := &desktop{t: t, store: &ledgertest.Memory{}, calls: &fakeCalls{}}
	d.gate = newGate(t, d.store, func(ctx context.Context, a ringfence.Authenticator, message [32]byte, assertion []byte) error {
		return checkApproval(d.rp)(ctx, a, message, assertion)
	})
	d.calls.gate = d.gate
	cfg := Config{Store: d.store, Calls: d.calls, Gate: d.gate, Policies: testPolicies(t), Company: func(ringfence.TenantID) string { return "Northwind" }}
	for _, f := range with {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	return d
}

// put writes a record as the room it belongs to would.
func (d *desktop) put(tenant ringfence.TenantID, kind ledger.Kind, id string, keys map[string]string, row any) {
	d.t.Helper()
	err := d.store.Update(d.t.Context(), tenant, func(tx ledger.Tx) error {
		rec := ledger.Record{Kind: kind, ID: id, Keys: keys, Sort: tx.Now().UnixNano()}
		return ledger.Write(d.t.Context(), tx, &rec, row)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// person stores a member of staff, as the machine makes the first two.
func (d *desktop) person(name string, roles ...ringfence.Role) ringfence.Person {
	p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Tenant: ringfence.DefaultTenant,
		Name: name, Email: name + "@example.com", Roles: roles, Status: ringfence.StatusActive, Founder: true}
	d.put(p.Tenant, ledger.KindPerson, string(p.ID), map[string]string{"email": p.Email}, p)
	return p
}

// signIn gives the person a session and returns its cookie.
func (d *desktop) signIn(p ringfence.Person) *http.Cookie {
	d.t.Helper()
	w := httptest.NewRecorder()
	if err := d.newSession(w, httptest.NewRequest("POST", "/", nil), p.Tenant, p.ID); err != nil {
		d.t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

// ask sends one request to the staff listener. body nil means none.
func (d *desktop) ask(cookie *http.Cookie, method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := request(d.t, method, path, body, headers...)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	d.Staff().ServeHTTP(w, r)
	return w
}

// change changes a stored person.
func (d *desktop) change(p ringfence.Person, with func(*ringfence.Person)) {
	d.t.Helper()
	err := d.store.Update(d.t.Context(), p.Tenant, func(tx ledger.Tx) error {
		now, version, err := ledger.Read[ringfence.Person](d.t.Context(), tx, ledger.KindPerson, string(p.ID))
		if err != nil {
			return err
		}
		with(&now)
		rec := ledger.Record{Kind: ledger.KindPerson, ID: string(p.ID), Version: version}
		return ledger.Write(d.t.Context(), tx, &rec, now)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}
