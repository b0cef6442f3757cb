package b2bua

import (
	"hash/maphash"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// intakeStep is how often the number of set-ups at once is reconsidered.
	intakeStep = 100 * time.Millisecond
	// setupTime is how long a set-up counts at most. One that takes longer waits
	// for somebody else, as for a certificate, and costs nothing meanwhile.
	setupTime = time.Second
	// leastSetups may always be under way at once: on a machine that is late for
	// another reason, calls that come one by one are taken all the same.
	leastSetups = 32
	// lateRun is how long what is ready to run may wait for a processor before
	// that counts as late. Packets of calls in progress wait as long.
	lateRun = 20 * time.Millisecond
	// lateWork is the same for what Config.Late tells. It is long: commits are
	// made in groups, so that on a slow disk many calls at once wait no longer
	// than few, and refusing them would only cost calls.
	lateWork = time.Second
)

// intake bounds the calls that are being set up at once. What comes past the
// bound is refused before anything is spent on it, so that calls in progress
// and those being set up get what the machine has. The bound falls by a third
// in each step in which the process is late and rises again when it is not.
type intake struct {
	most, least int
	run         func() time.Duration // how long most of what was ready had to wait since it was last asked
	work        func() time.Duration // Config.Late; nil = nobody knows

	mu    sync.Mutex // guards everything below
	open  map[string]time.Time
	limit int
	met   bool // the bound refused somebody since the last step
	not   [refusals]refusedCall

	seed maphash.Seed
	shed atomic.Int64
}

// refusals is how many refused INVITEs are remembered, so that a copy of one is
// refused like it: its caller has given up. Two of one place in the table push
// each other out.
const refusals = 8192

// refusalTime is how long a copy may be under way or wait in our own buffer.
const refusalTime = 5 * time.Second

type refusedCall struct {
	hash  uint64
	until time.Time
}

func newIntake(most int, work func() time.Duration) *intake {
	return &intake{most: most, least: min(most, leastSetups), limit: most, open: map[string]time.Time{}, seed: maphash.MakeSeed(), run: runDelay(), work: work}
}

// take counts a set-up, unless there are too many. known is true for one that
// is counted already.
func (i *intake) take(key string, now time.Time) (ok, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, known = i.open[key]; known {
		return true, true
	}
	hash := maphash.String(i.seed, key)
	if r := i.not[hash%refusals]; r.hash == hash && now.Before(r.until) {
		return false, false
	}
	if len(i.open) >= i.limit {
		i.met = true
		i.shed.Add(1)
		i.not[hash%refusals] = refusedCall{hash: hash, until: now.Add(refusalTime)}
		return false, false
	}
	i.open[key] = now
	return true, false
}

// back takes a set-up back that was refused for another reason.
func (i *intake) back(key string, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.open, key)
	hash := maphash.String(i.seed, key)
	i.not[hash%refusals] = refusedCall{hash: hash, until: now.Add(refusalTime)}
}

// done ends a set-up: it was answered, refused, or given up.
func (i *intake) done(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.open, key)
}

// room reports whether a set-up would be taken now.
func (i *intake) room() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.open) < i.limit
}

// bound is the number of set-ups that may be under way at once now.
func (i *intake) bound() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.limit
}

// watch adjusts the bound until stop is closed.
func (i *intake) watch(stop <-chan struct{}) {
	tick := time.NewTicker(intakeStep)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			i.adjust(now)
		}
	}
}

// adjust is one step.
func (i *intake) adjust(now time.Time) {
	late := i.run() > lateRun || i.work != nil && i.work() > lateWork
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, since := range i.open {
		if now.Sub(since) > setupTime {
			delete(i.open, key)
		}
	}
	switch {
	case late:
		i.limit = max(i.least, i.limit*2/3)
	case i.met || i.limit < i.most/2: // nobody asks for more than half
		i.limit = min(i.most, i.limit+max(1, i.limit/4))
	}
	i.met = false
}

// runDelay returns a function that tells what nine in ten goroutines that were
// ready to run waited at most, since it was last called.
func runDelay() func() time.Duration {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	var before []uint64
	return func() time.Duration {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
			return 0 // a runtime without it
		}
		h := sample[0].Value.Float64Histogram()
		counts := make([]uint64, len(h.Counts))
		for n, c := range h.Counts {
			counts[n] = c
			if before != nil {
				counts[n] -= before[n]
			}
		}
		before = append(before[:0], h.Counts...)
		return quantile(counts, h.Buckets, 9, 10)
	}
}

// quantile returns the lower end of the bucket in which part of whole of the
// counts end.
func quantile(counts []uint64, buckets []float64, part, whole uint64) time.Duration {
	var all, seen uint64
	for _, c := range counts {
		all += c
	}
	if all == 0 {
		return 0
	}
	for n, c := range counts {
		if seen += c; seen*whole >= all*part {
			return time.Duration(max(0, buckets[n]) * float64(time.Second)) // the lowest is minus infinity
		}
	}
	return 0
}
