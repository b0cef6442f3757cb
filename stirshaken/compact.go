package stirshaken

import (
	"strconv"
	"strings"
)

// expand rebuilds what a compact PASSporT signs from the request (RFC 8224,
// section 4.1.1; RFC 8225, section 7): the canonical header and the claims
// dest from To, iat from Date, orig from the caller. Only a baseline PASSporT
// can be rebuilt: attest, origid, div and rcd stand nowhere in the request.
func (c *check) expand(p *PASSporT) *Refusal {
	if p.PPT != "" {
		return refuse(ReasonCompactOff, "ppt "+strconv.Quote(clip(p.PPT))+" must be in full form")
	}
	date, ok := parseDate(c.req.Date)
	if !ok {
		if c.req.Date == "" {
			return refuse(ReasonDateMissing, "a compact PASSporT needs it")
		}
		return refuse(ReasonDateSyntax, "")
	}
	if len(c.froms) == 0 {
		return refuse(ReasonCallerUnknown, "")
	}
	if len(c.dests) == 0 {
		return refuse(ReasonCalleeUnknown, "")
	}
	p.Iat, p.Orig = date, c.froms[0].party
	p.Dest = []Party{c.dests[0].party}
	var b strings.Builder
	b.WriteString(encode64(joseHeader("", p.X5U)))
	b.WriteByte('.')
	b.WriteString(encode64(claimSet{dest: p.Dest, iat: date.Unix(), orig: p.Orig}.bytes()))
	p.signed = b.String()
	return nil
}
