package flows

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// key presses one key on a leg.
func (m *Simulator) key(leg *simLeg, digit byte) {
	if !leg.private {
		m.input(Input{Kind: InDigit, On: leg.slot, Digit: digit})
		return
	}
	c := leg.collect
	if c == nil {
		return
	}
	if digit == '*' && c.Star {
		m.settle(leg, Refused, false)
		return
	}
	if !leg.ready {
		if c.Void {
			m.submit(leg, "?")
		}
		return
	}
	if c.Open == 0 && len(leg.queue) > 0 {
		leg.queue = nil // the key cuts the prompt
	}
	leg.keyAt++
	switch digit {
	case '#':
		m.submit(leg, string(leg.entry))
		return
	case '*':
		leg.entry = nil
		return
	}
	leg.entry = append(leg.entry, digit)
	most := c.Max
	if ch := m.challenges[c.Challenge]; ch != nil && most == 0 {
		most = len(m.right(ch))
	}
	if most > 0 && len(leg.entry) >= most {
		m.submit(leg, string(leg.entry))
		return
	}
	at := leg.keyAt
	m.after(c.Between, func() {
		if leg.collect == c && leg.keyAt == at {
			m.submit(leg, string(leg.entry))
		}
	})
}

// right is the answer that satisfies a challenge.
func (m *Simulator) right(c *simChallenge) string {
	switch {
	case c.effect.Kind == EffConfirm:
		return worldYes
	case c.effect.Kind == EffReach:
		return worldFresh + worldCarry
	case c.effect.Method == ringfence.FactTOTP:
		return worldTOTP
	case c.effect.Method == ringfence.FactOTP:
		return worldOTP
	}
	if m.world.PIN == "" {
		return "??????"
	}
	return m.world.PIN
}

// submit judges an entry as verify does; the empty one is silence.
func (m *Simulator) submit(leg *simLeg, entry string) {
	c := leg.collect
	leg.entry = nil
	if c.Into != "" {
		o := OK
		switch {
		case entry == "":
			o = Silent
		case len(entry) < c.Min || c.Max > 0 && len(entry) > c.Max:
			o = Wrong
		default:
			m.secrets[c.Into] = entry
		}
		leg.collect = nil
		m.input(Input{Kind: InOutcome, Ref: c.Ref, Outcome: o})
		return
	}
	ch := m.challenges[c.Challenge]
	if ch == nil || !ch.open {
		return
	}
	switch {
	case entry == "":
		m.settle(leg, Silent, true)
	case ch.effect.Kind == EffConfirm && entry == "2":
		m.settle(leg, Refused, false)
	case entry == m.right(ch) && !m.nobody:
		m.settle(leg, OK, false)
	default:
		ch.tries--
		m.settle(leg, Wrong, ch.tries > 0)
	}
}

func (m *Simulator) settle(leg *simLeg, o Outcome, again bool) {
	c := leg.collect
	leg.collect = nil
	ch := m.challenges[c.Challenge]
	if ch == nil || !ch.open {
		return
	}
	if !again {
		ch.open = false
	}
	if o == OK {
		m.satisfied(ch, leg.slot)
	}
	m.input(Input{Kind: InOutcome, Ref: c.Challenge, Outcome: o, Again: again})
}

func (m *Simulator) satisfied(ch *simChallenge, slot LegSlot) {
	f := ch.effect.Method
	switch ch.effect.Kind {
	case EffConfirm:
		f = ringfence.FactConfirmed
	case EffReach:
		f = ringfence.FactCallback
	}
	m.prove(f, ch.effect.Action, slot)
	m.trace(slot, "proved: %s", f)
}

// page answers the open passkey page.
func (m *Simulator) page(o Outcome) bool {
	for ref, ch := range m.challenges {
		if ch.open && ch.effect.Method == ringfence.FactPasskey && ch.effect.Kind == EffVerify {
			ch.open = false
			if o == OK {
				m.satisfied(ch, ch.effect.On)
			}
			m.input(Input{Kind: InOutcome, Ref: ref, Outcome: o})
			return true
		}
	}
	return false
}

// reject answers an open challenge of a method with "I did not ask for this",
// by the message or the page that brought it.
func (m *Simulator) reject(method ringfence.Fact) {
	for ref, ch := range m.challenges {
		if ch.open && ch.effect.Method == method {
			ch.open = false
			m.input(Input{Kind: InOutcome, Ref: ref, Outcome: Refused})
			return
		}
	}
}

// approve lets one colleague agree or refuse; false when nobody was asked.
func (m *Simulator) approve(agrees bool) bool {
	e := m.approving
	if e == nil {
		return false
	}
	r := m.releases[e.Action]
	if !agrees || r == nil {
		m.approving = nil
		m.input(Input{Kind: InOutcome, Ref: e.Ref, Outcome: Refused})
		return true
	}
	r.approvals++
	if want := m.bundle.pol.Evaluate(m.policyCase(e.Action)).Approvals; r.approvals < max(want.Count, e.Count) {
		m.trace(e.On, "one colleague agreed, another one is needed")
		return true
	}
	m.approving = nil
	m.prove(ringfence.FactApproved, e.Action, e.On)
	m.input(Input{Kind: InOutcome, Ref: e.Ref, Outcome: OK})
	return true
}

// hangUp hangs up the far end of a leg.
func (m *Simulator) hangUp(leg *simLeg) {
	leg.up, leg.queue = false, nil
	if leg.slot == 0 && m.ends == "" {
		m.ends = "gone"
	}
	m.trace(leg.slot, "hangs up")
	m.input(Input{Kind: InHungUp, On: leg.slot})
}

// proved lists the facts that stand, in a fixed order.
func (m *Simulator) proved() []string {
	var set policy.FactSet
	for _, p := range m.evidence {
		set = set.With(p.fact)
	}
	var out []string
	for _, f := range set.Facts() {
		out = append(out, string(f))
	}
	return out
}

func sortedWords(words []string) string {
	w := slices.Clone(words)
	slices.Sort(w)
	return "[" + strings.Join(slices.Compact(w), ", ") + "]"
}
