// Package tiny has one mutant of each fate for the tests of test/mutate.
package tiny

// Limit is a constant: its mutant is built alone.
const Limit = 2 * 3

// Less is tested at its edge.
func Less(a, b int) bool { return a < b }

// Sum is tested with nothing that tells a sum from a difference.
func Sum(a, b int) int { return a + b }

// Unseen is not tested.
func Unseen(a int) int { return -a }

// Last cannot be told from what its mutant is.
func Last(a int) int {
	if a > 0 {
		return a
	}
	return 0
}
