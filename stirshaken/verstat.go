package stirshaken

import (
	"strings"

	"github.com/ringfence/ringfence"
)

// verstat values (3GPP TS 24.229, section 7.2A.20).
const (
	verstatPassed = "TN-Validation-Passed"
	verstatFailed = "TN-Validation-Failed"
	verstatNone   = "No-TN-Validation"
)

// verstat takes a trusted peer's word. The attestation stands in a suffix
// (TN-Validation-Passed-A) or in P-Attestation-Indicator; without either, a
// passed check attests nothing. false: the peer says nothing.
func (c *check) verstat(out *Verdict) bool {
	value := ""
	for _, a := range c.froms {
		if a.verstat == "" {
			continue
		}
		if value != "" && !strings.EqualFold(value, a.verstat) {
			out.set(StatusFailed, refuse(ReasonVerstatFailed, "two values that differ"))
			out.Source = SourceVerstat
			return true
		}
		value = a.verstat
	}
	if value == "" {
		return false
	}
	out.Source = SourceVerstat
	base, attest := value, ringfence.Attest(strings.ToUpper(strings.Trim(c.req.PAttestation, lws)))
	for _, suffix := range []string{"-A", "-B", "-C"} {
		if len(value) > 2 && strings.EqualFold(value[len(value)-2:], suffix) {
			base, attest = value[:len(value)-2], ringfence.Attest(suffix[1:])
		}
	}
	switch attest {
	case ringfence.AttestFull, ringfence.AttestPartial, ringfence.AttestGateway:
	default:
		attest = ringfence.AttestNone
	}
	switch {
	case strings.EqualFold(base, verstatPassed):
		out.Status, out.Reason, out.Attest = StatusVerified, ReasonVerstatPassed, attest
	case strings.EqualFold(base, verstatNone):
		out.set(StatusNone, refuse(ReasonVerstatNone, ""))
	case strings.EqualFold(base, verstatFailed):
		out.set(StatusFailed, refuse(ReasonVerstatFailed, ""))
	default:
		out.set(StatusFailed, refuse(ReasonVerstatFailed, "unknown value"))
	}
	return true
}

// StripVerstat removes every verstat parameter from a From or
// P-Asserted-Identity value. Do this to every value from outside before a
// verdict of our own is written: a stranger's verstat is a claim.
func StripVerstat(field string) string {
	const name = ";verstat"
	for from := 0; ; {
		i := indexFold(field[from:], name)
		if i < 0 {
			return field
		}
		i += from
		end := i + len(name)
		switch {
		case end < len(field) && strings.IndexByte("=;>@ \t,", field[end]) < 0:
			from = end // ;verstatus
			continue
		case end < len(field) && field[end] == '=':
			for end < len(field) && strings.IndexByte(";>@ \t,", field[end]) < 0 {
				end++
			}
		}
		field, from = field[:i]+field[end:], i
	}
}

// indexFold is strings.Index without regard to ASCII case; sub is lower case.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}

// WriteVerstat strips field of any verstat and puts the verdict's in: behind
// the number in a tel URI, behind the user part in a sip URI. A field without
// a number is returned stripped only.
func (v Verdict) WriteVerstat(field string) string {
	field = StripVerstat(field)
	from, to := 0, len(field)
	bracket := false
	if open := strings.IndexByte(field, '<'); open >= 0 && !strings.HasPrefix(field, `"`) {
		from, bracket = open+1, true
	} else if strings.HasPrefix(field, `"`) {
		_, rest, ok := cutQuoted(field)
		open := strings.IndexByte(rest, '<')
		if !ok || open < 0 {
			return field
		}
		from, bracket = len(field)-len(rest)+open+1, true
	}
	if bracket {
		end := strings.IndexByte(field[from:], '>')
		if end < 0 {
			return field
		}
		to = from + end
	}
	uri := field[from:to]
	if !bracket && !strings.HasPrefix(strings.ToLower(uri), "tel:") {
		uri, _, _ = strings.Cut(uri, ";")
	}
	p, _, ok := Home{}.parseURI(uri)
	if !ok || p.TN == "" {
		return field
	}
	at := from + len(uri)
	if user, _, has := cutLast(uri, '@'); has {
		at = from + len(user)
	}
	mark := ";verstat=" + v.Verstat()
	if !bracket {
		// Without brackets a parameter would belong to the header field.
		rest := field[at:]
		if !strings.Contains(uri, "@") {
			return "<" + field[:at] + mark + ">" + rest
		}
		return "<" + field[:at] + mark + field[at:from+len(uri)] + ">" + field[from+len(uri):]
	}
	return field[:at] + mark + field[at:]
}
