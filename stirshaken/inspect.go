package stirshaken

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Finding is one line of an inspection: a part, its value and what it means.
type Finding struct {
	Part  string `json:"part"` // header, token, jose, claims, signature, certificate
	Name  string `json:"name"`
	Value string `json:"value,omitempty"` // as received, clipped; numbers are not masked
	Note  string `json:"note,omitempty"`
	Wrong bool   `json:"wrong,omitempty"`
}

// Inspection explains an Identity header field value. It is for people who
// look for a fault: it goes on after the first one, shows numbers in full and
// checks no signature.
type Inspection struct {
	Findings []Finding `json:"findings"`
	// Refusal is what a verifier would refuse the header for before it looks at
	// a certificate or at the call itself; nil when nothing.
	Refusal *Refusal `json:"refusal,omitempty"`
	// Code is the SIP response code of the refusal, 0 without one.
	Code int `json:"code,omitempty"`
}

// Inspect explains value at now.
func Inspect(value string, now time.Time) Inspection {
	in := &inspector{now: now}
	id, r := ParseIdentity(value)
	in.header(value, id, r)
	in.token(id)
	if r == nil {
		var p PASSporT
		r = p.parse(id, nil, nil)
		if r == nil && !known(p.PPT) && p.PPT != "" {
			r = refuse(ReasonUnknownPPT, strconv.Quote(clip(p.PPT)))
		}
		if r == nil {
			r = (FetchConfig{}).CheckX5U(p.X5U)
		}
		if r == nil && !p.Compact {
			r = in.age(&p)
		}
	}
	if in.out.Refusal = r; r != nil {
		in.out.Code = r.Reason.Code()
		in.blame(r)
	}
	return in.out
}

type inspector struct {
	now time.Time
	out Inspection
}

func (in *inspector) add(part, name, value, note string) *Finding {
	in.out.Findings = append(in.out.Findings, Finding{Part: part, Name: name, Value: shown(value), Note: note})
	return &in.out.Findings[len(in.out.Findings)-1]
}

func (in *inspector) wrong(part, name, value, note string) {
	in.add(part, name, value, note).Wrong = true
}

