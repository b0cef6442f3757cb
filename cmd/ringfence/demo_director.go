package main

import (
	"context"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// demoDirector is the number under which the finance director stands in the
// directory.
const demoDirector = "100777"

// director is call 3: the real person is rung while the caller holds, did not
// ask, and presses star.
func (d *demo) director(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*stepPatience)
	defer cancel()
	clara, david := d.staff.clara, d.people.david
	line, err := d.people.mallory.Call(context.WithoutCancel(ctx), lab.Dial{To: demoAccountsLine, Attest: ringfence.AttestFull})
	if err != nil {
		return err
	}
	defer line.Hangup()
	call, desk, err := d.pickUp(ctx, clara)
	if err != nil {
		return err
	}
	defer desk.Hangup()
	d.t.tell(d.people.mallory.Name, "says to be David Stone, the finance director, and wants 9,000 pounds paid today")
	if err := clara.Identify(ctx, call.Traversal, "contact", "contact_number", demoDirector); err != nil {
		return fmt.Errorf("Clara picks the director from the directory: %w", err)
	}
	r, err := clara.Open(ctx, lab.Action{Type: "invoice", Traversal: call.Traversal, AskedBy: "phone",
		Fields: map[string]string{"payee": "Nova", "amount": "900000 GBP", "account": "55667788"}})
	if err != nil {
		return fmt.Errorf("Clara opens the payment: %w", err)
	}
	d.t.tell(clara.Name, "picks him from the directory, opens the payment, and presses “check”")
	if err := clara.StepUp(ctx, call.Traversal, "check-claimed-person", r.ID); err != nil {
		return fmt.Errorf("Clara presses check: %w", err)
	}
	if _, err := line.Hear(ctx, "Whoever answers must enter this code"); err != nil {
		return err
	}
	if _, err := line.HearDigits(ctx, 4); err != nil {
		return err
	}
	real, err := david.Rings(ctx)
	if err != nil {
		return err
	}
	defer real.Hangup()
	if err := real.Answer(ctx); err != nil {
		return err
	}
	if _, err := real.Hear(ctx, "If you are not, press star"); err != nil {
		return err
	}
	if err := real.Key(ctx, "*", "star: he is on no other line"); err != nil {
		return err
	}
	return d.stopped(ctx, line, real, r)
}

// stopped checks what the clerk, the caller and the gate are told.
func (d *demo) stopped(ctx context.Context, line, real *lab.Line, r lab.Release) error {
	clara := d.staff.clara
	told, err := clara.WaitCall(ctx, func(c ringfence.LiveCall) bool { return c.SayNow != "" })
	if err != nil {
		return err
	}
	d.t.check(told.SayNow == "Stop. The real person says this is not them. Do not pay. Hang up.", "the clerk is told to stop", told.SayNow)
	if _, err := real.HearOut(ctx); err != nil {
		return err
	}
	if _, err := line.HearOut(ctx); err != nil {
		return err
	}
	now, err := d.staff.grace.Lookup(ctx, r.ID)
	if err != nil {
		return err
	}
	d.t.check(now.State == "held", "the payment is frozen", now.State+": "+now.Next)
	_, err = clara.Release(ctx, r.ID, r.Digest)
	d.refusal("and stays so, whoever asks", err, "held")
	d.onlyApproved("no money has moved")
	return nil
}
