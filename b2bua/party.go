package b2bua

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// leastTold is how many digits a number needs to tell one subscriber from
// another. Shorter ones are extensions and service numbers of the far side.
const leastTold = 7

// sameParty reports whether two user parts may mean one subscriber. Networks
// write a number with and without its country code, so one may end the other.
// What cannot be compared says nothing.
func sameParty(a, b string) bool {
	if a == b || !isNumber(a) || !isNumber(b) {
		return a == b || a == "" || b == ""
	}
	a, b = significant(a), significant(b)
	return len(a) < leastTold || len(b) < leastTold || strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// significant is a number without what is dialled in front of it.
func significant(number string) string {
	return strings.TrimLeft(strings.TrimPrefix(number, "+"), "0")
}

// elsewhere reports that a phone answers, or rings, which says that it has
// another number than the one that was dialled (RFC 3325, section 9.1): the call
// went on to somebody else, whatever else stands in the response.
func elsewhere(dialled string, res *sip.Response) bool {
	for _, v := range values(res, "P-Asserted-Identity") {
		if user := userOf(v); isNumber(user) && isNumber(dialled) && !sameParty(user, dialled) {
			return true
		}
	}
	return false
}

// moved reports that a request inside a dialog comes from somebody else than the
// one before: another From (RFC 4916), or word of a diversion. from is the user
// part that the far end had so far.
func moved(from string, req *sip.Request) bool {
	return !sameParty(userOf(value(req, "From")), from) || value(req, "Diversion") != "" || value(req, "History-Info") != ""
}
