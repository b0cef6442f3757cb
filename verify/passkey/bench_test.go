package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

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
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
			b.Fatal("wrong")
		}
	}
}

// BenchmarkCheck is Method.Check whole: JSON, client data, authenticator data,
// key, signature, the new record.
func BenchmarkCheck(b *testing.B) {
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
	u, err = owner("sub_1", "", list)
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
	for b.Loop() {
		if v, err := m.Check(b.Context(), a); err != nil || !v.OK {
			b.Fatal(v, err)
		}
	}
}
