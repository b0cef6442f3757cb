package runner

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/verify"
)

// releaseOf returns the open release of an action on this traversal: the one a
// console or job flow was started with, else the one its flow opened.
func (t *traversal) releaseOf(action string) (releaseRef, bool) {
	if t.session != nil && t.session.release != "" && t.session.action == action {
		for _, r := range t.releases {
			if r.id == t.session.release {
				return r, true
			}
		}
	}
	for i := len(t.releases) - 1; i >= 0; i-- {
		if t.releases[i].action == action {
			return t.releases[i], true
		}
	}
	return releaseRef{}, false
}

// performOpen opens the release of an action with the payload that the flow
// gathered.
func (t *traversal) performOpen(ctx context.Context, e flows.Effect) {
	fields := map[string]string{}
	for name, value := range e.Payload {
		if value == flows.SecretValue {
			value = string(t.secrets[e.Action+"."+name])
		}
		fields[name] = value
	}
	q := gate.OpenRequest{Type: e.Action, Subject: t.subject.ID, Fields: fields, Traversal: t.id,
		By: gate.Actor{Flow: e.At.Flow}, AskedBy: gate.AskedPhone, Bundle: t.bundle.Hash()}
	var rel gate.Release
	var err error
	if t.known {
		rel, _, err = t.r.cfg.Gate.Open(ctx, t.tenant, q)
	} else if _, err = t.openDecoy(ctx, q); err == nil {
		return
	}
	if err != nil {
		t.r.cfg.Log.Info("action not opened", "traversal", string(t.id), "action", e.Action, "err", err)
		t.note("the action "+e.Action+" could not be opened", true)
		return
	}
	t.adopt(rel)
}

// bundled reports whether there is a bundle; a call that fell back to its open
// queue takes up the current one when it needs it.
func (t *traversal) bundled() bool {
	if t.bundle == nil {
		t.bundle = t.r.cfg.Bundles.Current(t.tenant)
	}
	return t.bundle != nil
}

// adopt takes a release into this traversal: opened by its flow, or for it in
// the console or over the API.
func (t *traversal) adopt(rel gate.Release) {
	if !t.bundled() || slices.ContainsFunc(t.releases, func(known releaseRef) bool { return known.id == rel.ID }) {
		return
	}
	t.releases = append(t.releases, releaseRef{action: rel.Type, id: rel.ID, digest: rel.Digest, says: rel.Says, fields: t.fieldsOf(rel)})
	t.note(rel.Says+" was asked for", false)
	t.showRelease(t.ctx, rel.ID)
}

// fieldsOf lists a release's fields as they are shown and spoken, in the
// policy's order.
func (t *traversal) fieldsOf(rel gate.Release) []verify.Field {
	a, ok := t.bundle.Policy().Action(rel.Type)
	if !ok {
		return nil
	}
	out := make([]verify.Field, 0, len(a.Carries))
	for _, f := range a.Carries {
		out = append(out, verify.Field{Name: f.Name, As: flows.SayAs(f.Type), Value: rel.Fields[f.Name]})
		if f.Type.Secret {
			out[len(out)-1].Value = flows.SecretValue
		}
	}
	return out
}

// liveRelease is a release as the console may see it: a secret field is never
// shown.
func (t *traversal) liveRelease(rel gate.Release) ringfence.LiveRelease {
	v := ringfence.LiveRelease{ID: rel.ID, Type: rel.Type, Says: rel.Says, Class: rel.Class, State: string(rel.State),
		Fields: map[string]string{}, Digest: rel.Digest, Why: rel.Why, Missing: rel.Missing, Until: rel.HoldUntil, Flags: rel.Flags}
	a, known := t.bundle.Policy().Action(rel.Type)
	for name, value := range rel.Fields {
		v.Fields[name] = flows.SecretValue
		if known {
			if f, ok := a.Field(name); ok && !f.Secret {
				v.Fields[name] = value
			}
		}
	}
	return v
}

func (t *traversal) actionSays(action string) (string, []verify.Field) {
	if rel, ok := t.releaseOf(action); ok {
		return rel.says, rel.fields
	}
	return "", nil
}

// watchReleases shows every durable change of the traversal's releases to the
// console, those included that are opened there or over the API.
func (t *traversal) watchReleases(ctx context.Context) {
	var due atomic.Bool // showReleases is posted, or about to be
	stop := t.r.cfg.Gate.WatchTraversal(t.id, func() {
		if !due.CompareAndSwap(false, true) {
			return
		}
		go t.post(func() { // ends with the traversal, if it is full of work
			due.Store(false)
			t.showReleases(ctx)
		})
	})
	t.unwatch = stop
}

