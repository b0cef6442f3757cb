package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/policy"
)

// agentStage is a coached agent who does whatever the caller says.
func agentStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	r := call.release
	tell("agent-releases", w.releasesEach(ctx, call, call.main))
	tell("agent-fetches-permit", denied(call.agent.Permit(ctx, r.ID), "the agent was given a permit"))
	tell("agent-approves-own", denied(call.agent.Agree(ctx, lab.Approval{Release: r.ID, Digest: r.Digest}), "the agent approved their own action"))
	path := "/v1/traversals/" + string(call.live.Traversal) + "/step-ups"
	to := map[string]any{"flow": "step-up-call-back", "release": r.ID, "to": "+" + w.people.mallory.Number}
	tell("agent-chooses-number", denied(call.agent.Ask(ctx, "POST", path, to, nil), "the number to be rung was taken from the request"))
	tell("executor-without-release", w.pulls(ctx, r.ID))
	_, err := call.agent.Release(ctx, r.ID, forgedDigest(r.Digest))
	tell("digest-swapped", denied(err, "an action was released under a digest that is not its own"))
	tell("agent-other-call", w.foreign(ctx, call, call.main))
	tell("payee-claimed", w.claims(ctx, call))
	tell("other-tenant", w.strangers(ctx, r.ID))
	return nil
}

// forgedDigest is another digest than d.
func forgedDigest(d ringfence.Digest) ringfence.Digest {
	d[0] ^= 0xff
	return d
}

// releasesEach tries every action about the victim's kind without a proof.
func (w *drillWorld) releasesEach(ctx context.Context, call *drillCall, main *policy.Action) verdict {
	all := []verdict{}
	for i, a := range w.bundle.Policy().Actions() {
		if a.About != main.About || gate.Performs(a) {
			continue
		}
		r, err := call.agent.Open(ctx, lab.Action{Type: a.Name, Fields: w.fields(a, 20+i), Traversal: call.live.Traversal, AskedBy: "phone"})
		if err == nil {
			_, err = call.agent.Release(ctx, r.ID, r.Digest)
		}
		v := denied(err, a.Name+" was released without a proof")
		v.says = a.Name + ": " + v.says
		all = append(all, v)
	}
	return worst(all...)
}

// pulls has the executor ask for a permit of what nobody released.
func (w *drillWorld) pulls(ctx context.Context, id ringfence.ReleaseID) verdict {
	_, err := w.bank.Pull(ctx, id)
	return denied(err, "the executor was given a permit")
}

// foreign has somebody act on the call who does not own it.
func (w *drillWorld) foreign(ctx context.Context, call *drillCall, main *policy.Action) verdict {
	other, err := w.outsider(ctx)
	if err != nil {
		return broken(err)
	}
	_, opened := other.Open(ctx, lab.Action{Type: main.Name, Fields: w.fields(main, 2), Traversal: call.live.Traversal, AskedBy: "phone"})
	return worst(denied(opened, "an agent opened an action on somebody else's call"),
		denied(other.HangUp(ctx, call.live.Traversal), "an agent ended somebody else's call"))
}

// outsider is an agent without any call.
func (w *drillWorld) outsider(ctx context.Context) (*colleague, error) {
	return w.hire(ctx, "Agent Z", "agent-z@drill.example", "outsider", []ringfence.Role{ringfence.RoleAgent})
}

// stepUp starts a console flow for a release.
func (c *drillCall) stepUp(ctx context.Context, flow string) error {
	if err := c.agent.StepUp(ctx, c.live.Traversal, flow, c.release.ID); err != nil {
		return fmt.Errorf("the agent starts %s: %w", flow, err)
	}
	return nil
}

// back waits until the console flow is over and the caller is with the agent.
func (c *drillCall) back(ctx context.Context) error {
	_, err := c.agent.WaitCall(ctx, func(l ringfence.LiveCall) bool {
		return l.Traversal == c.live.Traversal && l.State == "talking"
	})
	return err
}

// unproved judges that nothing of the facts stands as proved for the victim,
// and that the release is refused.
func (w *drillWorld) unproved(ctx context.Context, c *drillCall, facts ...ringfence.Fact) verdict {
	have, err := w.proofsOf(ctx, c.victim.subject, facts...)
	if err != nil {
		return broken(err)
	}
	if len(have) > 0 {
		return through("%v stands as proved", have)
	}
	_, err = c.agent.Release(ctx, c.release.ID, c.release.Digest)
	return denied(err, "the action was released")
}

// linkStage sends the victim a link that the victim did not ask for.
func linkStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	code, page, err := w.sentLink(ctx, call)
	if err != nil {
		return err
	}
	tell("link-scanned", w.unproved(ctx, call, ringfence.FactPasskey))
	v := stopped("three wrong codes close the link, for the right one too")
	for range 3 {
		shown, err := page.Unlock(ctx, otherCode(code))
		if _, refused := problemIn(err); err != nil && !refused {
			return err
		}
		if err == nil && shown.Outcome == "open" {
			v = through("a wrong code opened the page")
		}
	}
	if shown, err := page.Unlock(ctx, code); err == nil && shown.Outcome == "open" {
		v = through("the code was open to a fourth guess")
	}
	tell("link-without-code", worst(v, w.unproved(ctx, call, ringfence.FactPasskey)))
	return nil
}

