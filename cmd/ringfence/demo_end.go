package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// proved says what was proved, and verifies the ledger as an auditor would:
// offline, on the data folder, with a checkpoint kept elsewhere and the signed
// head that the executor keeps.
func (d *demo) proved(ctx context.Context) {
	d.t.scene("What was proved", "checked again from the records")
	report, err := d.audit(ctx)
	if err != nil {
		d.t.check(false, "the ledger verifies", err.Error())
		return
	}
	d.t.check(report.OK() && report.Covered == report.Size && report.Size > 0, "the ledger verifies, against a checkpoint elsewhere and the executor's permit",
		fmt.Sprintf("%d entries, root %s…", report.Size, report.Root[:min(16, len(report.Root))]))
	for _, a := range d.approved { // no call runs any more
		d.t.line("  %s, done once; proved for digest %s…:", a.release.Says, a.release.Digest.String()[:16])
		slices.SortFunc(a.proofs, func(x, y ringfence.Evidence) int { return x.At.Compare(y.At) })
		for _, e := range a.proofs {
			d.t.line("    %s  %s", d.t.stamp(e.At), factSays[e.Fact])
		}
	}
	r := d.t.result()
	d.t.line("\n%d of %d outcomes were as they should be, in %.0f s.", len(r.Outcomes)-d.t.failed(), len(r.Outcomes), r.Seconds)
}

func (d *demo) audit(ctx context.Context) (ledger.Report, error) {
	tenant := ringfence.DefaultTenant
	if _, err := d.app.checkpoint(ctx, tenant, -1); err != nil {
		return ledger.Report{}, err
	}
	outside, err := os.ReadFile(filepath.Clean(outsideCheckpoint(d.cfg.Ledger.Checkpoints.CopyTo, tenant)))
	if err != nil {
		return ledger.Report{}, err
	}
	heads := [][]byte{outside}
	if d.first.Head != "" {
		heads = append(heads, []byte(d.first.Head))
	}
	key, err := d.app.signer.VerifierKey(tenant)
	if err != nil {
		return ledger.Report{}, err
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return ledger.Report{}, err
	}
	audit, err := sqlite.OpenAudit(d.cfg.Data)
	if err != nil {
		return ledger.Report{}, err
	}
	defer audit.Close()
	return ledger.Verify(ctx, tenant, audit.Log(tenant), v, heads)
}

// stayUp prints where to go on and waits until the demo is told to stop.
func (d *demo) stayUp(ctx context.Context) error {
	you := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: "You", Email: emailYou,
		Roles: []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk}, Groups: []string{"payments_manager"}}
	link, err := d.invite(ctx, you)
	if err != nil {
		return fmt.Errorf("a login for you: %w", err)
	}
	ada := d.people.ada
	d.t.scene("Your turn", "everything stays up until Ctrl-C")
	d.t.line("  console   %s", link)
	d.t.line("            (make a passkey there; the link works once, for 15 minutes. It counts when a colleague has")
	d.t.line("            compared its digits and signed: Grace does, a moment later)")
	d.t.line("  softphone sip:%s@%s (customers), sip:%s@%s (accounts)", demoCustomerLine, d.app.ua.Addrs()["sip"], demoAccountsLine, d.app.ua.Addrs()["sip"])
	d.t.line("            Ada's customer number is %s, her PIN %s", ada.account, ada.pin)
	d.t.line("  ledger    ringfence ledger verify %s", d.cfg.Data)
	d.t.line("  log       %s", d.log.Name())
	defer d.watch(ctx)()
	defer d.answerDesks(ctx)()
	defer d.confirmYou(ctx, you.ID)()
	<-ctx.Done()
	return nil
}

// confirmYou has Grace confirm the passkey that you make, until the function that
// it returns is called. In a firm you would read her the digits by telephone.
func (d *demo) confirmYou(ctx context.Context, you ringfence.PersonID) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var waits sync.WaitGroup
	waits.Go(func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for {
			check, err := d.digitsOf(ctx, you)
			if err == nil && check != "" {
				if err = d.staff.grace.Confirm(ctx, you, check); err == nil {
					d.t.line("  Grace     compared %s %s, the digits on your page, and confirmed your passkey: sign in", check[:3], check[3:])
					return
				}
			}
			if err != nil && ctx.Err() == nil {
				d.t.line("  Grace     could not confirm your passkey: %v", err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
		}
	})
	return func() { cancel(); waits.Wait() }
}

// digitsOf are the check digits of the passkey of a person that waits; empty
// while none does.
func (d *demo) digitsOf(ctx context.Context, id ringfence.PersonID) (check string, err error) {
	err = d.app.store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		all, err := gate.WaitingStaffKeys(ctx, tx)
		for _, a := range all {
			if string(a.Subject) == string(id) {
				check = gate.CheckDigits(gate.Fingerprint(a.Secret))
			}
		}
		return err
	})
	return check, err
}

// answerDesks has the agents answer whoever is put through to them, so that a
// softphone is not left ringing, until the function that it returns is called.
func (d *demo) answerDesks(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var desks sync.WaitGroup
	for _, c := range []*colleague{d.staff.alice, d.staff.clara, d.staff.frank} {
		desks.Go(func() {
			for {
				line, err := c.desk.Rings(ctx)
				if err != nil {
					return
				}
				if line.Answer(ctx) == nil && line.Say(ctx, "Hello.") == nil {
					select {
					case <-line.Done():
					case <-ctx.Done():
					}
				}
				line.Hangup()
			}
		})
	}
	return func() { cancel(); desks.Wait() }
}

// factSays tells what each proof of the demo proves, and no more.
var factSays = map[ringfence.Fact]string{
	ringfence.FactPIN:       "the telephone PIN was keyed on the caller's leg: knowledge",
	ringfence.FactTOTP:      "the code of the authenticator app was keyed for this action: possession",
	ringfence.FactPasskey:   "the passkey signed this action, shown whole on its own page: possession, with the person verified",
	ringfence.FactCallback:  "somebody at the number on file keyed the carried code and two digits that only that leg was told",
	ringfence.FactConfirmed: "this action was read back whole on that leg, and confirmed by a key drawn for it",
}
