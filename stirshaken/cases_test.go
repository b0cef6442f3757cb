package stirshaken_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

type (
	conf = stirshaken.Config
	opts = stirtest.Options
)

func TestHeaderSyntax(t *testing.T) {
	par := func(p string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.params = p } }
	whole := func(v string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.identity = v } }
	const info = `;info=<` + x5u + `>`
	runCases(t, []kase{
		{name: "no header", want: stirshaken.ReasonNoIdentity, do: whole("none")},
		{name: "empty value", want: stirshaken.ReasonHeaderSyntax, do: whole(" ")},
		{name: "no parameters", want: stirshaken.ReasonInfoMissing, do: par("")},
		{name: "no info", want: stirshaken.ReasonInfoMissing, do: par(`;alg=ES256;ppt="shaken"`)},
		{name: "info without brackets", want: stirshaken.ReasonInfoSyntax, do: par(`;info=` + x5u + `;alg=ES256;ppt="shaken"`)},
		{name: "info quoted", want: stirshaken.ReasonInfoSyntax, do: par(`;info="` + x5u + `";ppt="shaken"`)},
		{name: "info empty", want: stirshaken.ReasonInfoSyntax, do: par(`;info=<>;ppt="shaken"`)},
		{name: "info not closed", want: stirshaken.ReasonInfoSyntax, do: par(`;ppt="shaken";info=<` + x5u)},
		{name: "info without value", want: stirshaken.ReasonInfoSyntax, do: par(`;info;ppt="shaken"`)},
		{name: "info with a blank", want: stirshaken.ReasonInfoSyntax, do: par(`;info=<https://a b/>;ppt="shaken"`)},
		{name: "info too long", want: stirshaken.ReasonInfoSyntax, do: par(`;info=<https://` + strings.Repeat("a", 3000) + `>;ppt="shaken"`)},
		{name: "info twice", want: stirshaken.ReasonDuplicateParam, do: par(info + info + `;ppt="shaken"`)},
		{name: "ppt twice", want: stirshaken.ReasonDuplicateParam, do: par(info + `;ppt="shaken";ppt="shaken"`)},
		{name: "alg twice in other case", want: stirshaken.ReasonDuplicateParam, do: par(info + `;alg=ES256;ALG=ES256;ppt="shaken"`)},
		{name: "alg none", want: stirshaken.ReasonAlgParam, do: par(info + `;alg=none;ppt="shaken"`)},
		{name: "alg HS256", want: stirshaken.ReasonAlgParam, do: par(info + `;alg=HS256;ppt="shaken"`)},
		{name: "alg empty", want: stirshaken.ReasonAlgParam, do: par(info + `;alg="";ppt="shaken"`)},
		{name: "ppt empty", want: stirshaken.ReasonHeaderSyntax, do: par(info + `;ppt=""`)},
		{name: "parameter without name", want: stirshaken.ReasonHeaderSyntax, do: par(info + `;="x"`)},
		{name: "value missing", want: stirshaken.ReasonHeaderSyntax, do: par(info + `;ppt=`)},
		{name: "quote not closed", want: stirshaken.ReasonHeaderSyntax, do: par(info + `;ppt="shaken`)},
		{name: "trailing semicolon", want: stirshaken.ReasonHeaderSyntax, do: par(goodParams + `;`)},
		{name: "rubbish after value", want: stirshaken.ReasonHeaderSyntax, do: par(info + `;ppt="shaken"x`)},
		{name: "second header behind a comma", want: stirshaken.ReasonHeaderSyntax, do: func(_ *bench, s *shot) { s.params = goodParams + "," + "a.b.c" + goodParams }},
		{name: "token in quotes", want: stirshaken.ReasonHeaderSyntax, do: whole(`"a.b.c"` + goodParams)},
		{name: "blank inside the token", want: stirshaken.ReasonHeaderSyntax, do: whole(`aa. bb.cc` + goodParams)},
		{name: "fold inside the token", want: stirshaken.ReasonHeaderSyntax, do: whole("aa.\r\n bb.cc" + goodParams)},
		{name: "nul byte", want: stirshaken.ReasonControlByte, do: par(goodParams + "\x00")},
		{name: "bare line feed", want: stirshaken.ReasonControlByte, do: par("\n" + goodParams)},
		{name: "line break without blank", want: stirshaken.ReasonControlByte, do: par("\r\n" + goodParams)},
		{name: "byte outside ASCII", want: stirshaken.ReasonControlByte, do: par(goodParams + `;x="é"`)},
		{name: "17 KiB", want: stirshaken.ReasonHeaderTooLong, do: par(goodParams + `;x="` + strings.Repeat("a", 17<<10) + `"`)},
		{name: "eleven headers", want: stirshaken.ReasonTooManyHeaders, do: func(_ *bench, s *shot) { s.lead = make([]string, 10) }},

		{name: "folded", want: stirshaken.ReasonValid, do: par("\r\n ;info=<" + x5u + ">\r\n\t;alg=ES256\r\n ;ppt=\"shaken\"")},
		{name: "other order", want: stirshaken.ReasonValid, do: par(`;ppt="shaken";alg=ES256` + info)},
		{name: "other case of names", want: stirshaken.ReasonValid, do: par(`;INFO=<` + x5u + `>;Alg=ES256;Ppt="shaken"`)},
		{name: "blanks around", want: stirshaken.ReasonValid, do: par(` ; info = <` + x5u + `> ; alg = ES256 ; ppt = "shaken" `)},
		{name: "alg absent", want: stirshaken.ReasonValid, do: par(info + `;ppt="shaken"`)},
		{name: "ppt as a token", want: stirshaken.ReasonValid, do: par(info + `;alg=ES256;ppt=shaken`)},
		{name: "ppt with an escaped letter", want: stirshaken.ReasonValid, do: par(info + `;alg=ES256;ppt="sh\aken"`)},
		{name: "unknown parameters", want: stirshaken.ReasonValid, do: par(goodParams + `;canon=x;y="a;b";z`)},
	})
}

