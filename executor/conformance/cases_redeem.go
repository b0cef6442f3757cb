package conformance

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

func keyBytes(pub any) []byte {
	k, _ := pub.(ed25519.PublicKey) // the gateway's own
	return k
}

// badRedemption makes a case of a redemption on which nobody may act.
func badRedemption(name, what string, spoil func(k *Kit, r *release)) testCase {
	return testCase{name, what, nothing, func(ctx context.Context, k *Kit) error {
		r := k.good()
		spoil(k, r)
		if err := k.offer(ctx, r); err != nil {
			return err
		}
		if err := k.wait(ctx, "a redemption", func() bool { return len(r.seen().redeems) > 0 }); err != nil {
			return err
		}
		return k.nothingDone(ctx, r)
	}}
}

func refusing(status int, kind string) func(*Kit, *release) {
	return func(k *Kit, r *release) {
		r.redeem = func(w http.ResponseWriter, _ int) bool {
			k.gate.withdraw(r)
			refuse(w, status, kind)
			return true
		}
	}
}

// says replaces parts of the redemption's answer.
func says(change map[string]any) func(*Kit, *release) {
	return func(_ *Kit, r *release) {
		r.body = func() map[string]any {
			body := map[string]any{"permit": r.permit, "release": r.id, "type": r.typ, "canonical": r.canonical, "digest": r.digest}
			maps.Copy(body, change)
			return body
		}
	}
}

// permits makes the permit and the redemption agree on a canonical text, so
// that only who reads that text sees what is wrong with it.
func permits(r *release, canonical string) {
	r.canonical, r.digest = canonical, digestOf(canonical)
	r.claims["digest"] = r.digest
}

func redemptionCases() []testCase {
	return []testCase{
		badRedemption("redeemed before", "does nothing when the redemption is a conflict", refusing(http.StatusConflict, "conflict")),
		badRedemption("too late", "does nothing when the permit has expired at the gate", refusing(http.StatusGone, "expired")),
		badRedemption("held", "does nothing when the release was stopped meanwhile", refusing(http.StatusConflict, "held")),
		badRedemption("forbidden", "does nothing when it is not its to redeem", refusing(http.StatusForbidden, "forbidden")),
		badRedemption("altered body", "compares the digest of the action with the permit's", func(k *Kit, r *release) {
			forged := strings.Replace(r.canonical, `"fields":{`, `"fields":{"zz_added":"1",`, 1)
			says(map[string]any{"canonical": forged})(k, r)
		}),
		badRedemption("altered body and digest", "believes the permit's digest, not the answer's", func(k *Kit, r *release) {
			forged := strings.Replace(r.canonical, `"v":1`, `"v":1 `, 1)
			says(map[string]any{"canonical": forged, "digest": digestOf(forged)})(k, r)
		}),
		badRedemption("action of another release", "wants the action of the release that it asked for", func(k *Kit, r *release) {
			text, _ := canonical(k.target.Tenant, ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease), r.typ, r.fields)
			permits(r, text)
		}),
		badRedemption("action of another tenant", "wants the action of its own tenant", func(_ *Kit, r *release) {
			text, _ := canonical("ten_00000000000000000000000000", r.id, r.typ, r.fields)
			permits(r, text)
		}),
		badRedemption("action of another type", "wants the type that was permitted", func(k *Kit, r *release) {
			text, _ := canonical(k.target.Tenant, r.id, "limit_removal", r.fields)
			permits(r, text)
		}),
		badRedemption("two readings", "refuses an action in which a name stands twice", func(_ *Kit, r *release) {
			permits(r, strings.Replace(r.canonical, `"v":1`, `"type":"`+r.typ+`","v":1`, 1))
		}),
		badRedemption("not an object", "survives an action that is no object", func(_ *Kit, r *release) { permits(r, `["payment"]`) }),
		badRedemption("empty answer", "does nothing on an answer without an action", func(_ *Kit, r *release) {
			r.body = func() map[string]any { return map[string]any{} }
		}),
		badRedemption("endless redemption", "does not read 64 MiB of answer", func(k *Kit, r *release) {
			r.redeem = func(w http.ResponseWriter, _ int) bool { k.gate.withdraw(r); flood(w); return true }
		}),
		{"answer in doubt", "asks again with the same key after 503, and acts once", nothing, inDoubt(func(w http.ResponseWriter) {
			refuse(w, http.StatusServiceUnavailable, "in-doubt")
		})},
		{"answer lost", "asks again with the same key when the line is cut, and acts once", nothing, inDoubt(cut)},
		{"broken answer", "asks again with the same key after 500, and acts once", nothing, inDoubt(func(w http.ResponseWriter) {
			refuse(w, http.StatusInternalServerError, "internal")
		})},
		{"crash between redeem and act", "after a restart asks again, or finds out, and acts at most once", aRestart, crashAfterRedeem},
	}
}

// inDoubt answers the first redemption in a way that leaves its outcome open.
func inDoubt(first func(http.ResponseWriter)) func(context.Context, *Kit) error {
	return func(ctx context.Context, k *Kit) error {
		r := k.good()
		r.redeem = func(w http.ResponseWriter, n int) bool {
			if n > 1 {
				return false
			}
			r.mu.Lock()
			r.redeemed, r.offered = true, false // done here, and nobody was told
			r.mu.Unlock()
			first(w)
			return true
		}
		if err := k.offer(ctx, r); err != nil {
			return err
		}
		if err := k.done(ctx, r, executor.Executed); err != nil {
			return err
		}
		return r.sameKey()
	}
}

// sameKey wants all redemptions under one Idempotency-Key, and more than one.
func (r *release) sameKey() error {
	s := r.seen()
	if len(s.redeems) < 2 {
		return errors.New("it acts without having been answered")
	}
	for _, key := range s.redeems {
		if key != s.redeems[0] {
			return errors.New("it asks again under a new Idempotency-Key")
		}
	}
	return nil
}

// crashAfterRedeem kills the executor when its redemption is done and its
// answer is not yet sent.
func crashAfterRedeem(ctx context.Context, k *Kit) error {
	r := k.good()
	var restarted error
	r.redeem = func(w http.ResponseWriter, n int) bool {
		if n > 1 {
			return false
		}
		r.mu.Lock()
		r.redeemed, r.offered = true, false
		r.mu.Unlock()
		restarted = k.target.Restart(ctx)
		cut(w)
		return true
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	if err := k.wait(ctx, "a report after the restart", func() bool { return len(r.seen().reports) > 0 }); err != nil {
		return errors.Join(err, restarted)
	}
	acts, err := k.acts(ctx, r.id)
	if err != nil {
		return err
	}
	if len(acts) > 1 {
		return fmt.Errorf("its journal has %d acts for this release", len(acts))
	}
	return nil
}
