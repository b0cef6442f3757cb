package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a person's browser: Debian's Chromium, headless, with a platform
// authenticator.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string
}

func openBrowser(ctx context.Context, t *testing.T, url string, flags ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	needs(t, "chromium", "chromium")
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx, append(opts, flags...)...)
	t.Cleanup(stopAlloc)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx, url: url}
	b.do(chromedp.EmulateViewport(1280, 1000), chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		if _, err := cdp.Call(ctx, to, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, to, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
		return err
	}))
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) visit(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

// see waits until the page shows the text.
func (b *tab) see(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text), "never saw "+text)
}

// until waits for an expression to hold, over a change of page as well.
func (b *tab) until(expression, failure string) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && b.ctx.Err() == nil; {
		_, err = chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Until(end)), chromedp.WithPollingInterval(30*time.Millisecond)))
		if err == nil {
			return
		}
		if errors.Is(err, chromedp.ErrPollingTimeout) {
			break // any other error: the page went away under the poll
		}
	}
	body, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.t.Fatalf("%s (%v); the page says:\n%s", failure, err, body)
}

// press clicks, with the mouse, the button that has exactly this text and can
// be pressed.
func (b *tab) press(text string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll("button,a")].find(e => e.textContent.trim() === %q && e.checkVisibility() && !e.disabled && e.getAttribute("aria-disabled") !== "true")`, text)
	b.until("!!"+find, "there is nothing to press that says "+text)
	// What a page still loads moves its buttons: a press waits until this one
	// stands still.
	b.until(`(e => { if (!e) return false; e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(), at = r.x + " " + r.y, still = window.stoodAt === at;`+
		` window.stoodAt = at; return still && e.contains(document.elementFromPoint(r.x + r.width/2, r.y + r.height/2)) })(`+find+`)`, "what says "+text+" does not stand still")
	at, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]float64](`(e => { e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); window.pressing = "aimed";`+
		` document.addEventListener("click", c => { if (e.contains(c.target) || `+find+`?.contains(c.target)) window.pressing = "hit" }, {capture: true, once: true});`+
		` return [r.x + r.width/2, r.y + r.height/2] })(`+find+`)`))
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	// It moved just then, and the click went past it. A page that is gone was hit.
	if missed, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`window.pressing === "aimed"`)); err == nil && missed {
		b.press(text)
	}
}

// fill types into an input.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("!!document.getElementById(%q)?.checkVisibility()", id), "there is no "+id)
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.getElementById(%[1]q).focus();document.getElementById(%[1]q).select?.();undefined", id))); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(text))
}

// choose picks the option of a list that has this text.
func (b *tab) choose(id, option string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`(s => { const o = s && [...s.options].find(o => o.text === %[2]q); if (!o) return false; s.value = o.value; s.dispatchEvent(new Event("change", {bubbles: true})); return true })(document.getElementById(%[1]q))`, id, option), "there is no option "+option)
}
