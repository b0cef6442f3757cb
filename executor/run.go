package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// System is the integrator's own: what really moves money.
type System interface {
	// Perform does the action. It is called at most once for a release. Failed
	// means that it is certainly not done; with an error, or anything that is
	// no Outcome, the outcome is unknown and a person finds out.
	Perform(ctx context.Context, a Action) (Outcome, error)
	// Performed says what became of an action whose Perform may have begun
	// before a crash. Who cannot tell answers Unknown.
	Performed(ctx context.Context, a Action) (Outcome, error)
}

// ErrNotNow is returned by Do for a release that is in other hands just now.
var ErrNotNow = errors.New("executor: this release is being worked on")

// Run works until ctx ends: first what a crash left, then whatever is ready,
// by polling and whenever a webhook wakes it. It returns ctx's error, or the
// journal's: without a journal nothing is done.
func (c *Client) Run(ctx context.Context, s System) error {
	tick := time.NewTicker(c.cfg.Poll)
	defer tick.Stop()
	for {
		if err := c.round(ctx, s); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-c.wake:
		}
	}
}

// round settles what is open and takes what is ready. Only a journal that
// fails is an error; everything else is tried again in the next round.
func (c *Client) round(ctx context.Context, s System) error {
	open, err := c.cfg.Journal.Unsettled(ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if err := c.quietly(ctx, s, r.Release); err != nil {
			return err
		}
	}
	ready, err := c.Ready(ctx)
	if err != nil {
		c.log.WarnContext(ctx, "what is ready is not known", "err", err)
		return nil
	}
	for _, id := range ready {
		if err := c.quietly(ctx, s, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) quietly(ctx context.Context, s System, id ringfence.ReleaseID) error {
	_, err := c.Do(ctx, id, s)
	var broken *journalError
	switch {
	case errors.As(err, &broken):
		return err
	case err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotNow):
		c.log.WarnContext(ctx, "release not settled", "release", string(id), "err", err)
	}
	return nil
}

// journalError marks an error of the journal: nothing goes on after it.
type journalError struct{ err error }

func (e *journalError) Error() string { return "executor: journal: " + e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// Do takes one release as far as it goes and returns its outcome. It may be
// called again at any time, after a crash too: a release is performed once.
// The outcome is empty, with an error, while nothing was done.
func (c *Client) Do(ctx context.Context, id ringfence.ReleaseID, s System) (Outcome, error) {
	if !ringfence.ValidID(string(id), ringfence.PrefixRelease) {
		return "", errors.New("executor: that is no release")
	}
	if !c.take(id) {
		return "", ErrNotNow
	}
	defer c.leave(id)
	r, known, err := c.cfg.Journal.Last(ctx, id)
	switch {
	case err != nil:
		return "", &journalError{err}
	case !known || r.Step == StepDropped:
		return c.begin(ctx, id, s)
	default:
		return c.resume(ctx, r, s)
	}
}

func (c *Client) take(id ringfence.ReleaseID) bool {
	c.busyMu.Lock()
	defer c.busyMu.Unlock()
	if c.busy[id] {
		return false
	}
	c.busy[id] = true
	return true
}

func (c *Client) leave(id ringfence.ReleaseID) {
	c.busyMu.Lock()
	defer c.busyMu.Unlock()
	delete(c.busy, id)
}

// begin pulls, and redeems what is good.
func (c *Client) begin(ctx context.Context, id ringfence.ReleaseID, s System) (Outcome, error) {
	p, err := c.Pull(ctx, id)
	if err != nil {
		return "", err
	}
	r := Record{Release: p.Release, Permit: p.ID, Type: p.Type, Digest: p.Digest, Step: StepPermitted, Token: p.Token, Index: p.Index, Head: p.Head}
	if err := c.write(ctx, &r); err != nil {
		return "", err
	}
	return c.resume(ctx, r, s)
}

// resume goes on from where the journal ends.
func (c *Client) resume(ctx context.Context, r Record, s System) (Outcome, error) {
	switch r.Step {
	case StepPermitted:
		return c.redeem(ctx, r, s)
	case StepRedeemed:
		return c.act(ctx, r, s)
	case StepActing:
		return c.ask(ctx, r, s)
	case StepActed:
		return r.Outcome, c.report(ctx, r)
	case StepReported:
		return r.Outcome, nil
	default:
		return "", &journalError{fmt.Errorf("%s stands at %q, which this version does not know", r.Release, r.Step)}
	}
}

// redeem asks until it is answered; the same permit has the same key, so the
// answer is the same as the one that a crash or a cut line lost.
func (c *Client) redeem(ctx context.Context, r Record, s System) (Outcome, error) {
	a, err := c.Redeem(ctx, Permit{Token: r.Token, ID: r.Permit, Release: r.Release, Type: r.Type, Digest: r.Digest})
	var no *Refused
	switch {
	case err == nil:
	case errors.As(err, &no) && !no.InDoubt(), errors.Is(err, ErrPermit):
		r.Step, r.Why, r.Token = StepDropped, err.Error(), ""
		return "", errors.Join(err, c.write(ctx, &r))
	case time.Since(r.At) > c.cfg.Stale:
		// Nothing was done here. If it was redeemed, reconciliation says so.
		r.Step, r.Why, r.Token = StepDropped, "the redemption was never answered", ""
		return "", errors.Join(err, c.write(ctx, &r))
	default:
		return "", err // in doubt: again in the next round
	}
	r.Step, r.Token, r.Action = StepRedeemed, "", &a
	if err := c.write(ctx, &r); err != nil {
		return "", err
	}
	return c.act(ctx, r, s)
}

// act performs, once.
func (c *Client) act(ctx context.Context, r Record, s System) (Outcome, error) {
	if time.Since(r.Action.RedeemedAt) > c.cfg.Stale {
		return c.acted(ctx, r, Failed, "redeemed too long ago to be begun now")
	}
	r.Step = StepActing
	if err := c.write(ctx, &r); err != nil {
		return "", err
	}
	// From here on the outcome matters more than whoever asked.
	done := context.WithoutCancel(ctx)
	outcome, err := s.Perform(done, *r.Action)
	return c.settle(done, r, outcome, err)
}

// ask finds out about an act that a crash interrupted. It never acts.
func (c *Client) ask(ctx context.Context, r Record, s System) (Outcome, error) {
	outcome, err := s.Performed(ctx, *r.Action)
	return c.settle(ctx, r, outcome, err)
}

func (c *Client) settle(ctx context.Context, r Record, outcome Outcome, err error) (Outcome, error) {
	why := ""
	if err != nil {
		why = "the system answered with an error"
		c.log.WarnContext(ctx, "the outcome is unknown", "release", string(r.Release), "err", err)
	}
	if err != nil || !outcome.valid() {
		outcome = Unknown
	}
	return c.acted(ctx, r, outcome, why)
}

func (c *Client) acted(ctx context.Context, r Record, outcome Outcome, why string) (Outcome, error) {
	r.Step, r.Outcome, r.Why, r.Action = StepActed, outcome, why, nil
	if err := c.write(ctx, &r); err != nil {
		return outcome, err
	}
	return outcome, c.report(ctx, r)
}

// report tells ringfence. A conflict means that a person settled it meanwhile.
func (c *Client) report(ctx context.Context, r Record) error {
	err := c.post(ctx, "/v1/permits/"+string(r.Permit)+"/report", keyOf("report", string(r.Permit), string(r.Outcome)), map[string]Outcome{"outcome": r.Outcome}, nil)
	var no *Refused
	if errors.As(err, &no) && !no.InDoubt() && no.Kind == "conflict" {
		c.log.WarnContext(ctx, "ringfence has another outcome on record", "release", string(r.Release), "outcome", string(r.Outcome))
		err = nil
	}
	if err != nil {
		return err
	}
	r.Step = StepReported
	return c.write(ctx, &r)
}

func (c *Client) write(ctx context.Context, r *Record) error {
	r.At = time.Now().UTC()
	r.Why = strings.ToValidUTF8(r.Why, "")
	if err := c.cfg.Journal.Append(context.WithoutCancel(ctx), *r); err != nil {
		return &journalError{err}
	}
	return nil
}
