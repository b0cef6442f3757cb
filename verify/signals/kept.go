package signals

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// kept holds answers for a short while, at most so many. The oldest goes first.
type kept struct {
	most int
	salt [32]byte // so that a key in memory is no number

	mu    sync.Mutex
	all   map[key]*entry // guarded by mu
	order []key          // oldest first; guarded by mu
}

type key [32]byte

// entry is one answer, or one that is on its way.
type entry struct {
	ready   chan struct{} // closed when answers are there
	answers []ringfence.Signal
	until   time.Time // guarded by kept.mu; zero = on its way
}

func newKept(most int) *kept {
	k := &kept{most: most, all: map[key]*entry{}}
	_, _ = rand.Read(k.salt[:]) // never fails (crypto/rand)
	return k
}

// keyOf is by source and question.
func keyOf(s Source, q Question) func(*kept) key {
	return func(k *kept) key {
		plain, _ := json.Marshal(struct { // strings and booleans always marshal
			Source string
			Q      Question
		}{s.Name(), q})
		return sha256.Sum256(append(k.salt[:], plain...))
	}
}

// entry returns what is kept or on its way under a key; ours reports that
// nothing is, and that the caller has to settle the one returned.
func (k *kept) entry(of func(*kept) key, now time.Time) (e *entry, ours bool) {
	id := of(k)
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.all[id]; e != nil {
		if e.until.IsZero() || now.Before(e.until) {
			return e, false
		}
	} else {
		k.order = append(k.order, id)
	}
	e = &entry{ready: make(chan struct{})}
	k.all[id] = e
	for len(k.order) > k.most { // whoever waits for one that goes still gets its answer
		delete(k.all, k.order[0])
		k.order = k.order[1:]
	}
	return e, true
}

// settle gives the answer to all who wait for it.
func (k *kept) settle(e *entry, answers []ringfence.Signal, until time.Time) {
	e.answers = answers
	close(e.ready)
	k.mu.Lock()
	defer k.mu.Unlock()
	e.until = until
}
