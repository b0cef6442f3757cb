package otp_test

import (
	"bytes"
	"encoding/base32"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// rfcSeed is the shared secret of RFC 6238, appendix B.
var rfcSeed = ringfence.Secret(base32.StdEncoding.EncodeToString([]byte("12345678901234567890")))

// Vectors of RFC 6238, appendix B (SHA-1), cut to six digits.
func TestRFC6238Vectors(t *testing.T) {
	secret, err := otp.ImportSeed(rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unix int64
		code string
	}{{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}} {
		at := time.Unix(c.unix, 0)
		have, err := otp.Code(secret, at)
		if err != nil || string(have) != c.code {
			t.Errorf("%d: have %s, %v; want %s", c.unix, string(have), err, c.code)
		}
		step, ok := otp.Confirm(secret, []byte(c.code), at)
		if !ok || step != c.unix/30 {
			t.Errorf("%d: have step %d, %v; want %d", c.unix, step, ok, c.unix/30)
		}
	}
}

func TestTOTPRefuses(t *testing.T) {
	now := time.Unix(1234567890, 0)
	e, err := otp.NewSeed("Acme", "1000 2000")
	if err != nil {
		t.Fatal(err)
	}
	code := func(at time.Time) string {
		c, err := otp.Code(e.Secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return string(c)
	}
	right := code(now)
	for _, c := range []struct {
		name, keyed string
		last        int64
		want        bool
	}{
		{"now", right, 0, true},
		{"one step before", code(now.Add(-otp.Period)), 0, true},
		{"one step after", code(now.Add(otp.Period)), 0, true},
		{"two steps before", code(now.Add(-2 * otp.Period)), 0, false},
		{"two steps after", code(now.Add(2 * otp.Period)), 0, false},
		{"the step used last", right, now.Unix() / 30, false},
		{"a step before the last", code(now.Add(-otp.Period)), now.Unix() / 30, false},
		{"with a blank", " " + right, 0, false},
		{"with U+00A0", right + "\u00a0", 0, false},
		{"with a newline", right + "\n", 0, false},
		{"five digits", right[:5], 0, false},
		{"seven digits", right + "0", 0, false},
		{"nothing", "", 0, false},
		{"full-width digits", "１２３４５６", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := otp.TOTP{}.Check(t.Context(), verify.Attempt{Now: now, Answer: verify.Answer{Value: ringfence.Secret(c.keyed)},
				Authenticators: []ringfence.Authenticator{{ID: "aut_1", Secret: e.Secret, LastStep: c.last}}})
			if err != nil || v.OK != c.want {
				t.Errorf("have %v, %v; want %v", v.OK, err, c.want)
			}
		})
	}
	for _, c := range []struct{ name, secret string }{
		{"an empty seed", `{"v":1,"seed":"","algorithm":"SHA1","digits":6}`},
		{"80 bits", `{"v":1,"seed":"JBSWY3DPEHPK3PXP","algorithm":"SHA1","digits":6}`},
		{"one digit", `{"v":1,"seed":"` + string(rfcSeed) + `","algorithm":"SHA1","digits":1}`},
		{"unset digits", `{"v":1,"seed":"` + string(rfcSeed) + `","algorithm":"SHA1"}`},
		{"MD5", `{"v":1,"seed":"` + string(rfcSeed) + `","algorithm":"MD5","digits":6}`},
		{"no JSON", `otpauth://totp/x?secret=` + string(rfcSeed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := otp.TOTP{}.Check(t.Context(), verify.Attempt{Now: now, Answer: verify.Answer{Value: ringfence.Secret("287082")},
				Authenticators: []ringfence.Authenticator{{ID: "aut_1", Secret: ringfence.Secret(c.secret)}}})
			if err == nil || v.OK {
				t.Errorf("have %v, %v; want an error", v, err)
			}
		})
	}
	for _, bad := range []string{"", "JBSWY3DPEHPK3PXP", "not base32!", "otpauth://totp/x?secret=GEZDGNBV"} {
		if _, err := otp.ImportSeed(ringfence.Secret(bad)); err == nil {
			t.Errorf("%q was imported", bad)
		}
	}
}

func TestNewSeedIsLongAndItsURIReads(t *testing.T) {
	e, err := otp.NewSeed("Acme & Söhne", "1000:2000")
	if err != nil {
		t.Fatal(err)
	}
	uri := string(e.URI)
	if !strings.HasPrefix(uri, "otpauth://totp/") || strings.Contains(uri, " ") || !strings.Contains(uri, "digits=6") {
		t.Errorf("have %s", uri)
	}
	_, seed, _ := strings.Cut(uri, "secret=")
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil || len(raw) != otp.SeedBytes {
		t.Errorf("have a seed of %d bytes, %v", len(raw), err)
	}
	if _, ok := otp.Confirm(e.Secret, []byte("000000"), time.Unix(0, 0)); ok {
		t.Log("one in a million") // not an error: the code may be that
	}
}

func TestTOTPWholeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := verifytest.New(t)
		v := w.Verifier(otp.TOTP{})
		sub := w.Subject("10002000")
		e, err := otp.NewSeed("Acme", "10002000")
		if err != nil {
			t.Fatal(err)
		}
		id := w.Authenticator(string(sub), ringfence.AuthTOTP, e.Secret)
		ask := func(code ringfence.Secret) verify.Outcome {
			c, err := v.Create(t.Context(), verifytest.Tenant, verify.Request{Subject: sub, Method: ringfence.FactTOTP, Release: verifytest.Release(), Digest: verifytest.Digest(1)})
			if err == nil {
				_, err = v.Present(t.Context(), verifytest.Tenant, c.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: code})
			if err != nil {
				t.Fatal(err)
			}
			return r.Outcome
		}
		now, err := otp.Code(e.Secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []verify.Outcome{verify.OutcomeSatisfied, verify.OutcomeWrong} { // the same code again, for another release
			if have := ask(now); have != want {
				t.Errorf("have %s, want %s", have, want)
			}
		}
		if have := w.ReadAuthenticator(id).LastStep; have != time.Now().Unix()/30 {
			t.Errorf("last step: have %d", have)
		}
		time.Sleep(2 * otp.Period)
		next, err := otp.Code(e.Secret, time.Now())
		if err != nil || ask(next) != verify.OutcomeSatisfied {
			t.Error("the next code does not count")
		}
	})
}