func TestTokenForm(t *testing.T) {
	token := func(f func(h, c, sig string) string) func(*bench, *shot) {
		return func(b *bench, s *shot) {
			p := strings.Split(signToken(t, s.key, s.header, s.claims, nil), ".")
			s.token = f(p[0], p[1], p[2])
		}
	}
	head := func(old, new string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.head(old, new) } }
	forge := func(f func([]byte) []byte) func(*bench, *shot) { return func(_ *bench, s *shot) { s.forge = f } }
	set := func(from, to int, v byte) func([]byte) []byte {
		return func(sig []byte) []byte {
			for i := from; i < to; i++ {
				sig[i] = v
			}
			return sig
		}
	}
	bad := func(reason stirshaken.Reason) stirshaken.Reason { return reason }
	runCases(t, []kase{
		{name: "one part", want: stirshaken.ReasonSegments, do: token(func(_, _, _ string) string { return "abc" })},
		{name: "two parts", want: stirshaken.ReasonSegments, do: token(func(h, c, _ string) string { return h + "." + c })},
		{name: "four parts", want: stirshaken.ReasonSegments, do: token(func(h, c, s string) string { return h + "." + c + "." + s + ".x" })},
		{name: "five parts, as in JWE", want: stirshaken.ReasonSegments, do: token(func(h, c, s string) string { return h + "." + c + "." + s + ".x.y" })},
		{name: "empty claims", want: stirshaken.ReasonSegments, do: token(func(h, _, s string) string { return h + ".." + s })},
		{name: "empty header", want: stirshaken.ReasonSegments, do: token(func(_, c, s string) string { return "." + c + "." + s })},
		{name: "padded header", want: stirshaken.ReasonBase64, do: token(func(h, c, s string) string { return h + "=." + c + "." + s })},
		{name: "plus in claims", want: stirshaken.ReasonBase64, do: token(func(h, c, s string) string { return h + "." + c[:4] + "+" + c[5:] + "." + s })},
		{name: "loose trailing bits", want: stirshaken.ReasonBase64, do: token(func(h, c, s string) string { return h + "." + c + "." + s[:85] + flip(s[85]) })},
		{name: "length of one modulo four", want: stirshaken.ReasonBase64, do: token(func(h, c, s string) string { return h[:len(h)-len(h)%4] + "A." + c + "." + s })},
		{name: "no signature", want: stirshaken.ReasonSignatureForm, do: token(func(h, c, _ string) string { return h + "." + c + "." })},
		{name: "signature in ASN.1", want: stirshaken.ReasonSignatureForm, do: token(func(h, c, s string) string { return h + "." + c + "." + s + "AAAAAAAA" })},
		{name: "r zero", want: stirshaken.ReasonSignatureForm, do: forge(set(0, 32, 0))},
		{name: "s zero", want: stirshaken.ReasonSignatureForm, do: forge(set(32, 64, 0))},
		{name: "r above the order", want: stirshaken.ReasonSignatureForm, do: forge(set(0, 32, 0xff))},
		{name: "s above the order", want: stirshaken.ReasonSignatureForm, do: forge(set(32, 64, 0xff))},
		{name: "flipped bit in s", want: stirshaken.ReasonSignature, do: forge(func(s []byte) []byte { s[50] ^= 1; return s })},
		{name: "flipped bit in r", want: stirshaken.ReasonSignature, do: forge(func(s []byte) []byte { s[7] ^= 1; return s })},
		{name: "high s", want: stirshaken.ReasonValid, do: forge(highS)},
		{name: "another key", want: stirshaken.ReasonSignature, do: func(b *bench, s *shot) { l, _ := b.ca.Leaf(opts{Name: "other"}); s.key = l.Key }},
		{name: "claims of another token", want: stirshaken.ReasonSignature, do: token(func(h, c, s string) string {
			return h + "." + b64(strings.Replace(goodClaims(), `"A"`, `"B"`, 1)) + "." + s
		})},

		{name: "alg none inside", want: stirshaken.ReasonAlg, do: head("ES256", "none")},
		{name: "alg HS256 inside", want: stirshaken.ReasonAlg, do: head("ES256", "HS256")},
		{name: "alg ES384 inside", want: stirshaken.ReasonAlg, do: head("ES256", "ES384")},
		{name: "alg in lower case", want: stirshaken.ReasonAlg, do: head("ES256", "es256")},
		{name: "alg a number", want: stirshaken.ReasonAlg, do: head(`"ES256"`, "256")},
		{name: "alg absent inside", want: stirshaken.ReasonAlg, do: head(`"alg":"ES256",`, "")},
		{name: "typ JWT", want: stirshaken.ReasonTyp, do: head("passport", "JWT")},
		{name: "typ absent", want: stirshaken.ReasonTyp, do: head(`"typ":"passport",`, "")},
		{name: "typ in upper case", want: stirshaken.ReasonTyp, do: head("passport", "PASSPORT")},
		{name: "ppt div inside", want: stirshaken.ReasonPPTMismatch, do: head("shaken", "div")},
		{name: "ppt absent inside", want: stirshaken.ReasonPPTMismatch, do: head(`"ppt":"shaken",`, "")},
		{name: "ppt null inside", want: stirshaken.ReasonPPTMismatch, do: head(`"shaken"`, "null")},
		{name: "ppt absent outside", want: stirshaken.ReasonPPTMismatch, do: func(_ *bench, s *shot) { s.params = `;info=<` + x5u + `>` }},
		{name: "crit", want: stirshaken.ReasonCrit, do: head("{", `{"crit":["exp"],`)},
		{name: "crit empty", want: stirshaken.ReasonCrit, do: head("{", `{"crit":[],`)},
		{name: "b64 false", want: stirshaken.ReasonB64, do: head("{", `{"b64":false,`)},
		{name: "x5u absent", want: stirshaken.ReasonX5UMissing, do: head(`,"x5u":"`+x5u+`"`, "")},
		{name: "x5u a list", want: stirshaken.ReasonX5UMissing, do: head(`"`+x5u+`"`, `["`+x5u+`"]`)},
		{name: "x5u another", want: stirshaken.ReasonX5UMismatch, do: head("1234.pem", "other.pem")},
		{name: "info another", want: stirshaken.ReasonX5UMismatch, do: func(_ *bench, s *shot) {
			s.params = strings.Replace(goodParams, "1234", "other", 1)
		}},
		{name: "jwk is no key", want: stirshaken.ReasonSignature, do: func(b *bench, s *shot) {
			l, _ := b.ca.Leaf(opts{Name: "other"})
			s.key = l.Key
			s.head("{", `{"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},`)
		}},
		{name: "x5c and kid are ignored", want: stirshaken.ReasonValid, do: head("{", `{"kid":"x","x5c":["AAAA"],`)},
		{name: "unknown header members are ignored", want: stirshaken.ReasonValid, do: head("{", `{"zzz":{"a":[1,2,{"b":null}]},`)},

		{name: "header not JSON", want: stirshaken.ReasonHeaderJSON, do: head("{", "(")},
		{name: "header an array", want: bad(stirshaken.ReasonHeaderJSON), do: func(_ *bench, s *shot) { s.header = `["ES256"]` }},
		{name: "header with trailing bytes", want: stirshaken.ReasonHeaderJSON, do: head("}", "}x")},
		{name: "header with alg twice", want: stirshaken.ReasonHeaderJSON, do: head("{", `{"alg":"ES256",`)},
		{name: "header with alg twice by escape", want: stirshaken.ReasonHeaderJSON, do: head("{", `{"\u0061lg":"none",`)},
		{name: "header with a byte order mark", want: stirshaken.ReasonHeaderJSON, do: head("{", "\ufeff{")},
	})
}

