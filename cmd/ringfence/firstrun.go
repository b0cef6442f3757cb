package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/web"
)

// ownerEmail names the first person until they say who they are.
const ownerEmail = "owner@localhost"

// ownerRoles let one person set everything up and take the first call. What
// takes two persons still takes two.
var ownerRoles = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk, ringfence.RoleAgent}

// firstRun gives whoever starts an empty installation the link on which they
// become its owner. The link opens the installation, so it is written to a
// terminal only: anywhere else it would end in a log.
func (a *app) firstRun(ctx context.Context, out io.Writer, terminal bool) error {
	empty, err := a.ownerless(ctx)
	if err != nil || !empty {
		return err
	}
	if !terminal {
		a.log.Warn("nobody can sign in yet: make the first person with ringfence user invite --role admin,risk,agent")
		return nil
	}
	link, err := a.invite(ctx, ringfence.DefaultTenant, ringfence.Person{Name: web.OwnerName, Email: ownerEmail, Roles: ownerRoles})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nThis installation has no owner yet. Open this link within 15 minutes to become its owner:\n\n  %s\n\n", link)
	return err
}

// ownerless reports that there is nobody, or only an owner who has no passkey.
func (a *app) ownerless(ctx context.Context) (empty bool, err error) {
	err = a.store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		people, err := tx.List(ctx, ledger.KindPerson, ledger.Query{Limit: 2})
		if err != nil || len(people) != 1 {
			empty = len(people) == 0
			return err
		}
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, people[0].ID)
		if err != nil {
			return err
		}
		keys, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(p.ID))
		empty = p.Email == ownerEmail && len(keys) == 0
		return err
	})
	return empty, err
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
