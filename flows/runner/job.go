package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
)

// Job asks for an outbound call to the person of a release.
type Job struct {
	Tenant  ringfence.TenantID
	Flow    string
	Release ringfence.ReleaseID
	To      ringfence.ContactType // empty = any telephone on file
	Line    Line                  // language and zone of the call
	// Client asked; Channel says how and when the person logged in there. Both
	// stand in the record of the call.
	Client, Channel string
}

// Placed is a job that was taken on. Code is the carry code, told once, to the
// channel on which the customer is logged in.
type Placed struct {
	Traversal ringfence.TraversalID
	Reference string
	Code      ringfence.Secret
}

// ErrNoJob refuses a job that names no job flow; ErrNotWaiting one whose
// release waits for no proof, or whose person cannot be rung now.
var (
	ErrNoJob      = errors.New("runner: no such job flow")
	ErrNotWaiting = errors.New("runner: the release waits for no call")
)

// Start takes a job on: the challenge is durable and the call will be placed.
func (r *Runner) Start(ctx context.Context, j Job) (Placed, error) {
	rel, err := r.cfg.Gate.Lookup(ctx, j.Tenant, j.Release)
	if err != nil {
		return Placed{}, err
	}
	bundle := r.cfg.Bundles.Current(j.Tenant)
	if bundle == nil || rel.State != gate.StatePendingEvidence {
		return Placed{}, ErrNotWaiting
	}
	if f, ok := bundle.Flow(j.Flow); !ok || f.Starts != flows.StartsJob {
		return Placed{}, ErrNoJob
	}
	var subject ringfence.Subject
	if err := r.cfg.Store.View(ctx, j.Tenant, func(tx ledger.Tx) (err error) {
		subject, _, err = ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(rel.Proves))
		return err
	}); err != nil {
		return Placed{}, fmt.Errorf("subject of the release: %w", err)
	}
	j.Line.Tenant = j.Tenant
	if j.Line.Name == "" {
		j.Line.Name = j.Flow
	}
	t := r.begin(j.Line)
	if t == nil {
		return Placed{}, ErrDraining
	}
	t.bundle, t.subject, t.known = bundle, subject, true
	t.live.Direction, t.live.Subject, t.live.SubjectKind, t.live.Claim = ringfence.Outbound, subject.ID, subject.Kind, claimSays(subject)
	rel, err = r.cfg.Gate.Attach(ctx, j.Tenant, rel.ID, t.id, gate.Actor{Client: j.Client})
	if err != nil {
		r.publish(ringfence.LiveCall{Tenant: t.tenant, Traversal: t.id, State: "ended"})
		return Placed{}, fmt.Errorf("%w: %v", ErrNotWaiting, err)
	}
	placed, err := t.prepareJob(ctx, j, rel)
	if err != nil {
		t.abandon()
		return Placed{}, err
	}
	return placed, nil
}

// prepareJob makes the challenge, stores the job and sets the traversal going.
func (t *traversal) prepareJob(ctx context.Context, j Job, rel gate.Release) (Placed, error) {
	out := Placed{Traversal: t.id, Reference: t.live.Reference}
	q := verify.Request{Traversal: t.id, Subject: t.subject.ID, Method: ringfence.FactCallback, Release: rel.ID, Digest: rel.Digest,
		Says: rel.Says, Fields: t.fieldsOf(rel), To: j.To, Life: callback.HungUpLife, Language: t.language()}
	made, err := t.r.cfg.Verify.Create(ctx, t.tenant, q)
	if err != nil {
		return out, err
	}
	if made.State.Final() {
		return out, fmt.Errorf("%w: the call cannot be placed (%s)", ErrNotWaiting, made.Why)
	}
	c := &challenge{id: made.ID, kind: flows.EffCallback, fact: ringfence.FactCallback, action: rel.Type, release: rel.ID, decoy: made.Decoy}
	t.suspended = &suspension{challenge: c, job: &jobStart{flow: j.Flow, release: rel}}
	issued, err := t.r.cfg.Verify.Issue(ctx, t.tenant, made.ID)
	if err == nil {
		err = t.storeJob(ctx)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, failed := t.r.cfg.Verify.Cancel(ctx, t.tenant, made.ID, "job")
		return out, errors.Join(err, failed)
	}
	var code strings.Builder
	for _, p := range issued.Tell {
		if p.Secret {
			code.WriteString(p.Text)
		}
	}
	out.Code = ringfence.Secret(code.String())
	t.start(ctx, func(ctx context.Context) {
		t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.began", Traversal: t.id, Subject: t.subject.ID, Release: rel.ID,
			Client: j.Client, Data: map[string]string{"job": j.Flow, "reference": t.live.Reference, "channel": j.Channel}})
		t.adopt(rel)
		t.live.State = "suspended"
		t.watchChallenge(ctx, c)
		t.attempt(ctx)
	})
	return out, nil
}

