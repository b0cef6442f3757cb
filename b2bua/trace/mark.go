package trace

import (
	"math"
	"time"
)

// mark is a Point as it is kept, in 32 bytes instead of 80: a bridged call has
// 240 of them after some minutes, which was a fifth of all that it held.
type mark struct {
	at          int64  // Unix time in ns
	loss, far   uint32 // millionths
	jitter, rtt uint32 // µs
	packets     uint32
	mos         uint16 // thousandths
}

func markOf(p Point) mark {
	return mark{at: p.At.UnixNano(), loss: scaled(p.Loss, 1e6), far: scaled(p.Remote, 1e6), jitter: scaled(float64(p.Jitter), 1e-3),
		rtt: scaled(float64(p.RTT), 1e-3), packets: scaled(float64(p.Packets), 1), mos: uint16(min(scaled(p.MOS, 1e3), math.MaxUint16))}
}

// scaled is v times by, rounded, within what a mark can hold.
func scaled(v, by float64) uint32 { return uint32(min(max(0, math.Round(v*by)), math.MaxUint32)) }

func (m mark) point() Point {
	return Point{At: time.Unix(0, m.at), Loss: float64(m.loss) / 1e6, Remote: float64(m.far) / 1e6, Jitter: time.Duration(m.jitter) * time.Microsecond,
		RTT: time.Duration(m.rtt) * time.Microsecond, MOS: float64(m.mos) / 1e3, Packets: uint64(m.packets)}
}
