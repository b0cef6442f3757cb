package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/store/postgres"
	"github.com/ringfence/ringfence/store/sqlite"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/web"
)

// The subject on file, and the service account that opens actions.
const (
	account  = "40718293"
	rightPIN = "739261"
	// duressPIN is keyed instead of it under pressure.
	duressPIN = "158042"
	// payeeAccount was paid before, so that a payment to it stays in its class.
	payeeAccount = "31926819"
	bankSecret   = "an executor's secret, known to tests only"
	seedSource   = "register of the end-to-end tests"
	subjectName  = "Ada"
)

// directory is what seed put on file.
type directory struct {
	subject      ringfence.SubjectID
	passkey      *passkeytest.Authenticator
	opener, bank *client // service accounts: one asks for actions, one performs them
}

// seed fills a new installation with one subject, before the program starts:
// what an operator does with a first import, signed by two people. The store
// is opened as the program opens it, with the installation's own keys.
func (g *gateway) seed(ctx context.Context) directory {
	g.t.Helper()
	must(g.t, os.MkdirAll(g.path("data/keys"), 0o700))
	pepper, permit, log := g.pepper(), g.key("permit"), g.key("ledger")
	d := directory{subject: ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)}
	d.opener = g.newClient("", web.ScopeActions, web.ScopeReleases, web.ScopeLedger)
	d.bank = g.newClient("bank", web.ScopeExecute, web.ScopeReleases)
	g.allow(ctx, func(store ledger.Store) { g.seedStore(ctx, store, d.opener.account, d.bank.account) })
	g.allow(ctx, func(store ledger.Store) {
		signer, err := ledger.NewSigner("e2e", log)
		if err != nil {
			g.t.Fatal(err)
		}
		yes := func(context.Context, ringfence.Authenticator, [32]byte, []byte) error { return nil }
		gt, err := gate.New(gate.Config{Store: store, Policies: loaded{loadPolicy(g.t, g.path("scripts"))}, Key: permit, Log: signer, CheckApproval: yes})
		if err != nil {
			g.t.Fatal(err)
		}
		in := g.subjectImport(ctx, d.subject, pepper)
		var made ringfence.Authenticator
		d.passkey, made = g.makePasskey(ctx, store, d.subject)
		in.Authenticators = append(in.Authenticators, made)
		if err := gt.Import(ctx, ringfence.DefaultTenant, in, signatures()...); err != nil {
			g.t.Fatal(err)
		}
	})
	return d
}

// subjectImport is Ada: a mobile number and a PIN, on file for two years.
func (g *gateway) subjectImport(ctx context.Context, id ringfence.SubjectID, pepper []byte) gate.Import {
	g.t.Helper()
	long := time.Now().AddDate(-2, 0, 0)
	method, err := pin.New(pepper, pin.Cost{})
	if err != nil {
		g.t.Fatal(err)
	}
	secret, refused, err := method.Enrol(ctx, pin.Choice{PIN: ringfence.Secret(rightPIN), Duress: ringfence.Secret(duressPIN), Own: []string{mobile, account}})
	if err != nil || refused != "" {
		g.t.Fatalf("the PIN is not taken: %v %s", err, refused)
	}
	return gate.Import{Source: seedSource,
		Subjects: []ringfence.Subject{{ID: id, Kind: "customer", Language: "en", Record: map[string]string{"account": account, "first_name": subjectName,
			"balance": "234500 GBP", "balance_band": "between one thousand and five thousand pounds"}}},
		ContactPoints: []ringfence.ContactPoint{{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint), Subject: id,
			Type: ringfence.ContactMobile, Value: mobile, VerifiedAt: long, ChangedAt: long}},
		Authenticators: []ringfence.Authenticator{{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Subject: id,
			Type: ringfence.AuthPIN, Secret: secret, Lane: "handset", BoundAt: long}},
		Payees: []gate.Payee{{Subject: id, Account: "/" + payeeAccount, Since: long}},
	}
}

// makePasskey has Ada make a passkey in software, by the ceremony of the
// enrolment page, and returns what the import is to hold of it.
func (g *gateway) makePasskey(ctx context.Context, store ledger.Store, id ringfence.SubjectID) (*passkeytest.Authenticator, ringfence.Authenticator) {
	g.t.Helper()
	var made ringfence.Authenticator
	keep := passkey.EnrolFunc(func(_ context.Context, _ verify.Tx, a ringfence.Authenticator) error {
		made = a
		return nil
	})
	reg, err := passkey.NewRegistrar(store, passkey.RP{ID: "localhost", Origins: []string{g.public()}, Name: "Acme"}, keep)
	must(g.t, err)
	token, err := reg.Invite(ctx, ringfence.DefaultTenant, string(id), subjectName)
	must(g.t, err)
	options, ok, err := reg.Begin(ctx, ringfence.DefaultTenant, token)
	if err != nil || !ok {
		g.t.Fatalf("no ceremony: %v", err)
	}
	software := passkeytest.New(g.public())
	response, err := software.Register(options)
	must(g.t, err)
	if _, ok, err := reg.Finish(ctx, ringfence.DefaultTenant, token, response); err != nil || !ok {
		g.t.Fatalf("the passkey is not taken: %v", err)
	}
	made.BoundAt = time.Now().AddDate(-2, 0, 0)
	return software, made
}

