package runner

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/verifytest"
)

const (
	ten     = verifytest.Tenant
	ada     = ringfence.PersonID("per_ada") // a clerk
	ben     = ringfence.PersonID("per_ben") // another
	manager = ringfence.PersonID("per_manager")
	second  = ringfence.PersonID("per_second") // manager

	account = "10002000"
	pinOK   = "482137"
	totpOK  = "135790"
	balance = "731904" // in minor units
	mobile  = ringfence.TN("447700900123")
)

// shipped is the bundle of the shipped scripts.
var shipped = sync.OnceValue(func() *flows.Bundle { return compile(scripts.FS, nil) })

// following is the same bundle again, as a shadow.
var following = sync.OnceValue(func() *flows.Bundle { return compile(scripts.FS, nil) })

// compile loads scripts with some files replaced or added.
func compile(base fs.FS, with map[string]string) *flows.Bundle {
	files := fstest.MapFS{}
	err := fs.WalkDir(base, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") || strings.HasPrefix(path, "tests/") {
			return err
		}
		raw, err := fs.ReadFile(base, path)
		files[path] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		panic(err)
	}
	for path, text := range with {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	b, diags := flows.LoadDir(files)
	if b == nil {
		panic(diags)
	}
	return b
}

// world is every room over a store in memory, with people at the telephones.
type world struct {
	*verifytest.World
	t       *testing.T
	v       *verify.Verifier
	desk    *callback.Desk
	gate    *gate.Gate
	r       *Runner
	voice   *voice
	bundle  *flows.Bundle
	log     *logs
	notices chan Notice

	customer ringfence.SubjectID

	mu      sync.Mutex
	legs    []*line // guarded by mu
	calls   chan *line
	phoneOf map[ringfence.PersonID]string // where a person is rung for a call that is handed over
	phones  map[string]string             // what a number does when it is rung: answers, busy, silent, diverted, declined; by its digits or URI
	auto    func(l *line, text string)
	caller  Caller
	queues  map[string]Queue
	lines   map[string]Line
	events  int // that legs told
	shadow  *flows.Bundle
	// followed is what shadows told.
	followed []flows.Followed
	cutAt    int
	cutting  func()
	behind   func(ledger.Store) ledger.Store // what stands before the store from the next open on; nil = nothing
}

// knows is a stand-in method whose answer is the authenticator's secret.
type knows struct {
	fact ringfence.Fact
	auth ringfence.AuthenticatorType
	k    ringfence.Strength
	mute bool
}

func (k knows) Spec() verify.Spec {
	return verify.Spec{Fact: k.fact, Strength: k.k, Authenticator: k.auth, Life: 2 * time.Minute, MaxLife: 10 * time.Minute, Quiet: k.mute}
}

func (k knows) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	for _, one := range a.Authenticators {
		switch {
		case bytes.Equal(a.Answer.Value, one.Secret):
			return verify.Verdict{OK: true, Authenticator: one.ID}, nil
		case bytes.Equal(a.Answer.Value, []byte("911911")):
			return verify.Verdict{OK: true, Duress: true, Authenticator: one.ID}, nil
		}
	}
	return verify.Verdict{}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: verifytest.New(t), t: t, bundle: shipped(), voice: &voice{}, log: &logs{}, notices: make(chan Notice, 256), calls: make(chan *line, 64),
		phones: map[string]string{}, caller: Caller{Says: "nothing is signed", Number: "yes", Shown: "+447700900999", Orig: "447700900999"}}
	w.people()
	w.queues = map[string]Queue{}
	for _, q := range []string{"customer_service", "payments_clerk", "fraud_desk", "payments_desk", "help_desk"} {
		w.queues[q] = Queue{Name: q, People: w.staff(ada), All: true}
	}
	w.lines = map[string]Line{}
	for _, f := range w.bundle.Flows() {
		if f.Starts == flows.StartsInbound {
			w.lines[f.Name] = Line{Name: f.Name, Tenant: ten, Flow: f.Name, Fallback: "customer_service", Language: "en"}
		}
	}
	w.open()
	t.Cleanup(func() { // a test that failed half-way leaves no goroutine
		over, cancel := context.WithCancel(context.Background())
		cancel()
		w.r.Drain(over)
		w.mu.Lock()
		legs := slices.Clone(w.legs)
		w.mu.Unlock()
		for _, l := range legs {
			l.end(ringfence.EndShutdown)
		}
	})
	return w
}

