package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// When figures of calls are worth an alert. Each compares the last hours of a
// tenant's log with a share that people would notice.
const (
	lookBack      = 2              // whole or begun hours that count as now
	usualBack     = 7 * 24         // hours before them that count as usual
	leastAsked    = 10             // messages of a method, before their share means anything
	leastCalls    = 20             // calls, before theirs does
	downShare     = 0.3            // of messages that did not arrive
	riseShare     = 0.2            // by which unverified calls are more than usual
	riseTimes     = 1.5            // and how many times as many
	webhookWindow = 24 * time.Hour // how long a failed announcement is told
)

// ownConditions are those that the server finds out itself.
var ownConditions = []AlertKind{AlertClock, AlertWebhook, AlertDelivery, AlertUnverified, AlertPasskey}

// WatchAlerts looks at what may be wrong in a tenant now: at what this server
// sees itself, and at the conditions of other kinds that the caller brings.
func (s *Server) WatchAlerts(ctx context.Context, tenant ringfence.TenantID, of []AlertKind, brought []Condition) error {
	now := slices.Clone(brought)
	if s.cfg.Clock != nil && s.cfg.Clock.Frozen(tenant) != "" {
		now = append(now, Condition{AlertClock, "clock", "Nothing of class C2 and above is released until it is trusted again: risk confirms it, or the clock catches up."})
	}
	hooks, err := s.webhookConditions(ctx, tenant)
	if err != nil {
		return err
	}
	figures, err := s.figureConditions(ctx, tenant)
	if err != nil {
		return err
	}
	waiting, err := s.waitingConditions(ctx, tenant)
	if err != nil {
		return err
	}
	now = slices.Concat(now, hooks, figures, waiting)
	return errors.Join(s.SetConditions(ctx, tenant, slices.Concat(ownConditions, of), now), s.TakeAlerts(ctx, tenant))
}

// webhookConditions names the executors that could not be told of a release.
func (s *Server) webhookConditions(ctx context.Context, tenant ringfence.TenantID) (out []Condition, err error) {
	if s.cfg.Announcer == nil {
		return nil, nil
	}
	lost, err := s.cfg.Announcer.Failed(ctx, tenant, time.Now().Add(-webhookWindow))
	if err != nil {
		return nil, err
	}
	for executor, n := range lost {
		out = append(out, Condition{AlertWebhook, executor, fmt.Sprintf("%s was not reached with %d announcements in 24 hours.", executor, n)})
	}
	return out, nil
}

// figureConditions compares the last hours with the week before.
func (s *Server) figureConditions(ctx context.Context, tenant ringfence.TenantID) ([]Condition, error) {
	c := s.charts.of(tenant)
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.catchUp(ctx, s.cfg.Store, tenant)
	if err != nil || c.next < c.size {
		return nil, err // still reading: the next look knows more
	}
	return c.conditions(now), nil
}

// conditions judges what was counted.
func (c *chart) conditions(now time.Time) (out []Condition) {
	hour := now.Unix() / 3600
	recent, usual := c.sum(hour-lookBack+1, hour+1), c.sum(hour-lookBack-usualBack+1, hour-lookBack+1)
	if was, is := usual.unverified(), recent.unverified(); recent.signed() >= leastCalls && usual.signed() >= leastCalls && is >= was+riseShare && is >= was*riseTimes {
		out = append(out, Condition{AlertUnverified, "unverified", fmt.Sprintf("%.0f of 100 calls came without a valid signature in the last hours, %.0f of 100 in the week before.", is*100, was*100)})
	}
	for name, m := range recent.methods {
		if m.asked >= leastAsked && float64(m.down) >= downShare*float64(m.asked) {
			out = append(out, Condition{AlertDelivery, name, fmt.Sprintf("%d of %d by %s did not arrive in the last hours.", m.down, m.asked, name)})
		}
	}
	return out
}

// sum adds up the hours from one to another, which is not counted.
func (c *chart) sum(from, to int64) chartHour {
	var p chartPoint // the counts that are drawn
	h := chartHour{attest: map[string]int{}, methods: map[string]*methodCount{}}
	for at := from; at < to; at++ {
		if one := c.hours[at]; one != nil {
			one.addTo(&p, h.attest, h.methods)
		}
	}
	return h
}

// signed counts the calls whose signature was looked for.
func (h chartHour) signed() (n int) {
	for _, calls := range h.attest {
		n += calls
	}
	return n
}

// unverified is the share of calls without a valid signature.
func (h chartHour) unverified() float64 {
	if n := h.signed(); n > 0 {
		return float64(h.attest["none"]+h.attest["failed"]) / float64(n)
	}
	return 0
}
