package stirshaken_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

const (
	first  = "12155550001" // whom the caller called
	second = "12155550002" // to whom first diverts
)

// typed makes an Identity of another type by hand.
func typed(t testing.TB, b *bench, ppt, claims string) string {
	t.Helper()
	return signToken(t, b.leaf.Key, strings.Replace(goodHeader, "shaken", ppt, 1), claims, nil) + strings.Replace(goodParams, "shaken", ppt, 1)
}

func divClaims(from, to string) string {
	return `{"dest":{"tn":["` + to + `"]},"div":{"tn":"` + from + `"},"iat":` + strconv.FormatInt(now.Unix(), 10) + `,"orig":{"tn":"` + caller + `"}}`
}

// RFC 8946: the diversions must lead from where the call was signed to here.
func TestDivChain(t *testing.T) {
	toFirst := func(s *shot) { s.in(callee, first) }
	runCases(t, []kase{
		{name: "diverted once", want: stirshaken.ReasonValid, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", divClaims(first, callee))}
		}},
		{name: "diverted twice, headers in any order", want: stirshaken.ReasonValid, do: func(b *bench, s *shot) {
			toFirst(s)
			s.lead = []string{typed(t, b, "div", divClaims(second, callee))}
			s.trail = []string{typed(t, b, "div", divClaims(first, second))}
		}},
		{name: "no diversion", want: stirshaken.ReasonDestMismatch, do: func(_ *bench, s *shot) { toFirst(s) }},
		{name: "a hop is missing", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", divClaims(second, callee))}
		}},
		{name: "diverted to somebody else", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", divClaims(first, second))}
		}},
		{name: "a loop that does not reach the base", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			for range 4 {
				s.trail = append(s.trail, typed(t, b, "div", divClaims(second, callee)), typed(t, b, "div", divClaims(callee, second)))
			}
		}},
		{name: "a loop on the way", want: stirshaken.ReasonValid, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", divClaims(callee, second)), typed(t, b, "div", divClaims(second, callee)), typed(t, b, "div", divClaims(first, second))}
		}},
		{name: "another caller", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", strings.Replace(divClaims(first, callee), caller, "19995550123", 1))}
		}},
		{name: "a stale hop", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", strings.Replace(divClaims(first, callee), strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(now.Unix()-300, 10), 1))}
		}},
		{name: "a forged hop", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			l, _ := b.ca.Leaf(opts{Name: "other"})
			s.trail = []string{signToken(t, l.Key, strings.Replace(goodHeader, "shaken", "div", 1), divClaims(first, callee), nil) + strings.Replace(goodParams, "shaken", "div", 1)}
		}},
		{name: "a hop without div", want: stirshaken.ReasonDivBroken, do: func(b *bench, s *shot) {
			toFirst(s)
			s.trail = []string{typed(t, b, "div", strings.Replace(divClaims(first, callee), `"div"`, `"vid"`, 1))}
		}},
		{name: "div only", want: stirshaken.ReasonNoShaken, do: func(b *bench, s *shot) { s.identity = typed(t, b, "div", divClaims(first, callee)) }},
		{name: "div that is not needed", want: stirshaken.ReasonValid, do: func(b *bench, s *shot) { s.lead = []string{typed(t, b, "div", divClaims(second, callee))} }},
		{name: "certificate covers the caller, not who diverts", want: stirshaken.ReasonDivBroken,
			leaf: opts{Scope: &stirshaken.Scope{Numbers: []ringfence.TN{caller}}}, do: func(b *bench, s *shot) {
				toFirst(s)
				s.trail = []string{typed(t, b, "div", divClaims(first, callee))}
			}},
	})
}

func TestDivIsShown(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	s := newShot(b)
	s.in(callee, first)
	s.trail = []string{typed(t, b, "div", divClaims(second, callee)), typed(t, b, "div", divClaims(first, second))}
	v := s.fire(t, b)
	if len(v.Diverted) != 2 || v.Diverted[0].TN != first || v.Diverted[1].TN != second {
		t.Errorf("diverted %v, reason %s", v.Diverted, v.Reason)
	}
	if v.Diversion(now).Value != ringfence.Yes {
		t.Errorf("diversion %+v", v.Diversion(now))
	}
}

