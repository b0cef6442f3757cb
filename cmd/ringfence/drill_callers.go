package main

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/internal/lab"
)

// The spoofed attacks know customer number and PIN, and ask for what only a
// caller is told whose number is vouched for.

func spoofedUnsigned(ctx context.Context, w *drillWorld) (verdict, error) {
	return w.asksBalance(ctx, "spoofed-unsigned", func(v *customer, to string) (lab.Dial, error) {
		return lab.Dial{To: to, Show: v.Number, Attest: ringfence.AttestNone}, nil
	})
}

func spoofedGateway(ctx context.Context, w *drillWorld) (verdict, error) {
	return w.asksBalance(ctx, "spoofed-gateway", func(v *customer, to string) (lab.Dial, error) {
		return lab.Dial{To: to, Show: v.Number, Attest: ringfence.AttestGateway}, nil
	})
}

func spoofedOther(ctx context.Context, w *drillWorld) (verdict, error) {
	return w.asksBalance(ctx, "spoofed-other-number", func(v *customer, to string) (lab.Dial, error) {
		own, err := w.authority.Sign(ringfence.AttestFull, w.people.mallory.Number, to)
		return lab.Dial{To: to, Show: v.Number, Identity: own}, err
	})
}

func spoofedElsewhere(ctx context.Context, w *drillWorld) (verdict, error) {
	return w.asksBalance(ctx, "signature-other-call", func(v *customer, to string) (lab.Dial, error) {
		return lab.Dial{To: to, Show: v.Number, Attest: ringfence.AttestFull, SignedFor: w.number(700)}, nil
	})
}

func spoofedReplayed(ctx context.Context, w *drillWorld) (verdict, error) {
	return w.asksBalance(ctx, "signature-replayed", func(v *customer, to string) (lab.Dial, error) {
		caught, err := w.authority.Sign(ringfence.AttestFull, v.Number, to)
		if err != nil {
			return lab.Dial{}, err
		}
		own, err := v.Call(context.WithoutCancel(ctx), lab.Dial{To: to, Identity: caught})
		if err != nil {
			return lab.Dial{}, err
		}
		own.Hangup()
		return lab.Dial{To: to, Show: v.Number, Identity: caught}, nil
	})
}

// asksBalance has Mallory sign in as the victim and ask for the balance.
func (w *drillWorld) asksBalance(ctx context.Context, name string, dial func(v *customer, to string) (lab.Dial, error)) (verdict, error) {
	to, err := w.customerLine()
	if err != nil {
		return verdict{}, err
	}
	v := w.victims[name]
	d, err := dial(v, to)
	if err != nil {
		return verdict{}, err
	}
	line, err := w.people.mallory.Call(context.WithoutCancel(ctx), d)
	if refused, ok := errorIn[*peer.Refused](err); ok && refused.Code >= 400 {
		return stopped("the call itself is refused: SIP %d", refused.Code), nil
	}
	if err != nil {
		return verdict{}, err
	}
	defer line.Hangup()
	if err := w.signIn(ctx, line, v.account, v.pin); err != nil {
		return verdict{}, err
	}
	if err := line.Key(ctx, "1", ""); err != nil {
		return verdict{}, err
	}
	heard, err := line.Hear(ctx, "Your balance is", "One moment, I will put you through", "Goodbye")
	if err != nil {
		return verdict{}, err
	}
	if heard == "Your balance is" {
		return through("the balance was told"), nil
	}
	return stopped("the number counts for nothing: “%s.”", heard), nil
}

const (
	asksPIN     = "Please enter your telephone PIN"
	notConfirms = "We could not confirm those details"
	hearsMenu   = "For your balance, press 1"
	asksCode    = "Please enter the code that your authenticator app shows now"
)

// guessedPIN guesses until the way is locked. Then the right PIN must not open
// it either.
func guessedPIN(ctx context.Context, w *drillWorld) (verdict, error) {
	v := w.victims["guessed-pin"]
	for range 2 {
		heard, err := w.keysPINs(ctx, v.account, attackerPIN)
		if err != nil {
			return verdict{}, err
		}
		if heard == hearsMenu {
			return through("a wrong PIN signed in"), nil
		}
	}
	heard, err := w.keysPINs(ctx, v.account, v.pin)
	if err != nil {
		return verdict{}, err
	}
	if heard == hearsMenu {
		return through("after six wrong PINs the next was tried still"), nil
	}
	return stopped("three guesses a call; after them even the right PIN is refused"), nil
}

// unknownCustomer hears whether a customer number of nobody is answered as that
// of somebody is.
func unknownCustomer(ctx context.Context, w *drillWorld) (verdict, error) {
	known, err := w.keysPINs(ctx, w.victims["unknown-customer"].account, attackerPIN)
	if err != nil {
		return verdict{}, err
	}
	unknown, err := w.keysPINs(ctx, "99999999", attackerPIN)
	if err != nil {
		return verdict{}, err
	}
	if known != unknown {
		return through("a customer hears %q, nobody hears %q", known, unknown), nil
	}
	return stopped("known and unknown are asked for a PIN three times and hear the same words"), nil
}

// keysPINs signs in with one PIN for as long as it is asked for, and returns
// what was heard then.
func (w *drillWorld) keysPINs(ctx context.Context, account, pin string) (string, error) {
	to, err := w.customerLine()
	if err != nil {
		return "", err
	}
	line, err := w.people.mallory.Call(context.WithoutCancel(ctx), lab.Dial{To: to, Attest: ringfence.AttestFull})
	if err != nil {
		return "", err
	}
	defer line.Hangup()
	if _, err := line.Hear(ctx, "Please enter your eight digit customer number"); err != nil {
		return "", err
	}
	if err := line.Key(ctx, account, "a customer number"); err != nil {
		return "", err
	}
	for {
		heard, err := line.Hear(ctx, asksPIN, notConfirms, hearsMenu)
		if err != nil || heard != asksPIN {
			return heard, err
		}
		if err := line.Key(ctx, pin+"#", "a PIN"); err != nil {
			return "", err
		}
	}
}
