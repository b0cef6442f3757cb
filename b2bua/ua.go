package b2bua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Handler takes inbound calls. HandleLeg runs on its own goroutine, once for
// each admitted INVITE; ctx ends when the leg ends, and the leg is hung up when
// HandleLeg returns, unless it was told to Stay.
type Handler interface {
	HandleLeg(ctx context.Context, leg *Leg)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, leg *Leg)

// HandleLeg calls f.
func (f HandlerFunc) HandleLeg(ctx context.Context, leg *Leg) { f(ctx, leg) }

// ErrDraining is returned by Place while the UA is draining or closed.
var ErrDraining = errors.New("sip: no new calls: stopping")

// UA is the telephone edge: listeners, trunks and the legs in progress. Start it
// once, Drain it, Close it; Close waits for everything it started.
type UA struct {
	cfg     Config
	h       Handler
	log     *slog.Logger
	sides   []*side
	rates   sources // of trunks
	strange sources // of everybody else
	pool    *rtp.Pool
	soft    *Softphones
	intake  *intake
	wg      sync.WaitGroup // sides, legs and their clean-up

	mu       sync.Mutex // guards everything below
	started  bool
	draining bool
	closed   bool
	ctx      context.Context // parent of every leg's
	cancel   context.CancelCauseFunc
	dialogs  map[string]*Leg // by Call-ID and our tag
	legs     map[ringfence.LegID]*Leg
	attempts map[string]*attempt // by message.key
	slots    slots
	streams  map[netip.AddrPort]int  // legs by the far end's address
	down     map[netip.AddrPort]bool // trunk addresses that took no calls when last asked
	bindings map[*Trunk]*binding     // at registrars; set by Start, not changed after it
	calls    bucket                  // of new calls a second
	changed  chan struct{}           // closed and replaced when fewer are in progress
	drained  chan struct{}           // closed when draining begins
}

// attempt is an INVITE that was admitted, kept for as long as copies of it may
// arrive.
type attempt struct {
	branch string
	until  time.Time // zero while its leg lives
}

// live reports whether a copy of the INVITE may still arrive.
func (a *attempt) live(now time.Time) bool {
	return a != nil && (a.until.IsZero() || now.Before(a.until))
}

// stack sets what sipgo keeps in package variables. Its log is switched off: it
// writes whole messages, and those hold numbers and PASSporTs.
var stack = sync.OnceFunc(func() {
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	sip.UDPMTUSize = 65000 // an INVITE with Identity is larger than 1,300 bytes; fragments beat a failed call
})

// New checks the configuration. It opens nothing.
func New(cfg Config, h Handler, log *slog.Logger) (*UA, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = HandlerFunc(func(ctx context.Context, leg *Leg) { _ = leg.Refuse(ctx, 404, "Not Found") })
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	stack()
	u := &UA{cfg: cfg, h: h, log: log, dialogs: map[string]*Leg{}, legs: map[ringfence.LegID]*Leg{}, attempts: map[string]*attempt{},
		slots: newSlots(), streams: map[netip.AddrPort]int{}, down: map[netip.AddrPort]bool{}, bindings: map[*Trunk]*binding{},
		changed: make(chan struct{}), drained: make(chan struct{})}
	u.strange.tell = cfg.Banned
	u.soft = newSoftphones(u)
	u.intake = newIntake(cfg.Limits.Setups, cfg.Late)
	return u, nil
}

// Start opens the listeners and returns when calls can come. ctx is the parent
// of every leg: its end hangs them up.
func (u *UA) Start(ctx context.Context) error {
	u.mu.Lock()
	if u.started || u.closed {
		u.mu.Unlock()
		return errors.New("sip: started before")
	}
	u.started = true
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	u.mu.Unlock()
	media := u.cfg.Media
	if !media.Bind.IsValid() {
		media.Bind = u.commonAddr()
	}
	pool, err := rtp.NewPool(media)
	if err != nil {
		return err
	}
	u.pool = pool
	for _, l := range u.cfg.Listeners {
		s, err := u.open(l)
		if err != nil {
			_ = u.Close()
			return fmt.Errorf("sip: listener %s: %v", l.Name, err)
		}
		u.sides = append(u.sides, s)
	}
	u.goLoose("intake", func() { u.intake.watch(u.ctx.Done()) })
	if u.cfg.Book != nil {
		u.goLoose("quality", u.sample)
	}
	for i := range u.cfg.Trunks {
		t := &u.cfg.Trunks[i]
		if s := u.sideFor(t); s != nil {
			u.attend(s, t)
		}
	}
	return nil
}

