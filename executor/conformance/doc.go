// Package conformance asks an executor questions that a real ringfence asks
// only on its worst day: a permit of somebody else, an answer that was lost,
// an action that was altered on the way, the same release twice.
//
// It plays ringfence on an address of its own. The executor under test is
// pointed at that address as it would be at the real one, and shows in its
// journal what it did; the kit compares that with what it was allowed to do.
//
//   - Target: the executor under test, and how to reach it.
//   - Gateway: the ringfence that the kit plays.
//   - Case: one question. Each good case must end in exactly one act, each bad
//     one in none, and after each the executor must still do a good release.
//
// The kit moves no money by itself: use it on a test system.
package conformance
