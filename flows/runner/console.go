package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// The refusals of commands; cmd maps them to those of web.
var (
	ErrNoCall      = errors.New("runner: no such live call")
	ErrBusy        = errors.New("runner: the call is busy with another check")
	ErrUnknownFlow = errors.New("runner: no such console flow")
	ErrWrongCode   = errors.New("runner: no waiting call has this code")
)

// do runs a command on a traversal's goroutine and waits for its answer.
func (r *Runner) do(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID, f func(context.Context, *traversal) error) error {
	t := r.find(tenant, id)
	if t == nil {
		return ErrNoCall
	}
	answer := make(chan error, 1)
	t.post(func() {
		err := f(t.ctx, t)
		t.publish() // before the answer: who asked may look at once
		answer <- err
	})
	select {
	case err := <-answer:
		return err
	case <-t.done:
		return ErrNoCall
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Act names who does something to which call. A supervisor may read and take
// over a call that is somebody else's.
type Act struct {
	Tenant     ringfence.TenantID
	By         ringfence.PersonID
	Traversal  ringfence.TraversalID
	Supervisor bool
}

// owned runs f if the call is the person's own.
func (r *Runner) owned(ctx context.Context, who Act, f func(context.Context, *traversal) error) error {
	return r.do(ctx, who.Tenant, who.Traversal, func(ctx context.Context, t *traversal) error {
		if t.live.Owner != who.By || who.By == "" {
			return ErrNoCall
		}
		return f(ctx, t)
	})
}

// Take makes the person owner of the call whose whispered digits these are.
func (r *Runner) Take(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, code string) (ringfence.TraversalID, error) {
	id, ok := r.codeOf(tenant, code)
	if !ok || code == "" || by == "" {
		return "", ErrWrongCode
	}
	err := r.do(ctx, tenant, id, func(ctx context.Context, t *traversal) error {
		if t.agent == nil || t.agent.code != code || t.live.Owner != "" {
			return ErrWrongCode
		}
		r.dropCode(tenant, code)
		t.agent.code = ""
		t.own(ctx, by)
		return nil
	})
	if errors.Is(err, ErrNoCall) {
		err = ErrWrongCode
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// StepUp starts a console flow on a call, for a release or for none. The
// agent's leg is parked meanwhile.
func (r *Runner) StepUp(ctx context.Context, who Act, flow string, release ringfence.ReleaseID) error {
	return r.owned(ctx, who, func(ctx context.Context, t *traversal) error { return t.stepUp(ctx, who.By, flow, release) })
}

func (t *traversal) stepUp(ctx context.Context, by ringfence.PersonID, flow string, release ringfence.ReleaseID) error {
	if t.session != nil || t.suspended != nil || t.waiting != nil || t.slots[0] == nil || !t.slots[0].up || t.slots[0].closing {
		return ErrBusy
	}
	if !t.bundled() {
		return ErrUnknownFlow
	}
	if known, ok := t.bundle.Flow(flow); !ok || known.Starts != flows.StartsConsole {
		return ErrUnknownFlow
	}
	f := t.facts(flows.StartsConsole)
	f.Subject, f.Record = t.subject.Kind, t.subject.Record
	action := ""
	if d := t.decoyOf(release); d != nil && d.release.State.BeforeRedeemed() {
		action, f.Action, f.Payload = d.release.Type, d.release.Type, d.release.Fields
	} else if release != "" {
		rel, err := t.r.cfg.Gate.Lookup(ctx, t.tenant, release)
		if err != nil || rel.Traversal != t.id || !rel.State.BeforeRedeemed() {
			return ErrNoCall
		}
		t.adopt(rel)
		action, f.Action, f.Payload = rel.Type, rel.Type, rel.Fields
	}
	f.Have = t.proofs(release, action)
	state, effects, err := flows.Start(t.bundle, flow, f)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrUnknownFlow, err)
	}
	t.park()
	t.live.Outcome = ""
	t.sessions++
	t.session = &session{number: t.sessions, state: state, console: true, by: by, release: release, action: action, tape: t.record(flow, f, state, effects)}
	t.live.Flow = flow
	t.note("the agent started "+flow, false)
	t.performAll(ctx, effects)
	t.pending(ctx)
	return nil
}

// performReturn ends a console flow: the caller goes back to the agent who
// asked, else to the queue the call came from.
func (t *traversal) performReturn(ctx context.Context, e flows.Effect) {
	t.live.Outcome = e.Outcome.String()
	t.note("the check ended: "+e.Outcome.String(), e.Outcome != flows.OK)
	s := t.slots[0]
	switch {
	case s == nil || !s.up:
	case e.Flag && e.Outcome != flows.OK:
		s.close()
	default:
		t.putBack(ctx, t.session.by)
	}
}

// putBack puts the caller through to the agent who asked, else to the queue
// the call came from.
func (t *traversal) putBack(ctx context.Context, by ringfence.PersonID) {
	s := t.slots[0]
	if s == nil || !s.up {
		return
	}
	s.setPrivate(false)
	switch {
	case t.agent != nil && t.agent.up:
		t.joinAgent()
	case t.moving != nil:
		t.holdCaller(s)
	case t.cameFrom != "":
		t.connectQueue(ctx, connectWait{queue: t.cameFrom, first: by})
	default:
		s.drop(ringfence.EndHangup)
	}
}

// CancelStepUp ends the console flow that runs and puts the caller back.
func (r *Runner) CancelStepUp(ctx context.Context, who Act) error {
	return r.owned(ctx, who, func(ctx context.Context, t *traversal) error {
		if t.session == nil || !t.session.console {
			return ErrBusy
		}
		by := t.session.by
		t.feed(flows.Input{Kind: flows.InCancel})
		if t.session != nil && t.session.console {
			t.stopSession()
		}
		for i, s := range t.slots[1:] {
			if s != nil {
				s.drop(ringfence.EndHangup)
				t.slots[i+1] = nil
			}
		}
		t.live.Outcome = "cancelled"
		t.note("the agent cancelled the check", true)
		if s := t.slots[0]; s != nil {
			s.stop()
		}
		if t.suspended != nil { // nobody is there to be put back
			t.unsuspend(ctx)
			return nil
		}
		t.putBack(ctx, by)
		return nil
	})
}

// Identify says whom the caller claims to be, by an identifying field: a claim
// by the agent, never a proof. One that names nobody is taken like any other,
// so that nobody can be asked who is a customer (invariant 23).
func (r *Runner) Identify(ctx context.Context, who Act, kind ringfence.SubjectKind, field, value string) error {
	return r.owned(ctx, who, func(ctx context.Context, t *traversal) error {
		if t.session != nil {
			return ErrBusy
		}
		s, known, err := t.r.cfg.Verify.Identify(ctx, t.tenant, kind, field, value)
		if err != nil {
			return err
		}
		t.claim(ctx, s, known, who.By)
		return nil
	})
}

// HangUp ends the call.
func (r *Runner) HangUp(ctx context.Context, who Act) error {
	return r.owned(ctx, who, func(ctx context.Context, t *traversal) error {
		t.dropAgents(ringfence.EndHangup)
		if s := t.slots[0]; s != nil && t.session == nil {
			s.drop(ringfence.EndHangup)
		}
		return nil
	})
}

// Pressure holds what is open on the call and tells risk and supervisors;
// nothing that the agent or the caller can see changes.
func (r *Runner) Pressure(ctx context.Context, who Act) error {
	return r.owned(ctx, who, func(ctx context.Context, t *traversal) error {
		return t.duress(ctx)
	})
}

// Report raises an alert about a call with the words of whoever has it, had it,
// or supervises.
func (r *Runner) Report(ctx context.Context, who Act, text string) error {
	const most = 300
	runes := []rune(text)
	text = "reported by the agent: " + string(runes[:min(len(runes), most)])
	err := r.do(ctx, who.Tenant, who.Traversal, func(ctx context.Context, t *traversal) error {
		if t.live.Owner != who.By && !who.Supervisor || who.By == "" {
			return ErrNoCall
		}
		t.alert(ctx, text)
		return nil
	})
	if errors.Is(err, ErrNoCall) {
		return r.reportPast(ctx, who, text)
	}
	return err
}

// reportPast raises the alert about a call that is over for whoever had it: the
// log says who did.
func (r *Runner) reportPast(ctx context.Context, who Act, text string) error {
	err := r.cfg.Store.Update(ctx, who.Tenant, func(tx ledger.Tx) error {
		had := false
		for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Traversal: who.Traversal}) {
			if err != nil {
				return err
			}
			had = had || e.Event == "traversal.owned" && (e.Person == who.By || who.Supervisor)
		}
		if !had || who.By == "" {
			return ErrNoCall
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Traversal: who.Traversal, Person: who.By, Data: map[string]string{"text": text}})
		return err
	})
	if err == nil && r.cfg.Notify != nil {
		r.cfg.Log.Warn("alert", "traversal", string(who.Traversal), "text", text)
		r.cfg.Notify(Notice{Kind: "alert", Tenant: who.Tenant, Traversal: who.Traversal, Text: text})
	}
	return err
}

// duress leaves an alarm that keeps the gate from minting any permit for what
// is open on this call; only roles risk and supervisor see it (invariant 26).
func (t *traversal) duress(ctx context.Context) error {
	id := ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge)
	return t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		alarm := verify.Alarm{Kind: verify.AlarmDuress, Challenge: id, Subject: t.knownSubject(), Traversal: t.id, At: tx.Now()}
		rec := ledger.Record{Kind: verify.KindAlarm, ID: string(id), Sort: tx.Now().UnixNano(), Keys: map[string]string{"traversal": string(t.id)}}
		if s := t.knownSubject(); s != "" {
			rec.Keys["subject"] = string(s)
		}
		if err := ledger.Write(ctx, tx, &rec, alarm); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Traversal: t.id, Subject: t.knownSubject(), Challenge: id,
			Data: map[string]string{"alarm": string(verify.AlarmDuress)}})
		return err
	})
}
