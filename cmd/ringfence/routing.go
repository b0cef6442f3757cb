package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// routing answers the runner from the configuration and the store: called
// numbers, queues, trunks.
type routing struct {
	cfg   config.Config
	store ledger.Store
	ready func(ringfence.TenantID) []ringfence.PersonID // live console sessions; nil = everybody counts as ready
	// busy are those with a live console who are on a call; nil = nobody is known to be.
	busy func(ringfence.TenantID) []ringfence.PersonID
	// inBrowser reports whether a person's softphone is on; nil = nobody's.
	inBrowser func(ringfence.TenantID, ringfence.PersonID) bool
	known     sync.Map // []runner.Place by queueOf: who was on file when last asked
	zones     sync.Map // name → *time.Location
}

func tenantOr(id string) ringfence.TenantID {
	if id == "" {
		return ringfence.DefaultTenant
	}
	return ringfence.TenantID(id)
}

// digitsOf strips what is written between the digits of a number, so that
// +44 20 7946 0991 and 442079460991 are one.
func digitsOf(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9' || r == '*' || r == '#':
			b.WriteRune(r)
		case strings.ContainsRune("+ -().", r):
		default:
			return s // a name, not a number
		}
	}
	return b.String()
}

// zone is a time zone by its name; UTC for one that there is not. It is read
// once: each call asks for one.
func (r *routing) zone(name string) *time.Location {
	if known, ok := r.zones.Load(name); ok {
		return known.(*time.Location)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		zone = time.UTC
	}
	r.zones.Store(name, zone)
	return zone
}

func (r *routing) line(l config.Line) runner.Line {
	zone := r.zone(l.Zone)
	out := runner.Line{Name: l.Name, Tenant: tenantOr(l.Tenant), Flow: l.Flow, Fallback: l.Fallback, Zone: zone, Language: l.Language}
	if (l.Record.On || r.cfg.Forks(l.Name)) && l.Record.Consent != "flow" {
		out.Notice, out.NoticeIn = l.Record.Notice, cmp.Or(l.Language, languageIn(r.cfg, out.Tenant))
		if l.Record.Decline != "" {
			out.Decline = l.Record.Decline[0]
		}
	}
	var hours []config.Hours
	for _, text := range l.Hours {
		if h, err := config.ParseHours(text); err == nil {
			hours = append(hours, h)
		}
	}
	if len(hours) > 0 {
		out.Open = func(now time.Time) bool {
			return slices.ContainsFunc(hours, func(h config.Hours) bool { return h.Open(now.In(zone)) })
		}
	}
	return out
}

// Line implements runner.Directory.
func (r *routing) Line(trunk, called string) (runner.Line, bool) {
	if l, ok := r.find(trunk, called); ok {
		return r.line(l), true
	}
	return runner.Line{}, false
}

// find is the configuration of the line that a number called over a trunk is of.
func (r *routing) find(trunk, called string) (config.Line, bool) {
	number := digitsOf(called)
	for _, l := range r.cfg.Lines {
		if len(l.Trunks) > 0 && !slices.Contains(l.Trunks, trunk) || len(l.Trunks) == 0 && r.agents(trunk) {
			continue
		}
		for _, n := range l.Numbers {
			if digitsOf(n) == number && number != "" {
				return l, true
			}
		}
	}
	return config.Line{}, false
}

// agents reports whether a trunk is for agents' places only: calls from there
// reach no line.
func (r *routing) agents(trunk string) bool {
	return slices.ContainsFunc(r.cfg.SIP.Trunks, func(t config.Trunk) bool { return t.Name == trunk && t.Agents })
}

// LineNamed finds a line by its name, for traversals that are taken up again.
func (r *routing) LineNamed(name string) (runner.Line, bool) {
	for _, l := range r.cfg.Lines {
		if l.Name == name {
			return r.line(l), true
		}
	}
	return runner.Line{}, false
}