// allow opens the store of a program that does not run.
func (g *gateway) allow(ctx context.Context, f func(ledger.Store)) {
	g.t.Helper()
	master, err := seal.Open(g.path("data/keys/store.json"), true)
	if err != nil {
		g.t.Fatal(err)
	}
	store, err := g.open(ctx, master)
	if err != nil {
		g.t.Fatal(err)
	}
	f(store)
	if err := store.Close(); err != nil {
		g.t.Fatal(err)
	}
}

// open opens the store as a tool beside the program does.
func (g *gateway) open(ctx context.Context, master *seal.Master) (interface {
	ledger.Store
	Close() error
}, error) {
	if g.set.Postgres != "" {
		return postgres.Open(ctx, postgres.Config{URL: g.set.Postgres, Master: master, Tool: true})
	}
	return sqlite.Open(ctx, sqlite.Config{Dir: g.path("data"), Master: master, Volatile: true})
}

// seedStore writes the two who sign the import and the service accounts.
func (g *gateway) seedStore(ctx context.Context, store ledger.Store, accounts ...web.Client) {
	g.t.Helper()
	since := time.Now().AddDate(-1, 0, 0)
	err := store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, s := range signatures() {
			p := ringfence.Person{ID: s.Person, Tenant: ringfence.DefaultTenant, Name: "Importer", Email: string(s.Person) + "@acme.example",
				Roles: []ringfence.Role{ringfence.RoleAdmin}, Since: since, StoredAt: since, Status: ringfence.StatusActive}
			rec := ledger.Record{Kind: ledger.KindPerson, ID: string(p.ID), Keys: map[string]string{"email": p.Email, "place": ""}, Sort: since.UnixNano()}
			if err := ledger.Write(ctx, tx, &rec, p); err != nil {
				return err
			}
			a := ringfence.Authenticator{ID: s.Authenticator, Tenant: ringfence.DefaultTenant, Subject: ringfence.SubjectID(p.ID), Type: ringfence.AuthPasskey,
				BoundAt: since, StoredAt: since, Status: ringfence.StatusActive}
			rec = ledger.Record{Kind: ledger.KindAuthenticator, ID: string(a.ID), Keys: map[string]string{"subject": string(p.ID)}, Sort: since.UnixNano()}
			if err := ledger.Write(ctx, tx, &rec, a); err != nil {
				return err
			}
		}
		for _, c := range accounts {
			rec := ledger.Record{Kind: "client", ID: c.ID, Sort: since.UnixNano()}
			if err := ledger.Write(ctx, tx, &rec, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// signatures are those of the first import; the gate of the seed takes any.
func signatures() []gate.Signature {
	return []gate.Signature{
		{Person: "per_0000000000000000000000000a", Authenticator: "aut_0000000000000000000000000a"},
		{Person: "per_0000000000000000000000000b", Authenticator: "aut_0000000000000000000000000b"},
	}
}

// pepper is the installation's; it is made when there is none.
func (g *gateway) pepper() []byte {
	g.t.Helper()
	raw, err := os.ReadFile(g.path("data/keys/pepper"))
	if err != nil {
		raw = []byte(hex.EncodeToString([]byte(rand.Text()+rand.Text())) + "\n")
		g.write("data/keys/pepper", raw)
	}
	pepper, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	must(g.t, err)
	return pepper
}

// key is one of the installation's signing keys; it is made when there is none.
func (g *gateway) key(name string) ed25519.PrivateKey {
	g.t.Helper()
	path := "data/keys/" + name + ".pem"
	if raw, err := os.ReadFile(g.path(path)); err == nil {
		block, _ := pem.Decode(raw)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		must(g.t, err)
		return key.(ed25519.PrivateKey)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(g.t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(g.t, err)
	g.write(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return key
}

// loaded is the policy of the scripts, for the seed's gate.
type loaded struct{ p *policy.Policy }

func (l loaded) Current(ringfence.TenantID) *policy.Policy          { return l.p }
func (l loaded) ByHash(ringfence.TenantID, [32]byte) *policy.Policy { return l.p }

func loadPolicy(t testing.TB, dir string) *policy.Policy {
	t.Helper()
	bundle, diags := flows.LoadDir(os.DirFS(dir))
	if bundle == nil {
		t.Fatal(diags)
	}
	return bundle.Policy()
}