// TestDivWalkIsBounded: ten headers that all lead to each other are looked at
// once each.
func TestDivWalkIsBounded(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	s := newShot(b)
	s.in(callee, first)
	one := typed(t, b, "div", divClaims(callee, callee))
	for range 9 {
		s.trail = append(s.trail, one)
	}
	if v := s.fire(t, b); v.Reason != stirshaken.ReasonDivBroken {
		t.Error(v.Reason)
	}
}

func rcdClaims(more string) string {
	return `{"dest":{"tn":["` + callee + `"]},"iat":` + strconv.FormatInt(now.Unix(), 10) + `,"orig":{"tn":"` + caller + `"}` + more + `}`
}

func digest(json string) string {
	sum := sha256.Sum256([]byte(json))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// RFC 9795: rich call data is shown only when its own claim verified.
func TestRCD(t *testing.T) {
	const jcd = `["vcard",[["version",{},"text","4.0"],["fn",{},"text","Alice"]]]`
	for _, k := range []struct {
		name, claims string
		want         stirshaken.Reason // of the rcd header
		shown        *stirshaken.RichCallData
	}{
		{"name", rcdClaims(`,"rcd":{"nam":"Alice"}`), stirshaken.ReasonValid, &stirshaken.RichCallData{Name: "Alice"}},
		{"name and reason", rcdClaims(`,"crn":"Delivery","rcd":{"nam":"Alice"}`), stirshaken.ReasonValid, &stirshaken.RichCallData{Name: "Alice", Reason: "Delivery"}},
		{"card with its digest", rcdClaims(`,"rcd":{"jcd":` + jcd + `,"nam":"Alice"},"rcdi":{"/jcd":"` + digest(jcd) + `"}`), stirshaken.ReasonValid, &stirshaken.RichCallData{Name: "Alice"}},
		{"part of a card with its digest", rcdClaims(`,"rcd":{"jcd":` + jcd + `,"nam":"Alice"},"rcdi":{"/jcd/1/1":"` + digest(`["fn",{},"text","Alice"]`) + `"}`), stirshaken.ReasonValid, &stirshaken.RichCallData{Name: "Alice"}},
		{"card with another digest", rcdClaims(`,"rcd":{"jcd":` + jcd + `,"nam":"Alice"},"rcdi":{"/jcd":"` + digest(`[]`) + `"}`), stirshaken.ReasonRCDIntegrity, nil},
		{"digest of nothing", rcdClaims(`,"rcd":{"nam":"Alice"},"rcdi":{"/jcd/7":"` + digest(`[]`) + `"}`), stirshaken.ReasonRCDIntegrity, nil},
		{"digest malformed", rcdClaims(`,"rcd":{"nam":"Alice"},"rcdi":{"/nam":"sha256-AAAA"}`), stirshaken.ReasonRCDI, nil},
		{"digest md5", rcdClaims(`,"rcd":{"nam":"Alice"},"rcdi":{"/nam":"md5-AAAA"}`), stirshaken.ReasonRCDI, nil},
		{"rcdi empty", rcdClaims(`,"rcd":{"nam":"Alice"},"rcdi":{}`), stirshaken.ReasonRCDI, nil},
		{"rcd absent", rcdClaims(`,"crn":"x"`), stirshaken.ReasonRCD, nil},
		{"nam absent", rcdClaims(`,"rcd":{}`), stirshaken.ReasonRCD, nil},
		{"rcd a string", rcdClaims(`,"rcd":"Alice"`), stirshaken.ReasonRCD, nil},
		{"crn a number", rcdClaims(`,"crn":1,"rcd":{"nam":"Alice"}`), stirshaken.ReasonRCD, nil},
		{"icn a number", rcdClaims(`,"rcd":{"icn":1,"nam":"Alice"}`), stirshaken.ReasonRCD, nil},
		{"jcd and jcl", rcdClaims(`,"rcd":{"jcd":[],"jcl":"https://x","nam":"Alice"}`), stirshaken.ReasonRCD, nil},
		{"another caller", strings.Replace(rcdClaims(`,"rcd":{"nam":"Alice"}`), caller, "19995550123", 1), stirshaken.ReasonOrigMismatch, nil},
		{"another called", strings.Replace(rcdClaims(`,"rcd":{"nam":"Alice"}`), callee, "19995550123", 1), stirshaken.ReasonDestMismatch, nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, stirshaken.Config{}, opts{})
			s := newShot(b)
			s.trail = []string{typed(t, b, "rcd", k.claims)}
			v := s.fire(t, b)
			checkVerdict(t, v)
			if !v.Verified() {
				t.Fatalf("the shaken PASSporT: %s", v.Reason)
			}
			if got := v.Headers[1].Reason; got != k.want {
				t.Errorf("have %s (%s), want %s", got, v.Headers[1].Detail, k.want)
			}
			if fmt.Sprint(v.RCD) != fmt.Sprint(k.shown) {
				t.Errorf("shown %+v, want %+v", v.RCD, k.shown)
			}
		})
	}
}

