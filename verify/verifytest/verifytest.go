// Package verifytest is a small world to try verify in: a store in memory with
// a subject, a person and what they own, and a carrier that keeps what it was
// given so that a test can play the person who reads it.
package verifytest

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/verify"
)

// Tenant is the world's only tenant.
const Tenant = ringfence.DefaultTenant

// Pepper is the world's pepper.
var Pepper = ringfence.Secret("a pepper of thirty-two bytes!!!!!")

// World is a store and a carrier.
type World struct {
	TB    testing.TB
	Store *ledgertest.Memory
	Post  *Post
}

// New returns an empty world.
func New(tb testing.TB) *World {
	return &World{TB: tb, Store: &ledgertest.Memory{}, Post: &Post{}}
}

// Verifier builds a Verifier over the world. Prefix 44 is allowed.
func (w *World) Verifier(methods ...verify.Method) *verify.Verifier {
	w.TB.Helper()
	v, err := verify.New(w.Config(), methods...)
	if err != nil {
		w.TB.Fatal(err)
	}
	return v
}

// Config is what Verifier uses.
func (w *World) Config() verify.Config {
	return verify.Config{Store: ledgertest.Stumbling{Store: w.Store, T: w.TB}, Pepper: Pepper, Deliver: w.Post, Firm: "Acme", Prefixes: []verify.Prefix{{Digits: "44"}}}
}

// Put writes one record as the gate would.
func (w *World) Put(kind ledger.Kind, id string, keys map[string]string, body any) {
	w.TB.Helper()
	err := w.Store.Update(context.Background(), Tenant, func(tx ledger.Tx) error {
		rec := ledger.Record{Kind: kind, ID: id, Keys: keys}
		if old, err := tx.Get(context.Background(), kind, id); err == nil {
			rec.Version = old.Version
		} else if !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		return ledger.Write(context.Background(), tx, &rec, body)
	})
	if err != nil {
		w.TB.Fatal(err)
	}
}

// Subject adds an active customer with an account number.
func (w *World) Subject(account string) ringfence.SubjectID {
	id := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	w.Put(ledger.KindSubject, string(id), map[string]string{"kind": "customer", "customer:account": account}, ringfence.Subject{ID: id, Tenant: Tenant,
		Kind: "customer", Record: map[string]string{"account": account}, Status: ringfence.StatusActive, StoredAt: time.Now()})
	return id
}

// Contact adds an active contact point, unchanged for a year.
func (w *World) Contact(s ringfence.SubjectID, t ringfence.ContactType, value string) ringfence.ContactPointID {
	id := ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint)
	long := time.Now().AddDate(-1, 0, 0)
	w.Put(ledger.KindContactPoint, string(id), map[string]string{"subject": string(s), "value": value}, ringfence.ContactPoint{ID: id, Tenant: Tenant,
		Subject: s, Type: t, Value: value, VerifiedAt: long, ChangedAt: long, StoredAt: long, Status: ringfence.StatusActive})
	return id
}

// Authenticator adds an active authenticator, bound a year ago; owner is a
// subject or a person.
func (w *World) Authenticator(owner string, t ringfence.AuthenticatorType, secret ringfence.Secret) ringfence.AuthenticatorID {
	id := ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator)
	long := time.Now().AddDate(-1, 0, 0)
	w.PutAuthenticator(ringfence.Authenticator{ID: id, Tenant: Tenant, Subject: ringfence.SubjectID(owner), Type: t, Secret: secret,
		Lane: "handset", BoundAt: long, StoredAt: long, Status: ringfence.StatusActive})
	return id
}

// PutAuthenticator writes an authenticator as it is.
func (w *World) PutAuthenticator(a ringfence.Authenticator) {
	w.Put(ledger.KindAuthenticator, string(a.ID), map[string]string{"subject": string(a.Subject)}, a)
}

// ReadAuthenticator reads one.
func (w *World) ReadAuthenticator(id ringfence.AuthenticatorID) ringfence.Authenticator {
	return Read[ringfence.Authenticator](w, ledger.KindAuthenticator, string(id))
}

