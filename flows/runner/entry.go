package runner

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
)

// entry collects the keys of one secret. They stand here and nowhere else,
// and are wiped when they have been handed over.
type entry struct {
	s        *slot
	ctx      context.Context // of the traversal; timers that end the entry submit with it
	session  int
	ref      flows.Ref
	into     string
	target   flows.Ref // challenge
	min, max int
	first    time.Duration
	between  time.Duration
	opens    flows.Ref // speech whose end opens the entry; 0 = open
	void     bool
	voided   bool // keys came before the line had ended: the try is spent
	star     bool
	keys     ringfence.Secret
	waiting  func()
	started  bool
}

// collect opens an entry on a slot.
func (s *slot) collect(ctx context.Context, e flows.Effect) {
	s.closeEntry()
	n := &entry{s: s, ctx: ctx, session: s.t.session.number, ref: e.Ref, into: e.Into, target: e.Challenge, min: e.Min, max: e.Max,
		first: e.First, between: e.Between, opens: e.Open, void: e.Void, star: e.Star, keys: make(ringfence.Secret, 0, 64)}
	if c := s.t.challenge(n.session, n.target); n.max <= 0 && c != nil && c.kind == flows.EffReach {
		n.max = callback.FreshDigits + callback.CarryDigits
	}
	if n.max <= 0 || n.max > 64 {
		n.max = 64
	}
	s.entry = n
}

// settle runs when all effects of a step are done: an entry comes before the
// speech that opens it, so only now is it known whether something is spoken.
func (s *slot) settle() {
	n := s.entry
	if n == nil {
		return
	}
	if n.opens != 0 && !s.queued(n.opens) {
		n.opens = 0 // spoken already
	}
	if s.playing == 0 && len(s.queue) == 0 {
		n.open()
	}
}

func (s *slot) queued(ref flows.Ref) bool {
	for _, u := range s.queue {
		if u.ref == ref {
			return true
		}
	}
	return false
}

// open starts the wait for the first key, once.
func (n *entry) open() {
	if n.started || n.opens != 0 {
		return
	}
	n.started = true
	n.wait(n.first)
}

func (n *entry) wait(d time.Duration) {
	n.forget()
	n.waiting = n.s.t.after(d, n.timeout)
}

func (n *entry) forget() {
	if n.waiting != nil {
		n.waiting()
		n.waiting = nil
	}
}

func (n *entry) timeout() {
	switch {
	case n.voided:
		n.complete(true)
	case len(n.keys) == 0:
		n.silent()
	default:
		n.complete(false)
	}
}

// key takes one key.
func (n *entry) key(d byte) {
	switch {
	case d == '*' && n.star:
		n.reject()
	case n.voided || n.opens != 0 && n.void:
		// A burst of early keys spends one try, not one for each key.
		n.voided, n.started = true, true
		n.s.stop()
		n.wait(n.between)
	case n.opens != 0:
		// what comes before the line has ended is not an answer
	case d == '*':
		verify.Wipe(n.keys)
		n.keys = n.keys[:0]
		n.cut()
	case d == '#':
		if len(n.keys) > 0 {
			n.complete(false)
		}
	case d >= '0' && d <= '9':
		n.cut()
		n.keys = append(n.keys, d)
		if len(n.keys) >= n.max {
			n.complete(false)
		}
	}
}

// cut stops what is spoken at the first key and starts the wait between keys.
func (n *entry) cut() {
	if n.s.playing != 0 || len(n.s.queue) > 0 {
		queue := n.s.queue
		n.s.stop()
		for _, u := range queue {
			n.s.t.feedTo(u.session, flows.Input{Kind: flows.InPlayed, Ref: u.ref, On: n.s.at})
		}
	}
	n.started = true
	n.wait(n.between)
}

// close takes the entry off its slot; its keys are the caller's to wipe.
func (n *entry) close() {
	n.forget()
	if n.s.entry == n {
		n.s.entry = nil
	}
}

func (n *entry) silent() {
	n.close()
	in := flows.Input{Kind: flows.InOutcome, Ref: n.ref, Outcome: flows.Silent, On: n.s.at}
	if n.into == "" {
		c := n.s.t.challenge(n.session, n.target)
		in.Ref, in.Again = n.target, c != nil && !c.over // silence spends no try of the challenge
	}
	n.s.t.feedTo(n.session, in)
}

func (n *entry) reject() {
	n.close()
	verify.Wipe(n.keys)
	n.s.t.reject(n.ctx, n.session, n.target)
}

// complete hands the keys over.
func (n *entry) complete(early bool) {
	n.close()
	t := n.s.t
	if n.into == "" {
		t.submit(n.ctx, n.session, n.target, verify.Answer{Leg: n.s.leg.ID(), Value: n.keys, Early: early})
		return
	}
	out := flows.OK
	if len(n.keys) < n.min || len(n.keys) > n.max {
		out = flows.Wrong
		verify.Wipe(n.keys)
	} else {
		if t.secrets == nil {
			t.secrets = map[string]ringfence.Secret{}
		}
		verify.Wipe(t.secrets[n.into])
		t.secrets[n.into] = n.keys
	}
	t.feedTo(n.session, flows.Input{Kind: flows.InOutcome, Ref: n.ref, Outcome: out, On: n.s.at})
}
