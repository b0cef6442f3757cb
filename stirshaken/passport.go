package stirshaken

import (
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
)

// The PASSporT types that are known here (RFC 8225, section 8). The empty type
// is the baseline PASSporT.
const (
	PPTShaken = "shaken" // RFC 8588
	PPTDiv    = "div"    // RFC 8946
	PPTRCD    = "rcd"    // RFC 9795
)

// PASSporT is a parsed token. Parsing checks form and claims, not the
// signature: nothing in it is true until a Verifier has said so.
type PASSporT struct {
	Compact bool   // only the signature was received (RFC 8225, section 7)
	Alg     string // JOSE alg
	Typ     string // JOSE typ
	PPT     string // JOSE ppt; "" is baseline
	X5U     string // JOSE x5u
	Iat     time.Time
	Orig    Party
	Dest    []Party
	Attest  ringfence.Attest // shaken only
	OrigID  string           // shaken only
	Div     Party            // div only: the party that diverted the call
	CRN     string           // call reason, RFC 9795, section 8; a claim until verified
	Name    string           // rcd nam

	signed string   // what the signature covers, as received
	sig    [64]byte // r and s
	claims jdoc
	jose   *jose
}

// known reports whether a PASSporT type is one that is checked here.
func known(ppt string) bool { return ppt == PPTShaken || ppt == PPTDiv || ppt == PPTRCD }

// ParsePASSporT reads the token of an Identity header in full form. The order
// of its checks is fixed: form, JOSE header (alg before anything that names a
// key), claims.
func ParsePASSporT(id Identity) (*PASSporT, *Refusal) {
	p := new(PASSporT)
	return p, p.parse(id, nil, nil)
}

// IdentityOf makes an Identity header field value of a bare PASSporT in full
// form, such as a call placement service keeps (RFC 8816): info is the token's
// own x5u. What it gives still has to be verified.
func IdentityOf(token string) (string, *Refusal) {
	if len(token) > MaxIdentityBytes {
		return "", refuse(ReasonHeaderTooLong, "")
	}
	head, rest, ok := strings.Cut(token, ".")
	if !ok || strings.Count(rest, ".") != 1 || head == "" {
		return "", refuse(ReasonSegments, "")
	}
	for i := range len(token) {
		if !tokenByte[token[i]] {
			return "", refuse(ReasonBase64, "")
		}
	}
	b, ok := decode64(nil, head)
	if !ok {
		return "", refuse(ReasonBase64, "header part")
	}
	d, why := parseJSON(string(b), nil)
	if why != "" || d.nodes[0].kind != jObject {
		return "", refuse(ReasonHeaderJSON, why)
	}
	x5u, _ := d.text(0, "x5u")
	if x5u == "" || badByte(x5u) >= 0 || strings.ContainsAny(x5u, lws+`<>"`) {
		return "", refuse(ReasonX5UMissing, "")
	}
	value := token + ";info=<" + x5u + ">;alg=ES256"
	if ppt, ok := d.text(0, "ppt"); ok {
		name, rest := cutToken(ppt)
		if name == "" || rest != "" {
			return "", refuse(ReasonPPTMismatch, "")
		}
		value += `;ppt="` + ppt + `"`
	}
	return value, nil
}

