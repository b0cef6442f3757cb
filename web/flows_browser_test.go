package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
)

// editor is the text pane's view: it lives in a shadow root.
const editorText = `document.querySelector(".host").shadowRoot.querySelector(".cm-content")`

// typeAt puts the cursor behind a line of the editor and types by keyboard. The
// editor renders what is in view, so the line is looked for from the top.
func (b *tab) typeAt(line, text string) {
	b.t.Helper()
	b.until(`document.querySelector(".host")?.shadowRoot?.querySelectorAll(".cm-line").length > 1`, "there is no text to edit")
	found := js[bool](b, fmt.Sprintf(`(async () => {
		const root = document.querySelector(".host").shadowRoot, scroller = root.querySelector(".cm-scroller");
		root.querySelector(".cm-content").focus();
		for (let top = 0; top <= scroller.scrollHeight; top += 200) {
			scroller.scrollTop = top;
			await new Promise(done => setTimeout(done, 50));
			const at = [...root.querySelectorAll(".cm-line")].find(e => e.textContent.includes(%q));
			if (!at) continue;
			const range = document.createRange();
			range.selectNodeContents(at);
			range.collapse(false);
			const s = getSelection();
			s.removeAllRanges();
			s.addRange(range);
			await new Promise(done => setTimeout(done, 50));
			return true;
		}
		return false;
	})()`, line))
	if !found {
		b.shot("failure")
		b.t.Fatalf("the editor does not show %s", line)
	}
	b.do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent(text))
}

// beginDraft opens the editor on a new draft.
func (b *tab) beginDraft(title string) {
	b.t.Helper()
	b.visit("/flows")
	b.see("Flows in force")
	b.fill("d-title", title)
	b.press("Begin a draft")
	b.see("Every property is proved")
}

// choose picks a value of a select as a person's change does.
func (b *tab) choose(id, value string) {
	b.t.Helper()
	b.focus(id)
	js[chromedp.Void](b, fmt.Sprintf(`(e => { e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})); })(document.getElementById(%q));undefined`, value, id))
}

func TestOpsEditAFlow(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Omar", ringfence.RoleOps)))
	b.visit("/flows")
	b.see("Flows in force")
	b.looks("flows-home")
	b.beginDraft("A warmer greeting")
	b.see("bank change Telephone PIN + Passkey + Call-back + Read back and confirmed")
	b.looks("flows-editor")

	// A scene that is not there: the line, the code and what to write.
	b.typeAt("- go: menu", "x")
	b.see("customer-line.yaml:32:11")
	b.see("did you mean menu?")
	b.see("1 to mend")
	b.see("As it was when it last loaded.")
	b.until(`!!`+editorText+`.querySelector(".error")`, "the place is not underlined")
	b.looks("flows-problem")
	b.typeAt("- go: menux", kb.Backspace)
	b.see("Every property is proved")
	b.see("Saved, 0 files changed")

	// A hole that only the prover sees, shown by a call.
	b.typeAt("missing: by_code", kb.Backspace+kb.Backspace+kb.Backspace+kb.Backspace+kb.Backspace+kb.Backspace+kb.Backspace+"ring_back")
	b.see("P1")
	b.press("A call that does it")
	b.see("CALLER:")
	b.until(`!!document.querySelector("svg.flow .scene.lit")`, "the call is not on the map")
	b.looks("flows-counterexample")
	b.see("Saved, 1 file changed")

	// Somebody else has no way to it, and this one finds it again.
	b.visit("/flows")
	b.see("A warmer greeting")
	b.see("1 file changed")
	s.quietly(t)
}

// Two windows of one draft never overwrite one another.
func TestAnOlderWindowDoesNotSave(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	b := open(t, s.origin)
	b.allowed = append(b.allowed, "409")
	b.with(s.signIn(s.person("Omar", ringfence.RoleOps)))
	b.beginDraft("Twice open")
	other := b.another()
	other.visit(js[string](b, "location.pathname + location.search"))
	other.see("Every property is proved")
	other.typeAt("flow: customer-line", " # the other window")
	other.see("Saved, 1 file changed")
	b.typeAt("flow: customer-line", " # this window")
	b.see("Not saved: the draft was saved elsewhere")
	if text := js[string](b, editorText+".innerText"); !strings.Contains(text, "# this window") {
		t.Error("the text of this window is gone")
	}
	js[chromedp.Void](b, "onbeforeunload = null;undefined")
	s.quietly(t)
}

