package gate

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/policy"
)

const (
	ten      = ringfence.DefaultTenant
	ann      = ringfence.SubjectID("sub_ann") // a customer
	acme     = ringfence.SubjectID("sub_acme")
	trv      = ringfence.TraversalID("trv_1")
	executor = "bank"
	agent    = ringfence.PersonID("per_agent")
	manager  = ringfence.PersonID("per_manager")
	manager2 = ringfence.PersonID("per_manager2")
	risk     = ringfence.PersonID("per_risk")
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// policies is a Policies of one tenant whose current policy can be changed.
type policies struct {
	mu      sync.Mutex
	current *policy.Policy
	all     map[[32]byte]*policy.Policy
	also    []*policy.Policy // of a ramp
}

func (p *policies) Also(ringfence.TenantID) []*policy.Policy { return p.also }

func (p *policies) Current(t ringfence.TenantID) *policy.Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *policies) ByHash(_ ringfence.TenantID, h [32]byte) *policy.Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[h]
}

func (p *policies) set(q *policy.Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = q
	p.all[q.Hash()] = q
}

// world is a gate over a store in memory, with one customer, one supplier and
// some staff, all on file for a year.
type world struct {
	t        testing.TB
	store    *ledgertest.Memory
	g        *Gate
	policies *policies
	now      time.Time
	signals  map[string]ringfence.Tri
	frozen   policy.Reason
	changed  []Release // what the gate told of since somebody looked
	evidence int
	mu       sync.Mutex // guards changed
}

