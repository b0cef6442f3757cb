package e2e

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/test/sweep"
)

// planted are the secrets that calls brought up, and where each may stand.
type planted struct {
	mu   sync.Mutex // guards list
	list []sweep.Secret
}

// plant notes a secret. Digits are planted with the keys around them as well,
// as something that kept every key would write them.
func (p *planted) plant(name, value string, at ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, sweep.Secret{Name: name, Value: []byte(value), At: at})
}

// short notes one of a kind that is too short to count alone.
func (p *planted) short(group, value string, at ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value == "" || slices.ContainsFunc(p.list, func(s sweep.Secret) bool { return s.Group == group && string(s.Value) == value }) {
		return
	}
	p.list = append(p.list, sweep.Secret{Name: group + " " + value, Value: []byte(value), Group: group, At: at})
}

// keyed plays the tones of keys into the audio and then presses them, as
// telephones do that send both: whoever hears the one or gets the other knows
// them.
func keyed(ctx context.Context, line *lab.Line, keys string) error {
	if err := line.Call().Say(ctx, sweep.Tones(keys)); err != nil {
		return err
	}
	return line.Call().Press(keys)
}

func hearAndTell(ctx context.Context, line *lab.Line, text, keys string) error {
	if _, err := line.Hear(ctx, text); err != nil {
		return err
	}
	return keyed(ctx, line, keys)
}

// deskEars is all that an agent's telephone brings: audio and keys.
type deskEars struct {
	heard audio
	keys  tape
	over  sync.WaitGroup
}

// listens follows a call at a desk to its end.
func (d *deskEars) listens(line *lab.Line) {
	tap := line.Call().Leg().Tap()
	d.over.Go(func() {
		for f := range tap.Frames() {
			if f.Way == rtp.Received && f.PCM != nil {
				d.heard.add(string(line.Call().Leg().ID()), f.PCM...)
			}
		}
	})
	d.over.Go(func() {
		for {
			select {
			case k := <-line.Call().Digits():
				_, _ = d.keys.Write([]byte{k})
			case <-line.Done():
				return
			}
		}
	})
}

// openKey is keyed while both talk, and no secret: whoever hears the call hears
// its tone.
const openKey = "#"