func (t *traversal) showReleases(ctx context.Context) {
	rels, err := t.r.cfg.Gate.All(ctx, t.tenant, gate.Filter{Traversal: t.id})
	if err != nil {
		return
	}
	for _, rel := range rels {
		if rel.State.BeforeRedeemed() {
			t.adopt(rel)
		}
		t.showRelease(ctx, rel.ID)
	}
}

// showRelease refreshes one release in the view.
func (t *traversal) showRelease(ctx context.Context, id ringfence.ReleaseID) {
	if !t.bundled() {
		return
	}
	rel, verdict, err := t.r.cfg.Gate.Evaluate(ctx, t.tenant, id)
	if err != nil {
		return
	}
	v := t.liveVerdict(rel, verdict)
	for i := range t.live.Releases {
		if t.live.Releases[i].ID == id {
			if t.live.Releases[i].State != v.State {
				t.note(rel.Says+": "+stateSays(rel.State), rel.State == gate.StateHeld || rel.State == gate.StateDenied)
			}
			t.live.Releases[i] = v
			return
		}
	}
	t.live.Releases = append(t.live.Releases, v)
}

// liveVerdict is liveRelease with what was judged.
func (t *traversal) liveVerdict(rel gate.Release, verdict gate.Verdict) ringfence.LiveRelease {
	v := t.liveRelease(rel)
	v.Decision = verdict.Decision.String()
	for _, r := range verdict.Risks {
		if r.Odd() {
			v.Risks = append(v.Risks, r.Says)
		}
	}
	if rel.State == gate.StatePendingEvidence || rel.State == gate.StatePendingApproval {
		v.Why, v.Missing = verdict.Next, verdict.Missing
	}
	return v
}

func (t *traversal) cancelRelease(ctx context.Context, action string) {
	kept := t.releases[:0:0]
	for _, r := range t.releases {
		if r.action == action {
			t.cancelReleaseRef(ctx, r)
			continue
		}
		kept = append(kept, r)
	}
	t.releases = kept
}

// cancelReleaseRef cancels a release and voids what was asked and proved for
// it.
func (t *traversal) cancelReleaseRef(ctx context.Context, r releaseRef) {
	id := r.id
	t.have = slices.DeleteFunc(t.have, func(p proof) bool { return p.release == id })
	t.live.Evidence = slices.DeleteFunc(t.live.Evidence, func(ev ringfence.LiveEvidence) bool { return ev.Release == id })
	if r.decoy != nil {
		t.live.Releases = slices.DeleteFunc(t.live.Releases, func(v ringfence.LiveRelease) bool { return v.ID == id })
	} else if _, err := t.r.cfg.Gate.Cancel(ctx, t.tenant, id, gate.Actor{Flow: t.flowName()}, "a field or the person changed"); err != nil {
		t.r.cfg.Log.Info("release not cancelled", "release", string(id), "err", err)
	}
	if err := t.r.cfg.Verify.CancelRelease(ctx, t.tenant, id); err != nil {
		t.r.cfg.Log.Error("challenges of a cancelled release left open", "release", string(id), "err", err)
	}
}

// performApprove asks the colleagues of the policy's group and waits.
func (t *traversal) performApprove(ctx context.Context, e flows.Effect) {
	rel, ok := t.releaseOf(e.Action)
	if !ok {
		t.answer(e, flows.Down)
		return
	}
	if _, _, err := t.r.cfg.Gate.AskApproval(ctx, t.tenant, rel.id, gate.Actor{Flow: e.At.Flow}); err != nil {
		t.r.cfg.Log.Info("approval not asked", "release", string(rel.id), "err", err)
		t.answer(e, flows.Down)
		return
	}
	t.notify(Notice{Kind: "approval", Release: rel.id, Group: e.Group, Text: rel.says})
	t.await(ctx, e, rel.id, e.Life, approvalOutcome)
}

// approvalOutcome reads what became of the question to colleagues.
func approvalOutcome(rel gate.Release, v gate.Verdict) flows.Outcome {
	switch {
	case rel.State == gate.StateHeld || rel.State == gate.StateDenied || rel.State == gate.StateCancelled || rel.State == gate.StateInvalidated:
		return flows.Refused
	case rel.State == gate.StatePendingApproval && !approvedAlready(v):
		return flows.NoOutcome
	case rel.State == gate.StateExpired:
		return flows.Silent
	case rel.State == gate.StatePendingEvidence:
		return flows.Down
	default:
		return flows.OK
	}
}

