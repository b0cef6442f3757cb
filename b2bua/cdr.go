package b2bua

import (
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// CDR is the record of one leg that is over. It holds no whole number and no text
// of a stranger but the Call-ID, by which a carrier finds the call.
type CDR struct {
	Leg       ringfence.LegID       `json:"leg"`                 // as in the ledger
	Traversal ringfence.TraversalID `json:"traversal,omitempty"` // as in the ledger; empty: no flow took the call
	Purpose   string                `json:"purpose,omitempty"`   // of a leg that we placed
	Direction ringfence.Direction   `json:"direction"`
	Trunk     string                `json:"trunk"`
	Transport string                `json:"transport"`
	From      string                `json:"from"` // masked
	To        string                `json:"to"`   // masked
	CallID    string                `json:"call_id"`

	Began    time.Time `json:"began"`
	Answered time.Time `json:"answered,omitzero"`
	Ended    time.Time `json:"ended"`
	Seconds  float64   `json:"seconds"` // answered to ended; 0 if never answered

	Cause ringfence.EndCause `json:"cause"`
	Code  int                `json:"code,omitempty"` // SIP status of a leg that came to nothing

	Codec    string  `json:"codec,omitempty"` // what we spoke, with +opus where that was agreed beside it
	SRTP     string  `json:"srtp,omitempty"`  // suite; empty = plain
	Received uint64  `json:"received"`        // packets
	Sent     uint64  `json:"sent"`
	Lost     uint64  `json:"lost"`
	JitterMS float64 `json:"jitter_ms"`
	RTTMS    float64 `json:"rtt_ms,omitempty"`
	MOS      float64 `json:"mos,omitempty"` // estimate for what we heard, 1 to 4.5
}

// Belongs notes whose leg this is, for its CDR.
func (l *Leg) Belongs(t ringfence.TraversalID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.traversal = t
}

// record makes the CDR of a leg that is over.
func (l *Leg) record(now time.Time) CDR {
	st := l.media.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := CDR{Leg: l.info.ID, Traversal: l.traversal, Direction: l.info.Direction, Trunk: l.info.Trunk, Transport: l.info.Transport,
		From: masked(userOf(l.info.From)), To: masked(l.info.Called), CallID: l.info.CallID, Began: l.info.ReceivedAt, Answered: l.answeredAt,
		Ended: now, Cause: l.cause, Code: l.code, Received: st.Received, Sent: st.Sent, Lost: st.Lost,
		JitterMS: millis(st.Jitter), RTTMS: millis(st.RTT), MOS: st.MOS}
	if o, ok := l.call.(*outbound); ok {
		c.Purpose, c.From = o.p.Purpose, masked(o.p.From)
	}
	if l.hasMedia {
		c.Codec, c.SRTP = l.agreed.Codec.Name, l.agreed.Suite
		if l.agreed.Opus != 0 {
			c.Codec += "+opus"
		}
	}
	if !l.answeredAt.IsZero() {
		c.Seconds = now.Sub(l.answeredAt).Seconds()
	}
	return c
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// userOf is the user part of the address in a From value.
func userOf(v string) string {
	a, err := parseNameAddr(v)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(a.uri, ":")
	user, _, ok := strings.Cut(rest, "@")
	if !ok && strings.HasPrefix(a.uri, "tel:") {
		user, ok = rest, true
	}
	user, _, _ = strings.Cut(user, ";")
	if !ok {
		return ""
	}
	return user
}

// masked leaves a number its first two and last two digits. What is no number is
// an extension or a name: of that the first letter stays.
func masked(user string) string {
	if user == "" {
		return ""
	}
	digits := strings.TrimPrefix(user, "+")
	if len(digits) < 7 || strings.Trim(digits, "0123456789") != "" {
		return string([]rune(user)[:1]) + "***"
	}
	return user[:len(user)-len(digits)] + digits[:2] + strings.Repeat("*", len(digits)-4) + digits[len(digits)-2:]
}
