package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Call is one call of a phone, placed or taken.
type Call struct {
	leg      *b2bua.Leg
	answered chan struct{}
	done     chan struct{}
	digits   chan byte
	diverted chan struct{}
	ringing  chan struct{}
	held     chan bool

	mu     sync.Mutex // guards everything below
	end    ringfence.LegEvent
	played map[uint64]chan bool
	early  map[uint64]bool // played before Say asked
	tap    *rtp.Tap
}

// newCall begins to read the leg's events; the goroutine ends with the leg, and
// Close of the phone waits for it.
func (p *Peer) newCall(leg *b2bua.Leg) *Call {
	c := &Call{leg: leg, answered: make(chan struct{}), done: make(chan struct{}), digits: make(chan byte, 256),
		diverted: make(chan struct{}), ringing: make(chan struct{}), held: make(chan bool, 16), played: map[uint64]chan bool{}, early: map[uint64]bool{}}
	p.wg.Go(c.read)
	return c
}

func (c *Call) read() {
	defer close(c.done)
	once := map[ringfence.LegEventKind]chan struct{}{ringfence.LegAnswered: c.answered, ringfence.LegRinging: c.ringing,
		ringfence.LegDiverted: c.diverted}
	for e := range c.leg.Events() {
		if ch := once[e.Kind]; ch != nil {
			close(ch)
			delete(once, e.Kind)
		}
		switch e.Kind {
		case ringfence.LegDigit:
			select {
			case c.digits <- e.Digit:
			default:
			}
		case ringfence.LegHeld:
			select {
			case c.held <- !e.Whole:
			default:
			}
		case ringfence.LegPlayed:
			c.mu.Lock()
			if ch := c.played[e.Play]; ch != nil {
				ch <- e.Whole
				delete(c.played, e.Play)
			} else {
				c.early[e.Play] = e.Whole
			}
			c.mu.Unlock()
		case ringfence.LegEnded:
			c.mu.Lock()
			c.end = e
			for n, ch := range c.played {
				ch <- false
				delete(c.played, n)
			}
			c.mu.Unlock()
		}
	}
}

func (c *Call) wait() { <-c.done }

func (c *Call) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Refused{Cause: c.end.Cause, Code: c.end.Code}
}

// Info returns what the INVITE said, of a call that was taken.
func (c *Call) Info() ringfence.LegInfo { return c.leg.Info() }

// Leg returns the leg beneath.
func (c *Call) Leg() *b2bua.Leg { return c.leg }

// Done is closed when the call is over.
func (c *Call) Done() <-chan struct{} { return c.done }

// Ended says how the call ended; zero while it goes on.
func (c *Call) Ended() (ringfence.EndCause, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end.Cause, c.end.Code
}

// Ringing is closed when the called phone rings, of a call that was placed.
func (c *Call) Ringing() <-chan struct{} { return c.ringing }

// Diverted is closed when the call goes to somebody else.
func (c *Call) Diverted() <-chan struct{} { return c.diverted }

// Digits are the keys the far end pressed.
func (c *Call) Digits() <-chan byte { return c.digits }

// Held tells each time that the far end put us on media hold (true) or took us
// back.
func (c *Call) Held() <-chan bool { return c.held }

// Hold puts the far end on media hold, or takes it back.
func (c *Call) Hold(ctx context.Context, on bool) error { return c.leg.Hold(ctx, on) }

// Ring sends 180 for a call that came in.
func (c *Call) Ring(ctx context.Context) error { return c.leg.Ring(ctx) }

// Answer takes a call that came in.
func (c *Call) Answer(ctx context.Context) error { return c.leg.Answer(ctx) }

// Busy refuses with 486.
func (c *Call) Busy(ctx context.Context) error { return c.leg.Refuse(ctx, 486, "Busy Here") }

// Decline refuses with 603.
func (c *Call) Decline(ctx context.Context) error { return c.leg.Refuse(ctx, 603, "Decline") }

// Redirect refuses with 302 and a new place.
func (c *Call) Redirect(ctx context.Context, uri string) error {
	return c.leg.Refuse(ctx, 302, "Moved Temporarily", [2]string{"Diversion", "<" + uri + ">;reason=unconditional"})
}

// Press sends digits as telephone-events, one after the other. It returns when
// they are on their way.
func (c *Call) Press(digits string) error {
	if !c.leg.SendDigits(digits) {
		return ErrNoDigits
	}
	return nil
}

// Say sends a clip and returns when it was heard to its end. It returns an error
// if something else cut it short.
func (c *Call) Say(ctx context.Context, clip ringfence.Clip) error {
	n := c.leg.Play(clip)
	ch := make(chan bool, 1)
	c.mu.Lock()
	whole, early := c.early[n]
	if early {
		delete(c.early, n)
		ch <- whole
	} else {
		c.played[n] = ch
	}
	c.mu.Unlock()
	select {
	case whole := <-ch:
		if !whole {
			return errors.New("peer: the clip was cut short")
		}
		return nil
	case <-c.done:
		return b2bua.ErrEnded
	case <-ctx.Done():
		return fmt.Errorf("peer: say: %w", ctx.Err())
	}
}

// Audio returns a copy of what is heard and said from now on; the same one each
// time. A reader that is slow loses frames.
func (c *Call) Audio() <-chan rtp.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tap == nil {
		c.tap = c.leg.Tap()
	}
	return c.tap.Frames()
}

// Hangup ends the call. It may be called at any time, and twice.
func (c *Call) Hangup() { c.leg.Hangup(ringfence.EndHangup) }