// commonAddr is the address of all listeners, or the wildcard.
func (u *UA) commonAddr() netip.Addr {
	var common netip.Addr
	for _, l := range u.cfg.Listeners {
		a := netip.MustParseAddrPort(l.Addr).Addr()
		if common.IsValid() && common != a {
			return netip.IPv4Unspecified()
		}
		common = a
	}
	return common
}

// Addrs returns the bound address of each listener, by its name.
func (u *UA) Addrs() map[string]netip.AddrPort {
	out := map[string]netip.AddrPort{}
	for _, s := range u.sides {
		out[s.l.Name] = s.addr
	}
	return out
}

// Drain refuses new calls with 503 and Retry-After, answers OPTIONS the same
// way, lets legs be placed only beside calls in progress, and returns when the last call has ended or ctx has.
func (u *UA) Drain(ctx context.Context) error {
	u.mu.Lock()
	if !u.draining {
		u.draining = true
		close(u.drained)
	}
	for u.slots.active > 0 {
		wait := u.changed
		u.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
		u.mu.Lock()
	}
	u.mu.Unlock()
	return nil
}

// byeTime bounds how long Close waits for the far ends to take our BYE.
const byeTime = 2 * time.Second

// Close hangs up what is left, closes the listeners and returns when nothing of
// the UA runs any more. Closing twice is harmless.
func (u *UA) Close() error {
	u.mu.Lock()
	if u.closed || !u.started {
		u.closed = true
		u.mu.Unlock()
		return nil
	}
	if !u.draining {
		close(u.drained)
	}
	u.closed, u.draining = true, true
	legs := make([]*Leg, 0, len(u.legs))
	for _, l := range u.legs {
		legs = append(legs, l)
	}
	u.mu.Unlock()
	for _, l := range legs {
		l.Hangup(ringfence.EndShutdown)
	}
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	for _, l := range legs {
		select {
		case <-l.settled:
		case <-ctx.Done():
		}
	}
	for _, b := range u.bindings {
		select {
		case <-b.removed:
		case <-ctx.Done():
		}
	}
	u.cancel(ErrDraining)
	for _, s := range u.sides {
		s.close()
	}
	u.wg.Wait()
	if u.pool != nil {
		u.pool.Close()
	}
	return nil
}

// available implements gate. Whose call it would be OPTIONS does not tell.
func (u *UA) available(t *Trunk, from netip.Addr) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, err := u.roomLocked(claim{trunk: t, source: SourceOf(from)})
	return err == nil && u.intake.room()
}

// urgent implements gate.
func (u *UA) urgent(t *Trunk, user string) bool { return u.cfg.urgent(t, user) }

// admits implements gate: the fence's cheap look before the stack spends
// anything on an INVITE.
func (u *UA) admits(t *Trunk, i invited) (err error, known bool) {
	c := u.claimOf(t, i.from, i.called)
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	_, err = u.roomLocked(c)
	if u.attempts[i.key].live(now) {
		return err, true
	}
	var full fullError
	if errors.As(err, &full) {
		u.slots.refused[full.of]++
	}
	if err != nil {
		return err, false
	}
	ok, known := u.intake.take(i.key, now)
	if known {
		return nil, true
	}
	if !ok {
		return errBusy, false
	}
	if u.calls.take(u.cfg.Limits.CallRate, now) {
		return nil, false
	}
	u.intake.back(i.key, now)
	return errBusy, false
}

// errBusy says that too many calls are being set up.
var errBusy = errors.New("sip: too many calls are being set up")

// errMerged says that the same INVITE came by two ways (RFC 3261, section
// 8.2.2.2).
var errMerged = errors.New("sip: merged request")

