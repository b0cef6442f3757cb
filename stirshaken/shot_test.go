package stirshaken_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// shot is one request made by hand, so that every byte of it can be wrong.
type shot struct {
	header, claims string // JSON
	params         string
	token          string // in place of header and claims
	identity       string // in place of everything
	lead, trail    []string
	req            stirshaken.Request
	key            *ecdsa.PrivateKey
	forge          func(sig []byte) []byte
	now            time.Time
	peer           stirshaken.Peer
}

const (
	uuid       = "123e4567-e89b-12d3-a456-426655440000"
	goodHeader = `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"` + x5u + `"}`
	goodParams = `;info=<` + x5u + `>;alg=ES256;ppt="shaken"`
)

func goodClaims() string {
	return `{"attest":"A","dest":{"tn":["` + callee + `"]},"iat":` + strconv.FormatInt(now.Unix(), 10) +
		`,"orig":{"tn":"` + caller + `"},"origid":"` + uuid + `"}`
}

func newShot(b *bench) *shot {
	return &shot{header: goodHeader, claims: goodClaims(), params: goodParams, req: request(), key: b.leaf.Key, now: now}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signToken signs header and claims as they are.
func signToken(t testing.TB, key *ecdsa.PrivateKey, header, claims string, forge func([]byte) []byte) string {
	t.Helper()
	in := b64(header) + "." + b64(claims)
	digest := sha256.Sum256([]byte(in))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	n := (key.Curve.Params().BitSize + 7) / 8
	sig := make([]byte, 2*n)
	r.FillBytes(sig[:n])
	s.FillBytes(sig[n:])
	if forge != nil {
		sig = forge(sig)
	}
	return in + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (s *shot) fire(t testing.TB, b *bench) stirshaken.Verdict {
	t.Helper()
	if s.token == "" {
		s.token = signToken(t, s.key, s.header, s.claims, s.forge)
	}
	if s.identity == "" {
		s.identity = s.token + s.params
	}
	s.req.Identity = append(append(append([]string{}, s.lead...), s.identity), s.trail...)
	if s.identity == "none" {
		s.req.Identity = nil
	}
	return b.v.Verify(context.Background(), s.req, s.peer, s.now)
}

// in replaces old by new in the claims; the test is wrong if old is not there.
func (s *shot) in(old, new string) {
	if !strings.Contains(s.claims, old) {
		panic("no " + old + " in " + s.claims)
	}
	s.claims = strings.Replace(s.claims, old, new, 1)
}

func (s *shot) head(old, new string) {
	if !strings.Contains(s.header, old) {
		panic("no " + old + " in " + s.header)
	}
	s.header = strings.Replace(s.header, old, new, 1)
}

func (s *shot) iat(d time.Duration) {
	s.in(strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(now.Add(d).Unix(), 10))
}

// kase is one row: valid when want is ReasonValid.
type kase struct {
	name   string
	want   stirshaken.Reason
	config stirshaken.Config
	leaf   stirtest.Options
	do     func(b *bench, s *shot)
}

func runCases(t *testing.T, cases []kase) {
	t.Helper()
	seen := map[string]bool{}
	for _, k := range cases {
		if seen[k.name] {
			t.Errorf("case %q twice", k.name)
		}
		seen[k.name] = true
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, k.config, k.leaf)
			s := newShot(b)
			if k.do != nil {
				k.do(b, s)
			}
			v := s.fire(t, b)
			if v.Reason != k.want {
				t.Errorf("have %s (%s), want %s\nidentity %s", v.Reason, v.Detail, k.want, s.identity)
			}
			checkVerdict(t, v)
		})
	}
}

// checkVerdict holds every verdict against what must be true of all.
func checkVerdict(t testing.TB, v stirshaken.Verdict) {
	t.Helper()
	good := v.Reason == stirshaken.ReasonValid || v.Reason == stirshaken.ReasonVerstatPassed
	if v.Verified() != good {
		t.Errorf("status %s with reason %s", v.Status, v.Reason)
	}
	if !good && v.Attest != "" {
		t.Errorf("refused (%s) and yet attested %s", v.Reason, v.Attest)
	}
	if code, phrase := v.Response(); (code == 0) != good || code != 0 && (phrase == "" || code != v.Code) {
		t.Errorf("%s: response %d %q, code %d", v.Reason, code, phrase, v.Code)
	}
	if !good && v.Tri().String() == "yes" {
		t.Errorf("%s reads as yes", v.Reason)
	}
	if !strings.HasSuffix(v.Sentence(), ".") || strings.Contains(v.Sentence(), caller) {
		t.Errorf("sentence %q", v.Sentence())
	}
	for _, h := range v.ReasonHeaders() {
		if strings.ContainsAny(h, "\r\n") || !strings.HasPrefix(h, "STIR;cause=4") && !strings.HasPrefix(h, "STIR;cause=503") {
			t.Errorf("Reason: %q", h)
		}
	}
	for _, h := range v.Headers {
		if h.Status == "" || h.Reason == "" {
			t.Errorf("header %d has no verdict", h.Index)
		}
		if len(h.Detail) > 400 || strings.Contains(h.Detail, caller) {
			t.Errorf("detail %q", h.Detail)
		}
	}
}

// highS turns s into n-s: as valid as the other.
func highS(sig []byte) []byte {
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	s := new(big.Int).SetBytes(sig[32:])
	out := append([]byte{}, sig...)
	s.Sub(n, s).FillBytes(out[32:])
	return out
}
