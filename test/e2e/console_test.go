package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/verify/deliver/outbox"
)

// TestConsole is the whole main job with a person in front of a real browser:
// a customer calls, an agent sees the call appear, opens a payment, sends a
// passkey link, has the number on file rung, and releases; the bank redeems
// once and is refused twice.
func TestConsole(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	c := newCarrier(t)
	carrierLeaf := c.leaf(c.ca, "good")
	outside := exchange(t, "carrier", func(attest ringfence.Attest, orig, dest string) ([]string, error) {
		if attest == ringfence.AttestNone {
			return nil, nil
		}
		return []string{c.sign(carrierLeaf, attest, orig, dest, time.Now())}, nil
	})
	office := exchange(t, "office", nil)
	g := newGateway(t, settings{Roots: c.roots, LabHost: c.host, Carrier: outside.Addr().String()})
	invitation, code := g.run("user", "invite", "--email", "alice@acme.example", "--name", "Alice Reed", "--role", "agent", "--place", office.URI("alice"))
	if code != 0 {
		t.Fatal(invitation)
	}
	d := g.seed(ctx)
	g.start(ctx)
	outside.Connect(netip.MustParseAddrPort(g.sip()))
	caller, ada := outside.Person("Ada at home", "442079460555"), outside.Person("Ada's mobile", mobile)
	desk := office.Person("Alice", "alice")

	alice := openBrowser(ctx, t, g.staff())
	alice.visit(strings.TrimSpace(invitation))
	alice.press("Make a passkey")
	alice.press("Sign in with a passkey")
	alice.see("No call for you now")

	line, err := caller.Call(ctx, lab.Dial{To: customers, Attest: "A"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, hearAndKey(ctx, line, "Please enter your eight digit customer number", account))
	must(t, hearAndKey(ctx, line, "Please enter your telephone PIN", rightPIN))
	must(t, hearAndKey(ctx, line, "To speak to someone, press 0", "0"))
	ringing, err := desk.Rings(ctx)
	must(t, err)
	must(t, ringing.Answer(ctx))

	alice.see("Claims to be")
	alice.see("Attestation A")
	alice.see("PIN only")
	alice.choose("type", "Make a payment")
	alice.fill("f-payee", "Hart Plumbing")
	alice.fill("f-amount", "125.00")
	alice.fill("f-account", payeeAccount)
	alice.press("Open action")
	alice.see("Opened.")

	alice.press("Send passkey link")
	must2(t)(line.Hear(ctx, "Open it, enter"))
	carried := must2(t)(line.HearDigits(ctx, 4))
	page, look, err := lab.OpenPage(ctx, g.link(ctx))
	must(t, err)
	if len(look.Fields) != 0 || look.Says != "" {
		t.Errorf("the page shows the action before the code: %+v", look)
	}
	shown, err := page.Unlock(ctx, carried)
	must(t, err)
	if !slices.ContainsFunc(shown.Fields, func(f lab.PageField) bool { return f.Value == payeeAccount }) {
		t.Errorf("the page shows %+v, want the whole account", shown.Fields)
	}
	approved, err := page.Approve(ctx, d.passkey)
	if err != nil || approved.Outcome != "satisfied" {
		t.Fatalf("the passkey was answered %+v, %v", approved, err)
	}
	alice.see("Proved: passkey")

	alice.press("Call back …" + mobile[len(mobile)-2:])
	must2(t)(line.Hear(ctx, "Whoever answers must enter this code"))
	carried = must2(t)(line.HearDigits(ctx, 4))
	must(t, answerBack(ctx, ada, carried))
	alice.see("Everything the policy asks for is there.")
	alice.press("Release")

	execute(ctx, t, d)
	line.Hangup()
	alice.see("No call for you now")
	g.stop(ctx)
	for event, want := range map[string]int{"release.redeemed": 1, "release.executed": 1, "challenge.satisfied": 4, "traversal.ended": 1} {
		if have := g.count(ctx, event); have != want {
			t.Errorf("the ledger has %d entries %s, want %d", have, event, want)
		}
	}
	for _, secret := range []string{rightPIN, carried + `"`, payeeAccount, mobile} {
		if g.log.contains(secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// execute is the bank: it pulls what is ready, redeems once, and is refused
// with the same permit and with another permit for the same release.
func execute(ctx context.Context, t *testing.T, d directory) {
	t.Helper()
	var list struct {
		Releases []struct{ ID ringfence.ReleaseID }
	}
	until(ctx, t, "the release is ready", func() bool {
		must(t, d.bank.do(ctx, "GET", "/v1/releases", "", nil, &list))
		return len(list.Releases) == 1
	})
	var permit struct{ Permit string }
	path := "/v1/releases/" + string(list.Releases[0].ID) + "/permit"
	must(t, d.bank.do(ctx, "POST", path, "pull-0001", map[string]any{}, &permit))
	var got struct{ Permit, Canonical string }
	must(t, d.bank.do(ctx, "POST", "/v1/permits/redeem", "redeem-0001", map[string]any{"permit": permit.Permit}, &got))
	if !strings.Contains(got.Canonical, payeeAccount) || !strings.Contains(got.Canonical, "12500 GBP") {
		t.Errorf("redeemed %s", got.Canonical)
	}
	for what, err := range map[string]error{
		"the same permit":    d.bank.do(ctx, "POST", "/v1/permits/redeem", "redeem-0002", map[string]any{"permit": permit.Permit}, nil),
		"a second permit":    d.bank.do(ctx, "POST", path, "pull-0002", map[string]any{}, nil),
		"a permit for Alice": d.opener.do(ctx, "POST", path, "pull-0003", map[string]any{}, nil),
	} {
		var no *refused
		if !errors.As(err, &no) || !slices.Contains([]int{http.StatusConflict, http.StatusGone, http.StatusForbidden}, no.Status) {
			t.Errorf("%s: %v, want a refusal", what, err)
		}
	}
	must(t, d.bank.do(ctx, "POST", "/v1/permits/"+got.Permit+"/report", "report-0001", map[string]any{"outcome": "executed"}, nil))
}

// answerBack is the person at the number on file: hears who it is, keys the
// fresh digits and the code, hears the whole action and agrees.
func answerBack(ctx context.Context, who *lab.Person, carried string) error {
	line, err := who.Rings(ctx)
	if err != nil {
		return err
	}
	if err := line.Answer(ctx); err != nil {
		return err
	}
	if _, err := line.Hear(ctx, "Now key these two digits"); err != nil {
		return err
	}
	fresh, err := line.HearDigits(ctx, 2)
	if err != nil {
		return err
	}
	if err := hearAndKey(ctx, line, "and then the code", fresh+carried); err != nil {
		return err
	}
	if _, err := line.Hear(ctx, "If that is right, press", "If you asked for this, press"); err != nil {
		return err
	}
	yes, err := line.HearDigits(ctx, 1)
	if err != nil {
		return err
	}
	if err := hearAndKey(ctx, line, "If not, press 2", yes); err != nil {
		return err
	}
	_, err = line.HearOut(ctx)
	return err
}

func hearAndKey(ctx context.Context, line *lab.Line, text, keys string) error {
	if _, err := line.Hear(ctx, text); err != nil {
		return err
	}
	return line.Key(ctx, keys, "")
}

func exchange(t *testing.T, name string, sign func(ringfence.Attest, string, string) ([]string, error)) *lab.Exchange {
	t.Helper()
	library, err := voice.Open(scripts.Audio())
	must(t, err)
	x, err := lab.NewExchange(lab.ExchangeConfig{Name: name, Library: library, Sign: sign, Log: func(e lab.Event) { t.Logf("%s %s %s", e.Who, e.What, e.Text) }})
	must(t, err)
	t.Cleanup(func() { must(t, x.Close()) })
	return x
}

var linkForm = regexp.MustCompile(`http://localhost:\d+/\S+#\S+`)

// link waits for the passkey link in the outbox.
func (g *gateway) link(ctx context.Context) string {
	g.t.Helper()
	found := ""
	until(ctx, g.t, "a link is sent", func() bool {
		all, err := outbox.Read(filepath.Join(g.set.Dir, "data", "outbox"))
		must(g.t, err)
		for _, m := range all {
			if link := linkForm.FindString(m.Text); link != "" && strings.HasPrefix(link, g.public()) {
				found = link
			}
		}
		return found != ""
	})
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must2(t testing.TB) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}
