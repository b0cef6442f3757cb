package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// epochCmd lets a restored store go on: two persons sign that they know it is
// behind what was signed before, and everything that was open is void.
type epochCmd struct {
	signFlags
	Reason string `help:"Why the store was restored; the first who signs says it."`
	File   string `arg:"" help:"Where the first signature waits for the second."`
}

// pendingEpoch is an epoch with its first signature.
type pendingEpoch struct {
	Tenant    ringfence.TenantID `json:"tenant"`
	Epoch     gate.Epoch         `json:"epoch"`
	Signature gate.Signature     `json:"signature"`
}

// Run signs. The second signature puts the epoch into force.
func (c *epochCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func (c *epochCmd) run(ctx context.Context, cfg config.Config) error {
	return c.withSigner(ctx, cfg, func(a *app, who signer) error {
		now, err := a.epochNow(ctx, ringfence.TenantID(c.Tenant))
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(c.File)
		if errors.Is(err, os.ErrNotExist) {
			return c.first(now, who)
		}
		if err != nil {
			return err
		}
		return c.second(ctx, a, raw, now, who)
	})
}

// epochNow is what there is to sign.
func (a *app) epochNow(ctx context.Context, tenant ringfence.TenantID) (e gate.Epoch, err error) {
	outside, err := outsideOf(a.cfg, tenant)
	if err != nil {
		return e, err
	}
	var head ledger.Head
	if err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		head, err = ledger.HeadOf(ctx, tx)
		return err
	}); err != nil {
		return e, err
	}
	store, err := a.signer.Sign(tenant, head)
	return gate.Epoch{Store: string(store), Outside: string(outside)}, err
}

func (c *epochCmd) first(e gate.Epoch, who signer) error {
	tenant := ringfence.TenantID(c.Tenant)
	if e.Reason = c.Reason; e.Reason == "" {
		return &exitError{2, "--reason: say why the store was restored"}
	}
	msg, err := gate.EpochMessage(tenant, e)
	if err != nil {
		return err
	}
	if err := putPending(c.File, pendingEpoch{tenant, e, keySignature(who, msg)}); err != nil {
		return err
	}
	fmt.Printf("signed. A second person reads %s and signs:\n  ringfence epoch %s --as EMAIL --key FILE\n", c.File, c.File)
	return nil
}

func (c *epochCmd) second(ctx context.Context, a *app, raw []byte, now gate.Epoch, who signer) error {
	tenant := ringfence.TenantID(c.Tenant)
	var p pendingEpoch
	if err := readPending(raw, &p); err != nil {
		return &exitError{2, c.File + " is no epoch: " + err.Error()}
	}
	if p.Tenant != tenant || p.Epoch.Store != now.Store || p.Epoch.Outside != now.Outside {
		return &exitError{1, "the store or the checkpoint outside has changed since the first signature: remove " + c.File + " and begin again"}
	}
	msg, err := gate.EpochMessage(tenant, p.Epoch)
	if err != nil {
		return err
	}
	err = a.gate.NewEpoch(ctx, tenant, p.Epoch, p.Signature, keySignature(who, msg))
	if errors.Is(err, gate.ErrForbidden) {
		return &exitError{1, "refused: an epoch takes two different persons with role admin or risk, each with an enrolled key that may sign by now"}
	}
	if err == nil {
		err = a.verify.verifier.VoidAll(ctx, tenant)
	}
	if err != nil {
		return err
	}
	fmt.Printf("the epoch is signed: what was open is void. Reason: %s\n", p.Epoch.Reason)
	return os.Remove(c.File)
}

// checkKey lets the gate take signatures by enrolled keys.
func checkKey(ctx context.Context, tx ledger.Tx, s gate.Signature, msg [32]byte) error {
	return shelf.CheckKey(ctx, tx, shelf.Approval{Person: s.Person, Key: s.Key, Signature: s.Assertion}, msg)
}

// extends holds a tenant's log against the newest checkpoint outside. One that
// is behind it goes on only after an epoch was signed that names it.
func (a *app) extends(ctx context.Context, tenant ringfence.TenantID, msg []byte) error {
	vkey, err := a.signer.VerifierKey(tenant)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	head, err := ledger.OpenCheckpoint(msg, v)
	if err != nil {
		return fmt.Errorf("checkpoint outside: %w", err)
	}
	return a.store.View(ctx, tenant, func(tx ledger.Tx) error {
		err := ledger.Extends(ctx, tx, head)
		if !errors.Is(err, ledger.ErrBehind) {
			return err
		}
		if signed, failed := gate.EpochSigned(ctx, tx, msg); failed != nil || signed {
			return failed
		}
		return err
	})
}
