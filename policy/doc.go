// Package policy says what each action, each spoken field and each queue
// needs, and judges a case by it. It is pure: it reads no clock, no store and
// no network, and the same case always gets the same answer.
//
//	policy.yaml ──Load──▶ Policy ──Evaluate(Case)──▶ Answer
//	                         │
//	                         └──Diff(old, new)──▶ looser / stricter, in sentences
//
// Two rules hold everywhere. More proof never hurts: needs, extras, lanes,
// approvals, holds and ages only ever ask for more, so a set of proofs that is
// enough stays enough when one is added. And what is not written is not
// allowed: an unlisted action, field or queue is refused, and the zero Answer
// refuses.
//
// A policy may exceed the floors of its classes but not go under: Load
// enumerates every minimal set of proofs and refuses the file when one of them
// contains no set of its class's row.
package policy