// Queue implements runner.Directory.
func (r *routing) Queue(tenant ringfence.TenantID, name string) (runner.Queue, bool) {
	for _, q := range r.cfg.Queues {
		if q.Name != name || tenantOr(q.Tenant) != tenant {
			continue
		}
		out := runner.Queue{Name: q.Name, URI: q.URI, All: q.Strategy != "longest_idle", Max: q.Max, Wait: q.Wait, Each: q.Ring,
			Announce: q.Announce, Every: q.Every, Overflow: q.Overflow}
		if out.Every == 0 {
			out.Every = config.AnnounceEvery
		}
		if q.URI != "" {
			out.Trunk = r.agentTrunk()
			out.Sign = r.signs(out.Trunk)
			out.MayTransfer = len(r.transfers()) > 0
		} else {
			out.People = func(ctx context.Context) runner.Staff { return r.staff(ctx, tenant, q) }
		}
		return out, true
	}
	return runner.Queue{}, false
}

func (r *routing) agentTrunk() string {
	for _, t := range r.cfg.SIP.Trunks {
		if t.Agents {
			return t.Name
		}
	}
	return ""
}

// signs reports whether a trunk wants callers' calls signed.
func (r *routing) signs(trunk string) bool {
	return slices.ContainsFunc(r.cfg.SIP.Trunks, func(t config.Trunk) bool { return t.Name == trunk && t.Sign })
}

// everyAgent in a queue's people is every agent of the tenant.
const everyAgent = "*"

// staff are the queue's people who are ready, and how many are on a call. While
// the store does not answer, they are those whom it named last: people reach a
// person.
func (r *routing) staff(ctx context.Context, tenant ringfence.TenantID, q config.Queue) (s runner.Staff) {
	key := queueOf{tenant, q.Name}
	all, err := r.places(ctx, tenant, q.People)
	if err == nil {
		r.known.Store(key, all)
	} else if last, ok := r.known.Load(key); ok {
		all = last.([]runner.Place)
	}
	if r.ready == nil {
		return runner.Staff{Ready: all}
	}
	ready := r.ready(tenant)
	for _, id := range ready {
		if i := slices.IndexFunc(all, func(p runner.Place) bool { return p.Person == id }); i >= 0 {
			s.Ready = append(s.Ready, all[i])
		}
	}
	if r.busy != nil {
		for _, id := range r.busy(tenant) {
			if slices.ContainsFunc(all, func(p runner.Place) bool { return p.Person == id }) {
				s.Busy++
			}
		}
	}
	return s
}

// queueOf names a queue.
type queueOf struct {
	tenant ringfence.TenantID
	name   string
}

// places are those of the queue's people who are active agents with a place.
func (r *routing) places(ctx context.Context, tenant ringfence.TenantID, emails []string) (out []runner.Place, err error) {
	now := time.Now()
	err = r.store.View(ctx, tenant, func(tx ledger.Tx) error {
		out = nil
		for _, email := range emails {
			which := ledger.Query{Key: "email", Value: strings.ToLower(email)}
			if email == everyAgent {
				which = ledger.Query{}
			}
			people, err := ledger.Rows[ringfence.Person](ctx, tx, ledger.KindPerson, which)
			if err != nil {
				return err
			}
			for _, p := range people {
				twice := slices.ContainsFunc(out, func(o runner.Place) bool { return o.Person == p.ID })
				if place, ok := r.place(tenant, p); ok && !twice && p.Has(ringfence.RoleAgent, now) {
					out = append(out, place)
				}
			}
		}
		return nil
	})
	return out, err
}

// Outbound implements runner.Directory: the first trunk with outbound. One of a
// recorder reaches nobody else, so it is taken only where there is no other.
func (r *routing) Outbound(ringfence.TenantID) (trunk, from string) {
	for _, t := range r.cfg.SIP.Trunks {
		recorder := slices.ContainsFunc(r.cfg.Media.Recorders, func(m config.Recorder) bool { return m.Trunk == t.Name })
		if t.Outbound && (trunk == "" || !recorder) {
			trunk, from = t.Name, t.From
			if !recorder {
				break
			}
		}
	}
	return trunk, from
}
