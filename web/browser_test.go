package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium is the one browser of this test binary; each test has a profile of
// its own in it.
var chromium struct {
	once   sync.Once
	ctx    context.Context
	cancel func()
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.cancel != nil {
		chromium.cancel()
	}
	os.Exit(code)
}

func startChromium() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		chromium.err = err
		return
	}
	dir, err := os.MkdirTemp("", "ringfence-chromium-")
	if err != nil {
		chromium.err = err
		return
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	chromium.ctx, chromium.err = ctx, chromedp.Do(ctx) // the parent starts before its children
	chromium.cancel = func() { stop(); stopAlloc(); os.RemoveAll(dir) }
}

// tab is one browser tab that watches its console.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string // origin of the server under test

	mu       sync.Mutex
	messages []string // guarded by mu
	allowed  []string // parts of messages that the test expects
}

// serve runs a handler on http://localhost:PORT, the origin passkeys accept.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return "http://localhost" + srv.URL[strings.LastIndex(srv.URL, ":"):]
}

// open gives a fresh profile with one tab. Without Chromium the test is
// skipped, except where CI says that it must be there.
func open(t testing.TB, origin string) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("browser test")
	}
	chromium.once.Do(startChromium)
	if chromium.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no Chromium: %v", chromium.err)
		}
		t.Skipf("no Chromium: %v", chromium.err)
	}
	return openIn(t, origin, chromium.ctx, chromedp.WithNewBrowserContext())
}

// another opens one more tab in the same profile.
func (b *tab) another() *tab { b.t.Helper(); return openIn(b.t, b.url, b.ctx) }

func openIn(t testing.TB, origin string, parent context.Context, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 3*time.Minute) // a loaded machine is slow, not wrong
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx, url: origin}
	b.do(chromedp.EmulateViewport(1280, 900))
	watch := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() { // ends with ctx; waited for below
		defer close(done)
		for m, err := range watch {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				b.mu.Lock()
				b.messages = append(b.messages, m.String())
				b.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		b.mu.Lock()
		defer b.mu.Unlock()
	next:
		for _, m := range b.messages {
			for _, ok := range b.allowed {
				if strings.Contains(m, ok) {
					continue next
				}
			}
			t.Errorf("console: %s", m)
		}
	})
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.shot("failure")
		b.t.Fatal(err)
	}
}

// visit opens a path of the server under test.
func (b *tab) visit(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.url + path)) }

// see waits until the page shows the text.
func (b *tab) see(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text), "never saw "+text)
}

// gone waits until the page does not show the text any more.
func (b *tab) gone(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body && !document.body.innerText.includes(%q)", text), "still see "+text)
}

// until waits for an expression to hold, over a change of page as well.
func (b *tab) until(expression, failure string) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if _, err = chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Until(end)), chromedp.WithPollingInterval(30*time.Millisecond))); err == nil {
			return
		}
		if b.ctx.Err() != nil || errors.Is(err, chromedp.ErrPollingTimeout) {
			break // any other error: the page went away under the poll
		}
	}
	b.shot("failure")
	body, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.t.Fatalf("%s (%v); the page says:\n%s", failure, err, body)
}

