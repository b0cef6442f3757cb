package stirshaken

import (
	"strconv"
	"strings"
	"time"
)

// candidate is one header on its way through the checks.
type candidate struct {
	id  Identity
	p   PASSporT
	out *HeaderVerdict
	bad *Refusal
	ok  bool // signature, chain and scope are verified
	lab bool
	rcd *RichCallData
}

// read makes the checks that need no key: form, claims, time, binding.
func (c *check) read(k *candidate, value string) {
	var r *Refusal
	k.id, r = ParseIdentity(value)
	k.out.PPT = clip(k.id.PPT)
	if r != nil {
		k.fail(r)
		return
	}
	if k.id.PPT != "" && !known(strings.ToLower(k.id.PPT)) {
		k.ignore(refuse(ReasonUnknownPPT, strconv.Quote(clip(k.id.PPT))))
		return
	}
	if strings.HasPrefix(k.id.Token, "..") {
		if !c.v.config.AcceptCompact {
			k.ignore(refuse(ReasonCompactOff, ""))
			return
		}
	} else if k.id.PPT == "" && !c.v.config.AcceptBaseline && !hasPPT(k.id.Token) {
		k.ignore(refuse(ReasonBaselineOff, ""))
		return
	}
	r = k.p.parse(k.id, &c.v.memo, c.nodes(k))
	if r == nil && k.p.Compact {
		r = c.expand(&k.p)
	}
	k.describe(c.now)
	if r == nil {
		r = c.fresh(&k.p)
	}
	if r == nil {
		r = c.caller(&k.p)
	}
	if r != nil {
		k.fail(r)
	}
}

// nodes gives the first header's claims room; the others take their own.
func (c *check) nodes(k *candidate) []jnode {
	if k.out.Index > 0 {
		return make([]jnode, 0, len(c.nodeRoom))
	}
	return c.nodeRoom[:0]
}

// hasPPT tells a baseline PASSporT from a typed one without the ppt
// parameter, which is refused; a token that cannot be read is refused later.
func hasPPT(token string) bool {
	head, _, _ := strings.Cut(token, ".")
	b, ok := decode64(nil, head)
	if !ok {
		return true
	}
	d, why := parseJSON(string(b), nil)
	return why != "" || d.nodes[0].kind != jObject || d.member(0, "ppt") >= 0 || d.member(0, "alg") < 0
}

func (k *candidate) describe(now time.Time) {
	o, p := k.out, &k.p
	o.PPT, o.Attest, o.OrigID, o.Orig, o.Dest, o.Div, o.Iat, o.Compact = p.PPT, p.Attest, p.OrigID, p.Orig, p.Dest, p.Div, p.Iat, p.Compact
	if !p.Iat.IsZero() {
		o.Age = now.Sub(p.Iat)
	}
}

func (k *candidate) fail(r *Refusal) {
	k.out.identifier = identifierOf(k.id.Token)
	k.close(StatusFailed, r)
}

func (k *candidate) ignore(r *Refusal) { k.close(StatusIgnored, r) }

func (k *candidate) close(s Status, r *Refusal) {
	k.bad = r
	k.out.Status, k.out.Reason, k.out.Detail = s, r.Reason, r.Detail
}

func (k *candidate) succeed() {
	k.out.Status, k.out.Reason = StatusVerified, ReasonValid
}

// identifierOf is the ppi of RFC 9410, section 5: the compact form of the
// PASSporT. Only base64url leaves in a header, so nothing can be injected.
func identifierOf(token string) string {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(token)-i > 1+256 {
		return ""
	}
	sig := token[i+1:]
	if sig == "" || !isBase64URL(sig) {
		return ""
	}
	return ".." + sig
}
