package stirshaken

import (
	"strings"
)

// addresses reads whom the request shows.
func (c *check) addresses(out *Verdict) {
	home := c.v.config.Home
	from, fromOK := home.parseAddress(c.req.From)
	c.tag = from.tag
	if c.v.config.Caller == CallerPAIThenFrom {
		for i, field := range c.req.PAI {
			if i == 4 {
				break // RFC 3325 allows two values
			}
			for _, one := range splitAddresses(field) {
				if a, ok := home.parseAddress(one); ok && len(c.froms) < 4 {
					c.froms = append(c.froms, a)
				}
			}
		}
	}
	if len(c.froms) == 0 && fromOK && (len(c.req.PAI) == 0 || c.v.config.Caller == CallerFrom) {
		c.froms = append(c.froms, from)
	}
	for _, a := range c.froms {
		if out.Orig.TN == "" {
			out.Orig = a.party
		}
	}
	out.Shown = c.shown(from, out.Orig)
	if to, ok := home.parseAddress(c.req.To); ok {
		c.dests = append(c.dests, to)
	}
	if c.v.config.Called == CalledToOrRequestURI && c.req.RequestURI != "" {
		if p, _, ok := home.parseURI(c.req.RequestURI); ok {
			c.dests = append(c.dests, address{party: p, uri: c.req.RequestURI})
		}
	}
	if len(c.dests) > 0 {
		out.Dest = c.dests[0].party
	}
}

func (c *check) shown(from address, orig Party) Shown {
	switch {
	case private(c.req.Privacy), strings.Contains(from.party.URI, "@anonymous.invalid"), strings.HasPrefix(from.party.URI, "sip:anonymous@"):
		return ShownWithheld
	case orig.TN != "" && len(orig.TN) > 15:
		return ShownImpossible // E.164, clause 6.1: at most 15 digits
	case orig.TN != "":
		return ShownYes
	default:
		return ShownWithheld
	}
}

// private reports whether a Privacy header field asks that the caller not be
// shown (RFC 3323, section 4.2; RFC 3325, section 9.3).
func private(field string) bool {
	for _, value := range strings.FieldsFunc(clip(field), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		switch strings.ToLower(value) {
		case "id", "user", "header":
			return true
		}
	}
	return false
}

// caller holds orig against whom the request shows.
func (c *check) caller(p *PASSporT) *Refusal {
	if len(c.froms) == 0 {
		return refuse(ReasonCallerUnknown, "")
	}
	for _, a := range c.froms {
		if a.is(p.Orig) {
			return nil
		}
	}
	return refuse(ReasonOrigMismatch, "signed "+p.Orig.Masked()+", shown "+c.froms[0].party.Masked())
}

// called reports whether one of the signed destinations is the called party.
func (c *check) called(p *PASSporT) bool {
	for _, a := range c.dests {
		for _, d := range p.Dest {
			if a.is(d) {
				return true
			}
		}
	}
	return false
}
