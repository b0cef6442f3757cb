package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// fakeTrial is a telephone that talks to nobody.
type fakeTrial struct {
	mu      sync.Mutex
	now     TrialCall
	keys    string
	changed chan struct{}
}

func (f *fakeTrial) set(with func(*TrialCall)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	with(&f.now)
	f.now.Version++
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

func (f *fakeTrial) Lines(t ringfence.TenantID) ([]TrialLine, string) {
	if t != ringfence.DefaultTenant {
		return nil, "None here."
	}
	return []TrialLine{{Name: "customers", Number: "442079460000"}}, ""
}

func (f *fakeTrial) Call(_ ringfence.TenantID, number string) error {
	if number != "442079460000" {
		return ErrNoCall
	}
	if now, _ := f.State(""); now.State == "talking" {
		return ErrBusy
	}
	f.set(func(c *TrialCall) { c.State, c.Said = "talking", nil })
	return nil
}

func (f *fakeTrial) Key(_ ringfence.TenantID, keys string) error {
	if now, _ := f.State(""); now.State != "talking" {
		return ErrNoCall
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys += keys
	return nil
}

func (f *fakeTrial) HangUp(ringfence.TenantID) { f.set(func(c *TrialCall) { c.State = "over" }) }

func (f *fakeTrial) State(ringfence.TenantID) (TrialCall, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed, f.now.State = make(chan struct{}), "idle"
	}
	return f.now, f.changed
}

func withTrial(f *fakeTrial) func(*Config) { return func(c *Config) { c.Trial = f } }

func TestTheOwnerIsLedToAFirstCall(t *testing.T) {
	phone := &fakeTrial{}
	s := newStaffed(t, withTrial(phone), func(c *Config) {
		c.Queued = func(_ ringfence.TenantID, p ringfence.Person) bool { return p.Name != OwnerName }
	}, withPINs(t))
	owner := s.person(OwnerName, ringfence.RoleAdmin, ringfence.RoleRisk, ringfence.RoleAgent)
	b := open(t, s.origin)
	b.enter(s, owner)
	b.visit("/")
	b.see("0 of 6 done")
	b.see("No queue names Owner")
	b.looks("start-empty")
	b.fill("s-name", "Ada <b>Example</b>")
	b.fill("s-email", "ada@example.com")
	b.press("Sign with your passkey")
	b.see("1 of 6 done")
	b.see("Ada <b>Example</b>") // a name is text
	b.fill("s2-name", "Bo Example")
	b.fill("s2-email", "bo@example.com")
	b.press("Add with your passkey")
	b.see("ringfence user invite --email bo@example.com")
	b.looks("start-second")
	s.boundBy("bo@example.com")
	b.visit("/start")
	b.see("2 of 6 done")
	b.press("Make one up")
	b.see("An import waits.")

	s.dana() // somebody is on file
	told(t, s, "traversal.began")
	b.visit("/start")
	b.see("Be ready for calls")
	told(t, s, "challenge.satisfied")
	b.visit("/start")
	b.see("Everything is done.")
	b.gone("First steps People")
	if all := s.pages(t.Context(), principal{tenant: ringfence.DefaultTenant, person: owner}); slices.Contains(all, "start") {
		t.Errorf("the pages are %v when every step is done", all)
	}
	s.quietly(t)
}

// boundBy gives a member of staff a passkey that nobody can use.
func (s *staffed) boundBy(email string) {
	s.t.Helper()
	err := s.store.Update(s.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		people, err := tx.List(s.t.Context(), ledger.KindPerson, ledger.Query{Key: "email", Value: email, Limit: 1})
		if err != nil || len(people) != 1 {
			return fmt.Errorf("%d people have the address %s: %v", len(people), email, err)
		}
		key := ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Subject: ringfence.SubjectID(people[0].ID),
			Type: ringfence.AuthPasskey, Status: ringfence.StatusActive, StoredAt: tx.Now()}
		rec := ledger.Record{Kind: ledger.KindAuthenticator, ID: string(key.ID), Keys: map[string]string{"subject": people[0].ID}}
		return ledger.Write(s.t.Context(), tx, &rec, key)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// told writes an entry as the room it belongs to would.
func told(t testing.TB, s *staffed, event ledger.Event) {
	t.Helper()
	err := s.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Append(t.Context(), ledger.Entry{Event: event})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The built-in telephone on the page: what the caller hears, and keys.
func TestTheBuiltInTelephone(t *testing.T) {
	phone := &fakeTrial{}
	s := newStaffed(t, withTrial(phone))
	ada := s.person("Ada", ringfence.RoleAdmin, ringfence.RoleAgent)
	bo := s.person("Bo", ringfence.RoleAgent)
	s.boundBy(bo.Email)
	s.dana()
	told(t, s, "traversal.began")
	s.change(ada, func(p *ringfence.Person) { p.Place = "sip:ada@pbx.example.com" })
	b := open(t, s.origin)
	b.enter(s, ada)
	b.visit("/start")
	b.see("Let the caller prove something")
	b.press("Call customers")
	b.see("On the call")
	phone.set(func(c *TrialCall) { c.Said = []string{"Welcome", "• • • •"} })
	b.see("• • • •")
	b.press("5")
	b.fill("s-keys", "10002000#")
	b.press("Key them")
	b.looks("start-call")
	b.press("Hang up")
	b.see("Call over")
	phone.mu.Lock()
	defer phone.mu.Unlock()
	if phone.keys != "510002000#" {
		t.Errorf("the caller keyed %q", phone.keys)
	}
}

func TestTheTelephoneIsRefused(t *testing.T) {
	phone := &fakeTrial{}
	s := newDesktop(t, withTrial(phone))
	admin := s.signIn(s.person("Ada", ringfence.RoleAdmin))
	for _, one := range []struct {
		name, path string
		body       any
		want       int
	}{
		{"no such line", "call", map[string]any{"number": "999"}, 404},
		{"no number", "call", map[string]any{"number": ""}, 422},
		{"no call", "call/keys", map[string]any{"keys": "1"}, 409},
		{"letters", "call/keys", map[string]any{"keys": "1a"}, 422},
		{"too many keys", "call/keys", map[string]any{"keys": strings.Repeat("1", 33)}, 422},
		{"nothing to hang up", "call/hang-up", map[string]any{}, 204},
		{"a call", "call", map[string]any{"number": "442079460000"}, 204},
		{"a second call", "call", map[string]any{"number": "442079460000"}, 409},
		{"keys", "call/keys", map[string]any{"keys": "1*#"}, 204},
	} {
		if w := s.ask(admin, "POST", "/v1/start/"+one.path, one.body); w.Code != one.want {
			t.Errorf("%s: %d %s", one.name, w.Code, w.Body)
		}
	}
	none := newDesktop(t)
	admin = none.signIn(none.person("Ada", ringfence.RoleAdmin))
	for _, path := range []string{"call", "call/hang-up"} {
		if w := none.ask(admin, "POST", "/v1/start/"+path, map[string]any{"number": "442079460000"}); path == "call" && w.Code != 404 {
			t.Errorf("%s without a telephone: %d %s", path, w.Code, w.Body)
		}
	}
	if w := none.ask(admin, "GET", "/v1/start", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "no built-in telephone") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// testSystem is a configuration in which everything is there, with names that
// would like to be markup.
func testSystem(context.Context, ringfence.TenantID) (System, error) {
	soon := time.Now().Add(9 * 24 * time.Hour)
	return System{
		Tenants:   []SystemTenant{{ID: "default", Name: "Northwind <script>alert(1)</script>", Language: "en"}},
		Listeners: []SystemListener{{Name: "carrier", Transport: "tls", Addr: "192.0.2.1:5061", Bound: true, Trunks: []string{"carrier"}}, {Name: "phones", Transport: "udp", Addr: "127.0.0.1:5072", Trunks: []string{}}},
		Trunks: []SystemTrunk{{Name: "carrier", Transport: "tls", Outbound: true, Calls: 3, Binding: "registered", Peers: []SystemPeer{{"198.51.100.1:5061", ringfence.Yes}, {"198.51.100.2:5061", ringfence.No}}},
			{Name: "phones", Transport: "udp", Agents: true, Peers: []SystemPeer{{"127.0.0.1:5090", ringfence.Unknown}}}},
		Lines:     []SystemLine{{Name: "customers", Numbers: []string{"442079460000"}, Flow: "customer-line", Fallback: "customer_service", Zone: "Europe/London", Hours: []string{"mon-fri 09:00-17:00"}, Open: true, Recorded: "standard"}},
		Queues:    []SystemQueue{{Name: "customer_service", People: []string{"*"}, Strategy: "longest_idle", Ready: 2}, {Name: "fraud_desk", People: []string{"bo@example.com"}, Strategy: "ring_all"}},
		Executors: []SystemExecutor{{Name: "bank", Actions: []string{"payment"}, Proof: "dpop", Webhook: "core.example.com"}, {Name: "lab", Actions: []string{"brochure"}, Proof: "none"}},
		Keys: []SystemKey{{Name: "permit.pem", For: "signs permits", ID: "0123456789abcdef", Where: "ringfence keys rotate"},
			{Name: "web.staff.tls.cert", For: "console", ID: "console.example.com", Until: soon, Where: "web.staff.tls.cert"},
			{Name: "web.public.tls.cert", For: "callers' pages", ID: "call.example.com", Until: time.Now().Add(-time.Hour), Where: "web.public.tls.cert"},
			{Name: "stirshaken.sign.cert", For: "signs the calls we place", Where: "stirshaken.sign.cert", Fault: "It cannot be read."}},
		Kept: []SystemFact{{"Recordings, class standard", "90 days", "media.recording.retention_days"}}, Carried: []SystemFact{{"SMS", "Twilio", "deliver"}},
		Warnings: []string{"no tts: names and texts without a recording are spelt letter by letter"},
	}, nil
}

func TestAdministrationShowsWhatIsConfigured(t *testing.T) {
	s := newStaffed(t, func(c *Config) { c.System = testSystem })
	for i, age := range []time.Duration{20 * time.Second, 70 * time.Second} {
		s.calls.change(ringfence.TraversalID(fmt.Sprintf("trv_0000000000000000000000000%d", i+1)), func(c *ringfence.LiveCall) {
			c.State, c.Queue, c.Since, c.Caller = "queued", "customer_service", time.Now().Add(-age), "+44 20 7946 0991"
		})
	}
	s.calls.change("trv_00000000000000000000000003", func(c *ringfence.LiveCall) { c.State, c.Queue = "talking", "fraud_desk" })
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Olga", ringfence.RoleOps)))
	b.visit("/admin")
	b.see("Does not answer")
	b.see("registered")
	b.see("sip.trunks")
	b.see("<script>alert(1)</script>")
	b.see("2 waiting")
	b.see("the longest 1 min")
	b.see("nobody waits")
	if strings.Contains(js[string](b, "document.body.innerText"), "7946 0991") {
		t.Error("the page of a queue shows who calls")
	}
	b.looks("admin-telephone")
	b.press("Rules")
	b.see("policy/floors.go:")
	js[chromedp.Void](b, `[...document.querySelectorAll("tr")].find(r => r.innerText.includes("make a payment")).querySelector("summary").focus();undefined`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`[...document.querySelectorAll("details[open] pre")].some(p => p.innerText.startsWith("payment:") && p.innerText.includes("needs"))`, "the action's own lines are not there")
	b.see("Floors that no policy goes under")
	b.see("pin and passkey and callback")
	b.looks("admin-rules")
	b.press("Systems")
	b.see("proves its key by DPoP")
	b.see("Nothing was announced.")
	b.looks("admin-systems")
	b.press("Keys")
	b.see("Ends in 8 days")
	b.see("It cannot be read.")
	b.press("Keeping")
	b.see("90 days")
	// Without a mouse: the parts are links in the order of the page.
	js[chromedp.Void](b, `document.querySelector(".parts a").focus();undefined`)
	b.do(chromedp.KeyEvent("\r"))
	b.see("Does not answer")
	s.quietly(t)
}
