package flows

import (
	"math/bits"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// maxBits bounds the good facts that one root of the proof may know apart.
const maxBits = 256

// bitset is a set of good facts, or of names. More is never worse.
type bitset [maxBits / 64]uint64

func (s bitset) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

func (s bitset) with(i int) bitset {
	s[i>>6] |= 1 << (i & 63)
	return s
}

func (s bitset) without(i int) bitset {
	s[i>>6] &^= 1 << (i & 63)
	return s
}

func (s bitset) or(t bitset) bitset {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// within reports whether every fact of s is in t.
func (s bitset) within(t bitset) bool {
	return s[0]&^t[0] == 0 && s[1]&^t[1] == 0 && s[2]&^t[2] == 0 && s[3]&^t[3] == 0
}

func (s bitset) each(do func(int)) {
	for w, word := range s {
		for word != 0 {
			do(w<<6 + bits.TrailingZeros64(word))
			word &= word - 1
		}
	}
}

type bitKind uint8

const (
	bitProof   bitKind = iota // fact proved for action ("" = none): counts at a release
	bitLeg                    // fact keyed or carried on the leg in slot: counts for speech and queues
	bitReach                  // the leg in slot passed reach for action
	bitHeard                  // action was read back and confirmed on a leg that passed reach
	bitClean                  // nothing that action needs was gathered after its approve
	bitSet                    // the name has a value
	bitPerson                 // the subject is no stranger: the record is there
	bitKeyless                // the subject is known to have no passkey
)

// factBit says what one bit means.
type factBit struct {
	kind   bitKind
	fact   ringfence.Fact
	action string
	slot   LegSlot
	name   string
}

// universe numbers the facts of one root, as they are met.
type universe struct {
	index map[factBit]int
	bits  []factBit
	full  bool // more than maxBits were asked for
}

func newUniverse() *universe { return &universe{index: map[factBit]int{}} }

func (u *universe) bit(f factBit) int {
	if i, ok := u.index[f]; ok {
		return i
	}
	if len(u.bits) == maxBits {
		u.full = true
		return 0
	}
	i := len(u.bits)
	u.index[f], u.bits = i, append(u.bits, f)
	return i
}

func (u *universe) proof(f ringfence.Fact, action string) int {
	return u.bit(factBit{kind: bitProof, fact: f, action: action})
}

func (u *universe) onLeg(f ringfence.Fact, slot LegSlot) int {
	return u.bit(factBit{kind: bitLeg, fact: f, slot: slot})
}

func (u *universe) set(name string) int { return u.bit(factBit{kind: bitSet, name: name}) }

// keep returns those facts of s that the predicate wants.
func (u *universe) keep(s bitset, want func(factBit) bool) bitset {
	out := s
	s.each(func(i int) {
		if i >= len(u.bits) || !want(u.bits[i]) {
			out = out.without(i)
		}
	})
	return out
}

// counts returns what counts at a release of the action: what was proved for
// it and the facts of legs; up to C1 also what was proved for no action.
func (u *universe) counts(s bitset, a *policy.Action) policy.FactSet {
	var out policy.FactSet
	s.each(func(i int) {
		b := u.bits[i]
		if b.kind != bitProof {
			return
		}
		if b.action == a.Name || b.action == "" && (!b.fact.Bound() || a.Class.Effective() <= ringfence.C1) {
			out = out.With(b.fact)
		}
	})
	return out
}

// spoken returns what counts for speech and queues on the leg in a slot.
func (u *universe) spoken(s bitset, slot LegSlot) policy.FactSet {
	var out policy.FactSet
	s.each(func(i int) {
		switch b := u.bits[i]; {
		case b.kind == bitLeg && b.slot == slot:
			out = out.With(b.fact)
		case b.kind == bitPerson:
			out = out.With(ringfence.FactIdentified)
		}
	})
	return out
}

// got is what got.X answers: proved for whatever action.
func (u *universe) got(s bitset) policy.FactSet {
	var out policy.FactSet
	s.each(func(i int) {
		if b := u.bits[i]; b.kind == bitProof {
			out = out.With(b.fact)
		}
	})
	return out
}
