package passkey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/verifytest"
)

const origin = "https://verify.acme.example"

var rp = passkey.RP{ID: "verify.acme.example", Origins: []string{origin}, Name: "Acme"}

type scene struct {
	*verifytest.World
	v       *verify.Verifier
	page    *passkey.Page
	phone   *passkeytest.Authenticator
	subject ringfence.SubjectID
	aut     ringfence.AuthenticatorID
	release ringfence.ReleaseID

	id           ringfence.ChallengeID
	token, carry ringfence.Secret
}

func newScene(tb testing.TB) *scene { return sceneWith(tb, passkeytest.New(origin)) }

func sceneWith(tb testing.TB, phone *passkeytest.Authenticator) *scene {
	tb.Helper()
	m, err := passkey.New(passkey.Config{Pepper: verifytest.Pepper, Firm: "Acme", RP: rp, Link: origin + "/p"})
	if err != nil {
		tb.Fatal(err)
	}
	w := verifytest.New(tb)
	s := &scene{World: w, v: w.Verifier(m), phone: phone, subject: w.Subject("10002000"), release: verifytest.Release()}
	s.page = passkey.NewPage(s.v, m)
	w.Contact(s.subject, ringfence.ContactMobile, "447700900123")
	s.aut = s.enrol(string(s.subject), s.phone)
	return s
}

// enrol registers a passkey through an invited link, as a person does.
func (s *scene) enrol(owner string, phone *passkeytest.Authenticator) ringfence.AuthenticatorID {
	s.TB.Helper()
	ctx := s.TB.Context()
	r := registrar(s.TB, s.World)
	token, err := r.Invite(ctx, verifytest.Tenant, owner, "Dana Reed")
	if err != nil {
		s.TB.Fatal(err)
	}
	options, ok, err := r.Begin(ctx, verifytest.Tenant, token)
	if err != nil || !ok {
		s.TB.Fatal(ok, err)
	}
	body, err := phone.Register(options)
	if err != nil {
		s.TB.Fatal(err)
	}
	a, ok, err := r.Finish(ctx, verifytest.Tenant, token, body)
	if err != nil || !ok {
		s.TB.Fatal(ok, err)
	}
	return a.ID
}

