package trace

import (
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// Bounds of a Book.
const (
	maxDialogs = 8192 // remembered at once; the oldest goes first
	maxLines   = 64   // of one dialog
	maxPoints  = 120  // of one leg; twice as coarse each time they are full
)

// Line is one message of a ladder.
type Line struct {
	At       time.Time `json:"at"`
	Received bool      `json:"received"` // by us
	What     string    `json:"what"`     // method, or status and reason
	CSeq     string    `json:"cseq,omitempty"`
}

// Point is the quality of a leg's audio over one stretch of time.
type Point struct {
	At      time.Time     `json:"at"`
	Loss    float64       `json:"loss"`        // share of packets to us that were missing, 0–1
	Remote  float64       `json:"remote_loss"` // share of ours the far end missed, 0–1
	Jitter  time.Duration `json:"jitter_ns"`   // interarrival jitter
	RTT     time.Duration `json:"rtt_ns"`      // 0 = not known
	MOS     float64       `json:"mos"`         // estimate; 0 = nothing heard
	Packets uint64        `json:"packets"`     // received in the stretch
}

// Leg is what is known of one leg.
type Leg struct {
	ID        ringfence.LegID     `json:"id"`
	Direction ringfence.Direction `json:"direction"`
	Trunk     string              `json:"trunk,omitempty"`
	Transport string              `json:"transport,omitempty"`
	Cause     ringfence.EndCause  `json:"cause,omitempty"`
	Lines     []Line              `json:"lines"`
	More      int                 `json:"more,omitempty"` // lines that had no room
	Quality   []Point             `json:"quality"`
	Whole     Point               `json:"whole"` // over the leg's life so far
}

// dialog is one Call-ID.
type dialog struct {
	lines []Line
	more  int
}

// leg is one leg of a dialog. The quality of its Leg is empty: see marks.
type leg struct {
	Leg
	callID string
	marks  []mark
	every  int // samples a point
	count  int
	last   Totals
}

// Totals are the counters of a leg's media so far.
type Totals struct {
	Received, Lost uint64
	Remote         float64
	Jitter, RTT    time.Duration
	MOS            float64
}

// Book remembers, for the calls of now and of the last minutes, what went over
// the wire. It is safe for concurrent use and never waits.
type Book struct {
	mu      sync.Mutex // guards everything below
	dialogs map[string]*dialog
	order   []string // of dialogs, oldest first
	legs    map[ringfence.LegID]*leg
	byCall  map[string]ringfence.LegID

	captures []*Capture
}

// NewBook returns an empty Book.
func NewBook() *Book {
	return &Book{dialogs: map[string]*dialog{}, legs: map[ringfence.LegID]*leg{}, byCall: map[string]ringfence.LegID{}}
}

// Message takes one message of the wire.
func (b *Book) Message(m Message) {
	s, ok := summarise(m.Raw)
	if !ok || strings.HasSuffix(s.cseq, "OPTIONS") {
		return // a trunk's health is no call
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.captures {
		c.message(s.callID, m)
	}
	d := b.dialogs[s.callID]
	if d == nil {
		d = b.beginLocked(s.callID)
	}
	if len(d.lines) == maxLines {
		d.more++
		return
	}
	d.lines = append(d.lines, Line{At: m.At, Received: m.Received, What: s.what, CSeq: s.cseq})
}

func (b *Book) beginLocked(callID string) *dialog {
	if len(b.order) >= maxDialogs {
		oldest := b.order[0]
		b.order = b.order[1:]
		delete(b.dialogs, oldest)
		delete(b.legs, b.byCall[oldest])
		delete(b.byCall, oldest)
	}
	d := &dialog{}
	b.dialogs[callID] = d
	b.order = append(b.order, callID)
	return d
}

// Begin ties a leg to its dialog.
func (b *Book) Begin(info ringfence.LegInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dialogs[info.CallID] == nil {
		b.beginLocked(info.CallID)
	}
	b.byCall[info.CallID] = info.ID
	b.legs[info.ID] = &leg{callID: info.CallID, every: 1,
		Leg: Leg{ID: info.ID, Direction: info.Direction, Trunk: info.Trunk, Transport: info.Transport}}
}

// Sample takes the counters of a leg's media, every few seconds.
func (b *Book) Sample(id ringfence.LegID, now time.Time, t Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.legs[id]; l != nil {
		l.sample(now, t)
	}
}

// End takes the last counters of a leg and why it ended.
func (b *Book) End(id ringfence.LegID, now time.Time, t Totals, cause ringfence.EndCause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.legs[id]; l != nil {
		l.Cause = cause
		l.sample(now, t)
	}
}

func (l *leg) sample(now time.Time, t Totals) {
	l.Whole = point(now, Totals{}, t)
	if l.count++; l.count < l.every {
		return
	}
	l.count = 0
	if len(l.marks) >= maxPoints {
		l.coarsen()
	}
	l.marks = append(l.marks, markOf(point(now, l.last, t)))
	l.last = t
}

// coarsen makes one point of two.
func (l *leg) coarsen() {
	for i := 0; i+1 < len(l.marks); i += 2 {
		l.marks[i/2] = markOf(joined(l.marks[i].point(), l.marks[i+1].point()))
	}
	l.marks = l.marks[:len(l.marks)/2]
	l.every *= 2
}

// joined is the quality of two stretches: means by packets, the worse of what
// has no mean.
func joined(a, b Point) Point {
	n := float64(a.Packets + b.Packets)
	if n == 0 {
		return b
	}
	share := func(x, y float64) float64 { return (x*float64(a.Packets) + y*float64(b.Packets)) / n }
	return Point{At: b.At, Loss: share(a.Loss, b.Loss), Remote: max(a.Remote, b.Remote), Jitter: max(a.Jitter, b.Jitter), RTT: max(a.RTT, b.RTT),
		MOS: min(a.MOS, b.MOS), Packets: a.Packets + b.Packets}
}

// point is the quality between two readings of the counters.
func point(now time.Time, from, to Totals) Point {
	got, lost := sub(to.Received, from.Received), sub(to.Lost, from.Lost)
	p := Point{At: now, Remote: to.Remote, Jitter: to.Jitter, RTT: to.RTT, Packets: got}
	if got+lost > 0 {
		p.Loss = float64(lost) / float64(got+lost)
	}
	if got > 0 {
		p.MOS = to.MOS
	}
	return p
}

// sub is never under 0: a late packet takes a loss back.
func sub(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// Leg returns what is known of a leg.
func (b *Book) Leg(id ringfence.LegID) (Leg, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.legs[id]
	if l == nil {
		return Leg{}, false
	}
	out := l.Leg
	out.Lines, out.Quality = []Line{}, make([]Point, len(l.marks))
	for i, m := range l.marks {
		out.Quality[i] = m.point()
	}
	if d := b.dialogs[l.callID]; d != nil {
		out.Lines, out.More = append(out.Lines, d.lines...), d.more
	}
	return out, true
}
