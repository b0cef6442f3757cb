// Package gate lets actions go, and is the only room that can. It reads
// evidence, approvals, holds and its own records, asks the policy, moves a
// release through its states, and mints the one-time permit with which an
// executor performs exactly that action once.
//
//	pending_evidence → pending_approval → cooling → ready → permitted → redeemed → executed
//	                                                                              → exec_failed
//	                                                                              → exec_unknown → reconciled
//	before redeemed → denied, cancelled, expired, invalidated, held
//	held → denied, pending_evidence, pending_approval
//
// Four rules a reader can hold the code to:
//
//   - Decide is pure, and its zero Verdict refuses.
//   - Every move is a compare-and-set with its ledger entry in the same
//     transaction, and its guard is judged again inside that transaction.
//   - The class, known payees and mandates come from the gate's own records,
//     never from whoever asks.
//   - A refusal is a Verdict, not an error. An error means that we could not
//     find out, or that the request makes no sense where the release stands;
//     in both cases nothing was let go.
//
// It refuses to write evidence, to place a call, to send a message, and to
// give a permit to anybody but the executor of the action.
package gate