// registrar stores what it is given, as the gate would after its own checks.
func registrar(tb testing.TB, w *verifytest.World) *passkey.Registrar {
	tb.Helper()
	r, err := passkey.NewRegistrar(ledgertest.Stumbling{Store: w.Store, T: tb}, rp, passkey.EnrolFunc(func(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error {
		body, err := json.Marshal(a)
		if err != nil {
			return err
		}
		return tx.Put(ctx, &verify.Record{Kind: "authenticator", ID: string(a.ID), Body: body, Keys: map[string]string{"subject": string(a.Subject)}})
	}))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func (s *scene) send() {
	s.TB.Helper()
	c, err := s.v.Create(s.TB.Context(), verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Leg: verifytest.Leg(), Subject: s.subject, Method: ringfence.FactPasskey,
		Release: s.release, Digest: verifytest.Digest(1), Says: "change the account", Fields: []verify.Field{{Name: "new_account", Value: "55556666"}}})
	if err != nil || c.State.Final() {
		s.TB.Fatal(c.State, c.Why, err)
	}
	out, err := s.v.Issue(s.TB.Context(), verifytest.Tenant, c.ID)
	if err != nil || len(out.Tell) != 1 || !out.Tell[0].Secret {
		s.TB.Fatal(out, err)
	}
	s.id, s.carry, s.token = c.ID, verifytest.Heard(out.Tell), s.Post.Token()
	if len(s.token) < 32 {
		s.TB.Fatalf("have the token %q", string(s.token))
	}
}

func (s *scene) unlock(code ringfence.Secret) passkey.Shown {
	s.TB.Helper()
	shown, err := s.page.Unlock(s.TB.Context(), verifytest.Tenant, s.token, code)
	if err != nil {
		s.TB.Fatal(err)
	}
	return shown
}

func (s *scene) finish(session ringfence.Secret, body []byte) verify.Result {
	s.TB.Helper()
	r, err := s.page.Finish(s.TB.Context(), verifytest.Tenant, s.token, session, body)
	if err != nil {
		s.TB.Fatal(err)
	}
	return r
}

func (s *scene) assert(options []byte) []byte {
	s.TB.Helper()
	body, err := s.phone.Assert(options)
	if err != nil {
		s.TB.Fatal(err)
	}
	return body
}

func wrong(code ringfence.Secret) ringfence.Secret {
	out := bytes.Clone(code)
	out[0] = '0' + (out[0]-'0'+1)%10
	return out
}

func want[T comparable](tb testing.TB, what string, have, want T) {
	tb.Helper()
	if have != want {
		tb.Errorf("%s: have %v, want %v", what, have, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*passkey.Config)
	}{
		{"a short pepper", func(c *passkey.Config) { c.Pepper = nil }},
		{"no firm", func(c *passkey.Config) { c.Firm = "" }},
		{"an address as the relying party", func(c *passkey.Config) { c.RP.ID = "127.0.0.1" }},
		{"a parent domain", func(c *passkey.Config) { c.RP.ID = "acme.example" }},
		{"no origin", func(c *passkey.Config) { c.RP.Origins = nil }},
		{"http off localhost", func(c *passkey.Config) { c.RP.Origins = []string{"http://verify.acme.example"} }},
		{"an origin with a path", func(c *passkey.Config) { c.RP.Origins = []string{origin + "/p"} }},
		{"a page on another host", func(c *passkey.Config) { c.Link = "https://acme.example/p" }},
		{"a page with a query", func(c *passkey.Config) { c.Link = origin + "/p?x=1" }},
		{"a page with a fragment", func(c *passkey.Config) { c.Link = origin + "/p#x" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := passkey.Config{Pepper: verifytest.Pepper, Firm: "Acme", RP: rp, Link: origin + "/p"}
			c.change(&cfg)
			if _, err := passkey.New(cfg); err == nil {
				t.Error("have no error")
			}
		})
	}
	if _, err := passkey.NewRegistrar(verifytest.New(t).Store, rp, nil); err == nil {
		t.Error("a registrar without an enroller")
	}
}

func TestWholeLife(t *testing.T) {
	s := newScene(t)
	s.send()
	text := string(s.Post.Sent()[0].Text)
	for _, secret := range []string{"55556666", "change the account", string(s.carry)} {
		if strings.Contains(text, secret) {
			t.Errorf("the message says %q (invariant 18)", secret)
		}
	}
	look, err := s.page.Look(t.Context(), verifytest.Tenant, s.token)
	if err != nil || !look.Open || look.Challenge != s.id {
		t.Fatal(look, err)
	}
	shown := s.unlock(s.carry)
	want(t, "unlocked", shown.Outcome, verify.OutcomeOpen)
	want(t, "says", shown.Says, "change the account")
	want(t, "the field whole", shown.Fields[0].Value, "55556666")
	r := s.finish(shown.Session, s.assert(shown.Options))
	if !r.Satisfied() {
		t.Fatal(r.Outcome, r.State)
	}
	want(t, "strength", r.Evidence.Strength, ringfence.StrengthPasskey)
	want(t, "presented (invariant 31)", r.Evidence.Presented, true)
	want(t, "digest", r.Evidence.Digest, verifytest.Digest(1))
	want(t, "authenticator", r.Evidence.Authenticator, s.aut)
	want(t, "leg", r.Evidence.Leg, ringfence.LegID(""))
	want(t, "counter", s.ReadAuthenticator(s.aut).SignCount, 1)
	want(t, "once more", s.finish(shown.Session, s.assert(shown.Options)).Outcome, verify.OutcomeClosed)
	look, err = s.page.Look(t.Context(), verifytest.Tenant, s.token)
	want(t, "the link is used up", look.Open, false)
	if err != nil {
		t.Error(err)
	}
}

// Invariant 18 and the rules of the page.
func TestPageIsInertUntilTheCode(t *testing.T) {
	s := newScene(t)
	s.send()
	for range 5 { // a GET, a preview, a scanner
		if look, err := s.page.Look(t.Context(), verifytest.Tenant, s.token); err != nil || !look.Open || look.TriesLeft != 3 {
			t.Fatal(look, err)
		}
	}
	shown := s.unlock(wrong(s.carry))
	want(t, "outcome", shown.Outcome, verify.OutcomeWrong)
	want(t, "tries left", shown.TriesLeft, 2)
	if shown.Says != "" || shown.Fields != nil || shown.Options != nil || shown.Session != nil {
		t.Errorf("a wrong code shows %+v", shown)
	}
	options, o, err := s.page.Again(t.Context(), verifytest.Tenant, s.token, nil)
	want(t, "options without a session", o, verify.OutcomeClosed)
	want(t, "none", len(options), 0)
	if err != nil {
		t.Error(err)
	}
	for _, near := range []string{"", string(s.carry[:3]), string(s.carry) + "0"} {
		if got := s.unlock(ringfence.Secret(near)); got.Outcome == verify.OutcomeOpen {
			t.Errorf("%q unlocks", near)
		}
	}
	want(t, "after three wrong codes the right one", s.unlock(s.carry).Outcome, verify.OutcomeFailed)
}

func TestPageRefuses(t *testing.T) {
	t.Run("a token that is none", func(t *testing.T) {
		s := newScene(t)
		s.send()
		s.token = wrong(s.token)
		look, err := s.page.Look(t.Context(), verifytest.Tenant, s.token)
		want(t, "open", look.Open, false)
		want(t, "unlock", s.unlock(s.carry).Outcome, verify.OutcomeExpired)
		want(t, "finish", s.finish(nil, nil).Outcome, verify.OutcomeExpired)
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("another tenant's host", func(t *testing.T) {
		s := newScene(t)
		s.send()
		shown, err := s.page.Unlock(t.Context(), "ten_b", s.token, s.carry)
		want(t, "unlock (invariant 25)", shown.Outcome, verify.OutcomeExpired)
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("another session", func(t *testing.T) {
		s := newScene(t)
		s.send()
		shown := s.unlock(s.carry)
		want(t, "outcome", s.finish(wrong(shown.Session), s.assert(shown.Options)).Outcome, verify.OutcomeClosed)
		second := s.unlock(s.carry)
		want(t, "the session before a reload", s.finish(shown.Session, s.assert(shown.Options)).Outcome, verify.OutcomeClosed)
		want(t, "the newest", s.finish(second.Session, s.assert(second.Options)).Outcome, verify.OutcomeSatisfied)
	})
	t.Run("after the ceremony's time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.send()
			shown := s.unlock(s.carry)
			body := s.assert(shown.Options)
			time.Sleep(passkey.Ceremony)
			want(t, "late", s.finish(shown.Session, body).Outcome, verify.OutcomeWrong)
			options, o, err := s.page.Again(t.Context(), verifytest.Tenant, s.token, shown.Session)
			if err != nil || o != verify.OutcomeOpen {
				t.Fatal(o, err)
			}
			want(t, "with new options", s.finish(shown.Session, s.assert(options)).Outcome, verify.OutcomeSatisfied)
		})
	})
	t.Run("after the link's life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.send()
			time.Sleep(passkey.LinkLife)
			want(t, "unlock", s.unlock(s.carry).Outcome, verify.OutcomeExpired)
		})
	})
}