// staff are people who are ready.
func (w *world) staff(who ...ringfence.PersonID) func(context.Context) Staff {
	var out []Place
	for _, p := range who {
		out = append(out, Place{Person: p, URI: "sip:" + string(p) + "@pbx"})
	}
	return func(context.Context) Staff { return Staff{Ready: out} }
}

// people puts a customer and some staff on file.
func (w *world) people() {
	w.customer = w.subject("customer", map[string]string{"account": account, "first_name": "Ann", "balance": balance + " GBP", "balance_band": "low"}, "account", mobile)
	w.Authenticator(string(w.customer), ringfence.AuthPIN, ringfence.Secret(pinOK))
	w.Authenticator(string(w.customer), ringfence.AuthTOTP, ringfence.Secret(totpOK))
	w.subject("contact", map[string]string{"first_name": "Bo", "company": "Acme Ltd"}, "company", "447700900456")
	e := w.subject("employee", map[string]string{"staff_number": "123456", "first_name": "Eve"}, "staff_number", "447700900789")
	w.Authenticator(string(e), ringfence.AuthTOTP, ringfence.Secret(totpOK))
	for _, p := range []ringfence.PersonID{ada, ben, manager, second} {
		long := time.Now().AddDate(-1, 0, 0)
		person := ringfence.Person{ID: p, Tenant: ten, Name: string(p), Roles: []ringfence.Role{ringfence.RoleAgent}, Status: ringfence.StatusActive, Since: long, StoredAt: long}
		if p == manager || p == second {
			person.Roles = append(person.Roles, ringfence.RoleSupervisor)
			person.Groups = []string{"payments_manager", "customer_care", "line_manager"}
		}
		w.Put(ledger.KindPerson, string(p), nil, person)
		w.PutAuthenticator(ringfence.Authenticator{ID: ringfence.AuthenticatorID("aut_" + p), Tenant: ten, Subject: ringfence.SubjectID(p), Type: ringfence.AuthPasskey,
			BoundAt: long, StoredAt: long, Status: ringfence.StatusActive})
	}
}

func (w *world) subject(kind ringfence.SubjectKind, record map[string]string, by string, number ringfence.TN) ringfence.SubjectID {
	id := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	w.Put(ledger.KindSubject, string(id), map[string]string{"kind": string(kind), string(kind) + ":" + by: record[by]}, ringfence.Subject{ID: id, Tenant: ten,
		Kind: kind, Record: record, Status: ringfence.StatusActive, StoredAt: time.Now().AddDate(-1, 0, 0)})
	w.Contact(id, ringfence.ContactMobile, string(number))
	return id
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// open joins the rooms over the store; a second time it stands for a restart.
func (w *world) open() {
	log := slog.New(w.log)
	back, confirm := must(callback.New(verifytest.Pepper)), must(callback.NewConfirm(verifytest.Pepper))
	link := must(passkey.New(passkey.Config{Pepper: verifytest.Pepper, Firm: "Acme", Link: "https://id.example.com/l",
		RP: passkey.RP{ID: "id.example.com", Origins: []string{"https://id.example.com"}, Name: "Acme"}}))
	conf := w.Config()
	var store ledger.Store = w.Store
	if w.behind != nil {
		store = w.behind(store)
		conf.Store = store
	}
	conf.Log = log
	conf.DecoyShare = map[ringfence.Fact]uint8{ringfence.FactTOTP: 255, ringfence.FactPasskey: 0}
	conf.Limits = verify.Limits{CallsHour: 50, CallsDay: 50, PerContactHour: 50, PerContactDay: 50}
	w.v = must(verify.New(conf, knows{ringfence.FactPIN, ringfence.AuthPIN, ringfence.StrengthKnowledge, true},
		knows{ringfence.FactTOTP, ringfence.AuthTOTP, ringfence.StrengthPossess, false}, must(otp.NewSMS(verifytest.Pepper, "Acme")), link, back, confirm))
	w.desk = callback.NewDesk(w.v, back, confirm)
	seed := sha256.Sum256([]byte("key"))
	key := ed25519.NewKeyFromSeed(seed[:])
	w.gate = must(gate.New(gate.Config{Store: store, Policies: w, Key: key, Log: must(ledger.NewSigner("test", key)),
		Executor: func(tenant ringfence.TenantID, action string) string {
			if a, ok := w.Current(tenant).Action(action); ok && gate.Performs(a) {
				return gate.Self
			}
			return "bank"
		},
		Keep: func(_ context.Context, k gate.Keeping) (gate.Kept, error) {
			sum := sha256.Sum256(k.Values["new_pin"])
			return gate.Kept{Type: ringfence.AuthPIN, Secret: sum[:]}, nil
		},
		CheckApproval: func(context.Context, ringfence.Authenticator, [32]byte, []byte) error { return nil }}))
	w.r = must(New(Config{Rooms: Rooms{Verify: w.v, Desk: w.desk, Gate: w.gate}, Store: store, Phone: w, Voice: w.voice, Identity: w, Directory: w,
		Bundles: bundles{w}, Music: ringfence.Clip{1}, Notify: func(n Notice) { w.notices <- n }, Log: log}))
}

// The world answers what a runner asks of the rooms around it.

type bundles struct{ w *world }

func (b bundles) Current(ringfence.TenantID) *flows.Bundle { return b.w.bundle }

// Shadow implements Shadows: every call of every test is followed.
func (b bundles) Shadow(ringfence.TenantID) *flows.Bundle {
	if b.w.shadow != nil {
		return b.w.shadow
	}
	return following()
}

func (b bundles) Followed(_ ringfence.TenantID, id ringfence.TraversalID, f flows.Followed) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.w.followed = append(b.w.followed, f)
}

