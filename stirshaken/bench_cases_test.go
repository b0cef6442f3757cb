package stirshaken_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
)

// TestCallBench decides the thirty cases of the call bench: certificates over
// plain http from loopback, no plus sign in From, a Date in every request.
// code is what a service that rejects would answer; 0 lets the call through.
func TestCallBench(t *testing.T) {
	b, srv := fetching(t, nil, stirshaken.Config{}, false)
	lab(t, b, srv, stirshaken.Config{})
	day := 24 * time.Hour
	rogue, _ := fetching(t, nil, stirshaken.Config{}, false)
	for _, o := range []opts{
		{Name: "other"},
		{Name: "expired", NotBefore: now.Add(-20 * day), NotAfter: now.Add(-day)},
		{Name: "future", NotBefore: now.Add(day), NotAfter: now.Add(20 * day)},
		{Name: "notnauth", NoTNAuth: true},
		{Name: "p384", Curve: elliptic.P384()},
		{Name: "othertn", Scope: &stirshaken.Scope{Numbers: []ringfence.TN{"13035550000"}}},
	} {
		if _, err := b.ca.Leaf(o); err != nil {
			t.Fatal(err)
		}
	}
	b.ca.Serve("rogue.pem", rogue.leaf.Bundle)
	use := func(name string) func(*shot) {
		return func(s *shot) {
			s.header = strings.Replace(s.header, "1234.pem", name+".pem", 1)
			s.params = strings.Replace(s.params, "1234.pem", name+".pem", 1)
		}
	}
	in := func(old, new string) func(*shot) { return func(s *shot) { s.in(old, new) } }
	date := func(at time.Time) string { return at.Format("Mon, 02 Jan 2006 15:04:05 GMT") }
	for _, k := range []struct {
		name string
		code int
		do   func(*shot)
	}{
		{"good_A", 0, nil},
		{"good_attest_C", 0, in(`"A"`, `"C"`)},
		{"good_plus_in_from", 0, func(s *shot) { s.req.From = strings.Replace(s.req.From, "sip:", "sip:+", 1) }},
		{"good_two_identity_headers", 0, func(s *shot) {
			h := strings.Replace(s.header, "shaken", "div", 1)
			c := `{"dest":{"tn":["` + callee + `"]},"div":{"tn":"12155550199"},"iat":` + strconv.FormatInt(now.Unix(), 10) + `,"orig":{"tn":"` + caller + `"}}`
			s.lead = []string{signToken(t, b.leaf.Key, h, c, nil) + strings.Replace(s.params, "shaken", "div", 1)}
		}},
		{"no_identity", 428, func(s *shot) { s.identity = "none" }},
		{"not_a_jwt", 438, func(s *shot) { s.token = "abc" }},
		{"signed_by_other_key", 438, func(s *shot) { s.key = rogue.leaf.Key }},
		{"untrusted_ca", 437, func(s *shot) { use("rogue")(s); s.key = rogue.leaf.Key }},
		{"cert_expired", 437, use("expired")},
		{"cert_not_yet_valid", 437, use("future")},
		{"cert_no_tnauthlist", 437, use("notnauth")},
		{"cert_for_another_number", 437, use("othertn")},
		{"cert_p384_key", 437, use("p384")},
		{"iat_old_120s", 403, func(s *shot) { s.iat(-120 * time.Second) }},
		{"iat_future_300s", 403, func(s *shot) { s.iat(300 * time.Second) }},
		{"date_old_120s", 403, func(s *shot) { s.req.Date = date(now.Add(-120 * time.Second)) }},
		{"orig_is_another_number", 438, in(caller, "19995550123")},
		{"dest_is_another_number", 438, in(callee, "19995550123")},
		{"no_dest", 438, in(`"dest":{"tn":["`+callee+`"]},`, "")},
		{"attest_unknown", 438, in(`"A"`, `"D"`)},
		{"attest_A_and_more", 438, in(`"A"`, `"Abc"`)},
		{"no_origid", 438, in(`,"origid":"`+uuid+`"`, "")},
		{"origid_not_a_uuid", 438, in(uuid, "x")},
		{"ppt_unknown", 428, func(s *shot) { s.head("shaken", "bench"); s.params = strings.Replace(s.params, "shaken", "bench", 1) }},
		{"alg_none", 438, func(s *shot) { s.head("ES256", "none"); s.token = b64(s.header) + "." + b64(s.claims) + "." }},
		{"alg_hs256_with_public_key", 438, func(s *shot) {
			s.head("ES256", "HS256")
			m := hmac.New(sha256.New, bytes.SplitAfter(b.leaf.Bundle, []byte("E-----\n"))[0])
			m.Write([]byte(b64(s.header) + "." + b64(s.claims)))
			s.token = b64(s.header) + "." + b64(s.claims) + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
		}},
		{"typ_wrong", 438, func(s *shot) { s.head(`"passport"`, `"JWT"`) }},
		{"info_is_not_x5u", 436, func(s *shot) { s.params = strings.Replace(s.params, "1234.pem", "other.pem", 1) }},
		{"x5u_with_query", 436, func(s *shot) {
			s.header = strings.Replace(s.header, "1234.pem", "1234.pem?a=b", 1)
			s.params = strings.Replace(s.params, "1234.pem", "1234.pem?a=b", 1)
		}},
		{"replayed_token", 438, func(s *shot) { s.fire(t, b); s.req.CallID = "second call" }},
	} {
		t.Run(k.name, func(t *testing.T) {
			s := newShot(b)
			s.req.From, s.req.To = "<sip:"+caller+"@127.0.0.1>;tag=1", "<sip:"+callee+"@127.0.0.1>"
			s.req.Date, s.req.CallID = date(now), k.name
			s.at(srv.URL + "/1234.pem")
			if k.do != nil {
				k.do(s)
			}
			v := s.fire(t, b)
			checkVerdict(t, v)
			if code, _ := v.Response(); code != k.code {
				t.Errorf("have %d (%s, %s), want %d", code, v.Reason, v.Detail, k.code)
			}
		})
	}
}

