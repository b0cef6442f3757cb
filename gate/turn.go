package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// turn is one release in the hand of one transaction.
type turn struct {
	g       *Gate
	ctx     context.Context
	tx      ledger.Tx
	r       *row
	now     time.Time
	signals []ringfence.Signal
	also    []Release      // made up for the same nobody before
	says    string         // of a reviewer, for the log
	read    map[string]row // other releases of the subject, by id, as far as they were looked at
}

// changeJudging is change for what decides anew: signals are asked for first,
// outside the transaction.
func (g *Gate) changeJudging(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, f func(*turn) error) (Release, error) {
	signals, err := g.signals(ctx, tenant, id)
	if err != nil {
		return Release{}, err
	}
	return g.change(ctx, tenant, id, func(t *turn) error {
		t.signals = signals
		return f(t)
	})
}

// change runs f on a release inside one transaction: alarms first, then f,
// then the row, by compare-and-set, with every entry f made.
func (g *Gate) change(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, f func(*turn) error) (Release, error) {
	var out Release
	err := g.cfg.Store.Update(expectingChange(ctx, id), tenant, func(tx ledger.Tx) error {
		r, version, err := ledger.Read[row](ctx, tx, KindRelease, string(id))
		if err != nil {
			return err
		}
		t := &turn{g: g, ctx: ctx, tx: tx, r: &r, now: tx.Now()}
		if err := t.alarms(); err != nil {
			return err
		}
		if err := f(t); err != nil {
			return err
		}
		if err := t.save(version); err != nil {
			return err
		}
		out = r.public()
		return nil
	})
	return out, err
}

func (t *turn) save(version int64) error {
	t.r.Version, t.r.ChangedAt = version+1, t.now
	rec := ledger.Record{Kind: KindRelease, ID: string(t.r.ID), Version: version, Subject: t.r.Subject,
		Keys: t.r.keys(), Sort: t.r.RequestedAt.UnixNano()}
	after := t.r.public()
	t.tx.OnCommit(func() {
		t.g.wake(string(after.ID))
		if after.Traversal != "" {
			t.g.wake(string(after.Traversal))
		}
		if t.g.cfg.Changed != nil {
			t.g.cfg.Changed(after)
		}
	})
	return ledger.Write(t.ctx, t.tx, &rec, t.r)
}

