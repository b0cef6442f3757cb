package runner

import "github.com/ringfence/ringfence"

// claims tells a leg whose it is, if it can be told: its call record is then
// found beside the traversal's entries.
func (t *traversal) claims(leg Leg) {
	if l, ok := leg.(interface{ Belongs(ringfence.TraversalID) }); ok {
		l.Belongs(t.id)
	}
}