func approvedAlready(v gate.Verdict) bool {
	if v.Decision == gate.Allow {
		return true
	}
	for _, f := range v.Missing {
		if f == ringfence.FactApproved {
			return false
		}
	}
	return len(v.Missing) == 0 && v.Decision != gate.Refuse
}

// performRelease asks the gate and waits until the executor reported, or the
// release waits for something that is not this call.
func (t *traversal) performRelease(ctx context.Context, e flows.Effect) {
	rel, ok := t.releaseOf(e.Action)
	if !ok {
		t.answer(e, flows.Denied)
		return
	}
	if rel.decoy != nil {
		t.note(rel.says+": "+rel.decoy.verdict.Next, true)
		t.answer(e, flows.Denied)
		return
	}
	_, verdict, err := t.r.cfg.Gate.Release(ctx, t.tenant, rel.id, gate.Actor{Flow: e.At.Flow})
	if err != nil {
		t.r.cfg.Log.Info("release not asked", "release", string(rel.id), "err", err)
		t.answer(e, flows.Down)
		return
	}
	t.note(rel.says+": "+verdict.Next, verdict.Decision != gate.Allow)
	t.await(ctx, e, rel.id, e.Life, releaseOutcome)
}

// releaseOutcome reads what became of a release that was asked for.
func releaseOutcome(rel gate.Release, _ gate.Verdict) flows.Outcome {
	switch rel.State {
	case gate.StateExecuted:
		return flows.OK
	case gate.StateReady, gate.StatePermitted, gate.StateRedeemed:
		return flows.NoOutcome
	case gate.StateCooling, gate.StatePendingApproval, gate.StateExecUnknown, gate.StateReconciled:
		return flows.Later
	default:
		return flows.Denied
	}
}

// await watches a release until judge gives an outcome, at most for life;
// then release waits are later and approvals silent.
func (t *traversal) await(ctx context.Context, e flows.Effect, id ringfence.ReleaseID, life time.Duration, judge func(gate.Release, gate.Verdict) flows.Outcome) {
	number, ref, kind := t.session.number, e.Ref, e.Kind
	key := refKey{number, ref}
	finished := false
	finish := func(o flows.Outcome) {
		if finished {
			return
		}
		finished = true
		t.stopWatching(key)
		t.feedTo(number, flows.Input{Kind: flows.InOutcome, Ref: ref, Outcome: o})
	}
	look := func() {
		rel, verdict, err := t.r.cfg.Gate.Evaluate(ctx, t.tenant, id)
		if err != nil {
			return
		}
		if o := judge(rel, verdict); o != flows.NoOutcome {
			finish(o)
		}
	}
	changed, stop := t.r.cfg.Gate.Watch(id)
	over := make(chan struct{})
	forget := func() {}
	if life > 0 {
		forget = t.after(life, func() {
			if kind == flows.EffRelease {
				finish(flows.Later)
				return
			}
			finish(flows.Silent)
			t.withdrawAsk(id)
		})
	}
	if t.watching == nil {
		t.watching = map[refKey]func(){}
	}
	t.watching[key] = func() { finished = true; forget(); close(over) }
	t.helper.Go(func() {
		defer stop()
		for {
			select {
			case <-changed:
				t.post(look)
			case <-over:
				return
			case <-t.done:
				return
			}
		}
	})
	look()
}

// withdrawAsk takes a question to colleagues back that nobody waits for.
func (t *traversal) withdrawAsk(id ringfence.ReleaseID) {
	if _, err := t.r.cfg.Gate.WithdrawAsk(t.ctx, t.tenant, id, gate.Actor{Flow: t.flowName()}); err != nil {
		t.r.cfg.Log.Info("approval still asked", "release", string(id), "err", err)
	}
}

func (t *traversal) stopWatching(key refKey) {
	if f := t.watching[key]; f != nil {
		delete(t.watching, key)
		f()
	}
}

func (t *traversal) lockSubject(ctx context.Context) {
	if err := t.r.cfg.Gate.Lock(ctx, t.tenant, t.subject.ID, gate.Actor{Flow: t.flowName()}); err != nil {
		t.r.cfg.Log.Error("subject not locked", "traversal", string(t.id), "err", err)
	}
}

// maySpeak asks the policy's speak guard with what was proved on this leg.
func (t *traversal) maySpeak(_ context.Context, field string, at flows.LegSlot) bool {
	return t.bundle.Policy().MaySpeak(field, t.factSet(at))
}

// flowName is who acts when the flow does.
func (t *traversal) flowName() string {
	if t.live.Flow != "" {
		return t.live.Flow
	}
	return t.line.Flow
}