// refusedStage has the victim say on the page that they did not ask.
func refusedStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	_, page, err := w.sentLink(ctx, call)
	if err != nil {
		return err
	}
	if _, err := page.Refuse(ctx); err != nil {
		return err
	}
	tell("link-refused", w.unproved(ctx, call, ringfence.FactPasskey))
	return nil
}

// sentLink has the agent send the link and returns the code that the caller
// heard, and the page as somebody who only has the link sees it, after a
// scanner looked at it.
func (w *drillWorld) sentLink(ctx context.Context, call *drillCall) (string, *lab.Page, error) {
	if err := call.stepUp(ctx, "step-up-passkey"); err != nil {
		return "", nil, err
	}
	code, err := call.line.HearDigits(ctx, 4)
	if err != nil {
		return "", nil, err
	}
	link, err := w.handsets.NextLink(ctx, call.victim.Number, w.cfg.Web.Public.URL+"/l")
	if err != nil {
		return "", nil, err
	}
	var page *lab.Page
	for range 2 {
		var seen lab.PageAnswer
		if page, seen, err = lab.OpenPage(ctx, link); err != nil {
			return "", nil, err
		}
		if len(seen.Fields) > 0 || seen.Outcome != "open" {
			return "", nil, fmt.Errorf("the link is %s and shows %d fields before any code", seen.Outcome, len(seen.Fields))
		}
	}
	return code, page, nil
}

// otherCode is a code of the same length that is not the one.
func otherCode(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b)
}

// rung has the agent ring the number on file, and returns the carry code as the
// caller heard it, and the victim's ringing telephone.
func (w *drillWorld) rung(ctx context.Context, call *drillCall) (string, *lab.Line, error) {
	if len(w.cfg.Verify.Prefixes) == 0 {
		return "", nil, &lacking{"verify.prefixes is empty: nobody may be rung"}
	}
	if err := call.stepUp(ctx, "step-up-call-back"); err != nil {
		return "", nil, err
	}
	code, err := call.line.HearDigits(ctx, 4)
	if err != nil {
		return "", nil, err
	}
	phone, err := call.victim.Rings(ctx)
	return code, phone, err
}

// uncalled judges that the call-back proved nothing.
func (w *drillWorld) uncalled(ctx context.Context, call *drillCall) (verdict, error) {
	if err := call.back(ctx); err != nil {
		return verdict{}, err
	}
	return w.unproved(ctx, call, ringfence.FactCallback, ringfence.FactConfirmed), nil
}

// divertedStage has the number on file answer with another number (SIP 302).
func divertedStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	thief := w.carrier.Person("Thief", w.number(901))
	_, phone, err := w.rung(ctx, call)
	if err != nil {
		return err
	}
	if err := phone.Call().Redirect(ctx, "sip:+"+thief.Number+"@"+w.carrier.Addr().String()); err != nil {
		return err
	}
	v, err := w.uncalled(ctx, call)
	if err != nil {
		return err
	}
	already, cancel := context.WithCancel(ctx)
	cancel() // a call that followed has rung by now
	if followed, err := thief.Rings(already); err == nil {
		followed.Hangup()
		v = through("the call-back followed the diversion")
	}
	tell("callback-diverted", v)
	return nil
}

// voicemailStage has a machine answer.
func voicemailStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	_, machine, err := w.rung(ctx, call)
	if err != nil {
		return err
	}
	if err := w.machineAnswers(ctx, machine); err != nil {
		return err
	}
	v, err := w.uncalled(ctx, call)
	if err == nil {
		tell("callback-voicemail", v)
	}
	return err
}

// starStage has the victim say on the telephone that they did not ask.
func starStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	_, phone, err := w.rung(ctx, call)
	if err != nil {
		return err
	}
	defer phone.Hangup()
	if err := phone.Answer(ctx); err != nil {
		return err
	}
	if _, err := phone.HearDigits(ctx, 2); err != nil {
		return err
	}
	if err := phone.Key(ctx, "*", "star"); err != nil {
		return err
	}
	v, err := w.uncalled(ctx, call)
	if err == nil {
		tell("callback-star", v)
	}
	return err
}

// machineAnswers answers, keys ones for about ten seconds, and hangs up.
func (w *drillWorld) machineAnswers(ctx context.Context, phone *lab.Line) error {
	defer phone.Hangup()
	if err := phone.Answer(ctx); err != nil {
		return err
	}
	for range 12 {
		if err := phone.Key(ctx, "111111", "1, again and again"); errors.Is(err, lab.ErrOver) {
			return nil
		} else if err != nil && !errors.Is(err, peer.ErrNoDigits) {
			return err
		}
	}
	return nil
}

// codeStage guesses the code of the victim's app on a call with the right PIN.
func codeStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	if err := call.stepUp(ctx, "step-up-code"); err != nil {
		return err
	}
	if _, err := call.line.Hear(ctx, asksPIN); err != nil {
		return err
	}
	if err := call.line.Key(ctx, call.victim.pin+"#", "the PIN"); err != nil {
		return err
	}
	for {
		heard, err := call.line.Hear(ctx, asksCode, "We could not complete this check", "Thank you")
		if err != nil {
			return err
		}
		if heard != asksCode {
			break
		}
		if err := call.line.Key(ctx, w.wrongCode(call.victim), "a guessed code"); err != nil {
			return err
		}
	}
	if err := call.back(ctx); err != nil {
		return err
	}
	tell("guessed-code", w.unproved(ctx, call, ringfence.FactTOTP))
	return nil
}
