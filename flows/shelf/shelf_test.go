package shelf

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/scripts"
)

const tenant = ringfence.DefaultTenant

var shippedFiles = sync.OnceValue(func() []flows.File {
	b, _ := flows.LoadDir(scripts.FS)
	return b.Files()
})

// variant is the shipped set with a text of policy.yaml replaced.
func variant(t *testing.T, old, new string) *flows.Bundle {
	t.Helper()
	files := slices.Clone(shippedFiles())
	for i, f := range files {
		if f.Path == "policy.yaml" {
			text := strings.Replace(string(f.Data), old, new, 1)
			if text == string(f.Data) && old != new {
				t.Fatalf("%q does not stand in the policy", old)
			}
			files[i].Data = []byte(text)
		}
	}
	b, found := flows.LoadFiles(files)
	if b == nil {
		t.Fatal(found)
	}
	return b
}

func shipped(t *testing.T) *flows.Bundle  { return variant(t, "", "") }
func stricter(t *testing.T) *flows.Bundle { return variant(t, "hold: 12h", "hold: 20h") }
func looser(t *testing.T) *flows.Bundle   { return variant(t, "fresh: 15m", "fresh: 18m") }

// office is a shelf with staff: olga and omar of ops, rita of risk, each with
// a key, and agnes, an agent.
type office struct {
	t     *testing.T
	store *ledgertest.Memory
	cfg   Config
	*Shelf
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, store: &ledgertest.Memory{}}
	o.cfg = Config{Store: o.store, Base: shipped(t)}
	o.Shelf = o.process()
	for name, role := range map[string]ringfence.Role{"olga": ringfence.RoleOps, "omar": ringfence.RoleOps, "rita": ringfence.RoleRisk, "agnes": ringfence.RoleAgent} {
		o.person(name, role)
		public := keyOf(name).Public().(ed25519.PublicKey)
		o.put(kindKey, KeyID(public), nil, Key{ID: KeyID(public), Person: id(name), Public: public, Status: ringfence.StatusActive, Since: time.Now()})
	}
	return o
}

// process is another process over the same store.
func (o *office) process() *Shelf {
	o.t.Helper()
	s, err := New(o.cfg)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := s.Refresh(o.t.Context(), tenant); err != nil {
		o.t.Fatal(err)
	}
	return s
}

func id(name string) ringfence.PersonID { return ringfence.PersonID("per_" + name) }

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (o *office) person(name string, roles ...ringfence.Role) {
	o.put(ledger.KindPerson, string(id(name)), map[string]string{"email": name + "@example.com"},
		ringfence.Person{ID: id(name), Tenant: tenant, Name: name, Roles: roles, Status: ringfence.StatusActive, Since: time.Now()})
}

// put writes a record, whatever stood there.
func (o *office) put(kind ledger.Kind, id string, keys map[string]string, row any) {
	o.t.Helper()
	o.update(func(tx ledger.Tx) error {
		old, err := tx.Get(o.t.Context(), kind, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		rec := ledger.Record{Kind: kind, ID: id, Version: old.Version, Keys: keys}
		return ledger.Write(o.t.Context(), tx, &rec, row)
	})
}

func (o *office) update(f func(ledger.Tx) error) {
	o.t.Helper()
	if err := o.store.Update(o.t.Context(), tenant, f); err != nil {
		o.t.Fatal(err)
	}
}

func sign(name string, b *flows.Bundle) Approval {
	msg := flows.ApprovalMessage(b.Hash())
	key := keyOf(name)
	return Approval{Person: id(name), Key: KeyID(key.Public().(ed25519.PublicKey)), Signature: ed25519.Sign(key, msg[:])}
}

func (o *office) publish(b *flows.Bundle, names ...string) (out Result) {
	o.t.Helper()
	for _, name := range names {
		var err error
		if out, err = o.Publish(o.t.Context(), tenant, PublishRequest{Bundle: b, Approval: sign(name, b)}); err != nil {
			o.t.Fatal(err)
		}
	}
	return out
}

// inForce asserts which bundle new calls get.
func (o *office) inForceIs(want *flows.Bundle) {
	o.t.Helper()
	if got := o.Current(tenant); got == nil || got.HashText() != want.HashText() {
		o.t.Fatalf("in force is %v, want %s", got, want.HashText())
	}
}

func TestZeroRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a shelf without a store was made")
	}
	var s Shelf
	if s.Current(tenant) != nil || s.ByHash(tenant, "") != nil || s.Policy(tenant) != nil || s.For(tenant, "trv_x", "1") != nil || s.Also(tenant) != nil {
		t.Error("the zero shelf hands something out")
	}
	if (&Ramp{}).Takes("trv_x", "44") || (*Ramp)(nil).Takes("trv_x", "44") {
		t.Error("the zero ramp takes a call")
	}
}

