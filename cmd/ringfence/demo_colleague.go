package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// withColleague is Ben's call: he has no passkey, so the policy asks for the
// code of his app and for a colleague's approval as well.
func (d *demo) withColleague(ctx context.Context) error {
	const account = "71293385"
	ben := d.people.ben
	line, err := d.ask(ctx, ben, account)
	if line != nil {
		defer line.Hangup()
	}
	if err != nil {
		return err
	}
	if err := d.showCode(ctx, line); err != nil {
		return err
	}
	back, err := d.calledBack(ctx, line, ben, account)
	if back != nil {
		defer back.Hangup()
	}
	if err != nil {
		return err
	}
	if err := d.colleagueAgrees(ctx, back, account); err != nil {
		return err
	}
	if err := d.noted(ctx, back); err != nil {
		return err
	}
	r, err := d.coolsOff(ctx, ben)
	if err != nil {
		return err
	}
	d.checkProofs(ctx, r, "PIN, app code, call-back and read-back are proved, for this action and no other",
		ringfence.FactPIN, ringfence.FactTOTP, ringfence.FactCallback, ringfence.FactConfirmed)
	if _, err := d.execute(ctx, r); err != nil {
		return err
	}
	d.onlyApproved("the bank executed it exactly once, with the account that Ben approved")
	return nil
}

// showCode keys what the authenticator app shows.
func (d *demo) showCode(ctx context.Context, line *lab.Line) error {
	ctx, cancel := step(ctx)
	defer cancel()
	const asked = "To change the bank account we pay you on, please enter the code that your authenticator app shows now"
	if _, err := line.Hear(ctx, asked); err != nil {
		return err
	}
	return line.Key(ctx, lab.TOTP(d.people.ben.seed, time.Now()), "the code that his app shows")
}

// colleagueAgrees has Henry sign for exactly this action while Ben holds.
func (d *demo) colleagueAgrees(ctx context.Context, back *lab.Line, account string) error {
	ctx, cancel := step(ctx)
	defer cancel()
	henry := d.staff.henry
	if _, err := back.Hear(ctx, "A colleague has to agree to this one"); err != nil {
		return err
	}
	asked, err := henry.WaitApproval(ctx, "")
	if err != nil {
		return fmt.Errorf("%s is asked: %w", henry.Name, err)
	}
	if len(asked.Fields) != 1 || asked.Fields[0].Value != account {
		return fmt.Errorf("%s is asked to agree to something else: %v", henry.Name, asked.Fields)
	}
	d.t.tell(henry.Name, "is asked to agree: %s, %s; signs exactly that with his passkey", asked.Says, spaced(account))
	err = henry.Agree(ctx, asked)
	d.t.check(err == nil, "a colleague who took no part agreed, where the policy asks for one", "")
	return err
}
