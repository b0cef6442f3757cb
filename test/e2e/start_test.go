package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestFirstRun leads an owner from nothing to a first verified call: a link,
// a second person, a customer whom two persons put on file, and a call of the
// built-in telephone that a PIN verifies. But for the two links, which the
// machine makes, nothing but browsers is used.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	g := newGateway(t, settings{})
	link, code := g.run("user", "invite", "--email", "owner@localhost", "--name", "Owner", "--role", "admin,risk,agent")
	if code != 0 {
		t.Fatal(link)
	}
	g.start(ctx)
	owner := openBrowser(ctx, t, g.staff(), chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true))
	owner.visit(strings.TrimSpace(link))
	owner.press("Make a passkey")
	owner.press("Sign in with a passkey")
	owner.see("0 of 6 done")
	owner.fill("s-name", "Alice Reed")
	owner.fill("s-email", "alice@acme.example") // whom the queues name
	owner.press("Sign with your passkey")
	owner.see("1 of 6 done")
	owner.fill("s2-name", "Bo Hart")
	owner.fill("s2-email", "bo@acme.example")
	owner.press("Add with your passkey")
	owner.see("ringfence user invite --email bo@acme.example")
	link, code = g.run("user", "invite", "--email", "bo@acme.example")
	if code != 0 {
		t.Fatal(link)
	}

	second := openBrowser(ctx, t, g.staff())
	second.visit(strings.TrimSpace(link))
	second.press("Make a passkey")
	second.press("Sign in with a passkey")
	second.see("Bo Hart")

	owner.visit(g.staff() + "/start")
	owner.see("2 of 6 done")
	owner.press("Make one up")
	owner.see("An import waits.")
	owner.visit(g.staff() + "/import")
	owner.press("Sign with a passkey")
	owner.see("A second person has to sign as well")
	second.visit(g.staff() + "/import")
	second.press("Sign with a passkey")
	second.see("First PIN")
	pin := second.value(`/First PIN\s*([0-9]{6})/.exec(document.body.innerText)[1]`)

	owner.visit(g.staff() + "/start")
	owner.see("3 of 6 done")
	owner.press("Turn phone on")
	owner.see("4 of 6 done")
	owner.press("Call this line")
	owner.see("On the call")
	owner.see("5 of 6 done")
	owner.hears("Please enter your eight digit customer number")
	owner.key("10002000")
	owner.hears("Please enter your telephone PIN")
	owner.key(pin)
	owner.see("Everything is done.")
	g.stop(ctx)
	if n := g.count(ctx, "challenge.satisfied"); n != 1 {
		t.Errorf("%d challenges were satisfied, want 1", n)
	}
	if g.log.contains(pin) {
		t.Error("the log has the PIN")
	}
}

// hears waits until the caller hears a text.
func (b *tab) hears(text string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll(".heard li")].some(l => l.textContent === "`+text+`")`, "the caller never hears "+text)
}

// key presses keys on the built-in telephone.
func (b *tab) key(keys string) {
	b.t.Helper()
	b.fill("s-keys", keys)
	b.press("Key them")
}

// value evaluates an expression whose value is a text.
func (b *tab) value(expression string) string {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}