// WebAuthn, section 7.2: each way in which an assertion can be wrong.
func TestAssertionRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(s *scene, shown passkey.Shown) []byte
	}{
		{"without user verification", func(s *scene, shown passkey.Shown) []byte { s.phone.NoUV = true; return s.assert(shown.Options) }},
		{"without user presence", func(s *scene, shown passkey.Shown) []byte { s.phone.NoUP = true; return s.assert(shown.Options) }},
		{"from another origin", func(s *scene, shown passkey.Shown) []byte {
			s.phone.Origin = "https://acme.example"
			return s.assert(shown.Options)
		}},
		{"from a look-alike", func(s *scene, shown passkey.Shown) []byte {
			s.phone.Origin = "https://verify.acme.example.evil.example"
			return s.assert(shown.Options)
		}},
		{"over http", func(s *scene, shown passkey.Shown) []byte {
			s.phone.Origin = "http://verify.acme.example"
			return s.assert(shown.Options)
		}},
		{"in a foreign frame", func(s *scene, shown passkey.Shown) []byte {
			s.phone.CrossOrigin = true
			return s.assert(shown.Options)
		}},
		{"of another challenge", func(s *scene, shown passkey.Shown) []byte {
			return s.assert(edit(s.TB, shown.Options, "challenge", strings.Repeat("A", 86)))
		}},
		{"of another subject's passkey", func(s *scene, shown passkey.Shown) []byte {
			thief := passkeytest.New(origin)
			s.enrol(string(s.Subject("20003000")), thief)
			body, err := thief.Assert(edit(s.TB, shown.Options, "allowCredentials", []string{}))
			if err != nil {
				s.TB.Fatal(err)
			}
			return body
		}},
		{"that became backup eligible", func(s *scene, shown passkey.Shown) []byte { s.phone.Synced = true; return s.assert(shown.Options) }},
		{"with a byte of the signature changed", func(s *scene, shown passkey.Shown) []byte {
			return change(s.TB, s.assert(shown.Options), "signature")
		}},
		{"with a byte of the client data changed", func(s *scene, shown passkey.Shown) []byte {
			return change(s.TB, s.assert(shown.Options), "clientDataJSON")
		}},
		{"with a byte of the authenticator data changed", func(s *scene, shown passkey.Shown) []byte {
			return change(s.TB, s.assert(shown.Options), "authenticatorData")
		}},
		{"empty", func(*scene, passkey.Shown) []byte { return nil }},
		{"no JSON", func(*scene, passkey.Shown) []byte { return []byte("<xml/>") }},
		{"too large", func(*scene, passkey.Shown) []byte { return bytes.Repeat([]byte(" "), 65<<10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.send()
			shown := s.unlock(s.carry)
			r := s.finish(shown.Session, c.make(s, shown))
			want(t, "outcome", r.Outcome, verify.OutcomeWrong)
			want(t, "evidence", len(s.List("evidence")), 0)
		})
	}
}