func sms(t *testing.T) (*verifytest.World, *verify.Verifier, ringfence.SubjectID) {
	t.Helper()
	m, err := otp.NewSMS(verifytest.Pepper, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	w := verifytest.New(t)
	sub := w.Subject("10002000")
	w.Contact(sub, ringfence.ContactMobile, "447700900123")
	return w, w.Verifier(m), sub
}

func TestNewSMSRefuses(t *testing.T) {
	for _, c := range []struct {
		pepper ringfence.Secret
		firm   string
	}{{verifytest.Pepper[:31], "Acme"}, {verifytest.Pepper, ""}, {verifytest.Pepper, "Ac\nme"}} {
		if _, err := otp.NewSMS(c.pepper, c.firm); err == nil {
			t.Errorf("%d bytes, %q: have no error", len(c.pepper), c.firm)
		}
	}
}

func TestSMSWholeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, v, sub := sms(t)
		send := func(r ringfence.ReleaseID) verify.Challenge {
			c, err := v.Create(t.Context(), verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Subject: sub, Method: ringfence.FactOTP,
				Release: r, Digest: verifytest.Digest(1), Says: "change the bank account we pay you on", Fields: []verify.Field{{Name: "new_account", Value: "55556666"}}})
			if err != nil {
				t.Fatal(err)
			}
			out, err := v.Issue(t.Context(), verifytest.Tenant, c.ID)
			if err != nil || len(out.Tell) != 0 {
				t.Fatal(out, err)
			}
			return out.Challenge
		}
		key := func(c verify.Challenge, code string) verify.Result {
			r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret(code)})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		one := send(verifytest.Release())
		text := string(w.Post.Sent()[0].Text)
		if !strings.Contains(text, "change the bank account") || !strings.Contains(text, "55556666") || strings.Index(text, "55556666") > strings.Index(text, string(w.Post.Code())) {
			t.Errorf("have %q, want the action whole, before the code", text)
		}
		if w.Post.Sent()[0].Channel != verify.ChannelSMS {
			t.Error("a code left by another way than SMS")
		}
		code := string(w.Post.Code())
		two := send(verifytest.Release())
		if have := key(two, code).Outcome; have != verify.OutcomeWrong {
			t.Errorf("a code of one release for another: have %s", have)
		}
		for _, near := range []string{"", " " + code, code + " ", code[:5], code + "0"} {
			if near == code {
				continue
			}
			c := send(verifytest.Release())
			if have := key(c, near).Outcome; have == verify.OutcomeSatisfied {
				t.Errorf("%q satisfies", near)
			}
			time.Sleep(15 * time.Minute)
			break // the quota of an hour; the near misses are Check's own test below
		}
		if have := key(one, code).Outcome; have != verify.OutcomeExpired {
			t.Errorf("after its life: have %s", have)
		}
		time.Sleep(2 * time.Hour)
		c := send(verifytest.Release())
		if r := key(c, string(w.Post.Code())); !r.Satisfied() || r.Evidence.Strength != ringfence.StrengthPSTN || r.Evidence.ContactPoint == "" || r.Evidence.Presented {
			t.Errorf("have %s %+v", r.Outcome, r.Evidence)
		}
	})
}

