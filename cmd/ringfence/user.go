package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// userCmd makes members of staff on the machine itself.
type userCmd struct {
	Invite userInviteCmd `cmd:"" help:"Make a person, and a link on which they make their passkey."`
	Key    userKeyCmd    `cmd:"" help:"Enrol the key with which a person signs bundles on the command line."`
}

// userInviteCmd adds a person and prints the link. The first two persons need
// nobody's signature; later ones are added in the console by two others, and
// what they make on the link waits there until one of staff has confirmed it.
type userInviteCmd struct {
	configFlag
	Email  string   `required:"" help:"Their address, which names them in queues."`
	Name   string   `help:"Their name as callers and colleagues read it; needed for somebody new."`
	Role   []string `help:"Needed for somebody new: agent, supervisor, ops, risk, auditor or admin; several with commas." enum:"agent,supervisor,ops,risk,auditor,admin"`
	Group  []string `help:"Approver groups of the policy, such as payments_manager."`
	Place  string   `help:"SIP address of their phone at an agents' trunk."`
	Tenant string   `default:"default" help:"Tenant."`
}

// Run invites.
func (c *userInviteCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	a, err := newApp(ctx, cfg, appOptions{Tool: true})
	if err != nil {
		return err
	}
	link, err := a.invite(ctx, ringfence.TenantID(c.Tenant), ringfence.Person{Name: c.Name, Email: strings.ToLower(c.Email),
		Roles: rolesOf(c.Role), Groups: c.Group, Place: c.Place})
	if closed := a.store.Close(); err == nil {
		err = closed
	}
	if errors.Is(err, gate.ErrForbidden) {
		return errors.New("there are two persons or a subject already: further people are added in the console, signed by two of staff")
	}
	if err != nil {
		return err
	}
	fmt.Println(link)
	return nil
}

func rolesOf(words []string) []ringfence.Role {
	var out []ringfence.Role
	for _, w := range words {
		out = append(out, ringfence.Role(w))
	}
	return out
}

// invite adds a person, or takes the one with the same address, and returns the
// link for their first passkey.
func (a *app) invite(ctx context.Context, tenant ringfence.TenantID, p ringfence.Person) (string, error) {
	known, err := a.personByEmail(ctx, tenant, p.Email)
	if err != nil {
		return "", err
	}
	if known.ID == "" && (p.Name == "" || len(p.Roles) == 0) {
		return "", &exitError{2, "there is nobody with the address " + p.Email + ": somebody new needs --name and --role"}
	}
	if known.ID == "" {
		p.ID = ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson)
		if known, err = a.gate.PutPerson(ctx, tenant, p); err != nil {
			return "", err
		}
	}
	token, err := a.invites.Invite(ctx, tenant, string(known.ID), known.Name)
	if err != nil {
		return "", err
	}
	return origin(a.cfg.Web.Staff.URL) + "/invite#" + string(token), nil
}

func (a *app) personByEmail(ctx context.Context, tenant ringfence.TenantID, email string) (ringfence.Person, error) {
	return personIn(ctx, a.store, tenant, email)
}

// personIn finds a member of staff by their address; the zero Person is nobody.
func personIn(ctx context.Context, store ledger.Store, tenant ringfence.TenantID, email string) (p ringfence.Person, err error) {
	err = store.View(ctx, tenant, func(tx ledger.Tx) error {
		recs, err := tx.List(ctx, ledger.KindPerson, ledger.Query{Key: "email", Value: email, Limit: 1})
		if err != nil || len(recs) == 0 {
			return err
		}
		p, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, recs[0].ID)
		return err
	})
	return p, err
}
