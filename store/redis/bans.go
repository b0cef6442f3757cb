package redis

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bans is the list of addresses that some node ignores. Losing it bans nobody
// less at the node that made a ban.
type Bans struct{ s *Store }

// Bans returns the list kept here.
func (s *Store) Bans() *Bans { return &Bans{s: s} }

// Bounds of the list: how long it may be, and how many of it are read at once,
// those that last longest first.
const (
	bansKey  = "ringfence:bans"
	maxBans  = 20_000
	readBans = 2_000
)

// ban adds an address, drops what is over and, of too many, what ends first.
var ban = redis.NewScript(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
redis.call('PEXPIREAT', KEYS[1], redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])`)

// Add tells the other nodes to ignore source until then.
func (b *Bans) Add(ctx context.Context, source netip.Addr, until time.Time) error {
	err := ban.Run(ctx, b.s.c, []string{bansKey}, until.UnixMilli(), source.String(), time.Now().UnixMilli(), maxBans).Err()
	if err != nil && err != redis.Nil {
		return fmt.Errorf("redis: ban: %w", err)
	}
	return nil
}

// Lift takes an address off the list.
func (b *Bans) Lift(ctx context.Context, source netip.Addr) error {
	if err := b.s.c.ZRem(ctx, bansKey, source.String()).Err(); err != nil {
		return fmt.Errorf("redis: ban: %w", err)
	}
	return nil
}

// Ban is one address and until when it is ignored.
type Ban struct {
	Source netip.Addr
	Until  time.Time
}

// List returns who is to be ignored now. What is no address is left out.
func (b *Bans) List(ctx context.Context) ([]Ban, error) {
	found, err := b.s.c.ZRevRangeByScoreWithScores(ctx, bansKey, &redis.ZRangeBy{Min: fmt.Sprint(time.Now().UnixMilli()), Max: "+inf", Count: readBans}).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: bans: %w", err)
	}
	out := make([]Ban, 0, len(found))
	for _, z := range found {
		text, _ := z.Member.(string)
		if source, err := netip.ParseAddr(text); err == nil {
			out = append(out, Ban{source, time.UnixMilli(int64(z.Score))})
		}
	}
	return out, nil
}
