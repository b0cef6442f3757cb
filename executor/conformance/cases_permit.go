package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// badPermit makes a case of a permit that must not be redeemed.
func badPermit(name, what string, spoil func(k *Kit, r *release)) testCase {
	return testCase{name, what, nothing, func(ctx context.Context, k *Kit) error {
		r := k.good()
		spoil(k, r)
		if err := k.offer(ctx, r); err != nil {
			return err
		}
		if err := k.wait(ctx, "a request for the permit", func() bool { return r.seen().pulls > 0 }); err != nil {
			return err
		}
		if err := k.nothingDone(ctx, r); err != nil {
			return err
		}
		if len(r.seen().redeems) > 0 {
			return errors.New("it redeems a permit that it should not have believed")
		}
		return nil
	}}
}

func permitCases() []testCase {
	stranger := newSigner()
	other := ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease)
	claim := func(name string, value any) func(*Kit, *release) {
		return func(_ *Kit, r *release) { r.claims[name] = value }
	}
	life := func(from, to time.Duration) func(*Kit, *release) {
		return func(_ *Kit, r *release) {
			r.claims["iat"], r.claims["exp"] = time.Now().Add(from).Unix(), time.Now().Add(to).Unix()
		}
	}
	return []testCase{
		badPermit("wrong audience", "leaves the permit of another executor alone", claim("aud", "another-executor")),
		badPermit("wrong issuer", "leaves the permit of another ringfence alone", claim("iss", "another-ringfence")),
		badPermit("wrong tenant", "leaves the permit of another tenant alone", claim("tenant", "ten_00000000000000000000000000")),
		badPermit("another release", "wants the permit of the release that it asked for", claim("sub", other)),
		badPermit("expired", "lets an expired permit go", life(-3*time.Minute, -2*time.Minute)),
		badPermit("of the future", "does not believe a permit that is issued ten minutes from now", life(10*time.Minute, 11*time.Minute)),
		badPermit("too long a life", "does not believe a permit that is good for an hour", life(0, time.Hour)),
		badPermit("wrong key", "refuses a signature by another key under the published kid", func(k *Kit, r *release) {
			forged := signer{key: stranger.key, kid: k.gate.signer.kid}
			r.sign = func(c []byte) string { return forged.jws(c, nil) }
		}),
		badPermit("unknown kid", "refuses a key that is not published", func(_ *Kit, r *release) {
			r.sign = func(c []byte) string { return stranger.jws(c, nil) }
		}),
		badPermit("key of its own", "does not take the key from the permit itself", func(_ *Kit, r *release) {
			r.sign = func(c []byte) string {
				return stranger.jws(c, map[jose.HeaderKey]any{"jwk": stranger.public()})
			}
		}),
		badPermit("no signature", "refuses alg none", func(_ *Kit, r *release) {
			r.sign = func(c []byte) string {
				return b64(`{"alg":"none","typ":"ringfence-permit+jwt"}`) + "." + b64(string(c)) + "."
			}
		}),
		badPermit("public key as password", "refuses HS256 over the published key", func(k *Kit, r *release) {
			pub := k.gate.signer.public().Key
			r.sign = func(c []byte) string {
				return signWith(jose.SigningKey{Algorithm: jose.HS256, Key: keyBytes(pub)}, c, map[jose.HeaderKey]any{"kid": k.gate.signer.kid})
			}
		}),
		badPermit("another type of token", "wants typ ringfence-permit+jwt", func(k *Kit, r *release) {
			r.sign = func(c []byte) string {
				return k.gate.signer.jws(c, map[jose.HeaderKey]any{jose.HeaderType: "JWT"})
			}
		}),
		badPermit("altered permit", "refuses claims that were changed after they were signed", func(k *Kit, r *release) {
			r.sign = func(c []byte) string {
				part := strings.Split(k.gate.signer.jws([]byte(`{}`), nil), ".")
				return part[0] + "." + base64.RawURLEncoding.EncodeToString(c) + "." + part[2]
			}
		}),
		badPermit("no permit at all", "survives an answer that is no token", func(_ *Kit, r *release) {
			r.sign = func([]byte) string { return "…" }
		}),
		badPermit("oversize permit", "refuses a permit of 100 KiB", func(_ *Kit, r *release) {
			r.claims["ledger_head"] = strings.Repeat("x", 100<<10)
		}),
		badPermit("endless answer", "does not read 64 MiB of answer", func(_ *Kit, r *release) {
			r.pull = func(w http.ResponseWriter) bool { flood(w); return true }
		}),
		{"small clock skew", "takes a permit that was issued five seconds from now by its clock", nothing, func(ctx context.Context, k *Kit) error {
			r := k.good()
			life(5*time.Second, time.Minute)(k, r)
			if err := k.offer(ctx, r); err != nil {
				return err
			}
			return k.done(ctx, r, executor.Executed)
		}},
	}
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// flood answers more than anybody should read.
func flood(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	block := []byte(strings.Repeat(" ", 64<<10))
	for range 1024 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}
