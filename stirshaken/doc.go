// Package stirshaken checks and makes the signatures that telephone networks
// put on calls: PASSporTs (RFC 8225) in SIP Identity header fields (RFC 8224),
// of the types shaken (RFC 8588), div (RFC 8946) and rcd (RFC 9795). It is a
// library of its own: it imports no SIP stack, no HTTP server and no database.
//
//	Identity, From, PAI, To, Date ─▶ Verifier.Verify ─▶ Verdict ─▶ Signal, Reason, verstat
//	                                      │
//	       parse ─▶ time ─▶ binding ─▶ certificate (cache, x5u) ─▶ signature ─▶ replay mark
//	       cheap checks first; nothing is fetched for a header that fails one
//
// A verification service (Verifier) answers with a Verdict: a bad PASSporT is
// a result with its own Reason, never an error. Zero values refuse: a zero
// Verdict attests nothing, a Verifier without trust anchors trusts nobody, an
// empty Reason reads as an internal failure.
//
// An authentication service (Signer) emits the deterministic bytes of RFC
// 8225, section 9, and refuses what it must not sign.
//
// What it does not do: it decides nothing about a call. Attestation says which
// network vouches for a number; it never says who is speaking. The verdict
// leaves as a ringfence.Signal of three values, and a gate alone decides.
//
// Words: a PASSporT is the signed token; its info parameter and x5u name the
// certificate; the certificate's TNAuthList is its scope (which provider codes
// or numbers it may sign for); the trust list is the set of roots of the
// policy administrator (STI-PA); verstat is a carrier's own verdict in a tel
// URI parameter.
package stirshaken
