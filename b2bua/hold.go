package b2bua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/sdp"
)

// Hold puts the far end on media hold (RFC 3264, section 8.4), or takes it back:
// it goes on hearing us and is not heard. It returns when the far end has agreed,
// and an error if it refused.
func (l *Leg) Hold(ctx context.Context, on bool) error {
	if !l.established() {
		return errors.New("sip: hold: the leg is not answered")
	}
	way := sdp.SendRecv
	if on {
		way = sdp.SendOnly
	}
	l.mu.Lock()
	before := l.local.Direction
	l.local.Direction = way
	l.mu.Unlock()
	err := l.renegotiate(ctx)
	if err != nil {
		l.mu.Lock()
		l.local.Direction = before
		l.mu.Unlock()
	}
	return err
}

// renegotiate sends a re-INVITE with our present description, again after a while
// if the far end sends one at the same time (RFC 3261, section 14.1).
func (l *Leg) renegotiate(ctx context.Context) error {
	for {
		if l.over() {
			return ErrEnded
		}
		req := sip.NewRequest(sip.INVITE, l.call.target())
		for _, h := range append(l.sessionFields(), l.s.contact(), l.allow()) {
			req.AppendHeader(h)
		}
		res, err := l.reoffer(ctx, req)
		switch {
		case errors.Is(err, errGlare), err == nil && res.StatusCode == 491:
		case err != nil:
			return fmt.Errorf("sip: re-INVITE: %w", err)
		case !res.IsSuccess():
			return fmt.Errorf("sip: re-INVITE: refused with %d", res.StatusCode)
		default:
			return nil
		}
		select {
		case <-time.After(l.glare()):
		case <-l.ctx.Done():
			return ErrEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// glare is the pause after a 491: who owns the Call-ID waits longer.
func (l *Leg) glare() time.Duration {
	if l.info.Direction == ringfence.Outbound {
		return 2100*time.Millisecond + rand.N(1900*time.Millisecond)
	}
	return rand.N(2 * time.Second)
}

// sessionFields are what a re-INVITE of ours says about the session's timer.
func (l *Leg) sessionFields() []sip.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []sip.Header{sip.NewHeader("Supported", "timer, 100rel")}
	if t := l.session; t.interval > 0 {
		out = append(out, sip.NewHeader("Session-Expires", seconds(t.interval)+";refresher="+refresher(t.ours)), sip.NewHeader("Min-SE", seconds(l.u.cfg.Limits.MinSession)))
	}
	return out
}

// refresher names, in a request of ours, who refreshes: we are its UAC.
func refresher(ours bool) string {
	if ours {
		return "uac"
	}
	return "uas"
}
