package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/passkey"
)

// desk joins verify/approve and gate as cmd does.
type deskToGate struct{ *gate.Gate }

func (g deskToGate) Approval(ctx context.Context, d approve.Decision) (bool, error) {
	if !d.Agrees {
		_, err := g.RefuseApproval(ctx, d.Tenant, d.Release, d.Person)
		return err == nil, nil
	}
	assertion, err := json.Marshal(d.Signature)
	if err != nil {
		return false, err
	}
	_, v, err := g.Approve(ctx, d.Tenant, gate.ApprovalInput{Release: d.Release, Person: d.Person, Authenticator: d.Signature.Authenticator,
		Digest: d.Digest, Policy: d.PolicyHash, EvidenceHash: d.EvidenceHash, Assertion: assertion})
	if errors.Is(err, gate.ErrForbidden) || errors.Is(err, gate.ErrConflict) {
		return false, nil
	}
	return err == nil && len(v.Reasons) == 0, err
}

// checkApproval verifies the approver's signature again, as cmd wires it.
func checkApproval(rp passkey.RP) func(context.Context, ringfence.Authenticator, [32]byte, []byte) error {
	return func(_ context.Context, a ringfence.Authenticator, message [32]byte, assertion []byte) error {
		var s verify.Signature
		if err := json.Unmarshal(assertion, &s); err != nil {
			return err
		}
		if s.Authenticator != a.ID || s.Message != message {
			return fmt.Errorf("the signature is over something else")
		}
		return passkey.Verify(rp, s)
	}
}

// pendingPayment is a payment of Priya's that waits for a colleague.
func (s *staffed) pendingPayment(priya ringfence.Person) gate.Release {
	s.t.Helper()
	s.dana()
	s.calls.change(trv, northwind(priya.ID))
	r := decode[releaseView](s.t, s.ask(s.signIn(priya), "POST", "/v1/actions", map[string]any{"type": "payment", "traversal": trv, "asked_by": "email",
		"fields": map[string]string{"payee": "Nоrthwind Supplies", "amount": "1250000 GBP", "account": "55556666"}}))
	for f, strength := range map[ringfence.Fact]ringfence.Strength{ringfence.FactCallback: ringfence.StrengthCallback,
		ringfence.FactConfirmed: ringfence.StrengthCallback, ringfence.FactPasskey: ringfence.StrengthPasskey} {
		s.prove(r.ID, r.Digest, f, strength)
	}
	now, v, err := s.gate.Release(s.t.Context(), ringfence.DefaultTenant, r.ID, gate.Actor{Person: priya.ID})
	if err != nil || now.State != gate.StatePendingApproval {
		s.t.Fatalf("the payment is %s: %+v %v", now.State, v, err)
	}
	return now
}

func (s *staffed) manager() ringfence.Person {
	p := s.person("Morgan", ringfence.RoleSupervisor)
	s.change(p, func(p *ringfence.Person) { p.Groups = []string{"payments_manager"} })
	p.Groups = []string{"payments_manager"}
	return p
}

func newApprovals(t testing.TB) *staffed {
	t.Helper()
	s := newStaffed(t)
	desk, err := approve.NewDesk(s.keys.Staff, deskToGate{s.gate}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.keys.Approvals = desk
	return s
}

func TestColleagueAgreesWithAPasskey(t *testing.T) {
	s := newApprovals(t)
	priya, morgan := s.person("Priya", ringfence.RoleAgent), s.manager()
	b := open(t, s.origin)
	b.enter(s, morgan)
	b.visit("/approvals")
	b.see("Nothing to decide")
	b.looks("approvals-empty")
	elsewhere := b.another()
	elsewhere.visit("/board")
	elsewhere.see("Newest alerts")
	r := s.pendingPayment(priya)
	b.see("12,500.00 GBP") // by itself, within 5 s
	elsewhere.see("Priya asks you to agree: make a payment.")
	elsewhere.see("waiting for you")
	elsewhere.looks("approval-notice")
	b.see("5555 6666")
	b.see("Priya")
	b.see("asked for by e-mail")
	b.see("This account was never paid for this subject")
	b.see("By …17, unchanged for")
	b.see("alphabets") // the payee's name mixes Latin and Cyrillic
	b.looks("approvals-one")
	b.visit("/approvals/" + string(r.ID))
	b.see("Do you agree to this?")
	b.press("Agree with a passkey")
	b.see("You agreed")
	if now, err := s.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); err != nil || now.State == gate.StatePendingApproval || now.State == gate.StateHeld {
		t.Errorf("after the agreement it is %s (%v)", now.State, err)
	}
	b.see("Nothing to decide")
	s.quietly(t)
}

func TestColleagueRefuses(t *testing.T) {
	s := newApprovals(t)
	priya, morgan := s.person("Priya", ringfence.RoleAgent), s.manager()
	b := open(t, s.origin)
	b.enter(s, morgan)
	r := s.pendingPayment(priya)
	b.visit("/approvals#" + string(r.ID))
	b.press("Refuse with a passkey")
	b.see("You refused")
	if now, _ := s.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); now.State != gate.StateHeld {
		t.Errorf("after the refusal it is %s", now.State)
	}
}