func TestRCDAlone(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	s := newShot(b)
	s.identity = typed(t, b, "rcd", rcdClaims(`,"rcd":{"nam":"Alice"}`))
	if v := s.fire(t, b); v.RCD != nil || v.Verified() || v.Reason != stirshaken.ReasonNoShaken {
		t.Errorf("%s %+v", v.Reason, v.RCD)
	}
}

// RFC 8224, section 12.1: a PASSporT serves one call.
func TestReplay(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	s := newShot(b)
	try := func(want stirshaken.Reason) {
		t.Helper()
		if v := s.fire(t, b); v.Reason != want {
			t.Errorf("have %s, want %s", v.Reason, want)
		}
	}
	try(stirshaken.ReasonValid)
	try(stirshaken.ReasonValid) // a retransmission or a forked branch
	s.req.CallID = "c2"
	try(stirshaken.ReasonReplayed)
	s.req.CallID = "c1"
	s.req.From = strings.Replace(s.req.From, "tag=x", "tag=y", 1)
	try(stirshaken.ReasonReplayed)
	s.req.From = strings.Replace(s.req.From, "tag=y", "tag=x", 1)
	s.now = now.Add(40 * time.Second) // too late for a retransmission
	try(stirshaken.ReasonReplayed)

	// The signature's twin is the same signature.
	s.now, s.req.CallID = now, "c3"
	p := strings.Split(s.token, ".")
	sig, _ := base64.RawURLEncoding.DecodeString(p[2])
	s.identity = p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(highS(sig)) + goodParams
	try(stirshaken.ReasonReplayed)
}

type brokenMarks struct{}

func (brokenMarks) First(context.Context, stirshaken.Mark, stirshaken.Mark, time.Time, time.Time) (stirshaken.Mark, time.Time, error) {
	return stirshaken.Mark{}, time.Time{}, errors.New("down")
}

func TestReplayStoreFailsClosed(t *testing.T) {
	b := newBench(t, stirshaken.Config{Marks: brokenMarks{}}, opts{})
	v := newShot(b).fire(t, b)
	if v.Reason != stirshaken.ReasonReplayFailed || v.Attest != "" || v.Tri() != ringfence.Unknown {
		t.Errorf("%+v", v)
	}
}

func TestMemoryMarksAreBounded(t *testing.T) {
	m := stirshaken.NewMemoryMarks(320)
	full := 0
	for i := range 1000 {
		mark := stirshaken.Mark{byte(i), byte(i >> 8), 1}
		if _, _, err := m.First(context.Background(), mark, mark, now, now.Add(time.Minute)); errors.Is(err, stirshaken.ErrMarksFull) {
			full++
		}
	}
	if full == 0 || full > 900 {
		t.Errorf("full %d times", full)
	}
	mark := stirshaken.Mark{9, 9, 9}
	if _, _, err := m.First(context.Background(), mark, mark, now.Add(time.Hour), now.Add(2*time.Hour)); err != nil {
		t.Errorf("nothing was forgotten: %v", err)
	}
}