func (p *PASSporT) parse(id Identity, memo *headerMemo, nodes []jnode) *Refusal {
	if id.Alg != "" && !strings.EqualFold(id.Alg, "ES256") {
		return refuse(ReasonAlgParam, strconv.Quote(clip(id.Alg)))
	}
	head, rest, ok1 := strings.Cut(id.Token, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.IndexByte(sig, '.') >= 0 {
		return refuse(ReasonSegments, strconv.Itoa(strings.Count(id.Token, ".")+1)+" parts")
	}
	if head == "" && body == "" {
		p.Compact = true
		p.PPT, p.X5U, p.Alg, p.Typ = id.PPT, id.Info, "ES256", "passport"
		return p.signature(sig)
	}
	if head == "" || body == "" {
		return refuse(ReasonSegments, "an empty part")
	}
	var room [512]byte
	if r := p.readHeader(head, room[:0], memo); r != nil {
		return r
	}
	if r := p.header(id); r != nil {
		return r
	}
	buf, ok := decode64(room[:0], body)
	if !ok {
		return refuse(ReasonBase64, "claims part")
	}
	var why string
	if p.claims, why = parseJSON(string(buf), nodes); why != "" {
		return refuse(ReasonClaimsJSON, why)
	}
	if p.claims.nodes[0].kind != jObject {
		return refuse(ReasonClaimsJSON, "not an object")
	}
	if r := p.signature(sig); r != nil {
		return r
	}
	p.signed = id.Token[:len(head)+1+len(body)]
	return p.readClaims()
}

// jose is what a JOSE header says, as far as it matters.
type jose struct {
	segment            string // the encoded text
	alg, typ, ppt, x5u string
	hasPPT             bool // the member is there, whatever it is
	crit, b64          bool
}

// headerMemo remembers JOSE headers by their encoded text: all PASSporTs of a
// signer have the same one. It holds what was read, not a judgement, so one
// text has one reading with and without it. It is a small table in which
// newer headers take the places of older ones.
type headerMemo [64]atomic.Pointer[jose]

func (m *headerMemo) slot(segment string) *atomic.Pointer[jose] {
	h := uint32(2166136261)
	for i := max(0, len(segment)-48); i < len(segment); i++ { // x5u, which differs, is at the end
		h = (h ^ uint32(segment[i])) * 16777619
	}
	return &m[h%uint32(len(m))]
}

// readHeader decodes a JOSE header into p.
func (p *PASSporT) readHeader(segment string, room []byte, memo *headerMemo) *Refusal {
	if memo != nil {
		if j := memo.slot(segment).Load(); j != nil && j.segment == segment {
			p.jose = j
			return nil
		}
	}
	buf, ok := decode64(room, segment)
	if !ok {
		return refuse(ReasonBase64, "header part")
	}
	d, why := parseJSON(string(buf), make([]jnode, 0, 6))
	if why != "" {
		return refuse(ReasonHeaderJSON, why)
	}
	if d.nodes[0].kind != jObject {
		return refuse(ReasonHeaderJSON, "not an object")
	}
	j := &jose{segment: segment, hasPPT: d.member(0, "ppt") >= 0, crit: d.member(0, "crit") >= 0, b64: d.member(0, "b64") >= 0}
	j.alg, _ = d.text(0, "alg")
	j.typ, _ = d.text(0, "typ")
	j.ppt, _ = d.text(0, "ppt")
	j.x5u, _ = d.text(0, "x5u")
	if memo != nil && len(segment) <= 1024 {
		j.segment = strings.Clone(segment) // not the whole header with it
		memo.slot(segment).Store(j)
	}
	p.jose = j
	return nil
}

// header checks the JOSE header (RFC 8225, section 4; RFC 8224, section 4.1).
func (p *PASSporT) header(id Identity) *Refusal {
	j := p.jose
	p.Alg, p.Typ, p.PPT, p.X5U = j.alg, j.typ, j.ppt, j.x5u
	switch {
	case j.alg != "ES256":
		return refuse(ReasonAlg, strconv.Quote(clip(j.alg)))
	case j.crit:
		return refuse(ReasonCrit, "")
	case j.b64:
		return refuse(ReasonB64, "")
	case j.typ != "passport":
		return refuse(ReasonTyp, strconv.Quote(clip(j.typ)))
	case !strings.EqualFold(j.ppt, id.PPT), j.hasPPT && j.ppt == "":
		return refuse(ReasonPPTMismatch, "token "+strconv.Quote(clip(j.ppt))+", parameter "+strconv.Quote(clip(id.PPT)))
	case j.x5u == "":
		return refuse(ReasonX5UMissing, "")
	case j.x5u != id.Info:
		return refuse(ReasonX5UMismatch, "")
	}
	return nil
}

// order is n of P-256 (FIPS 186-5), big-endian.
var order = [32]byte{
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
}

// signature reads r and s: 32 bytes each, in [1, n-1] (RFC 7518, section 3.4).
// A high s is accepted, as ECDSA does.
func (p *PASSporT) signature(s string) *Refusal {
	if len(s) != 86 {
		return refuse(ReasonSignatureForm, "86 characters expected, not "+strconv.Itoa(len(s)))
	}
	var buf [66]byte
	b, ok := decode64(buf[:0], s)
	if !ok {
		return refuse(ReasonBase64, "signature part")
	}
	copy(p.sig[:], b)
	if !inRange(p.sig[:32]) {
		return refuse(ReasonSignatureForm, "r out of range")
	}
	if !inRange(p.sig[32:]) {
		return refuse(ReasonSignatureForm, "s out of range")
	}
	return nil
}

func inRange(b []byte) bool {
	zero := true
	for _, c := range b {
		zero = zero && c == 0
	}
	if zero {
		return false
	}
	for i, c := range b {
		if c != order[i] {
			return c < order[i]
		}
	}
	return false
}

func (p *PASSporT) readClaims() *Refusal {
	d := &p.claims
	iat, r := readIat(d)
	if r != nil {
		return r
	}
	p.Iat = iat
	var why string
	if p.Orig, why = readParty(d, d.member(0, "orig"), p.PPT == PPTShaken); why != "" {
		return refuse(ReasonOrig, why)
	}
	if p.Dest, why = readDest(d, d.member(0, "dest")); why != "" {
		return refuse(ReasonDest, why)
	}
	switch p.PPT {
	case PPTShaken:
		if r := p.readShaken(); r != nil {
			return r
		}
	case PPTDiv:
		if p.Div, why = readDiv(d, d.member(0, "div")); why != "" {
			return refuse(ReasonDiv, why)
		}
	}
	return p.readRCD()
}

// readShaken checks the claims of RFC 8588, sections 4 and 5.
func (p *PASSporT) readShaken() *Refusal {
	attest, ok := p.claims.text(0, "attest")
	switch a := ringfence.Attest(attest); a {
	case ringfence.AttestFull, ringfence.AttestPartial, ringfence.AttestGateway:
		p.Attest = a
	default:
		if !ok {
			return refuse(ReasonAttest, "missing or not a string")
		}
		return refuse(ReasonAttest, strconv.Quote(clip(attest)))
	}
	p.OrigID, ok = p.claims.text(0, "origid")
	if !ok {
		return refuse(ReasonOrigID, "missing or not a string")
	}
	if !validUUID(p.OrigID) {
		return refuse(ReasonOrigID, strconv.Quote(clip(p.OrigID)))
	}
	return nil
}

// validUUID checks the text form of RFC 9562, section 4 (RFC 8588, section 5:
// the value of origid is a UUID). Version and variant are not looked at.
func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if _, ok := unhex(s, i); !ok {
			return false
		}
	}
	return true
}