// The requester is never asked, nor is anybody outside the group; to them the
// action does not wait.
func TestApprovalsAreRefused(t *testing.T) {
	s := newApprovals(t)
	priya, morgan := s.person("Priya", ringfence.RoleAgent), s.manager()
	s.change(priya, func(p *ringfence.Person) { p.Groups = []string{"payments_manager"} })
	r := s.pendingPayment(priya)
	seen := map[string]any{"agrees": true, "digest": r.Digest, "policy": r.Policy, "evidence_hash": r.EvidenceHash}
	for name, p := range map[string]ringfence.Person{"requester": priya, "not of the group": s.person("Omar", ringfence.RoleSupervisor)} {
		cookie := s.signIn(p)
		if w := s.ask(cookie, "GET", "/v1/approvals/"+string(r.ID), nil); w.Code != 404 {
			t.Errorf("%s: read %d", name, w.Code)
		}
		if w := s.ask(cookie, "POST", "/v1/approvals/"+string(r.ID)+"/begin", seen); w.Code != 404 {
			t.Errorf("%s: begin %d", name, w.Code)
		}
	}
	cookie := s.signIn(morgan)
	for name, change := range map[string]string{"digest": "digest", "policy": "policy", "evidence": "evidence_hash"} {
		other := map[string]any{"agrees": true, "digest": r.Digest, "policy": r.Policy, "evidence_hash": r.EvidenceHash}
		other[change] = ringfence.Digest{7}
		if w := s.ask(cookie, "POST", "/v1/approvals/"+string(r.ID)+"/begin", other); w.Code != 409 {
			t.Errorf("another %s: begin %d %s", name, w.Code, w.Body)
		}
	}
	forged := map[string]any{"agrees": true, "digest": r.Digest, "policy": r.Policy, "evidence_hash": r.EvidenceHash,
		"ceremony": "00000000000000000000000000000000", "response": map[string]any{"id": "x"}}
	if w := s.ask(cookie, "POST", "/v1/approvals/"+string(r.ID)+"/finish", forged); w.Code != 422 {
		t.Errorf("a made-up ceremony: %d %s", w.Code, w.Body)
	}
	if now, _ := s.gate.Lookup(t.Context(), ringfence.DefaultTenant, r.ID); now.State != gate.StatePendingApproval {
		t.Errorf("it is %s", now.State)
	}
}

// month writes what thirty days of calls would have written.
func (d *desktop) month() {
	d.t.Helper()
	var all []ledger.Entry
	for day := 29; day > 0; day-- {
		at := time.Now().AddDate(0, 0, -day)
		for i := range 3 + day%4 {
			for _, e := range []ledger.Entry{{Event: "traversal.began"}, {Event: "stir.verified", Data: map[string]string{"attest": []string{"A", "A", "B", "C", ""}[(day+i)%5], "valid": "yes"}}, {Event: "release.executed"}} {
				e.At = at
				all = append(all, e)
			}
			for n, method := range []string{"callback", "otp", "pin"} {
				id := ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge)
				end := []ledger.Event{"challenge.satisfied", "challenge.satisfied", "challenge.failed", "challenge.expired", "challenge.undeliverable"}[(day+i*n)%5]
				all = append(all, ledger.Entry{Event: "challenge.created", At: at, Challenge: id, Data: map[string]string{"method": method}},
					ledger.Entry{Event: end, At: at.Add(time.Duration(12+i*9*(n+1)) * time.Second), Challenge: id, Data: map[string]string{"method": method}})
			}
		}
		if day%3 == 0 {
			all = append(all, ledger.Entry{Event: "release.held", At: at}, ledger.Entry{Event: "release.denied", At: at})
		}
	}
	d.log(all...)
}

func TestBoardAndRecords(t *testing.T) {
	s := newApprovals(t)
	priya, morgan := s.person("Priya", ringfence.RoleAgent), s.manager()
	r := s.pendingPayment(priya)
	s.mirror(r.ID)
	s.calls.change("trv_00000000000000000000000002", func(c *ringfence.LiveCall) {
		northwind("per_x")(c)
		c.Traversal, c.Claim, c.Attest, c.Alert = "trv_00000000000000000000000002", "Kit Marlow, finance director", ringfence.AttestNone, "The person on file said: I did not ask for this."
	})
	s.month()
	checkpointed(&s.cfg)
	err := s.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, e := range []ledger.Entry{{Event: "traversal.began", Traversal: trv}, {Event: "alert.raised", Traversal: trv, Data: map[string]string{"alarm": "rejected"}}, {Event: "release.executed", Traversal: trv, Release: r.ID}} {
			if _, err := tx.Append(t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, s.origin)
	b.with(s.signIn(morgan))
	b.visit("/board")
	b.see("Kit Marlow")
	b.see("12,500.00 GBP")
	b.see("Rejected")
	if first := js[string](b, "document.querySelector('tbody tr').innerText"); first == "" || first[:10] != "Kit Marlow" {
		t.Errorf("the first row is %q", first)
	}
	b.looks("board")
	b.press("30 days")
	b.until(`document.querySelectorAll(".bars.ok rect").length >= 29`, "there is no bar for each day's releases")
	b.see("Half within")
	b.looks("board-month")
	b.visit("/audit")
	b.see("release.executed")
	b.looks("audit")
	s.quietly(t)
}