// TestDefectsOfOthers: each is something that at least one other
// implementation lets through or misreads.
func TestDefectsOfOthers(t *testing.T) {
	runCases(t, []kase{
		{name: "dest is never compared", want: stirshaken.ReasonDestMismatch, do: func(_ *bench, s *shot) { s.req.To = "<sip:+13035550000@b>" }},
		{name: "only the first dest number is compared", want: stirshaken.ReasonValid, do: func(_ *bench, s *shot) { s.in(`"`+callee+`"`, `"1","2","`+callee+`"`) }},
		{name: "only the first Identity header is read", want: stirshaken.ReasonValid, do: func(_ *bench, s *shot) { s.lead = []string{"rubbish"} }},
		{name: "an iat in the future is fresh", want: stirshaken.ReasonFuture, do: func(_ *bench, s *shot) { s.iat(time.Hour) }},
		{name: "the chain is not checked by default", want: stirshaken.ReasonUntrusted, config: conf{Trust: strangers(t)}},
		{name: "http is as good as https", want: stirshaken.ReasonX5UScheme, do: func(_ *bench, s *shot) { s.at("http://cert.example.org/c.pem") }},
		{name: "alg is not looked at", want: stirshaken.ReasonAlg, do: func(_ *bench, s *shot) { s.head("ES256", "ES512") }},
		{name: "an explicit tag is read as part of the code", want: stirshaken.ReasonScope, leaf: opts{Scope: &stirshaken.Scope{Numbers: []ringfence.TN{"13035550000"}}}},
		{name: "claims are written anew before the signature is checked", want: stirshaken.ReasonValid, do: func(_ *bench, s *shot) {
			s.in(`"origid"`, ` "or\u0069gid" `)
		}},
		{name: "attest is matched by its first letter", want: stirshaken.ReasonAttest, do: func(_ *bench, s *shot) { s.in(`"A"`, `"AX"`) }},
		{name: "ATTEST overrides attest", want: stirshaken.ReasonPermitted,
			leaf: opts{Constraints: &stirshaken.Constraints{Permitted: []stirshaken.PermittedValues{{Claim: "attest", Values: []string{"A"}}}}},
			do:   func(_ *bench, s *shot) { s.in(`"attest":"A"`, `"attest":"C","ATTEST":"A"`) }},
		{name: "a long s overrides dest", want: stirshaken.ReasonDestMismatch, do: func(_ *bench, s *shot) {
			s.in(`"dest":{"tn":["`+callee+`"]}`, `"dest":{"tn":["1"]},"deſt":{"tn":["`+callee+`"]}`)
		}},
		{name: "line breaks inside base64 are skipped", want: stirshaken.ReasonHeaderSyntax, do: func(b *bench, s *shot) {
			s.token = signToken(t, s.key, s.header, s.claims, nil)
			s.token = s.token[:20] + "\r\n " + s.token[20:]
		}},
		{name: "an authority's certificate signs calls", want: stirshaken.ReasonLeafCA, leaf: opts{CA: true}},
		{name: "there is no limit of size", want: stirshaken.ReasonHeaderTooLong, do: func(_ *bench, s *shot) { s.params += ";x=" + strings.Repeat("y", 1<<20) }},
	})
}
