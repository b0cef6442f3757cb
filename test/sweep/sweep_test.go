package sweep

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	code = "482137"
	seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

func sweeper(t *testing.T, secrets ...Secret) *Sweeper {
	t.Helper()
	s, err := New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wide is text in UTF-16 with its low octet first.
func wide(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

// Each line is a way in which a program could let a secret slip.
func TestEveryLeakIsFound(t *testing.T) {
	logged := func(v any) string {
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		return b.String()
	}
	for _, secret := range []string{code, seed, "a secret/with+signs=&\"quotes\""} {
		s := sweeper(t, Secret{Name: "secret", Value: []byte(secret)})
		quoted, _ := json.Marshal(secret)
		sum := sha256.Sum256([]byte(secret))
		leaks := map[string]string{
			"bare":             secret,
			"in a sentence":    "the code is " + secret + ".",
			"a JSON text":      `{"v":` + string(quoted) + `}`,
			"a log line":       logged(secret),
			"bytes in a log":   logged([]byte(secret)),
			"a struct's bytes": logged(struct{ A, Value []byte }{[]byte("ab"), []byte(secret)}),
			"a form":           url.Values{"a": {"1"}, "code": {secret}}.Encode(),
			"a path":           "GET /l/" + url.PathEscape(secret) + "/x",
			"basic":            "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)),
			"hex":              "x=" + hex.EncodeToString([]byte(secret)) + ";",
			"upper hex":        strings.ToUpper(hex.EncodeToString([]byte("ab" + secret))),
			"a hex dump":       fmt.Sprintf("% x", secret),
			"a slice":          fmt.Sprint([]byte(secret)),
			"reversed":         reversed(secret),
			"spaced":           strings.Join(strings.Split(secret, ""), " "),
			"a list":           strings.Join(strings.Split(secret, ""), ", "),
			"UTF-16":           wide(secret),
			"packed":           "head" + zipped("log: "+secret+"\n"),
		}
		for shift := range 3 {
			leaks[fmt.Sprint("base64 after ", shift)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", shift) + secret + "!?"))
			leaks[fmt.Sprint("base64url after ", shift)] = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(".", shift) + secret))
		}
		if secret == code {
			leaks["number"] = `{"code":482137}`
			leaks["in words"] = "press four eight two one three seven"
			leaks["its hash"] = hex.EncodeToString(sum[:])
			leaks["quoted apart"] = `["4","8","2","1","3","7"]`
		}
		for how, text := range leaks {
			if len(s.Find(Place{Name: "here", Data: []byte(text)})) != 1 {
				t.Errorf("%s of %s is missed: %q", how, secret, text)
			}
		}
	}
}

// What only looks like a code is no leak: a false alarm would teach people to
// ignore it.
func TestChanceIsNoLeak(t *testing.T) {
	s := sweeper(t, Secret{Name: "code", Value: []byte(code)})
	for _, text := range []string{
		"2026-11-22T10:00:00.482137Z", "2026-11-22T10:00:00.000482137Z", `{"seconds":12.482137}`, "1482137000", "4821370",
		"d2482137a9e1f0b3c4d5e6f7a8b9c0d1", "rel_0123482137abcdefghjkmnpqrs",
		"eyJhbGciOiJFZERTQSJ9e482137eyJhbGciOiJFZERTQSJ9",
	} {
		if hits := s.Find(Place{Name: "here", Data: []byte(text)}); len(hits) != 0 {
			t.Errorf("%q: %v", text, hits)
		}
	}
	random := make([]byte, 1<<20)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string]string{"raw": string(random), "hex": hex.EncodeToString(random), "base64": base64.StdEncoding.EncodeToString(random)} {
		if hits := s.Find(Place{Name: "here", Data: []byte(text)}); len(hits) != 0 {
			t.Errorf("random octets as %s: %v", how, hits)
		}
	}
}

func TestShortSecretsCountTogether(t *testing.T) {
	short := func(digits string) Secret {
		return Secret{Name: "carry code " + digits, Value: []byte(digits), Group: "carry"}
	}
	s := sweeper(t, short("4821"), short("9034"), short("7716"))
	if hits := s.Find(Place{Data: []byte("port 4821, 9034 ms")}); len(hits) != 0 {
		t.Errorf("two of three: %v", hits)
	}
	if hits := s.Find(Place{Data: []byte("code 4821, then 9034, then 7 7 1 6")}); len(hits) != 3 {
		t.Errorf("all of them: %v", hits)
	}
}

func TestWhereASecretMayStand(t *testing.T) {
	s := sweeper(t, Secret{Name: "number", Value: []byte("7700900123"), At: []string{"the carrier"}})
	text := []byte("INVITE sip:7700900123@carrier")
	if len(s.Find(Place{"the carrier", text})) != 0 || len(s.Find(Place{"the log", text})) != 1 {
		t.Error("a place that is named counts, or another one does not")
	}
}

func TestWhatWasNotPlantedIsRefused(t *testing.T) {
	for name, secrets := range map[string][]Secret{
		"empty":           {{Name: "x"}},
		"short and alone": {{Name: "x", Value: []byte("1234")}},
		"a group of two":  {{Name: "x", Value: []byte("1234"), Group: "g"}, {Name: "y", Value: []byte("4321"), Group: "g"}},
	} {
		if _, err := New(secrets...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestANumberInItsGroups(t *testing.T) {
	s := sweeper(t, Number("number", "7700900123")...)
	for _, text := range []string{"+447700900123", "tel:+44-7700900123", "07700 900123", "7700 900 123", "7 7 0 0 9 0 0 1 2 3"} {
		if hits := s.Find(Place{Data: []byte(text)}); len(hits) != 1 {
			t.Errorf("%q: %v", text, hits)
		}
	}
}

// Keys are found in loud, faint, companded and noisy audio, and in a slip of
// 40 ms; speech of random loudness is no key.
func TestKeys(t *testing.T) {
	clean := Tones(code)
	scaled := func(by float64) (out []int16) {
		for _, v := range clean {
			out = append(out, int16(float64(v)*by))
		}
		return out
	}
	noisy := slices.Clone(clean)
	rnd := mrand.New(mrand.NewPCG(1, 2))
	for i := range noisy {
		noisy[i] = noisy[i]/2 + int16(rnd.IntN(3000)-1500)
	}
	for name, pcm := range map[string][]int16{"clean": clean, "faint": scaled(0.02), "noisy": noisy} {
		if got := Keys(pcm); got != code {
			t.Errorf("%s: heard %q", name, got)
		}
	}
	for _, key := range "0123456789*#" {
		for n := 4; n <= 320; n += 4 { // what slips through before or after a cut
			slip := slices.Concat(make([]int16, 333), Tones(string(key))[:n], make([]int16, 333))
			if got := Keys(slip); got != string(key) && (got != "" || n >= 160) {
				t.Errorf("%d samples of %c: %q", n, key, got)
			}
		}
	}
	noise := make([]int16, 8*rate)
	for i := range noise {
		noise[i] = int16(rnd.IntN(20000) - 10000)
	}
	if got := Keys(noise); got != "" {
		t.Errorf("noise: %q", got)
	}
}