// talk has both sides say something that is no secret, so that a place that
// heard nothing of the call is found out.
func talk(ctx context.Context, t testing.TB, caller, agent *lab.Line) {
	t.Helper()
	must(t, agent.Say(ctx, "Hello."))
	must(t, caller.Say(ctx, "Thank you."))
	must(t, caller.Call().Say(ctx, sweep.Tones(openKey)))
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// textCode waits for the code of the next text message to a number.
func (w *watched) textCode(ctx context.Context, t testing.TB, number string) string {
	t.Helper()
	for {
		text := got(w.texts.Next(ctx, number))(t)
		if code := sixDigits.FindString(text); code != "" {
			return code
		}
	}
}

// answersBack is the person at the number on file: first with a wrong code,
// then with the right one.
func (s *swept) answersBack(ctx context.Context, who *lab.Person, carried string) error {
	line, err := who.Rings(ctx)
	if err != nil {
		return err
	}
	if err := line.Answer(ctx); err != nil {
		return err
	}
	for _, code := range []string{off(carried), carried} {
		if _, err := line.Hear(ctx, "Now key these two digits"); err != nil {
			return err
		}
		fresh, err := line.HearDigits(ctx, 2)
		if err != nil {
			return err
		}
		s.plant("keys of a call-back", fresh+code)
		if err := hearAndTell(ctx, line, "and then the code", fresh+code); err != nil {
			return err
		}
	}
	_, err = line.HearOut(ctx)
	return err
}

// off is another code of the same length.
func off(code string) string {
	return string('0'+(code[0]-'0'+3)%10) + code[1:]
}

// pays is the call of somebody with a passkey: PIN, link, call-back.
func (s *swept) pays(ctx context.Context, t testing.TB) {
	a := s.alice.of(t)
	line := got(s.home.Call(ctx, lab.Dial{To: customers, Attest: "A"}))(t)
	defer line.Hangup()
	must(t, hearAndTell(ctx, line, "Account", account))
	for _, pin := range []string{wrongPIN, rightPIN} {
		must(t, hearAndTell(ctx, line, "Check", pin))
	}
	ringing := got(s.desks[0].Rings(ctx))(t)
	must(t, ringing.Answer(ctx))
	s.ears[0].listens(ringing)
	call := a.until(ctx, "talking", func(c ringfence.LiveCall) bool { return c.State == "talking" })
	close(s.joined)
	taken := s.captures(ctx, t, call.Traversal)
	talk(ctx, t, line, ringing)
	r := got(a.Open(ctx, lab.Action{Type: "payment", Traversal: call.Traversal, AskedBy: "phone",
		Fields: map[string]string{"payee": "Hart Plumbing", "amount": "12500 GBP", "account": payeeAccount}}))(t)
	must(t, a.StepUp(ctx, call.Traversal, "brief-passkey", r.ID))
	got(line.Hear(ctx, "Open it, enter"))(t)
	carried := got(line.HearDigits(ctx, 4))(t)
	s.short("carry code", carried)
	link := got(s.set.Watched.texts.NextLink(ctx, mobile, s.public()+"/l"))(t)
	s.link = link
	s.plant("passkey link", link[strings.LastIndex(link, "#")+1:])
	page, _, err := lab.OpenPage(ctx, link)
	must(t, err)
	got(page.Unlock(ctx, off(carried)))(t)
	got(page.Unlock(ctx, carried))(t)
	got(page.Approve(ctx, s.directory.passkey))(t)
	a.until(ctx, "proved", func(c ringfence.LiveCall) bool { return c.State == "talking" && c.Outcome == "ok" })
	must(t, a.StepUp(ctx, call.Traversal, "brief-call-back", r.ID))
	got(line.Hear(ctx, "Please note this code"))(t)
	carried = got(line.HearDigits(ctx, 4))(t)
	s.short("carry code", carried)
	must(t, s.answersBack(ctx, s.mobiles[0], carried))
	a.until(ctx, "back", func(c ringfence.LiveCall) bool { return c.State == "talking" && c.Outcome == "ok" })
	talk(ctx, t, line, ringing)
	s.calls[0], s.reference, s.captured = call.Traversal, call.Reference, taken
}

// captures has the packets of a call taken from now on; it returns where the
// file will be.
func (s *swept) captures(ctx context.Context, t testing.TB, id ringfence.TraversalID) string {
	var made struct{ File string }
	must(t, s.olga.Ask(ctx, "POST", "/v1/traversals/"+string(id)+"/captures", map[string]any{"reason": "the sweep", "seconds": 300}, &made))
	return made.File
}

// textsBack is the call of somebody without a passkey: a code of an app, and one
// by text message.
func (s *swept) textsBack(ctx context.Context, t testing.TB) {
	o := s.olga.of(t)
	select {
	case <-s.joined: // Alice is busy, so that it rings for Olga
	case <-ctx.Done():
		t.Fatal("Alice never talked: ", context.Cause(ctx))
	}
	line := got(s.office.Call(ctx, lab.Dial{To: customers, Attest: "B"}))(t)
	defer line.Hangup()
	must(t, hearAndTell(ctx, line, "Account", beasAccount))
	must(t, hearAndTell(ctx, line, "Check", beasPIN))
	ringing := got(s.desks[1].Rings(ctx))(t)
	must(t, ringing.Answer(ctx))
	s.ears[1].listens(ringing)
	call := o.until(ctx, "talking", func(c ringfence.LiveCall) bool { return c.State == "talking" })
	talk(ctx, t, line, ringing)
	r := got(o.Open(ctx, lab.Action{Type: "payment", Traversal: call.Traversal, AskedBy: "phone",
		Fields: map[string]string{"payee": "Hart Plumbing", "amount": "9900 GBP", "account": payeeAccount}}))(t)
	must(t, o.StepUp(ctx, call.Traversal, "brief-code", r.ID))
	shown := lab.TOTP(s.beasSeed, time.Now())
	s.plant("code of the app", shown)
	s.plant("wrong code of the app", off(shown))
	for _, c := range []string{off(shown), shown} {
		must(t, hearAndTell(ctx, line, "Type", c))
	}
	code := s.set.Watched.textCode(ctx, t, beasMobile)
	s.plant("text message code", code)
	s.plant("wrong text message code", off(code))
	for _, c := range []string{off(code), code} {
		must(t, hearAndTell(ctx, line, "Kind", c))
	}
	o.until(ctx, "proved", func(c ringfence.LiveCall) bool { return c.State == "talking" && c.Outcome == "ok" })
	must(t, o.StepUp(ctx, call.Traversal, "brief-call-back", r.ID))
	got(line.Hear(ctx, "Please note this code"))(t)
	carried := got(line.HearDigits(ctx, 4))(t)
	s.short("carry code", carried)
	must(t, got(s.mobiles[1].Rings(ctx))(t).Decline(ctx))
	o.until(ctx, "back", func(c ringfence.LiveCall) bool { return c.State == "talking" && c.Outcome != "ok" })
	talk(ctx, t, line, ringing)
	s.calls[1] = call.Traversal
}

// execute is the bank: it pulls the permit and redeems it.
func (s *swept) execute(ctx context.Context, t testing.TB) {
	id := s.directory.ready(ctx, t, "rates")
	var permit struct{ Permit string }
	until(ctx, t, "a permit", func() bool {
		return s.directory.bank.do(ctx, "POST", "/v1/releases/"+string(id)+"/permit", "pull-0001", map[string]any{}, &permit) == nil
	})
	s.plant("permit", permit.Permit[strings.LastIndex(permit.Permit, ".")+1:])
	var done struct{ Permit string }
	must(t, s.directory.bank.do(ctx, "POST", "/v1/permits/redeem", "redeem-0001", map[string]any{"permit": permit.Permit}, &done))
	must(t, s.directory.bank.do(ctx, "POST", "/v1/permits/"+done.Permit+"/report", "report-0001", map[string]any{"outcome": "executed"}, nil))
}

// worker is a member of staff at the console.
type worker struct {
	*lab.Staff
	mu   sync.Mutex
	last ringfence.LiveCall // guarded by mu
}

func (w *worker) watch(c ringfence.LiveCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = c
}

// atWork is a worker in one test.
type atWork struct {
	*worker
	t testing.TB
}

func (w *worker) of(t testing.TB) atWork { return atWork{w, t} }

func (w atWork) until(ctx context.Context, what string, is func(ringfence.LiveCall) bool) (c ringfence.LiveCall) {
	w.t.Helper()
	until(ctx, w.t, w.Name+": "+what, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		c = w.last
		return c.Traversal != "" && is(c)
	})
	return c
}

