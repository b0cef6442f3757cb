package rtp

import "github.com/ringfence/ringfence"

// caught ends a panic in the handling of one packet or one session, so that a
// bug of ours costs that packet and not every call. Deferred first, so that
// mutexes are free again when it runs. It logs where, never what: a packet
// may hold a secret.
func (p *Pool) caught() {
	r := recover()
	if r == nil {
		return
	}
	p.panics.Add(1)
	p.cfg.Log.Error("rtp: caught a panic", ringfence.Panicked(r))
}

// Panics returns how many panics were caught. Anything but 0 is a bug.
func (p *Pool) Panics() uint64 { return p.panics.Load() }
