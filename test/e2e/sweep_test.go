package e2e

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/test/sweep"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/pin"
)

// What is planted beside what the seed puts on file.
const (
	wrongPIN    = "604815"
	homeNumber  = "442079460555"
	beasAccount = "51827364"
	beasPIN     = "286093"
	beasMobile  = "447700900456"
	beasOffice  = "442079460777"
)

// swept is one installation that tells everybody whom it can tell, and the
// secrets that its calls bring up.
type swept struct {
	*gateway
	planted
	directory    directory
	alice, olga  *worker
	home, office *lab.Person // whence people call
	mobiles      [2]*lab.Person
	desks        [2]*lab.Person
	ears         [2]deskEars
	calls        [2]ringfence.TraversalID
	joined       chan struct{} // closed when Alice talks
	reference    string
	captured     string // where the packets of the first call are
	beasSeed     []byte
	link         string // to the page of a passkey
	streams      tape
}

// TestSecretsAreFoundNowhere lives through calls with every kind of secret and
// then looks for each in everything that the program writes, sends or plays,
// but where it has to stand.
func TestSecretsAreFoundNowhere(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	s := newSwept(ctx, t)
	var calls sync.WaitGroup
	work, done := context.WithCancel(ctx)
	defer calls.Wait()
	defer done()
	for _, w := range []*worker{s.alice, s.olga} {
		calls.Go(func() { _ = w.Watch(work, w.watch) })
		calls.Go(func() { s.stream(work, w) })
	}
	screen := s.console(ctx, t, s.alice)
	t.Run("calls", func(t *testing.T) {
		var calls sync.WaitGroup
		for name, call := range map[string]func(context.Context, testing.TB){"pays": s.pays, "texts back": s.textsBack, "executes": s.execute} {
			calls.Go(func() { t.Run(name, func(t *testing.T) { call(ctx, t) }) }) // they wait for each other, so none may wait for its turn
		}
		calls.Wait()
	})
	if t.Failed() {
		return
	}
	until(ctx, t, "the bank is told", func() bool { return len(s.set.Watched.hooks.all()) > 0 })
	places := append(s.places(ctx), s.shown(screen)...)
	s.listen(ctx)
	done()
	calls.Wait()
	s.stop(ctx)
	places = append(places, s.leftBehind()...)
	s.sweep(places)
}

// sweep looks for each secret in each place, and first in each for something
// that stands there: a place that it cannot read proves nothing.
func (s *swept) sweep(places []sweep.Place) {
	t := s.t
	all, err := sweep.New(s.list...)
	must(t, err)
	known := map[string]string{"the event streams": string(s.calls[0]), "the listening service's messages": s.reference, "the session recorder's messages": s.reference,
		"HEP": "INVITE sip:", "the packets of a call": "INVITE sip:", "the console": "Claims to be", "the page of the link": "data-step", "the browser's history": s.public(), "the metrics": "ringfence_events_total", "the trace of call 0": "INVITE", "the trace of call 1": "INVITE", "the log": `"ready"`,
		"the bank's announcements": "release.ready", "data/ringfence.db": string(s.calls[0]), "copy/ringfence.db": string(s.calls[0]), "outside/default.checkpoint": "e2e/default",
		"cdr": string(s.calls[0]), "ledger.export": string(s.calls[1]), "siem.jsonl": string(s.calls[1])}
	for _, p := range places {
		for _, hit := range all.Find(p) {
			t.Error(hit)
		}
		name := p.Name
		if strings.HasPrefix(name, "cdr/") {
			name = "cdr"
		}
		if word := known[name]; word != "" && len(got(sweep.New(sweep.Secret{Name: "known", Value: []byte(word)}))(t).Find(p)) == 1 {
			delete(known, name)
		}
	}
	for name, word := range known {
		t.Errorf("%s was not looked at: %q stands nowhere in it", name, word)
	}
	t.Logf("%d secrets, %d places", len(s.list), len(places))
}

