package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Payee is an account that a subject has paid, or that came by a signed
// import. It never comes from a requester (invariant 32).
type Payee struct {
	Subject  ringfence.SubjectID `json:"subject"`
	Account  string              `json:"account"` // as the action's account fields spell it
	Source   string              `json:"source"`  // a release, or the import's own source
	Since    time.Time           `json:"since"`
	Disputed bool                `json:"disputed,omitempty"`
}

func payeeID(subject ringfence.SubjectID, account string) string {
	sum := sha256.Sum256([]byte("ringfence/payee/v1\x00" + string(subject) + "\x00" + account))
	return hex.EncodeToString(sum[:])
}

// knownPayee reports an account paid at C4 at least 72 hours ago, or imported
// with an age of at least as much, and not disputed since.
func (t *turn) knownPayee(account string) (bool, error) {
	p, _, err := ledger.Read[Payee](t.ctx, t.tx, KindPayee, payeeID(t.r.Subject, account))
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil && p.Known(t.now), err
}

// Known reports a payee that a payment may go to as to a known one.
func (p Payee) Known(now time.Time) bool {
	return !p.Disputed && !p.Since.IsZero() && now.Sub(p.Since) >= payeeAge
}

// learnPayee keeps the account of an executed payment that was judged at C4.
func (t *turn) learnPayee() error {
	p := t.pinned()
	a, ok := p.Action(t.r.Type)
	if !ok || t.r.Class.Effective() < ringfence.C4 {
		return nil
	}
	account := payeeOf(a, t.r.Fields)
	if account == "" {
		return nil
	}
	id := payeeID(t.r.Subject, account)
	if _, _, err := ledger.Read[Payee](t.ctx, t.tx, KindPayee, id); !errors.Is(err, ledger.ErrNotFound) {
		return err // known already: the age of the first payment stays
	}
	return putPayee(t.ctx, t.tx, Payee{Subject: t.r.Subject, Account: account, Source: string(t.r.ID), Since: t.now}, 0)
}

// Mandate lets a person approve actions of a company or account up to a limit
// until a date. A young one does not count.
type Mandate struct {
	ID      string              `json:"id"`
	Person  ringfence.SubjectID `json:"person"`  // who may act
	Subject ringfence.SubjectID `json:"subject"` // for whom
	Types   []string            `json:"types"`   // of actions; empty = none
	Limit   int64               `json:"limit"`   // whole units of the base currency; 0 = no money
	Until   time.Time           `json:"until"`
	Since   time.Time           `json:"since"`
	Source  string              `json:"source"`
	Status  ringfence.Status    `json:"status"`
}

// mandated reports whether a mandate covers the release together with what else
// its person asked for under the same mandate within a day: a limit that many
// small actions could step over is none.
func (t *turn) mandated(p *policy.Policy, a *policy.Action) (bool, error) {
	rows, err := ledger.Rows[Mandate](t.ctx, t.tx, KindMandate, bySubject(t.r.Subject))
	if err != nil {
		return false, err
	}
	whole := worth(p, a, t.r.Fields)
	if whole == policy.OverEvery {
		return false, nil // no limit says that much
	}
	for _, m := range rows {
		if m.Person != t.r.Proves || m.Subject != t.r.Subject || m.Status != ringfence.StatusActive ||
			!slices.Contains(m.Types, t.r.Type) || whole > m.Limit || !t.now.Before(m.Until) ||
			m.Since.IsZero() || t.now.Sub(m.Since) < mandateWait {
			continue
		}
		room, err := t.room(p, m)
		if err != nil || whole <= room || whole == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// room is what a day leaves of a mandate's limit.
func (t *turn) room(p *policy.Policy, m Mandate) (int64, error) {
	room := m.Limit
	for _, name := range slices.Compact(slices.Sorted(slices.Values(m.Types))) {
		rows, full, err := t.windowed(m.Subject, name, sumWindow)
		if err != nil || full {
			return 0, err
		}
		a, known := p.Action(name)
		for _, o := range rows {
			if o.Proves != m.Person {
				continue
			}
			if !known || worth(p, a, o.Fields) > room {
				return 0, nil
			}
			room -= worth(p, a, o.Fields)
		}
	}
	return room, nil
}

// worth is the largest amount that an action moves, in whole units of the base
// currency.
func worth(p *policy.Policy, a *policy.Action, fields map[string]string) (whole int64) {
	for _, f := range a.Carries {
		if f.Type.Base != policy.BaseMoney {
			continue
		}
		m, ok := policy.ParseMoney(fields[f.Name])
		if !ok {
			return policy.OverEvery
		}
		whole = max(whole, policy.WholeUnits(m, p.BaseCurrency()))
	}
	return whole
}
