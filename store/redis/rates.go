package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rates counts tries for all nodes. A count is believed only when the memory it
// stands in is older than the limit is long: after FLUSHALL, a restart or a
// failover every try is counted and none is vouched for, until what was
// forgotten would be over anyway.
type Rates struct{ s *Store }

// Rates returns the counts kept here.
func (s *Store) Rates() *Rates { return &Rates{s: s} }

// memory is where Redis keeps since when, and as which process, it remembers.
const memory = "ringfence:memory"

// met notes who Redis is. Another one than before is a restart or a failover,
// and its memory begins now.
var met = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'run') == ARGV[1] then return 0 end
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'born', t[1])
return 1`)

// meet runs on every new connection, so that nothing is asked of a server that
// was not met.
func meet(ctx context.Context, c *redis.Conn) error {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	for line := range strings.Lines(info) {
		if run, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok && run != "" {
			return met.Run(ctx, c, []string{memory}, run).Err()
		}
	}
	return errors.New("redis: does not say its run_id")
}

// spend is the generic cell rate algorithm: the key holds when the tries taken
// so far will have been paid off, in microseconds. Times are Redis's own.
var spend = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local born = redis.call('HGET', KEYS[1], 'born')
if not born then
  born = t[1]
  redis.call('HSET', KEYS[1], 'born', born)
end
local every, most = tonumber(ARGV[1]), ARGV[1] * ARGV[2]
local paid = tonumber(redis.call('GET', KEYS[2]) or '0')
if paid < now then paid = now end
if paid + every - now > most then return 0 end
redis.call('SET', KEYS[2], string.format('%.0f', paid + every), 'PX', math.ceil((paid + every - now) / 1000) + 1)
if now - born * 1000000 <= most + 1000000 then return 2 end
return 1`)

// errYoung says that Redis does not remember for long enough.
var errYoung = errors.New("redis: was emptied, restarted or replaced not long ago")

// Spend takes one try of name under the limit what: at most burst at once, and
// one more after every. An error means that it could not be found out; no is no.
func (r *Rates) Spend(ctx context.Context, what, name string, every time.Duration, burst int) (bool, error) {
	if every < time.Microsecond || burst < 1 {
		return false, fmt.Errorf("redis: %d tries, one every %v, is no limit", burst, every)
	}
	sum := sha256.Sum256([]byte(name)) // names may be addresses of people
	verdict, err := spend.Run(ctx, r.s.c, []string{memory, "ringfence:rate:" + what + ":" + hex.EncodeToString(sum[:16])}, every.Microseconds(), burst).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("redis: rate: %w", err)
	case verdict == 0:
		return false, nil
	case verdict == 1:
		return true, nil
	default:
		return false, errYoung
	}
}
