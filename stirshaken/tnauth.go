package stirshaken

import (
	"encoding/asn1"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence"
)

// OIDs of the certificate extensions of STIR.
var (
	// OIDTNAuthList is id-pe-TNAuthList (RFC 8226, section 9).
	OIDTNAuthList = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}
	// OIDClaimConstraints is id-pe-JWTClaimConstraints (RFC 8226, section 8).
	OIDClaimConstraints = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 27}
	// OIDEnhancedConstraints is id-pe-eJWTClaimConstraints (RFC 9118, section 3).
	OIDEnhancedConstraints = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 33}
)

// Scope is what a certificate may sign for: its TNAuthList (RFC 8226, section
// 9). The zero value covers nothing.
type Scope struct {
	SPCs    []string       // service provider codes: every number of that provider
	Ranges  []NumberRange  // blocks of numbers
	Numbers []ringfence.TN // single numbers
}

// NumberRange is Count numbers from Start on, all of the length of Start: it
// ends at the last number of that length, however big Count is.
type NumberRange struct {
	Start ringfence.TN // digits only
	Count uint64       // at least 2; saturates
}

// Covers reports whether the scope holds tn and by which entry. A provider
// code covers every number: which numbers a provider has is not in the
// certificate.
func (s Scope) Covers(tn ringfence.TN) (by string, ok bool) {
	if tn == "" {
		return "", false
	}
	if slices.Contains(s.Numbers, tn) {
		return "number", true
	}
	for _, r := range s.Ranges {
		if r.contains(tn) {
			return "range", true
		}
	}
	if len(s.SPCs) > 0 {
		return "provider code", true
	}
	return "", false
}

// bounds gives the first and last number of the range as integers.
func (r NumberRange) bounds() (first, last uint64, digits int, ok bool) {
	first, err := strconv.ParseUint(string(r.Start), 10, 64)
	if err != nil || r.Count == 0 || len(r.Start) > 15 {
		return 0, 0, 0, false
	}
	most := uint64(math.Pow10(len(r.Start))) - 1
	last = most
	if r.Count-1 < most-first {
		last = first + r.Count - 1
	}
	return first, last, len(r.Start), true
}