func TestPublishRefuses(t *testing.T) {
	forged := func(b *flows.Bundle) Approval { a := sign("omar", b); a.Signature[3] ^= 1; return a }
	borrowed := func(b *flows.Bundle) Approval { a := sign("olga", b); a.Person = id("omar"); return a }
	for _, c := range []struct {
		name   string
		bundle func(*testing.T) *flows.Bundle
		setUp  func(*office)
		first  string
		second func(*flows.Bundle) Approval
		want   Refusal
	}{
		{name: "one signature", bundle: stricter, first: "olga", want: RefuseMoreSign},
		{name: "the same person twice", bundle: stricter, first: "olga", second: func(b *flows.Bundle) Approval { return sign("olga", b) }, want: RefuseMoreSign},
		{name: "looser without role risk", bundle: looser, first: "olga", second: func(b *flows.Bundle) Approval { return sign("omar", b) }, want: RefuseRisk},
		{name: "an agent", bundle: stricter, first: "olga", second: func(b *flows.Bundle) Approval { return sign("agnes", b) }, want: RefuseSigner},
		{name: "a stranger", bundle: stricter, first: "olga", second: func(b *flows.Bundle) Approval { return sign("nobody", b) }, want: RefuseSigner},
		{name: "a forged signature", bundle: stricter, first: "olga", second: forged, want: RefuseKey},
		{name: "somebody else's key", bundle: stricter, first: "olga", second: borrowed, want: RefuseKey},
		{name: "over another bundle", bundle: stricter, first: "olga", second: func(*flows.Bundle) Approval { return sign("omar", looser(t)) }, want: RefuseKey},
		{name: "no signature at all", bundle: stricter, first: "olga", second: func(*flows.Bundle) Approval { return Approval{Person: id("omar")} }, want: RefuseKey},
		{name: "a passkey that nobody can check", bundle: stricter, first: "olga", second: func(*flows.Bundle) Approval {
			return Approval{Person: id("omar"), Authenticator: "aut_x", Signature: []byte("{}")}
		}, want: RefuseKey},
		{name: "the first signer was suspended", bundle: stricter, first: "olga", setUp: func(o *office) { o.person("olga") },
			second: func(b *flows.Bundle) Approval { return sign("omar", b) }, want: RefuseMoreSign},
		{name: "a key that waits", bundle: stricter, first: "olga", setUp: func(o *office) {
			public := keyOf("omar").Public().(ed25519.PublicKey)
			o.put(kindKey, KeyID(public), nil, Key{ID: KeyID(public), Person: id("omar"), Public: public, Status: ringfence.StatusActive, Since: time.Now().Add(time.Second)})
		}, second: func(b *flows.Bundle) Approval { return sign("omar", b) }, want: RefuseKey},
		{name: "what is in force", bundle: shipped, first: "olga", want: RefuseInForce},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, b := newOffice(t), c.bundle(t)
				got := o.publish(b, c.first)
				if c.setUp != nil {
					c.setUp(o)
				}
				if c.second != nil {
					var err error
					if got, err = o.Publish(t.Context(), tenant, PublishRequest{Bundle: b, Approval: c.second(b)}); err != nil {
						t.Fatal(err)
					}
				}
				if got.Refused != c.want || !got.From.IsZero() {
					t.Errorf("got %+v, want %q", got, c.want)
				}
				time.Sleep(48 * time.Hour)
				if err := o.Refresh(t.Context(), tenant); err != nil {
					t.Fatal(err)
				}
				o.inForceIs(shipped(t))
				if c.want != RefuseInForce && o.ByHash(tenant, b.HashText()) != nil {
					t.Error("a bundle that was only proposed is handed out")
				}
			})
		})
	}
}

func TestProposalIsVoidWhenSomethingElseCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		other := variant(t, "hold: 12h", "hold: 16h")
		o.publish(other, "olga")
		o.publish(stricter(t), "olga", "omar")
		if got := o.publish(other, "rita"); got.Refused != RefuseMoreSign {
			t.Errorf("got %+v, want %q: the first signature was over another comparison", got, RefuseMoreSign)
		}
		o.inForceIs(stricter(t))
		time.Sleep(8 * 24 * time.Hour)
		if got := o.publish(other, "omar"); got.Refused != RefuseMoreSign {
			t.Errorf("got %+v, want %q: a week is over", got, RefuseMoreSign)
		}
	})
}

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		old, b := o.Current(tenant), stricter(t)
		elsewhere := o.process()
		ctx, stop := contextOf(t)
		go elsewhere.Run(ctx, tenant)
		if got := o.publish(b, "olga", "omar"); got.Refused != Done || got.From.After(time.Now()) || got.Looser {
			t.Fatalf("got %+v, want in force at once", got)
		}
		o.inForceIs(b)
		if o.ByHash(tenant, old.HashText()) != old {
			t.Error("the old bundle is not there for calls that began with it")
		}
		if o.PolicyByHash(tenant, old.Policy().Hash()) == nil || o.Policy(tenant).Hash() != b.Policy().Hash() {
			t.Error("policies do not follow the bundle")
		}
		time.Sleep(2 * time.Second)
		if got := elsewhere.Current(tenant); got.HashText() != b.HashText() {
			t.Error("another process did not notice within two seconds")
		}
		stop()
		if o.process().Current(tenant).HashText() != b.HashText() {
			t.Error("a restart forgot it")
		}
		if got := o.entries("policy.published"); got != 1 {
			t.Errorf("%d entries, want 1", got)
		}
		synctest.Wait()
	})
}

func TestLooserWaitsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		b := looser(t)
		got := o.publish(b, "olga", "rita")
		if got.Refused != Done || !got.Looser || time.Until(got.From) != 24*time.Hour {
			t.Fatalf("got %+v, want in 24 h", got)
		}
		time.Sleep(24*time.Hour - time.Second)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		o.inForceIs(shipped(t))
		time.Sleep(time.Second)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		o.inForceIs(b)
		// Something else in between drops what waits.
		o.publish(variant(t, "fresh: 15m", "fresh: 19m"), "olga", "rita")
		o.publish(variant(t, "fresh: 15m", "fresh: 17m"), "olga", "omar")
		time.Sleep(25 * time.Hour)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		o.inForceIs(variant(t, "fresh: 15m", "fresh: 17m"))
	})
}

func TestSingleOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.cfg.SingleOperator = true
		o.Shelf = o.process()
		if got := o.publish(looser(t), "olga"); got.Refused != RefuseRisk {
			t.Errorf("got %+v, want %q", got, RefuseRisk)
		}
		if got := o.publish(stricter(t), "olga"); got.Refused != Done {
			t.Errorf("got %+v, want in force", got)
		}
	})
}

func (o *office) entries(event ledger.Event) (n int) {
	for _, e := range o.store.Entries(tenant) {
		if e.Event == event {
			n++
		}
	}
	return n
}