// readIat reads NumericDate (RFC 7519, section 2): a JSON number of seconds.
// Fractions are cut; anything outside the years 1970 to 9999 is refused, so
// that no sum with it can overflow.
func readIat(d *jdoc) (time.Time, *Refusal) {
	at := d.member(0, "iat")
	if at < 0 {
		return time.Time{}, refuse(ReasonIat, "missing")
	}
	if d.nodes[at].kind != jNumber {
		return time.Time{}, refuse(ReasonIat, "not a number")
	}
	const most = 253402300800
	text := d.nodes[at].text
	if sec, err := strconv.ParseInt(text, 10, 64); err == nil {
		if sec < 0 || sec >= most {
			return time.Time{}, refuse(ReasonIat, "out of range")
		}
		return time.Unix(sec, 0), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f >= most {
		return time.Time{}, refuse(ReasonIat, "out of range")
	}
	return time.Unix(int64(f), 0), nil
}

// readParty reads an object with exactly one identity (RFC 8225, section
// 5.2.1).
func readParty(d *jdoc, at int, tnOnly bool) (Party, string) {
	if at < 0 {
		return Party{}, "missing"
	}
	if d.nodes[at].kind != jObject {
		return Party{}, "not an object"
	}
	if d.nodes[at].n != 1 {
		return Party{}, "not exactly one identity"
	}
	return readIdentity(d, at, tnOnly)
}

func readIdentity(d *jdoc, at int, tnOnly bool) (Party, string) {
	if tn, ok := d.text(at, "tn"); ok {
		if !canonicalTN(tn) {
			return Party{}, "tn is not a canonical number"
		}
		return Party{TN: ringfence.TN(tn)}, ""
	}
	if d.member(at, "tn") >= 0 {
		return Party{}, "tn is not a string"
	}
	uri, ok := d.text(at, "uri")
	if !ok {
		return Party{}, "neither a tn nor a uri string"
	}
	if tnOnly {
		return Party{}, "a uri where a tn is demanded"
	}
	return readURI(uri)
}

func readURI(uri string) (Party, string) {
	n, ok := normalURI(uri)
	if !ok {
		return Party{}, "uri is not a URI"
	}
	return Party{URI: n}, ""
}

// readDiv reads the div claim (RFC 8946, section 3): one tn or uri, and an
// optional hi.
func readDiv(d *jdoc, at int) (Party, string) {
	if at < 0 {
		return Party{}, "missing"
	}
	if d.nodes[at].kind != jObject {
		return Party{}, "not an object"
	}
	tn, uri, hi := d.member(at, "tn"), d.member(at, "uri"), d.member(at, "hi")
	n := int32(0)
	for _, m := range []int{tn, uri, hi} {
		if m >= 0 {
			n++
		}
	}
	if n != d.nodes[at].n || tn >= 0 && uri >= 0 || hi >= 0 && d.nodes[hi].kind != jString {
		return Party{}, "not exactly one identity"
	}
	return readIdentity(d, at, false)
}

// readDest reads tn and uri arrays, at least one of them, none empty.
func readDest(d *jdoc, at int) ([]Party, string) {
	if at < 0 {
		return nil, "missing"
	}
	if d.nodes[at].kind != jObject {
		return nil, "not an object"
	}
	tn, uri := d.member(at, "tn"), d.member(at, "uri")
	total := int32(0)
	for _, list := range []int{tn, uri} {
		if list < 0 {
			continue
		}
		if d.nodes[list].kind != jArray {
			return nil, d.nodes[list].key + " is not an array"
		}
		if d.nodes[list].n == 0 {
			return nil, d.nodes[list].key + " is empty"
		}
		total += d.nodes[list].n
	}
	if total == 0 {
		return nil, "neither tn nor uri"
	}
	if total > MaxDestinations {
		return nil, "more than " + strconv.Itoa(MaxDestinations) + " parties"
	}
	out := make([]Party, 0, total)
	for _, list := range []int{tn, uri} {
		if list < 0 {
			continue
		}
		for c := d.nodes[list].child; c != 0; c = d.nodes[c].next {
			n := &d.nodes[c]
			switch {
			case n.kind != jString:
				return nil, d.nodes[list].key + " holds something other than a string"
			case list == tn:
				if !canonicalTN(n.text) {
					return nil, "tn is not a canonical number"
				}
				out = append(out, Party{TN: ringfence.TN(n.text)})
			default:
				p, why := readURI(n.text)
				if why != "" {
					return nil, why
				}
				out = append(out, p)
			}
		}
	}
	return out, ""
}

// text returns a string member.
func (d *jdoc) text(at int, key string) (string, bool) {
	m := d.member(at, key)
	if m < 0 || d.nodes[m].kind != jString {
		return "", false
	}
	return d.nodes[m].text, true
}
