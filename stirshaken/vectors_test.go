package stirshaken

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// rfc8224Key is the public key that the example token of RFC 8224, section 4,
// verifies with.
const rfc8224Key = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH
78YTU8qLS8I5HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END PUBLIC KEY-----`

func rfcKey(t *testing.T, text string) *ecdsa.PublicKey {
	t.Helper()
	b, _ := pem.Decode([]byte(text))
	k, err := x509.ParsePKIXPublicKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*ecdsa.PublicKey)
}

const rfcX5U = "https://cert.example.org/passport.cer"

// TestRFC8225AppendixA: the published PASSporT parses, and our own canonical
// bytes are the published ones. Its signature is not checked, since the key at
// hand, which verifies the example of RFC 8224, did not make it.
func TestRFC8225AppendixA(t *testing.T) {
	token := "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9j" +
		"ZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9." +
		"eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI" +
		"6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19." +
		"VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkb" +
		"a7UWYRM47ZbNFdOJquE35cw"
	p, r := ParsePASSporT(Identity{Token: token, Info: rfcX5U})
	if r != nil {
		t.Fatal(r)
	}
	if p.Orig.TN != "12155551212" || len(p.Dest) != 1 || p.Dest[0].URI != "sip:alice@example.com" || p.Iat.Unix() != 1471375418 {
		t.Errorf("%+v", p)
	}
	head := encode64(joseHeader("", rfcX5U))
	body := encode64(claimSet{dest: p.Dest, iat: p.Iat.Unix(), orig: p.Orig}.bytes())
	if got := head + "." + body; got != p.signed {
		t.Errorf("canonical form %s, want %s", got, p.signed)
	}
}

// TestRFC8224Example: the token of RFC 8224, section 4, has iat as a string,
// an erratum that no verifier may follow.
func TestRFC8224Example(t *testing.T) {
	token := "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9j" +
		"ZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9." +
		"eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI" +
		"6IjE0NDMyMDgzNDUiLCJvcmlnIjp7InRuIjoiMTIxNTU1NTEyMTIifX0." +
		"rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojN" +
		"CpTzO3QfPOlckGaS6hEck7w"
	id, r := ParseIdentity(token + ";info=<" + rfcX5U + ">")
	if r != nil {
		t.Fatal(r)
	}
	if _, r := ParsePASSporT(id); r == nil || r.Reason != ReasonIat {
		t.Errorf("have %v, want %s", r, ReasonIat)
	}
	// The signature itself is over these bytes.
	p := &PASSporT{signed: token[:strings.LastIndexByte(token, '.')]}
	if r := p.signature(token[strings.LastIndexByte(token, '.')+1:]); r != nil || !p.verify(rfcKey(t, rfc8224Key)) {
		t.Error("the published signature does not verify")
	}
}

// TestRFC8588Example reads the header and claims of RFC 8588, section 6.
func TestRFC8588Example(t *testing.T) {
	header := `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}`
	claims := `{"attest":"A","dest":{"tn":["12125551213"]},"iat":1443208345,"orig":{"tn":"12155551212"},"origid":"123e4567-e89b-12d3-a456-426655440000"}`
	sig := strings.Repeat("AQEB", 21) + "AQ"
	p, r := ParsePASSporT(Identity{Token: encode64([]byte(header)) + "." + encode64([]byte(claims)) + "." + sig, Info: rfcX5U, PPT: "shaken"})
	if r != nil {
		t.Fatal(r)
	}
	if p.Attest != ringfence.AttestFull || p.Orig.TN != "12155551212" || p.Dest[0].TN != "12125551213" {
		t.Errorf("%+v", p)
	}
	if got := string(joseHeader("shaken", rfcX5U)); got != header {
		t.Errorf("our header %s", got)
	}
	ours := claimSet{attest: "A", dest: p.Dest, iat: 1443208345, orig: p.Orig, origid: p.OrigID}
	if got := string(ours.bytes()); got != claims {
		t.Errorf("our claims %s", got)
	}
}

// TestRFC8946Example reads the claims of RFC 8946, section 3, and writes them
// again.
func TestRFC8946Example(t *testing.T) {
	claims := `{"dest":{"tn":["12155551214"]},"div":{"tn":"12155551213"},"iat":1443208345,"orig":{"tn":"12155551212"}}`
	d, why := parseJSON(claims, nil)
	if why != "" {
		t.Fatal(why)
	}
	p := PASSporT{PPT: PPTDiv, claims: d}
	if r := p.readClaims(); r != nil {
		t.Fatal(r)
	}
	if p.Div.TN != "12155551213" {
		t.Errorf("%+v", p)
	}
	if got := string(claimSet{dest: p.Dest, div: p.Div, iat: 1443208345, orig: p.Orig}.bytes()); got != claims {
		t.Error(got)
	}
	// With a History-Info index, as the same section allows.
	d, _ = parseJSON(strings.Replace(claims, `"12155551213"}`, `"12155551213","hi":"1.2"}`, 1), nil)
	if p = (PASSporT{PPT: PPTDiv, claims: d}); p.readClaims() != nil {
		t.Error("hi refused")
	}
}

// TestRFC8226Choices writes and reads each choice of TNAuthList with the
// bytes that the module's EXPLICIT tags demand (RFC 8226, section 9).
func TestRFC8226Choices(t *testing.T) {
	for _, k := range []struct {
		name string
		have Scope
		der  string
	}{
		{"spc", Scope{SPCs: []string{"1234"}}, "\x30\x08\xa0\x06\x16\x041234"},
		{"one", Scope{Numbers: []ringfence.TN{"12155551212"}}, "\x30\x0f\xa2\x0d\x16\x0b12155551212"},
		{"range", Scope{Ranges: []NumberRange{{"12155551212", 10}}}, "\x30\x14\xa1\x12\x30\x10\x16\x0b12155551212\x02\x01\x0a"},
	} {
		if got := string(k.have.Marshal()); got != k.der {
			t.Errorf("%s: %x, want %x", k.name, got, k.der)
		}
		got, r := ParseTNAuthList([]byte(k.der))
		if r != nil || got.String() != k.have.String() {
			t.Errorf("%s: %v %v", k.name, got, r)
		}
	}
}
