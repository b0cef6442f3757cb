package redis

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ringfence/ringfence/stirshaken"
)

// Marks is stirshaken.Marks for several nodes. Each node remembers its own
// beside it, so that a flushed Redis forgets only what other nodes saw. While
// Redis cannot be asked, a PASSporT counts as not checked: it adds nothing.
type Marks struct {
	s    *Store
	near stirshaken.Marks
}

var _ stirshaken.Marks = (*Marks)(nil)

// Marks returns the replay marks kept here.
func (s *Store) Marks() *Marks { return &Marks{s: s, near: stirshaken.NewMemoryMarks(0)} }

// first stores a value unless there is one, and returns what is stored.
var first = redis.NewScript(`
local was = redis.call('GET', KEYS[1])
if was then return was end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`)

// First implements stirshaken.Marks.
func (m *Marks) First(ctx context.Context, mark, call stirshaken.Mark, now, until time.Time) (by stirshaken.Mark, at time.Time, err error) {
	by, at, err = m.near.First(ctx, mark, call, now, until)
	if err != nil || by != call {
		return by, at, err
	}
	value := binary.BigEndian.AppendUint64(call[:], uint64(at.UnixNano()))
	life := max(until.Sub(now), time.Millisecond).Milliseconds()
	got, err := first.Run(ctx, m.s.c, []string{"ringfence:mark:" + hex.EncodeToString(mark[:])}, value, life).Text()
	if err != nil {
		return stirshaken.Mark{}, time.Time{}, fmt.Errorf("redis: replay mark: %w", err)
	}
	if len(got) != len(value) {
		return stirshaken.Mark{}, time.Time{}, errors.New("redis: replay mark is malformed")
	}
	copy(by[:], got)
	return by, time.Unix(0, int64(binary.BigEndian.Uint64([]byte(got[len(by):])))), nil
}
