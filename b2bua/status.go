package b2bua

import (
	"net/netip"

	"github.com/ringfence/ringfence"
)

// TrunkStatus is how a trunk stands now.
type TrunkStatus struct {
	Name  string
	Calls int // in progress
	Peers []PeerStatus
}

// PeerStatus is one address of a trunk. TakesCalls is what its last answer to
// OPTIONS said: unknown when it is never asked, or was not yet.
type PeerStatus struct {
	Addr       netip.AddrPort
	TakesCalls ringfence.Tri
}

// Setups tells how many calls may be set up at once now, and how many were
// refused since the start because as many were.
func (u *UA) Setups() (most int, refused int64) { return u.intake.bound(), u.intake.shed.Load() }

// Trunks tells how every trunk stands, in the order of the configuration.
func (u *UA) Trunks() []TrunkStatus {
	out := make([]TrunkStatus, 0, len(u.cfg.Trunks))
	for i := range u.cfg.Trunks {
		t := &u.cfg.Trunks[i]
		one := TrunkStatus{Name: t.Name}
		addrs := t.targets() // may wait for a look-up's own lock: not under ours
		u.mu.Lock()
		one.Calls = u.slots.trunks[t]
		for _, at := range addrs {
			p := PeerStatus{Addr: at, TakesCalls: ringfence.Unknown}
			if down, asked := u.down[at]; asked && t.Ping > 0 {
				p.TakesCalls = ringfence.Yes
				if down {
					p.TakesCalls = ringfence.No
				}
			}
			one.Peers = append(one.Peers, p)
		}
		u.mu.Unlock()
		out = append(out, one)
	}
	return out
}
