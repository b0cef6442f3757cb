package config

import (
	"slices"
	"strings"
	"time"
)

// Queue is people, or one SIP address of a PBX queue.
type Queue struct {
	Name     string        `koanf:"name"`
	Tenant   string        `koanf:"tenant"`
	People   []string      `koanf:"people"` // e-mail addresses of staff; "*" is every agent
	URI      string        `koanf:"uri"`
	Strategy string        `koanf:"strategy"` // ring_all (default) or longest_idle
	Max      int           `koanf:"max"`      // callers waiting; 0 = 20
	Wait     time.Duration `koanf:"wait"`     // how long a caller waits at most; 2m
	Ring     time.Duration `koanf:"ring"`     // how long one phone rings; 30s
	// Announce is what a waiting caller is told each Every, by language.
	Announce map[string]string `koanf:"announce"`
	Every    time.Duration     `koanf:"announce_every"` // 45s
	// Overflow is the queue that takes callers whom no flow leads, when nobody
	// here does.
	Overflow string `koanf:"overflow"`
}

// AnnounceEvery is how often a waiting caller is told something, if nothing is
// said.
const AnnounceEvery = 45 * time.Second

// Bounds of a queue's times.
const (
	longestWait   = time.Hour
	longestRing   = 3 * time.Minute
	shortestEvery = 15 * time.Second
)

func (c *Config) checkQueues(p *problems) (names map[string]bool) {
	names = map[string]bool{}
	for _, q := range c.Queues {
		key := "queues." + q.Name
		names[q.Name] = true
		if q.Name == "" {
			p.add("queues: each queue needs a name")
		}
		if (len(q.People) == 0) == (q.URI == "") {
			p.add("%s: name either people or the uri of a PBX queue", key)
		}
		if q.Strategy != "" {
			p.oneOf(key+".strategy", q.Strategy, "ring_all", "longest_idle")
		}
		c.checkWait(p, key, q)
	}
	return names
}

// checkWait judges how long callers wait in a queue, and what for.
func (c *Config) checkWait(p *problems, key string, q Queue) {
	if q.Max < 0 {
		p.add("%s.max is %d: want how many callers may wait", key, q.Max)
	}
	if q.Wait < 0 || q.Wait > longestWait {
		p.add("%s.wait is %s: want at most %s", key, q.Wait, longestWait)
	}
	if q.Ring < 0 || q.Ring > longestRing {
		p.add("%s.ring is %s: want at most %s", key, q.Ring, longestRing)
	}
	if q.Every != 0 && q.Every < shortestEvery {
		p.add("%s.announce_every is %s: want at least %s", key, q.Every, shortestEvery)
	}
	for language, text := range q.Announce {
		if strings.TrimSpace(text) == "" {
			p.add("%s.announce.%s is empty: write what waiting callers are told, or leave it out", key, language)
		}
	}
	same := func(o Queue) bool { return o.Name == q.Overflow && o.Tenant == q.Tenant }
	if q.Overflow != "" && (q.Overflow == q.Name || !slices.ContainsFunc(c.Queues, same)) {
		p.add("%s.overflow: there is no other queue %q of the tenant", key, q.Overflow)
	}
}