func newSwept(ctx context.Context, t *testing.T) *swept {
	t.Helper()
	c, w := newCarrier(t), watch(t)
	leaf := c.leaf(c.ca, "good")
	s := &swept{joined: make(chan struct{})}
	outside := exchange(t, "carrier", func(attest ringfence.Attest, orig, dest string) ([]string, error) {
		identity := c.sign(leaf, attest, orig, dest, time.Now())
		signed, _, _ := strings.Cut(identity, ";")
		s.plant("PASSporT", signed[strings.LastIndex(signed, ".")+1:])
		return []string{identity}, nil
	})
	office := exchange(t, "office", nil)
	s.gateway = newGateway(t, settings{Roots: c.roots, LabHost: c.host, Carrier: outside.Addr().String(), Debug: true, Watched: w, Hook: w.bank})
	s.briefly()
	for name, secret := range map[string]string{"fork.token": w.forkToken, "hep.password": w.hepPassphrase, "twilio.token": twilioToken} {
		s.write(name, []byte(secret+"\n"))
	}
	s.home, s.office = outside.Person("Ada at home", homeNumber), outside.Person("Bea at work", beasOffice)
	s.mobiles = [2]*lab.Person{outside.Person("Ada's mobile", mobile), outside.Person("Bea's mobile", beasMobile)}
	s.desks = [2]*lab.Person{office.Person("Alice", "alice"), office.Person("Olga", "olga")}
	var links [2]string
	for i, who := range []string{"alice", "olga"} {
		links[i] = strings.TrimSpace(s.mustRun("user", "invite", "--email", who+"@acme.example", "--name", s.desks[i].Name, "--place", office.URI(who),
			"--role", []string{"agent", "agent,supervisor,ops,auditor"}[i]))
		s.plant("invitation of "+who, links[i][strings.LastIndex(links[i], "#")+1:])
	}
	s.directory = s.seed(ctx)
	s.seedBea(ctx)
	s.start(ctx)
	outside.Connect(sipAt(s.sip()))
	for i, w := range []**worker{&s.alice, &s.olga} {
		*w = &worker{Staff: lab.NewStaff(s.desks[i].Name, s.staff(), passkeytest.New(s.staff()), nil)}
		must(t, (*w).Join(ctx, links[i]))
		must(t, (*w).Login(ctx))
		for _, c := range (*w).Cookies() {
			s.plant("session of "+s.desks[i].Name, c.Value)
		}
	}
	s.onFile()
	return s
}

// onFile plants what was there before the first call.
func (s *swept) onFile() {
	w := s.set.Watched
	for name, value := range map[string]string{"PIN": rightPIN, "duress PIN": duressPIN, "wrong PIN": wrongPIN, "Bea's PIN": beasPIN,
		"executor's credential in the file": bankSecret, "webhook secret": strings.TrimPrefix(hookSecret, "whsec_"),
		"provider's token": twilioToken, "listening service's token": w.forkToken} {
		s.plant(name, value)
	}
	s.plant("capture server's password", w.hepPassphrase, "HEP") // that is how HEPv3 does it
	for name, c := range map[string]*client{"bank": s.directory.bank, "opener": s.directory.opener} {
		s.plant("credential of the "+name, c.credential[strings.LastIndex(c.credential, ".")+1:])
	}
	for name, number := range map[string]string{"number on file": mobile, "Bea's number on file": beasMobile} {
		s.list = append(s.list, sweep.Number(name, number[2:])...)
	}
	for name, number := range map[string]string{"caller's number": homeNumber, "Bea's caller number": beasOffice} {
		s.list = append(s.list, sweep.Number(name, number[2:], "the event streams", "the console")...) // shown to who takes the call
	}
	s.plant("account", payeeAccount, "the event streams", "the console")
	s.keyMaterial()
}

// keyMaterial plants what lies in the folder of keys.
func (s *swept) keyMaterial() {
	files, err := filepath.Glob(s.path("data/keys/*"))
	must(s.t, err)
	if len(files) < 4 {
		s.t.Errorf("the keys are %v only", files)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		must(s.t, err)
		for _, word := range keyWords(string(raw)) {
			s.plant("key in "+filepath.Base(path), word)
		}
	}
}

// keyWords are the long tokens of a key file: lines of a PEM, values of JSON.
func keyWords(text string) (out []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune(base64Letters, r) }) {
		if len(word) >= 40 && !strings.Contains(word, "google") {
			out = append(out, word)
		}
	}
	return out
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-."

// twilioToken is what the fake provider takes.
const twilioToken = "secret0of0the0test0account"

