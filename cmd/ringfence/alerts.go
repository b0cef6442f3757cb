package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web"
)

const (
	// alertLook is how often new entries become alerts; conditionLook how often
	// the installation is looked over.
	alertLook     = 2 * time.Second
	conditionLook = 30 * time.Second
	// downLong is how long a trunk has to be away before somebody is called.
	downLong = time.Minute
	// reportTime is how long an executor may take from the redemption of a permit
	// to its report, and maxRedeemed how many such releases are looked at.
	reportTime  = 15 * time.Minute
	maxRedeemed = 1000
)

// brought are the kinds of conditions that only this room sees.
var brought = []web.AlertKind{web.AlertCertificate, web.AlertTrunk, web.AlertLedger, web.AlertExecutor}

// watchful is what the look-out remembers between two looks.
type watchful struct {
	mu       sync.Mutex
	since    map[string]time.Time        // guarded by mu: since when a trunk is away
	unsealed map[ringfence.TenantID]bool // guarded by mu: whose last checkpoint failed
}

// sealing notes how a checkpoint went.
func (w *watchful) sealing(tenant ringfence.TenantID, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsealed == nil {
		w.unsealed = map[ringfence.TenantID]bool{}
	}
	w.unsealed[tenant] = err != nil
}

// watchAlerts turns what happens in a tenant, and what is wrong with the
// installation, into alerts, and has the pages swept on the same round.
func (a *app) watchAlerts(ctx context.Context, tenant ringfence.TenantID) {
	take, look := time.NewTicker(alertLook), time.NewTicker(conditionLook)
	defer take.Stop()
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-take.C:
			err = a.web.TakeAlerts(ctx, tenant)
		case <-look.C:
			err = errors.Join(a.lookOver(ctx, tenant), a.web.Sweep(ctx, tenant))
		}
		if err != nil && ctx.Err() == nil {
			a.log.Error("alerts", "tenant", string(tenant), "err", err)
		}
	}
}

// lookOver tells what is wrong in a tenant now.
func (a *app) lookOver(ctx context.Context, tenant ringfence.TenantID) error {
	redeemed, err := a.gate.List(ctx, tenant, gate.Filter{State: gate.StateRedeemed, Limit: maxRedeemed})
	if err != nil {
		return err
	}
	now := time.Now()
	return a.web.WatchAlerts(ctx, tenant, brought, append(a.conditions(tenant, now), unreported(redeemed, now)...))
}

// unreported names the executors that redeemed a permit and have not said since
// what came of it: whether the action was done is known to them alone, and
// nobody may do it again before they are asked.
func unreported(redeemed []gate.Release, now time.Time) (out []web.Condition) {
	counts := map[string]int{}
	for _, r := range redeemed {
		if now.Sub(r.ChangedAt) >= reportTime {
			counts[r.Executor]++
		}
	}
	for executor, n := range counts {
		out = append(out, web.Condition{Kind: web.AlertExecutor, Key: executor,
			Text: fmt.Sprintf("%s has redeemed %d, and has not said in %d minutes what came of it. Look in its journal before anybody does one of them again.", executor, n, int(reportTime.Minutes()))})
	}
	return out
}

// conditions lists what is wrong now. What belongs to the installation is told
// to the default tenant only.
func (a *app) conditions(tenant ringfence.TenantID, now time.Time) (out []web.Condition) {
	if a.watchful.failed(tenant) {
		out = append(out, web.Condition{Kind: web.AlertLedger, Key: "checkpoint",
			Text: "The last checkpoint could not be signed, kept or copied outside; the process's log says why. Until one is, a rollback would not be noticed."})
	}
	if tenant != ringfence.DefaultTenant {
		return out
	}
	out = append(out, expiring(certificates(a.cfg), now)...)
	return append(out, a.watchful.lasting(trunksDown(a.systemTrunks()), now)...)
}

func (w *watchful) failed(tenant ringfence.TenantID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsealed[tenant]
}

// expiring names the certificates that end soon. Each stage is a condition of
// its own, so that whoever acknowledged the first is told of the last.
func expiring(keys []web.SystemKey, now time.Time) (out []web.Condition) {
	for _, k := range keys {
		left := k.Until.Sub(now)
		stage, says := "", ""
		switch {
		case k.Fault != "":
			stage, says = "fault", "cannot be read"
		case k.Until.IsZero():
		case left < 0:
			stage, says = "ended", "has ended on "+k.Until.UTC().Format(time.DateOnly)
		case left < 7*24*time.Hour:
			stage, says = "week", "ends within a week, on "+k.Until.UTC().Format(time.DateOnly)
		case left < 30*24*time.Hour:
			stage, says = "month", "ends on "+k.Until.UTC().Format(time.DateOnly)
		}
		if stage != "" {
			out = append(out, web.Condition{Kind: web.AlertCertificate, Key: k.Where + ":" + stage, Text: fmt.Sprintf("The certificate of %s (%s) %s.", k.For, k.Where, says)})
		}
	}
	return out
}

// trunksDown names what of the trunks cannot be reached.
func trunksDown(trunks []web.SystemTrunk) (out []web.Condition) {
	for _, t := range trunks {
		for _, p := range t.Peers {
			if p.Health == ringfence.No {
				out = append(out, web.Condition{Kind: web.AlertTrunk, Key: t.Name + ":" + p.Addr, Text: fmt.Sprintf("%s does not answer at %s.", t.Name, p.Addr)})
			}
		}
		if t.Binding == "refused" || t.Binding == "unreachable" {
			out = append(out, web.Condition{Kind: web.AlertTrunk, Key: t.Name + ":registration", Text: fmt.Sprintf("The registration with %s is %s%s.", t.Name, t.Binding, answered(t.Code))})
		}
	}
	return out
}

func answered(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf(": it answered %d", code)
}

// lasting leaves out what is wrong for less than a minute.
func (w *watchful) lasting(now []web.Condition, at time.Time) (out []web.Condition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := map[string]time.Time{}
	for _, c := range now {
		since[c.Key] = cmp.Or(w.since[c.Key], at)
		if at.Sub(since[c.Key]) >= downLong {
			out = append(out, c)
		}
	}
	w.since = since
	return out
}
