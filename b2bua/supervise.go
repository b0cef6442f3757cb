package b2bua

import (
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Supervision is what a supervisor may do in a call of two others; see rtp.
type Supervision = rtp.Supervision

// Supervise lets a supervisor's leg into the call of caller and agent, or
// changes what it may do there. A cut of the caller holds for the supervisor
// too. Joining the two anew ends it, so it is asked for again then. It ends
// with the supervisor's leg.
func (u *UA) Supervise(caller, agent, supervisor ringfence.LegID, how Supervision) error {
	var legs [3]*Leg
	for i, id := range [3]ringfence.LegID{caller, agent, supervisor} {
		legs[i] = u.leg(id)
		if legs[i] == nil || legs[i].over() {
			return fmt.Errorf("sip: supervise: no leg %s", id)
		}
	}
	if legs[0] == legs[1] || legs[0] == legs[2] || legs[1] == legs[2] {
		return fmt.Errorf("sip: supervise: a leg supervises itself")
	}
	rtp.Supervise(legs[0].media, legs[1].media, legs[2].media, how)
	return nil
}
