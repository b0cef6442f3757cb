package main

import (
	"context"
	"fmt"
	"maps"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// attack is call 2: everything that an attacker with the right number, the
// right PIN and a helpful agent can try.
func (d *demo) attack(ctx context.Context) error {
	if err := d.unsigned(ctx); err != nil {
		return err
	}
	if err := d.insistent(ctx); err != nil {
		return err
	}
	if err := d.swapped(ctx); err != nil {
		return err
	}
	return d.replayed(ctx)
}

// unsigned shows Ada's number without any signature and asks for her balance.
func (d *demo) unsigned(ctx context.Context) error {
	ctx, cancel := step(ctx)
	defer cancel()
	ada := d.people.ada
	line, err := d.people.mallory.Call(context.WithoutCancel(ctx), lab.Dial{To: demoCustomerLine, Show: ada.Number})
	if err != nil {
		return err
	}
	defer line.Hangup()
	if err := d.signIn(ctx, line, ada.account, ada.pin); err != nil {
		return err
	}
	if err := line.Key(ctx, "1", ""); err != nil {
		return err
	}
	heard, err := line.Hear(ctx, "Your balance is", "One moment, I will put you through")
	if err != nil {
		return err
	}
	d.t.check(heard != "Your balance is", "right number, right PIN, no signature: no balance is told", heard)
	line.Hangup()
	return nil
}

// insistent shows Ada's number on a call whose gateway vouches for nothing, and
// has Alice try everything.
func (d *demo) insistent(ctx context.Context) error {
	ada, alice, mallory := d.people.ada, d.staff.alice, d.people.mallory
	soon, cancel := step(ctx)
	defer cancel()
	line, err := mallory.Call(context.WithoutCancel(soon), lab.Dial{To: demoCustomerLine, Show: ada.Number, Attest: ringfence.AttestGateway})
	if err != nil {
		return err
	}
	defer line.Hangup()
	if err := d.signIn(soon, line, ada.account, ada.pin); err != nil {
		return err
	}
	call, desk, err := d.putThrough(soon, line, alice)
	if err != nil {
		return err
	}
	defer desk.Hangup()
	d.t.check(call.StirOK != ringfence.Yes, "the console says that nobody vouches for the number", call.StirSays)
	if err := line.Say(soon, "I will wait."); err != nil {
		return err
	}
	if _, err := desk.Hear(soon, "I will wait"); err != nil {
		return err
	}
	r, err := alice.Open(soon, lab.Action{Type: "bank_change", Fields: map[string]string{"new_account": "99887766"}, Traversal: call.Traversal, AskedBy: "phone"})
	if err != nil {
		return fmt.Errorf("Alice opens the action: %w", err)
	}
	d.t.tell(alice.Name, "opens: change the account to 9 9 8 8 7 7 6 6, and tries to release it at once")
	_, err = alice.Release(soon, r.ID, r.Digest)
	d.refusal("the agent cannot release what is not proved", err, "insufficient-evidence")
	d.refusal("the agent cannot fetch the permit", alice.Permit(soon, r.ID), "forbidden")
	return d.starred(ctx, line, call, r)
}

// starred has the number on file rung: it is the number that Mallory shows, so
// the engine hangs up on her first. Ada did not ask for anything.
func (d *demo) starred(ctx context.Context, line *lab.Line, call ringfence.LiveCall, r lab.Release) error {
	ctx, cancel := context.WithTimeout(ctx, 2*stepPatience)
	defer cancel()
	ada, alice := d.people.ada, d.staff.alice
	d.t.tell(alice.Name, "presses “call-back”")
	if err := alice.StepUp(ctx, call.Traversal, "step-up-call-back", r.ID); err != nil {
		return fmt.Errorf("Alice asks for a call-back: %w", err)
	}
	if _, err := line.HearOut(ctx); err != nil {
		return err
	}
	back, err := ada.Rings(ctx)
	if err != nil {
		return err
	}
	defer back.Hangup()
	if err := back.Answer(ctx); err != nil {
		return err
	}
	if _, err := back.Hear(ctx, "If you did not ask for anything, press star"); err != nil {
		return err
	}
	if err := back.Key(ctx, "*", "star: she did not ask for anything"); err != nil {
		return err
	}
	if _, err := back.HearOut(ctx); err != nil {
		return err
	}
	_, err = alice.Release(ctx, r.ID, r.Digest)
	d.refusal("once the real Ada said no, the action is held", err, "held")
	return nil
}

// putThrough has a caller ask for a person and an agent answer.
func (d *demo) putThrough(ctx context.Context, line *lab.Line, agent *colleague) (ringfence.LiveCall, *lab.Line, error) {
	var call ringfence.LiveCall
	if err := line.Key(ctx, "0", ""); err != nil {
		return call, nil, err
	}
	return d.pickUp(ctx, agent)
}

// pickUp has an agent answer the telephone, greet, and see the call.
func (d *demo) pickUp(ctx context.Context, agent *colleague) (ringfence.LiveCall, *lab.Line, error) {
	var call ringfence.LiveCall
	desk, err := agent.desk.Rings(ctx)
	if err != nil {
		return call, nil, err
	}
	if err := desk.Answer(ctx); err != nil {
		return call, desk, err
	}
	call, err = agent.WaitCall(ctx, func(c ringfence.LiveCall) bool { return c.Owner == agent.person.ID && c.State == "talking" })
	if err != nil {
		return call, desk, err
	}
	return call, desk, desk.Say(ctx, "Hello.")
}

// swapped is the real Ada on the line, who approves a payment with her passkey;
// then Alice puts another payee into it.
func (d *demo) swapped(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, 2*stepPatience)
	defer cancel()
	ada, alice := d.people.ada, d.staff.alice
	d.t.tell("", "later: the real Ada calls, and Alice is still on Mallory's side")
	line, err := ada.Call(context.WithoutCancel(soon), lab.Dial{To: demoCustomerLine, Attest: ringfence.AttestFull})
	if err != nil {
		return err
	}
	defer line.Hangup()
	if err := d.signIn(soon, line, ada.account, ada.pin); err != nil {
		return err
	}
	call, desk, err := d.putThrough(soon, line, alice)
	if err != nil {
		return err
	}
	defer desk.Hangup()
	fields := map[string]string{"payee": "Nova", "amount": "25000 GBP", "account": "11223344"}
	r, err := alice.Open(soon, lab.Action{Type: "payment", Fields: fields, Traversal: call.Traversal, AskedBy: "phone"})
	if err != nil {
		return fmt.Errorf("Alice opens the payment: %w", err)
	}
	d.t.tell(alice.Name, "opens: pay 250.00 GBP to Nova, account 11223344, and sends Ada the passkey link")
	if err := alice.StepUp(soon, call.Traversal, "step-up-passkey", r.ID); err != nil {
		return fmt.Errorf("Alice sends the link: %w", err)
	}
	if err := d.approvePayment(soon, line, fields); err != nil {
		return err
	}
	if _, err := alice.WaitCall(soon, func(c ringfence.LiveCall) bool {
		return c.Traversal == call.Traversal && c.State == "talking" && c.Outcome == "ok"
	}); err != nil {
		return err
	}
	return d.changePayee(soon, call, r, fields)
}

