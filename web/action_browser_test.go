package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
)

// mirror shows a release in the live call, as the runner does.
func (d *desktop) mirror(id ringfence.ReleaseID) {
	d.t.Helper()
	r, v, err := d.gate.Evaluate(d.t.Context(), ringfence.DefaultTenant, id)
	if err != nil {
		d.t.Fatal(err)
	}
	one := ringfence.LiveRelease{ID: r.ID, Type: r.Type, Says: r.Says, Class: r.Class, State: string(r.State), Fields: r.Fields, Digest: r.Digest,
		Decision: v.Decision.String(), Why: v.Next, Missing: v.Missing, Until: r.HoldUntil}
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		c.Releases = append(slices.DeleteFunc(slices.Clone(c.Releases), func(o ringfence.LiveRelease) bool { return o.ID == id }), one)
	})
}

// opened waits for the release that the page opens.
func (d *desktop) opened(b *tab) gate.Release {
	d.t.Helper()
	b.see("Opened.")
	all, err := d.gate.List(d.t.Context(), ringfence.DefaultTenant, gate.Filter{State: gate.StatePendingEvidence})
	if err != nil || len(all) == 0 {
		d.t.Fatalf("nothing was opened (%v)", err)
	}
	return all[0]
}

// locked reports what the release button says against being pressed, "" when
// it can be.
func (b *tab) locked() string {
	b.t.Helper()
	return js[string](b, `(b => b.getAttribute("aria-disabled") === "true" ? b.title : "")(document.getElementById("release"))`)
}

func TestReleaseLocksAgainWhenOneCharacterChanges(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Dana Reed")
	b.see("Open the action first: a proof counts for one action only.")
	b.see("The number on file …17")
	b.looks("console-ready")
	b.until(`!!document.getElementById("type")`, "there is no choice of actions")
	js[chromedp.Void](b, `(e => { e.value = "statement"; e.dispatchEvent(new Event("change", {bubbles: true})) })(document.getElementById("type"));undefined`)
	b.press("Open action")
	b.see("From date is not complete")
	b.fill("f-from_date", "2026-01-01")
	b.fill("f-copies", "1")
	b.press("Open action")
	r := d.opened(b)
	d.mirror(r.ID)
	b.see("Still needed: the passkey")
	b.see("Set up 2 months ago")
	b.looks("action-held")
	b.press("Send passkey link")
	b.see("A link is on its way")
	if got := d.calls.heard(); !slices.Equal(got, []string{"step-up step-up-passkey " + string(r.ID)}) {
		t.Errorf("told %q", got)
	}
	// The button is a view: pressed while locked it says why, and does nothing.
	b.press("Release")
	b.see("Still needed: the passkey")
	d.prove(r.ID, r.Digest, ringfence.FactPasskey, ringfence.StrengthPasskey)
	d.mirror(r.ID)
	b.see("Everything the policy asks for is there")
	if why := b.locked(); why != "" {
		t.Errorf("proved, yet locked: %s", why)
	}
	b.looks("action-proved")
	b.keys("f-copies", "0")
	b.see("You changed the action")
	if why := b.locked(); why == "" {
		t.Error("one changed character did not lock the release")
	}
	b.looks("action-changed")
	b.press("Release")
	b.keys("f-copies", kb.Backspace)
	b.see("Everything the policy asks for is there")
	if now, _ := d.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); now.State != gate.StatePendingEvidence {
		t.Fatalf("the locked button released: %s", now.State)
	}
	b.press("Release")
	b.see("Release asked for")
	if err := d.gate.Tick(t.Context(), ringfence.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	d.mirror(r.ID)
	if now, _ := d.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); now.State != gate.StateReady {
		t.Errorf("it is %s", now.State)
	}
	b.see("Released")
	b.looks("action-released")
	// Opening the changed action again ends the old one.
	d.quietly(t)
}

// tabTo presses Tab until the element is focused, as somebody without a mouse.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	b.tabUntil(selector, fmt.Sprintf("!!document.activeElement?.matches(%q)", selector))
}

// keyed presses Tab until the button or link with this text is focused, and
// then the key that presses it.
func (b *tab) keyed(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`[...document.querySelectorAll("button,a,summary")].some(e => e.textContent.trim() === %q && e.checkVisibility())`, text), "there is nothing that says "+text)
	b.tabUntil(text, fmt.Sprintf("document.activeElement?.textContent.trim() === %q && document.activeElement.matches('button,a,summary')", text))
	b.do(chromedp.KeyEvent(kb.Enter))
}

