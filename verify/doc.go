// Package verify asks for proof and counts the answers. It is the only room
// that writes ringfence.Evidence.
//
// Vocabulary, in order of need:
//
//   - Challenge: one request for proof by one Method, of one subject, for one
//     action or none. Durable before anything leaves the house.
//   - Chain: the challenges of one method for one release (or, without one,
//     one traversal). A resend supersedes; the tries carry over.
//   - Lock: the failures of one subject in one Tier. Success clears only its
//     own tier, so attempts by a stranger never lock the owner out of a path
//     that asks for more.
//   - Decoy: a challenge for a subject that does not exist or is locked. It
//     takes the same steps and the same work and is never satisfied.
//   - Alarm: a row that the gate reads when it decides: somebody said "it was
//     not me", a leg was diverted, a duress PIN was keyed, a passkey was cloned.
//
// The picture a newcomer needs:
//
//	created ─▶ issued ─▶ presented ─▶ satisfied | failed | expired | cancelled |
//	                                  superseded | undeliverable | diverted |
//	                                  rejected | duress          (all final)
//
//	Submit:  [count the try]  ─▶  compare  ─▶  [satisfied + one Evidence row]
//	          transaction         no store       transaction
//
// A crash between the brackets costs a try and never grants one. A wrong
// answer is a Result, not an error; an error means that verify could not find
// out, and so no.
//
// It refuses to choose a method, a destination it was not given by id, or a
// policy; it never returns, logs or stores a code in clear.
package verify