func TestOpsPlayAndTestAFlow(t *testing.T) {
	s := newStaffed(t, withFlows(t), func(c *Config) { c.Replays = &testReplays{} })
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Omar", ringfence.RoleOps)))
	b.beginDraft("Try it")
	b.typeAt("flow: customer-line", " # a draft that only reads otherwise")
	b.see("Saved, 1 file changed")
	b.press("Play")
	b.press("Start the call")
	b.see("Please enter your eight digit customer number.")
	b.press("Keys 10002000")
	b.see("Please enter your telephone PIN.")
	b.press("Keys the right code")
	b.see("proved: pin")
	b.press("Keys 2")
	b.press("Keys 10002000")
	b.press("Approves on the page")
	b.see("proved: passkey")
	b.see("10002000")
	b.looks("flows-play")
	b.press("Take the last move back")
	b.gone("proved: passkey")
	b.press("Replay")
	b.choose("y-call", string(keptCall))
	b.press("Replay it")
	b.see("The draft does the same")
	b.see("hangs up")
	b.press("Let this draft follow calls for 24 hours")
	b.see("Follows calls until")
	b.looks("flows-replay")
	b.press("Stop it")
	b.see("Stopped")
	b.press("Play")
	b.press("Start the call")
	b.press("Keys 10002000")
	b.see("Please enter your telephone PIN.")
	b.press("Is silent for 20 s")
	b.see("is silent for 20s")
	b.press("Hangs up")
	b.see("The call ends: the caller has gone.")
	b.press("Keep as a flow test")
	b.see("Kept at the end of tests/customer-line.yaml")
	b.press("Tests")
	b.press("Run all tests")
	b.see("tests pass")
	b.see("ways out of lines are taken")
	b.choose("e-file", "tests/customer-line.yaml")
	b.until(editorText+`.ariaLabel === "Text of tests/customer-line.yaml"`, "the tests are not shown")
	b.see("Saved, 2 files changed")
	s.quietly(t)
}

func TestOpsTranslateAndRecord(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Omar", ringfence.RoleOps)))
	b.beginDraft("New words")
	b.typeAt("- say: Welcome to Acme.", " Good day.")
	b.see("prompts/de.yaml has no translation of")
	b.press("Texts")
	b.see("1 missing")
	b.see("Stale")
	b.looks("flows-texts")
	js[chromedp.Void](b, `document.querySelector(".check input").click();undefined`)
	b.until(`document.querySelectorAll("li.text").length === 2`, "not only what needs work is shown")
	b.fill(js[string](b, `document.querySelector("li.text textarea").id`), "Guten Tag bei Acme.")
	b.press("Write it")
	b.see("0 missing")
	b.press("Take it out")
	b.see("0 stale")
	b.see("Every property is proved")
	b.see("2 files changed")
	js[chromedp.Void](b, `document.querySelector(".check input").click();undefined`)
	// A recording: bytes that are none are refused, a WAV file is taken.
	for _, try := range []struct {
		name, sees string
		wav        []byte
	}{{"notes.wav", "This is no WAV file", []byte("<svg onload=alert(1)>" + strings.Repeat(" ", 60))}, {"Grüß <Gott>.wav", "de/gr-gott.wav", tone(4000)}} {
		b.allowed = append(b.allowed, "422")
		js[chromedp.Void](b, fmt.Sprintf(`(() => {
			const input = document.querySelector("li.text input[type=file]"), data = new DataTransfer();
			data.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], %q, {type: "audio/wav"}));
			input.files = data.files;
			input.dispatchEvent(new Event("change", {bubbles: true}));
		})();undefined`, base64.StdEncoding.EncodeToString(try.wav), try.name))
		b.see(try.sees)
	}
	b.press("Hear the recording")
	b.see("Every property is proved")
	s.quietly(t)
}