func TestSMSNearMisses(t *testing.T) {
	m, err := otp.NewSMS(verifytest.Pepper, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	d := &verify.Draft{Challenge: verify.Challenge{ID: "chl_1"}}
	out, err := m.Prepare(d)
	if err != nil {
		t.Fatal(err)
	}
	post := &verifytest.Post{}
	if _, err := post.Deliver(t.Context(), out.Message); err != nil {
		t.Fatal(err)
	}
	code := string(post.Code())
	for _, c := range []struct {
		keyed, id string
		want      bool
	}{{code, "chl_1", true}, {code, "chl_2", false}, {" " + code, "chl_1", false}, {code + "\n", "chl_1", false}, {code[:5], "chl_1", false}, {"", "chl_1", false}} {
		v, err := m.Check(t.Context(), verify.Attempt{Challenge: verify.Challenge{ID: ringfence.ChallengeID(c.id)}, Private: d.Private,
			Answer: verify.Answer{Value: ringfence.Secret(c.keyed)}})
		if err != nil || v.OK != c.want {
			t.Errorf("%q for %s: have %v, %v", c.keyed, c.id, v.OK, err)
		}
	}
	if bytes.Contains(d.Private, []byte(code)) {
		t.Error("the code is stored")
	}
}

func TestGermanMessage(t *testing.T) {
	m, err := otp.NewSMS(verifytest.Pepper, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Prepare(&verify.Draft{Challenge: verify.Challenge{ID: "chl_1", Language: "de-AT", Says: "Bankverbindung ändern"}})
	if err != nil || !strings.Contains(string(out.Message.Text), "nie jemandem sagen") {
		t.Errorf("have %s, %v", string(out.Message.Text), err)
	}
}

func FuzzTOTPKeys(f *testing.F) {
	secret, err := otp.ImportSeed(rfcSeed)
	if err != nil {
		f.Fatal(err)
	}
	at := time.Unix(1111111109, 0)
	right := map[string]bool{}
	for d := -1; d <= 1; d++ {
		c, err := otp.Code(secret, at.Add(time.Duration(d)*otp.Period))
		if err != nil {
			f.Fatal(err)
		}
		right[string(c)] = true
		f.Add([]byte(c))
	}
	f.Add([]byte("081804\u00a0"))
	f.Fuzz(func(t *testing.T, keyed []byte) {
		v, err := otp.TOTP{}.Check(t.Context(), verify.Attempt{Now: at, Answer: verify.Answer{Value: keyed},
			Authenticators: []ringfence.Authenticator{{ID: "aut_1", Secret: secret}}})
		if err != nil || v.OK != right[string(keyed)] {
			t.Errorf("%q: have %v, %v", keyed, v.OK, err)
		}
	})
}

func BenchmarkTOTP(b *testing.B) {
	secret, err := otp.ImportSeed(rfcSeed)
	if err != nil {
		b.Fatal(err)
	}
	a := verify.Attempt{Now: time.Unix(1111111109, 0), Answer: verify.Answer{Value: ringfence.Secret("081804")},
		Authenticators: []ringfence.Authenticator{{ID: "aut_1", Secret: secret}}}
	for b.Loop() {
		if v, err := (otp.TOTP{}).Check(b.Context(), a); err != nil || !v.OK {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "verifications/s")
}