func (b bundles) ByHash(_ ringfence.TenantID, hash string) *flows.Bundle {
	if b.w.bundle != nil && b.w.bundle.HashText() == hash {
		return b.w.bundle
	}
	return nil
}

func (w *world) Current(ringfence.TenantID) *policy.Policy {
	if w.bundle == nil {
		return shipped().Policy()
	}
	return w.bundle.Policy()
}

func (w *world) ByHash(ringfence.TenantID, [32]byte) *policy.Policy { return w.Current(ten) }

func (w *world) Check(context.Context, ringfence.LegInfo, time.Time) Caller { return w.caller }

func (w *world) Line(_, called string) (Line, bool) {
	l, ok := w.lines[called]
	return l, ok
}

func (w *world) Queue(_ ringfence.TenantID, name string) (Queue, bool) {
	q, ok := w.queues[name]
	return q, ok
}

// PlaceOf implements Places for those to whom the test gave a phone.
func (w *world) PlaceOf(_ context.Context, _ ringfence.TenantID, id ringfence.PersonID) (Place, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	uri, ok := w.phoneOf[id]
	return Place{Person: id, URI: uri}, ok
}

// TransferTo implements Transfers: Ben's extension, and queues by name.
func (w *world) TransferTo(_ context.Context, _ ringfence.TenantID, to string) (Target, bool) {
	if to == "202" {
		return Target{Place: Place{Person: ben, URI: "sip:ben@pbx", MayTransfer: true}}, true
	}
	_, ok := w.queues[to]
	return Target{Queue: to}, ok
}

func (w *world) Outbound(ringfence.TenantID) (trunk, from string) { return "carrier", "442079460001" }

// Place implements Phone: what becomes of the leg stands in phones.
func (w *world) Place(ctx context.Context, p ringfence.Placement) (Leg, error) {
	w.mu.Lock()
	does := w.phones[p.To]
	w.mu.Unlock()
	if does == "unreachable" {
		return nil, errors.New("no route")
	}
	if p.Leg == "" {
		p.Leg = ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg)
	}
	l := newLine(w, p.Leg)
	l.p = p
	l.info = ringfence.LegInfo{ID: p.Leg, Direction: ringfence.Outbound, Trunk: p.Trunk}
	l.stop = context.AfterFunc(ctx, func() { l.end(ringfence.EndHangup) })
	w.add(l)
	after := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	switch does {
	case "", "answers":
		after(2*time.Second, l.answer)
	case "busy":
		after(2*time.Second, func() { l.end(ringfence.EndBusy) })
	case "declined":
		after(2*time.Second, func() { l.end(ringfence.EndDeclined) })
	case "diverted":
		after(2*time.Second, func() {
			l.emit(ringfence.LegEvent{Kind: ringfence.LegDiverted})
			l.end(ringfence.EndDiverted)
		})
	case "silent":
		ring := p.Ring
		if ring == 0 {
			ring = 30 * time.Second
		}
		after(ring, func() { l.end(ringfence.EndNoAnswer) })
	case "away": // 480
		after(2*time.Second, func() { l.end(ringfence.EndNoAnswer) })
	case "failed": // 503, or nothing could be sent
		after(2*time.Second, func() { l.end(ringfence.EndFailed) })
	case "rings": // until the test answers
	}
	w.calls <- l
	return l, nil
}

func (w *world) add(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.legs = append(w.legs, l)
}

