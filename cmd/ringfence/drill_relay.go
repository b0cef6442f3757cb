package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/web"
)

// relayStage is a victim who reads PIN and code out to the thief. Both are true;
// they are no approval of what the thief asks for.
func relayStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	code, err := w.keysCode(ctx, call, call.victim.pin)
	if err != nil {
		return err
	}
	if have, err := w.proofsOf(ctx, call.victim.subject, ringfence.FactTOTP); err != nil || len(have) != 1 {
		return errors.Join(err, fmt.Errorf("the victim's own code left %d proofs", len(have)))
	}
	_, released := call.agent.Release(ctx, call.release.ID, call.release.Digest)
	tell("code-relayed", denied(released, "PIN and code, read out by the victim, released the action"))
	again, err := call.open(ctx, call.main, w.fields(call.main, 55))
	if err != nil {
		return err
	}
	if err := call.agent.StepUp(ctx, call.live.Traversal, "step-up-code", again.ID); err != nil {
		return err
	}
	if err := w.keysAgain(ctx, call, code); err != nil {
		return err
	}
	have, err := w.proofsOf(ctx, call.victim.subject, ringfence.FactTOTP)
	switch {
	case err != nil:
		return err
	case len(have) > 1:
		tell("code-reused", through("one code proved two actions"))
	default:
		tell("code-reused", stopped("the code counted once"))
	}
	return nil
}