// js evaluates an expression, awaiting a promise.
func js[T any](b *tab, expression string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// press clicks, with the mouse, the button or link that has exactly this text.
func (b *tab) press(text string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll("button,a,summary")].find(e => e.textContent.trim() === %q && e.checkVisibility())`, text)
	b.until("!!"+find, "there is nothing to press that says "+text)
	// It stands still, and nothing covers it: a person would wait for that too.
	at := js[[]float64](b, `(async () => {
		for (let last = "", tries = 0; tries < 400; tries++) {
			const e = `+find+`;
			if (e) {
				e.scrollIntoView({block: "center"});
				const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
				if (last === x + "," + y && e.contains(document.elementFromPoint(x, y))) {
					window.pressing = "aimed";
					document.addEventListener("click", c => { if (e.contains(c.target) || `+find+`?.contains(c.target)) window.pressing = "hit"; }, {capture: true, once: true});
					return [x, y];
				}
				last = x + "," + y;
			}
			await new Promise(done => setTimeout(done, 25));
		}
		throw new Error("it never stands still: " + `+fmt.Sprintf("%q", text)+`);
	})()`)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	if js[string](b, `window.pressing ?? "gone"`) == "aimed" { // it moved just then: the click went past it
		b.press(text)
	}
}

// fill replaces what stands in an input, by keyboard.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	b.focus(id)
	js[chromedp.Void](b, fmt.Sprintf("document.getElementById(%q).select?.();undefined", id))
	b.do(chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(text))
}

// keys types at the end of an input.
func (b *tab) keys(id, text string) {
	b.t.Helper()
	b.focus(id)
	js[chromedp.Void](b, fmt.Sprintf("(e => e.setSelectionRange(e.value.length, e.value.length))(document.getElementById(%q));undefined", id))
	b.do(chromedp.KeyEvent(text))
}

// focus waits for an element and focuses it.
func (b *tab) focus(id string) {
	b.t.Helper()
	b.until(fmt.Sprintf("!!document.getElementById(%q)?.checkVisibility()", id), "there is no "+id)
	js[chromedp.Void](b, fmt.Sprintf("document.getElementById(%q).focus();undefined", id))
}

// with gives the tab's profile a session cookie.
func (b *tab) with(c *http.Cookie) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: b.url, HTTPOnly: new(true)})
	if err != nil {
		b.t.Fatal(err)
	}
}

// forget removes the session. It leaves the page first: one that finds its
// session gone would go to the login beside what the test visits next.
func (b *tab) forget() {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"))
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
}

// passkeys adds a virtual authenticator with resident keys and user
// verification.
func (b *tab) passkeys() {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
		return err
	}))
}

// before runs a script in every page that is opened from now on, before its own.
func (b *tab) before(script string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

func (b *tab) dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
		return err
	}))
}

// shot writes a picture of the whole page when RINGFENCE_SHOTS names a folder.
func (b *tab) shot(name string) {
	dir := os.Getenv("RINGFENCE_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		os.MkdirAll(dir, 0o755)
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Logf("no picture of %s: %v", name, err)
	}
}

// looks checks the page as it stands in light and dark, wide and narrow: no
// axe-core violation (WCAG A and AA, best practice) and no sideways scrolling.
func (b *tab) looks(name string) {
	b.t.Helper()
	axe, err := os.ReadFile("third_party/axe.min.js")
	if err != nil {
		b.t.Fatal(err)
	}
	js[chromedp.Void](b, string(axe)+";undefined")
	for _, width := range []int64{1280, 360} {
		b.do(chromedp.EmulateViewport(width, 900))
		for _, dark := range []bool{false, true} {
			b.dark(dark)
			b.shot(fmt.Sprintf("%s-%d-%s", name, width, map[bool]string{false: "light", true: "dark"}[dark]))
			found := js[string](b, `axe.run(document,{runOnly:["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa","best-practice"]})
				.then(r=>JSON.stringify(r.violations.map(v=>v.id+": "+v.nodes.map(n=>n.html.slice(0,160)+" "+n.failureSummary).join(" | "))))`)
			var list []string
			if err := json.Unmarshal([]byte(found), &list); err != nil {
				b.t.Fatal(err)
			}
			for _, v := range list {
				b.t.Errorf("%s at %d px, dark %v: %s", name, width, dark, v)
			}
			if over := js[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				b.t.Errorf("%s at %d px scrolls sideways by %d px", name, width, over)
			}
		}
	}
	b.dark(false)
	b.do(chromedp.EmulateViewport(1280, 900))
}

// quietly ends a test of a page: the content policy was never broken.
func (s *Server) quietly(t testing.TB) {
	t.Helper()
	if n := s.PolicyReports(); n != 0 {
		t.Errorf("%d content policy reports", n)
	}
}
