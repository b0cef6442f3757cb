package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// list decodes one page of records, for whoever looks at a page. What is decided
// rests on the whole, which ledger.Rows reads.
func list[T any](ctx context.Context, tx ledger.Tx, kind ledger.Kind, q ledger.Query) ([]T, error) {
	recs, err := tx.List(ctx, kind, q)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(recs))
	for i, rec := range recs {
		if err := decode(rec, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decode[T any](rec ledger.Record, into *T) error {
	if err := json.Unmarshal(rec.Body, into); err != nil {
		return fmt.Errorf("%w: %s %s: %v", errRead, rec.Kind, rec.ID, err)
	}
	return nil
}

// gather reads everything a verdict depends on.
func (t *turn) gather() (Case, error) {
	r := t.r
	c := Case{AskedBy: r.AskedBy, Held: t.held(), Acts: r.Proves != r.Subject}
	judged := r.State != StatePendingEvidence && (r.State != StateHeld || !r.EvidenceHash.Zero())
	c.Ask = policy.Case{Action: r.Type, Release: r.ID, Digest: r.Digest, Traversal: r.Traversal, Subject: r.Proves, Kind: r.Kind,
		Fields: r.Fields, Signals: t.mergeSignals(), Judged: judged}
	if t.g.cfg.Frozen != nil {
		c.Frozen = t.g.cfg.Frozen(r.Tenant)
	}
	p := t.pinned()
	if p == nil {
		return c, nil // Decide refuses
	}
	action, ok := p.Action(r.Type)
	if !ok {
		return c, nil
	}
	points, err := ledger.Rows[ringfence.ContactPoint](t.ctx, t.tx, ledger.KindContactPoint, bySubject(r.Proves))
	if err != nil {
		return c, err
	}
	if err := t.subject(&c, points); err != nil {
		return c, err
	}
	if err := t.proofs(&c, points, judged); err != nil {
		return c, err
	}
	if c.Ask.Approvals, err = t.approvals(); err != nil {
		return c, err
	}
	approvers := make([]ringfence.PersonID, len(c.Ask.Approvals))
	for i, a := range c.Ask.Approvals {
		approvers[i] = a.Person
	}
	if c.OtherTeam, err = t.otherTeam(approvers); err != nil {
		return c, err
	}
	if err := t.sums(&c, p, action); err != nil {
		return c, err
	}
	if c.Payee = payeeOf(action, r.Fields); c.Payee != "" {
		if c.Known, err = t.knownPayee(c.Payee); err != nil {
			return c, err
		}
	}
	if c.Acts {
		if c.Mandated, err = t.mandated(p, action); err != nil {
			return c, err
		}
	}
	rejects, err := ledger.Rows[alarm](t.ctx, t.tx, kindAlarm, ledger.Query{Key: "subject", Value: string(r.Subject),
		From: t.now.Add(-sumWindow).UnixNano()})
	for _, a := range rejects {
		if a.Kind == alarmRejected && !slices.Contains(r.Handled, string(a.Challenge)) {
			c.Rejects++
		}
	}
	if err != nil {
		return c, err
	}
	return c, t.risks(&c, points)
}

// subject judges that the subject and whoever acts for it are active, and that
// who proves is reachable as when the action was opened: points are theirs.
func (t *turn) subject(c *Case, points []ringfence.ContactPoint) error {
	s, _, err := ledger.Read[ringfence.Subject](t.ctx, t.tx, ledger.KindSubject, string(t.r.Subject))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	c.Active = err == nil && s.Status == ringfence.StatusActive && s.Kind == t.r.Kind
	if t.r.Proves != t.r.Subject {
		who, _, err := ledger.Read[ringfence.Subject](t.ctx, t.tx, ledger.KindSubject, string(t.r.Proves))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		c.Active = c.Active && err == nil && who.Status == ringfence.StatusActive
	}
	for _, p := range points {
		if p.StoredAt.After(t.r.RequestedAt) || p.ChangedAt.After(t.r.RequestedAt) || p.RemovedAt.After(t.r.RequestedAt) {
			c.Active = false
		}
	}
	return nil
}

func bySubject[T ~string](id T) ledger.Query {
	return ledger.Query{Key: "subject", Value: string(id)}
}

// proofs reads the evidence of the release and of its traversal, with the
// ages of what it came from; once judged, only the frozen set.
func (t *turn) proofs(c *Case, points []ringfence.ContactPoint, judged bool) error {
	var rows []ringfence.Evidence
	seen := map[string]bool{}
	var gone voids // of what is not frozen yet
	if !judged {
		var err error
		if gone, err = readVoids(t.ctx, t.tx, t.r.Traversal); err != nil {
			return err
		}
	}
	for key, value := range map[string]string{"release": string(t.r.ID), "traversal": string(t.r.Traversal)} {
		if value == "" {
			continue
		}
		for rec, err := range ledger.All(t.ctx, t.tx, ledger.KindEvidence, ledger.Query{Key: key, Value: value, Desc: true}) {
			if err != nil {
				return err
			}
			if seen[rec.ID] {
				continue // most are about the release and its traversal
			}
			seen[rec.ID] = true
			e, err := ledger.Decode[ringfence.Evidence](rec)
			if err != nil {
				return err
			}
			if (!judged || slices.Contains(t.r.Evidence, e.ID)) && (e.Release == "" || e.Release == t.r.ID) && !gone.voidFor(e) {
				rows = append(rows, e)
			}
		}
	}
	auths, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(t.r.Proves))
	if err != nil {
		return err
	}
	for _, a := range auths {
		gone := a.Status == ringfence.StatusRemoved && t.now.Sub(a.RemovedAt) >= policy.PasskeyMemory || a.ID == t.r.Enrols
		c.Ask.HadPasskey = c.Ask.HadPasskey || a.Type == ringfence.AuthPasskey && !gone
		c.Ask.HasAuthenticator = c.Ask.HasAuthenticator || a.Status != ringfence.StatusPending && !gone
	}
	for _, e := range rows {
		if !revoked(e, auths) {
			c.Ask.Proofs = append(c.Ask.Proofs, t.proof(e, points, auths))
		}
	}
	return nil
}

// revoked reports a proof whose PIN, app or passkey was taken away or suspended
// since: whoever says that it was stolen says so of what was proved with it, too.
func revoked(e ringfence.Evidence, auths []ringfence.Authenticator) bool {
	return e.Authenticator != "" && !slices.ContainsFunc(auths, func(a ringfence.Authenticator) bool {
		return a.ID == e.Authenticator && a.Status == ringfence.StatusActive
	})
}

func (t *turn) proof(e ringfence.Evidence, points []ringfence.ContactPoint, auths []ringfence.Authenticator) policy.Proof {
	p := policy.Proof{Evidence: e}
	for _, cp := range points {
		if cp.ID == e.ContactPoint && e.ContactPoint != "" && cp.Status == ringfence.StatusActive && !cp.VerifiedAt.IsZero() {
			p.ContactAge = t.age(cp.ChangedAt)
			if cp.Type == ringfence.ContactLandline && e.Fact == ringfence.FactCallback {
				p.Lane = "desk"
			}
		}
	}
	for _, a := range auths {
		if a.ID == e.Authenticator && e.Authenticator != "" && a.Status == ringfence.StatusActive {
			p.AuthenticatorAge = t.age(a.BoundAt)
			if a.Lane != "" {
				p.Lane = a.Lane
			}
		}
	}
	return p
}

// age is zero, which counts as brand-new, for a time nobody knows.
func (t *turn) age(since time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return t.now.Sub(since)
}

// sums adds up the subject's money over the last day, whatever the type of the
// action that moves it, and the same type over each of the action's windows; releases that came to nothing do not count, and those
// that are open count however long they are.
func (t *turn) sums(c *Case, p *policy.Policy, a *policy.Action) error {
	longest := sumWindow
	for _, l := range a.Limits {
		longest = max(longest, l.Within)
	}
	rows, full, err := t.windowed(t.r.Subject, t.r.Type, longest)
	if err != nil {
		return err
	}
	alike, err := t.alike(p, a)
	if err != nil {
		return err
	}
	for _, f := range a.Carries {
		if f.Type.Base != policy.BaseMoney {
			continue
		}
		sum, _ := policy.ParseMoney(t.r.Fields[f.Name])
		for _, o := range rows {
			if o.within(sumWindow, t.now) {
				sum = add(sum, o.Fields[f.Name])
			}
		}
		for _, amount := range alike {
			sum = add(sum, amount)
		}
		if full {
			sum.Currency = "" // no amount: over every limit
		}
		if c.Ask.Sums == nil {
			c.Ask.Sums = map[string]string{}
		}
		c.Ask.Sums[f.Name] = fmt.Sprintf("%d %s", sum.Minor, sum.Currency)
	}
	for _, l := range a.Limits {
		c.Ask.Totals = append(c.Ask.Totals, t.total(l, rows, p, a, full))
	}
	return nil
}

// add adds an amount. What cannot be added has no currency, and is over every
// limit.
func add(sum ringfence.Money, amount string) ringfence.Money {
	m, ok := policy.ParseMoney(amount)
	if !ok || m.Currency != sum.Currency || sum.Minor+m.Minor < 0 {
		sum.Currency = ""
		return sum
	}
	sum.Minor += m.Minor
	return sum
}

func (t *turn) total(l policy.Limit, rows []row, p *policy.Policy, a *policy.Action, full bool) policy.Total {
	total := policy.Total{Within: l.Within}
	for _, o := range rows {
		if !o.within(l.Within, t.now) {
			continue
		}
		total.Count++
		for _, f := range a.Carries {
			if f.Type.Base != policy.BaseMoney {
				continue
			}
			m, ok := policy.ParseMoney(o.Fields[f.Name])
			whole := policy.WholeUnits(m, p.BaseCurrency())
			if !ok || total.Amount > policy.OverEvery-whole {
				full = true
				continue
			}
			total.Amount += whole
		}
	}
	if full {
		total.Amount = policy.OverEvery
	}
	return total
}