// RFC 8224, section 6: several headers, of which some may be strangers'.
func TestSeveralHeaders(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	a := func(attest ringfence.Attest) string {
		return b.identity(t, stirshaken.SigningRequest{Attest: attest})
	}
	forged := newShot(b)
	l, _ := b.ca.Leaf(opts{Name: "other"})
	forged.key = l.Key
	bad := signToken(t, l.Key, goodHeader, goodClaims(), nil) + goodParams
	unknown := strings.Replace(a("A"), `ppt="shaken"`, `ppt="bench"`, 1)
	for _, k := range []struct {
		name     string
		headers  []string
		want     stirshaken.Reason
		attest   ringfence.Attest
		conflict bool
	}{
		{"an unknown type before", []string{unknown, a("B")}, stirshaken.ReasonValid, "B", false},
		{"only an unknown type", []string{unknown}, stirshaken.ReasonUnknownPPT, "", false},
		{"two unknown types", []string{unknown, unknown}, stirshaken.ReasonNoShaken, "", false},
		{"a forged one before", []string{bad, a("C")}, stirshaken.ReasonValid, "C", false},
		{"a forged one after does not lift", []string{a("C"), bad}, stirshaken.ReasonValid, "C", false},
		{"rubbish before", []string{"rubbish", a("A")}, stirshaken.ReasonValid, "A", false},
		{"two that agree", []string{a("A"), a("A")}, stirshaken.ReasonValid, "A", false},
		{"two that disagree", []string{a("A"), a("C")}, stirshaken.ReasonValid, "C", true},
		{"two that disagree the other way", []string{a("B"), a("A")}, stirshaken.ReasonValid, "B", true},
		{"all bad: the shaken one says why", []string{"rubbish", bad}, stirshaken.ReasonSignature, "", false},
	} {
		t.Run(k.name, func(t *testing.T) {
			req := request(k.headers...)
			req.CallID = k.name
			v := b.v.Verify(context.Background(), req, stirshaken.Peer{}, now)
			checkVerdict(t, v)
			if v.Reason != k.want || v.Attest != k.attest || v.Conflict != k.conflict {
				t.Errorf("have %s %q %v, want %s %q %v", v.Reason, v.Attest, v.Conflict, k.want, k.attest, k.conflict)
			}
		})
	}
}

// RFC 9410: one Reason for each PASSporT that failed.
func TestReasonHeaders(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	s := newShot(b)
	s.iat(-time.Hour)
	s.trail = []string{"rubbish"}
	v := s.fire(t, b)
	sig := s.token[strings.LastIndexByte(s.token, '.')+1:]
	want := []string{`STIR;cause=403;text="Stale Date";ppi="..` + sig + `"`, `STIR;cause=436;text="Bad Identity Info"`}
	if got := v.ReasonHeaders(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("have %q, want %q", got, want)
	}
	if v.SIPReason() != `SIP;cause=403;text="Stale Date"` {
		t.Error(v.SIPReason())
	}
}

