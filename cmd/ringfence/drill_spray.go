package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

const (
	// sprayCalls is how many sprayers call at once.
	sprayCalls = 7
	// mostSprayed bounds the customers tried: each is a call of some seconds.
	mostSprayed = 40
	// shippedSpray is the number of wrong PINs that the shipped configuration
	// lets pass before the alarm.
	shippedSpray = 20
)

// pinSprayed tries one PIN with many customer numbers, one guess each, which no
// lock of a single customer sees. Afterwards a PIN from a number that nobody
// vouches for must count for nobody, and the customer who calls from the number
// on file must not be locked out.
func pinSprayed(ctx context.Context, w *drillWorld) (verdict, error) {
	most := cmp.Or(w.cfg.Verify.Limits.Spray, shippedSpray)
	if most >= mostSprayed {
		return notApplicable("verify.limits.spray is %d: that many calls are too many for a drill", most), nil
	}
	to, err := w.customerLine()
	if err != nil {
		return verdict{}, err
	}
	if err := w.sprays(ctx, to, most+1); err != nil {
		return verdict{}, err
	}
	v := w.victims["pin-sprayed"]
	heard, err := w.keysPINs(ctx, v.account, v.pin)
	if err != nil {
		return verdict{}, err
	}
	if heard == hearsMenu {
		return through("one PIN was tried with %d customers, and the next right one still signed a stranger in", most+1), nil
	}
	own, err := v.Call(context.WithoutCancel(ctx), lab.Dial{To: to, Attest: ringfence.AttestFull})
	if err != nil {
		return verdict{}, err
	}
	defer own.Hangup()
	if err := w.signIn(ctx, own, v.account, v.pin); err != nil {
		return through("the spraying locked out a customer who calls from the number on file: %v", err), nil
	}
	return stopped("after %d customers PINs count for no stranger, and still for whoever calls from the number on file", most+1), nil
}

// sprays tries one PIN with each of n customer numbers.
func (w *drillWorld) sprays(ctx context.Context, to string, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	room := make(chan struct{}, sprayCalls)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			if err := w.keysPINOnce(ctx, to, fmt.Sprintf("71%06d", i)); err != nil {
				cancel(fmt.Errorf("spraying: %w", err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// keysPINOnce keys one wrong PIN for a customer number, waits until it was
// judged, and hangs up.
func (w *drillWorld) keysPINOnce(ctx context.Context, to, account string) error {
	line, err := w.people.mallory.Call(context.WithoutCancel(ctx), lab.Dial{To: to, Attest: ringfence.AttestFull})
	if err != nil {
		return err
	}
	defer line.Hangup()
	if _, err := line.Hear(ctx, "Please enter your eight digit customer number"); err != nil {
		return err
	}
	if err := line.Key(ctx, account, "a customer number"); err != nil {
		return err
	}
	if _, err := line.Hear(ctx, asksPIN); err != nil {
		return err
	}
	if err := line.Key(ctx, attackerPIN+"#", "a PIN"); err != nil {
		return err
	}
	_, err = line.Hear(ctx, asksPIN, notConfirms, hearsMenu)
	return err
}