// jobStart is the flow that begins when the person answers.
type jobStart struct {
	flow    string
	release gate.Release
}

// beginJob starts a job's flow: on the leg that was answered, or without one,
// to say that nobody was reached.
func (t *traversal) beginJob(ctx context.Context, j *jobStart) {
	f := t.facts(flows.StartsJob)
	f.Subject, f.Record, f.Action, f.Payload = t.subject.Kind, t.subject.Record, j.release.Type, j.release.Fields
	if !t.startFlow(ctx, j.flow, f, j.release.ID) {
		if s := t.slots[0]; s != nil {
			s.drop(ringfence.EndFailed)
		}
	}
}

// Resume takes up the suspended traversals that an earlier process left:
// their calls are still owed.
func (r *Runner) Resume(ctx context.Context, tenant ringfence.TenantID, line func(name string) (Line, bool)) error {
	var jobs []storedJob
	err := r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		var err error
		jobs, err = ledger.Rows[storedJob](ctx, tx, kindJob, ledger.Query{})
		return err
	})
	if err != nil {
		return fmt.Errorf("suspended traversals: %w", err)
	}
	for _, job := range jobs {
		l, ok := line(job.Line)
		if !ok {
			l = Line{Name: job.Line, Language: job.Language}
		}
		l.Tenant = tenant
		r.resume(ctx, job, l)
	}
	return nil
}

func (r *Runner) resume(ctx context.Context, job storedJob, line Line) {
	t := r.beginAs(line, job.Traversal)
	if t == nil {
		return // stopping, or live already
	}
	t.stored = true
	t.live.Reference, t.live.State, t.live.Owner = job.Reference, "suspended", job.Owner
	t.start(ctx, func(ctx context.Context) {
		if err := t.restore(ctx, job); err != nil {
			r.cfg.Log.Error("suspended traversal not restored", "traversal", string(t.id), "err", err)
			t.dropJob(ctx)
			t.suspended, t.session = nil, nil // nothing is left of it
			return
		}
		t.note("taken up again after a restart", false)
		t.schedule()
	})
}

// restore rebuilds what a suspended traversal needs to ring and go on.
func (t *traversal) restore(ctx context.Context, job storedJob) error {
	if t.bundle = t.r.cfg.Bundles.ByHash(t.tenant, job.Bundle); t.bundle == nil {
		return errors.New("its bundle is not here any more")
	}
	if err := t.r.cfg.Store.View(ctx, t.tenant, func(tx ledger.Tx) (err error) {
		t.subject, _, err = ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(job.Subject))
		return err
	}); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	t.known, t.sessions, t.cameFrom = true, job.Session, job.Queue
	t.live.Subject, t.live.SubjectKind, t.live.Claim = t.subject.ID, t.subject.Kind, claimSays(t.subject)
	c := &challenge{id: job.Challenge, kind: flows.EffCallback, fact: ringfence.FactCallback, action: job.Action, release: job.Release, key: refKey{job.Session, job.Ref}}
	s := &suspension{challenge: c, ref: job.Ref, attempt: job.Attempt}
	if job.Flow != "" {
		t.live.Direction = ringfence.Outbound
		rel, err := t.r.cfg.Gate.Lookup(ctx, t.tenant, job.Release)
		if err != nil {
			return fmt.Errorf("release: %w", err)
		}
		s.job = &jobStart{flow: job.Flow, release: rel}
	} else {
		t.live.Direction = ringfence.Inbound
		state, err := flows.Resume(t.bundle, job.State)
		if err != nil {
			return err
		}
		t.session = &session{number: job.Session, state: state, console: job.Console, by: job.By, release: job.Release, action: job.Action}
		t.restoreTape(ctx)
		t.live.Flow = state.Here().Flow
	}
	t.suspended = s
	t.challenges[c.key] = c
	t.watchChallenge(ctx, c)
	rels, err := t.r.cfg.Gate.All(ctx, t.tenant, gate.Filter{Traversal: t.id})
	if err != nil {
		return err
	}
	for _, rel := range rels {
		if rel.State.BeforeRedeemed() {
			t.adopt(rel)
		}
	}
	return nil
}

