package stirshaken

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strconv"
	"strings"
)

// readRCD checks the form of rcd, rcdi and crn (RFC 9795, sections 5, 6 and 8)
// wherever they stand. An rcd PASSporT must have an rcd claim.
func (p *PASSporT) readRCD() *Refusal {
	d := &p.claims
	rcd, crn, rcdi := d.member(0, "rcd"), d.member(0, "crn"), d.member(0, "rcdi")
	if p.PPT == PPTRCD && rcd < 0 {
		return refuse(ReasonRCD, "no rcd claim")
	}
	if rcd >= 0 {
		if d.nodes[rcd].kind != jObject {
			return refuse(ReasonRCD, "not an object")
		}
		var ok bool
		if p.Name, ok = d.text(rcd, "nam"); !ok {
			return refuse(ReasonRCD, "no nam")
		}
		for _, key := range [...]string{"apn", "icn", "jcl"} {
			if m := d.member(rcd, key); m >= 0 && d.nodes[m].kind != jString {
				return refuse(ReasonRCD, key+" is not a string")
			}
		}
		jcd, jcl := d.member(rcd, "jcd"), d.member(rcd, "jcl")
		if jcd >= 0 && d.nodes[jcd].kind != jArray {
			return refuse(ReasonRCD, "jcd is not an array")
		}
		if jcd >= 0 && jcl >= 0 {
			return refuse(ReasonRCD, "both jcd and jcl")
		}
	}
	if crn >= 0 {
		if d.nodes[crn].kind != jString {
			return refuse(ReasonRCD, "crn is not a string")
		}
		p.CRN = d.nodes[crn].text
	}
	if rcdi < 0 {
		return nil
	}
	if rcd < 0 || d.nodes[rcdi].kind != jObject || d.nodes[rcdi].n == 0 {
		return refuse(ReasonRCDI, "not an object of digests beside an rcd claim")
	}
	for c := d.nodes[rcdi].child; c != 0; c = d.nodes[c].next {
		n := &d.nodes[c]
		if n.kind != jString || !strings.HasPrefix(n.key, "/") {
			return refuse(ReasonRCDI, strconv.Quote(clip(n.key)))
		}
		if _, _, ok := cutDigest(n.text); !ok {
			return refuse(ReasonRCDI, strconv.Quote(clip(n.key)))
		}
	}
	return nil
}

// cutDigest reads "sha256-…", "sha384-…" or "sha512-…" (RFC 9795, section 6).
func cutDigest(s string) (alg string, sum []byte, ok bool) {
	alg, text, found := strings.Cut(s, "-")
	if !found {
		return "", nil, false
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return "", nil, false
	}
	want := map[string]int{"sha256": 32, "sha384": 48, "sha512": 64}[alg]
	return alg, sum, want > 0 && len(sum) == want
}

// richCallData gives what may be shown of a PASSporT that has verified, nil
// when it has nothing. Digests of what is in the claim itself are checked
// (RFC 9795, section 6.1.1); what they say of content behind a URI is not,
// since nothing behind a URI is ever shown.
func (p *PASSporT) richCallData() (*RichCallData, *Refusal) {
	d := &p.claims
	if len(d.nodes) == 0 || p.Name == "" && p.CRN == "" {
		return nil, nil
	}
	rcd := d.member(0, "rcd")
	if rcdi := d.member(0, "rcdi"); rcdi >= 0 {
		for c := d.nodes[rcdi].child; c != 0; c = d.nodes[c].next {
			n := &d.nodes[c]
			at := d.pointer(rcd, n.key)
			if at < 0 {
				return nil, refuse(ReasonRCDIntegrity, strconv.Quote(clip(n.key))+" points at nothing")
			}
			if d.nodes[at].kind == jString && n.key != "/nam" && n.key != "/apn" {
				continue // content behind a URI
			}
			if !digestMatches(n.text, d.canonical(nil, at)) &&
				!(d.nodes[at].kind == jString && digestMatches(n.text, []byte(d.nodes[at].text))) {
				return nil, refuse(ReasonRCDIntegrity, strconv.Quote(clip(n.key)))
			}
		}
	}
	return &RichCallData{Name: p.Name, Reason: p.CRN}, nil
}

func digestMatches(want string, b []byte) bool {
	alg, sum, ok := cutDigest(want)
	if !ok {
		return false
	}
	switch alg {
	case "sha256":
		h := sha256.Sum256(b)
		return string(h[:]) == string(sum)
	case "sha384":
		h := sha512.Sum384(b)
		return string(h[:]) == string(sum)
	default:
		h := sha512.Sum512(b)
		return string(h[:]) == string(sum)
	}
}

// pointer follows a JSON pointer (RFC 6901) from a node.
func (d *jdoc) pointer(at int, path string) int {
	for path != "" && at >= 0 {
		var step string
		step, path, _ = strings.Cut(path[1:], "/")
		if path != "" {
			path = "/" + path
		}
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		if d.nodes[at].kind != jArray {
			at = d.member(at, step)
			continue
		}
		i, err := strconv.ParseUint(step, 10, 16)
		if err != nil || len(step) > 1 && step[0] == '0' {
			return -1
		}
		c := d.nodes[at].child
		for ; c != 0 && i > 0; i-- {
			c = d.nodes[c].next
		}
		if at = int(c); c == 0 {
			return -1
		}
	}
	return at
}
