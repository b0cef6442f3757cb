package stirshaken

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// Constraints is a JWTClaimConstraints (RFC 8226, section 8) or an
// EnhancedJWTClaimConstraints (RFC 9118, section 3) extension: what a
// certificate's holder may say in a PASSporT.
type Constraints struct {
	MustInclude []string
	Permitted   []PermittedValues
	MustExclude []string // enhanced only
}

// PermittedValues lists what one claim may be when it is present. A string is
// compared by its text; numbers, objects and arrays by their JSON in the
// deterministic form of RFC 8225, section 9.
type PermittedValues struct {
	Claim  string
	Values []string
}

// ParseConstraints reads the value of either extension in strict DER;
// mustExclude exists in the enhanced one only.
func ParseConstraints(ext []byte, enhanced bool) (Constraints, *Refusal) {
	var c Constraints
	bad := func(why string) (Constraints, *Refusal) { return Constraints{}, refuse(ReasonConstraintForm, why) }
	seq, ok := der(ext).only(tagSequence)
	if !ok {
		return bad("not one DER sequence")
	}
	last := byte(0)
	for len(seq) > 0 {
		tag, body, ok := seq.next()
		if !ok {
			return bad("not DER")
		}
		if tag <= last {
			return bad("fields out of order")
		}
		last = tag
		why := ""
		switch {
		case tag == tagContext0:
			c.MustInclude, why = readNames(body)
		case tag == tagContext1:
			c.Permitted, why = readPermitted(body)
		case tag == tagContext2 && enhanced:
			c.MustExclude, why = readNames(body)
		default:
			why = "unknown field"
		}
		if why != "" {
			return bad(why)
		}
	}
	if last == 0 {
		return bad("no field")
	}
	for _, name := range c.MustExclude {
		// RFC 9118, section 3: the claims every PASSporT has cannot be excluded.
		if name == "iat" || name == "orig" || name == "dest" {
			return bad("mustExclude names a base claim")
		}
	}
	return c, nil
}

func readNames(b der) ([]string, string) {
	list, ok := b.only(tagSequence)
	if !ok || len(list) == 0 {
		return nil, "empty list of claim names"
	}
	var out []string
	for len(list) > 0 {
		tag, name, ok := list.next()
		if !ok || tag != tagIA5 || len(name) == 0 || len(name) > 256 || !printable(name) {
			return nil, "malformed claim name"
		}
		if len(out) == MaxConstraintEntries {
			return nil, "too many claim names"
		}
		out = append(out, string(name))
	}
	return out, ""
}

func readPermitted(b der) ([]PermittedValues, string) {
	list, ok := b.only(tagSequence)
	if !ok || len(list) == 0 {
		return nil, "empty list of permitted values"
	}
	var out []PermittedValues
	for len(list) > 0 {
		tag, one, ok := list.next()
		if !ok || tag != tagSequence {
			return nil, "malformed permitted values"
		}
		tag, name, ok := one.next()
		if !ok || tag != tagIA5 || len(name) == 0 || len(name) > 256 || !printable(name) {
			return nil, "malformed claim name"
		}
		values, ok := one.only(tagSequence)
		if !ok || len(values) == 0 {
			return nil, "no permitted value for " + strconv.Quote(clip(string(name)))
		}
		p := PermittedValues{Claim: string(name)}
		for len(values) > 0 {
			tag, v, ok := values.next()
			if !ok || tag != tagUTF8 || !utf8.Valid(v) || len(v) > MaxIdentityBytes {
				return nil, "malformed permitted value"
			}
			if len(p.Values) == MaxConstraintEntries {
				return nil, "too many permitted values"
			}
			p.Values = append(p.Values, string(v))
		}
		if len(out) == MaxConstraintEntries {
			return nil, "too many permitted claims"
		}
		out = append(out, p)
	}
	return out, ""
}

// Check holds a PASSporT's claims against the constraints.
func (c Constraints) Check(p *PASSporT) *Refusal {
	d := &p.claims
	if len(d.nodes) == 0 {
		return refuse(ReasonMustInclude, "the claims of a compact PASSporT cannot be checked")
	}
	for _, name := range c.MustInclude {
		if d.member(0, name) < 0 {
			return refuse(ReasonMustInclude, strconv.Quote(clip(name)))
		}
	}
	for _, name := range c.MustExclude {
		if d.member(0, name) >= 0 {
			return refuse(ReasonMustExclude, strconv.Quote(clip(name)))
		}
	}
	for _, pv := range c.Permitted {
		at := d.member(0, pv.Claim)
		if at >= 0 && !slices.ContainsFunc(pv.Values, func(v string) bool { return d.equals(at, v) }) {
			return refuse(ReasonPermitted, strconv.Quote(clip(pv.Claim)))
		}
	}
	return nil
}

// equals compares a claim with a permitted text.
func (d *jdoc) equals(at int, want string) bool {
	switch n := &d.nodes[at]; n.kind {
	case jString, jNumber, jBool:
		return n.text == want
	case jObject, jArray:
		other, why := parseJSON(want, nil)
		return why == "" && string(d.canonical(nil, at)) == string(other.canonical(nil, 0))
	default:
		return false
	}
}

// Marshal writes the extension value; MustExclude makes it an enhanced one. It
// does not check its entries.
func (c Constraints) Marshal() []byte {
	names := func(list []string) []byte {
		var b []byte
		for _, n := range list {
			b = appendDER(b, tagIA5, []byte(n))
		}
		return appendDER(nil, tagSequence, b)
	}
	var seq []byte
	if c.MustInclude != nil {
		seq = appendDER(seq, tagContext0, names(c.MustInclude))
	}
	if c.Permitted != nil {
		var list []byte
		for _, p := range c.Permitted {
			var values []byte
			for _, v := range p.Values {
				values = appendDER(values, tagUTF8, []byte(v))
			}
			one := appendDER(nil, tagIA5, []byte(p.Claim))
			list = appendDER(list, tagSequence, appendDER(one, tagSequence, values))
		}
		seq = appendDER(seq, tagContext1, appendDER(nil, tagSequence, list))
	}
	if c.MustExclude != nil {
		seq = appendDER(seq, tagContext2, names(c.MustExclude))
	}
	return appendDER(nil, tagSequence, seq)
}
