package ledger

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence"
)

// Entry is one thing that happened. Its JSON, exactly as stored, is the leaf
// of the Merkle tree; a field is never renamed or removed.
type Entry struct {
	Index     int64                 `json:"index"`
	Tenant    ringfence.TenantID    `json:"tenant"`
	At        time.Time             `json:"at"`
	Event     Event                 `json:"event"`
	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	Leg       ringfence.LegID       `json:"leg,omitempty"`
	Subject   ringfence.SubjectID   `json:"subject,omitempty"`
	Release   ringfence.ReleaseID   `json:"release,omitempty"`
	Challenge ringfence.ChallengeID `json:"challenge,omitempty"`
	Person    ringfence.PersonID    `json:"person,omitempty"` // staff who did it
	Client    string                `json:"client,omitempty"` // service account or executor that did it
	// Object is the id of any other record that the entry is about.
	Object string `json:"object,omitempty"`
	// Data holds what else is to be known, as a flat object of strings. It
	// carries no secret, no full number and no field of an action.
	Data map[string]string `json:"data,omitempty"`
}

// Leaf returns the bytes that are hashed into the tree.
func (e Entry) Leaf() ([]byte, error) {
	e.At = e.At.UTC()
	return json.Marshal(e)
}

// Event is what an entry tells; the set is closed and no word is ever renamed.
type Event string

// Valid reports whether e is one of the closed set.
func (e Event) Valid() bool { return events[e] }

var events = func() map[Event]bool {
	set := map[Event]bool{}
	for group, words := range map[string][]string{
		"traversal":     {"began", "identified", "suspended", "resumed", "owned", "transferred", "supervised", "ended"},
		"leg":           {"placed", "answered", "diverted", "ended"},
		"stir":          {"verified"},
		"challenge":     {"created", "issued", "presented", "tried", "satisfied", "failed", "expired", "rejected", "superseded", "cancelled", "undeliverable", "diverted"},
		"hold":          {"placed", "lifted"},
		"alert":         {"raised", "acknowledged"},
		"epoch":         {"signed"},
		"subject":       {"erased"},
		"drill":         {"sealed", "started", "ended"},
		"replay":        {"run"},
		"clock":         {"frozen", "confirmed"},
		"release":       {"requested", "evaluated", "held", "cooling", "ready", "permitted", "redeemed", "executed", "failed", "unknown", "reconciled", "invalidated", "cancelled", "expired", "denied"},
		"approval":      {"asked", "given", "refused", "withdrawn"},
		"contact_point": {"added", "changed", "verified", "suspended", "removed"},
		"authenticator": {"added", "changed", "suspended", "disabled", "removed"},
		"mandate":       {"added", "changed", "removed"},
		"reference":     {"imported", "added", "changed", "removed"},
		"person":        {"invited", "added", "changed", "bound", "confirmed", "unconfirmed", "reset_asked", "reset_dropped", "reset", "suspended", "removed", "signed_in", "signed_out"},
		"policy":        {"published", "rolled_back", "waived"},
		"config":        {"changed"},
		"key":           {"used", "rotated"},
		"recording":     {"started", "gap", "ended", "played", "exported", "deleted"},
		"capture":       {"shown", "exported"},
		"signal":        {"observed"},
		"checkpoint":    {"signed"},
	} {
		for _, w := range words {
			set[Event(group+"."+w)] = true
		}
	}
	return set
}()
