package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web"
)

// permitStage is an honest victim who approves an action, and everybody who
// wants something else to be done with that.
func permitStage(ctx context.Context, w *drillWorld, call *drillCall, tell func(string, verdict)) error {
	r := call.release
	if err := w.approves(ctx, call, call.victim.pin); err != nil {
		return err
	}
	tell("action-changed", w.changed(ctx, call, call.main, r))
	w.approve(r.ID)
	done, err := call.agent.Release(ctx, r.ID, r.Digest)
	if err := wantsReady(done, err); err != nil {
		return err
	}
	return w.spends(ctx, call, r, tell)
}

// approves has the victim approve the action by whatever policy asks of them.
func (w *drillWorld) approves(ctx context.Context, call *drillCall, pin string) error {
	if slices.ContainsFunc(call.main.Needs, func(n policy.Need) bool { return n.String() == "pin" }) {
		if _, err := w.keysCode(ctx, call, pin); err != nil {
			return err
		}
	}
	return w.approvesAway(ctx, call)
}

// approvesAway is what the victim does on channels of their own: the link, and
// the call-back.
func (w *drillWorld) approvesAway(ctx context.Context, call *drillCall) error {
	if err := w.approvesLink(ctx, call); err != nil {
		return err
	}
	code, back, err := w.rung(ctx, call)
	if err != nil {
		return err
	}
	defer back.Hangup()
	if err := back.Answer(ctx); err != nil {
		return err
	}
	fresh, err := back.HearDigits(ctx, 2)
	if err != nil {
		return err
	}
	if _, err := back.Hear(ctx, "and then the code"); err != nil {
		return err
	}
	if err := back.Key(ctx, fresh+code, ""); err != nil {
		return err
	}
	if err := w.agree(ctx, back, "If that is right, press"); err != nil {
		return err
	}
	return call.back(ctx)
}

// approvesLink is the victim's part of the passkey link.
func (w *drillWorld) approvesLink(ctx context.Context, call *drillCall) error {
	code, page, err := w.sentLink(ctx, call)
	if err != nil {
		return err
	}
	if _, err := page.Unlock(ctx, code); err != nil {
		return err
	}
	done, err := page.Approve(ctx, call.victim.key)
	if err == nil && done.Outcome != "satisfied" {
		err = fmt.Errorf("the page answers %s", done.Outcome)
	}
	if err != nil {
		return err
	}
	return call.back(ctx)
}

// keysCode is the victim's part of PIN and app code. It returns the code.
func (w *drillWorld) keysCode(ctx context.Context, call *drillCall, pin string) (string, error) {
	if err := call.stepUp(ctx, "step-up-code"); err != nil {
		return "", err
	}
	if _, err := call.line.Hear(ctx, asksPIN); err != nil {
		return "", err
	}
	if err := call.line.Key(ctx, pin+"#", "the PIN"); err != nil {
		return "", err
	}
	if _, err := call.line.Hear(ctx, asksCode); err != nil {
		return "", err
	}
	code := lab.TOTP(call.victim.seed, time.Now())
	if err := call.line.Key(ctx, code, "the code of the app"); err != nil {
		return "", err
	}
	return code, call.back(ctx)
}

// wrongCode is no code of the victim's app now or a minute around.
func (w *drillWorld) wrongCode(victim *customer) string {
	now := time.Now()
	for i := range 1_000_000 {
		guess := fmt.Sprintf("%06d", 271828+i)
		near := false
		for _, d := range []time.Duration{-60, -30, 0, 30, 60} {
			near = near || lab.TOTP(victim.seed, now.Add(d*time.Second)) == guess
		}
		if !near {
			return guess
		}
	}
	return ""
}

// changed has the agent put the same action with other fields in the place of
// the approved one.
func (w *drillWorld) changed(ctx context.Context, call *drillCall, main *policy.Action, r lab.Release) verdict {
	other, err := call.open(ctx, main, w.fields(main, 77))
	if err != nil {
		return broken(err)
	}
	if other.Digest == r.Digest {
		return notApplicable("the action has no field that could be changed")
	}
	_, inPlace := call.agent.Release(ctx, r.ID, other.Digest)
	_, itself := call.agent.Release(ctx, other.ID, other.Digest)
	return worst(denied(itself, "what was proved for one action released another"), denied(inPlace, "the changed action took the place of the approved one"))
}

// racers is how many present one permit at once.
const racers = 20

// spends has everybody after the one permit.
func (w *drillWorld) spends(ctx context.Context, call *drillCall, r lab.Release, tell func(string, verdict)) error {
	permit, err := w.bank.Pull(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("the executor pulls its permit: %w", err)
	}
	thief, err := w.impostor(w.credential())
	if err != nil {
		return err
	}
	_, err = thief.Redeem(ctx, permit)
	tell("permit-stolen", denied(err, "the permit was redeemed without the executor's key"))
	won, failed := w.race(ctx, permit)
	switch {
	case failed != nil:
		tell("permit-raced", broken(failed))
	case len(won) > 1:
		tell("permit-raced", through("%d of %d were let through", len(won), racers))
	case len(won) == 0:
		tell("permit-raced", broken(fmt.Errorf("none of %d was let through", racers)))
	default:
		tell("permit-raced", stopped("exactly one of %d was let through", racers))
		if err := w.bank.Execute(ctx, won[0]); err != nil {
			return err
		}
	}
	_, again := w.bank.Redeem(ctx, permit)
	_, second := w.bank.Pull(ctx, r.ID)
	tell("permit-replayed", worst(denied(again, "a used permit was redeemed again"), denied(second, "a second permit was given")))
	_ = call.agent.Ask(ctx, "POST", "/v1/releases/"+string(r.ID)+"/reject", map[string]any{}, nil) // whatever it answers
	_, third := w.bank.Pull(ctx, r.ID)
	_, again = w.bank.Redeem(ctx, permit)
	tell("permit-rejected-late", worst(denied(third, "a second permit was given"), denied(again, "a used permit was redeemed again")))
	return nil
}

// race presents a permit many times at once and returns who was let through.
func (w *drillWorld) race(ctx context.Context, permit lab.Permit) (won []lab.Redeemed, failed error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range racers {
		all.Go(func() {
			got, err := w.bank.Redeem(ctx, permit)
			mu.Lock()
			defer mu.Unlock()
			if _, refused := problemIn(err); err == nil {
				won = append(won, got)
			} else if !refused {
				failed = err
			}
		})
	}
	all.Wait()
	return won, failed
}

// credential is what the executor of the drill authenticates with.
func (w *drillWorld) credential() string {
	return strings.Join([]string{string(ringfence.DefaultTenant), web.ConfiguredClientID(demoExecutor), w.cfg.Executors[0].Credential.Reveal()}, ".")
}

// impostor is somebody with a credential and a key of their own.
func (w *drillWorld) impostor(credential string) (*lab.Executor, error) {
	e, err := lab.NewExecutor(demoExecutor, w.cfg.Web.Staff.URL)
	if err != nil {
		return nil, err
	}
	e.Use(credential)
	return e, nil
}
