package rtp

import "time"

// Bounds of a mixBuffer in samples of 8 kHz.
const (
	mixTarget = 320  // 40 ms wait before a source is heard: what its jitter may be
	mixLimit  = 1280 // 160 ms: a source that runs ahead is cut back to the target
)

// mixBuffer holds one source's audio until it is mixed. Packets are taken in
// the order they come. Owned by the sending side of the session that mixes.
type mixBuffer struct {
	pcm     []int16
	playing bool // the target was reached and the buffer did not run dry since
}

func newMixes(hear []*Session) []*mixBuffer {
	if len(hear) < 2 {
		return nil
	}
	m := make([]*mixBuffer, len(hear))
	for i := range m {
		m[i] = &mixBuffer{pcm: make([]int16, 0, mixLimit)}
	}
	return m
}

func (m *mixBuffer) clear() { m.pcm, m.playing = m.pcm[:0], false }

func (m *mixBuffer) write(pcm []int16) {
	if over := len(m.pcm) + len(pcm) - mixLimit; over > 0 {
		drop := min(len(m.pcm), over+mixLimit-mixTarget)
		m.pcm = append(m.pcm[:0], m.pcm[drop:]...)
		pcm = pcm[max(0, len(pcm)-mixTarget):]
	}
	m.pcm = append(m.pcm, pcm...)
}

// addTo adds the next samples to frame, with saturation.
func (m *mixBuffer) addTo(frame []int16) {
	if !m.playing && len(m.pcm) < mixTarget {
		return
	}
	k := min(len(frame), len(m.pcm))
	m.playing = k == len(frame)
	for i, v := range m.pcm[:k] {
		frame[i] = int16(saturate(int32(frame[i]) + int32(v)))
	}
	m.pcm = append(m.pcm[:0], m.pcm[k:]...)
}

// mixed reports whether any session that hears this one mixes.
func (s *Session) mixed() bool {
	list := s.hearers.Load()
	if list == nil {
		return false
	}
	for _, d := range *list {
		if d.mixing.Load() {
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
		m.addTo(sc.pcmOut)
	}
	s.sendPCM(sc.pcmOut, n, o.params.Payloads[0].Codec, due, sc)
}

// Supervision is what a supervisor may do in a call between two others.
type Supervision uint8

// The supervisions. The zero value hears and is not heard.
const (
	Listen  Supervision = 0
	Whisper Supervision = 1 // the agent hears the supervisor, the caller does not
	Barge   Supervision = 2 // all three hear each other
)

// Supervise joins a supervisor to the call of caller and agent, or changes
// what it may do. Each side still relays packet for packet where it hears one
// session only. A cut of the caller holds for the supervisor too. Part of the
// supervisor undoes it.
func Supervise(caller, agent, supervisor *Session, how Supervision) {
	supervisor.Hear(caller, agent)
	switch how {
	case Whisper:
		caller.Hear(agent)
		agent.Hear(caller, supervisor)
	case Barge:
		caller.Hear(agent, supervisor)
		agent.Hear(caller, supervisor)
	default:
		caller.Hear(agent)
		agent.Hear(caller)
	}
}
