package verify

import (
	"context"
	"strconv"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// The bounds of failing.
const (
	// DefaultTries and MaxTries bound the answers over one chain (PSD2 RTS,
	// Article 4(3)(b): at most five).
	DefaultTries = 3
	MaxTries     = 5
	// LockAfter failures of a subject in one tier lock that tier. "5 tries per
	// 10 minutes, then reset" would be 2.1 % a month for one victim; so the
	// count persists until a success, and each further failure doubles the wait.
	LockAfter = 5
	LockFirst = 15 * time.Minute
	LockMost  = 24 * time.Hour
	// AuthenticatorFailures in an authenticator's whole life disable it
	// (NIST SP 800-63B-4, "Rate Limiting": at most 100).
	AuthenticatorFailures = 50
)

// lock is the failures of one subject in one tier since the last success in
// that tier.
type lock struct {
	Failures int       `json:"failures"`
	Until    time.Time `json:"until,omitzero"`
}

func lockID(s ringfence.SubjectID, t Tier) string { return string(s) + "/T" + strconv.Itoa(int(t)) }

// lockFor is how long the nth failure locks.
func lockFor(failures int) time.Duration {
	if failures < LockAfter {
		return 0
	}
	wait := LockFirst
	for range failures - LockAfter {
		if wait *= 2; wait >= LockMost {
			return LockMost
		}
	}
	return wait
}

// countFailure books a failure before the comparison and reports whether the
// tier was locked already; then nothing is booked, so that trying on does not
// keep the owner out for longer.
func countFailure(ctx context.Context, tx Tx, r row) (locked bool, err error) {
	return countIn(ctx, tx, lockID(r.Subject, r.Tier), r)
}

// countIn books a failure under the name of a lock.
func countIn(ctx context.Context, tx Tx, name string, r row) (locked bool, err error) {
	l, version, err := load[lock](ctx, tx, KindLock, name)
	if err != nil {
		return false, err
	}
	if tx.Now().Before(l.Until) {
		return true, nil
	}
	l.Failures++
	if wait := lockFor(l.Failures); wait > 0 {
		l.Until = tx.Now().Add(wait)
	}
	return false, save(ctx, tx, KindLock, name, version, keyOf(r), l)
}

// clearLock forgets the failures of r's subject in r's tier only.
func clearLock(ctx context.Context, tx Tx, r row) error {
	id := lockID(r.Subject, r.Tier)
	_, version, err := load[lock](ctx, tx, KindLock, id)
	if err != nil || version == 0 {
		return err
	}
	return save(ctx, tx, KindLock, id, version, keyOf(r), lock{})
}

// Locked reports until when the subject is locked in the tier; the zero time
// means that it is not. It is for staff of role risk and supervisor, never for
// a prompt.
func (v *Verifier) Locked(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, tier Tier) (time.Time, error) {
	var until time.Time
	err := v.cfg.Store.View(ctx, tenant, func(tx Tx) error {
		l, _, err := load[lock](ctx, tx, KindLock, lockID(subject, tier))
		if err == nil && tx.Now().Before(l.Until) {
			until = l.Until
		}
		return err
	})
	return until, err
}

// bookAuthenticators counts a failure on each authenticator that the answer
// will be compared with, before it is compared, and disables those that have
// failed too often. It returns the ones that still count.
func bookAuthenticators(ctx context.Context, tx Tx, r row, list []ringfence.Authenticator) ([]ringfence.Authenticator, error) {
	var good []ringfence.Authenticator
	for _, a := range list {
		if a.Failures >= AuthenticatorFailures {
			if err := setAuthenticator(ctx, tx, a.ID, func(a *ringfence.Authenticator) { a.Status = ringfence.StatusSuspended }); err != nil {
				return nil, err
			}
			if err := entry(ctx, tx, r, "authenticator.disabled", map[string]string{"authenticator": string(a.ID)}); err != nil {
				return nil, err
			}
			continue
		}
		if err := setAuthenticator(ctx, tx, a.ID, func(a *ringfence.Authenticator) { a.Failures++ }); err != nil {
			return nil, err
		}
		a.Failures++
		good = append(good, a)
	}
	return good, nil
}

// bookNobody reads and writes what bookAuthenticators does for one authenticator,
// where there is none: how long a try takes must not tell that (invariant 23).
func bookNobody(ctx context.Context, tx Tx, r row) error {
	c, version, err := load[chain](ctx, tx, KindChain, r.Chain)
	if err != nil {
		return err
	}
	return save(ctx, tx, KindChain, r.Chain, version, keyOf(r), c)
}

// setAuthenticator changes the counters or the status of an authenticator;
// everything else in it is the gate's.
func setAuthenticator(ctx context.Context, tx Tx, id ringfence.AuthenticatorID, change func(*ringfence.Authenticator)) error {
	rec, err := tx.Get(ctx, ledger.KindAuthenticator, string(id))
	if err != nil {
		return err
	}
	a, err := decodeAuthenticator(rec)
	if err != nil {
		return err
	}
	change(&a)
	return ledger.Write(ctx, tx, &rec, a)
}
