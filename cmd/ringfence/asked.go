package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// eventAsked is the entry of a release that waits for colleagues, however it
// came there: from a flow, the console or a service account.
const eventAsked ledger.Event = "approval.asked"

// oweColleagues owes a message to everybody of the group that is asked, except
// whoever opened the action. What asks for nobody owes nothing.
func oweColleagues(ctx context.Context, tx ledger.Tx, e ledger.Entry) error {
	r, _, err := ledger.Read[gate.Release](ctx, tx, gate.KindRelease, string(e.Release))
	if errors.Is(err, ledger.ErrNotFound) || err == nil && r.Approvals.Group == "" {
		return nil
	}
	if err != nil {
		return err
	}
	people, err := ledger.Rows[ringfence.Person](ctx, tx, ledger.KindPerson, ledger.Query{})
	if err != nil {
		return err
	}
	for _, p := range people {
		if !slices.Contains(p.Groups, r.Approvals.Group) || p.Status != ringfence.StatusActive || p.Email == "" || r.Opener.Knows(p.ID) {
			continue
		}
		row := outboxRow{Person: p.ID, Release: e.Release, Event: e.Event, State: "pending", Next: tx.Now(), At: e.At}
		out := ledger.Record{Kind: kindOutbox, ID: fmt.Sprint(e.Index, "/", p.ID), Sort: tx.Now().UnixNano(), Keys: map[string]string{"state": "pending"}}
		if err := ledger.Write(ctx, tx, &out, row); err != nil && !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return nil
}

// askColleague is the message to one colleague; the zero Message when there is
// nothing to ask them any more. It holds no field of the action: those stand in
// the page, behind their passkey.
func (a *app) askColleague(ctx context.Context, tx ledger.Tx, tenant ringfence.TenantID, row outboxRow) (m verify.Message, err error) {
	r, _, err := ledger.Read[gate.Release](ctx, tx, gate.KindRelease, string(row.Release))
	if err != nil || r.State != gate.StatePendingApproval {
		return m, err
	}
	p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(row.Person))
	if err != nil || p.Status != ringfence.StatusActive || !slices.Contains(p.Groups, r.Approvals.Group) {
		return m, err
	}
	text := fmt.Sprintf("You are asked to agree or refuse: %s.\n\n%s/approvals#%s\n", r.Says, origin(a.cfg.Web.Staff.URL), r.ID)
	return verify.Message{Tenant: tenant, Kind: verify.MessageNotice, Channel: verify.ChannelEmail, To: p.Email,
		Subject: "A colleague's approval is asked for", Text: ringfence.Secret(text), Ref: string(r.ID)}, nil
}