// Omar changes what a queue asks for, Rita of risk sees that it is looser and
// signs: with passkeys, on a real shelf.
func TestTwoPersonsPublishAFlow(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	omar, rita := s.person("Omar", ringfence.RoleOps), s.person("Rita", ringfence.RoleRisk)
	b, second := open(t, s.origin), open(t, s.origin)
	b.enter(s, omar)
	b.beginDraft("No PIN for the payments desk")
	b.choose("e-file", "policy.yaml")
	b.until(editorText+`.ariaLabel === "Text of policy.yaml"`, "the policy is not shown")
	b.typeAt("payments_desk: [pin]", kb.Backspace+kb.Backspace+kb.Backspace+kb.Backspace+"]")
	b.see("Saved, 1 file changed")
	b.press("Changes")
	b.see("Looser: less proof is enough")
	b.looks("flows-changes")
	b.fill("a-note", "The desk proves people itself.")
	b.press("Sign with a passkey and ask")
	b.see("It waits for a second person")

	second.enter(s, rita)
	second.visit("/flows")
	second.see("No PIN for the payments desk")
	second.see("Look and sign")
	second.press("No PIN for the payments desk")
	second.see("The desk proves people itself.")
	second.see("1 of 2 signed")
	second.see("Every property is proved")
	second.see("tests pass")
	second.looks("flows-proposal")
	second.press("Sign with a passkey")
	second.see("It is looser, so it takes effect on")
	second.visit("/flows")
	second.see("Takes effect later")
	second.gone("Look and sign")
	second.looks("flows-waiting")
	s.quietly(t)
}

// What Omar proposes on the command line, Rita reads and signs in the page.
func TestAProposalOfTheCommandLineIsSigned(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	omar, rita := s.person("Omar", ringfence.RoleOps), s.person("Rita", ringfence.RoleRisk)
	looser := s.proposedByKey(omar, "fresh: 15m", "fresh: 18m")
	b := open(t, s.origin)
	b.enter(s, rita)
	b.visit("/flows")
	b.see("proposed on the command line")
	b.see("Looser")
	b.press("Bundle " + looser.HashText()[:12])
	b.see("Looser: less proof is enough")
	b.see("Asked by Omar")
	b.see("1 of 2 signed")
	b.looks("flows-proposal-cli")
	b.press("Sign with a passkey")
	b.see("It is looser, so it takes effect on")
	s.quietly(t)
}

// What is not looser goes live at once, as a ramp if asked; one person may
// bring back what was, by passkey.
func TestRampAndRollBack(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	omar, rita := s.person("Omar", ringfence.RoleOps), s.person("Rita", ringfence.RoleRisk)
	b, second := open(t, s.origin), open(t, s.origin)
	b.enter(s, omar)
	b.beginDraft("A shorter good-bye")
	b.choose("e-file", "accounts-line.yaml")
	b.typeAt("about:", " Short.")
	b.see("Saved, 1 file changed")
	b.press("Changes")
	b.see("Nothing is looser.")
	b.fill("a-percent", "5")
	b.press("Sign with a passkey and ask")
	b.see("It waits for a second person")
	second.enter(s, rita)
	second.visit("/flows")
	second.press("A shorter good-bye")
	second.see("5 % of the calls")
	second.press("Sign with a passkey")
	second.see("It holds for new calls now.")
	second.visit("/flows")
	second.see("Ramp")
	second.press("Give it all calls")
	second.gone("While it runs")
	second.see("published")
	second.press("Go back to it")
	second.see("Going back to it changes")
	second.press("Sign with a passkey: go back")
	second.see("brought back")
	s.quietly(t)
}

// An auditor reads all of it and changes nothing.
func TestAuditorsOnlyRead(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Avery", ringfence.RoleAuditor)))
	b.visit("/flows")
	b.see("Flows in force")
	b.gone("Your drafts")
	b.press("customer-line")
	b.see("Read only")
	b.see("Every property is proved")
	b.press("In words")
	b.see("Say: “Welcome to Acme.”")
	b.typeAt("flow: customer-line", "x")
	if text := js[string](b, editorText+".innerText"); strings.Contains(text, "customer-linex") {
		t.Error("an auditor writes")
	}
	b.looks("flows-read")
	s.quietly(t)
}

// The whole of it by keyboard: into the text and out again, tabs by arrows, a
// scene of the map by Enter.
func TestEditorByKeyboard(t *testing.T) {
	s := newStaffed(t, withFlows(t))
	b := open(t, s.origin)
	b.with(s.signIn(s.person("Omar", ringfence.RoleOps)))
	b.beginDraft("Keys")
	js[chromedp.Void](b, editorText+".focus();undefined")
	b.do(chromedp.KeyEvent(kb.Tab))
	b.until(`document.activeElement.id === "tab-Map"`, "the text holds the keyboard")
	for range 3 { // the panel, the map, its first scene
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.until(`document.activeElement.matches("g.scene")`, "no scene is reached")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.matches(".host")`, "the scene does not open its line")
	js[chromedp.Void](b, `document.getElementById("tab-Map").focus();undefined`)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.until(`document.getElementById("tab-In words").ariaSelected === "true"`, "arrows do not change the tab")
	s.quietly(t)
}