// Person adds an active member of staff.
func (w *World) Person(name string, roles ...ringfence.Role) ringfence.PersonID {
	id := ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson)
	w.Put(ledger.KindPerson, string(id), nil, ringfence.Person{ID: id, Tenant: Tenant, Name: name, Roles: roles,
		Status: ringfence.StatusActive, Since: time.Now(), StoredAt: time.Now()})
	return id
}

// Read reads a record of the world.
func Read[T any](w *World, kind ledger.Kind, id string) T {
	w.TB.Helper()
	var out T
	err := w.Store.View(context.Background(), Tenant, func(tx ledger.Tx) (err error) {
		out, _, err = ledger.Read[T](context.Background(), tx, kind, id)
		return err
	})
	if err != nil {
		w.TB.Fatalf("%s %s: %v", kind, id, err)
	}
	return out
}

// List reads all records of a kind, bodies as stored.
func (w *World) List(kind ledger.Kind) []ledger.Record {
	w.TB.Helper()
	var out []ledger.Record
	err := w.Store.View(context.Background(), Tenant, func(tx ledger.Tx) (err error) {
		out = nil
		for rec, err := range ledger.All(context.Background(), tx, kind, ledger.Query{}) {
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		w.TB.Fatal(err)
	}
	return out
}

// Events returns the kinds of the ledger's entries, in order.
func (w *World) Events() []ledger.Event {
	var out []ledger.Event
	for _, e := range w.Store.Entries(Tenant) {
		out = append(out, e.Event)
	}
	return out
}

// Post is a Deliverer that keeps what it was given.
type Post struct {
	// Answer is given to every message; its zero value is accepted.
	Answer verify.Receipt
	Err    error
	// Takes is how long it takes.
	Takes time.Duration

	mu   sync.Mutex
	sent []verify.Message // guarded by mu
}

// Deliver implements verify.Deliverer.
func (p *Post) Deliver(_ context.Context, m verify.Message) (verify.Receipt, error) {
	if p.Takes > 0 {
		time.Sleep(p.Takes) // inside a synctest bubble only
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Text = append(ringfence.Secret{}, m.Text...)
	p.sent = append(p.sent, m)
	if p.Answer.Delivery == "" {
		return verify.Receipt{Delivery: verify.DeliveryAccepted, ID: "SM1"}, p.Err
	}
	return p.Answer, p.Err
}

// Sent returns all messages so far.
func (p *Post) Sent() []verify.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]verify.Message(nil), p.sent...)
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// Code reads the six digits out of the newest message.
func (p *Post) Code() ringfence.Secret {
	sent := p.Sent()
	if len(sent) == 0 {
		return nil
	}
	return ringfence.Secret(sixDigits.FindString(string(sent[len(sent)-1].Text)))
}

var token = regexp.MustCompile(`#([0-9a-f]{32,})`)

// Token reads the link's token out of the newest message.
func (p *Post) Token() ringfence.Secret {
	sent := p.Sent()
	if len(sent) == 0 {
		return nil
	}
	m := token.FindSubmatch(sent[len(sent)-1].Text)
	if m == nil {
		return nil
	}
	return ringfence.Secret(m[1])
}

// Heard joins the text of spoken parts, as an ear does.
func Heard(parts []ringfence.SpeechPart) ringfence.Secret {
	var out ringfence.Secret
	for _, p := range parts {
		out = append(out, p.Text...)
	}
	return out
}

// Digest is a digest for tests.
func Digest(b byte) ringfence.Digest {
	var d ringfence.Digest
	d[0] = b
	return d
}

// Release is a new release id.
func Release() ringfence.ReleaseID {
	return ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease)
}

// Leg is a new leg id.
func Leg() ringfence.LegID { return ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg) }

// Traversal is a new traversal id.
func Traversal() ringfence.TraversalID {
	return ringfence.NewID[ringfence.TraversalID](ringfence.PrefixTraversal)
}
