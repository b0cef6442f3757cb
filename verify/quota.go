package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Limits are the caps on what leaves the house. A zero field means its
// default; a negative one is an error. They are counted in the transaction
// that makes the challenge, so no node and no crash can exceed them.
type Limits struct {
	PerRelease     int // messages a release (or traversal); default 3, 30, 60 and 120 s apart
	PerContactHour int // messages a contact point; default 5
	PerContactDay  int // default 10
	PerAgentMinute int // messages and calls one person may cause; default 10
	TenantHour     int // messages and calls of the tenant; default 1,000
	CallsHour      int // call-backs a subject; default 3; those the person rejects are given back
	CallsDay       int // default 5
	// Spray is how many different subjects may have a wrong PIN in tier T0
	// within an hour before PINs stop counting there for everybody:
	// 0.1 % of the subjects. Default 20, which is 0.1 % of 20,000.
	Spray int
}

// Prefix allows numbers that begin with Digits (E.164, no plus). The longest
// match decides.
type Prefix struct {
	Digits  string
	PerHour int // messages and calls to the prefix; 0 means 300; negative forbids it
}

func (p Prefix) hourly() int { return cmp.Or(p.PerHour, 300) }

// spacing is how long the nth message of a release waits for the one before.
var spacing = [...]time.Duration{30 * time.Second, 60 * time.Second, 120 * time.Second}

func (l *Limits) fill() error {
	for _, f := range []struct {
		value *int
		std   int
	}{{&l.PerRelease, 3}, {&l.PerContactHour, 5}, {&l.PerContactDay, 10}, {&l.PerAgentMinute, 10},
		{&l.TenantHour, 1000}, {&l.CallsHour, 3}, {&l.CallsDay, 5}, {&l.Spray, 20}} {
		if *f.value < 0 {
			return errors.New("verify: a limit is negative")
		}
		if *f.value == 0 {
			*f.value = f.std
		}
	}
	return nil
}

// window is one cap: at most Most within Span.
type window struct {
	name string
	most int
	span time.Duration
}

// used is the times at which something was counted, in Unix nanoseconds.
type used struct {
	At []int64 `json:"at"`
}

// windows lists the caps that a challenge counts in, by the name of their row.
func (v *Verifier) windows(r row, s Spec, contact ringfence.ContactPoint) []window {
	l := v.cfg.Limits
	list := []window{{"tenant", l.TenantHour, time.Hour}}
	if s.Calls {
		list = append(list, window{"calls/" + string(r.Subject), l.CallsHour, time.Hour},
			window{"calls/" + string(r.Subject), l.CallsDay, 24 * time.Hour})
	} else {
		at := "contact/" + string(contact.ID)
		if r.Decoy { // the same caps, so that an unknown subject runs dry as a known one does
			at = "contact/" + string(r.Subject)
		}
		list = append(list, window{at, l.PerContactHour, time.Hour}, window{at, l.PerContactDay, 24 * time.Hour})
	}
	if p, ok := v.prefix(contact); ok && !r.Decoy {
		list = append(list, window{"prefix/" + p.Digits, p.hourly(), time.Hour})
	}
	if r.By != "" {
		list = append(list, window{"person/" + string(r.By), l.PerAgentMinute, time.Minute})
	}
	return list
}

// prefix is the longest allowed prefix of a telephone number.
func (v *Verifier) prefix(c ringfence.ContactPoint) (best Prefix, ok bool) {
	for _, p := range v.cfg.Prefixes {
		if p.Digits != "" && strings.HasPrefix(c.Value, p.Digits) && len(p.Digits) > len(best.Digits) {
			best, ok = p, true
		}
	}
	return best, ok && best.PerHour >= 0
}