// seedBea puts a second customer on file, who has a PIN and a mobile.
func (s *swept) seedBea(ctx context.Context) {
	s.t.Helper()
	long := time.Now().AddDate(-2, 0, 0)
	id := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	method, err := pin.New(s.pepper(), pin.Cost{})
	must(s.t, err)
	secret, refused, err := method.Enrol(ctx, pin.Choice{PIN: ringfence.Secret(beasPIN)})
	if err != nil || refused != "" {
		s.t.Fatalf("Bea's PIN is not taken: %v %s", err, refused)
	}
	s.importNow(ctx, gate.Import{Source: seedSource,
		Subjects: []ringfence.Subject{{ID: id, Kind: "customer", Language: "en", Record: map[string]string{"account": beasAccount, "first_name": "Bea",
			"balance": "100 GBP", "balance_band": "less than one hundred pounds"}}},
		ContactPoints: []ringfence.ContactPoint{{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint), Subject: id,
			Type: ringfence.ContactMobile, Value: beasMobile, VerifiedAt: long, ChangedAt: long}},
		Authenticators: []ringfence.Authenticator{{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Subject: id,
			Type: ringfence.AuthPIN, Secret: secret, Lane: "handset", BoundAt: long}, s.makeApp(id, long)},
		Payees: []gate.Payee{{Subject: id, Account: "/" + payeeAccount, Since: long}}})
}

// makeApp is an authenticator app, whose seed is planted.
func (s *swept) makeApp(id ringfence.SubjectID, since time.Time) ringfence.Authenticator {
	made, err := otp.NewSeed("Acme", beasAccount)
	must(s.t, err)
	var kept struct{ Seed string }
	must(s.t, json.Unmarshal(made.Secret, &kept))
	s.beasSeed = got(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(kept.Seed))(s.t)
	s.plant("seed of the app", kept.Seed)
	s.plant("seed of the app, raw", string(s.beasSeed))
	return ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Subject: id,
		Type: ringfence.AuthTOTP, Secret: made.Secret, Lane: "handset", BoundAt: since}
}

// importNow is a further import of a program that does not run.
func (s *swept) importNow(ctx context.Context, in gate.Import) {
	s.t.Helper()
	s.allow(ctx, func(store ledger.Store) {
		signer, err := ledger.NewSigner("e2e", s.key("ledger"))
		must(s.t, err)
		yes := func(context.Context, ringfence.Authenticator, [32]byte, []byte) error { return nil }
		gt, err := gate.New(gate.Config{Store: store, Policies: loaded{loadPolicy(s.t, s.path("scripts"))}, Key: s.key("permit"), Log: signer, CheckApproval: yes})
		must(s.t, err)
		must(s.t, gt.Import(ctx, ringfence.DefaultTenant, in, signatures()...))
	})
}

// stream keeps a person's event stream as it comes.
func (s *swept) stream(ctx context.Context, w *worker) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.staff()+"/v1/events", nil)
	if err != nil {
		return
	}
	for _, c := range w.Cookies() {
		req.AddCookie(c)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_, _ = io.Copy(&s.streams, resp.Body) // until ctx ends
		resp.Body.Close()
	}
}

// places is what can be asked of the running program, and what it told others.
func (s *swept) places(ctx context.Context) []sweep.Place {
	w := s.set.Watched
	out := []sweep.Place{
		{Name: "the event streams", Data: s.streams.all()},
		{Name: "the listening service's messages", Data: w.forks.all()},
		{Name: "the session recorder's messages", Data: w.recorder.all()},
		{Name: "HEP", Data: w.hep.all()},
		{Name: "the bank's announcements", Data: w.hooks.all()},
		{Name: "the metrics", Data: s.fetch(ctx, fmt.Sprintf("http://127.0.0.1:%d/metrics", w.Metrics))},
	}
	out = append(out, sweep.Place{Name: "the packets of a call", Data: got(s.olga.Fetch(ctx, s.captured, ""))(s.t)})
	for i, id := range s.calls {
		trace := got(s.olga.Fetch(ctx, "/v1/traversals/"+string(id)+"/trace", ""))(s.t)
		out = append(out, sweep.Place{Name: fmt.Sprintf("the trace of call %d", i), Data: trace})
	}
	return out
}

func (s *swept) fetch(ctx context.Context, url string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	must(s.t, err)
	resp := got(http.DefaultClient.Do(req))(s.t)
	defer resp.Body.Close()
	return got(io.ReadAll(resp.Body))(s.t)
}

