package gate

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// longestOpen is how long a release may take from its request to its redemption:
// proof (a week at C5), colleagues, hold, and the executor.
const longestOpen = 14 * 24 * time.Hour

// counts reports whether a release adds to the sums of others: it may still be
// executed, or it was.
func (r row) counts() bool {
	switch r.State {
	case StateDenied, StateCancelled, StateExpired, StateInvalidated, StateExecFailed:
		return false
	default:
		return true
	}
}

// spent is when the release was redeemed; zero while it can be stopped.
func (r row) spent() time.Time {
	if r.State.BeforeRedeemed() || !r.counts() {
		return time.Time{}
	}
	if r.Spent.IsZero() { // stored by a version that did not say
		return r.ChangedAt
	}
	return r.Spent
}

// within reports whether a release counts in the window d that ends now. One
// that is open may be executed at any moment: it counts however long ago it was
// asked for, for else two halves that wait side by side would each be judged
// alone.
func (r row) within(d time.Duration, now time.Time) bool {
	at := r.spent()
	return at.IsZero() || now.Sub(at) <= d || now.Sub(r.RequestedAt) <= d
}

// spentKey names the day on which releases of a subject and type were redeemed.
func spentKey(window string, day time.Time) string {
	return window + "\x00" + day.UTC().Format(time.DateOnly)
}

// windowed lists the other releases of a subject and type that were asked for or
// redeemed within d, or are open. full reports that there are more than are
// looked at.
func (t *turn) windowed(subject ringfence.SubjectID, action string, d time.Duration) (out []row, full bool, err error) {
	window, since := windowKey(subject, action), t.now.Add(-d)
	queries := []ledger.Query{{Key: "window", Value: window, From: since.UnixNano()}, {Key: "open", Value: window, To: since.UnixNano()}}
	last := since.Add(min(d, longestOpen)) // nothing asked for before since was redeemed after it
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(last); day = day.Add(24 * time.Hour) {
		queries = append(queries, ledger.Query{Key: "spent", Value: spentKey(window, day), To: since.UnixNano()})
	}
	for _, q := range queries {
		q.Limit = ledger.MaxPage
		recs, err := t.tx.List(t.ctx, KindRelease, q)
		if err != nil {
			return nil, false, err
		}
		full = full || len(recs) >= q.Limit-1 // one of them is this release
		if out, err = t.others(out, recs); err != nil {
			return nil, false, err
		}
	}
	for _, r := range t.also {
		if r.Type == action {
			out = append(out, row{Release: r})
		}
	}
	return slices.DeleteFunc(out, func(o row) bool { return !o.counts() || !o.within(d, t.now) }), full, nil
}

// others appends the releases among recs but for this one. Each is read once a
// turn: the same one counts in a window, as open and as one of the day.
func (t *turn) others(out []row, recs []ledger.Record) ([]row, error) {
	for _, rec := range recs {
		if rec.ID == string(t.r.ID) {
			continue
		}
		o, known := t.read[rec.ID]
		if !known || o.Version != rec.Version {
			o = row{}
			if err := decode(rec, &o); err != nil {
				return nil, err
			}
			if t.read == nil {
				t.read = map[string]row{}
			}
			t.read[rec.ID] = o
		}
		out = append(out, o)
	}
	return out, nil
}

// alike lists the amounts that the subject's actions of other types moved or may
// move within a day: who splits a payment does not get further by calling one
// half something else. An amount of no currency is over everything.
func (t *turn) alike(p *policy.Policy, a *policy.Action) (amounts []string, err error) {
	if !paying(a) {
		return nil, nil
	}
	for _, b := range p.Actions() {
		if b.Name == a.Name || b.About != a.About || !paying(b) {
			continue
		}
		rows, full, err := t.windowed(t.r.Subject, b.Name, sumWindow)
		if err != nil {
			return nil, err
		}
		if full {
			amounts = append(amounts, "")
		}
		for _, o := range rows {
			amounts = append(amounts, largest(b, o.Fields))
		}
	}
	return amounts, nil
}

// paying reports whether an action is about money.
func paying(a *policy.Action) bool {
	return slices.ContainsFunc(a.Carries, func(f policy.Field) bool { return f.Type.Base == policy.BaseMoney })
}

// largest is the largest amount that an action moves, as it was written; ""
// where two cannot be compared.
func largest(a *policy.Action, fields map[string]string) (text string) {
	var most ringfence.Money
	for _, f := range a.Carries {
		if f.Type.Base != policy.BaseMoney {
			continue
		}
		m, ok := policy.ParseMoney(fields[f.Name])
		if !ok || most.Currency != "" && m.Currency != most.Currency {
			return ""
		}
		if m.Minor > most.Minor {
			most, text = m, fields[f.Name]
		}
	}
	return text
}
