package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
)

// eraseCmd erases a subject: two persons sign, and the key under which
// everything about them is kept is destroyed. The log still verifies.
type eraseCmd struct {
	signFlags
	Subject string `help:"Id of the subject; the first who signs names it." placeholder:"SUB_…"`
	Reason  string `help:"Why, without a name: it stays in the log. The first who signs says it."`
	File    string `arg:"" help:"Where the first signature waits for the second."`
}

// pendingErasure is an erasure with its first signature.
type pendingErasure struct {
	Tenant    ringfence.TenantID `json:"tenant"`
	Erasure   gate.Erasure       `json:"erasure"`
	Signature gate.Signature     `json:"signature"`
}

// Run signs. The second signature erases.
func (c *eraseCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func (c *eraseCmd) run(ctx context.Context, cfg config.Config) error {
	return c.withSigner(ctx, cfg, func(a *app, who signer) error {
		raw, err := os.ReadFile(c.File)
		if errors.Is(err, os.ErrNotExist) {
			return c.first(ctx, a, who)
		}
		if err != nil {
			return err
		}
		return c.second(ctx, a, raw, who)
	})
}

func (c *eraseCmd) first(ctx context.Context, a *app, who signer) error {
	tenant := ringfence.TenantID(c.Tenant)
	e := gate.Erasure{Subject: ringfence.SubjectID(c.Subject), Reason: c.Reason}
	if e.Subject == "" || e.Reason == "" {
		return &exitError{2, "--subject and --reason: say who is to be erased, and why"}
	}
	if err := refusedErasure(a.gate.Erasable(ctx, tenant, e.Subject)); err != nil {
		return err
	}
	msg, err := gate.ErasureMessage(tenant, e)
	if err != nil {
		return err
	}
	if err := putPending(c.File, pendingErasure{tenant, e, keySignature(who, msg)}); err != nil {
		return err
	}
	fmt.Printf("signed. Nothing is erased yet. A second person reads %s and signs:\n  ringfence erase %s --as EMAIL --key FILE\n", c.File, c.File)
	return nil
}

func (c *eraseCmd) second(ctx context.Context, a *app, raw []byte, who signer) error {
	tenant := ringfence.TenantID(c.Tenant)
	var p pendingErasure
	if err := readPending(raw, &p); err != nil {
		return &exitError{2, c.File + " is no erasure: " + err.Error()}
	}
	if p.Tenant != tenant || c.Subject != "" && c.Subject != string(p.Erasure.Subject) {
		return &exitError{1, c.File + " is about another subject or tenant"}
	}
	msg, err := gate.ErasureMessage(tenant, p.Erasure)
	if err != nil {
		return err
	}
	if err := refusedErasure(a.gate.Erase(ctx, tenant, p.Erasure, p.Signature, keySignature(who, msg))); err != nil {
		return err
	}
	fmt.Printf("%s is erased. The log verifies without them; what is recorded of their calls ends by its own retention.\n", p.Erasure.Subject)
	return os.Remove(c.File)
}

// refusedErasure says in words why the gate refused.
func refusedErasure(err error) error {
	var bad *gate.InvalidError
	switch {
	case errors.Is(err, gate.ErrForbidden):
		return &exitError{1, "refused: an erasure takes two different persons with role admin or risk, each with an enrolled key that may sign by now"}
	case errors.Is(err, gate.ErrNotFound):
		return &exitError{1, "no such subject is on file"}
	case errors.As(err, &bad):
		return &exitError{1, "refused: the " + bad.Field + " " + bad.Says}
	}
	return err
}
