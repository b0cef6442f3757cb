package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

// cpu is what the process has used of the processors: the clock tells more of
// what else the machine does.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRawSignature is what a passkey verification cannot be faster than:
// one ES256 check.
func BenchmarkRawSignature(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("message"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	used := cpu()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
			b.Fatal("wrong")
		}
	}
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// asserted returns a method and an attempt with a good assertion.
func asserted(b testing.TB) (*Method, verify.Attempt) {
	const origin = "https://verify.acme.example"
	rp := RP{ID: "verify.acme.example", Origins: []string{origin}, Name: "Acme"}
	m, err := New(Config{Pepper: make(ringfence.Secret, 32), Firm: "Acme", RP: rp, Link: origin + "/p"})
	if err != nil {
		b.Fatal(err)
	}
	phone, u := passkeytest.New(origin), user{id: []byte("sub_1"), name: "Dana"}
	creation, session, err := m.party.web.BeginRegistration(u)
	if err != nil {
		b.Fatal(err)
	}
	options, err := json.Marshal(creation.Response)
	if err != nil {
		b.Fatal(err)
	}
	body, err := phone.Register(options)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	cred, ok := m.party.register(u, ceremony{Session: session, Until: now.Add(time.Minute)}, body, now)
	if !ok {
		b.Fatal("not registered")
	}
	secret, err := json.Marshal(cred)
	if err != nil {
		b.Fatal(err)
	}
	list := []ringfence.Authenticator{{ID: "aut_1", Type: ringfence.AuthPasskey, Status: ringfence.StatusActive, Secret: secret}}
	ch := verify.Challenge{ID: "chl_1", Subject: "sub_1", Digest: ringfence.Digest{1}}
	u, err = m.party.owner("sub_1", "", list)
	if err != nil {
		b.Fatal(err)
	}
	options, c, err := m.party.begin(u, message(ch), now)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := phone.Assert(options)
	if err != nil {
		b.Fatal(err)
	}
	a := verify.Attempt{Challenge: ch, Private: private{Trying: &c}.secret(), Authenticators: list, Answer: verify.Answer{Value: answer}, Now: now}
	return m, a
}

// BenchmarkCheck is Method.Check whole: JSON, client data, authenticator data,
// key and signature.
func BenchmarkCheck(b *testing.B) {
	m, a := asserted(b)
	used := cpu()
	for b.Loop() {
		if v, err := m.Check(b.Context(), a); err != nil || !v.OK || v.Secret != nil {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// TestOnlyTheCounterMoves: an assertion that tells nothing new but its counter
// leaves the stored credential as it is.
func TestOnlyTheCounterMoves(t *testing.T) {
	m, a := asserted(t)
	for range 2 { // parsed, and remembered
		if v, err := m.Check(t.Context(), a); err != nil || !v.OK || v.SignCount == 0 || v.Secret != nil {
			t.Errorf("%+v %v", v, err)
		}
	}
	a.Authenticators[0].Secret = append(ringfence.Secret("{"), a.Authenticators[0].Secret...)
	if v, err := m.Check(t.Context(), a); err == nil || v.OK {
		t.Error("a damaged credential was answered from memory")
	}
}
