package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// honest is call 1: attestation A, PIN, passkey, call-back, cooling-off,
// release, redeemed and executed once.
func (d *demo) honest(ctx context.Context) error {
	const account = "60182274"
	ada := d.people.ada
	line, err := d.ask(ctx, account)
	if err != nil {
		return err
	}
	defer line.Hangup()
	if err := d.approveOnPage(ctx, line, account); err != nil {
		return err
	}
	if err := d.calledBack(ctx, line, account); err != nil {
		return err
	}
	if len(d.bank.Bank.Journal()) != 0 {
		d.t.check(false, "nothing is done before the cooling-off is over", "the bank did it already")
	}
	waited := time.Now()
	soon, cancel := step(ctx)
	defer cancel()
	r, err := d.bank.WaitReady(soon, "")
	if err != nil {
		return err
	}
	d.t.check(r.Subject == ada.subject && r.Type == "bank_change" && len(r.Waivers) > 0,
		"it cools off, shortened by the waiver, which stands on the release", fmt.Sprintf("%.1f s; %v", time.Since(waited).Seconds(), r.Waivers))
	proofs, err := d.evidence(ctx, r)
	if err != nil {
		return err
	}
	d.checkProofs(r, proofs)
	if d.first, err = d.execute(ctx, r); err != nil {
		return err
	}
	_, err = d.bank.Redeem(ctx, d.first)
	d.refusal("the same permit is refused a second time", err, "conflict")
	journal := d.bank.Bank.Journal()
	d.t.check(len(journal) == 1 && journal[0].Release == r.ID && journal[0].Fields["new_account"] == account,
		"the bank executed it exactly once, with the account that Ada approved", fmt.Sprintf("%d booking", len(journal)))
	return nil
}

// ask is Ada's call up to the request.
func (d *demo) ask(ctx context.Context, account string) (*lab.Line, error) {
	ctx, cancel := step(ctx)
	defer cancel()
	ada := d.people.ada
	line, err := ada.Call(context.WithoutCancel(ctx), lab.Dial{To: demoCustomerLine, Attest: ringfence.AttestFull})
	if err != nil {
		return nil, err
	}
	if err := d.signIn(ctx, line, ada.account, ada.pin); err != nil {
		return line, err
	}
	all, err := d.staff.grace.Calls(ctx)
	if err != nil {
		return line, err
	}
	attested := len(all) == 1 && all[0].Attest == ringfence.AttestFull && all[0].StirOK == ringfence.Yes
	says := ""
	if len(all) == 1 {
		says = all[0].StirSays
	}
	d.t.check(attested && d.authority.Fetched() > 0, "the carrier's signature verifies with attestation A", says)
	if err := line.Key(ctx, "2", ""); err != nil {
		return line, err
	}
	if _, err := line.Hear(ctx, "Please enter the eight digits of your new account"); err != nil {
		return line, err
	}
	return line, line.Key(ctx, account, "")
}

// approveOnPage is the link in a text message, the carry code heard on the
// call, and the passkey on the page.
func (d *demo) approveOnPage(ctx context.Context, line *lab.Line, account string) error {
	ctx, cancel := step(ctx)
	defer cancel()
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
	page, look, err := lab.OpenPage(ctx, link)
	if err != nil {
		return err
	}
	d.t.check(look.Outcome == "open" && len(look.Fields) == 0, "the link shows nothing before the code", "")
	shown, err := page.Unlock(ctx, code)
	if err != nil {
		return err
	}
	said := ""
	for _, f := range shown.Fields {
		said += " " + f.Name + " " + f.Value
	}
	d.t.tell(ada.Name, "opens the link of the text message, enters %s; the page shows: %s,%s", spaced(code), shown.Says, said)
	right := len(shown.Fields) == 1 && shown.Fields[0].Value == account
	if !right {
		return fmt.Errorf("the page shows another action: %s", said)
	}
	done, err := page.Approve(ctx, ada.key)
	if err != nil {
		return err
	}
	d.t.check(done.Outcome == "satisfied", "the passkey approves exactly the action on the page", done.Outcome)
	return nil
}

// calledBack is the call to the number on file, with the code that Ada carried
// there and two digits that only this leg was told.
func (d *demo) calledBack(ctx context.Context, line *lab.Line, account string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*stepPatience)
	defer cancel()
	ada := d.people.ada
	if _, err := line.Hear(ctx, "Please note this code"); err != nil {
		return err
	}
	carried, err := line.HearDigits(ctx, 4)
	if err != nil {
		return err
	}
	if _, err := line.HearOut(ctx); err != nil {
		return err
	}
	back, err := d.answerBack(ctx, ada.Person, carried)
	if err != nil {
		return err
	}
	defer back.Hangup()
	if _, err := back.Hear(ctx, "You asked us to pay you on account"); err != nil {
		return err
	}
	read, err := back.HearDigits(ctx, len(account))
	if err != nil {
		return err
	}
	d.t.check(read == account, "the call-back reads the whole account back", spaced(read))
	if err := d.agree(ctx, back, "If that is right, press"); err != nil {
		return err
	}
	heard, err := back.Hear(ctx, "We have your request", "Your bank account is changed", "We have your request, but it is not done yet")
	if err != nil {
		return err
	}
	d.t.check(heard == "We have your request", "what was asked for is taken, and waits", heard)
	_, err = back.HearOut(ctx)
	return err
}

// checkProofs checks that what was proved is what the policy asks, and that
// what can be bound is bound to this very action.
func (d *demo) checkProofs(r lab.Release, proofs []ringfence.Evidence) {
	have := map[ringfence.Fact]bool{}
	words := ""
	for _, e := range proofs {
		have[e.Fact] = !e.Fact.Bound() || e.Digest == r.Digest && e.Release == r.ID
		words += string(e.Fact) + " (" + string(e.Strength) + ") "
	}
	ok := have[ringfence.FactPIN] && have[ringfence.FactPasskey] && have[ringfence.FactCallback] && have[ringfence.FactConfirmed]
	d.t.check(ok, "PIN, passkey, call-back and read-back are proved, for this action and no other", words)
}