// changePayee is the same payment with another account: another digest.
func (d *demo) changePayee(ctx context.Context, call ringfence.LiveCall, r lab.Release, fields map[string]string) error {
	alice := d.staff.alice
	forged := maps.Clone(fields)
	forged["account"] = "99887766"
	swap, err := alice.Open(ctx, lab.Action{Type: "payment", Fields: forged, Traversal: call.Traversal, AskedBy: "phone"})
	if err != nil {
		return fmt.Errorf("Alice opens the payment again: %w", err)
	}
	d.t.tell(alice.Name, "changes the account to 99887766 after the proof; the digest is now %s…, not %s…", swap.Digest.String()[:12], r.Digest.String()[:12])
	d.t.check(swap.Digest != r.Digest, "a changed action has another digest", "")
	_, err = alice.Release(ctx, r.ID, swap.Digest)
	d.refusal("the approved action does not take the changed one's place", err, "conflict")
	_, err = alice.Release(ctx, swap.ID, swap.Digest)
	d.refusal("what was proved for one action counts for no other", err, "insufficient-evidence")
	return nil
}

// replayed gives the permit of call 1 to the gate again, by both doors.
func (d *demo) replayed(ctx context.Context) error {
	ctx, cancel := step(ctx)
	defer cancel()
	d.t.tell("corebank", "is made to present the permit of call 1 once more")
	_, err := d.bank.Redeem(ctx, d.first)
	d.refusal("an old permit is refused", err, "conflict", "expired")
	_, err = d.bank.Pull(ctx, d.first.Release)
	d.refusal("what was done gets no second permit", err, "conflict", "expired", "not-found")
	d.onlyApproved("after the whole attack the bank has done what its customers approved, and nothing else")
	return nil
}

// approvePayment is Ada's part of the passkey link for a payment.
func (d *demo) approvePayment(ctx context.Context, line *lab.Line, fields map[string]string) error {
	ada := d.people.ada
	if _, err := line.Hear(ctx, "Open it, enter"); err != nil {
		return err
	}
	code, err := line.HearDigits(ctx, 4)
	if err != nil {
		return err
	}
	link, err := d.handsets.NextLink(ctx, ada.Number, d.cfg.Web.Public.URL+"/l")
	if err != nil {
		return err
	}
	page, _, err := lab.OpenPage(ctx, link)
	if err != nil {
		return err
	}
	shown, err := page.Unlock(ctx, code)
	if err != nil {
		return err
	}
	for _, f := range shown.Fields {
		if fields[f.Name] != f.Value {
			return fmt.Errorf("the page shows %s %q, want %q", f.Name, f.Value, fields[f.Name])
		}
	}
	done, err := page.Approve(ctx, ada.key)
	if err == nil && done.Outcome != "satisfied" {
		err = fmt.Errorf("the page answers %s", done.Outcome)
	}
	d.t.tell(ada.Name, "reads the payment on the page and approves it with her passkey")
	return err
}