func (b *tab) tabUntil(what, holds string) {
	b.t.Helper()
	for range 80 {
		if js[bool](b, holds) {
			return
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.t.Fatalf("%s is not reached by keyboard", what)
}

func TestWholePathByKeyboard(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Dana Reed")
	b.tabTo("#type")
	b.do(chromedp.KeyEvent("sen")) // the select jumps to "Send a statement …"
	b.see("From date")
	b.tabTo("#f-from_date")
	b.do(chromedp.KeyEvent("2026-01-01"))
	b.tabTo("#f-copies")
	b.do(chromedp.KeyEvent("1"), chromedp.KeyEvent(kb.Enter))
	r := d.opened(b)
	d.mirror(r.ID)
	b.see("Still needed")
	// Each way to prove something, and the way out of it; whoever works without
	// a mouse is never sent back to the top of the page.
	for i, way := range []struct{ says, flow string }{
		{"Send passkey link", "step-up-passkey"}, {"Call back …17", "step-up-call-back"}, {"Send code", "step-up-code"}, {"Ask a colleague", "step-up-colleague"},
	} {
		b.keyed(way.says)
		d.heardSoon(b, "step-up "+way.flow+" "+string(r.ID))
		d.calls.change(trv, func(c *ringfence.LiveCall) { c.State, c.Playing = "step_up", "The caller hears: "+way.flow })
		b.see("The caller hears: " + way.flow)
		b.stays("beside " + way.says)
		b.keyed("Stop this step")
		d.heardTimes(b, "cancel", i+1)
		d.calls.change(trv, func(c *ringfence.LiveCall) { c.State, c.Playing, c.Outcome = "talking", "", "cancelled" })
		b.see("Last step: Stopped.")
		b.stays("after stopping " + way.says)
		d.calls.change(trv, func(c *ringfence.LiveCall) { c.Outcome = "" })
		b.gone("Last step")
	}
	d.prove(r.ID, r.Digest, ringfence.FactPasskey, ringfence.StrengthPasskey)
	d.mirror(r.ID)
	b.see("Everything the policy asks for is there")
	b.tabTo("#release")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Release asked for")
	// The quiet key changes nothing that could be seen.
	before := js[string](b, "document.body.innerText.replace(/\\d+ (s|min)/g, '')")
	b.do(chromedp.KeyEvent("U", chromedp.KeyModifiers(chromedp.ModifierAlt, chromedp.ModifierShift)))
	b.until("true", "")
	d.heardSoon(b, "pressure")
	if after := js[string](b, "document.body.innerText.replace(/\\d+ (s|min)/g, '')"); after != before {
		t.Errorf("the page changed from\n%s\nto\n%s", before, after)
	}
}

// stays fails the test when nothing in the page has the focus any more.
func (b *tab) stays(where string) {
	b.t.Helper()
	b.until("document.activeElement !== document.body && !!document.activeElement.closest('main')", "the focus is lost "+where)
}

// heardSoon waits until the switchboard was told.
func (d *desktop) heardSoon(b *tab, what string) { d.t.Helper(); d.heardTimes(b, what, 1) }

// heardTimes waits until the switchboard was told so many times.
func (d *desktop) heardTimes(b *tab, what string, times int) {
	d.t.Helper()
	for range 500 {
		if n := len(slices.DeleteFunc(d.calls.heard(), func(one string) bool { return one != what })); n >= times {
			return
		}
		js[int](b, "new Promise(r => setTimeout(() => r(1), 20))")
	}
	d.t.Errorf("the switchboard was not told %q %d times, only %q", what, times, d.calls.heard())
}

// A call goes to a colleague: their console rings, and then shows everything
// that was proved, the open action and its fields; ours offers to report it.
func TestHandOverBetweenTwoConsoles(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	origin := serve(t, d.Staff())
	hers, his := open(t, origin), open(t, origin)
	hers.with(d.signIn(priya))
	his.with(d.signIn(omar))
	his.visit("/console")
	his.see("No call for you now")
	hers.visit("/console")
	hers.see("Dana Reed")
	hers.tabTo("#type")
	hers.do(chromedp.KeyEvent("sen"))
	hers.fill("f-from_date", "2026-01-01")
	hers.fill("f-copies", "1")
	hers.press("Open action")
	r := d.opened(hers)
	d.prove(r.ID, r.Digest, ringfence.FactPasskey, ringfence.StrengthPasskey)
	d.mirror(r.ID)
	hers.see("Everything the policy asks for is there")

	hers.keyed("Hand over")
	hers.until(`[...document.querySelectorAll("#to option")].some(o => o.textContent === "Omar")`, "no colleague is offered")
	if says := js[string](hers, `[...document.querySelectorAll("#to option")].map(o => o.textContent).join()`); strings.Contains(says, "Priya") {
		t.Errorf("a call is offered to whoever has it: %s", says)
	}
	hers.tabTo("#to")
	hers.do(chromedp.KeyEvent("Om"))
	hers.looks("console-hand-over")
	hers.keyed("Hand over now")
	d.heardSoon(hers, "hand over to "+string(omar.ID))
	hers.see("the call is theirs, with everything proved, when they answer")

	d.calls.change(trv, func(c *ringfence.LiveCall) { c.Ringing = []ringfence.PersonID{omar.ID} })
	his.see("A colleague hands you a call")
	if strings.Contains(js[string](his, "document.body.innerText"), "Dana Reed") {
		t.Error("a call that was not answered yet shows whose it is")
	}
	his.looks("console-handed")
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.Owner, c.Ringing = omar.ID, nil })
	his.see("Dana Reed")
	his.see("Keyed on this call.")
	his.see("Everything the policy asks for is there")
	his.until(`document.getElementById("f-from_date")?.value === "2026-01-01" && document.getElementById("f-copies")?.value === "1"`, "the fields are not there")
	if why := his.locked(); why != "" {
		t.Errorf("what was proved is locked for the colleague: %s", why)
	}
	hers.see("You are done with this call")
	hers.gone("Everything the policy asks for is there")
	his.press("Release")
	his.see("Release asked for")
	if now, _ := d.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); now.State == gate.StatePendingEvidence {
		t.Error("the colleague could not release")
	}
	d.quietly(t)
}