// flip changes the unused low bits of the last base64url character.
func flip(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

func TestClaims(t *testing.T) {
	in := func(old, new string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.in(old, new) } }
	iat := strconv.FormatInt(now.Unix(), 10)
	const dest, orig = `{"tn":["` + callee + `"]}`, `{"tn":"` + caller + `"}`
	runCases(t, []kase{
		{name: "claims not an object", want: stirshaken.ReasonClaimsJSON, do: func(_ *bench, s *shot) { s.claims = `"x"` }},
		{name: "claims empty object", want: stirshaken.ReasonIat, do: func(_ *bench, s *shot) { s.claims = `{}` }},
		{name: "trailing value", want: stirshaken.ReasonClaimsJSON, do: func(_ *bench, s *shot) { s.claims += `{}` }},
		{name: "attest twice", want: stirshaken.ReasonClaimsJSON, do: in(`{"attest"`, `{"attest":"C","attest"`)},
		{name: "tn twice in orig", want: stirshaken.ReasonClaimsJSON, do: in(orig, `{"tn":"1","tn":"`+caller+`"}`)},
		{name: "invalid UTF-8", want: stirshaken.ReasonClaimsJSON, do: in(`"A"`, "\"A\xff\"")},
		{name: "lone surrogate", want: stirshaken.ReasonClaimsJSON, do: in(`"A"`, `"\ud800"`)},
		{name: "control byte", want: stirshaken.ReasonClaimsJSON, do: in(`"A"`, "\"A\n\"")},
		{name: "unknown escape", want: stirshaken.ReasonClaimsJSON, do: in(`"A"`, `"\x41"`)},
		{name: "leading zero", want: stirshaken.ReasonClaimsJSON, do: in(iat, "0"+iat)},
		{name: "plus sign", want: stirshaken.ReasonClaimsJSON, do: in(iat, "+"+iat)},
		{name: "hexadecimal", want: stirshaken.ReasonClaimsJSON, do: in(iat, "0x10")},
		{name: "NaN", want: stirshaken.ReasonClaimsJSON, do: in(iat, "NaN")},
		{name: "comma at the end", want: stirshaken.ReasonClaimsJSON, do: in(`"origid":"`+uuid+`"`, `"origid":"`+uuid+`",`)},
		{name: "single quotes", want: stirshaken.ReasonClaimsJSON, do: in(`"A"`, `'A'`)},
		{name: "comment", want: stirshaken.ReasonClaimsJSON, do: in(`{`, `{/**/`)},
		{name: "nested too deep", want: stirshaken.ReasonClaimsJSON, do: in(`{`, `{"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`)},
		{name: "too many values", want: stirshaken.ReasonClaimsJSON, do: in(`{`, `{"x":[0`+strings.Repeat(",0", 1100)+`],`)},
		{name: "too many members", want: stirshaken.ReasonClaimsJSON, do: in(`{`, `{`+members(70))},

		{name: "iat absent", want: stirshaken.ReasonIat, do: in(`"iat":`+iat+`,`, ``)},
		{name: "iat a string", want: stirshaken.ReasonIat, do: in(iat, `"`+iat+`"`)},
		{name: "iat null", want: stirshaken.ReasonIat, do: in(iat, `null`)},
		{name: "iat negative", want: stirshaken.ReasonIat, do: in(iat, `-5`)},
		{name: "iat huge", want: stirshaken.ReasonIat, do: in(iat, `9223372036854775807`)},
		{name: "iat 1e400", want: stirshaken.ReasonIat, do: in(iat, `1e400`)},
		{name: "iat in milliseconds", want: stirshaken.ReasonIat, do: in(iat, iat+`000`)},
		{name: "iat with a fraction", want: stirshaken.ReasonValid, do: in(iat, iat+`.75`)},
		{name: "iat with an exponent", want: stirshaken.ReasonValid, do: in(iat, iat+`e0`)},
		{name: "iat zero", want: stirshaken.ReasonStale, do: in(iat, `0`)},

		{name: "orig absent", want: stirshaken.ReasonOrig, do: in(`"orig":`+orig+`,`, ``)},
		{name: "orig a string", want: stirshaken.ReasonOrig, do: in(orig, `"`+caller+`"`)},
		{name: "orig an array of tn", want: stirshaken.ReasonOrig, do: in(orig, `{"tn":["`+caller+`"]}`)},
		{name: "orig empty", want: stirshaken.ReasonOrig, do: in(orig, `{}`)},
		{name: "orig a tn and a uri", want: stirshaken.ReasonOrig, do: in(orig, `{"tn":"`+caller+`","uri":"sip:a@b"}`)},
		{name: "orig a uri", want: stirshaken.ReasonOrig, do: in(orig, `{"uri":"sip:a@b"}`)},
		{name: "orig a number", want: stirshaken.ReasonOrig, do: in(`{"tn":"`+caller+`"}`, `{"tn":`+caller+`}`)},
		{name: "orig with a plus", want: stirshaken.ReasonOrig, do: in(caller, "+"+caller)},
		{name: "orig with dashes", want: stirshaken.ReasonOrig, do: in(caller, "1-215-555-1212")},
		{name: "orig empty string", want: stirshaken.ReasonOrig, do: in(caller, "")},
		{name: "orig in full-width digits", want: stirshaken.ReasonOrig, do: in(caller, "１２１５")},
		{name: "orig 21 digits", want: stirshaken.ReasonOrig, do: in(caller, strings.Repeat("1", 21))},

		{name: "dest absent", want: stirshaken.ReasonDest, do: in(`"dest":`+dest+`,`, ``)},
		{name: "dest a string", want: stirshaken.ReasonDest, do: in(dest, `"`+callee+`"`)},
		{name: "dest tn a string", want: stirshaken.ReasonDest, do: in(`["`+callee+`"]`, `"`+callee+`"`)},
		{name: "dest empty array", want: stirshaken.ReasonDest, do: in(`"`+callee+`"`, ``)},
		{name: "dest empty object", want: stirshaken.ReasonDest, do: in(dest, `{}`)},
		{name: "dest with a number", want: stirshaken.ReasonDest, do: in(`["`+callee+`"]`, `[`+callee+`]`)},
		{name: "dest with null", want: stirshaken.ReasonDest, do: in(`["`+callee+`"]`, `["`+callee+`",null]`)},
		{name: "dest with a plus", want: stirshaken.ReasonDest, do: in(callee, "+"+callee)},
		{name: "dest with an empty uri list", want: stirshaken.ReasonDest, do: in(dest, `{"tn":["`+callee+`"],"uri":[]}`)},
		{name: "dest with a uri that is none", want: stirshaken.ReasonDest, do: in(dest, `{"uri":["b.example"]}`)},
		{name: "dest with 65 numbers", want: stirshaken.ReasonDest, do: in(`"`+callee+`"`, strings.Repeat(`"1",`, 64)+`"`+callee+`"`)},
		{name: "dest second number is the called", want: stirshaken.ReasonValid, do: in(`"`+callee+`"`, `"19995550000","`+callee+`"`)},
		{name: "dest with tn and uri", want: stirshaken.ReasonValid, do: in(dest, `{"tn":["`+callee+`"],"uri":["sip:x@y"]}`)},
		{name: "dest of an unknown kind beside tn", want: stirshaken.ReasonValid, do: in(dest, `{"tn":["`+callee+`"],"zz":"x"}`)},

		{name: "attest absent", want: stirshaken.ReasonAttest, do: in(`"attest":"A",`, ``)},
		{name: "attest D", want: stirshaken.ReasonAttest, do: in(`"A"`, `"D"`)},
		{name: "attest a", want: stirshaken.ReasonAttest, do: in(`"A"`, `"a"`)},
		{name: "attest Abc", want: stirshaken.ReasonAttest, do: in(`"A"`, `"Abc"`)},
		{name: "attest empty", want: stirshaken.ReasonAttest, do: in(`"A"`, `""`)},
		{name: "attest null", want: stirshaken.ReasonAttest, do: in(`"A"`, `null`)},
		{name: "attest a list", want: stirshaken.ReasonAttest, do: in(`"A"`, `["A"]`)},
		{name: "origid absent", want: stirshaken.ReasonOrigID, do: in(`,"origid":"`+uuid+`"`, ``)},
		{name: "origid empty", want: stirshaken.ReasonOrigID, do: in(uuid, ``)},
		{name: "origid not a UUID", want: stirshaken.ReasonOrigID, do: in(uuid, `x`)},
		{name: "origid in braces", want: stirshaken.ReasonOrigID, do: in(uuid, `{`+uuid+`}`)},
		{name: "origid in upper case", want: stirshaken.ReasonValid, do: in(uuid, strings.ToUpper(uuid))},

		{name: "white space between", want: stirshaken.ReasonValid, do: in(`,"orig"`, " ,\r\n\t\"orig\"")},
		{name: "members in another order", want: stirshaken.ReasonValid, do: func(_ *bench, s *shot) {
			s.claims = `{"origid":"` + uuid + `","orig":` + orig + `,"iat":` + iat + `,"dest":` + dest + `,"attest":"A"}`
		}},
		{name: "escaped letters", want: stirshaken.ReasonValid, do: in(`"attest"`, `"\u0061ttest"`)},
		{name: "unknown claims are ignored", want: stirshaken.ReasonValid, do: in(`{`, `{"exp":1,"foo":[{"bar":null}],`)},
	})
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"m` + strconv.Itoa(i) + `":0,`)
	}
	return b.String()
}

func TestTime(t *testing.T) {
	iat := func(d time.Duration) func(*bench, *shot) { return func(_ *bench, s *shot) { s.iat(d) } }
	date := func(d time.Duration) func(*bench, *shot) {
		return func(_ *bench, s *shot) { s.req.Date = now.Add(d).Format("Mon, 02 Jan 2006 15:04:05 GMT") }
	}
	raw := func(v string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.req.Date = v } }
	runCases(t, []kase{
		{name: "60 s old", want: stirshaken.ReasonValid, do: iat(-60 * time.Second)},
		{name: "61 s old", want: stirshaken.ReasonStale, do: iat(-61 * time.Second)},
		{name: "60 s ahead", want: stirshaken.ReasonValid, do: iat(60 * time.Second)},
		{name: "61 s ahead", want: stirshaken.ReasonFuture, do: iat(61 * time.Second)},
		{name: "a century ahead", want: stirshaken.ReasonFuture, do: iat(100 * 365 * 24 * time.Hour)},
		{name: "own freshness", want: stirshaken.ReasonStale, config: conf{Freshness: 5 * time.Second}, do: iat(-6 * time.Second)},
		{name: "own skew", want: stirshaken.ReasonFuture, config: conf{Skew: 5 * time.Second}, do: iat(6 * time.Second)},
		{name: "fresh Date does not rescue", want: stirshaken.ReasonStale, do: func(b *bench, s *shot) { s.iat(-120 * time.Second); date(0)(b, s) }},
		{name: "Date fresh", want: stirshaken.ReasonValid, do: date(-30 * time.Second)},
		{name: "Date 120 s old", want: stirshaken.ReasonDateStale, do: date(-120 * time.Second)},
		{name: "Date 120 s ahead", want: stirshaken.ReasonDateStale, do: date(120 * time.Second)},
		{name: "Date 120 s old and ignored", want: stirshaken.ReasonValid, config: conf{Date: stirshaken.DateIgnored}, do: date(-120 * time.Second)},
		{name: "Date missing", want: stirshaken.ReasonValid},
		{name: "Date missing and required", want: stirshaken.ReasonDateMissing, config: conf{Date: stirshaken.DateRequired}},
		{name: "Date malformed", want: stirshaken.ReasonDateSyntax, do: raw("yesterday")},
		{name: "Date in another zone", want: stirshaken.ReasonDateSyntax, do: raw("Sun, 01 Mar 2026 12:00:00 CET")},
		{name: "Date too long", want: stirshaken.ReasonDateSyntax, do: raw(strings.Repeat("x", 100))},
	})
}

func TestBinding(t *testing.T) {
	from := func(v string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.req.From = v } }
	to := func(v string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.req.To = v } }
	pai := func(v ...string) func(*bench, *shot) { return func(_ *bench, s *shot) { s.req.PAI = v } }
	gb := conf{Home: stirshaken.Home{Country: "1", International: "011", Trunk: "1", NationalDigits: 10}}
	uri := func(dest, to string) func(*bench, *shot) {
		return func(_ *bench, s *shot) { s.in(`{"tn":["`+callee+`"]}`, `{"uri":["`+dest+`"]}`); s.req.To = to }
	}
	runCases(t, []kase{
		{name: "From another number", want: stirshaken.ReasonOrigMismatch, do: from("<sip:+19995550123@a>")},
		{name: "From a prefix of orig", want: stirshaken.ReasonOrigMismatch, do: from("<sip:+1215555121@a>")},
		{name: "orig a prefix of From", want: stirshaken.ReasonOrigMismatch, do: from("<sip:+121555512120@a>")},
		{name: "orig a suffix of From", want: stirshaken.ReasonOrigMismatch, do: from("<sip:+4412155551212@a>")},
		{name: "From without number", want: stirshaken.ReasonOrigMismatch, do: from("<sip:alice@a>")},
		{name: "From anonymous", want: stirshaken.ReasonOrigMismatch, do: from(`"Anonymous" <sip:anonymous@anonymous.invalid>`)},
		{name: "From absent", want: stirshaken.ReasonCallerUnknown, do: from("")},
		{name: "From broken", want: stirshaken.ReasonCallerUnknown, do: from("<sip:+12155551212@a")},
		{name: "From too long", want: stirshaken.ReasonCallerUnknown, do: from("<sip:+12155551212@a>;x=" + strings.Repeat("y", 5000))},
		{name: "number in the display name only", want: stirshaken.ReasonOrigMismatch, do: from(`"<sip:+12155551212@a>" <sip:+19995550123@a>`)},
		{name: "number in the host", want: stirshaken.ReasonOrigMismatch, do: from("<sip:x@12155551212>")},
		{name: "number in the password", want: stirshaken.ReasonOrigMismatch, do: from("<sip:x:12155551212@a>")},
		{name: "number with a letter", want: stirshaken.ReasonOrigMismatch, do: from("<sip:+1215555121a@a>")},
		{name: "escaped nul", want: stirshaken.ReasonCallerUnknown, do: from("<sip:+12155551212%00@a>")},
		{name: "half an escape", want: stirshaken.ReasonCallerUnknown, do: from("<sip:+1215555121%3@a>")},
		{name: "full-width digits", want: stirshaken.ReasonCallerUnknown, do: from("<sip:+１2155551212@a>")},
		{name: "From bare", want: stirshaken.ReasonValid, do: from("sip:+12155551212@a;tag=1")},
		{name: "From tel", want: stirshaken.ReasonValid, do: from("<tel:+1-215-555-1212>;tag=1")},
		{name: "From tel with separators", want: stirshaken.ReasonValid, do: from("<tel:+1(215)555.1212>")},
		{name: "From with user parameters", want: stirshaken.ReasonValid, do: from("<sip:+12155551212;npdi;rn=+1@a;user=phone>")},
		{name: "From percent-encoded", want: stirshaken.ReasonValid, do: from("<sip:%2B1215555121%32@a>")},
		{name: "From with context", want: stirshaken.ReasonValid, do: from("<tel:5551212;phone-context=+1215>")},
		{name: "From with a domain context", want: stirshaken.ReasonOrigMismatch, do: from("<tel:5551212;phone-context=a.example>")},
		{name: "From without plus", want: stirshaken.ReasonValid, do: from("<sip:12155551212@a>")},
		{name: "From sips", want: stirshaken.ReasonValid, do: from("<SIPS:+12155551212@a>")},
		{name: "From national without home", want: stirshaken.ReasonOrigMismatch, do: from("<sip:2155551212@a>")},
		{name: "From national with home", want: stirshaken.ReasonValid, config: gb, do: from("<sip:2155551212@a>")},
		{name: "From with trunk prefix", want: stirshaken.ReasonValid, config: gb, do: from("<sip:12155551212@a>")},
		{name: "From with international prefix", want: stirshaken.ReasonValid, config: gb, do: from("<sip:01112155551212@a>")},

		{name: "PAI decides", want: stirshaken.ReasonValid, do: func(_ *bench, s *shot) {
			s.req.From, s.req.PAI = "<sip:anonymous@anonymous.invalid>", []string{"<sip:+12155551212@a>"}
		}},
		{name: "PAI another", want: stirshaken.ReasonOrigMismatch, do: pai("<sip:+19995550123@a>")},
		{name: "PAI sip and tel", want: stirshaken.ReasonValid, do: pai(`"A, B" <sip:alice@a>, <tel:+12155551212>`)},
		{name: "PAI in two fields", want: stirshaken.ReasonValid, do: pai("<sip:alice@a>", "<tel:+12155551212>")},
		{name: "PAI unreadable is not From", want: stirshaken.ReasonCallerUnknown, do: pai("<")},
		{name: "PAI not looked at", want: stirshaken.ReasonValid, config: conf{Caller: stirshaken.CallerFrom}, do: pai("<sip:+19995550123@a>")},

		{name: "To another number", want: stirshaken.ReasonDestMismatch, do: to("<sip:+19995550123@b>")},
		{name: "To a prefix", want: stirshaken.ReasonDestMismatch, do: to("<sip:+1215555010@b>")},
		{name: "To absent", want: stirshaken.ReasonCalleeUnknown, do: to("")},
		{name: "To broken", want: stirshaken.ReasonCalleeUnknown, do: to("<>")},
		{name: "Request-URI does not count", want: stirshaken.ReasonDestMismatch, do: to("<sip:x@y>")},
		{name: "Request-URI counts", want: stirshaken.ReasonValid, config: conf{Called: stirshaken.CalledToOrRequestURI}, do: to("<sip:x@y>")},
		{name: "Request-URI only", want: stirshaken.ReasonValid, config: conf{Called: stirshaken.CalledToOrRequestURI}, do: to("")},
		{name: "To a URI", want: stirshaken.ReasonValid, do: uri("sip:bob@b.example", "<sip:bob@b.example>")},
		{name: "host case is folded", want: stirshaken.ReasonValid, do: uri("sip:bob@B.Example", "<SIP:bob@b.eXample;transport=tcp>")},
		{name: "user case is not", want: stirshaken.ReasonDestMismatch, do: uri("sip:Bob@b.example", "<sip:bob@b.example>")},
		{name: "host suffix", want: stirshaken.ReasonDestMismatch, do: uri("sip:bob@b.example", "<sip:bob@b.example.org>")},
		{name: "sip is not sips", want: stirshaken.ReasonDestMismatch, do: uri("sips:bob@b.example", "<sip:bob@b.example>")},
		{name: "urn", want: stirshaken.ReasonValid, do: uri("urn:service:sos", "<urn:service:sos>")},
		{name: "number in a dest uri", want: stirshaken.ReasonValid, do: uri("sip:+"+callee+"@b.example", "<sip:+"+callee+"@b.example>")},
	})
}

func TestCertificate(t *testing.T) {
	scope := func(s stirshaken.Scope) opts { return opts{Scope: &s} }
	one := stirshaken.Scope{Numbers: []ringfence.TN{caller}}
	rng := func(start string, n uint64) opts {
		return scope(stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: ringfence.TN(start), Count: n}}})
	}
	raw := func(b ...byte) opts { return opts{TNAuth: b} }
	con := func(c stirshaken.Constraints) opts { return opts{Constraints: &c} }
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}
	permit := func(claim string, values ...string) opts {
		return con(stirshaken.Constraints{Permitted: []stirshaken.PermittedValues{{Claim: claim, Values: values}}})
	}
	day := 24 * time.Hour
	spc := []byte{0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, '1', '2', '3', '4'}
	runCases(t, []kase{
		{name: "expired", want: stirshaken.ReasonExpired, leaf: opts{NotBefore: now.Add(-9 * day), NotAfter: now.Add(-time.Second)}},
		{name: "not yet valid", want: stirshaken.ReasonNotYetValid, leaf: opts{NotBefore: now.Add(time.Second)}},
		{name: "valid now but not at iat", want: stirshaken.ReasonNotYetValid, leaf: opts{NotBefore: now.Add(-10 * time.Second)},
			do: func(_ *bench, s *shot) { s.iat(-20 * time.Second) }},
		{name: "valid at iat but not now", want: stirshaken.ReasonExpired, leaf: opts{NotAfter: now.Add(-10 * time.Second)},
			do: func(_ *bench, s *shot) { s.iat(-20 * time.Second) }},
		{name: "untrusted", want: stirshaken.ReasonUntrusted, config: conf{Trust: strangers(t)}},
		{name: "no trust anchors", want: stirshaken.ReasonNoRoots, do: func(b *bench, _ *shot) { b.v.SetTrust(nil) }},
		{name: "P-384", want: stirshaken.ReasonLeafKey, leaf: opts{Curve: elliptic.P384()}, do: func(b *bench, s *shot) {
			l, _ := b.ca.Leaf(opts{Name: "p256"})
			s.key = l.Key
		}},
		{name: "authority's certificate", want: stirshaken.ReasonLeafCA, leaf: opts{CA: true}},
		{name: "key usage absent", want: stirshaken.ReasonLeafUsage, leaf: opts{Mutate: func(c *x509.Certificate) { c.KeyUsage = 0 }}},
		{name: "key usage keyAgreement", want: stirshaken.ReasonLeafUsage, leaf: opts{KeyUsage: x509.KeyUsageKeyAgreement}},
		{name: "key usage also certSign", want: stirshaken.ReasonLeafUsage, leaf: opts{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign}},
		{name: "a web server's certificate", want: stirshaken.ReasonLeafEKU, leaf: opts{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}},
		{name: "any purpose", want: stirshaken.ReasonValid, leaf: opts{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}},
		{name: "unknown critical extension", want: stirshaken.ReasonCritical, leaf: opts{Extra: []pkix.Extension{unknown}}},
		{name: "critical TNAuthList", want: stirshaken.ReasonValid, leaf: opts{Critical: true}},
		{name: "no TNAuthList", want: stirshaken.ReasonNoTNAuthList, leaf: opts{NoTNAuth: true}},

		{name: "TNAuthList empty", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 0)},
		{name: "TNAuthList not a sequence", want: stirshaken.ReasonTNAuthList, leaf: raw(0x16, 4, '1', '2', '3', '4')},
		{name: "TNAuthList with implicit tags", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 6, 0x80, 4, '1', '2', '3', '4')},
		{name: "TNAuthList without inner tag", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 6, 0xa0, 4, '1', '2', '3', '4')},
		{name: "TNAuthList with trailing bytes", want: stirshaken.ReasonTNAuthList, leaf: raw(append(append([]byte{}, spc...), 0)...)},
		{name: "TNAuthList of indefinite length", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 0x80, 0, 0)},
		{name: "TNAuthList with a long length", want: stirshaken.ReasonTNAuthList, leaf: raw(append([]byte{0x30, 0x81, 0x08}, spc[2:]...)...)},
		{name: "TNAuthList of an unknown kind", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 4, 0xa3, 2, 0x16, 0)},
		{name: "TNAuthList with an empty code", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 4, 0xa0, 2, 0x16, 0)},
		{name: "TNAuthList cut short", want: stirshaken.ReasonTNAuthList, leaf: raw(spc[:8]...)},
		{name: "number with a plus", want: stirshaken.ReasonTNAuthList, leaf: scope(stirshaken.Scope{Numbers: []ringfence.TN{"+1215"}})},
		{name: "range of one", want: stirshaken.ReasonTNAuthList, leaf: rng("12155551212", 1)},
		{name: "range start with a star", want: stirshaken.ReasonTNAuthList, leaf: rng("*12", 5)},
		{name: "range count negative", want: stirshaken.ReasonTNAuthList, leaf: raw(0x30, 10, 0xa1, 8, 0x30, 6, 0x16, 1, '1', 2, 1, 0xff)},

		{name: "this number", want: stirshaken.ReasonValid, leaf: scope(one)},
		{name: "another number", want: stirshaken.ReasonScope, leaf: scope(stirshaken.Scope{Numbers: []ringfence.TN{"13035550000"}})},
		{name: "prefix of the number", want: stirshaken.ReasonScope, leaf: scope(stirshaken.Scope{Numbers: []ringfence.TN{"1215555"}})},
		{name: "first of a range", want: stirshaken.ReasonValid, leaf: rng("12155551212", 2)},
		{name: "last of a range", want: stirshaken.ReasonValid, leaf: rng("12155551203", 10)},
		{name: "one past a range", want: stirshaken.ReasonScope, leaf: rng("12155551202", 10)},
		{name: "one before a range", want: stirshaken.ReasonScope, leaf: rng("12155551213", 10)},
		{name: "range of another length", want: stirshaken.ReasonScope, leaf: rng("1215555121", 1000)},
		{name: "range with a count that would wrap", want: stirshaken.ReasonScope, leaf: rng("12155551300", 1<<63)},
		{name: "range with the biggest count", want: stirshaken.ReasonValid, leaf: rng("10000000000", 1<<64-1)},

		{name: "constraint: attest B only", want: stirshaken.ReasonPermitted, leaf: permit("attest", "B", "C")},
		{name: "constraint: attest A", want: stirshaken.ReasonValid, leaf: permit("attest", "B", "A")},
		{name: "constraint: on a claim that is absent", want: stirshaken.ReasonValid, leaf: permit("foo", "bar")},
		{name: "constraint: an object", want: stirshaken.ReasonValid, leaf: permit("orig", `{ "tn" : "`+caller+`" }`)},
		{name: "constraint: another object", want: stirshaken.ReasonPermitted, leaf: permit("orig", `{"tn":"1"}`)},
		{name: "constraint: must include", want: stirshaken.ReasonMustInclude, leaf: con(stirshaken.Constraints{MustInclude: []string{"rcd"}})},
		{name: "constraint: includes", want: stirshaken.ReasonValid, leaf: con(stirshaken.Constraints{MustInclude: []string{"attest", "origid"}})},
		{name: "constraint: must exclude", want: stirshaken.ReasonMustExclude, leaf: con(stirshaken.Constraints{MustExclude: []string{"attest"}})},
		{name: "constraint: excludes", want: stirshaken.ReasonValid, leaf: con(stirshaken.Constraints{MustExclude: []string{"rcd"}})},
		{name: "constraint: excludes a base claim", want: stirshaken.ReasonConstraintForm, leaf: con(stirshaken.Constraints{MustExclude: []string{"dest"}})},
		{name: "constraint: malformed", want: stirshaken.ReasonConstraintForm, leaf: opts{Extra: []pkix.Extension{{Id: stirshaken.OIDClaimConstraints, Value: []byte{0x30, 0}}}}},
		{name: "constraint: mustExclude in the plain extension", want: stirshaken.ReasonConstraintForm, leaf: opts{Extra: []pkix.Extension{{Id: stirshaken.OIDClaimConstraints,
			Value: stirshaken.Constraints{MustExclude: []string{"rcd"}}.Marshal()}}}},
	})
}

func strangers(t testing.TB) *stirshaken.TrustList {
	t.Helper()
	ca, err := stirtest.New(now)
	if err != nil {
		t.Fatal(err)
	}
	return ca.Trust()
}
