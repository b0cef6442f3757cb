package gate

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

const prefixMandate = "mdt"

// mandates lists what an action does to who may act for the subject: one
// mandate ends, another begins. A new one is young, and counts after its wait.
func (t *turn) mandates(d desk, a *policy.Action) (out []func() error, err error) {
	if a.Like != policy.LikeMandateChange {
		return nil, nil
	}
	data := map[string]string{"release": string(t.r.ID)}
	if id := t.r.Fields["mandate"]; id != "" {
		m, version, err := ledger.Read[Mandate](t.ctx, t.tx, KindMandate, id)
		if gone := missing(err) || err == nil && (m.Subject != t.r.Subject || m.Status == ringfence.StatusRemoved); gone || err != nil {
			return nil, unless(gone, err, "mandate")
		}
		m.Status = ringfence.StatusRemoved
		out = append(out, func() error {
			if err := d.putMandate(m, version); err != nil {
				return err
			}
			return d.entry("mandate.removed", m.Subject, m.ID, nil, data)
		})
	}
	if _, ok := t.r.Fields["representative"]; !ok {
		return out, nil
	}
	if err := t.representative(a); err != nil {
		return nil, err
	}
	m, err := t.newMandate(a)
	if err != nil {
		return nil, err
	}
	return append(out, func() error {
		if err := d.putMandate(m, 0); err != nil {
			return err
		}
		return d.entry("mandate.added", m.Subject, m.ID, nil, data)
	}), nil
}

// newMandate reads a mandate from the fields: for (one type of action), limit
// (money) and until (the last day, of the tenant's own time zone).
func (t *turn) newMandate(a *policy.Action) (Mandate, error) {
	p := t.pinned()
	m := Mandate{ID: ringfence.NewID[string](prefixMandate), Person: ringfence.SubjectID(t.r.Fields["person"]), Subject: t.r.Subject,
		Types: []string{t.r.Fields["for"]}, Since: t.now, Source: string(t.r.ID), Status: ringfence.StatusActive}
	if slices.ContainsFunc(p.Actions(), func(o *policy.Action) bool { return o.Name == m.Types[0] && changesDirectory(o.Like) }) {
		return m, &InvalidError{Field: "for", Says: "changes what is on file, which nobody does for somebody else"}
	}
	if _, ok := p.Action(m.Types[0]); !ok {
		return m, &InvalidError{Field: "for", Says: "is no action of the policy"}
	}
	if text, ok := t.r.Fields["limit"]; ok {
		money, good := policy.ParseMoney(text)
		m.Limit = policy.WholeUnits(money, p.BaseCurrency())
		if !good || m.Limit >= policy.OverEvery {
			return m, &InvalidError{Field: "limit", Says: "is no amount of the base currency"}
		}
	}
	day, err := time.ParseInLocation(time.DateOnly, t.r.Fields["until"], p.Zone())
	if err != nil || !t.now.Before(day) {
		return m, &InvalidError{Field: "until", Says: "is no day to come"}
	}
	m.Until = day.AddDate(0, 0, 1)
	return m, nil
}

func (d desk) putMandate(m Mandate, version int64) error {
	return d.put(KindMandate, m.ID, version, m.Subject, map[string]string{"subject": string(m.Subject)}, m)
}

// stopMandate ends a mandate at once; a new one takes an action.
func (d desk) stopMandate(subject ringfence.SubjectID, id string, from ringfence.Status, by []Signature, data map[string]string) error {
	m, version, err := ledger.Read[Mandate](d.ctx, d.tx, KindMandate, id)
	if err != nil {
		return err
	}
	switch {
	case m.Subject != subject:
		return ErrNotFound
	case m.Status != from:
		return ErrConflict
	}
	m.Status = ringfence.StatusRemoved
	if err := d.putMandate(m, version); err != nil {
		return err
	}
	return d.entry("mandate.removed", subject, id, by, data)
}