// RFC 8224, section 4.1.1; baseline and compact forms attest nothing.
func TestBaselineAndCompact(t *testing.T) {
	date := now.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	header := `{"alg":"ES256","typ":"passport","x5u":"` + x5u + `"}`
	claims := `{"dest":{"tn":["` + callee + `"]},"iat":` + strconv.FormatInt(now.Unix(), 10) + `,"orig":{"tn":"` + caller + `"}}`
	params := `;info=<` + x5u + `>;alg=ES256`
	compact := func(b *bench, s *shot) {
		token := signToken(t, s.key, header, claims, nil)
		s.token, s.params, s.req.Date = ".."+token[strings.LastIndexByte(token, '.')+1:], params, date
	}
	baseline := func(b *bench, s *shot) { s.header, s.claims, s.params = header, claims, params }
	runCases(t, []kase{
		{name: "baseline off", want: stirshaken.ReasonBaselineOff, do: baseline},
		{name: "baseline on", want: stirshaken.ReasonValid, config: conf{AcceptBaseline: true}, do: baseline},
		{name: "compact off", want: stirshaken.ReasonCompactOff, do: compact},
		{name: "compact on", want: stirshaken.ReasonValid, config: conf{AcceptCompact: true}, do: compact},
		{name: "compact without Date", want: stirshaken.ReasonDateMissing, config: conf{AcceptCompact: true}, do: func(b *bench, s *shot) { compact(b, s); s.req.Date = "" }},
		{name: "compact with another Date", want: stirshaken.ReasonSignature, config: conf{AcceptCompact: true},
			do: func(b *bench, s *shot) {
				compact(b, s)
				s.req.Date = now.Add(-time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")
			}},
		{name: "compact with another To", want: stirshaken.ReasonSignature, config: conf{AcceptCompact: true}, do: func(b *bench, s *shot) { compact(b, s); s.req.To = "<sip:+19995550123@b>" }},
		{name: "compact shaken", want: stirshaken.ReasonCompactOff, config: conf{AcceptCompact: true}, do: func(b *bench, s *shot) { compact(b, s); s.params = goodParams }},
	})
	b := newBench(t, conf{AcceptBaseline: true}, opts{})
	s := newShot(b)
	baseline(b, s)
	if v := s.fire(t, b); v.Attest != "" || v.Tri() != ringfence.Unknown || v.Verstat() != "No-TN-Validation" {
		t.Errorf("baseline attests: %+v", v)
	}
}

// RFC 9060: a delegate's scope lies within its parent's.
func TestDelegate(t *testing.T) {
	block := stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551000", Count: 1000}}}
	for _, k := range []struct {
		name          string
		parent, child stirshaken.Scope
		want          stirshaken.Reason
	}{
		{"number inside", block, stirshaken.Scope{Numbers: []ringfence.TN{caller}}, stirshaken.ReasonValid},
		{"range inside", block, stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551200", Count: 100}}}, stirshaken.ReasonValid},
		{"range over two ranges", stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551250", Count: 50}, {Start: "12155551200", Count: 50}}},
			stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551200", Count: 100}}}, stirshaken.ReasonValid},
		{"range over a gap", stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551251", Count: 50}, {Start: "12155551200", Count: 50}}},
			stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551200", Count: 100}}}, stirshaken.ReasonDelegateScope},
		{"range one too long", block, stirshaken.Scope{Ranges: []stirshaken.NumberRange{{Start: "12155551200", Count: 801}}}, stirshaken.ReasonDelegateScope},
		{"number outside beside the caller's", block, stirshaken.Scope{Numbers: []ringfence.TN{caller, "19995550123"}}, stirshaken.ReasonDelegateScope},
		{"provider code below numbers", block, stirshaken.Scope{SPCs: []string{"1234"}}, stirshaken.ReasonDelegateScope},
		{"same provider code", stirshaken.Scope{SPCs: []string{"1234"}}, stirshaken.Scope{SPCs: []string{"1234"}}, stirshaken.ReasonValid},
		{"another provider code", stirshaken.Scope{SPCs: []string{"1234"}}, stirshaken.Scope{SPCs: []string{"9999"}}, stirshaken.ReasonDelegateScope},
		{"numbers below a provider code", stirshaken.Scope{SPCs: []string{"1234"}}, stirshaken.Scope{Numbers: []ringfence.TN{caller}}, stirshaken.ReasonValid},
		{"inside and not the caller's", block, stirshaken.Scope{Numbers: []ringfence.TN{"12155551000"}}, stirshaken.ReasonScope},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, stirshaken.Config{}, opts{})
			parent, err := b.ca.Leaf(opts{Name: "parent", CA: true, Scope: &k.parent})
			if err != nil {
				t.Fatal(err)
			}
			child, err := b.ca.Leaf(opts{Name: "child", Scope: &k.child, Issuer: parent})
			if err != nil {
				t.Fatal(err)
			}
			if r := b.v.Preload(x5u, child.Bundle); r != nil {
				t.Fatal(r)
			}
			s := newShot(b)
			s.key = child.Key
			if v := s.fire(t, b); v.Reason != k.want {
				t.Errorf("have %s (%s), want %s", v.Reason, v.Detail, k.want)
			}
		})
	}
}

// A trusted peer's verstat is a verdict; anybody else's is nothing.
func TestVerstat(t *testing.T) {
	trusted := stirshaken.Peer{Name: "carrier", TrustVerstat: true}
	for _, k := range []struct {
		name, from, indicator string
		peer                  stirshaken.Peer
		want                  stirshaken.Reason
		attest                ringfence.Attest
	}{
		{"stranger", "<tel:+12155551212;verstat=TN-Validation-Passed-A>", "A", stirshaken.Peer{Name: "x"}, stirshaken.ReasonNoIdentity, ""},
		{"passed", "<tel:+12155551212;verstat=TN-Validation-Passed>", "", trusted, stirshaken.ReasonVerstatPassed, ""},
		{"passed A", "<tel:+12155551212;verstat=TN-Validation-Passed-A>", "", trusted, stirshaken.ReasonVerstatPassed, "A"},
		{"passed with indicator", "<tel:+12155551212;verstat=TN-Validation-Passed>", "B", trusted, stirshaken.ReasonVerstatPassed, "B"},
		{"indicator unknown", "<tel:+12155551212;verstat=TN-Validation-Passed>", "AB", trusted, stirshaken.ReasonVerstatPassed, ""},
		{"in a sip URI", "<sip:+12155551212;verstat=TN-Validation-Passed@a;user=phone>", "", trusted, stirshaken.ReasonVerstatPassed, ""},
		{"failed", "<tel:+12155551212;verstat=TN-Validation-Failed>", "A", trusted, stirshaken.ReasonVerstatFailed, ""},
		{"none", "<tel:+12155551212;verstat=No-TN-Validation>", "A", trusted, stirshaken.ReasonVerstatNone, ""},
		{"unknown value", "<tel:+12155551212;verstat=Yes>", "", trusted, stirshaken.ReasonVerstatFailed, ""},
		{"absent", "<tel:+12155551212>", "A", trusted, stirshaken.ReasonNoIdentity, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, stirshaken.Config{}, opts{})
			req := request()
			req.From, req.PAttestation = k.from, k.indicator
			v := b.v.Verify(context.Background(), req, k.peer, now)
			checkVerdict(t, v)
			if v.Reason != k.want || v.Attest != k.attest {
				t.Errorf("have %s %q, want %s %q", v.Reason, v.Attest, k.want, k.attest)
			}
		})
	}
}

