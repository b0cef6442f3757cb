package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/web"
)

// joinWeb joins the pages and the API.
func (a *app) joinWeb() error {
	invites, err := passkey.NewRegistrar(a.store, a.verify.staffRP, passkey.EnrolFunc(a.gate.EnrolStaff))
	if err != nil {
		return err
	}
	enrol, err := passkey.NewRegistrar(a.store, a.verify.callerRP, passkey.EnrolFunc(a.gate.EnrolSubject))
	if err != nil {
		return err
	}
	desk, err := approve.NewDesk(a.verify.staff, approvals{a.gate}, 0)
	if err != nil {
		return err
	}
	proofs, err := a.joinProofing()
	if err != nil {
		return err
	}
	a.invites = invites
	keys := web.Passkeys{Staff: a.verify.staff, Invites: invites, Page: a.verify.page, Enrol: enrol, Approvals: desk}
	names := map[ringfence.TenantID]string{}
	hosts := map[string]ringfence.TenantID{}
	for _, t := range a.cfg.Tenants {
		names[tenantOr(t.ID)] = t.Name
		if t.Host != "" {
			hosts[t.Host] = tenantOr(t.ID)
		}
	}
	joined := web.Config{
		Store: a.store, Calls: calls{a.runner}, Gate: a.gate, Language: a.languageOf, Announcer: a.hooks, Policies: policies{a.shelf}, Jobs: jobs{a}, Checkpoint: a.store.Checkpoint, Stop: a.stop, PINs: a.verify.pin, Recovery: a.verify.recovery, PostLink: a.postLink, Verifier: a.stir, Signer: a.sign,
		Recordings: recordings{a.recorder}, Supervision: a.supervision(),
		Traces: traces{a}, Captures: a.captures, Bans: bans{a}, Signals: heardSignals{a}, Home: home(a.cfg.STIR.Home),
		Proofing: proofs,
		Drills:   &drillDesk{a: a},
		Passkeys: func(ringfence.TenantID) web.Passkeys { return keys },
		StaffURL: origin(a.cfg.Web.Staff.URL), PublicURL: origin(a.cfg.Web.Public.URL), Hosts: hosts,
		Company: func(t ringfence.TenantID) string { return names[t] }, Log: a.log,
	}
	if a.shared != nil {
		joined.Rates = a.shared.Rates()
		joined.Proofs = once{a.shared.Marks()}
	}
	a.joinEditor(&joined)
	joined.Trial, joined.System, joined.Queued = &trial{a: a}, a.system, a.queued
	joined.Softphones = softphones{a.ua.Softphones()}
	if a.clock != nil {
		joined.Clock = a.clock
	}
	a.web, err = web.New(joined)
	a.routing.ready, a.routing.busy, a.routing.inBrowser = a.ready, a.busy, a.web.Reachable
	return err
}

// ready lists who takes calls now: a live console and not away or on a call.
// Those who have waited longest come first.
func (a *app) ready(tenant ringfence.TenantID) []ringfence.PersonID {
	return a.present(tenant, "ready")
}

// busy lists who is on a call and will take calls after it.
func (a *app) busy(tenant ringfence.TenantID) []ringfence.PersonID { return a.present(tenant, "busy") }

func (a *app) present(tenant ringfence.TenantID, state string) []ringfence.PersonID {
	var out []ringfence.PersonID
	for _, p := range a.web.Present(tenant) {
		if p.State == state {
			out = append(out, p.Person)
		}
	}
	return out
}

// storeClients makes the executors of the configuration service accounts, and
// ends those that it names no more.
func (a *app) storeClients(ctx context.Context) error {
	var named []string
	for _, e := range a.cfg.Executors {
		named = append(named, e.Name)
		c := web.Client{ID: "cli_" + e.Name, Name: e.Name, Executor: e.Name, Networks: e.Networks, Key: e.Key, Certificate: e.Certificate,
			Scopes: []web.Scope{web.ScopeExecute, web.ScopeReleases}}
		if err := a.web.PutClient(ctx, ringfence.DefaultTenant, c, ringfence.Secret(e.Credential.Reveal())); err != nil {
			if !errors.Is(err, web.ErrClientRemoved) {
				return fmt.Errorf("executors.%s: %w", e.Name, err)
			}
			a.log.Warn("executors." + e.Name + " " + err.Error())
		}
	}
	return a.web.DropClients(ctx, ringfence.DefaultTenant, named)
}

// checkpoints signs the head of a tenant's log, keeps the note and copies it
// outside.
func (a *app) checkpoints(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(a.cfg.Ledger.Checkpoints.Every)
	defer every.Stop()
	var size int64 = -1
	for {
		next, err := a.checkpoint(context.WithoutCancel(ctx), tenant, size)
		a.watchful.sealing(tenant, err)
		if err != nil {
			a.log.Error("checkpoint", "tenant", string(tenant), "err", err)
		} else {
			size = next
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// checkpoint signs a head that grew since size.
func (a *app) checkpoint(ctx context.Context, tenant ringfence.TenantID, size int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var head ledger.Head
	if err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		head, err = ledger.HeadOf(ctx, tx)
		return err
	}); err != nil {
		return size, err
	}
	if head.Size == 0 || head.Size == size {
		return head.Size, nil
	}
	msg, err := a.signer.Sign(tenant, head)
	if err != nil {
		return size, err
	}
	failpoint.Hit(failpoint.CheckpointSigned)
	if err := a.store.SaveCheckpoint(ctx, tenant, head.Size, msg); err != nil {
		return size, err
	}
	failpoint.Hit(failpoint.CheckpointKept)
	return head.Size, a.copyOut(tenant, msg)
}

// copyOut writes the newest checkpoint into the folder outside.
func (a *app) copyOut(tenant ringfence.TenantID, msg []byte) error {
	dir := a.cfg.Ledger.Checkpoints.CopyTo
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeAtomic(outsideCheckpoint(dir, tenant), msg)
}

func outsideCheckpoint(dir string, tenant ringfence.TenantID) string {
	return filepath.Join(dir, strings.ReplaceAll(string(tenant), "/", "_")+".checkpoint")
}

// checkHead compares each tenant's log with the newest checkpoint outside: a
// store that was cut, rolled back or forked is not served from (invariant 33).
func (a *app) checkHead(ctx context.Context) error {
	dir := a.cfg.Ledger.Checkpoints.CopyTo
	if dir == "" {
		a.log.Warn("ledger.checkpoints.copy_to is empty: a rolled-back store would not be noticed")
		return nil
	}
	for _, t := range a.cfg.Tenants {
		tenant := tenantOr(t.ID)
		msg, err := outsideOf(a.cfg, tenant)
		if err != nil {
			return err
		}
		if msg == nil {
			continue
		}
		if err := a.extends(ctx, tenant, msg); err != nil {
			return fmt.Errorf("tenant %s: %w: the store is older than what was signed, or another; it is not served from until two persons have signed a new epoch (ringfence epoch)", tenant, err)
		}
	}
	return nil
}
