package verifytest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// Invariant 11: codes, PINs, seeds and keyed digits are planted by living
// through every method, rightly and wrongly, and are then looked for in the
// log at its loudest, in every entry, in every record that verify wrote, and
// in whatever its types print.
func TestPlantedSecretsAreFoundNowhere(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	secrets := map[string]string{}
	plant := func(what string, s []byte) ringfence.Secret { secrets[what] = string(s); return bytes.Clone(s) }
	show := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&log, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
			logger.Debug("shown", "value", v)
		}
	}

	w := verifytest.New(t)
	p, err := pin.New(verifytest.Pepper, pin.Cost{})
	if err != nil {
		t.Fatal(err)
	}
	sms, err := otp.NewSMS(verifytest.Pepper, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	call, err := callback.New(verifytest.Pepper)
	if err != nil {
		t.Fatal(err)
	}
	confirm, err := callback.NewConfirm(verifytest.Pepper)
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.Config()
	cfg.Log = logger
	v, err := verify.New(cfg, p, sms, otp.TOTP{}, call, confirm)
	if err != nil {
		t.Fatal(err)
	}
	desk := callback.NewDesk(v, call, confirm)
	sub := w.Subject("10002000")
	w.Contact(sub, ringfence.ContactMobile, "447700900123")
	record, why, err := p.Enrol(t.Context(), pin.Choice{PIN: plant("PIN", []byte("482137")), Duress: plant("duress PIN", []byte("907351"))})
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	pinID := w.Authenticator(string(sub), ringfence.AuthPIN, record)
	e, err := otp.NewSeed("Acme", "10002000")
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Seed string }
	if err := json.Unmarshal(e.Secret, &s); err != nil {
		t.Fatal(err)
	}
	plant("TOTP seed", []byte(s.Seed))
	totpID := w.Authenticator(string(sub), ringfence.AuthTOTP, e.Secret)
	show(e, record)

	ask := func(fact ringfence.Fact, leg ringfence.LegID, tr ringfence.TraversalID, rel ringfence.ReleaseID) (verify.Challenge, []ringfence.SpeechPart) {
		t.Helper()
		q := verify.Request{Traversal: tr, Leg: leg, Subject: sub, Method: fact, Release: rel, Digest: verifytest.Digest(1), Says: "change the account", Fields: []verify.Field{{Name: "a", Value: "b"}}}
		c, err := v.Create(t.Context(), verifytest.Tenant, q)
		if err != nil || c.State.Final() {
			t.Fatal(fact, c.State, c.Why, err)
		}
		out, err := v.Issue(t.Context(), verifytest.Tenant, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		show(q, c, out)
		return out.Challenge, out.Tell
	}
	submit := func(c verify.Challenge, leg ringfence.LegID, answer []byte) {
		t.Helper()
		if _, err := v.Present(t.Context(), verifytest.Tenant, c.ID); err != nil {
			t.Fatal(err)
		}
		a := verify.Answer{Leg: leg, Value: answer}
		r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, a)
		if err != nil {
			t.Fatal(err)
		}
		show(a, r)
	}
	rel, tr := verifytest.Release(), verifytest.Traversal()
	for _, keyed := range []string{"614928", "482137"} {
		c, _ := ask(ringfence.FactPIN, "", verifytest.Traversal(), rel)
		submit(c, "", plant("keyed PIN "+keyed, []byte(keyed)))
	}
	c, _ := ask(ringfence.FactPIN, "", verifytest.Traversal(), rel)
	submit(c, "", []byte("907351"))
	c, _ = ask(ringfence.FactOTP, "", tr, rel)
	submit(c, "", plant("wrong SMS code", []byte("350862")))
	submit(c, "", plant("SMS code", w.Post.Code()))
	w.Post.Err = errors.New("carrier down")
	c, _ = ask(ringfence.FactOTP, "", verifytest.Traversal(), verifytest.Release())
	plant("SMS code that was not sent", w.Post.Code())
	w.Post.Err = nil
	code, err := otp.Code(e.Secret, w.ReadAuthenticator(totpID).BoundAt.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	c, _ = ask(ringfence.FactTOTP, "", tr, rel)
	submit(c, "", plant("TOTP code", code))

	c, told := ask(ringfence.FactCallback, "", tr, rel)
	carry := plant("carry code", verifytest.Heard(told))
	leg := verifytest.Leg()
	if _, err := desk.Place(t.Context(), verifytest.Tenant, c.ID, leg); err != nil {
		t.Fatal(err)
	}
	for try := range 2 {
		fresh, err := desk.Fresh(t.Context(), verifytest.Tenant, c.ID, leg)
		if err != nil {
			t.Fatal(err)
		}
		keyed := bytes.Join([][]byte{verifytest.Heard(fresh), carry}, nil)
		if try == 0 {
			keyed[5] = '0' + (keyed[5]-'0'+1)%10
		}
		plant(fmt.Sprintf("keyed digits %d", try), keyed)
		if err := desk.Spoken(t.Context(), verifytest.Tenant, c.ID, leg); err != nil {
			t.Fatal(err)
		}
		r, err := desk.Keyed(t.Context(), verifytest.Tenant, c.ID, leg, keyed)
		if err != nil || r.Satisfied() != (try == 1) {
			t.Fatal(r, err)
		}
	}
	show(w.Post.Sent(), ringfence.Speech{Parts: told}.Text())

	var kept bytes.Buffer
	for _, kind := range []verify.Kind{verify.KindChallenge, verify.KindChain, verify.KindLock, verify.KindQuota, verify.KindAlarm, verify.KindSpray, "evidence"} {
		for _, rec := range w.List(kind) {
			fmt.Fprintf(&kept, "%s %s %v %s\n", rec.Kind, rec.ID, rec.Keys, rec.Body)
		}
	}
	for _, a := range []ringfence.AuthenticatorID{pinID} {
		fmt.Fprintf(&kept, "%s\n", []byte(w.ReadAuthenticator(a).Secret))
	}
	entries, err := json.Marshal(w.Store.Entries(verifytest.Tenant))
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) < 11 || kept.Len() < 1000 || len(entries) < 1000 || log.Len() < 1000 {
		t.Fatalf("the sweep looked at nothing: %d secrets, %d, %d, %d bytes", len(secrets), kept.Len(), len(entries), log.Len())
	}
	for what, secret := range secrets {
		// A code stands between other characters than letters and digits; inside
		// a hash or a time the same digits are chance.
		whole := regexp.MustCompile(`(^|[^0-9A-Za-z.+/])` + regexp.QuoteMeta(secret) + `($|[^0-9A-Za-z.+/]|\.($|[^0-9]))`)
		for _, leak := range []string{`{"code":"` + secret + `"}`, `{"code":` + secret + `}`, "the code is " + secret + ".", secret, "code=" + secret + ", next"} {
			if !whole.MatchString(leak) {
				t.Fatalf("the sweep would miss %q", leak)
			}
		}
		for where, text := range map[string][]byte{"the log": log.Bytes(), "the ledger": entries, "the records": kept.Bytes()} {
			if at := whole.FindIndex(text); at != nil {
				t.Errorf("the %s stands in %s: …%s…", what, where, text[max(0, at[0]-60):min(len(text), at[1]+20)])
			}
		}
	}
}