func TestVerstatIsStrippedAndWritten(t *testing.T) {
	passed := stirshaken.Verdict{Status: stirshaken.StatusVerified, Attest: "A", Reason: stirshaken.ReasonValid}
	for _, k := range []struct{ have, stripped, written string }{
		{"<tel:+12155551212;verstat=TN-Validation-Passed>;tag=1", "<tel:+12155551212>;tag=1", "<tel:+12155551212;verstat=TN-Validation-Passed>;tag=1"},
		{"<sip:+12155551212;VERSTAT=x;npdi@a;user=phone>", "<sip:+12155551212;npdi@a;user=phone>", "<sip:+12155551212;npdi;verstat=TN-Validation-Passed@a;user=phone>"},
		{"<sip:+12155551212@a>;verstat=a;verstat=b;verstatus=c", "<sip:+12155551212@a>;verstatus=c", "<sip:+12155551212;verstat=TN-Validation-Passed@a>;verstatus=c"},
		{"tel:+12155551212;verstat", "tel:+12155551212", "<tel:+12155551212;verstat=TN-Validation-Passed>"},
		{"sip:+12155551212@a;tag=1", "sip:+12155551212@a;tag=1", "<sip:+12155551212;verstat=TN-Validation-Passed@a>;tag=1"},
		{`"<tel:1>" <sip:+12155551212@a>`, `"<tel:1>" <sip:+12155551212@a>`, `"<tel:1>" <sip:+12155551212;verstat=TN-Validation-Passed@a>`},
		{"<sip:alice@a>", "<sip:alice@a>", "<sip:alice@a>"},
	} {
		if got := stirshaken.StripVerstat(k.have); got != k.stripped {
			t.Errorf("strip %q: %q, want %q", k.have, got, k.stripped)
		}
		if got := passed.WriteVerstat(k.have); got != k.written {
			t.Errorf("write %q: %q, want %q", k.have, got, k.written)
		}
	}
	if got := (stirshaken.Verdict{}).Verstat(); got != "No-TN-Validation" {
		t.Errorf("zero verdict: %s", got)
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	var v stirshaken.Verdict
	if code, _ := v.Response(); v.Verified() || code == 0 || v.Tri() != ringfence.Unknown || v.Attested() != "failed" {
		t.Errorf("zero Verdict: %+v", v)
	}
	if stirshaken.Reason("").Code() != 503 || stirshaken.Reason("").Tri() != ringfence.Unknown {
		t.Error("zero Reason")
	}
	if _, ok := (stirshaken.Scope{}).Covers(caller); ok {
		t.Error("zero Scope covers")
	}
	if _, refusal, _ := new(stirshaken.Signer).Sign(stirshaken.SigningRequest{}, now); refusal != stirshaken.SignNoKey {
		t.Error("zero Signer signs")
	}
	if (stirshaken.Party{}).Equal(stirshaken.Party{}) {
		t.Error("nobody equals nobody")
	}
	ver, err := stirshaken.NewVerifier(stirshaken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ver.Close()
	b := newBench(t, stirshaken.Config{}, opts{})
	if v := ver.Verify(context.Background(), request(b.identity(t, stirshaken.SigningRequest{})), stirshaken.Peer{}, now); v.Reason != stirshaken.ReasonNoRoots {
		t.Errorf("zero Config: %s", v.Reason)
	}
}

func TestRevocation(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	list := func(ca *stirtest.Authority, at time.Time) []byte {
		der, err := ca.CRL(at)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	parse := func(ca *stirtest.Authority, at time.Time) (*stirshaken.CRL, *stirshaken.Refusal) {
		return stirshaken.ParseCRL(list(ca, at), ca.Signers(), now)
	}
	verdict := func(policy stirshaken.CRLPolicy, lists ...*stirshaken.CRL) stirshaken.Reason {
		store := new(stirshaken.CRLStore)
		for _, c := range lists {
			store.Put(c)
		}
		v, err := stirshaken.NewVerifier(stirshaken.Config{Trust: b.ca.Trust(), CRL: policy, CRLs: store})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		v.Preload(x5u, b.leaf.Bundle)
		return newShot(b).fire(t, &bench{v: v}).Reason
	}
	empty, r := parse(b.ca, now)
	if r != nil {
		t.Fatal(r)
	}
	b.ca.Revoke(b.leaf, now)
	full, r := parse(b.ca, now)
	if r != nil {
		t.Fatal(r)
	}
	root, err := b.ca.RootCRL(now)
	if err != nil {
		t.Fatal(err)
	}
	rootList, r := stirshaken.ParseCRL(root, b.ca.Signers(), now)
	if r != nil {
		t.Fatal(r)
	}
	for _, k := range []struct {
		name   string
		policy stirshaken.CRLPolicy
		lists  []*stirshaken.CRL
		want   stirshaken.Reason
	}{
		{"soft without list", stirshaken.CRLSoft, nil, stirshaken.ReasonValid},
		{"hard without list", stirshaken.CRLHard, nil, stirshaken.ReasonCRLMissing},
		{"hard with the leaf's list only", stirshaken.CRLHard, []*stirshaken.CRL{empty}, stirshaken.ReasonCRLMissing},
		{"hard with all lists", stirshaken.CRLHard, []*stirshaken.CRL{empty, rootList}, stirshaken.ReasonValid},
		{"revoked, soft", stirshaken.CRLSoft, []*stirshaken.CRL{full}, stirshaken.ReasonRevoked},
		{"revoked, hard", stirshaken.CRLHard, []*stirshaken.CRL{full, rootList}, stirshaken.ReasonRevoked},
	} {
		t.Run(k.name, func(t *testing.T) {
			if got := verdict(k.policy, k.lists...); got != k.want {
				t.Errorf("have %s, want %s", got, k.want)
			}
		})
	}
	t.Run("old list", func(t *testing.T) {
		if _, r := parse(b.ca, now.Add(-72*time.Hour)); r == nil || r.Reason != stirshaken.ReasonCRLStale {
			t.Error(r)
		}
	})
	t.Run("future list", func(t *testing.T) {
		if _, r := parse(b.ca, now.Add(72*time.Hour)); r == nil || r.Reason != stirshaken.ReasonCRLStale {
			t.Error(r)
		}
	})
	t.Run("signed by a stranger", func(t *testing.T) {
		other, _ := stirtest.New(now)
		if _, r := stirshaken.ParseCRL(list(other, now), b.ca.Signers(), now); r == nil || r.Reason != stirshaken.ReasonCRLSignature {
			t.Error(r)
		}
	})
	t.Run("flipped bit", func(t *testing.T) {
		der := list(b.ca, now)
		der[len(der)-3] ^= 1
		if _, r := stirshaken.ParseCRL(der, b.ca.Signers(), now); r == nil {
			t.Error("accepted")
		}
	})
	t.Run("indirect list of the administrator", func(t *testing.T) {
		pa, der, err := b.ca.IndirectCRL(now, b.leaf)
		if err != nil {
			t.Fatal(err)
		}
		c, r := stirshaken.ParseCRL(der, append(b.ca.Signers(), pa), now)
		if r != nil {
			t.Fatal(r)
		}
		if got := verdict(stirshaken.CRLHard, c); got != stirshaken.ReasonRevoked {
			t.Error(got)
		}
		_, none, err := b.ca.IndirectCRL(now)
		if err != nil {
			t.Fatal(err)
		}
		if _, r := stirshaken.ParseCRL(none, append(b.ca.Signers(), pa), now); r == nil || r.Reason != stirshaken.ReasonCRLSignature {
			t.Error("a list by another administrator was taken:", r)
		}
	})
	t.Run("an older list does not replace", func(t *testing.T) {
		s := new(stirshaken.CRLStore)
		older, r := parse(b.ca, now.Add(-time.Hour))
		if r != nil {
			t.Fatal(r)
		}
		if !s.Put(full) || s.Put(older) {
			t.Error("rolled back")
		}
	})
}
