package b2bua

import (
	"net/url"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// leastTold is how many digits a number needs to tell one subscriber from
// another. Shorter ones are extensions and service numbers of the far side.
const leastTold = 7

// headers is a request or a response.
type headers interface {
	GetHeaders(name string) []sip.Header
}

// sameParty reports whether two user parts mean one subscriber. Networks write a
// number with and without its country code, so one may end the other.
func sameParty(a, b string) bool {
	if a, b, ok := tells(a, b); ok {
		return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
	}
	return a == b
}

// tells returns two numbers as they can be compared; ok is false where one of
// them is none, or too short to be somebody's.
func tells(a, b string) (_, _ string, ok bool) {
	if !isNumber(a) || !isNumber(b) {
		return "", "", false
	}
	a, b = significant(a), significant(b)
	return a, b, len(a) >= leastTold && len(b) >= leastTold
}

// significant is a number without what is dialled in front of it.
func significant(number string) string {
	return strings.TrimLeft(strings.TrimPrefix(number, "+"), "0")
}

// partyOf is the user part of an address, a number without what only makes it
// easier to read (RFC 3966, section 5.1.1).
func partyOf(v string) string {
	user := userOf(v)
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, user)
	if isNumber(bare) {
		return bare
	}
	return user
}

// writes reports whether the trunk says that it is this party whoever it is: then
// it says nothing.
func (t *Trunk) writes(party string) bool {
	own := func(of string) bool { return sameParty(party, of) }
	return own(t.From) || slices.ContainsFunc(t.ConnectedAs, own)
}

// connected are the parties that a message says it comes from (RFC 3325, section
// 9.1), or, as some gateways still write, Remote-Party-ID. What the trunk writes
// there whoever answers says nothing.
func (t *Trunk) connected(m headers) []string {
	var out []string
	take := func(v string) {
		if p := partyOf(v); p != "" && !t.writes(p) {
			out = append(out, p)
		}
	}
	for _, v := range values(m, "P-Asserted-Identity") {
		take(v)
	}
	_, answers := m.(*sip.Response)
	for _, v := range values(m, "Remote-Party-ID") {
		parts, _ := splitList(v)
		for _, one := range parts {
			a, err := parseNameAddr(one)
			if of, _ := findParam(a.params, "party"); err == nil && !(answers && strings.EqualFold(of.value, "calling")) { // who calls is we
				take(one)
			}
		}
	}
	return out
}

// elsewhere reports that a message of the far end names another number than the
// one that was dialled: the call went on to somebody else, whatever else stands
// in it.
func (t *Trunk) elsewhere(dialled string, m headers) bool {
	names := t.connected(m)
	for _, v := range values(m, "History-Info") {
		names = append(names, partyOf(v))
	}
	if _, ok := m.(*sip.Request); ok {
		names = append(names, partyOf(value(m, "From"))) // RFC 4916
	}
	return slices.ContainsFunc(names, func(name string) bool {
		_, _, both := tells(name, dialled)
		return both && !sameParty(name, dialled) && !t.writes(name)
	})
}

// knowsLocked notes who the far end of a new dialog is: whom its network vouches
// for, else whom it was addressed as.
func (l *Leg) knowsLocked(m headers, addressed string) {
	l.theirUser = addressed
	if l.parties = l.trunk.connected(m); len(l.parties) == 0 {
		l.parties = []string{addressed}
	}
}

// movedLocked reports that a message inside the dialog comes from somebody else
// than those before: another asserted identity, another From (RFC 4916), word of
// a diversion. What cannot be compared is another.
func (l *Leg) movedLocked(m headers) bool {
	moved := forwarded(m)
	if now := l.trunk.connected(m); len(now) > 0 {
		moved = moved || slices.ContainsFunc(now, func(name string) bool {
			return !slices.ContainsFunc(l.parties, func(known string) bool { return sameParty(name, known) })
		})
		l.parties = now
	}
	if _, ok := m.(*sip.Request); ok {
		if from := partyOf(value(m, "From")); from != "" && l.theirUser != "" && !sameParty(from, l.theirUser) && !l.trunk.writes(from) {
			moved, l.theirUser = true, from
		}
	}
	return moved
}

// forwarded reports word of a diversion in a message inside a dialog.
func forwarded(m headers) bool { return value(m, "Diversion") != "" || value(m, "History-Info") != "" }

// listens looks in a message of the far end for signs that somebody else is there
// now. A call-back that turns out to have reached another number is diverted,
// however late that is said; otherwise what the leg proved is void.
func (l *Leg) listens(m headers) {
	l.mu.Lock()
	moved := l.movedLocked(m)
	l.mu.Unlock()
	o, placed := l.call.(*outbound)
	switch {
	case placed && o.p.Contact && (l.trunk.elsewhere(o.user, m) || forwarded(m)):
		l.emit(ringfence.LegEvent{Kind: ringfence.LegDiverted})
		l.finish(ringfence.EndDiverted, 0)
	case moved && (!placed || l.established()): // who answers is told by the answer
		l.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
	}
}
