package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

// forced is one call that is played twice: a customer signs in with a PIN, an
// agent opens a payment, passkey and call-back prove it, the agent releases it
// and waits until it is done.
type forced struct {
	*gateway
	bank, opener *client
	mu           sync.Mutex
	raw          bytes.Buffer       // guarded by mu: all that the console was sent
	last         ringfence.LiveCall // guarded by mu
	answers      []string           // what the API said to the agent
	secrets      map[string]string  // what may stand nowhere
	wrote        map[ledger.Event]int
	alarmed      bool
}

// TestDuressOverTheWire plays it with the PIN and with the duress PIN: the agent,
// the caller and the executor's list cannot tell the two apart, nothing is
// permitted under duress, and risk is alerted. Neither leaves a secret anywhere.
func TestDuressOverTheWire(t *testing.T) {
	t.Parallel()
	var free, under *forced
	t.Run("calls", func(t *testing.T) {
		t.Run("free", func(t *testing.T) { t.Parallel(); free = playForced(t, rightPIN) })
		t.Run("under duress", func(t *testing.T) { t.Parallel(); under = playForced(t, duressPIN) })
	})
	if free == nil || under == nil || t.Failed() {
		return
	}
	if a, b := free.shows(), under.shows(); a != b {
		t.Errorf("the agent is shown\n%s\nand under duress\n%s", a, b)
	}
	if !slices.Equal(free.answers, under.answers) {
		t.Errorf("the agent is answered\n%s\nand under duress\n%s", strings.Join(free.answers, "\n"), strings.Join(under.answers, "\n"))
	}
	for event, want := range map[ledger.Event][2]int{"release.ready": {2, 2}, "release.permitted": {2, 1}, "release.redeemed": {2, 1}, "release.executed": {2, 1}} {
		if have := [2]int{free.wrote[event], under.wrote[event]}; have != want {
			t.Errorf("the ledger has %v entries %s, want %v", have, event, want)
		}
	}
	if free.alarmed || !under.alarmed {
		t.Errorf("risk is alerted: %v, under duress %v", free.alarmed, under.alarmed)
	}
}

