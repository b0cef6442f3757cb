package b2bua

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/ringfence/ringfence"
)

// ErrFull is returned by Place when a cap on calls is reached.
var ErrFull = errors.New("sip: no new calls: as many as allowed are in progress")

// Cap names one of the caps on calls in progress.
type Cap string

// The caps.
const (
	CapAll    Cap = "all"    // Limits.Calls
	CapTrunk  Cap = "trunk"  // Trunk.Calls
	CapSource Cap = "source" // Trunk.CallsPerSource
	CapTenant Cap = "tenant" // Config.Tenant
)

// fullError says which cap was met. It is ErrFull.
type fullError struct{ of Cap }

func (e fullError) Error() string { return ErrFull.Error() + ": " + string(e.of) }

// Is makes a fullError ErrFull.
func (e fullError) Is(target error) bool { return target == ErrFull }

// need is why a leg is wanted. It decides which places the leg may take.
type need uint8

const (
	needCall   need = iota // it begins a call
	needTalk               // it talks with somebody in a call in progress
	needProof              // a call in progress waits for what it proves
	needRecord             // it records a call in progress
)

// claim is what a leg asks of the caps.
type claim struct {
	trunk  *Trunk
	need   need
	source netip.Addr         // whence the call came, as SourceOf has it; zero = placed by us
	tenant ringfence.TenantID // whose call it is that came; empty = nobody's
	most   int                // of that tenant's calls; 0 = no cap
}

// callerSource is an address from which calls of a trunk come.
type callerSource struct {
	trunk *Trunk
	at    netip.Addr
}

// slots counts the calls in progress by what has a cap. UA.mu guards it.
type slots struct {
	active    int // legs
	reserved  int // of them, those in the reserve
	recording int // of those, recorders
	trunks    map[*Trunk]int
	sources   map[callerSource]int       // calls that came
	tenants   map[ringfence.TenantID]int // calls that came
	refused   map[Cap]int64              // since the start
}

func newSlots() slots {
	return slots{trunks: map[*Trunk]int{}, sources: map[callerSource]int{}, tenants: map[ringfence.TenantID]int{}, refused: map[Cap]int64{}}
}

// judge says by which cap the leg may not be, and otherwise whether its place is
// one of the reserve. A leg that completes a call in progress begins none: who
// fills the cap with calls keeps nobody already here from a person, nor from the
// call-back by which they prove who they are.
func (s *slots) judge(c claim, l Limits) (reserved bool, full Cap) {
	ordinary := s.active - s.reserved
	switch {
	case c.trunk.Calls > 0 && s.trunks[c.trunk] >= c.trunk.open(c.need):
		return false, CapTrunk
	case c.source.IsValid() && c.trunk.CallsPerSource > 0 && s.sources[callerSource{c.trunk, c.source}] >= c.trunk.CallsPerSource:
		return false, CapSource
	case ordinary < l.Calls, c.need == needTalk && ordinary < 2*l.Calls: // every call may have one leg over the cap
	case c.need == needProof && s.reserved < l.Reserve:
		return true, ""
	case c.need == needRecord && s.reserved < l.Reserve && s.recording < l.Reserve/2: // the rest is for proofs
		return true, ""
	default:
		return false, CapAll
	}
	if c.most > 0 && s.tenants[c.tenant] >= c.most { // last: whoever meets another cap as well is told of that
		return false, CapTenant
	}
	return false, ""
}

// checkCaps judges the caps of a trunk and fills in how many calls it keeps.
func (t *Trunk) checkCaps() error {
	if t.Calls < 0 || t.CallsPerSource < 0 {
		return errors.New("a negative cap on calls: write how many there may be, or leave it out")
	}
	if t.Kept == 0 && t.Calls >= 4 {
		t.Kept = max(1, t.Calls/10)
	}
	t.Kept = max(0, t.Kept)
	if t.Kept > 0 && t.Kept >= t.Calls {
		return fmt.Errorf("of %d calls %d are kept for call-backs: keep fewer, so that somebody can call", t.Calls, t.Kept)
	}
	return nil
}

// open is how many calls there may be with the trunk before a leg of that need
// is one too many. Some of those of a trunk that call-backs go through are kept
// for calls in progress.
func (t *Trunk) open(n need) int {
	if n == needCall && t.Outbound {
		return t.Calls - t.Kept
	}
	return t.Calls
}

// take takes the leg's place; give gives it back.
func (s *slots) take(c claim, reserved bool) { s.count(c, reserved, 1) }

func (s *slots) give(c claim, reserved bool) { s.count(c, reserved, -1) }

func (s *slots) count(c claim, reserved bool, n int) {
	s.active += n
	if reserved {
		s.reserved += n
		if c.need == needRecord {
			s.recording += n
		}
	}
	add(s.trunks, c.trunk, n)
	if c.source.IsValid() {
		add(s.sources, callerSource{c.trunk, c.source}, n)
	}
	if c.tenant != "" {
		add(s.tenants, c.tenant, n)
	}
}

// add counts, and forgets what is zero.
func add[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

// claimOf is what a call asks that comes over t from an address.
func (u *UA) claimOf(t *Trunk, from netip.Addr, called string) claim {
	c := claim{trunk: t, source: SourceOf(from)}
	if u.cfg.Tenant != nil {
		c.tenant, c.most = u.cfg.Tenant(t.Name, called)
	}
	return c
}

// roomLocked reports why one more leg may not be.
func (u *UA) roomLocked(c claim) (reserved bool, err error) {
	if u.closed || !u.started || u.draining && c.need == needCall {
		return false, ErrDraining
	}
	reserved, full := u.slots.judge(c, u.cfg.Limits)
	if full != "" {
		return false, fullError{full}
	}
	return reserved, nil
}

// Refused counts the calls that were refused since the start because as many as
// a cap allows were in progress, by the cap.
func (u *UA) Refused() map[Cap]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.slots.refused)
}

// needOf is why a placement is wanted.
func (u *UA) needOf(p ringfence.Placement, recorder bool) need {
	switch {
	case u.inProgress(p.Beside):
		return needTalk
	case !u.inProgress(p.During):
		return needCall
	case recorder:
		return needRecord
	default:
		return needProof
	}
}
