package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ringfence/ringfence/executor"
)

// testCase is one question.
type testCase struct {
	name  string
	what  string // what a good executor does
	needs need
	run   func(context.Context, *Kit) error
}

// cases are all questions; the first is the good release, without which there
// is no use in going on.
func cases() []testCase {
	return slices.Concat(goodCases(), permitCases(), redemptionCases(), onceCases(), outcomeCases(), webhookCases(), accessCases())
}

func goodCases() []testCase {
	return []testCase{
		{"good release", "does it once, with what the redemption returned, and reports it", nothing, goodRelease},
		{"redeems before it acts", "does nothing before the redemption was answered", nothing, redeemsFirst},
		{"acts on the canonical action", "takes the fields from the redemption, not from the list", nothing, ownCopy},
		{"two releases at once", "does both, each once", nothing, twoAtOnce},
	}
}

func goodRelease(ctx context.Context, k *Kit) error {
	return k.ordinary(ctx)
}

func redeemsFirst(ctx context.Context, k *Kit) error {
	r := k.good()
	r.lookAhead = func() bool {
		acts, err := k.acts(ctx, r.id)
		return err != nil || len(acts) > 0
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	if err := k.done(ctx, r, executor.Executed); err != nil {
		return err
	}
	if s := r.seen(); s.early || len(s.redeems) == 0 {
		return errors.New("it acted before the redemption was answered")
	}
	return nil
}

func ownCopy(ctx context.Context, k *Kit) error {
	r := k.good()
	r.listed = map[string]string{}
	for name, value := range r.fields {
		r.listed[name] = value + "9"
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	return k.done(ctx, r, executor.Executed)
}

func twoAtOnce(ctx context.Context, k *Kit) error {
	a, b := k.good(), k.good()
	if err := errors.Join(k.offer(ctx, a), k.offer(ctx, b)); err != nil {
		return err
	}
	if err := k.done(ctx, a, executor.Executed); err != nil {
		return fmt.Errorf("the first: %w", err)
	}
	if err := k.done(ctx, b, executor.Executed); err != nil {
		return fmt.Errorf("the second: %w", err)
	}
	return nil
}