// attempt rings now.
func (t *traversal) attempt(ctx context.Context) {
	s := t.suspended
	s.attempt++
	if err := t.storeJob(ctx); err != nil {
		t.r.cfg.Log.Error("attempt not stored", "traversal", string(t.id), "err", err)
		t.gaveUp(ctx)
		return
	}
	number := 0
	if t.session != nil {
		number = t.session.number
	}
	t.dial(ctx, s.challenge, t.slotOf(0), dialing{session: number, ref: s.ref})
}

// kindReference remembers the references of calls that we placed, for the
// mutual check; keys: reference, and keypad, the reference as a telephone keys it.
const kindReference ledger.Kind = "call_reference"

// referenceLife is how long a reference can be checked.
const referenceLife = 30 * 24 * time.Hour

// storedReference is a call that we placed.
type storedReference struct {
	Reference string                `json:"reference"`
	Traversal ringfence.TraversalID `json:"traversal"`
	At        time.Time             `json:"at"`
	Tail      string                `json:"tail,omitempty"`   // last four digits of the number that was rung
	Action    string                `json:"action,omitempty"` // what it was about; empty = no action
	Ended     time.Time             `json:"ended,omitzero"`
}

// keys are those by which the call is found again.
func (s storedReference) keys() map[string]string {
	return map[string]string{"reference": s.Reference, "keypad": ringfence.Keypad(s.Reference)}
}

// confirmLife is how long after its end a call is confirmed to whoever was rung.
const confirmLife = 15 * time.Minute

// tailOf is the last four digits of a number.
func tailOf(number string) string {
	if len(number) < 4 {
		return ""
	}
	return number[len(number)-4:]
}

// endReference ends the time in which a placed call is confirmed.
func (t *traversal) endReference(ctx context.Context) {
	if t.first != nil && !t.placed {
		return // it began here and rang nobody
	}
	err := t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		row, version, err := ledger.Read[storedReference](ctx, tx, kindReference, string(t.id))
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		row.Ended = tx.Now()
		rec := ledger.Record{Kind: kindReference, ID: string(t.id), Version: version, Sort: row.At.UnixNano(), Keys: row.keys()}
		return ledger.Write(ctx, tx, &rec, row)
	})
	if err != nil {
		t.r.cfg.Log.Error("end of a placed call not kept", "traversal", string(t.id), "err", err)
	}
}

// keepReference makes a placed call checkable by its reference.
func (t *traversal) keepReference(ctx context.Context, number, action string) {
	t.placed = true
	err := t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		row := storedReference{Reference: t.live.Reference, Traversal: t.id, At: tx.Now(), Tail: tailOf(number), Action: action}
		rec := ledger.Record{Kind: kindReference, ID: string(t.id), Sort: row.At.UnixNano(), Keys: row.keys()}
		if old, err := tx.Get(ctx, kindReference, rec.ID); err == nil {
			rec.Version = old.Version
		} else if !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		return ledger.Write(ctx, tx, &rec, row)
	})
	if err != nil {
		t.r.cfg.Log.Error("call reference not kept", "traversal", string(t.id), "err", err)
	}
}

// PlacedBy reports whether the reference is that of a call WE placed within 30
// days, and when. Calls to us are never confirmed.
func (r *Runner) PlacedBy(ctx context.Context, tenant ringfence.TenantID, reference string) (at time.Time, ours bool, err error) {
	err = r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		recs, err := tx.List(ctx, kindReference, ledger.Query{Key: "reference", Value: reference, Desc: true, Limit: 1,
			From: tx.Now().Add(-referenceLife).UnixNano()})
		if err != nil || len(recs) == 0 {
			return err
		}
		row, _, err := ledger.Read[storedReference](ctx, tx, kindReference, recs[0].ID)
		at, ours = row.At, err == nil
		return err
	})
	return at, ours, err
}