// shown makes outside text safe to print: quoted escapes for what is not
// printable ASCII, at most 200 bytes.
func shown(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// blame marks the finding that the refusal is about, or adds one.
func (in *inspector) blame(r *Refusal) {
	if r.Reason == ReasonUnknownPPT {
		return // no fault of the header's
	}
	for _, f := range in.out.Findings {
		if f.Wrong {
			return
		}
	}
	in.wrong("header", string(r.Reason), "", r.String())
}

func (in *inspector) header(value string, id Identity, r *Refusal) {
	in.add("header", "length", strconv.Itoa(len(value))+" bytes", "at most "+strconv.Itoa(MaxIdentityBytes))
	if r != nil {
		in.wrong("header", string(r.Reason), "", r.String())
		return
	}
	in.add("header", "info", id.Info, "where the certificate is")
	switch {
	case id.Alg == "":
		in.add("header", "alg", "", "absent, which means ES256 (RFC 8224, section 4)")
	case strings.EqualFold(id.Alg, "ES256"):
		in.add("header", "alg", id.Alg, "ECDSA over P-256 with SHA-256")
	default:
		in.wrong("header", "alg", id.Alg, "only ES256 is defined for PASSporTs (RFC 8225, section 4.2)")
	}
	switch {
	case id.PPT == "":
		in.add("header", "ppt", "", "absent: a baseline PASSporT, which attests nothing")
	case known(strings.ToLower(id.PPT)):
		in.add("header", "ppt", id.PPT, pptNote(strings.ToLower(id.PPT)))
	default:
		in.add("header", "ppt", id.PPT, "an unknown type: a verifier ignores this header (RFC 8224, section 6.2)")
	}
	if id.Extra > 0 {
		in.add("header", "other parameters", strconv.Itoa(id.Extra), "ignored")
	}
}

func pptNote(ppt string) string {
	switch ppt {
	case PPTShaken:
		return "SHAKEN: the originating network attests the caller (RFC 8588)"
	case PPTDiv:
		return "a diversion of the call (RFC 8946); attests nothing itself"
	case PPTRCD:
		return "rich call data: name and reason (RFC 9795)"
	default:
		return ""
	}
}

func (in *inspector) token(id Identity) {
	parts := strings.Split(id.Token, ".")
	if id.Token == "" || len(parts) != 3 {
		if id.Token != "" {
			in.wrong("token", "parts", strconv.Itoa(len(parts)), "header.claims.signature are three (RFC 8225, section 6)")
		}
		return
	}
	if parts[0] == "" && parts[1] == "" {
		in.add("token", "form", "compact", "only the signature; the rest is rebuilt from From, To and Date (RFC 8225, section 7)")
	} else {
		in.add("token", "form", "full", "header.claims.signature")
		if d := in.object("jose", parts[0]); d != nil {
			in.jose(d, id)
		}
		if d := in.object("claims", parts[1]); d != nil {
			in.claims(d, strings.ToLower(id.PPT))
		}
	}
	in.signature(parts[2])
}

func (in *inspector) object(part, text string) *jdoc {
	b, ok := decode64(nil, text)
	if !ok {
		in.wrong(part, "base64url", text, "not strict base64url: no padding, no line breaks, no loose bits (RFC 7515, section 2)")
		return nil
	}
	d, why := parseJSON(string(b), nil)
	if why != "" {
		in.wrong(part, "JSON", string(b), why)
		return nil
	}
	if d.nodes[0].kind != jObject {
		in.wrong(part, "JSON", string(b), "not an object")
		return nil
	}
	if string(d.canonical(nil, 0)) != string(b) {
		in.add(part, "form", "not canonical", "members out of order or white space (RFC 8225, section 9); full form verifies all the same")
	}
	return &d
}

// must records a member and, when bad is not empty, what is wrong with it.
func (in *inspector) must(part string, d *jdoc, name, note, bad string) {
	value := ""
	if at := d.member(0, name); at >= 0 {
		value = d.src[d.nodes[at].start:d.nodes[at].end]
		if d.nodes[at].kind == jString {
			value = d.nodes[at].text
		}
	}
	if bad != "" {
		in.wrong(part, name, value, bad)
		return
	}
	in.add(part, name, value, note)
}

func (in *inspector) jose(d *jdoc, id Identity) {
	is := func(name, want, bad string) string {
		if got, _ := d.text(0, name); got != want {
			return bad
		}
		return ""
	}
	for c := d.nodes[0].child; c != 0; c = d.nodes[c].next {
		switch name := d.nodes[c].key; name {
		case "alg":
			in.must("jose", d, name, "checked before any key is used", is(name, "ES256", "must be ES256"))
		case "typ":
			in.must("jose", d, name, "", is(name, "passport", "must be passport (RFC 8225, section 4.1)"))
		case "ppt":
			bad := ""
			if got, _ := d.text(0, name); got == "" || !strings.EqualFold(got, id.PPT) {
				bad = "differs from the header's ppt parameter"
			}
			in.must("jose", d, name, pptNote(strings.ToLower(id.PPT)), bad)
		case "x5u":
			bad := is(name, id.Info, "differs from the header's info parameter")
			if got, _ := d.text(0, name); bad == "" {
				if r := (FetchConfig{}).CheckX5U(got); r != nil {
					bad = r.String()
				}
			}
			in.must("jose", d, name, "https, port 443 or 8443, no query", bad)
		case "crit", "b64":
			in.must("jose", d, name, "", "no PASSporT uses it; refused")
		case "jwk", "x5c", "jku", "kid":
			in.must("jose", d, name, "ignored: the key comes from x5u only", "")
		default:
			in.must("jose", d, name, "unknown, ignored", "")
		}
	}
	for _, name := range []string{"alg", "typ", "x5u"} {
		if d.member(0, name) < 0 {
			in.wrong("jose", name, "", "missing")
		}
	}
	if id.PPT != "" && d.member(0, "ppt") < 0 {
		in.wrong("jose", "ppt", "", "missing, although the header has a ppt parameter")
	}
}

func (in *inspector) claims(d *jdoc, ppt string) {
	for c := d.nodes[0].child; c != 0; c = d.nodes[c].next {
		name := d.nodes[c].key
		note, bad := in.claim(d, int(c), name, ppt)
		in.must("claims", d, name, note, bad)
	}
	need := []string{"dest", "iat", "orig"}
	switch ppt {
	case PPTShaken:
		need = append(need, "attest", "origid")
	case PPTDiv:
		need = append(need, "div")
	case PPTRCD:
		need = append(need, "rcd")
	}
	for _, name := range need {
		if d.member(0, name) < 0 {
			in.wrong("claims", name, "", "missing")
		}
	}
}

func (in *inspector) claim(d *jdoc, at int, name, ppt string) (note, bad string) {
	switch name {
	case "iat":
		iat, r := readIat(d)
		if r != nil {
			return "", r.Detail
		}
		return iat.UTC().Format(time.RFC3339) + ", " + ago(in.now.Sub(iat)), ""
	case "orig":
		_, bad = readParty(d, at, ppt == PPTShaken)
		return "the caller, exactly one", bad
	case "dest":
		_, bad = readDest(d, at)
		return "whom the caller called", bad
	case "div":
		_, bad = readDiv(d, at)
		return "who diverted the call", bad
	case "attest":
		switch a, _ := d.text(0, name); a {
		case "A":
			return "full: the network knows the customer and their right to the number", ""
		case "B":
			return "partial: the network knows the customer, not their right to the number", ""
		case "C":
			return "gateway: the network only passed the call on", ""
		}
		return "", "must be exactly A, B or C (RFC 8588, section 4)"
	case "origid":
		if id, _ := d.text(0, name); !validUUID(id) {
			return "", "must be a UUID (RFC 8588, section 5)"
		}
		return "where the call entered the network", ""
	case "rcd", "rcdi", "crn":
		p := PASSporT{PPT: ppt, claims: *d}
		if r := p.readRCD(); r != nil && (r.Reason == ReasonRCDI) == (name == "rcdi") {
			return "", r.String()
		}
		return "rich call data: shown only when the PASSporT verifies", ""
	}
	for _, lower := range []string{"attest", "dest", "iat", "orig", "origid", "div"} {
		if strings.EqualFold(name, lower) {
			return "names are case-sensitive: this is not " + lower + " and is ignored", ""
		}
	}
	return "unknown, ignored", ""
}

func ago(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d < 0 {
		return (-d).String() + " in the future"
	}
	return d.String() + " ago"
}

func (in *inspector) signature(s string) {
	var p PASSporT
	if r := p.signature(s); r != nil {
		in.wrong("signature", "r, s", s, r.String())
		return
	}
	half := "low s"
	twin := p.sig
	if lowS(twin[32:]); twin != p.sig {
		half = "high s, which is as valid"
	}
	in.add("signature", "r", hex.EncodeToString(p.sig[:32]), "")
	in.add("signature", "s", hex.EncodeToString(p.sig[32:]), half)
}

// age says whether the PASSporT is fresh, which depends on now only.
func (in *inspector) age(p *PASSporT) *Refusal {
	switch age := in.now.Sub(p.Iat); {
	case age > DefaultFreshness:
		in.wrong("freshness", "iat", "", "too old: at most "+DefaultFreshness.String())
		return refuse(ReasonStale, ago(age))
	case -age > DefaultSkew:
		in.wrong("freshness", "iat", "", "in the future by more than "+DefaultSkew.String())
		return refuse(ReasonFuture, ago(age))
	}
	return nil
}

// InspectCertificate explains a certificate bundle, and whether it leads to
// the trust list at now; trust may be nil, which leaves that out.
func InspectCertificate(bundle []byte, trust *TrustList, now time.Time) ([]Finding, *Refusal) {
	in := &inspector{now: now}
	certs, r := parseBundle(bundle, nil)
	if r != nil {
		in.wrong("certificate", "bundle", "", r.String())
		return in.out.Findings, r
	}
	for i, c := range certs {
		part := "certificate"
		if i > 0 {
			part = "certificate " + strconv.Itoa(i+1)
		}
		in.add(part, "subject", c.Subject.String(), "")
		in.add(part, "issuer", c.Issuer.String(), "")
		in.add(part, "serial", c.SerialNumber.Text(16), "")
		f := in.add(part, "valid", fmt.Sprintf("%s to %s", c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339)), "")
		if w := checkWindow(c, now); w != nil {
			f.Wrong, f.Note = true, w.String()
		}
		if i == 0 {
			if w := checkLeaf(c); w != nil {
				in.wrong(part, "key and usage", "", w.String())
			}
		}
		switch ext := extension(c, OIDTNAuthList); {
		case ext != nil:
			s, w := ParseTNAuthList(ext)
			if w != nil {
				in.wrong(part, "TNAuthList", hex.EncodeToString(ext), w.String())
			} else {
				in.add(part, "TNAuthList", s.String(), "what it may sign for")
			}
		case i == 0:
			in.wrong(part, "TNAuthList", "", ReasonNoTNAuthList.Sentence())
		}
		for _, enhanced := range []bool{false, true} {
			oid := OIDClaimConstraints
			if enhanced {
				oid = OIDEnhancedConstraints
			}
			if ext := extension(c, oid); ext != nil {
				con, w := ParseConstraints(ext, enhanced)
				if w != nil {
					in.wrong(part, "claim constraints", "", w.String())
				} else {
					in.add(part, "claim constraints", fmt.Sprintf("must include %q, permitted %q, must exclude %q", con.MustInclude, con.Permitted, con.MustExclude), "")
				}
			}
		}
	}
	if trust == nil {
		return in.out.Findings, nil
	}
	if _, r = buildChain(certs, trust, nil, now); r != nil {
		in.wrong("certificate", "trust", "", r.String())
	} else {
		in.add("certificate", "trust", "leads to a trusted root", "")
	}
	return in.out.Findings, r
}
