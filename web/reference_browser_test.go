package web

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
)

// From the page of administrators to the reference, and through it without a
// mouse: to a group, and open an example.
func TestReferencePage(t *testing.T) {
	s := newStaffed(t, func(c *Config) { c.System = testSystem })
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Olga", ringfence.RoleOps)))
	b.visit("/admin")
	b.keyed("API reference")
	b.see("OpenAPI 3.1")
	b.see("/v1/traversals/{id}/step-ups")
	b.keyed("Problems")
	b.until(`location.hash === "#problems"`, "the link leads nowhere")
	b.see("urn:ringfence:problem:")
	js[chromedp.Void](b, `document.querySelector("summary").focus();undefined`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("details").open && document.querySelector("details pre, details .aside").checkVisibility()`, "the example does not open")
	// What repeats is looked at once: axe takes minutes for the whole page.
	js[chromedp.Void](b, `document.querySelectorAll("article").forEach((a, i, all) => { if (i > 5 && i < all.length - 3) a.remove(); });undefined`)
	b.looks("reference")
	if n := js[int](b, `document.querySelectorAll("body script, head script").length`); n != 0 {
		t.Errorf("%d scripts in a page of text", n)
	}
	s.quietly(t)
}
