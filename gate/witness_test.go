package gate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// lost is the C5 action of somebody who has lost everything.
const lost = `actions:
  start_again:
    class: C5
    says: start again after everything was lost
    about: customer
    carries: { payee: name }
    needs: [proofed, approved]
    approvals: { group: payments_manager, count: 2 }
    hold: 72h
    outlives_call: true
`

func lostWorld(t *testing.T) *world {
	w := newWorld(t, "actions:\n", lost)
	for id, team := range map[ringfence.PersonID]string{agent: "north", manager: "north", manager2: "north"} {
		w.team(id, team)
	}
	w.person(ringfence.Person{ID: "per_other", Roles: []ringfence.Role{ringfence.RoleAgent}, Team: "south"})
	return w
}

func (w *world) team(id ringfence.PersonID, team string) {
	p := ringfence.Person{ID: id, Team: team, Roles: []ringfence.Role{ringfence.RoleSupervisor}, Groups: []string{"payments_manager"}}
	if id == agent {
		p.Roles, p.Groups = []ringfence.Role{ringfence.RoleAgent}, nil
	}
	w.person(p)
}

func (w *world) startAgain() Release {
	w.t.Helper()
	r, _, err := w.g.Open(context.Background(), ten, OpenRequest{Type: "start_again", Subject: ann, Fields: map[string]string{"payee": "Ann Example"},
		Traversal: trv, By: Actor{Person: agent}, AskedBy: AskedPerson})
	return w.must(r, err)
}

// witnessed asks whether these people may witness, each signing the message of
// seen.
func (w *world) witnessed(r, seen Release, who ...ringfence.PersonID) error {
	var sigs []Signature
	for _, p := range who {
		aut := ringfence.AuthenticatorID("aut_" + p)
		sigs = append(sigs, Signature{Person: p, Authenticator: aut, Assertion: assertionOf(aut, ProofingMessage(seen))})
	}
	return w.store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		_, err := w.g.Witnessed(context.Background(), tx, ten, r.ID, sigs...)
		return err
	})
}

func TestWitnessesAreRefused(t *testing.T) {
	w := lostWorld(t)
	w.person(ringfence.Person{ID: "per_admin", Roles: []ringfence.Role{ringfence.RoleAdmin}})
	w.person(ringfence.Person{ID: "per_new", Roles: []ringfence.Role{ringfence.RoleAgent}, Since: w.now.Add(time.Hour)})
	w.person(ringfence.Person{ID: "per_gone", Roles: []ringfence.Role{ringfence.RoleAgent}, Status: ringfence.StatusSuspended})
	r := w.startAgain()
	if err := w.witnessed(r, r, agent, "per_other"); !errors.Is(err, ErrConflict) {
		t.Errorf("inside the first call: %v", err)
	}
	w.entry(ledger.Entry{Event: "traversal.ended", Traversal: trv})
	changed := r
	changed.Digest[0]++
	other := r
	other.Proves = acme
	for name, c := range map[string]struct {
		seen Release
		who  []ringfence.PersonID
	}{
		"nobody":            {r, nil},
		"one person twice":  {r, []ringfence.PersonID{agent, agent}},
		"an administrator":  {r, []ringfence.PersonID{agent, "per_admin"}},
		"roles too young":   {r, []ringfence.PersonID{agent, "per_new"}},
		"suspended":         {r, []ringfence.PersonID{agent, "per_gone"}},
		"unknown":           {r, []ringfence.PersonID{agent, "per_nobody"}},
		"another action":    {changed, []ringfence.PersonID{agent, "per_other"}},
		"another subject":   {other, []ringfence.PersonID{agent, "per_other"}},
		"the subject's key": {r, []ringfence.PersonID{agent, ringfence.PersonID(ann)}},
	} {
		if err := w.witnessed(r, c.seen, c.who...); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.witnessed(r, r, agent, "per_other"); err != nil {
		t.Errorf("two who may: %v", err)
	}
	w.must(w.g.Cancel(context.Background(), ten, r.ID, Actor{Person: agent}, "test"))
	if err := w.witnessed(r, r, agent, "per_other"); !errors.Is(err, ErrConflict) {
		t.Errorf("a cancelled release: %v", err)
	}
}

func TestC5NeedsAnotherTeamAndThreeDays(t *testing.T) {
	ctx := context.Background()
	w := lostWorld(t)
	r := w.startAgain()
	w.prove(r, "passkey", "callback", "confirmed", "pin", "totp")
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.Decision != StepUp {
		t.Fatalf("C5 without proofing: %s %+v", got.State, v)
	}
	e := w.evidenceFor(r, "proofed")
	e.Release, e.Digest, e.Traversal, e.Leg, e.Presented = r.ID, r.Digest, "", "", true
	old := e
	old.ID, old.At = "evd_old", w.now.Add(-24*time.Hour-time.Second)
	w.putEvidence(old)
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.EvidenceComplete {
		t.Fatalf("a proofing older than a day: %s %+v", got.State, v)
	}
	w.must(w.g.Cancel(ctx, ten, r.ID, Actor{Person: agent}, "test"))
	r = w.startAgain() // nothing of the telephone, as when everything is lost
	e.Release, e.Digest = r.ID, r.Digest
	w.putEvidence(e)
	r, v := w.released(r.ID)
	if r.State != StatePendingApproval || v.Approvals.Count != 2 {
		t.Fatalf("proofed: %s %+v", r.State, v)
	}
	for _, p := range []ringfence.PersonID{manager, manager2} {
		got, v, err := w.g.Approve(ctx, ten, approval(r, p))
		if r = w.must(got, err); r.State != StatePendingApproval || !slices.Contains(v.Missing, ringfence.FactApproved) {
			t.Fatalf("approved by the requester's own team: %s %+v", r.State, v)
		}
	}
	w.person(ringfence.Person{ID: "per_south", Team: "south", Roles: []ringfence.Role{ringfence.RoleSupervisor}, Groups: []string{"payments_manager"}})
	got, _, err := w.g.Approve(ctx, ten, approval(r, "per_south"))
	if r = w.must(got, err); r.State != StateCooling {
		t.Fatalf("approved by another team: %s %s", r.State, r.Why)
	}
	w.pass(72*time.Hour - time.Second)
	if r = w.look(r.ID); r.State != StateCooling {
		t.Errorf("before 72 hours: %s", r.State)
	}
	w.pass(2 * time.Second)
	if r = w.look(r.ID); r.State != StateReady {
		t.Errorf("after 72 hours: %s %s", r.State, r.Why)
	}
}

func TestAnApproverWithoutATeamIsNotOfAnother(t *testing.T) {
	w := lostWorld(t)
	w.team(manager, "")
	r := w.startAgain()
	row := row{Release: r}
	for name, c := range map[string]struct {
		who  []ringfence.PersonID
		want bool
	}{
		"nobody":            {nil, false},
		"no team":           {[]ringfence.PersonID{manager}, false},
		"not on file":       {[]ringfence.PersonID{"per_nobody"}, false},
		"own team":          {[]ringfence.PersonID{manager2}, false},
		"one is of another": {[]ringfence.PersonID{manager2, "per_other"}, true},
	} {
		err := w.store.View(context.Background(), ten, func(tx ledger.Tx) error {
			have, err := (&turn{g: w.g, ctx: context.Background(), tx: tx, r: &row, now: tx.Now()}).otherTeam(c.who)
			if have != c.want {
				t.Errorf("%s: %v", name, have)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