func edit(tb testing.TB, options []byte, field string, value any) []byte {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(options, &m); err != nil {
		tb.Fatal(err)
	}
	m[field] = value
	out, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// change flips one character in the middle of a field of the response.
func change(tb testing.TB, body []byte, field string) []byte {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		tb.Fatal(err)
	}
	response := m["response"].(map[string]any)
	text := []byte(response[field].(string))
	if text[len(text)/2]++; text[len(text)/2] == 'z'+1 || text[len(text)/2] == 'Z'+1 || text[len(text)/2] == '9'+1 {
		text[len(text)/2] = 'A'
	}
	response[field] = string(text)
	out, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Invariants 6 and 7 for passkeys: one assertion, one action, once.
func TestAssertionOfOneReleaseIsWorthNothingForAnother(t *testing.T) {
	s := newScene(t)
	s.send()
	shown := s.unlock(s.carry)
	body := s.assert(shown.Options)
	s.release = verifytest.Release()
	s.send()
	other := s.unlock(s.carry)
	want(t, "replayed for another release", s.finish(other.Session, body).Outcome, verify.OutcomeWrong)
	want(t, "judged twice in one ceremony", s.finish(other.Session, s.assert(other.Options)).Outcome, verify.OutcomeClosed)
}

func TestCounterThatGoesBackSuspends(t *testing.T) {
	s := newScene(t)
	use := func() verify.Outcome {
		s.release = verifytest.Release()
		s.send()
		shown := s.unlock(s.carry)
		return s.finish(shown.Session, s.assert(shown.Options)).Outcome
	}
	want(t, "first", use(), verify.OutcomeSatisfied)
	want(t, "second", use(), verify.OutcomeSatisfied)
	s.phone.Rewind(0)
	want(t, "a clone", use(), verify.OutcomeFailed)
	want(t, "status", s.ReadAuthenticator(s.aut).Status, ringfence.StatusSuspended)
	want(t, "alarms", len(s.List(verify.KindAlarm)), 1)
	c, err := s.v.Create(t.Context(), verifytest.Tenant, verify.Request{Subject: s.subject, Method: ringfence.FactPasskey})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "no passkey is left", c.Why, "missing")
}

