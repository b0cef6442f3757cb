package webrtc

import (
	"crypto/subtle"
	"net/netip"
	"slices"

	"github.com/pion/stun/v3"
)

// maxSTUN bounds a check; browsers send about 120 bytes.
const maxSTUN = 548

// agent is the lite side of ICE for one offer (RFC 8445, section 2.5): it
// answers checks that know the password and learns from them where the browser
// is. Owned by its Link, whose mutex guards it.
type agent struct {
	ufrag, pwd string
	theirs     string // the browser's ufrag
	valid      []netip.AddrPort
	seen       [64][stun.TransactionIDSize]byte // of authentic checks, with where they came from
	seenFrom   [64]netip.AddrPort
	next       int
}

// maxValid bounds the addresses from which one browser may have checked.
const maxValid = 16

// check answers one STUN message. It returns the response, or nil for what gets
// none, and whether the browser chose this address. A stranger's message is
// dropped before anything is computed.
func (a *agent) check(b []byte, from netip.AddrPort) (response []byte, chosen bool) {
	if len(b) > maxSTUN || !stun.IsMessage(b) {
		return nil, false
	}
	m := &stun.Message{Raw: slices.Clone(b)}
	if m.Decode() != nil || m.Type != stun.BindingRequest {
		return nil, false
	}
	var name stun.Username
	want := a.ufrag + ":" + a.theirs
	if name.GetFrom(m) != nil || subtle.ConstantTimeCompare(name, []byte(want)) != 1 {
		return nil, false
	}
	key := stun.NewShortTermIntegrity(a.pwd)
	if key.Check(m) != nil || stun.Fingerprint.Check(m) != nil || !a.fresh(m.TransactionID, from) {
		return nil, false
	}
	if _, err := m.Get(stun.AttrICEControlled); err == nil { // RFC 8445, section 7.3.1.1: we are the controlled one
		return build(m.TransactionID, stun.BindingError, stun.CodeRoleConflict, key), false
	}
	_, err := m.Get(stun.AttrUseCandidate)
	chosen = err == nil
	if !slices.Contains(a.valid, from) {
		if len(a.valid) == maxValid {
			return nil, false
		}
		a.valid = append(a.valid, from)
	}
	mapped := &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}
	return build(m.TransactionID, stun.BindingSuccess, mapped, key), chosen
}

// fresh refuses a check that came from elsewhere before: somebody who overheard
// it would lead the audio away by sending it again.
func (a *agent) fresh(id [stun.TransactionIDSize]byte, from netip.AddrPort) bool {
	for i := range a.seen {
		if a.seen[i] == id && a.seenFrom[i].IsValid() {
			return a.seenFrom[i] == from
		}
	}
	a.seen[a.next], a.seenFrom[a.next] = id, from
	a.next = (a.next + 1) % len(a.seen)
	return true
}

// build writes a response with integrity and fingerprint.
func build(id [stun.TransactionIDSize]byte, kind stun.MessageType, what stun.Setter, key stun.MessageIntegrity) []byte {
	m, err := stun.Build(kind, stun.NewTransactionIDSetter(id), what, key, stun.Fingerprint)
	if err != nil {
		return nil
	}
	return m.Raw
}