func playForced(t *testing.T, pin string) *forced {
	t.Helper()
	ctx := within(t, 8*time.Minute)
	c := newCarrier(t)
	leaf := c.leaf(c.ca, "good")
	outside := exchange(t, "carrier", func(attest ringfence.Attest, orig, dest string) ([]string, error) {
		if attest == ringfence.AttestNone {
			return nil, nil
		}
		return []string{c.sign(leaf, attest, orig, dest, time.Now())}, nil
	})
	office := exchange(t, "office", nil)
	f := &forced{gateway: newGateway(t, settings{Roots: c.roots, LabHost: c.host, Carrier: outside.Addr().String(), Debug: true})}
	invitation := f.mustRun("user", "invite", "--email", "alice@acme.example", "--name", "Alice Reed", "--role", "agent", "--place", office.URI("alice"))
	d := f.seed(ctx)
	f.bank, f.opener = d.bank, d.opener
	f.secrets = map[string]string{"PIN": rightPIN, "duress PIN": duressPIN, "number": mobile, "executor's secret": bankSecret}
	for name, one := range map[string]*client{"bank": d.bank, "opener": d.opener} {
		f.secrets[name+"'s credential"] = one.credential[strings.LastIndex(one.credential, ".")+1:]
	}
	f.start(ctx)
	outside.Connect(netip.MustParseAddrPort(f.sip()))
	caller, ada, desk := outside.Person("Ada at home", "442079460555"), outside.Person("Ada's mobile", mobile), office.Person("Alice", "alice")
	alice := lab.NewStaff("Alice", f.staff(), passkeytest.New(f.staff()), func(lab.Event) {})
	must(t, alice.Join(ctx, strings.TrimSpace(invitation)))
	must(t, alice.Login(ctx))
	work, done := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() { f.executes(work) })
	working.Go(func() { _ = alice.Watch(work, f.watch) })
	defer working.Wait()
	defer done()
	f.brochure(ctx, d.subject)

	line := got(caller.Call(ctx, lab.Dial{To: customers, Attest: "A"}))(t)
	must(t, hearAndKey(ctx, line, "Please enter your eight digit customer number", account))
	must(t, hearAndKey(ctx, line, "Please enter your telephone PIN", pin))
	must(t, hearAndKey(ctx, line, "To speak to someone, press 0", "0"))
	ringing := got(desk.Rings(ctx))(t)
	must(t, ringing.Answer(ctx))
	call := f.until(ctx, "talking", func(c ringfence.LiveCall) bool { return c.State == "talking" })

	r := got(alice.Open(ctx, lab.Action{Type: "payment", Traversal: call.Traversal, AskedBy: "phone",
		Fields: map[string]string{"payee": "Hart Plumbing", "amount": "12500 GBP", "account": payeeAccount}}))(t)
	f.answered("open", r)
	must(t, alice.StepUp(ctx, call.Traversal, "step-up-passkey", r.ID))
	got(line.Hear(ctx, "Open it, enter"))(t)
	carried := got(line.HearDigits(ctx, 4))(t)
	link := f.link(ctx)
	f.secrets["link"] = link[strings.LastIndex(link, "#")+1:]
	page, _, err := lab.OpenPage(ctx, link)
	must(t, err)
	got(page.Unlock(ctx, carried))(t)
	got(page.Approve(ctx, d.passkey))(t)
	f.until(ctx, "proved", func(c ringfence.LiveCall) bool { return c.State == "talking" && c.Outcome == "ok" })
	must(t, alice.StepUp(ctx, call.Traversal, "step-up-call-back", r.ID))
	got(line.Hear(ctx, "Whoever answers must enter this code"))(t)
	carried = got(line.HearDigits(ctx, 4))(t)
	must(t, answerBack(ctx, ada, carried))
	f.until(ctx, "called back", func(c ringfence.LiveCall) bool {
		return c.State == "talking" && len(c.Releases) == 1 && c.Releases[0].Decision == "allow"
	})
	f.answered("proved", got(alice.Lookup(ctx, r.ID))(t))
	f.answered("release", got(alice.Release(ctx, r.ID, r.Digest))(t))
	f.until(ctx, "executed", func(c ringfence.LiveCall) bool { return c.Releases[0].State == "executed" })
	f.answered("executed", got(alice.Lookup(ctx, r.ID))(t))
	_, err = alice.Release(ctx, r.ID, r.Digest)
	f.answers = append(f.answers, fmt.Sprint("again: ", err))
	line.Hangup()
	done()
	working.Wait()
	f.stop(ctx)
	f.wrote = map[ledger.Event]int{}
	for _, e := range f.entries(ctx) {
		f.wrote[e.Event]++
		f.alarmed = f.alarmed || e.Event == "alert.raised" && e.Data["alarm"] == "duress"
	}
	f.sweep()
	return f
}

// got is what a call returned that must not fail.
func got[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// brochure is an action that the bank carries out before, so that it has a pace.
func (f *forced) brochure(ctx context.Context, subject ringfence.SubjectID) {
	f.t.Helper()
	var r lab.Release
	must(f.t, f.opener.do(ctx, "POST", "/v1/actions", "open-brochure", map[string]any{"type": "brochure", "subject": subject, "fields": map[string]string{"title": "rates"}}, &r))
	must(f.t, f.opener.do(ctx, "POST", "/v1/releases/"+string(r.ID)+"/release", "release-brochure", map[string]any{"digest": r.Digest}, nil))
	until(ctx, f.t, "the brochure is sent", func() bool {
		var now lab.Release
		must(f.t, f.opener.do(ctx, "GET", "/v1/releases/"+string(r.ID), "", nil, &now))
		return now.State == "executed"
	})
}

// executes is the bank: whatever is ready is carried out.
func (f *forced) executes(ctx context.Context) {
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		var list struct{ Releases []lab.Release }
		if f.bank.do(ctx, "GET", "/v1/releases", "", nil, &list) != nil {
			continue
		}
		for _, r := range list.Releases {
			var permit struct{ Permit string }
			if f.bank.do(ctx, "POST", "/v1/releases/"+string(r.ID)+"/permit", fmt.Sprintf("pull-%06d", n), map[string]any{}, &permit) != nil {
				continue
			}
			var got struct{ Permit string }
			if f.bank.do(ctx, "POST", "/v1/permits/redeem", fmt.Sprintf("redeem-%06d", n), map[string]any{"permit": permit.Permit}, &got) == nil {
				_ = f.bank.do(ctx, "POST", "/v1/permits/"+got.Permit+"/report", fmt.Sprintf("report-%06d", n), map[string]any{"outcome": "executed"}, nil)
			}
		}
	}
}

