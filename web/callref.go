package web

import (
	"time"

	"github.com/ringfence/ringfence"
)

// callEvidence is what a contact centre behind us may learn of a call by the
// reference in the User-to-User of its agent's leg: what has been proved, when
// and of which leg, and who the subject is. It is no permission for anything.
type callEvidence struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Began     time.Time             `json:"began"`
	State     string                `json:"state"`
	Line      string                `json:"line"`
	Attest    ringfence.Attest      `json:"attest"`
	StirSays  string                `json:"stir_says"`
	Subject   ringfence.SubjectID   `json:"subject,omitempty"`
	Evidence  []provedFact          `json:"evidence"`
}

// provedFact is one fact as the console shows it.
type provedFact struct {
	Fact    ringfence.Fact      `json:"fact"`
	Says    string              `json:"says"`
	Good    ringfence.Tri       `json:"good"`
	At      time.Time           `json:"at,omitzero"`
	Release ringfence.ReleaseID `json:"release,omitempty"`
}

// evidenceOf finds the live call of a reference for a service account; nil for
// everybody else, who sees their own calls on the console, and when there is none.
func (s *Server) evidenceOf(p principal, ref string) *callEvidence {
	if p.client.ID == "" {
		return nil
	}
	for _, c := range s.cfg.Calls.Live(p.tenant) {
		if c.Reference != ref {
			continue
		}
		out := &callEvidence{Traversal: c.Traversal, Began: c.Began, State: c.State, Line: c.Line, Attest: c.Attest, StirSays: c.StirSays,
			Subject: c.Subject, Evidence: []provedFact{}}
		for _, e := range c.Evidence {
			out.Evidence = append(out.Evidence, provedFact{Fact: e.Fact, Says: e.Says, Good: e.Good, At: e.At, Release: e.Release})
		}
		return out
	}
	return nil
}
