package stirshaken

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence"
)

// FuzzIdentity: a header that is accepted, written anew in its plainest form,
// reads the same.
func FuzzIdentity(f *testing.F) {
	f.Add(`a.b.c;info=<https://x/y>;alg=ES256;ppt="shaken"`)
	f.Add(" a.b.c\r\n ; INFO = <https://x> ;ppt=div;x=\"a\\\"b\";y")
	f.Add(";info=<>")
	f.Fuzz(func(t *testing.T, value string) {
		id, r := ParseIdentity(value)
		if r != nil {
			if r.Reason.Code() < 400 || len(r.Detail) > 400 {
				t.Fatalf("%q: %+v", value, r)
			}
			return
		}
		if strings.ContainsAny(id.Token+id.Info, "\x00\r\n <>") {
			t.Fatalf("%q lets a separator through: %+v", value, id)
		}
		plain := id.Token + ";info=<" + id.Info + ">"
		for name, v := range map[string]string{"alg": id.Alg, "ppt": id.PPT} {
			if v != "" {
				plain += ";" + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
			}
		}
		again, r := ParseIdentity(plain)
		if again.Extra = id.Extra; len(plain) <= MaxIdentityBytes && (r != nil || again != id) {
			t.Fatalf("%q reads %+v, then %+v (%v)", value, id, again, r)
		}
	})
}

// FuzzJSON: what is accepted is valid for encoding/json too, its canonical
// form reads the same, and no object has two equal names.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":[1,-2.5e3,"\ud83d\ude00",null,true],"b":{}}`)
	f.Add(`{"attest":"C","ATTEST":"A"}`)
	f.Add(`"\u0000"`)
	f.Fuzz(func(t *testing.T, src string) {
		d, why := parseJSON(src, nil)
		if why != "" {
			return
		}
		if !json.Valid([]byte(src)) || !utf8.ValidString(src) {
			t.Fatalf("%q accepted", src)
		}
		canon := d.canonical(nil, 0)
		again, why := parseJSON(string(canon), nil)
		if why != "" || !bytes.Equal(again.canonical(nil, 0), canon) {
			t.Fatalf("%q is not stable: %q (%s)", src, canon, why)
		}
		var a, b any
		if json.Unmarshal([]byte(src), &a) != nil || json.Unmarshal(canon, &b) != nil {
			return // numbers beyond float64
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q and its canonical form %q differ", src, canon)
		}
	})
}

// FuzzPASSporT: no two readings. Claims that are accepted, signed, verify;
// with any one bit flipped they do not; and what was read, written by our own
// signer's code, reads the same again.
func FuzzPASSporT(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	const header = `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://x/y"}`
	f.Add([]byte(`{"attest":"A","dest":{"tn":["1"]},"iat":1443208345,"orig":{"tn":"2"},"origid":"123e4567-e89b-12d3-a456-426655440000"}`), "shaken", uint16(3))
	f.Add([]byte(`{"dest":{"uri":["sip:a@b"]},"div":{"tn":"3","hi":"1"},"iat":1.5e9,"orig":{"tn":"2"}}`), "div", uint16(700))
	f.Add([]byte(`{"crn":"x","dest":{"tn":["1"]},"iat":1,"orig":{"uri":"sip:A@B"},"rcd":{"nam":"\u00e9","jcd":[]},"rcdi":{"/jcd":"sha256-x"}}`), "rcd", uint16(9))
	f.Fuzz(func(t *testing.T, claims []byte, ppt string, bit uint16) {
		if !known(ppt) || len(claims) > 4096 {
			return
		}
		in := encode64([]byte(strings.Replace(header, "shaken", ppt, 1))) + "." + encode64(claims)
		digest := sha256.Sum256([]byte(in))
		der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		var raw [64]byte
		if !rawSignature(&raw, der) {
			t.Fatal("signature")
		}
		id := Identity{Token: in + "." + encode64(raw[:]), Info: "https://x/y", PPT: ppt}
		p, r := ParsePASSporT(id)
		if r != nil {
			return
		}
		if !p.verify(&key.PublicKey) {
			t.Fatal("does not verify")
		}
		flipped := []byte(id.Token)
		i := int(bit) % (len(flipped) * 7)
		flipped[i/7] ^= 1 << (i % 7)
		if q, r := ParsePASSporT(Identity{Token: string(flipped), Info: id.Info, PPT: ppt}); r == nil && q.verify(&key.PublicKey) {
			t.Fatalf("bit %d flipped and still verifies", i)
		}
		again := claimSet{attest: p.Attest, dest: p.Dest, iat: p.Iat.Unix(), orig: p.Orig, origid: p.OrigID, div: p.Div, name: p.Name, crn: p.CRN}
		q := PASSporT{PPT: ppt}
		var why string
		if q.claims, why = parseJSON(string(again.bytes()), nil); why != "" {
			t.Fatalf("written %s: %s", again.bytes(), why)
		}
		if ppt == PPTRCD && p.Name == "" {
			return // an empty name is not written
		}
		if r := q.readClaims(); r != nil {
			t.Fatalf("written %s: %s", again.bytes(), r)
		}
		if q.Attest != p.Attest || q.Orig != p.Orig || q.Div != p.Div || q.OrigID != p.OrigID || !q.Iat.Equal(p.Iat) || len(q.Dest) != len(p.Dest) || q.CRN != p.CRN {
			t.Fatalf("read %+v, written and read %+v", p, q)
		}
		Inspect(id.Token+";info=<https://x/y>;ppt="+ppt, p.Iat)
	})
}

