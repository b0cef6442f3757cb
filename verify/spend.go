package verify

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// methodRecovery stands in the entries of recovery codes; there is no Evidence
// of this fact.
const methodRecovery ringfence.Fact = "recovery"

// SpendRecovery tries a recovery code of a subject: the try is durably counted,
// then compared, then the code used up, each step once. spend compares and
// returns the set without the code. A subject that does not exist, or has no
// codes, takes the same steps.
//
// Failures lock recovery only: no other door, and no other door locks this one.
func (v *Verifier) SpendRecovery(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, known bool, spend func(kept ringfence.Secret) (ringfence.Secret, bool)) (id ringfence.AuthenticatorID, ok bool, err error) {
	r := row{Challenge: Challenge{Subject: subject, Method: methodRecovery}}
	r.Decoy = !known
	lockName := string(subject) + "/recovery"
	locked := false
	err = v.cfg.Store.Update(ctx, tenant, func(tx Tx) (err error) {
		if locked, err = countIn(ctx, tx, lockName, r); err != nil || locked {
			return err
		}
		sets, err := recoverySets(ctx, tx, subject)
		if err != nil {
			return err
		}
		if _, err = bookAuthenticators(ctx, tx, r, sets); err != nil {
			return err
		}
		return entry(ctx, tx, r, "challenge.tried", nil)
	})
	if err != nil {
		return "", false, err
	}
	err = v.cfg.Store.Update(context.WithoutCancel(ctx), tenant, func(tx Tx) error {
		id, ok = "", false
		sets, err := recoverySets(ctx, tx, subject)
		if err != nil {
			return err
		}
		var one ringfence.Authenticator
		if len(sets) > 0 {
			one = sets[0]
		}
		left, fits := spend(one.Secret)
		if !fits || locked || !known {
			return entry(ctx, tx, r, "challenge.failed", nil)
		}
		if err := setAuthenticator(ctx, tx, one.ID, func(a *ringfence.Authenticator) { a.Secret, a.Failures = left, a.Failures-1 }); err != nil {
			return err
		}
		_, version, err := load[lock](ctx, tx, KindLock, lockName)
		if err != nil {
			return err
		}
		if err := save(ctx, tx, KindLock, lockName, version, keyOf(r), lock{}); err != nil {
			return err
		}
		id, ok = one.ID, true
		return entry(ctx, tx, r, "authenticator.changed", map[string]string{"what": "recovery code used", "authenticator": string(one.ID)})
	})
	return id, ok && err == nil, err
}

// recoverySets lists the active sets of recovery codes; there is one at most.
func recoverySets(ctx context.Context, tx Tx, subject ringfence.SubjectID) ([]ringfence.Authenticator, error) {
	all, err := bySubject[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, subject)
	return active(all, ringfence.AuthRecovery), err
}