func loadPolicy(t testing.TB, edits ...string) *policy.Policy {
	t.Helper()
	src, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(edits); i += 2 {
		if !bytes.Contains(src, []byte(edits[i])) {
			t.Fatalf("the policy has no %q", edits[i])
		}
		src = bytes.Replace(src, []byte(edits[i]), []byte(edits[i+1]), 1)
	}
	p, ds := policy.Load("policy.yaml", src)
	if p == nil {
		t.Fatal(ds)
	}
	return p
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newWorld(t testing.TB, edits ...string) *world {
	t.Helper()
	w := &world{t: t, now: epoch, policies: &policies{all: map[[32]byte]*policy.Policy{}},
		signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	w.store = newMemory(w)
	w.policies.set(loadPolicy(t, edits...))
	w.g = w.open(ledgertest.Stumbling{Store: w.store, T: t})
	w.seed()
	return w
}

// said are the signals of the world, from a service that was asked just now.
func (w *world) said() (out []ringfence.Signal) {
	for name, v := range w.signals {
		out = append(out, ringfence.Signal{Name: name, Value: v, Source: "test", At: w.now})
	}
	return out
}

func newMemory(w *world) *ledgertest.Memory {
	return &ledgertest.Memory{Clock: func() time.Time { return w.now }}
}

func (w *world) open(store ledger.Store) *Gate {
	w.t.Helper()
	signer, err := ledger.NewSigner("test", key("log"))
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := New(Config{Store: store, Policies: w.policies, Key: key("permit"), Log: signer,
		Executor:      func(ringfence.TenantID, string) string { return executor },
		Signals:       func(context.Context, Release) []ringfence.Signal { return w.said() },
		CheckApproval: checkAssertion,
		Frozen:        func(ringfence.TenantID) policy.Reason { return w.frozen },
		Changed: func(r Release) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = append(w.changed, r)
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// assertionOf is what the passkey of an authenticator answers; it stands for
// a WebAuthn assertion over exactly the message.
func assertionOf(id ringfence.AuthenticatorID, message [32]byte) []byte {
	return ed25519.Sign(key(string(id)), message[:])
}

func checkAssertion(_ context.Context, a ringfence.Authenticator, message [32]byte, assertion []byte) error {
	if !ed25519.Verify(key(string(a.ID)).Public().(ed25519.PublicKey), message[:], assertion) {
		return errors.New("assertion does not verify")
	}
	return nil
}

const year = 365 * 24 * time.Hour

func (w *world) put(kind ledger.Kind, id string, subject ringfence.SubjectID, keys map[string]string, row any) {
	w.t.Helper()
	err := w.g.cfg.Store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		rec, err := tx.Get(context.Background(), kind, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		rec = ledger.Record{Kind: kind, ID: id, Version: rec.Version, Subject: subject, Keys: keys, Sort: w.now.UnixNano()}
		return ledger.Write(context.Background(), tx, &rec, row)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) seed() {
	old := w.now.Add(-year)
	for id, kind := range map[ringfence.SubjectID]ringfence.SubjectKind{ann: "customer", acme: "contact"} {
		w.put(ledger.KindSubject, string(id), id, nil, ringfence.Subject{ID: id, Tenant: ten, Kind: kind, Status: ringfence.StatusActive, StoredAt: old})
		for _, cp := range []string{"a", "b"} {
			w.contact(ringfence.ContactPoint{ID: ringfence.ContactPointID("cpt_" + cp + string(id)), Tenant: ten, Subject: id, Type: ringfence.ContactMobile,
				VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
		}
	}
	for _, typ := range []ringfence.AuthenticatorType{ringfence.AuthPIN, ringfence.AuthTOTP, ringfence.AuthPasskey} {
		w.authenticator(ringfence.Authenticator{ID: ringfence.AuthenticatorID("aut_" + typ), Tenant: ten, Subject: ann, Type: typ,
			BoundAt: old, StoredAt: old, Status: ringfence.StatusActive})
	}
	w.person(ringfence.Person{ID: agent, Roles: []ringfence.Role{ringfence.RoleAgent}})
	w.person(ringfence.Person{ID: manager, Roles: []ringfence.Role{ringfence.RoleSupervisor}, Groups: []string{"payments_manager"}})
	w.person(ringfence.Person{ID: manager2, Roles: []ringfence.Role{ringfence.RoleSupervisor}, Groups: []string{"payments_manager"}})
	w.person(ringfence.Person{ID: risk, Roles: []ringfence.Role{ringfence.RoleRisk}})
}

func (w *world) contact(c ringfence.ContactPoint) {
	w.put(ledger.KindContactPoint, string(c.ID), c.Subject, map[string]string{"subject": string(c.Subject)}, c)
}

func (w *world) authenticator(a ringfence.Authenticator) {
	w.put(ledger.KindAuthenticator, string(a.ID), a.Subject, map[string]string{"subject": string(a.Subject)}, a)
}

func (w *world) person(p ringfence.Person) {
	p.Tenant, p.StoredAt = ten, w.now.Add(-year)
	if p.Since.IsZero() {
		p.Since = p.StoredAt
	}
	if p.Status == "" {
		p.Status = ringfence.StatusActive
	}
	w.put(ledger.KindPerson, string(p.ID), "", nil, p)
	aut := ringfence.AuthenticatorID("aut_" + p.ID)
	w.put(ledger.KindAuthenticator, string(aut), "", map[string]string{"subject": string(p.ID)}, ringfence.Authenticator{ID: aut, Tenant: ten,
		Subject: ringfence.SubjectID(p.ID), Type: ringfence.AuthPasskey, BoundAt: p.StoredAt, StoredAt: p.StoredAt, Status: ringfence.StatusActive})
}

var strengths = map[ringfence.Fact]ringfence.Strength{"pin": "K", "otp": "P-", "totp": "P", "passkey": "P+", "callback": "CB", "proofed": "ID"}

// evidenceFor is what verify would write when a fact is proved for a release.
func (w *world) evidenceFor(r Release, f ringfence.Fact) ringfence.Evidence {
	w.evidence++
	e := ringfence.Evidence{ID: ringfence.EvidenceID(fmt.Sprintf("evd_%04d_%s", w.evidence, f)), Tenant: ten, Subject: r.Proves, Fact: f,
		Strength: strengths[f], Challenge: "chl_x", Traversal: r.Traversal, Leg: "leg_1", At: w.now}
	if f.Bound() {
		e.Release, e.Digest = r.ID, r.Digest
		e.Presented = f == ringfence.FactPasskey || f == ringfence.FactConfirmed
	}
	switch f {
	case "callback", "known_number":
		e.ContactPoint = ringfence.ContactPointID("cpt_a" + string(r.Proves))
	case "otp":
		e.ContactPoint = ringfence.ContactPointID("cpt_b" + string(r.Proves))
	case "pin", "totp", "passkey":
		e.Authenticator = ringfence.AuthenticatorID("aut_" + f)
	}
	return e
}

func (w *world) putEvidence(e ringfence.Evidence) {
	keys := map[string]string{"subject": string(e.Subject)}
	if e.Traversal != "" {
		keys["traversal"] = string(e.Traversal)
	}
	if e.Release != "" {
		keys["release"] = string(e.Release)
	}
	w.put(ledger.KindEvidence, string(e.ID), e.Subject, keys, e)
}

func (w *world) prove(r Release, facts ...ringfence.Fact) {
	for _, f := range facts {
		w.putEvidence(w.evidenceFor(r, f))
	}
}

func (w *world) alarm(a alarm) {
	w.evidence++
	a.Challenge = ringfence.ChallengeID(fmt.Sprintf("chl_%04d", w.evidence))
	a.At = w.now
	keys := map[string]string{}
	for k, v := range map[string]string{"subject": string(a.Subject), "release": string(a.Release), "traversal": string(a.Traversal)} {
		if v != "" {
			keys[k] = v
		}
	}
	w.put(kindAlarm, string(a.Challenge), "", keys, a)
}

// entry writes an entry as the runner would.
func (w *world) entry(e ledger.Entry) {
	w.t.Helper()
	err := w.g.cfg.Store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		_, err := tx.Append(context.Background(), e)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func fieldsOf(typ string) map[string]string {
	switch typ {
	case "bank_change":
		return map[string]string{"new_account": "12345678"}
	default:
		return map[string]string{"payee": "Ann Example", "amount": "100000 GBP", "account": "12345678"}
	}
}

func request(typ string) OpenRequest {
	subject := ann
	if typ == "invoice" {
		subject = acme
	}
	return OpenRequest{Type: typ, Subject: subject, Fields: fieldsOf(typ), Traversal: trv, By: Actor{Person: agent}, AskedBy: AskedPhone}
}

func (w *world) must(r Release, err error) Release {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) opened(typ string) Release {
	w.t.Helper()
	r, _, err := w.g.Open(context.Background(), ten, request(typ))
	return w.must(r, err)
}

func (w *world) knownPayee() {
	w.put(KindPayee, payeeID(ann, "/12345678"), ann, nil, Payee{Subject: ann, Account: "/12345678", Source: "import", Since: w.now.Add(-year)})
	w.put(KindPayee, payeeID(acme, "/12345678"), acme, nil, Payee{Subject: acme, Account: "/12345678", Source: "import", Since: w.now.Add(-year)})
}

func (w *world) released(id ringfence.ReleaseID) (Release, Verdict) {
	w.t.Helper()
	r, v, err := w.g.Release(context.Background(), ten, id, Actor{Person: agent})
	return w.must(r, err), v
}

func (w *world) look(id ringfence.ReleaseID) Release {
	w.t.Helper()
	return w.must(w.g.Lookup(context.Background(), ten, id))
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.g.Tick(context.Background(), ten); err != nil {
		w.t.Fatal(err)
	}
}

func approval(r Release, person ringfence.PersonID) ApprovalInput {
	aut := ringfence.AuthenticatorID("aut_" + person)
	return ApprovalInput{Release: r.ID, Person: person, Authenticator: aut, Digest: r.Digest, Policy: r.Policy, EvidenceHash: r.EvidenceHash,
		Assertion: assertionOf(aut, ApprovalMessage(r))}
}

// ready brings a payment to a known payee to ready.
func (w *world) ready() Release {
	w.t.Helper()
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	r, v := w.released(r.ID)
	if r.State != StateReady {
		w.t.Fatalf("have %s, %+v", r.State, v)
	}
	return r
}

func (w *world) permit(id ringfence.ReleaseID) string {
	w.t.Helper()
	token, v, err := w.g.Permit(context.Background(), ten, id, executor)
	if err != nil || token == "" {
		w.t.Fatalf("no permit: %v %+v", err, v)
	}
	return token
}
