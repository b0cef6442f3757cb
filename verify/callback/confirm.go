package callback

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// No is the key of "no" in every read-back; the yes-key is drawn from 3 to 9
// and spoken at the end, so that nobody can say yes by habit or by recording.
const No = '2'

// Confirm is the read-back of an action, whole. After a call-back satisfied on
// the same leg for the same action its Evidence says presented (invariant 31);
// anywhere else it is a plain read-back and never that approval.
type Confirm struct {
	pepper ringfence.Secret
}

// NewConfirm returns the method; the pepper is verify's.
func NewConfirm(pepper ringfence.Secret) (*Confirm, error) {
	if len(pepper) < 32 {
		return nil, errors.New("callback: the pepper needs 32 bytes or more")
	}
	return &Confirm{pepper: pepper}, nil
}

// Spec implements verify.Method. Its yes-key is told with the question, so
// wrong keys bound the chain but do not count against the subject.
func (m *Confirm) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactConfirmed, Life: 3 * time.Minute, MaxLife: HungUpLife, Uncounted: true}
}

type yes struct {
	Key   []byte `json:"key"`
	Reach bool   `json:"reach"` // a call-back was satisfied on this leg for this action
}

// Prepare implements verify.Issuer: Tell is the yes-key, to be spoken last.
func (m *Confirm) Prepare(d *verify.Draft) (verify.Issue, error) {
	reach, err := d.Proved(ringfence.FactCallback)
	if err != nil {
		return verify.Issue{}, err
	}
	if d.Digest.Zero() || len(d.Fields) == 0 || d.Leg == "" {
		reach = false // nothing was read that could have been presented
	}
	key := verify.Digits(1)
	for key[0] < '3' {
		key = verify.Digits(1)
	}
	private, err := json.Marshal(yes{Key: verify.CodeMAC(m.pepper, "confirm", d.ID, key), Reach: reach})
	if err != nil {
		return verify.Issue{}, err
	}
	d.Private = private
	d.Presented(reach)
	return verify.Issue{Tell: spoken(key)}, nil
}

// Check implements verify.Method.
func (m *Confirm) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	var p yes
	if err := json.Unmarshal(a.Private, &p); err != nil {
		return verify.Verdict{}, errors.New("callback: the read-back was not issued")
	}
	return verify.Verdict{OK: len(a.Answer.Value) == 1 && verify.MatchCode(m.pepper, "confirm", a.Challenge.ID, a.Answer.Value, p.Key)}, nil
}

// Confirm judges one key after the read-back was played to its end and
// presented with Verifier.Present. No, or a star, is a reject on a leg where a
// call-back was satisfied; elsewhere it only ends the question, as refused.
func (k *Desk) Confirm(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, leg ringfence.LegID, key byte) (verify.Result, error) {
	if key != No && key != Star {
		return k.v.Submit(ctx, tenant, id, verify.Answer{Leg: leg, Value: ringfence.Secret{key}})
	}
	reach, mine := false, false
	_, res, err := k.v.Change(ctx, tenant, id, func(d *verify.Draft) error {
		var p yes
		if err := json.Unmarshal(d.Private, &p); err != nil {
			return errors.New("callback: the read-back was not issued")
		}
		reach, mine = p.Reach, d.Leg == "" || d.Leg == leg
		return nil
	})
	switch {
	case err != nil:
		return verify.Result{}, err
	case res.Outcome != verify.OutcomeOpen:
		return res, nil
	case !mine:
		res.Outcome = verify.OutcomeClosed
		return res, nil
	case reach:
		return k.v.Reject(ctx, tenant, id)
	}
	res, err = k.v.Cancel(ctx, tenant, id, "no")
	res.Outcome = verify.OutcomeRejected
	return res, err
}