// briefly adds flows that do what the shipped ones do and say less: a test that
// listens in real time need not hear every sentence.
func (g *gateway) briefly() {
	g.t.Helper()
	for name, words := range map[string][]string{
		"passkey": {"We have sent a link to your phone. Open it, enter {code}, check what it shows and approve. I will wait.", "Open it, enter {code}."},
		"code": {"One moment. We need a proof that it is you.", "One moment.", "Please enter your telephone PIN.", "Check.",
			"Please enter the code that your authenticator app shows now.", "Type.", "We have sent you a text message. Please enter the code that stands in it.", "Kind.",
			"      missing: by_message\n    - go: done\n", "      missing: by_message\n    - go: by_message\n"},
		"call-back": {"While you hold we ring the number we have on file. Whoever answers must enter this code. {code}.", "Please note this code. {code}.",
			"with: step-up-answer", "with: brief-answer"},
		"answer": {"This is Acme, about a request that was made on the phone. Please have ready the code we gave you on that call. If you did not ask for anything, press star.", "This is Acme.",
			"    - confirm: given\n      refused: denied\n", ""},
	} {
		raw, err := os.ReadFile(g.path("scripts/step-up-" + name + ".yaml"))
		must(g.t, err)
		words = append(words, "flow: step-up-", "flow: brief-", "translations: [de]\n", "", "Thank you. I will put you back to my colleague.", "Thank you.")
		g.write("scripts/brief-"+name+".yaml", []byte(strings.NewReplacer(words...).Replace(string(raw))))
	}
	g.write("scripts/brief-line.yaml", []byte(briefLine))
}

const briefLine = `flow: brief-line
about: A line that says next to nothing.
starts: inbound
subject: customer
language: en
vars:
  account: digits 8

otherwise:
  silent: nobody
  wrong: nobody
  down: nobody

scenes:
  welcome:
    - ask: Account.
      into: account
      tries: 3
    - identify: customer
      by: account
    - check: number
    - verify: pin
      say: Check.
      tries: 3
    - connect: customer_service
      closed: nobody
      full: nobody

  nobody:
    - say: Goodbye.
    - hangup
`
