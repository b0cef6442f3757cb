package flows

import (
	"crypto/sha256"
	"slices"

	"github.com/ringfence/ringfence/policy"
)

// ApprovalMessage is the 32 bytes that a person signs to let a bundle go live:
// SHA-256("ringfence/bundle/v1" ‖ 0x00 ‖ hash of the bundle).
func ApprovalMessage(bundle [32]byte) [32]byte {
	return sha256.Sum256(append([]byte("ringfence/bundle/v1\x00"), bundle[:]...))
}

// Looser returns the changes that ask for a signature of role risk.
func Looser(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return !c.Looser })
}

// PolicyLooser reports that the policy of the new bundle lets go of something
// that the policy of the old one holds; texts are not looked at. A nil bundle
// allows nothing.
func PolicyLooser(old, new *Bundle) bool {
	var before, after *policy.Policy
	if old != nil {
		before = old.pol
	}
	if new != nil {
		after = new.pol
	}
	return slices.ContainsFunc(policy.Diff(before, after), func(c policy.Change) bool { return c.Looser })
}
