package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
)

// outbox keeps the messages that verify sent.
type outbox struct {
	mu   sync.Mutex
	sent []string
}

func (o *outbox) Deliver(_ context.Context, m verify.Message) (verify.Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, string([]byte(m.Text)))
	return verify.Receipt{Delivery: verify.DeliveryAccepted, ID: "1"}, nil
}

// last returns the newest message's link as a path on the server.
func (o *outbox) link(t testing.TB) string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sent) == 0 {
		t.Fatal("nothing was sent")
	}
	_, after, ok := strings.Cut(o.sent[len(o.sent)-1], "/l#")
	if !ok {
		t.Fatalf("no link in %q", o.sent)
	}
	return "/l#" + after
}

// callers is a public listener over real verify, with one subject.
type callers struct {
	*desktop
	origin  string
	verify  *verify.Verifier
	enrol   *passkey.Registrar
	sent    outbox
	subject ringfence.SubjectID
	agent   ringfence.Person
}

// enrolled stores a new authenticator as the gate will.
func enrolled(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error {
	rec := ledger.Record{Kind: ledger.KindAuthenticator, ID: string(a.ID), Keys: map[string]string{"subject": string(a.Subject)}, Sort: a.StoredAt.UnixNano()}
	if err := ledger.Write(ctx, tx, &rec, a); err != nil {
		return err
	}
	_, err := tx.Append(ctx, ledger.Entry{Event: "authenticator.added", Object: string(a.ID)})
	return err
}

func newCallers(t testing.TB) *callers {
	t.Helper()
	c := &callers{subject: ringfence.NewID[ringfence.SubjectID]("sub")}
	var h http.Handler
	c.origin = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	var keys Passkeys
	c.desktop = newDesktop(t, func(cfg *Config) {
		cfg.PublicURL = c.origin
		cfg.Passkeys = func(ringfence.TenantID) Passkeys { return keys }
	})
	h = c.Public()
	c.agent = c.person("Priya", ringfence.RoleAgent)
	c.put(ringfence.DefaultTenant, ledger.KindSubject, string(c.subject), map[string]string{"customer:account": "10002000", "kind": "customer"},
		ringfence.Subject{ID: c.subject, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive, Record: map[string]string{"account": "10002000"}})
	old := time.Now().Add(-1000 * time.Hour)
	point := ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID]("cpt"), Tenant: ringfence.DefaultTenant, Subject: c.subject, Type: ringfence.ContactMobile,
		Value: "447700900917", VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive}
	c.put(ringfence.DefaultTenant, ledger.KindContactPoint, string(point.ID), map[string]string{"subject": string(c.subject), "value": point.Value}, point)
	pepper := ringfence.Secret(strings.Repeat("p", 32))
	rp := passkey.RP{ID: "localhost", Origins: []string{c.origin}, Name: "Northwind"}
	method, err := passkey.New(passkey.Config{Pepper: pepper, Firm: "Northwind", RP: rp, Link: c.origin + "/l"})
	if err != nil {
		t.Fatal(err)
	}
	c.verify, err = verify.New(verify.Config{Store: c.store, Pepper: pepper, Deliver: &c.sent, Firm: "Northwind", Prefixes: []verify.Prefix{{Digits: "44", PerHour: 100}}}, method)
	if err != nil {
		t.Fatal(err)
	}
	if c.enrol, err = passkey.NewRegistrar(c.store, rp, passkey.EnrolFunc(enrolled)); err != nil {
		t.Fatal(err)
	}
	keys = Passkeys{Page: passkey.NewPage(c.verify, method), Enrol: c.enrol}
	return c
}