func (f *forced) watch(c ringfence.LiveCall) {
	text, err := json.Marshal(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.raw.Write(text)
	}
	f.last = c
}

func (f *forced) until(ctx context.Context, what string, is func(ringfence.LiveCall) bool) (c ringfence.LiveCall) {
	f.t.Helper()
	until(ctx, f.t, what, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		c = f.last
		return c.Traversal != "" && is(c)
	})
	return c
}

var unlike = regexp.MustCompile(`\b[a-z]{3}_[0-9a-z]{26}\b|\b[0-9a-f]{64}\b|\d{4}-\d\d-\d\dT[0-9:.]+Z|:\d{4,5}\b`)

func (f *forced) answered(what string, r lab.Release) {
	r.HoldUntil = time.Time{}
	f.answers = append(f.answers, unlike.ReplaceAllString(fmt.Sprintf("%s: %+v", what, r), "#"))
}

// passing are the states between ready and done: which of them a look meets is
// chance, with and without duress.
var passing = regexp.MustCompile(`: the (executor holds a permit|permit was redeemed)$`)

// shows is the console at the end, without what is drawn at random.
func (f *forced) shows() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.last
	lines := []string{c.State, c.Claim, c.Outcome, c.Alert, c.SayNow, c.Flow, c.Playing, c.NumberShown, c.StirSays}
	for _, e := range c.Evidence {
		lines = append(lines, fmt.Sprint("evidence ", e.Fact, e.Good, e.Says, e.Source))
	}
	for _, r := range c.Releases {
		lines = append(lines, fmt.Sprint("release ", r.Type, r.State, r.Class, r.Decision, r.Why, r.Missing, r.Risks, r.Flags, r.Fields))
	}
	var traces []string
	for _, e := range c.Timeline {
		line := fmt.Sprint("timeline ", e.Text, e.Bad, e.Minor)
		switch {
		case e.Minor: // which line of a flow was left is told beside the rest
			traces = append(traces, line)
		case !passing.MatchString(e.Text):
			lines = append(lines, line)
		}
	}
	slices.Sort(traces)
	lines = append(lines, traces...)
	return unlike.ReplaceAllString(strings.Join(lines, "\n"), "#")
}

// sweep looks for what was planted in the log at its loudest, in what the
// console was sent, in the database, in a backup and in the exported ledger.
func (f *forced) sweep() {
	t := f.t
	t.Helper()
	f.mustRun("backup", f.path("copy"))
	f.mustRun("ledger", "export", f.path("data"), f.path("ledger.export"))
	files := []string{f.path("ledger.export")}
	for _, dir := range []string{"data", "copy", "outside"} {
		_ = filepath.WalkDir(f.path(dir), func(path string, e fs.DirEntry, err error) error {
			// The outbox stands for the carrier: what it holds was sent on purpose.
			if err == nil && !e.IsDir() && !strings.Contains(path, "outbox") {
				files = append(files, path)
			}
			return err
		})
	}
	if len(files) < 5 {
		t.Errorf("the sweep looks at %v only", files)
	}
	for name, secret := range f.secrets {
		if len(secret) < 6 {
			t.Fatalf("%s was not planted", name)
		}
		if f.log.contains(secret) {
			t.Errorf("the log has the %s", name)
		}
		if strings.Contains(f.raw.String(), secret) {
			t.Errorf("the console was sent the %s", name)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			must(t, err)
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s has the %s", strings.TrimPrefix(path, f.set.Dir), name)
			}
		}
	}
}
