// Package ledger is the append-only audit record, and the one transaction in
// which everything that must be true together becomes true.
//
// Vocabulary, in order of need:
//
//   - Entry: one thing that happened, of a closed set of kinds.
//   - Tx: one durable transaction of one tenant. What it puts and what it
//     appends is there after a crash, or none of it is.
//   - Record: a versioned row of a room (a release, a challenge, a contact
//     point), encrypted and authenticated under a key that is not in the
//     store, changed only by compare-and-set.
//   - Log: the Merkle tree over the entries (RFC 6962 hashes, as
//     golang.org/x/mod/sumdb/tlog computes them), one a tenant.
//   - Checkpoint: a signed note over size and root of the log, as C2SP
//     tlog-checkpoint defines it; copies of it are kept elsewhere.
//
// The ledger judges nothing and hides nothing: an entry carries no secret, no
// full telephone number and no field of an action, only its digest.
package ledger
