package web

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
)

// quietDevices gives a page a microphone and a connection, so that the bar can
// be looked at without any; the real ones are in the end-to-end tests.
const quietDevices = `(() => {
	const ctx = new AudioContext(), mic = () => ctx.createMediaStreamDestination().stream;
	navigator.mediaDevices.getUserMedia = async () => mic();
	window.RTCPeerConnection = class {
		connectionState = "new"; localDescription = {sdp: "v=0"};
		addTrack() {} close() {} getSenders() { return [{dtmf: {insertDTMF(key) { window.keyed = (window.keyed ?? "") + key; }}}]; }
		async createOffer() { return {}; } async setLocalDescription() {} async getStats() { return new Map(); }
		async setRemoteDescription() { this.connectionState = "connected"; this.onconnectionstatechange?.(); }
	};
})();undefined`

// hears waits until the edge was told exactly this.
func (f *fakePhones) hears(t testing.TB, want ...string) {
	t.Helper()
	var told []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		f.mu.Lock()
		told = slices.Clone(f.told)
		bell := f.toldBell()
		f.mu.Unlock()
		if slices.Equal(told, want) {
			return
		}
		select {
		case <-bell:
		case <-time.After(time.Until(end)):
		}
	}
	t.Errorf("the edge was told %q, want %q", told, want)
}

// The bar rings, is answered and worked by keyboard alone, and looks right in
// every state.
func TestSoftphoneByKeyboard(t *testing.T) {
	d, f, priya := phoneDesk(t)
	ring := f.Calls(ringfence.DefaultTenant, priya.ID)[0]
	f.set(priya.ID)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("Phone off: no calls reach you here.")
	b.looks("phone-off")
	js[chromedp.Void](b, quietDevices)
	b.focus("phone-on")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Phone on.")
	title := js[string](b, "document.title")

	f.set(priya.ID, ring)
	b.see("Incoming call: +442079460991")
	b.until(`document.title.includes("Incoming call")`, "the title of the tab never rings")
	b.looks("phone-ringing")
	b.focus("phone-answer")
	b.do(chromedp.KeyEvent(kb.Enter))
	ring.Live, ring.Linked = true, true
	b.until(`!document.title.includes("Incoming call")`, "the title rings on after the answer")
	f.set(priya.ID, ring)
	b.see("Talking")
	if got := js[string](b, "document.title"); got != title {
		t.Errorf("the title is %q after the call was answered, was %q", got, title)
	}
	b.focus("phone-keys")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.focus("phone-key-7")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`window.keyed === "7"`, "the keypad sends nothing")
	b.looks("phone-talking")
	b.do(chromedp.KeyEvent("m", chromedp.KeyModifiers(kb.ModifierAlt, kb.ModifierShift)))
	b.see("Muted")
	b.focus("phone-hold")
	b.do(chromedp.KeyEvent(kb.Enter))
	ring.Held = true
	f.set(priya.ID, ring)
	b.see("On hold")
	b.focus("phone-hangup")
	b.do(chromedp.KeyEvent(kb.Enter))
	f.hears(t, "link v=0", "hold", "hang up")
	f.set(priya.ID)
	b.see("Phone on.")
	d.quietly(t)
}

// A second tab of the same browser takes the phone only when asked, and another
// browser as well.
func TestSoftphoneTakenOver(t *testing.T) {
	d, f, priya := phoneDesk(t)
	ring := f.Calls(ringfence.DefaultTenant, priya.ID)[0]
	ring.Since = time.Now()
	f.set(priya.ID)
	origin := serve(t, d.Staff())
	b := open(t, origin)
	b.with(d.signIn(priya))
	b.visit("/console")
	js[chromedp.Void](b, quietDevices)
	b.press("Turn phone on")
	b.see("Phone on.")
	second := b.another()
	second.visit("/console")
	second.see("Your phone is in another tab.")
	second.press("Use this tab")
	second.see("Phone on.")
	b.see("Your phone is in another tab.")

	other := open(t, origin)
	other.with(d.signIn(priya))
	other.visit("/console")
	other.see("Your phone is on in another browser.")
	other.looks("phone-elsewhere")
	f.set(priya.ID, ring)
	js[chromedp.Void](other, quietDevices)
	other.press("Use it here")
	other.see("Incoming call")
	second.see("Your phone is on in another browser.")
}
