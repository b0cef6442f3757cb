package runner

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
)

// decoy is a release of a person who is not on file, as the gate would have
// opened it.
type decoy struct {
	release gate.Release
	verdict gate.Verdict
	key     gate.Key
}

// openDecoy makes up a release of a person who is not on file, so that flow and
// console go on as they would for one who is (invariant 23). The gate does not
// know it, and every challenge for it is a decoy.
func (t *traversal) openDecoy(ctx context.Context, q gate.OpenRequest) (*decoy, error) {
	var before []gate.Release
	for _, r := range t.releases {
		if r.decoy != nil {
			before = append(before, r.decoy.release)
		}
	}
	rel, verdict, err := t.r.cfg.Gate.Pretend(ctx, t.tenant, q, before...)
	if err != nil {
		return nil, err
	}
	d := &decoy{rel, verdict, q.Key}
	if !t.bundled() {
		return d, nil
	}
	t.releases = append(t.releases, releaseRef{action: rel.Type, id: rel.ID, digest: rel.Digest, says: rel.Says, fields: t.fieldsOf(rel), decoy: d})
	t.note(rel.Says+" was asked for", false)
	t.live.Releases = append(t.live.Releases, t.liveVerdict(rel, verdict))
	return d, nil
}

// decoyOf finds a release that was made up for this traversal.
func (t *traversal) decoyOf(id ringfence.ReleaseID) *decoy {
	for _, r := range t.releases {
		if r.id == id {
			return r.decoy
		}
	}
	return nil
}

// Pretend opens an action about the person of a call who is not on file: to
// whoever asks it looks like one of somebody who has proved nothing. It returns
// ErrNoCall when the call is not about them any more.
func (r *Runner) Pretend(ctx context.Context, who Act, q gate.OpenRequest) (rel gate.Release, v gate.Verdict, err error) {
	err = r.owned(ctx, who, func(ctx context.Context, t *traversal) error {
		if t.known || t.subject.ID != q.Subject || q.Subject == "" {
			return ErrNoCall
		}
		for _, one := range t.releases {
			if one.decoy == nil || q.Key.Zero() || one.decoy.key.Value != q.Key.Value || one.decoy.key.Client != q.Key.Client {
				continue
			}
			if one.decoy.key.Body != q.Key.Body {
				return gate.ErrConflict
			}
			rel, v = one.decoy.release, one.decoy.verdict
			return nil
		}
		d, err := t.openDecoy(ctx, q)
		if err == nil {
			rel, v = d.release, d.verdict
		}
		return err
	})
	return rel, v, err
}

// Pretended is such an action by its id, after it was moved on: cancelled or
// held, and "" leaves it as it is. It returns gate.ErrNotFound for any other.
func (r *Runner) Pretended(ctx context.Context, who Act, id ringfence.ReleaseID, to gate.State) (rel gate.Release, v gate.Verdict, err error) {
	err = r.owned(ctx, who, func(_ context.Context, t *traversal) error {
		d := t.decoyOf(id)
		if d == nil {
			return gate.ErrNotFound
		}
		if to != "" && to != d.release.State {
			if d.release.State.Final() {
				return gate.ErrConflict
			}
			t.moveDecoy(d, to)
		}
		rel, v = d.release, d.verdict
		return nil
	})
	return rel, v, err
}

func (t *traversal) moveDecoy(d *decoy, to gate.State) {
	d.release.State = to
	d.verdict = gate.Verdict{Class: d.verdict.Class, Approvals: d.verdict.Approvals, Next: d.release.Why}
	t.note(d.release.Says+": "+stateSays(to), to == gate.StateHeld)
	for i := range t.live.Releases {
		if t.live.Releases[i].ID == d.release.ID {
			t.live.Releases[i] = t.liveVerdict(d.release, d.verdict)
		}
	}
}
