// Package executor is the other end of the gate: what a bank's core system or
// an ERP needs to do exactly what was released, once, and to be able to prove
// it. It is a library for integrators and depends on nothing else of
// ringfence but its words.
//
//	Ready / Webhook ──▶ Pull permit ──▶ verify (JWKS) ──▶ journal "permitted"
//	      ──▶ Redeem (own key: DPoP or mTLS) ──▶ journal "redeemed"
//	      ──▶ journal "acting" ──▶ System.Perform ──▶ journal "acted" ──▶ Report
//
// Vocabulary, in order of need:
//
//   - Permit: a signed one-time grant for one action and one executor.
//   - Action: what the redemption returned. It is acted on, and no other copy.
//   - System: the integrator's own code that acts.
//   - Journal: what this executor did, durable before each step is taken.
//   - Outcome: executed, failed (certainly not done) or unknown.
//
// A release is acted on at most once, whatever crashes: a step is written down
// and synced before it is taken, and a release that was "acting" when the
// process died is never performed again; the System is asked what became of
// it, and when it does not know, unknown is reported and a person reconciles.
package executor
