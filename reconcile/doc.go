// Package reconcile compares what an executor says it did with what it was
// allowed to do. It is the net under everything else: a change that no release
// stands behind is found here, however it was made.
//
//   - Line: one act, as the executor's journal has it.
//   - Fact: one redeemed release, as our log has it.
//   - Finding: where the two differ, and how grave that is.
//
// The package decides nothing and changes nothing. Both sides come from what
// cannot be edited unseen: the journal that the executor keeps, and the log.
package reconcile
