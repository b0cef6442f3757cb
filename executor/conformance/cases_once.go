package conformance

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/ringfence/ringfence/executor"
)

func onceCases() []testCase {
	return []testCase{
		{"offered again", "does a release that is listed once more after it was done no second time", nothing, offeredAgain},
		{"announced again", "does nothing on a webhook that is delivered twice", aWebhook, announcedAgain},
		{"announced by eight at once", "does it once when eight announcements come together", aWebhook, announcedByEight},
		{"permit out", "waits when the permit is not to be had, and does it when it is", nothing, permitOut},
		{"first permit lapsed", "takes the next permit when the first could not be redeemed in time", nothing, lapsed},
	}
}

// offeredAgain lists a release as ready after it was done, as a store that was
// rolled back would.
func offeredAgain(ctx context.Context, k *Kit) error {
	r := k.good()
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	if err := k.done(ctx, r, executor.Executed); err != nil {
		return err
	}
	return k.again(ctx, r, executor.Executed)
}

// again makes a release ready once more, under a new permit, and wants no
// second act.
func (k *Kit) again(ctx context.Context, r *release, had executor.Outcome) error {
	r.mu.Lock()
	r.offered, r.redeemed, r.redeems = true, false, nil
	before := r.lists
	r.mu.Unlock()
	if err := k.announce(ctx, r); err != nil {
		return err
	}
	if err := k.wait(ctx, "another look at what is ready", func() bool { return r.seen().lists > before || r.seen().pulls > 1 }); err != nil {
		return err
	}
	if err := k.ordinary(ctx); err != nil {
		return err
	}
	k.pause(ctx)
	k.gate.withdraw(r)
	if len(r.seen().redeems) > 0 {
		return errors.New("it redeems again what it has on record")
	}
	return k.once(ctx, r, had)
}

func announcedAgain(ctx context.Context, k *Kit) error {
	r := k.good()
	k.gate.offer(r)
	h := k.hook(r)
	for range 3 {
		if _, err := k.send(ctx, h); err != nil {
			return err
		}
	}
	if err := k.done(ctx, r, executor.Executed); err != nil {
		return err
	}
	if _, err := k.send(ctx, h); err != nil {
		return err
	}
	if err := k.ordinary(ctx); err != nil {
		return err
	}
	return k.once(ctx, r, executor.Executed)
}

func announcedByEight(ctx context.Context, k *Kit) error {
	r := k.good()
	k.gate.offer(r)
	var all sync.WaitGroup
	failed := make([]error, 8)
	for i := range failed {
		all.Go(func() { _, failed[i] = k.send(ctx, k.hook(r)) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := k.done(ctx, r, executor.Executed); err != nil {
		return err
	}
	k.pause(ctx)
	return k.once(ctx, r, executor.Executed)
}

func permitOut(ctx context.Context, k *Kit) error {
	r := k.good()
	n := 0
	r.pull = func(w http.ResponseWriter) bool {
		r.mu.Lock()
		n++
		first := n == 1
		r.mu.Unlock()
		if first {
			refuse(w, http.StatusConflict, "conflict")
		}
		return first
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	return k.done(ctx, r, executor.Executed)
}

func lapsed(ctx context.Context, k *Kit) error {
	r := k.good()
	r.redeem = func(w http.ResponseWriter, n int) bool {
		if n > 1 {
			return false
		}
		refuse(w, http.StatusGone, "expired")
		return true
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	return k.done(ctx, r, executor.Executed)
}

func outcomeCases() []testCase {
	return []testCase{
		{"report lost", "reports again when the report was not answered, and acts no second time", nothing, lostReport(cut)},
		{"report in doubt", "reports again after 503, and acts no second time", nothing, lostReport(func(w http.ResponseWriter) {
			refuse(w, http.StatusServiceUnavailable, "in-doubt")
		})},
		{"failed action", "reports failed for what it certainly did not do", aFailure, func(ctx context.Context, k *Kit) error {
			r := newRelease(&k.target, k.target.Fails)
			if err := k.offer(ctx, r); err != nil {
				return err
			}
			return k.done(ctx, r, executor.Failed)
		}},
		{"unknown outcome", "reports unknown for what may or may not have been done", aDoubt, func(ctx context.Context, k *Kit) error {
			r := newRelease(&k.target, k.target.Doubts)
			if err := k.offer(ctx, r); err != nil {
				return err
			}
			return k.done(ctx, r, executor.Unknown)
		}},
		{"unknown is never tried again", "leaves a release of unknown outcome to a person, under whatever permit", aDoubt, func(ctx context.Context, k *Kit) error {
			r := newRelease(&k.target, k.target.Doubts)
			if err := k.offer(ctx, r); err != nil {
				return err
			}
			if err := k.done(ctx, r, executor.Unknown); err != nil {
				return err
			}
			return k.again(ctx, r, executor.Unknown)
		}},
	}
}

// lostReport loses the answer to the first report.
func lostReport(lose func(http.ResponseWriter)) func(context.Context, *Kit) error {
	return func(ctx context.Context, k *Kit) error {
		r := k.good()
		r.report = func(w http.ResponseWriter, n int) bool {
			if n > 1 {
				return false
			}
			lose(w)
			return true
		}
		if err := k.offer(ctx, r); err != nil {
			return err
		}
		if err := k.wait(ctx, "a second report", func() bool { return len(r.seen().reports) > 1 }); err != nil {
			return err
		}
		for _, o := range r.seen().reports {
			if o != executor.Executed {
				return errors.New("it reports another outcome the second time")
			}
		}
		return k.once(ctx, r, executor.Executed)
	}
}
