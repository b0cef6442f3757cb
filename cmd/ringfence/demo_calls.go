package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
)

// stepPatience bounds one thing that is waited for.
const stepPatience = 60 * time.Second

// calls plays everything, one call after the other. A call that breaks off is
// an outcome that failed; the next one is played all the same.
func (d *demo) calls(ctx context.Context) {
	defer d.watch(ctx)()
	for _, c := range []struct {
		name, about string
		play        func(context.Context) error
	}{
		{"Call 1", "two honest customers change the account that they are paid on: Ada has a passkey, Ben has none", d.honest},
		{"Call 2", "Mallory shows Ada's number, knows her PIN, and has an agent on her side", d.attack},
		{"Call 3", "somebody says to be the finance director", d.director},
	} {
		d.t.scene(c.name, c.about)
		if err := c.play(ctx); err != nil {
			d.t.check(false, "the call went as planned", err.Error())
		}
		if ctx.Err() != nil {
			return
		}
		d.idle(ctx)
	}
}

// idle checks that hanging up left nothing open, within a short while.
func (d *demo) idle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	changed, stop := d.app.runner.Watch(ringfence.DefaultTenant)
	defer stop()
	for d.app.runner.Active() > 0 {
		select {
		case <-changed:
		case <-ctx.Done():
			d.t.check(false, "no call is left open", fmt.Sprintf("%d traversals are live", d.app.runner.Active()))
			return
		}
	}
	d.t.check(true, "no call is left open", "")
}

// watch keeps the consoles of the agents open, which makes them ready for
// calls, and prints what a supervisor's console shows, until the function that
// it returns is called.
func (d *demo) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	leave := d.attend(ctx, d.staff.alice, d.staff.clara, d.staff.frank)
	watching.Go(func() {
		told := map[ringfence.TraversalID]*toldCall{}
		err := d.staff.grace.Watch(ctx, func(c ringfence.LiveCall) {
			if told[c.Traversal] == nil {
				told[c.Traversal] = &toldCall{said: map[string]bool{}}
			}
			for _, e := range told[c.Traversal].news(c) {
				d.t.event(lab.Event{At: e.At, Who: "· console", What: e.Text})
			}
		})
		if err != nil && ctx.Err() == nil {
			d.t.tell("· console", "stopped: %v", err)
		}
	})
	return func() { cancel(); watching.Wait(); leave() }
}

// attend opens the consoles of agents and returns once each of them is ready
// for calls, or after a step's patience: who calls before that finds a queue
// with nobody in it. The function that it returns closes them.
func (d *demo) attend(ctx context.Context, agents ...*colleague) (leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	var consoles sync.WaitGroup
	for _, c := range agents {
		consoles.Go(func() { _ = c.Watch(ctx, func(ringfence.LiveCall) {}) })
	}
	soon, done := step(ctx)
	defer done()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, c := range agents {
		for soon.Err() == nil && !slices.Contains(d.app.ready(ringfence.DefaultTenant), c.person.ID) {
			select {
			case <-tick.C:
			case <-soon.Done():
			}
		}
	}
	return func() { cancel(); consoles.Wait() }
}

// toldCall is what the transcript has told of a call's timeline.
type toldCall struct {
	lines int
	said  map[string]bool
}

// flowTrace is a line of the timeline that says which line of a flow was left;
// the transcript has people for that.
var flowTrace = regexp.MustCompile(`^[a-z-]+, [a-z_]+: [a-z0-9_]+$`)

// news returns the lines of the timeline that say something new.
func (t *toldCall) news(c ringfence.LiveCall) (out []ringfence.LiveEvent) {
	for _, e := range c.Timeline[min(t.lines, len(c.Timeline)):] {
		if !t.said[e.Text] && !flowTrace.MatchString(e.Text) && e.Text != c.StirSays {
			out = append(out, e)
		}
		t.said[e.Text] = true
	}
	t.lines = len(c.Timeline)
	return out
}

// step is ctx with the patience of one step.
func step(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, stepPatience, errors.New("waited in vain"))
}

// signIn has a caller give customer number and PIN, and hear the menu.
func (d *demo) signIn(ctx context.Context, line *lab.Line, account, pin string) error {
	if _, err := line.Hear(ctx, "Please enter your eight digit customer number"); err != nil {
		return err
	}
	if err := line.Key(ctx, account, "the customer number"); err != nil {
		return err
	}
	if _, err := line.Hear(ctx, "Please enter your telephone PIN"); err != nil {
		return err
	}
	if err := line.Key(ctx, pin+"#", "the PIN (six digits)"); err != nil {
		return err
	}
	_, err := line.Hear(ctx, "For your balance, press 1")
	return err
}

// refusal checks that something was refused, and why.
func (d *demo) refusal(claim string, err error, kinds ...string) bool {
	var p *lab.Problem
	if !errors.As(err, &p) {
		says := "it was not refused"
		if err != nil {
			says = err.Error()
		}
		return d.t.check(false, claim, says)
	}
	ok := false
	for _, k := range kinds {
		ok = ok || p.Kind() == k
	}
	return d.t.check(ok, claim, fmt.Sprintf("%d %s: %s", p.Status, p.Kind(), p.Says()))
}

// answerBack has the person on file take the call-back, key what they hear and
// carried, and listen to the read-back up to its yes-key, which is returned.
func (d *demo) answerBack(ctx context.Context, who *lab.Person, carried string) (*lab.Line, error) {
	line, err := who.Rings(ctx)
	if err != nil {
		return nil, err
	}
	if err := line.Answer(ctx); err != nil {
		return line, err
	}
	if _, err := line.Hear(ctx, "Now key these two digits"); err != nil {
		return line, err
	}
	fresh, err := line.HearDigits(ctx, 2)
	if err != nil {
		return line, err
	}
	if _, err := line.Hear(ctx, "and then the code"); err != nil {
		return line, err
	}
	return line, line.Key(ctx, fresh+carried, "")
}

// agree keys the yes-key of a read-back.
func (d *demo) agree(ctx context.Context, line *lab.Line, before string) error {
	if _, err := line.Hear(ctx, before); err != nil {
		return err
	}
	yes, err := line.HearDigits(ctx, 1)
	if err != nil {
		return err
	}
	if _, err := line.Hear(ctx, "If not, press 2"); err != nil {
		return err
	}
	return line.Key(ctx, yes, "")
}

// spaced writes digits as they are heard.
func spaced(digits string) string { return strings.Join(strings.Split(digits, ""), " ") }

// execute plays the bank's system: pull, verify, redeem, check, book, report.
func (d *demo) execute(ctx context.Context, r lab.Release) (lab.Permit, error) {
	p, err := d.bank.Pull(ctx, r.ID)
	if err != nil {
		return p, fmt.Errorf("the executor pulls its permit: %w", err)
	}
	d.t.tell("corebank", "pulls a permit for one use within 60 s; its signature verifies; keeps the signed head of the log")
	got, err := d.bank.Redeem(ctx, p)
	if err != nil {
		return p, fmt.Errorf("the executor redeems: %w", err)
	}
	d.t.tell("corebank", "redeems it and gets the action, whose digest is the permit's: %s…", p.Digest.String()[:16])
	return p, d.bank.Execute(ctx, got)
}
