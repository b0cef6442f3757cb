// Package redis keeps what several nodes share and may lose. Nothing here can
// release an action, and nothing lost here gives an attacker another try at a
// secret: whoever asks it takes "not found out" for no.
//
// Each decision is one Lua script, never a read and then a write; nothing is
// tried again behind the caller's back.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config opens a connection. The zero value is refused.
type Config struct {
	// URL is redis://host:6379/0, or rediss:// off this machine.
	URL string
	// Password wins over one in URL.
	Password string
}

// Store is a pool of connections. It is safe for concurrent use.
type Store struct{ c *redis.Client }

// timeout bounds each question; after it the answer is no.
const timeout = 250 * time.Millisecond

// Open connects and refuses a server that throws away what it was told to
// keep, or one that others could read on the way.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, errors.New("redis: the address is malformed: want redis://host:6379/0 or rediss://host:6379/0")
	}
	if o.TLSConfig == nil && !onThisMachine(o) {
		return nil, fmt.Errorf("redis: %s is reached in plain text: use rediss://, or put it on this machine", o.Addr)
	}
	if cfg.Password != "" {
		o.Password = cfg.Password
	}
	o.MaxRetries = -1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	o.DialerRetries = 1
	o.OnConnect = meet
	s := &Store{c: redis.NewClient(o)}
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.c.Close())
	}
	return s, nil
}

func onThisMachine(o *redis.Options) bool {
	if o.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(o.Addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// check asserts that nothing is evicted: an evicted ban or mark would let in
// what it was to keep out.
func (s *Store) check(ctx context.Context) error {
	info, err := s.c.Info(ctx, "memory").Result()
	if err != nil {
		return fmt.Errorf("redis: cannot be asked: %w", err)
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:"); ok {
			if policy == "noeviction" {
				return nil
			}
			return fmt.Errorf("redis: maxmemory-policy is %s: set it to noeviction, or what was banned comes back when memory runs short", policy)
		}
	}
	return errors.New("redis: does not say its maxmemory-policy: want noeviction")
}

// Close closes the connections.
func (s *Store) Close() error { return s.c.Close() }
