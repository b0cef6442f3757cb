package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// honest is call 1, twice at the same time: Ada proves with her passkey, Ben,
// who has none, with his app and a colleague's approval.
func (d *demo) honest(ctx context.Context) error {
	var both sync.WaitGroup
	var ada, ben error
	both.Go(func() { ada = d.withPasskey(ctx) })
	both.Go(func() { ben = d.withColleague(ctx) })
	both.Wait()
	return errors.Join(ada, ben)
}

// withPasskey is Ada's call: attestation A, PIN, passkey, call-back,
// cooling-off, release, redeemed and executed once.
func (d *demo) withPasskey(ctx context.Context) error {
	const account = "60182274"
	ada := d.people.ada
	line, err := d.ask(ctx, ada, account)
	if line != nil {
		defer line.Hangup()
	}
	if err != nil {
		return err
	}
	if err := d.approveOnPage(ctx, line, account); err != nil {
		return err
	}
	back, err := d.calledBack(ctx, line, ada, account)
	if err != nil {
		return err
	}
	if err := d.noted(ctx, back); err != nil {
		return err
	}
	r, err := d.coolsOff(ctx, ada)
	if err != nil {
		return err
	}
	d.checkProofs(ctx, r, "PIN, passkey, call-back and read-back are proved, for this action and no other",
		ringfence.FactPIN, ringfence.FactPasskey, ringfence.FactCallback, ringfence.FactConfirmed)
	if d.first, err = d.execute(ctx, r); err != nil {
		return err
	}
	_, err = d.bank.Redeem(ctx, d.first)
	d.refusal("the same permit is refused a second time", err, "conflict")
	d.onlyApproved("the bank executed it exactly once, with the account that Ada approved")
	return nil
}

// coolsOff waits until a customer's release is ready for its executor.
func (d *demo) coolsOff(ctx context.Context, who *customer) (lab.Release, error) {
	ctx, cancel := step(ctx)
	defer cancel()
	r, err := d.bank.WaitReady(ctx, func(r lab.Release) bool { return r.Subject == who.subject && r.Type == "bank_change" })
	if err != nil {
		return r, err
	}
	full, err := d.app.gate.Lookup(ctx, ringfence.DefaultTenant, r.ID)
	if err != nil {
		return r, err
	}
	d.t.check(len(r.Waivers) > 0 && full.ReadyAt.Sub(full.CoolingAt) >= 5*time.Second,
		firstName(who.Name)+"'s change cools off, shortened by the waiver, which stands on the release",
		fmt.Sprintf("%.1f s; %s", full.ReadyAt.Sub(full.CoolingAt).Seconds(), strings.Join(r.Waivers, "; ")))
	return r, nil
}

// ask is a customer's call up to the request.
func (d *demo) ask(ctx context.Context, who *customer, account string) (*lab.Line, error) {
	ctx, cancel := step(ctx)
	defer cancel()
	line, err := who.Call(context.WithoutCancel(ctx), lab.Dial{To: demoCustomerLine, Attest: ringfence.AttestFull})
	if err != nil {
		return nil, err
	}
	if err := d.signIn(ctx, line, who.account, who.pin); err != nil {
		return line, err
	}
	call, err := d.staff.grace.WaitCall(ctx, func(c ringfence.LiveCall) bool { return strings.HasSuffix(c.Caller, who.Number) })
	if err != nil {
		return line, err
	}
	d.t.check(call.Attest == ringfence.AttestFull && call.StirOK == ringfence.Yes && d.authority.Fetched() > 0,
		"the carrier's signature on "+firstName(who.Name)+"'s call verifies with attestation A", call.StirSays)
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

// calledBack is the call to the number on file, with the code that was carried
// there and two digits that only this leg was told, up to the yes-key.
func (d *demo) calledBack(ctx context.Context, line *lab.Line, who *customer, account string) (*lab.Line, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stepPatience)
	defer cancel()
	if _, err := line.Hear(ctx, "Please note this code"); err != nil {
		return nil, err
	}
	carried, err := line.HearDigits(ctx, 4)
	if err != nil {
		return nil, err
	}
	if _, err := line.HearOut(ctx); err != nil {
		return nil, err
	}
	back, err := d.answerBack(ctx, who.Person, carried)
	if err != nil {
		return back, err
	}
	if _, err := back.Hear(ctx, "You asked us to pay you on account"); err != nil {
		return back, err
	}
	read, err := back.HearDigits(ctx, len(account))
	if err != nil {
		return back, err
	}
	d.t.check(read == account, "the call-back reads the whole account back to "+firstName(who.Name), spaced(read))
	return back, d.agree(ctx, back, "If that is right, press")
}

// noted hears that the request is taken and waits.
func (d *demo) noted(ctx context.Context, back *lab.Line) error {
	ctx, cancel := step(ctx)
	defer cancel()
	defer back.Hangup()
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
func (d *demo) checkProofs(ctx context.Context, r lab.Release, claim string, want ...ringfence.Fact) {
	proofs, err := d.evidence(ctx, r)
	if err != nil {
		d.t.check(false, claim, err.Error())
		return
	}
	have := map[ringfence.Fact]bool{}
	var words []string
	for _, e := range proofs {
		have[e.Fact] = !e.Fact.Bound() || e.Digest == r.Digest && e.Release == r.ID
		words = append(words, string(e.Fact))
	}
	ok := true
	for _, f := range want {
		ok = ok && have[f]
	}
	d.t.check(ok, claim, strings.Join(words, ", "))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.approved = append(d.approved, approvedAction{release: r, proofs: proofs})
}

// onlyApproved checks that the bank did each action that was approved once, and
// nothing else. Calls that run at the same time may not have got there yet.
func (d *demo) onlyApproved(claim string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	journal := d.bank.Bank.Journal()
	for _, b := range journal {
		known := slices.ContainsFunc(d.approved, func(a approvedAction) bool { return a.release.ID == b.Release && a.release.Digest == b.Digest })
		if !known {
			d.t.check(false, claim, "the bank did "+b.Type+", which nobody approved")
			return
		}
	}
	d.t.check(len(journal) > 0, claim, fmt.Sprintf("%d booked, each once", len(journal)))
}
