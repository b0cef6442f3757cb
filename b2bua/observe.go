package b2bua

import (
	"net/netip"
	"time"

	"github.com/ringfence/ringfence/b2bua/trace"
)

// sampleEvery is how often the quality of each leg is read.
const sampleEvery = 5 * time.Second

// seen shows a message of the wire to those who watch. local may be the bound
// wildcard.
func (f *fence) seen(received bool, peer netip.AddrPort, raw []byte) {
	if f.wire != nil {
		f.wire(trace.Message{At: time.Now(), Received: received, Transport: f.transport, Peer: peer, Raw: raw})
	}
}

// wire is what a side's fence shows messages to; nil when nobody watches.
func (s *side) wire() func(trace.Message) {
	book, watch := s.u.cfg.Book, s.u.cfg.Watch
	if book == nil && watch == nil {
		return nil
	}
	return func(m trace.Message) {
		m.Local = s.ext
		if book != nil {
			book.Message(m)
		}
		if watch != nil {
			watch(m)
		}
	}
}

// totals are the counters of a leg's media.
func (l *Leg) totals() trace.Totals {
	st := l.media.Stats()
	return trace.Totals{Received: st.Received, Lost: st.Lost, Remote: st.RemoteLost, Jitter: st.Jitter, RTT: st.RTT, MOS: st.MOS}
}

// sample reads the quality of every leg until the UA closes.
func (u *UA) sample() {
	every := time.NewTicker(sampleEvery)
	defer every.Stop()
	for {
		select {
		case <-u.ctx.Done():
			return
		case now := <-every.C:
			u.mu.Lock()
			legs := make([]*Leg, 0, len(u.legs))
			for _, l := range u.legs {
				legs = append(legs, l)
			}
			u.mu.Unlock()
			for _, l := range legs {
				if !l.over() {
					u.cfg.Book.Sample(l.info.ID, now, l.totals())
				}
			}
		}
	}
}

// booked writes the end of a leg into the book.
func (l *Leg) booked() {
	if l.u.cfg.Book == nil {
		return
	}
	t := l.totals()
	l.mu.Lock()
	cause := l.cause
	l.mu.Unlock()
	l.u.cfg.Book.End(l.info.ID, time.Now(), t, cause)
	if l.u.cfg.Measured != nil {
		l.u.cfg.Measured(t)
	}
}