func (w *world) leg(id ringfence.LegID) *line {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.legs {
		if l.id == id {
			return l
		}
	}
	return nil
}

// heard tells whoever is at the far end.
func (w *world) heard(l *line, text string) {
	w.mu.Lock()
	auto := w.auto
	w.mu.Unlock()
	if auto != nil {
		auto(l, text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.said <- text
	}
}

// counted counts an event of a leg and does what is to be done after so many.
func (w *world) counted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.events++; w.events == w.cutAt && w.cutting != nil {
		go w.cutting()
	}
}

// call rings a line.
func (w *world) call(called string) *line {
	l := newLine(w, ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg))
	l.info = ringfence.LegInfo{ID: l.id, Direction: ringfence.Inbound, Trunk: "carrier", Called: called}
	w.add(l)
	go w.r.Inbound(context.Background(), l)
	return l
}

// placed waits for the next leg that the runner places.
func (w *world) placed() *line {
	w.t.Helper()
	select {
	case l := <-w.calls:
		return l
	case <-time.After(time.Hour):
		w.t.Fatal("no leg was placed")
		return nil
	}
}

// live is the only live traversal.
func (w *world) live() ringfence.LiveCall {
	w.t.Helper()
	all := w.r.Live(ten)
	if len(all) != 1 {
		w.t.Fatalf("have %d live calls, want 1", len(all))
	}
	return all[0]
}

// until waits for a view for which ok holds.
func (w *world) until(what string, ok func(ringfence.LiveCall) bool) ringfence.LiveCall {
	w.t.Helper()
	changed, stop := w.r.Watch(ten)
	defer stop()
	limit := time.After(time.Hour)
	for {
		for _, v := range w.r.Live(ten) {
			if ok(v) {
				return v
			}
		}
		select {
		case <-changed:
		case <-limit:
			w.t.Fatalf("never %s: %+v", what, w.r.Live(ten))
		}
	}
}

// ended waits until no traversal is live and checks that none of them left
// anything open.
func (w *world) ended() {
	w.t.Helper()
	changed, stop := w.r.Watch(ten)
	defer stop()
	limit := time.After(3 * time.Hour)
	for w.r.Active() > 0 {
		select {
		case <-changed:
		case <-limit:
			w.t.Fatalf("never rests: %+v", w.r.Live(ten))
		}
	}
	w.r.Drain(context.Background())
	w.closed()
}

func (w *world) closed() {
	w.t.Helper()
	began, over := map[ringfence.TraversalID]int{}, map[ringfence.TraversalID]int{}
	for _, e := range w.Store.Entries(ten) {
		switch e.Event {
		case "traversal.began":
			began[e.Traversal]++
		case "traversal.ended":
			over[e.Traversal]++
		}
	}
	for id := range began {
		if over[id] != 1 {
			w.t.Errorf("%s: %d traversal.ended, want 1", id, over[id])
		}
	}
	for _, rec := range w.List(verify.KindChallenge) {
		if rec.Keys["open"] == "yes" {
			w.t.Errorf("an open challenge is left: %s", rec.Body)
		}
	}
	for _, rec := range w.List(kindJob) {
		w.t.Errorf("a job is left: %s", rec.ID)
	}
	w.replays(began)
	rels := must(w.gate.List(context.Background(), ten, gate.Filter{Limit: 1000}))
	for _, rel := range rels {
		if rel.State == gate.StatePendingEvidence && rel.Traversal != "" {
			w.t.Errorf("release %s of %s is left in %s", rel.ID, rel.Type, rel.State)
		}
	}
	w.mu.Lock()
	legs := slices.Clone(w.legs)
	w.mu.Unlock()
	for _, l := range legs {
		l.mu.Lock()
		if !l.over {
			w.t.Errorf("leg %s (%s) is left", l.id, l.p.Purpose)
		}
		l.mu.Unlock()
	}
	if n := len(w.r.codes); n > 0 {
		w.t.Errorf("%d codes are left", n)
	}
	if panics := w.log.find("panic"); len(panics) > 0 {
		w.t.Errorf("%s", panics)
	}
}

// fields are those of an action.
func fields(action string) map[string]string {
	switch action {
	case "bank_change":
		return map[string]string{"new_account": "55556666"}
	case "supplier_change":
		return map[string]string{"new_account": "12345678", "company": "Acme Ltd"}
	case "password_reset":
		return map[string]string{"user_number": "123456"}
	case "set_pin":
		return map[string]string{"new_pin": "739164"}
	case "new_number":
		return map[string]string{"new_number": "447700900321"}
	}
	return map[string]string{"payee": "Ann Example", "amount": "125000 GBP", "account": "12345678"}
}