// enter takes one call slot for l. key and branch are those of an inbound
// INVITE, or empty.
func (u *UA) enter(l *Leg, key, branch string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if key != "" {
		if u.attempts[key].live(time.Now()) {
			return errMerged
		}
	}
	reserved, err := u.roomLocked(l.claim)
	if err != nil && (!l.info.Emergency || u.closed) {
		return err
	}
	if key != "" {
		u.pruneLocked()
		u.attempts[key] = &attempt{branch: branch}
	}
	l.reserved = reserved
	u.slots.take(l.claim, reserved)
	u.streams[l.info.Source]++
	u.wg.Add(1) // given back by leave
	return nil
}

// pruneLocked forgets a few finished attempts each time one is added.
func (u *UA) pruneLocked() {
	now, looked := time.Now(), 0
	for k, a := range u.attempts {
		if !a.live(now) {
			delete(u.attempts, k)
		}
		if looked++; looked == 16 {
			return
		}
	}
}

// vacate gives l's slot back, once: when it has ended, not when its last message
// is acknowledged, or whoever withholds an ACK could hold slots.
func (u *UA) vacate(l *Leg) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.vacated {
		return
	}
	l.vacated = true
	u.slots.give(l.claim, l.reserved)
	if in := inboundOf(l); in != nil {
		u.intake.done(in.key)
	}
	close(u.changed)
	u.changed = make(chan struct{})
}

// leave forgets l, once its signalling is over.
func (u *UA) leave(l *Leg, key string) {
	u.vacate(l)
	l.booked()
	l.mail.leave()
	l.unbind()
	u.mu.Lock()
	if u.legs[l.info.ID] == l {
		delete(u.legs, l.info.ID)
	}
	if l.dialogKey != "" {
		delete(u.dialogs, l.dialogKey)
	}
	if a := u.attempts[key]; a != nil && key != "" {
		a.until = time.Now().Add(ackTime()) // copies may still arrive
	}
	if u.streams[l.info.Source]--; u.streams[l.info.Source] == 0 {
		delete(u.streams, l.info.Source)
	}
	u.mu.Unlock()
	u.wg.Done()
}

// busy reports whether a call or a binding lives on the connection to remote.
func (u *UA) busy(remote netip.AddrPort) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.streams[remote] > 0 {
		return true
	}
	for _, b := range u.bindings {
		if b.via() == remote {
			return true // calls come by the connection that the binding was made on
		}
	}
	return false
}

// register makes the dialog known to the middleware under our tag, and the leg
// under its identifier.
func (u *UA) register(l *Leg, callID, tag string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l.dialogKey = dialogKey(callID, tag)
	u.dialogs[l.dialogKey] = l
	u.legs[l.info.ID] = l
	if u.cfg.Book != nil {
		u.cfg.Book.Begin(l.info)
	}
}

func dialogKey(callID, ourTag string) string { return callID + "\x00" + ourTag }

// dialog returns the leg of a request that carries our tag, or nil.
func (u *UA) dialog(callID, ourTag string) *Leg {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dialogs[dialogKey(callID, ourTag)]
}

// inProgress reports whether id is a call in progress, which a leg may be placed
// beside.
func (u *UA) inProgress(id ringfence.LegID) bool {
	l := u.leg(id)
	return l != nil && !l.over()
}

// leg returns a leg by its identifier, or nil.
func (u *UA) leg(id ringfence.LegID) *Leg {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.legs[id]
}

// goOwned runs f on a goroutine that Close waits for. Whoever calls it runs on
// one already or holds a slot.
func (u *UA) goOwned(what string, f func()) {
	u.wg.Add(1)
	go func() {
		defer u.wg.Done()
		defer u.recovered(what)
		f()
	}()
}

// goLoose is goOwned for work that no leg's slot covers. It does nothing once the
// UA is closing.
func (u *UA) goLoose(what string, f func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.goOwned(what, f)
	}
}

// recovered keeps a bug in one call from ending the others.
func (u *UA) recovered(what string) {
	if r := recover(); r != nil {
		u.log.Error("recovered", "in", what, ringfence.Panicked(r))
	}
}
