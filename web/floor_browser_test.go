package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
)

// chord presses Alt+Shift and a key.
func (b *tab) chord(key string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierAlt, chromedp.ModifierShift)))
}

// atBack makes the page believe that nobody looks at it, and keeps what it would
// tell the system.
const atBack = `Object.defineProperty(document, "hidden", {get: () => true, configurable: true});
window.noticed = [];
window.Notification = class { static permission = "granted"; constructor(title, how) { noticed.push(title + ": " + how.body); } close() { noticed.push("closed"); } };undefined`

// A call rings at the agent's desk phone: the page calls, says what a telephone
// would show, and tells nothing about anybody until it is answered.
func TestRingingCallsToThePage(t *testing.T) {
	d := newDesktop(t)
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	origin := serve(t, d.Staff())
	b, other := open(t, origin), open(t, origin)
	b.with(d.signIn(priya))
	other.with(d.signIn(omar))
	for _, one := range []*tab{b, other} {
		one.visit("/console")
		one.see("No call for you now")
		one.see("Live")
	}
	js[chromedp.Void](b, atBack)
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		northwind("")(c)
		c.State, c.Since, c.Queue, c.Ringing = "queued", time.Now().Add(-12*time.Second), "payments_desk", []ringfence.PersonID{priya.ID}
	})
	b.see("Incoming call")
	b.see("+44 20 7946 0991")
	b.see("For payments desk")
	b.see("1 waiting for payments desk")
	b.until(`document.title.includes("Incoming call") && noticed.length > 0`, "the page does not call")
	for _, secret := range []string{"Dana Reed", "Telephone PIN"} {
		if strings.Contains(js[string](b, "document.body.innerText"), secret) {
			t.Errorf("a call that nobody answered shows %q", secret)
		}
	}
	b.looks("console-ringing")
	other.see("1 waiting for payments desk")
	if strings.Contains(js[string](other, "document.body.innerText"), "7946") {
		t.Error("the call shows at somebody's whose telephone does not ring")
	}
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.State, c.Owner, c.Ringing = "talking", priya.ID, nil })
	b.see("Dana Reed")
	b.see("On a call")
	b.gone("Incoming call")
	b.until(`noticed.includes("closed") && !document.title.includes("Incoming")`, "it goes on calling")
	d.quietly(t)
}

// Several calls at once: the one that was answered is shown, the others are one
// key away, and one that is in danger is marked.
func TestSeveralCalls(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Live")
	for i, claim := range []string{"Dana Reed, Northwind Supplies", "Kit Marlow, finance director of the Harbour & Lighthouse Maintenance Company", "Jo Abara"} {
		id := ringfence.TraversalID(fmt.Sprintf("trv_0000000000000000000000000%d", i+1))
		d.calls.change(id, func(c *ringfence.LiveCall) {
			northwind(priya.ID)(c)
			c.Traversal, c.Claim, c.Began = id, claim, time.Now().Add(-time.Duration(9-i)*time.Minute)
			if i < 2 {
				c.State = "suspended"
			}
			if i == 1 {
				c.Alert = "The person on file said: I did not ask for this."
			}
			if i == 2 {
				c.Supervised, c.Releases = "listen", []ringfence.LiveRelease{{ID: "rel_00000000000000000000000001", Type: "statement", Says: "send a statement to the address we hold", Class: ringfence.C2,
					State: "pending_evidence", Fields: map[string]string{"from_date": "2026-01-01", "copies": "1"}, Decision: "step_up", Why: "Still needed: the passkey, by a link that shows this action.",
					Missing: []ringfence.Fact{ringfence.FactPasskey}, Flags: []string{"the payee mixes alphabets"}, Risks: []string{"This was asked for at night or at the weekend.", "The SIM of a number on file was changed in the last days."}}}
			}
		})
		b.see(claim)
	}
	b.see("Claims to be Jo Abara")
	b.see("A supervisor listens.")
	b.see("The SIM of a number on file was changed")
	b.see("The payee mixes alphabets")
	b.looks("console-several")
	b.chord("@") // Shift+2
	b.see("Claims to be Kit Marlow")
	b.see("I did not ask for this")
	b.looks("console-alert")
	d.quietly(t)
}