// claims are by what each kind of subject is found.
var claims = map[ringfence.SubjectKind][2]string{"customer": {"account", account}, "contact": {"company", "Acme Ltd"}, "employee": {"staff_number", "123456"}}

// opens identifies the caller of a live call and opens an action, as its owner
// does in the console.
func (w *world) opens(v ringfence.LiveCall, action string) gate.Release {
	w.t.Helper()
	a, _ := w.Current(ten).Action(action)
	claim := claims[a.About]
	if err := w.r.Identify(context.Background(), w.act(v), a.About, claim[0], claim[1]); err != nil {
		w.t.Fatal(err)
	}
	v = w.until("identified", func(v ringfence.LiveCall) bool { return v.Subject != "" })
	rel, _, err := w.gate.Open(context.Background(), ten, gate.OpenRequest{Type: action, Subject: v.Subject, Fields: fields(action),
		Traversal: v.Traversal, By: gate.Actor{Person: ada}, AskedBy: gate.AskedPhone})
	if err != nil {
		w.t.Fatal(err)
	}
	return rel
}

func (w *world) act(v ringfence.LiveCall) Act {
	return Act{Tenant: ten, By: ada, Traversal: v.Traversal}
}

// approves lets colleagues agree to whatever they are asked.
func (w *world) approves(n Notice) {
	if n.Kind != "approval" {
		return
	}
	for _, who := range []ringfence.PersonID{manager, second} {
		rel, err := w.gate.Lookup(context.Background(), ten, n.Release)
		if err != nil || rel.State != gate.StatePendingApproval {
			continue
		}
		_, _, _ = w.gate.Approve(context.Background(), ten, gate.ApprovalInput{Release: rel.ID, Person: who, Authenticator: ringfence.AuthenticatorID("aut_" + who),
			Digest: rel.Digest, Policy: rel.Policy, EvidenceHash: rel.EvidenceHash, Assertion: []byte("signed")})
	}
}

// release reads the only release of a type.
func (w *world) release(action string) gate.Release {
	w.t.Helper()
	rels := must(w.gate.List(context.Background(), ten, gate.Filter{Limit: 1000}))
	rels = slices.DeleteFunc(rels, func(r gate.Release) bool { return r.Type != action })
	if len(rels) != 1 {
		w.t.Fatalf("have %d releases of %s, want 1", len(rels), action)
	}
	return rels[0]
}

// steps are the ledger's events without those of the gate.
func (w *world) steps() []string {
	var out []string
	for _, e := range w.Store.Entries(ten) {
		out = append(out, string(e.Event))
	}
	return out
}

var code = regexp.MustCompile(`\b[0-9]{4}\b`)

// carry is the carry code of a line that was heard.
func carry(text string) string { return code.FindString(text) }

var lastDigits = regexp.MustCompile(`([0-9]+)[^0-9]*$`)

// digitsIn are the last digits of a line: fresh digits, which stand alone.
func digitsIn(text string) string {
	m := lastDigits.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

var yesKey = regexp.MustCompile(`press ([3-9])`)

// yes is the yes-key of a read-back.
func yes(text string) string {
	m := yesKey.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// logs keeps what was logged.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logs) find(part string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			out = append(out, line)
		}
	}
	return out
}

func asJSON(v any) string { return string(must(json.Marshal(v))) }

// flowsOf are the shipped scripts.
func flowsOf() fs.FS { return scripts.FS }

// traversalOf finds the traversal of a leg in the ledger.
func (w *world) traversalOf(l *line) ringfence.TraversalID {
	for _, e := range w.Store.Entries(ten) {
		if e.Leg == l.id {
			return e.Traversal
		}
	}
	return ""
}

// plant adds a flow that no prover has seen; its lines follow a caller who was
// identified and proved nothing.
func (w *world) plant(lines string) {
	flow := "flow: planted\nabout: breaks the policy\nstarts: inbound\nsubject: customer\nlanguage: en\nvars:\n  account: digits 8\notherwise:\n  silent: gone\n  wrong: gone\n  down: gone\nscenes:\n" +
		"  begin:\n    - ask: Please enter your eight digit customer number.\n      into: account\n    - identify: customer\n      by: account\n    - go: more\n  more:\n" + lines + "  gone:\n    - hangup\n"
	w.bundle = compile(scripts.FS, map[string]string{"planted.yaml": flow})
	w.lines["planted"] = Line{Name: "planted", Tenant: ten, Flow: "planted", Language: "en"}
}