func (r NumberRange) contains(tn ringfence.TN) bool {
	if len(tn) != len(r.Start) || !digitsOnly(string(tn)) {
		return false
	}
	first, last, _, ok := r.bounds()
	n, err := strconv.ParseUint(string(tn), 10, 64)
	return ok && err == nil && n >= first && n <= last
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Within reports whether every entry of s lies inside parent (RFC 9060,
// section 4). Numbers below a provider code are accepted: only the provider
// and its registry know which numbers it has.
func (s Scope) Within(parent Scope) bool {
	for _, c := range s.SPCs {
		if !slices.Contains(parent.SPCs, c) {
			return false
		}
	}
	if len(parent.SPCs) > 0 {
		return true
	}
	for _, n := range s.Numbers {
		if _, ok := parent.Covers(n); !ok {
			return false
		}
	}
	for _, r := range s.Ranges {
		if !parent.holdsRange(r) {
			return false
		}
	}
	return true
}

// holdsRange walks the parent's intervals in order and looks for a gap.
func (s Scope) holdsRange(r NumberRange) bool {
	from, to, digits, ok := r.bounds()
	if !ok {
		return false
	}
	type span struct{ first, last uint64 }
	var spans []span
	add := func(r NumberRange) {
		if first, last, d, ok := r.bounds(); ok && d == digits {
			spans = append(spans, span{first, last})
		}
	}
	for _, r := range s.Ranges {
		add(r)
	}
	for _, n := range s.Numbers {
		if digitsOnly(string(n)) {
			add(NumberRange{n, 1})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	for _, sp := range spans {
		if sp.first > from {
			return false
		}
		if sp.last >= to {
			return true
		}
		if sp.last >= from {
			from = sp.last + 1
		}
	}
	return false
}

// ParseTNAuthList reads the extension value in strict DER. The module of RFC
// 8226 has EXPLICIT tags: each choice wraps its string or sequence once more.
func ParseTNAuthList(ext []byte) (Scope, *Refusal) {
	var s Scope
	bad := func(why string) (Scope, *Refusal) { return Scope{}, refuse(ReasonTNAuthList, why) }
	list, ok := der(ext).only(tagSequence)
	if !ok {
		return bad("not one DER sequence")
	}
	if len(list) == 0 {
		return bad("empty list")
	}
	for n := 0; len(list) > 0; n++ {
		if n == MaxTNAuthEntries {
			return bad("more than " + strconv.Itoa(MaxTNAuthEntries) + " entries")
		}
		tag, body, ok := list.next()
		if !ok {
			return bad("entry " + strconv.Itoa(n) + " is not DER")
		}
		switch tag {
		case tagContext0:
			spc, ok := body.only(tagIA5)
			if !ok {
				return bad("provider code without its explicit tag")
			}
			if len(spc) == 0 || len(spc) > 64 || !printable(spc) {
				return bad("provider code of forbidden length or bytes")
			}
			s.SPCs = append(s.SPCs, string(spc))
		case tagContext1:
			r, why := readRange(body)
			if why != "" {
				return bad(why)
			}
			s.Ranges = append(s.Ranges, r)
		case tagContext2:
			tn, why := readNumber(body)
			if why != "" {
				return bad(why)
			}
			s.Numbers = append(s.Numbers, tn)
		default:
			return bad("unknown kind of entry")
		}
	}
	return s, nil
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// readNumber reads TelephoneNumber: IA5String (SIZE (1..15)) of digits, * and #.
func readNumber(b der) (ringfence.TN, string) {
	body, ok := b.only(tagIA5)
	if !ok {
		return "", "number without its explicit tag"
	}
	if len(body) > 15 || !canonicalTN(string(body)) {
		return "", "number of forbidden length or bytes"
	}
	return ringfence.TN(body), ""
}

// readRange reads TelephoneNumberRange: start and count, 2 or more.
func readRange(b der) (r NumberRange, why string) {
	seq, ok := b.only(tagSequence)
	if !ok {
		return r, "range without its explicit tag"
	}
	tag, start, ok := seq.next()
	if !ok || tag != tagIA5 || len(start) > 15 || !digitsOnly(string(start)) {
		return r, "range start is not digits"
	}
	count, ok := seq.only(tagInteger)
	if !ok || len(count) == 0 {
		return r, "range count is not one integer"
	}
	if count[0]&0x80 != 0 {
		return r, "range count is negative"
	}
	if len(count) > 1 && count[0] == 0 && count[1]&0x80 == 0 {
		return r, "range count is not in its shortest form"
	}
	for len(count) > 0 && count[0] == 0 {
		count = count[1:]
	}
	r = NumberRange{Start: ringfence.TN(start), Count: math.MaxUint64}
	if len(count) <= 8 {
		var buf [8]byte
		copy(buf[8-len(count):], count)
		r.Count = binary.BigEndian.Uint64(buf[:])
	}
	if r.Count < 2 {
		return r, "range count below 2"
	}
	return r, ""
}

// Marshal writes the extension value, provider codes first. It does not check
// its entries; ParseTNAuthList does.
func (s Scope) Marshal() []byte {
	var list []byte
	for _, c := range s.SPCs {
		list = appendDER(list, tagContext0, appendDER(nil, tagIA5, []byte(c)))
	}
	for _, r := range s.Ranges {
		count := binary.BigEndian.AppendUint64([]byte{0}, r.Count)
		for len(count) > 1 && count[0] == 0 && count[1]&0x80 == 0 {
			count = count[1:]
		}
		seq := appendDER(nil, tagIA5, []byte(r.Start))
		seq = appendDER(seq, tagInteger, count)
		list = appendDER(list, tagContext1, appendDER(nil, tagSequence, seq))
	}
	for _, n := range s.Numbers {
		list = appendDER(list, tagContext2, appendDER(nil, tagIA5, []byte(n)))
	}
	return appendDER(nil, tagSequence, list)
}

// String lists the scope for people: provider codes whole, numbers masked.
func (s Scope) String() string {
	var out []string
	for _, c := range s.SPCs {
		out = append(out, "provider code "+c)
	}
	for _, r := range s.Ranges {
		out = append(out, strconv.FormatUint(r.Count, 10)+" numbers from "+r.Start.Masked())
	}
	for _, n := range s.Numbers {
		out = append(out, "number "+n.Masked())
	}
	return strings.Join(out, ", ")
}
