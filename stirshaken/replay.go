package stirshaken

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// Mark names a presented set of PASSporTs or a call, as a SHA-256.
type Mark [32]byte

// Marks remembers which call first presented a PASSporT, so that another call
// cannot (RFC 8224, section 12.1). Losing marks loses replay detection for the
// PASSporTs of the last two minutes and nothing else.
//
// An implementation must be safe for use by several goroutines, must keep a
// mark at least until the given time, and must answer within the context.
type Marks interface {
	// First stores that call presented mark at now, unless some call did
	// already, and returns the call and time that are stored. An error means it
	// could not be found out; the PASSporT then counts as not checked.
	First(ctx context.Context, mark, call Mark, now, until time.Time) (by Mark, at time.Time, err error)
}

// ErrMarksFull is returned by MemoryMarks when its bound is reached.
var ErrMarksFull = errors.New("stirshaken: too many replay marks")

// MemoryMarks keeps marks in memory, in two generations; the older is dropped
// whole, so that forgetting costs nothing. The zero value is not usable; see
// NewMemoryMarks.
type MemoryMarks struct {
	shards [16]markShard
	most   int // for one shard and generation
}

type markShard struct {
	mu         sync.Mutex
	young, old map[Mark]sighting
	turn       time.Time // when the young generation becomes the old one
}

type sighting struct {
	call Mark
	at   time.Time
}

// NewMemoryMarks keeps at most that many marks; zero means DefaultReplayMarks.
// It takes about 150 bytes for each.
func NewMemoryMarks(most int) *MemoryMarks {
	if most <= 0 {
		most = DefaultReplayMarks
	}
	return &MemoryMarks{most: max(1, most/32)}
}

// First implements Marks.
func (m *MemoryMarks) First(_ context.Context, mark, call Mark, now, until time.Time) (Mark, time.Time, error) {
	s := &m.shards[mark[0]&15]
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.turn) {
		s.old = s.young
		if now.After(s.turn.Add(markGeneration)) {
			s.old = nil
		}
		s.young, s.turn = map[Mark]sighting{}, now.Add(markGeneration)
	}
	if seen, ok := s.young[mark]; ok {
		return seen.call, seen.at, nil
	}
	if seen, ok := s.old[mark]; ok {
		return seen.call, seen.at, nil
	}
	if len(s.young) >= m.most {
		return Mark{}, time.Time{}, ErrMarksFull
	}
	_ = until // a generation is longer than any freshness a Config allows
	s.young[mark] = sighting{call, now}
	return call, now, nil
}

// markGeneration is how long a mark lives at least. NewVerifier refuses a
// freshness and skew that sum to more.
const markGeneration = 5 * time.Minute

// markOf names the PASSporTs that carry a call: the shaken one and the
// diversions that lead here, in order. A high s is turned into its low twin,
// so that the two signatures of one signing cannot pass as two.
func markOf(list []*PASSporT) Mark {
	var room [2 * 64]byte
	b := room[:0]
	for _, p := range list {
		b = append(b, p.sig[:]...)
		lowS(b[len(b)-32:])
	}
	return sha256.Sum256(b)
}

// lowS replaces s by n-s when s > n/2.
func lowS(s []byte) {
	var twin [32]byte
	borrow := uint64(0)
	for i := 24; i >= 0; i -= 8 {
		n, v := binary.BigEndian.Uint64(order[i:]), binary.BigEndian.Uint64(s[i:])
		d := n - v - borrow
		if n < v || n == v && borrow == 1 {
			borrow = 1
		} else {
			borrow = 0
		}
		binary.BigEndian.PutUint64(twin[i:], d)
	}
	if string(twin[:]) < string(s) {
		copy(s, twin[:])
	}
}

// callMark names a call: Call-ID and From tag, which retransmissions, forked
// branches and the repetition after a digest challenge share (RFC 3261,
// sections 8.2.2.2 and 22.2). Without a Call-ID there is no call to name.
func callMark(req *Request, tag string) (m Mark, ok bool) {
	if req.CallID == "" {
		return m, false
	}
	var room [256]byte
	b := append(room[:0], req.CallID...)
	b = append(b, 0)
	return sha256.Sum256(append(b, tag...)), true
}