// keysAgain keys a code for as long as one is asked for.
func (w *drillWorld) keysAgain(ctx context.Context, call *drillCall, code string) error {
	for {
		heard, err := call.line.Hear(ctx, asksPIN, asksCode, "We could not complete this check", "Thank you")
		if err != nil {
			return err
		}
		switch heard {
		case asksPIN:
			err = call.line.Key(ctx, call.victim.pin+"#", "the PIN")
		case asksCode:
			err = call.line.Key(ctx, code, "a code that was used")
		default:
			return call.back(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// duressStage is a victim under pressure, who keys the other PIN and then does
// everything that they are told to.
func duressStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	r := call.release
	if _, err := w.keysCode(ctx, call, duressPIN); err != nil {
		return err
	}
	if err := w.approvesAway(ctx, call); err != nil {
		return err
	}
	w.force(r.ID)
	done, err := call.agent.Release(ctx, r.ID, r.Digest)
	if p, ok := problemIn(err); ok && p.Kind() == "held" {
		tell("duress", through("the agent, and whoever stands behind the victim, is told that the action is held"))
		return nil
	}
	if err := wantsReady(done, err); err != nil {
		return err
	}
	listed, err := w.bank.Ready(ctx)
	if err != nil {
		return err
	}
	v := denied(second(w.bank.Pull(ctx, r.ID)), "the executor was given a permit")
	for _, l := range listed {
		if l.ID == r.ID {
			v = through("the executor was told to carry it out")
		}
	}
	if v.outcome == web.DrillStopped {
		v.says = "the agent sees what they always see; no permit is minted"
	}
	tell("duress", v)
	return nil
}

func second[T any](_ T, err error) error { return err }

// wantsReady turns a release that is not ready into what is lacking.
func wantsReady(done lab.Release, err error) error {
	if p, ok := problemIn(err); ok {
		return &lacking{"one approved release is wanted, and policy asks for more than PIN, passkey and call-back: " + p.Says()}
	}
	if err == nil && done.State != "ready" {
		return &lacking{"one approved release is wanted within a call, and this one is " + done.State}
	}
	return err
}

// rejectStage has the person say no in the moment in which the executor redeems.
func rejectStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	r := call.release
	if err := w.approves(ctx, call, call.victim.pin); err != nil {
		return err
	}
	w.approve(r.ID)
	done, err := call.agent.Release(ctx, r.ID, r.Digest)
	if err := wantsReady(done, err); err != nil {
		return err
	}
	permit, err := w.bank.Pull(ctx, r.ID)
	if err != nil {
		return err
	}
	var no error
	var said sync.WaitGroup
	said.Go(func() {
		no = call.agent.Ask(ctx, "POST", "/v1/releases/"+string(r.ID)+"/reject", map[string]any{}, nil)
	})
	won, failed := w.race(ctx, permit)
	said.Wait()
	if failed != nil {
		return failed
	}
	tell("permit-rejected-raced", w.oneWon(ctx, r.ID, won, no))
	return nil
}

// oneWon judges a no against a redemption by what the record says.
func (w *drillWorld) oneWon(ctx context.Context, id ringfence.ReleaseID, won []lab.Redeemed, no error) verdict {
	if _, refused := problemIn(no); no != nil && !refused {
		return broken(no)
	}
	entries, err := w.entries(ctx)
	if err != nil {
		return broken(err)
	}
	held := false
	for _, e := range entries {
		if e.Release != id {
			continue
		}
		held = held || e.Event == "release.held"
		if e.Event == "release.redeemed" && held {
			return through("it was redeemed after the person had said no")
		}
	}
	switch {
	case len(won) > 1:
		return through("%d of %d were let through", len(won), racers)
	case len(won) == 1:
		if err := w.bank.Execute(ctx, won[0]); err != nil {
			return broken(err)
		}
		return stopped("the redemption came first, once; the no came too late and is told so")
	case !held:
		return broken(errors.New("neither the no nor a redemption was let through"))
	}
	return stopped("the no came first: nobody of %d redeemed", racers)
}

// strangers are an executor of another tenant, with every scope, who knows the
// release's id.
func (w *drillWorld) strangers(ctx context.Context, id ringfence.ReleaseID) verdict {
	e, err := w.impostor("")
	if err != nil {
		return broken(err)
	}
	other := ringfence.NewID[ringfence.TenantID](ringfence.PrefixTenant)
	_, credential, err := w.app.web.CreateClient(ctx, other, web.Client{Name: "other", Executor: demoExecutor, Key: e.Key(),
		Scopes: []web.Scope{web.ScopeExecute, web.ScopeReleases, web.ScopeActions, web.ScopeDirectory, web.ScopeTraversals}}, "")
	if err != nil {
		return broken(err)
	}
	e.Use(string([]byte(credential)))
	listed, err := e.Ready(ctx)
	if err != nil {
		return broken(err)
	}
	if len(listed) > 0 {
		return through("another tenant was told %d releases", len(listed))
	}
	path := "/v1/releases/" + string(id)
	return worst(denied(e.Ask(ctx, "GET", path, nil, nil), "another tenant read the release"),
		denied(e.Ask(ctx, "POST", path+"/reject", map[string]any{}, nil), "another tenant stopped the release"),
		denied(second(e.Pull(ctx, id)), "another tenant was given the permit"))
}

// claims has the agent's browser say what only our own records may say.
func (w *drillWorld) claims(ctx context.Context, call *drillCall) verdict {
	all := []verdict{}
	for name, value := range map[string]any{"known_payee": true, "class": "C0", "state": "ready", "evidence": []string{"passkey", "callback", "confirmed"}} {
		in := map[string]any{"type": call.main.Name, "fields": w.fields(call.main, 60), "traversal": call.live.Traversal, "asked_by": "phone", name: value}
		all = append(all, denied(call.agent.Ask(ctx, "POST", "/v1/actions", in, nil), name+" was taken from the request"))
	}
	return worst(all...)
}

// carrierForged tells ringfence, in the carrier's name, that a message arrived
// and that digits were keyed.
func carrierForged(ctx context.Context, w *drillWorld) (verdict, error) {
	form := url.Values{"AccountSid": {"AC00000000000000000000000000000000"}, "CallStatus": {"completed"}, "MessageStatus": {"delivered"}, "Digits": {"123456"}}.Encode()
	for _, base := range []string{w.cfg.Web.Staff.URL, w.cfg.Web.Public.URL} {
		for _, path := range []string{"/", "/twilio", "/twilio/voice", "/twilio/status", "/webhooks/twilio", "/v1/webhooks", "/v1/twilio/status", "/v1/messages/status"} {
			status, err := postForm(ctx, base+path, form)
			if err != nil {
				return verdict{}, err
			}
			if status < 400 || status >= 500 {
				return through("%s answers %d to a message in the carrier's name", path, status), nil
			}
		}
	}
	return stopped("nothing takes messages of a carrier: what became of one is fetched, never believed"), nil
}

func postForm(ctx context.Context, to, form string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