func TestSyncedPasskeyKeepsItsZeroCounter(t *testing.T) {
	phone := passkeytest.New(origin)
	phone.Synced = true
	s := sceneWith(t, phone)
	for range 2 {
		s.release = verifytest.Release()
		s.send()
		shown := s.unlock(s.carry)
		want(t, "outcome", s.finish(shown.Session, s.assert(shown.Options)).Outcome, verify.OutcomeSatisfied)
	}
}

func TestIDidNotAskForThis(t *testing.T) {
	for _, unlocked := range []bool{true, false} {
		s := newScene(t)
		s.send()
		var shown passkey.Shown
		if unlocked {
			shown = s.unlock(s.carry)
		}
		r, err := s.page.Refuse(t.Context(), verifytest.Tenant, s.token)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, verify.OutcomeRejected)
		want(t, "alarms", len(s.List(verify.KindAlarm)), 1)
		if unlocked {
			want(t, "an approval after it", s.finish(shown.Session, s.assert(shown.Options)).Outcome, verify.OutcomeRejected)
		}
	}
}

// A double tap sends one assertion twice: the second must neither satisfy again
// nor take the ceremony from under the first.
func TestSimultaneousAssertionsSatisfyOnce(t *testing.T) {
	for range 30 {
		s := newScene(t)
		s.send()
		shown := s.unlock(s.carry)
		body := s.assert(shown.Options)
		var good atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				r, err := s.page.Finish(t.Context(), verifytest.Tenant, s.token, shown.Session, body)
				if err != nil {
					t.Error(err)
				}
				if r.Satisfied() {
					good.Add(1)
				}
			})
		}
		wg.Wait()
		want(t, "satisfactions", good.Load(), 1)
		want(t, "evidence", len(s.List("evidence")), 1)
	}
}

// Invariant 11.
func TestNothingSecretIsKeptOrTold(t *testing.T) {
	s := newScene(t)
	s.send()
	shown := s.unlock(s.carry)
	challenge := challengeOf(t, shown.Options)
	for _, kind := range []verify.Kind{verify.KindChallenge, verify.KindChain} {
		for _, rec := range s.List(kind) {
			for what, secret := range map[string][]byte{"token": s.token, "session": shown.Session, "carry code": append([]byte(`"`), append(s.carry, '"')...)} {
				if bytes.Contains(rec.Body, secret) || strings.Contains(rec.Keys["link"], string(secret)) {
					t.Errorf("the %s stands in a %s row", what, kind)
				}
			}
		}
	}
	log, err := json.Marshal(s.Store.Entries(verifytest.Tenant))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{s.token, shown.Session, []byte(challenge)} {
		if bytes.Contains(log, secret) {
			t.Error("a secret stands in the ledger")
		}
	}
}

func challengeOf(tb testing.TB, options []byte) string {
	tb.Helper()
	var o struct {
		Challenge string `json:"challenge"`
		UV        string `json:"userVerification"`
		RPID      string `json:"rpId"`
		Allow     []any  `json:"allowCredentials"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		tb.Fatal(err)
	}
	if len(o.Challenge) != 86 || o.UV != "required" || o.RPID != rp.ID || len(o.Allow) == 0 {
		tb.Errorf("have %+v, want 64 bytes, UV required, the exact host, the known-user form", o)
	}
	return o.Challenge
}

func FuzzAssertionBodies(f *testing.F) {
	s := newScene(f)
	s.send()
	good := s.assert(s.unlock(s.carry).Options)
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add(change(f, good, "signature"))
	f.Add(bytes.Replace(good, []byte(`"type":"public-key"`), []byte(`"TYPE":"public-key"`), 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newScene(t)
		s.send()
		shown := s.unlock(s.carry)
		if r := s.finish(shown.Session, body); r.Outcome != verify.OutcomeWrong {
			t.Errorf("have %s for a body that nobody signed for these options: %q", r.Outcome, body)
		}
	})
}
