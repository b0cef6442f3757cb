package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/proofing"
)

// joinProofing joins who collects proofs of identity with who judges them.
func (a *app) joinProofing() (*proofing.Desk, error) {
	var provider proofing.Provider
	if c := a.cfg.Verify.Proofing; c.On() {
		key, err := os.ReadFile(c.Key)
		if err != nil {
			return nil, fmt.Errorf("verify.proofing.key: %w", err)
		}
		if provider, err = proofing.NewHTTP(proofing.HTTPConfig{Name: c.Name, URL: c.URL, Token: ringfence.Secret(c.Token.Reveal()), Key: key,
			Audience: c.Audience, Timeout: c.Timeout}); err != nil {
			return nil, fmt.Errorf("verify.proofing: %w", err)
		}
	}
	return proofing.NewDesk(a.verify.verifier, a.judgeProofing, provider)
}

// judgeProofing asks the gate whose identity a release needs, and whether these
// members of staff may witness it.
func (a *app) judgeProofing(ctx context.Context, tx verify.Tx, tenant ringfence.TenantID, release ringfence.ReleaseID, signed []verify.Signature) (proofing.Matter, error) {
	var r gate.Release
	var err error
	if len(signed) == 0 {
		r, err = a.gate.Proofing(ctx, tx, release)
	} else {
		var sigs []gate.Signature
		for _, s := range signed {
			assertion, err := json.Marshal(s)
			if err != nil {
				return proofing.Matter{}, err
			}
			sigs = append(sigs, gate.Signature{Person: s.Person, Authenticator: s.Authenticator, Assertion: assertion})
		}
		r, err = a.gate.Witnessed(ctx, tx, tenant, release, sigs...)
	}
	if err != nil {
		return proofing.Matter{}, err
	}
	s, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(r.Proves))
	return proofing.Matter{Subject: r.Proves, Release: r.ID, Digest: r.Digest, Says: r.Says, Fields: r.Fields,
		Record: gate.Papers(a.shelf.Policy(tenant), s)}, err
}
