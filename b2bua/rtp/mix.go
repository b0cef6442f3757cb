package rtp

import "time"

// mixBuffer holds one source's audio until it is mixed.
type mixBuffer struct {
	pcm []int16
}

func newMixes(hear []*Session) []*mixBuffer {
	if len(hear) < 2 {
		return nil
	}
	m := make([]*mixBuffer, len(hear))
	for i := range m {
		m[i] = &mixBuffer{}
	}
	return m
}

func (m *mixBuffer) clear() { m.pcm = m.pcm[:0] }

func (m *mixBuffer) write(_ uint16, pcm []int16) {
	if len(m.pcm)+len(pcm) <= 1600 {
		m.pcm = append(m.pcm, pcm...)
	}
}

// mixed reports whether any session that hears this one mixes.
func (s *Session) mixed() bool {
	list := s.hearers.Load()
	if list == nil {
		return false
	}
	for _, d := range *list {
		d.out.mu.Lock()
		m := len(d.out.mixes) > 0
		d.out.mu.Unlock()
		if m {
			return true
		}
	}
	return false
}

// sendMix sends the sum of what the heard sessions said. out.mu is held.
func (s *Session) sendMix(n int, due time.Time, sc *scratch) {
	o := &s.out
	sc.pcmOut = sc.pcmOut[:n]
	clear(sc.pcmOut)
	for _, m := range o.mixes {
		k := min(n, len(m.pcm))
		for i, v := range m.pcm[:k] {
			sum := int32(sc.pcmOut[i]) + int32(v)
			sc.pcmOut[i] = int16(max(-32768, min(32767, sum)))
		}
		m.pcm = append(m.pcm[:0], m.pcm[k:]...)
	}
	s.sendPCM(sc.pcmOut, n, o.params.Payloads[0].Codec, due, sc)
}