// Away stays away over a server that was started again, in every tab.
func TestAwayOutlivesARestart(t *testing.T) {
	d := newDesktop(t)
	next, err := New(d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var staff atomic.Pointer[Server]
	staff.Store(d.Server)
	var down atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		staff.Load().Staff().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, "http://localhost"+srv.URL[strings.LastIndex(srv.URL, ":"):])
	b.allowed = append(b.allowed, "ERR_")
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Live")
	second := b.another()
	second.allowed = b.allowed
	second.visit("/approvals")
	b.press("Ready")
	b.see("You are away")
	second.see("Away")
	if !d.present.isAway(ringfence.DefaultTenant, priya.ID) {
		t.Error("the server does not know")
	}
	down.Store(true)
	staff.Store(next)
	srv.CloseClientConnections()
	b.see("Reconnecting")
	down.Store(false)
	b.see("Live")
	for range 500 {
		if next.present.isAway(ringfence.DefaultTenant, priya.ID) {
			break
		}
		js[int](b, "new Promise(r => setTimeout(() => r(1), 20))")
	}
	if !next.present.isAway(ringfence.DefaultTenant, priya.ID) {
		t.Error("the new server takes an empty chair for ready")
	}
	b.see("Away")
}

// A network that goes without a word is noticed, and the stream begun anew.
func TestSilentNetworkIsNoticed(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Heartbeat = 200 * time.Millisecond })
	var mute atomic.Bool
	var streams atomic.Int32
	origin := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events" {
			streams.Add(1)
			w = &deaf{ResponseWriter: w, mute: func() bool { return mute.Load() && streams.Load() == 1 }}
		}
		d.Staff().ServeHTTP(w, r)
	}))
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, origin)
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Live")
	mute.Store(true)
	d.calls.change(trv, northwind(priya.ID))
	b.see("Dana Reed")
	b.see("Live")
	if n := streams.Load(); n < 2 {
		t.Errorf("%d streams", n)
	}
}

// deaf swallows what is written while its network is gone.
type deaf struct {
	http.ResponseWriter
	mute func() bool
}

func (d *deaf) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *deaf) Write(p []byte) (int, error) {
	if d.mute() {
		return len(p), nil
	}
	return d.ResponseWriter.Write(p)
}

// What was strange about a call comes to mind after it, too.
func TestReportAfterTheCall(t *testing.T) {
	d := newDesktop(t)
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.allowed = append(b.allowed, "404") // the call may end while the page asks for its numbers
	b.visit("/console")
	b.see("Dana Reed")
	d.calls.end(trv)
	b.see("You are done with this call")
	b.see("K7M2 P9QX")
	b.looks("console-after")
	b.tabTo(".quiet-page section + section button")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.fill("report-"+string(trv), "Somebody whispered in the background")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Risk has your report")
	d.heardSoon(b, "report Somebody whispered in the background")
	b.gone("You are done with this call")
	if w := d.ask(d.signIn(omar), "POST", "/v1/traversals/"+string(trv)+"/report", map[string]any{"text": "not mine"}); w.Code != 404 {
		t.Errorf("somebody else's call: %d", w.Code)
	}
	d.quietly(t)
}

// The timeline shows decisions, and the steps between them on demand.
func TestTimelineIsQuiet(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		northwind(priya.ID)(c)
		for _, step := range []string{"welcome, greet: ok", "welcome, ask_account: ok"} {
			c.Timeline = append(c.Timeline, ringfence.LiveEvent{At: time.Now(), Text: step, Minor: true})
		}
	})
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Telephone PIN: right")
	if strings.Contains(js[string](b, "document.body.innerText"), "ask account") {
		t.Error("the steps between are in the way")
	}
	b.tabTo(".more")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Welcome, ask account: ok")
	b.looks("console-steps")
	b.press("Decisions only")
	b.gone("ask account")
}