// leftBehind is what lies about when the program has ended: its log, its
// folders, a backup and an export.
func (s *swept) leftBehind() (out []sweep.Place) {
	s.mustRun("backup", s.path("copy"))
	s.mustRun("ledger", "export", s.path("data"), s.path("ledger.export"))
	out = append(out, sweep.Place{Name: "the log", Data: []byte(s.log.tail(1 << 30))})
	for _, dir := range []string{"data", "copy", "outside", "cdr", "ledger.export", "siem.jsonl"} {
		n := len(out)
		_ = filepath.WalkDir(s.path(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasPrefix(path, s.path("data/keys/")) {
				return nil
			}
			raw, err := os.ReadFile(path)
			must(s.t, err)
			if len(raw) > 0 {
				out = append(out, sweep.Place{Name: strings.TrimPrefix(path, s.set.Dir+"/"), Data: raw})
			}
			return nil
		})
		if len(out) == n {
			s.t.Errorf("nothing lies in %s", dir)
		}
	}
	return out
}

// listen looks for keys and spoken digits in all that was heard, and wants that
// each heard something.
func (s *swept) listen(ctx context.Context) {
	w := s.set.Watched
	for i := range s.ears {
		s.ears[i].over.Wait()
		if k := s.ears[i].keys.all(); len(k) > 0 {
			s.t.Errorf("the keys %q came to desk %d", k, i)
		}
		s.silentOf(fmt.Sprintf("desk %d", i), &s.ears[i].heard, "Thank you", openKey)
	}
	s.silentOf("the listening service", &w.forks.heard, "Thank you", "Hello", openKey)
	s.silentOf("the session recorder", &w.recorder.heard, "Thank you", "Hello", openKey)
	if w.recorder.events > 0 {
		s.t.Errorf("%d packets that are no audio came to the session recorder", w.recorder.events)
	}
	s.recordings(ctx)
}

// openKeys are those that are no secret: a customer number and openKey. A tone
// in which a packet is missing is heard twice.
var openKeys = regexp.MustCompile("^(" + stuttered(account) + "|" + stuttered(beasAccount) + ")?" + openKey + "*$")

func stuttered(keys string) string { return strings.Join(strings.Split(keys, ""), "+") + "+" }

// silentOf wants no spoken digit in any stream and no key but those that are no
// secret, and each of the words in one at least.
func (s *swept) silentOf(place string, a *audio, words ...string) {
	s.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	library := got(voice.Open(scripts.Audio()))(s.t)
	heard := map[string]bool{}
	for stream, pcm := range a.pcm {
		keys := sweep.Keys(pcm)
		if !openKeys.MatchString(keys) {
			s.t.Errorf("the tones of %q are heard by %s (%s)", keys, place, stream)
		}
		heard[openKey] = heard[openKey] || strings.HasSuffix(keys, openKey)
		heard[account] = heard[account] || strings.HasPrefix(keys, account[:4])
		ear := got(voice.NewRecogniser(library, "en"))(s.t)
		for _, h := range append(ear.Write(pcm), ear.Flush()...) {
			heard[h.Text] = true
			if h.Digit != 0 {
				s.t.Errorf("a spoken %c is heard by %s (%s)", h.Digit, place, stream)
			}
		}
	}
	for _, word := range words {
		if !heard[word] {
			s.t.Errorf("%s did not hear %q: nothing was looked at (%v)", place, word, heard)
		}
	}
}

// recordings exports what was recorded and listens to it.
func (s *swept) recordings(ctx context.Context) {
	var list struct {
		Recordings []struct{ ID, State string }
	}
	until(ctx, s.t, "both calls are kept", func() bool {
		must(s.t, s.olga.Ask(ctx, "GET", "/v1/recordings", nil, &list))
		return len(list.Recordings) == 2 && list.Recordings[0].State == "kept" && list.Recordings[1].State == "kept"
	})
	var sides [2]audio
	for _, r := range list.Recordings {
		var pass struct{ Audio string }
		must(s.t, s.olga.Ask(ctx, "POST", "/v1/recordings/"+r.ID+"/export", map[string]any{"reason": "the sweep"}, &pass))
		wav := got(s.olga.Fetch(ctx, pass.Audio, ""))(s.t)
		for i := 44; i+3 < len(wav); i += 4 {
			for side := range sides {
				sides[side].add(r.ID, int16(binary.LittleEndian.Uint16(wav[i+2*side:])))
			}
		}
	}
	s.silentOf("the recordings' left", &sides[0], "Thank you", openKey, account)
	s.silentOf("the recordings' right", &sides[1], "Hello")
}
