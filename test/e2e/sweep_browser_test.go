package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence/test/sweep"
)

// keepSeen keeps whatever a page ever showed or said, also what was there for a
// moment only.
const keepSeen = `window.seen = [];
new MutationObserver((all) => { for (const m of all) {
  if (m.type === "characterData") seen.push(m.target.data);
  else if (m.type === "attributes") seen.push(m.attributeName + "=" + m.target.getAttribute(m.attributeName));
  else for (const n of m.addedNodes) seen.push(n.outerHTML ?? n.data ?? "");
} }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
for (const how of ["log", "info", "warn", "error", "debug"]) { const was = console[how]; console[how] = (...a) => { seen.push(a.join(" ")); was.apply(console, a); } }`

// readSeen is that, and all that the page and its origin keep. The navigation's
// own entry cannot be changed by a page: it holds the address that was opened.
const readSeen = `JSON.stringify([seen, document.documentElement.outerHTML, [...document.querySelectorAll("input,textarea,select")].map((e) => e.value),
  {...localStorage}, {...sessionStorage}, document.cookie, location.href, document.referrer, history.state, performance.getEntries().filter((e) => e.entryType !== "navigation").map((e) => e.name)])`

// console opens a person's console beside what else they do in the session.
func (s *swept) console(ctx context.Context, t *testing.T, w *worker) *tab {
	b := openBrowser(ctx, t, s.staff())
	b.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		if _, err := cdp.Call(ctx, to, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: keepSeen}); err != nil {
			return err
		}
		for _, c := range w.Cookies() {
			if _, err := cdp.Call(ctx, to, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: s.staff(), HTTPOnly: new(true)}); err != nil {
				return err
			}
		}
		return nil
	}))
	b.visit(s.staff() + "/console")
	b.see("No call for you now")
	return b
}

// shown is what stood on the screen of the console, and then in the page and
// the history of a browser that opens a link.
func (s *swept) shown(b *tab) []sweep.Place {
	read := func(name string) sweep.Place {
		return sweep.Place{Name: name, Data: []byte(got(chromedp.Run(b.ctx, chromedp.Evaluate[string](readSeen)))(b.t))}
	}
	out := []sweep.Place{read("the console")}
	b.visit(s.link)
	b.until(`!location.hash && document.readyState === "complete"`, "the token stays in the address")
	out = append(out, read("the page of the link"))
	b.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		past, err := cdp.Call(ctx, to, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		if err != nil {
			return err
		}
		var pages []byte
		for _, e := range past.Entries { // what was typed stays with who typed it
			pages = append(pages, e.URL+" "+e.Title+"\n"...)
		}
		out = append(out, sweep.Place{Name: "the browser's history", Data: pages})
		return nil
	}))
	return out
}