// ask sends a link for a bank change and returns its path and carry code.
func (c *callers) link() (ringfence.ChallengeID, string, string) {
	c.t.Helper()
	ch, err := c.verify.Create(c.t.Context(), ringfence.DefaultTenant, verify.Request{Traversal: trv, Subject: c.subject, Method: ringfence.FactPasskey,
		Release: "rel_00000000000000000000000001", Digest: ringfence.Digest{1}, Says: "change the bank account we pay you on", By: c.agent.ID,
		Fields: []verify.Field{{Name: "new_account", As: ringfence.SayDigits, Value: "GB29NWBK60161331926819"}, {Name: "amount", As: ringfence.SayMoney, Value: "125000 GBP"}, {Name: "payee", As: ringfence.SayName, Value: "Northwind Supplies"}}})
	if err != nil {
		c.t.Fatal(err)
	}
	issued, err := c.verify.Issue(c.t.Context(), ringfence.DefaultTenant, ch.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	return ch.ID, c.sent.link(c.t), issued.Tell[0].Text
}

// wrong is a carry code that is not the right one.
func wrong(code string) string {
	if code == "0000" {
		return "1111"
	}
	return "0000"
}

func TestCallerApprovesWithAPasskey(t *testing.T) {
	c := newCallers(t)
	c.calls.change(trv, func(l *ringfence.LiveCall) { l.Reference = "K7M2P9QX" })
	b := open(t, c.origin)
	b.passkeys()
	token, err := c.enrol.Invite(t.Context(), ringfence.DefaultTenant, string(c.subject), "Dana Reed")
	if err != nil {
		t.Fatal(err)
	}
	b.visit("/enrol#" + string([]byte(token)))
	b.looks("enrol")
	b.press("Make a passkey")
	b.see("Your passkey is made")
	b.looks("enrol-done")

	id, link, code := c.link()
	b.visit(link)
	b.see("K7M2 P9QX")
	if got := js[string](b, "location.href"); strings.Contains(got, "#") {
		t.Errorf("the token still stands in the address: %s", got)
	}
	if body := js[string](b, "document.body.innerText"); strings.Contains(body, "NWBK") || strings.Contains(body, "bank") || strings.Contains(body, "Priya") {
		t.Errorf("shown before the carry code: %s", body)
	}
	b.looks("caller-code")
	b.keys("code", wrong(code)+"\r")
	b.see("That is not the code. Tries left: 2")
	b.keys("code", code+"\r")
	b.see("Priya")
	b.see("GB29 NWBK 6016 1331 9268 19")
	b.see("1,250.00 GBP")
	b.see("never ask you to read anything")
	b.looks("caller-action")
	b.press("Approve with a passkey")
	b.see("Approved.")
	b.looks("caller-approved")
	got, err := c.verify.Lookup(t.Context(), ringfence.DefaultTenant, id)
	if err != nil || got.State != verify.StateSatisfied || got.Evidence == "" {
		t.Errorf("the challenge is %s (%v)", got.State, err)
	}
	// The same link again has nothing more to say.
	b.visit("/")
	b.visit(link)
	b.see("This link is over")
	b.looks("caller-over")
	c.quietly(t)
}

func TestCallerDidNotAskForThis(t *testing.T) {
	c := newCallers(t)
	b := open(t, c.origin)
	b.passkeys()
	token, err := c.enrol.Invite(t.Context(), ringfence.DefaultTenant, string(c.subject), "Dana Reed")
	if err != nil {
		t.Fatal(err)
	}
	b.visit("/enrol#" + string([]byte(token)))
	b.press("Make a passkey")
	b.see("Your passkey is made")
	id, link, _ := c.link()
	b.visit(link)
	b.see("I did not ask for this")
	b.press("I did not ask for this")
	b.see("We have stopped it")
	b.looks("caller-stopped")
	got, err := c.verify.Lookup(t.Context(), ringfence.DefaultTenant, id)
	if err != nil || got.State != verify.StateRejected {
		t.Errorf("the challenge is %s (%v)", got.State, err)
	}
}

// A link preview fetches the address and nothing more: the link is as good as
// before, and a wrong token is told apart from a spent one by nothing.
func TestGettingALinkSpendsNothing(t *testing.T) {
	c := newCallers(t)
	for range 3 {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "GET", "/l", nil))
		if w.Code != 200 {
			t.Fatalf("the page answered %d", w.Code)
		}
	}
	for name, body := range map[string]string{
		"unknown token": `{"token":"` + strings.Repeat("0", 32) + `"}`,
	} {
		for _, step := range []string{"look", "unlock", "again", "finish", "refuse"} {
			w := httptest.NewRecorder()
			c.Public().ServeHTTP(w, request(t, "POST", "/l/"+step, body))
			if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"outcome":"closed"}` {
				t.Errorf("%s: %s answered %d %s", name, step, w.Code, w.Body)
			}
		}
	}
	for name, body := range map[string]string{
		"short token": `{"token":"abc"}`, "no token": `{}`, "no body": ``, "array": `[]`, "unknown member": `{"token":"` + strings.Repeat("0", 32) + `","x":1}`,
		"too large": `{"token":"` + strings.Repeat("0", maxBodyBytes) + `"}`,
	} {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "POST", "/l/unlock", body))
		if w.Code != 400 && w.Code != 410 && w.Code != 413 {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/l/look", "/l/refuse", "/l/unlock"} {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "GET", path, nil))
		if w.Code != 405 && w.Code != 404 {
			t.Errorf("GET %s answered %d", path, w.Code)
		}
	}
}

func TestIsThisReallyUs(t *testing.T) {
	c := newCallers(t)
	b := open(t, c.origin)
	b.visit("/call")
	b.looks("really-us")
	b.fill("refin", "k7m2 p9qx")
	b.keys("tailin", "0123\r")
	b.see("this call was placed by us")
	b.looks("really-us-yes")
	b.fill("refin", "AAAABBBB")
	b.keys("tailin", "0123\r")
	b.see("We know no call of ours")
	b.looks("really-us-no")
	b.visit("/")
	b.looks("public-about")
	for _, bad := range []string{"", strings.Repeat("x", 4000), "<script>alert(1)</script>", "K7M2P9Q"} {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "POST", "/call", "ref="+bad, "Content-Type", "application/x-www-form-urlencoded"))
		if strings.Contains(w.Body.String(), "placed by us") || strings.Contains(w.Body.String(), "<script>alert") {
			t.Errorf("%q: answered %d %s", bad, w.Code, w.Body)
		}
	}
}

// The link of a notice can only stop; a preview that fetches it stops nothing.
func TestNoticeStopsTheAction(t *testing.T) {
	c := newCallers(t)
	stopped := 0
	token := strings.Repeat("s", 32)
	c.cfg.Stop = func(_ context.Context, _ ringfence.TenantID, got string) (bool, error) {
		if got != token {
			return false, nil
		}
		stopped++
		return true, nil
	}
	w := httptest.NewRecorder()
	if c.Public().ServeHTTP(w, request(t, "GET", "/stop", nil)); w.Code != 200 || stopped != 0 {
		t.Errorf("fetching the page: %d, stopped %d", w.Code, stopped)
	}
	w = httptest.NewRecorder()
	c.Public().ServeHTTP(w, request(t, "POST", "/stop", `{"token":"`+strings.Repeat("x", 32)+`"}`))
	if strings.TrimSpace(w.Body.String()) != `{"outcome":"closed"}` || stopped != 0 {
		t.Errorf("another token: %d %s", w.Code, w.Body)
	}
	b := open(t, c.origin)
	b.visit("/stop#" + token)
	b.see("Stop it")
	b.looks("stop")
	b.press("Stop it")
	b.see("We have stopped it")
	b.looks("stop-done")
	if stopped != 1 {
		t.Errorf("stopped %d times", stopped)
	}
}

// Five tries a source; a wrong reference and a wrong number are answered alike.
func TestMutualCheckTellsNothingElse(t *testing.T) {
	c := newCallers(t)
	post := func(from, form string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := request(t, "POST", "/call", form, "Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from
		c.Public().ServeHTTP(w, r)
		return w
	}
	right := post("192.0.2.1:1", "ref=K7M2P9QX&tail=0123")
	if !strings.Contains(right.Body.String(), "placed by us") {
		t.Fatal(right.Code, right.Body)
	}
	wrong := post("192.0.2.1:1", "ref=K7M2P9QX&tail=0124").Body.String()
	unknown := post("192.0.2.1:1", "ref=AAAABBBB&tail=0123").Body.String()
	if wrong != strings.ReplaceAll(unknown, "AAAABBBB", "K7M2P9QX") || strings.Contains(wrong, "placed by us") {
		t.Error("a wrong number is answered otherwise than an unknown call")
	}
	for range 2 {
		post("192.0.2.1:2", "ref=K7M2P9QX&tail=0123")
	}
	if w := post("192.0.2.1:3", "ref=K7M2P9QX&tail=0123"); w.Code != 429 {
		t.Errorf("the sixth try answered %d", w.Code)
	}
	if w := post("192.0.2.2:1", "ref=K7M2P9QX&tail=0123"); w.Code != 200 {
		t.Errorf("another source answered %d", w.Code)
	}
	for i := range 6 {
		if w := post(fmt.Sprintf("[2001:db8::%d]:1", i+1), "ref=AAAABBBB&tail=0123"); i == 5 && w.Code != 429 {
			t.Errorf("the sixth address of one network answered %d", w.Code)
		}
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	c := newCallers(t)
	last := 0
	for range 40 {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "POST", "/call", "ref=AAAABBBB", "Content-Type", "application/x-www-form-urlencoded"))
		last = w.Code
	}
	if last != 429 {
		t.Errorf("the fortieth guess answered %d", last)
	}
}

func TestEveryLanguageHasEveryText(t *testing.T) {
	for lang, words := range callerWords {
		for key := range callerWords["en"] {
			if words[key] == "" {
				t.Errorf("%s has no text for %s", lang, key)
			}
		}
		if len(words) != len(callerWords["en"]) {
			t.Errorf("%s has texts that English has not", lang)
		}
	}
	for accept, want := range map[string]string{"": "en", "de-AT,de;q=0.9,en;q=0.8": "de", "fr,de;q=0.5": "de", "ja": "en", "en-GB": "en", ";;,,": "en", strings.Repeat("x,", 1000): "en"} {
		if got := language(accept); got != want {
			t.Errorf("language(%.40q) = %s, want %s", accept, got, want)
		}
	}
}

// Without script the page still says what it is, in the reader's language.
func TestPlainPageExplainsItself(t *testing.T) {
	c := newCallers(t)
	for lang, want := range map[string]string{"en": "It needs JavaScript", "de": "Sie braucht JavaScript"} {
		w := httptest.NewRecorder()
		c.Public().ServeHTTP(w, request(t, "GET", "/l", nil, "Accept-Language", lang))
		if body := w.Body.String(); !strings.Contains(body, want) || !strings.Contains(body, fmt.Sprintf("<html lang=%q>", lang)) {
			t.Errorf("%s: %s", lang, body)
		}
	}
}

// invited gives the subject a passkey in the tab's authenticator.
func (c *callers) invited(b *tab) {
	c.t.Helper()
	token, err := c.enrol.Invite(c.t.Context(), ringfence.DefaultTenant, string(c.subject), "Dana Reed")
	if err != nil {
		c.t.Fatal(err)
	}
	b.visit("/enrol#" + string([]byte(token)))
	b.press("Make a passkey")
	b.see("Your passkey is made")
}

// The reader changes the language in the middle of it, and keeps the link.
func TestCallerReadsGerman(t *testing.T) {
	c := newCallers(t)
	c.calls.change(trv, func(l *ringfence.LiveCall) { l.Reference = "K7M2P9QX" })
	b := open(t, c.origin)
	b.passkeys()
	c.invited(b)
	_, link, code := c.link()
	b.visit(link)
	b.see("Somebody on the telephone with us")
	b.press("Deutsch")
	b.see("Geben Sie die Ziffern ein")
	b.see("K7M2 P9QX")
	if got := js[string](b, "location.href"); strings.Contains(got, "#") || !strings.Contains(got, "lang=de") {
		t.Errorf("the address is %s", got)
	}
	b.looks("caller-code-de")
	b.keys("code", wrong(code)+"\r")
	b.see("Das sind nicht die Ziffern. Versuche übrig: 2")
	b.keys("code", code+"\r")
	b.see("Neues Konto")
	b.see("1.250,00 GBP")
	b.see("GB29 NWBK 6016 1331 9268 19")
	b.see("K7M2 P9QX")
	b.looks("caller-action-de")
	b.tabTo("#approve")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Freigegeben.")
	b.looks("caller-approved-de")
	b.visit("/call?lang=de")
	b.fill("refin", "k7m2 p9qx")
	b.fill("tailin", "0123")
	b.press("Prüfen")
	b.see("Dieser Anruf kam von uns")
	b.looks("caller-check-de")
	c.quietly(t)
}

// The browser inside another app knows no passkeys: the page says what to do,
// gives the address its token back, and lets the action be stopped.
func TestCallerInTheBrowserOfAnApp(t *testing.T) {
	c := newCallers(t)
	b := open(t, c.origin)
	b.passkeys()
	c.invited(b)
	_, link, _ := c.link()
	b.before(`delete window.PublicKeyCredential; navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); };`)
	b.visit(link)
	b.see("Choose Open in browser in the menu")
	if got := js[string](b, "location.pathname + location.hash"); got != link {
		t.Errorf("the app's menu would open %s, not %s", got, link)
	}
	if js[bool](b, `document.getElementById("code").checkVisibility()`) {
		t.Error("it asks for a code that is of no use here")
	}
	b.looks("caller-in-app")
	b.press("Copy the link")
	b.see("Copied.")
	if got := js[string](b, "copied"); got != c.origin+link {
		t.Errorf("copied %s", got)
	}
	b.press("I did not ask for this")
	b.see("We have stopped it")
	c.quietly(t)
}

// A browser of an app that pretends to know passkeys and fails says the same.
func TestCallerInABrowserThatOnlyPretends(t *testing.T) {
	c := newCallers(t)
	b := open(t, c.origin)
	b.passkeys()
	c.invited(b)
	_, link, code := c.link()
	b.before(`Object.defineProperty(navigator, "userAgent", {get: () => "Mozilla/5.0 (iPhone) Instagram 300.0"}); navigator.credentials.get = () => Promise.reject(new DOMException("", "NotAllowedError"));`)
	b.visit(link)
	b.keys("code", code+"\r")
	b.see("GB29 NWBK 6016 1331 9268 19")
	b.press("Approve with a passkey")
	b.see("Choose Open in browser in the menu")
	b.see("Copy the link")
}