// FuzzTNAuthList: what is accepted is written back to the same entries, and
// covers its own numbers.
func FuzzTNAuthList(f *testing.F) {
	f.Add(Scope{SPCs: []string{"1234"}, Numbers: []ringfence.TN{"12155551212"}, Ranges: []NumberRange{{"12155551000", 1000}}}.Marshal())
	f.Add([]byte{0x30, 0x00})
	f.Add([]byte{0x30, 0x14, 0xa1, 0x12, 0x30, 0x10, 0x16, 0x0b, '1', '2', '1', '5', '5', '5', '5', '1', '2', '1', '2', 0x02, 0x01, 0x0a})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, r := ParseTNAuthList(b)
		if r != nil {
			if r.Reason != ReasonTNAuthList {
				t.Fatal(r)
			}
			return
		}
		out := s.Marshal()
		again, r := ParseTNAuthList(out)
		if r != nil || !bytes.Equal(again.Marshal(), out) {
			t.Fatalf("%x became %x: %v", b, out, r)
		}
		if !s.Within(s) {
			t.Fatalf("%x is not within itself", b)
		}
		for _, n := range s.Numbers {
			if _, ok := s.Covers(n); !ok {
				t.Fatalf("does not cover %q", n)
			}
		}
		for _, one := range s.Ranges {
			first, last, digits, ok := one.bounds()
			if !ok || last < first || digits != len(one.Start) {
				t.Fatalf("range %+v: %d to %d", one, first, last)
			}
			if !one.contains(one.Start) || one.contains(one.Start+"0") {
				t.Fatalf("range %+v", one)
			}
		}
	})
}

// FuzzConstraints: what is accepted is written back to the same bytes.
func FuzzConstraints(f *testing.F) {
	f.Add(Constraints{MustInclude: []string{"rcd"}, Permitted: []PermittedValues{{"attest", []string{"B"}}}, MustExclude: []string{"crn"}}.Marshal(), true)
	f.Add([]byte{0x30, 0x00}, false)
	p := PASSporT{}
	p.claims, _ = parseJSON(`{"attest":"A","orig":{"tn":"1"},"x":[1]}`, nil)
	f.Fuzz(func(t *testing.T, b []byte, enhanced bool) {
		c, r := ParseConstraints(b, enhanced)
		if r != nil {
			if r.Reason != ReasonConstraintForm {
				t.Fatal(r)
			}
			return
		}
		if !bytes.Equal(c.Marshal(), b) {
			t.Fatalf("%x became %x", b, c.Marshal())
		}
		if c.MustExclude != nil && !enhanced {
			t.Fatal("mustExclude in the plain extension")
		}
		c.Check(&p)
	})
}

// FuzzCRL: a list that is not the signer's is never accepted, and none makes
// the parser panic.
func FuzzCRL(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		f.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.AddDate(0, 1, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: now}}}, cert, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list)
	f.Add(list[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, r := ParseCRL(b, []*x509.Certificate{cert}, now)
		if (c == nil) == (r == nil) {
			t.Fatal("neither or both")
		}
		if r == nil && !bytes.Equal(b, list) {
			t.Fatal("a changed list was accepted")
		}
	})
}

// FuzzAddress: stripping and writing verstat leaves no second verstat, and a
// number is canonical once read.
func FuzzAddress(f *testing.F) {
	f.Add(`"A" <sip:+1215;verstat=x@a;user=phone>;tag=1`)
	f.Add("tel:+1-215;phone-context=+1")
	f.Fuzz(func(t *testing.T, field string) {
		a, ok := Home{Country: "44", Trunk: "0"}.parseAddress(field)
		if ok && a.party.TN != "" && !canonicalTN(string(a.party.TN)) {
			t.Fatalf("%q gave %q", field, a.party.TN)
		}
		if ok && a.party.Zero() {
			t.Fatalf("%q is nobody", field)
		}
		plain := StripVerstat(field)
		if StripVerstat(plain) != plain {
			t.Fatalf("%q: %q can be stripped again", field, plain)
		}
		v := Verdict{Status: StatusVerified, Attest: "A", Reason: ReasonValid}
		if w := v.WriteVerstat(field); StripVerstat(w) == w && w != plain {
			t.Fatalf("%q: %q", field, w)
		}
		splitAddresses(field)
	})
}