// signals asks for passive observations outside the transaction.
func (g *Gate) signals(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID) ([]ringfence.Signal, error) {
	if g.cfg.Signals == nil {
		return nil, nil
	}
	r, err := g.Lookup(ctx, tenant, id)
	if err != nil || !r.State.BeforeRedeemed() {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return g.cfg.Signals(ctx, r), nil
}

// move is the only place that changes a state. by and why stand in the entry.
func (t *turn) move(to State, by Actor, why string) error {
	if !slices.Contains(moves[t.r.State], to) {
		return ErrConflict
	}
	if t.seeming(to) {
		return t.seem(to, by, why)
	}
	from := cmp.Or(t.r.Stood, t.r.State)
	t.r.Stood = ""
	data := map[string]string{"from": string(from), "to": string(to), "digest": t.r.Digest.String(), "class": t.r.Class.String()}
	if why != "" {
		data["why"] = why
	}
	switch to {
	case StatePendingApproval, StateCooling:
		data["evidence_set"], data["policy"] = t.r.EvidenceHash.String(), t.r.Policy.String()
		if len(t.r.Signals) > 0 {
			data["signals"] = signalWords(t.r.Signals)
		}
	case StateRedeemed:
		t.r.Spent = t.now
		fallthrough
	case StatePermitted, StateExecuted, StateExecFailed, StateExecUnknown:
		data["permit"], data["executor"] = string(t.r.Permit), t.r.Executor
	case StatePendingEvidence:
		t.r.Evidence, t.r.EvidenceHash = nil, ringfence.Digest{}
	}
	if len(t.r.Waivers) > 0 {
		data["waivers"] = strings.Join(t.r.Waivers, "; ")
	}
	t.r.State, t.r.Why = to, why
	if _, err := t.entry(events[to], by, data); err != nil {
		return err
	}
	if t.r.Duress {
		return t.setPace()
	}
	if to != StateReady || t.g.cfg.Announce == nil || t.r.Executor == "" || t.r.Executor == Self {
		return nil
	}
	return t.g.cfg.Announce(t.ctx, t.tx, t.r.Release)
}

func (t *turn) entry(event ledger.Event, by Actor, data map[string]string) (int64, error) {
	if by.Flow != "" {
		data["flow"] = by.Flow
	}
	return t.tx.Append(t.ctx, ledger.Entry{Event: event, Traversal: t.r.Traversal, Subject: t.r.Subject, Release: t.r.ID,
		Person: by.Person, Client: by.Client, Data: t.said(data)})
}

// said adds a reviewer's words to what an entry tells.
func (t *turn) said(data map[string]string) map[string]string {
	if t.says != "" {
		data["says"] = t.says
	}
	return data
}

// pinned returns the policy that the release was opened under.
func (t *turn) pinned() *policy.Policy { return t.g.cfg.Policies.ByHash(t.r.Tenant, t.r.Policy) }

// decide gathers and judges by the pinned policy, and remembers why.
func (t *turn) decide() (Verdict, error) {
	c, err := t.gather()
	if err != nil {
		return Verdict{}, err
	}
	v := Decide(t.pinned(), c, t.now)
	t.remember(v)
	return v, nil
}

func (t *turn) remember(v Verdict) {
	t.r.Class, t.r.Approvals, t.r.Reasons, t.r.Missing, t.r.Waivers = v.Class, v.Approvals, v.Reasons, v.Missing, v.Waivers
	t.r.Why = v.Next
	if a, ok := t.pinned().Action(t.r.Type); ok && t.r.Approvals.Group == "" {
		t.r.Approvals = policy.Approvals{Group: a.Approvals.Group} // they may agree, and nobody has to
	}
}

// advance moves the release as far as it can go by itself. approve asks for
// the move to pending_approval even when nobody needs to agree.
func (t *turn) advance(by Actor, approve bool) (Verdict, error) {
	v, err := t.decide()
	if err != nil {
		return v, err
	}
	if t.r.State == StatePendingEvidence && v.EvidenceComplete && (approve || !t.r.AskedAt.IsZero()) {
		t.r.Evidence = v.Used
		t.r.EvidenceHash = evidenceHash(v.Used)
		t.r.ExpiresAt = t.now.Add(pendingLife)
		if err := t.move(StatePendingApproval, by, v.Next); err != nil {
			return v, err
		}
	}
	if t.r.State == StatePendingApproval && v.Decision == Allow && !t.r.AskedAt.IsZero() {
		t.r.CoolingAt, t.r.HoldUntil = t.now, t.now.Add(v.Hold)
		t.r.ExpiresAt = t.r.HoldUntil.Add(pendingLife)
		if err := t.move(StateCooling, by, v.Next); err != nil {
			return v, err
		}
	}
	if t.r.State == StateCooling && !t.now.Before(t.r.HoldUntil) {
		return t.leaveCooling(v, by)
	}
	return v, nil
}

// leaveCooling judges what can still change once more.
func (t *turn) leaveCooling(v Verdict, by Actor) (Verdict, error) {
	switch {
	case v.Decision != Allow:
		return v, t.fallBack(v, by)
	case t.now.Before(t.r.CoolingAt.Add(v.Hold)):
		// A signal that was good is unknown now, and holds longer.
		t.r.HoldUntil = t.r.CoolingAt.Add(v.Hold)
		t.r.ExpiresAt = t.r.HoldUntil.Add(pendingLife)
		return v, nil
	}
	life := readyLife
	if v.Class >= ringfence.C4 {
		life = readyLifeLong
	}
	t.r.ReadyAt, t.r.ExpiresAt = t.now, t.now.Add(life)
	return v, t.move(StateReady, by, v.Next)
}

// fallBack is where a release goes whose guard no longer holds: held when it
// is stopped, else back to gather what is missing.
func (t *turn) fallBack(v Verdict, by Actor) error {
	if v.Decision == StepUp {
		return t.move(StatePendingEvidence, by, v.Next)
	}
	if slices.Contains(v.Reasons, policy.ReasonWrongSubject) {
		return t.move(StateInvalidated, by, v.Next)
	}
	if slices.Contains(v.Reasons, policy.ReasonClock) || slices.Contains(v.Reasons, policy.ReasonStore) {
		return nil // it waits where it is
	}
	return t.hold("risk", by, time.Time{})
}

func evidenceHash(ids []ringfence.EvidenceID) ringfence.Digest {
	sorted := slices.Sorted(slices.Values(ids))
	h := sha256.New()
	h.Write([]byte("ringfence/evidence-set/v1\x00"))
	for _, id := range sorted {
		h.Write([]byte(id))
		h.Write([]byte{'\n'})
	}
	return ringfence.Digest(h.Sum(nil))
}

// hold stops the release. until zero = until a person lifts it.
func (t *turn) hold(why string, by Actor, until time.Time) error {
	h := Hold{ID: ringfence.NewID[ringfence.HoldID](ringfence.PrefixHold), Why: why, By: by, At: t.now, Until: until}
	t.r.Holds = append(t.r.Holds, h)
	if why == alarmDuress {
		return nil // whoever raised the alarm wrote the one entry of it; a second here would show in every count and stream
	}
	_, err := t.tx.Append(t.ctx, ledger.Entry{Event: "hold.placed", Subject: t.r.Subject, Release: t.r.ID, Traversal: t.r.Traversal,
		Person: by.Person, Client: by.Client, Object: string(h.ID), Data: map[string]string{"why": why}})
	if err != nil || t.r.State == StateHeld {
		return err
	}
	t.r.HeldFrom = t.r.State
	return t.move(StateHeld, by, why)
}

// The alarms that verify raises, as it spells them.
const (
	alarmDuress   = "duress"
	alarmRejected = "rejected"
)

// alarm is a row of verify's, as far as the gate reads it.
type alarm struct {
	Kind      string                `json:"kind"`
	Challenge ringfence.ChallengeID `json:"challenge"`
	Release   ringfence.ReleaseID   `json:"release"`
	Traversal ringfence.TraversalID `json:"traversal"`
	Subject   ringfence.SubjectID   `json:"subject"`
	At        time.Time             `json:"at"`
}

// alarms turns each alarm about this release into a hold, once. An alarm that
// names no release is about every open one of its traversal and subject.
func (t *turn) alarms() error {
	if !t.r.State.BeforeRedeemed() {
		return nil
	}
	found, err := t.alarmRows()
	if err != nil {
		return err
	}
	for _, a := range found {
		id := string(a.Challenge)
		if slices.Contains(t.r.Handled, id) {
			continue
		}
		t.r.Handled = append(t.r.Handled, id)
		if a.Kind == alarmDuress {
			t.r.Duress = true
		}
		if err := t.hold(a.Kind, Actor{Flow: "challenge"}, time.Time{}); err != nil {
			return err
		}
	}
	return t.setPace()
}

func (t *turn) alarmRows() ([]alarm, error) {
	var out []alarm
	known := map[ringfence.ChallengeID]bool{}
	for key, value := range map[string]string{"release": string(t.r.ID), "traversal": string(t.r.Traversal)} {
		if value == "" {
			continue
		}
		rows, err := ledger.Rows[alarm](t.ctx, t.tx, kindAlarm, ledger.Query{Key: key, Value: value})
		if err != nil {
			return nil, err
		}
		for _, a := range rows {
			about := a.Release == t.r.ID ||
				a.Release == "" && a.Traversal == t.r.Traversal && (a.Subject == "" || a.Subject == t.r.Subject || a.Subject == t.r.Proves)
			if about && !known[a.Challenge] {
				out, known[a.Challenge] = append(out, a), true
			}
		}
	}
	slices.SortFunc(out, func(a, b alarm) int { return strings.Compare(string(a.Challenge), string(b.Challenge)) })
	return out, nil
}

// held reports a hold that still stops: neither lifted nor over. Duress stops
// no state, only the permit.
func (t *turn) held() bool {
	return slices.ContainsFunc(t.r.Holds, func(h Hold) bool {
		return h.Why != alarmDuress && h.Lifted.IsZero() && (h.Until.IsZero() || t.now.Before(h.Until))
	})
}

var errRead = errors.New("gate: a record cannot be read")
