package rtp

import (
	"time"
)

// The pacing wheels: one goroutine and one timer for each processor, between
// which the sessions of a pool are shared out. Each slot is 5 ms; a session is
// due again one ptime after it was due before, and the sessions are spread over
// the slots so that their packets do not leave in one burst.
const (
	paceStep  = 5 * time.Millisecond
	paceSlots = 16 // 80 ms, more than the longest ptime
	maxPacers = 4
	maxBehind = 100 * time.Millisecond
	reportGap = 5 * time.Second // RFC 3550, section 6.2
	checkGap  = time.Second
)

// pace turns one wheel until the pool closes. Pool.Close waits for it. The first
// one looks after dead media and reports too.
func (p *Pool) pace(wheel int) {
	sc := newScratch()
	due := time.Now().Add(paceStep)
	check := due.Add(checkGap)
	timer := time.NewTimer(paceStep)
	defer timer.Stop()
	var slots [paceSlots][]*Session
	var ready []*Session
	for slot := 0; ; {
		select {
		case <-p.done:
			return
		case <-timer.C:
		}
		now := time.Now()
		if now.Sub(due) > maxBehind { // starved: skip rather than send a burst
			due = now
		}
		for ; !due.After(now); due = due.Add(paceStep) {
			slots[slot] = append(slots[slot], p.arrived(wheel)...)
			ready = append(ready[:0], slots[slot]...)
			clear(slots[slot])
			slots[slot] = slots[slot][:0]
			for _, s := range ready {
				if ptime := s.tick(due, sc); ptime > 0 {
					next := (slot + int(ptime/paceStep)) % paceSlots
					slots[next] = append(slots[next], s)
				}
			}
			slot = (slot + 1) % paceSlots
		}
		if wheel == 0 && now.After(check) {
			check = now.Add(checkGap)
			p.checkAll(now)
		}
		timer.Reset(time.Until(due))
	}
}

// arrived returns the sessions opened for a wheel since it was last called. Those opened
// in one step start together; the ports of a busy pool open over many steps.
func (p *Pool) arrived(wheel int) []*Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.arrivals[wheel]
	p.arrivals[wheel] = nil
	return a
}

// checkAll runs the dead-media timers and sends the RTCP reports that are due.
func (p *Pool) checkAll(now time.Time) {
	p.mu.Lock()
	all := make([]*Session, 0, len(p.sessions))
	for s := range p.sessions {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		s.checkDead(now)
		s.report(now)
	}
}