// take counts r in all its windows or in none. retry, when set, is when the
// request may be made again.
func (v *Verifier) take(ctx context.Context, tx Tx, r *row, s Spec, contact ringfence.ContactPoint) (retry time.Time, err error) {
	var release []string
	if !s.Calls {
		release = []string{releaseQuota(*r)}
	}
	names, retry, _, err := v.takeAll(ctx, tx, v.windows(*r, s, contact), release)
	r.Quotas = append(r.Quotas, names...)
	return retry, err
}

// takeAll counts one message or call in all windows, and in those of releases, or
// in none. names are the rows it stands in, over the one that was full the longest.
func (v *Verifier) takeAll(ctx context.Context, tx Tx, windows []window, releases []string) (names []string, retry time.Time, over string, err error) {
	now := tx.Now()
	rows, versions := map[string]used{}, map[string]int64{}
	read := func(name string) (used, error) {
		if u, ok := rows[name]; ok {
			return u, nil
		}
		u, version, err := load[used](ctx, tx, KindQuota, name)
		u.At = slices.DeleteFunc(u.At, func(at int64) bool { return now.Sub(time.Unix(0, at)) >= 24*time.Hour })
		rows[name], versions[name] = u, version
		return u, err
	}
	wait := func(name string, at time.Time) {
		if at.After(retry) {
			retry, over = at, name
		}
	}
	for _, w := range windows {
		u, err := read(w.name)
		if err != nil {
			return nil, time.Time{}, "", err
		}
		wait(w.name, full(u.At, w, now))
	}
	for _, name := range releases {
		u, err := read(name)
		if err != nil {
			return nil, time.Time{}, "", err
		}
		wait(name, spaced(u.At, v.cfg.Limits.PerRelease, now))
	}
	if !retry.IsZero() {
		return nil, retry, over, nil
	}
	for name, u := range rows {
		u.At = append(u.At, now.UnixNano())
		if err := save(ctx, tx, KindQuota, name, versions[name], "", u); err != nil {
			return nil, time.Time{}, "", err
		}
		names = append(names, name)
	}
	return names, time.Time{}, "", nil
}

// releaseQuota names the row that counts the messages of one release.
func releaseQuota(r row) string {
	switch {
	case r.Release != "":
		return "release/" + string(r.Release)
	case r.Traversal != "":
		return "traversal/" + string(r.Traversal)
	default:
		return "subject/" + string(r.Subject)
	}
}

// full returns when w has room again; zero = now.
func full(at []int64, w window, now time.Time) time.Time {
	inside := 0
	for i := len(at) - 1; i >= 0; i-- {
		if now.Sub(time.Unix(0, at[i])) >= w.span {
			break
		}
		if inside++; inside >= w.most {
			return time.Unix(0, at[i]).Add(w.span)
		}
	}
	if w.most <= 0 {
		return now.Add(w.span)
	}
	return time.Time{}
}

// spaced returns when the next message of a release may leave; far in the
// future when all are spent.
func spaced(at []int64, most int, now time.Time) time.Time {
	n := len(at)
	if n == 0 {
		return time.Time{}
	}
	if n >= most {
		return time.Unix(0, at[0]).Add(24 * time.Hour)
	}
	next := time.Unix(0, at[n-1]).Add(spacing[min(n, len(spacing))-1])
	if now.Before(next) {
		return next
	}
	return time.Time{}
}

// giveBack undoes the counts of a call-back that the person rejected: whoever
// says "it was not me" does not use up the subject's calls.
func giveBack(ctx context.Context, tx Tx, r row) error {
	for _, name := range r.Quotas {
		if !strings.HasPrefix(name, "calls/") {
			continue
		}
		u, version, err := load[used](ctx, tx, KindQuota, name)
		if err != nil {
			return err
		}
		i := slices.Index(u.At, r.CreatedAt.UnixNano())
		if i < 0 {
			continue
		}
		u.At = slices.Delete(u.At, i, i+1)
		if err := save(ctx, tx, KindQuota, name, version, "", u); err != nil {
			return fmt.Errorf("give back %s: %w", KindQuota, err)
		}
	}
	return nil
}
