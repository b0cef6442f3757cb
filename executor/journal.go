package executor

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
)

// Step is how far a release has come here. The words are stored and never
// renamed.
type Step string

// The steps, in order. Each is durable before the next thing is done.
const (
	StepPermitted Step = "permitted" // a permit was verified; about to redeem it
	StepRedeemed  Step = "redeemed"  // the action is ours to do; nothing was begun
	StepActing    Step = "acting"    // Perform was called, or is about to be
	StepActed     Step = "acted"     // the outcome is known, or known to be unknown
	StepReported  Step = "reported"  // ringfence knows it too
	StepDropped   Step = "dropped"   // the permit was refused: nothing was or will be done with it
)

// Outcome is what came of an action. The zero Outcome is no report.
type Outcome string

// The outcomes, as ringfence takes them.
const (
	Executed Outcome = "executed"
	Failed   Outcome = "failed"  // certainly not done
	Unknown  Outcome = "unknown" // a person finds out
)

func (o Outcome) valid() bool { return o == Executed || o == Failed || o == Unknown }

// Record is one line of the journal.
type Record struct {
	Release ringfence.ReleaseID `json:"release"`
	Permit  ringfence.PermitID  `json:"permit"`
	Step    Step                `json:"step"`
	At      time.Time           `json:"at"`
	Type    string              `json:"type,omitempty"`
	Digest  ringfence.Digest    `json:"digest"`
	Outcome Outcome             `json:"outcome,omitempty"`
	Why     string              `json:"why,omitempty"` // of a drop or a failure; no field of an action
	// Token stands in permitted, Action from redeemed to acting, so that a
	// crash loses neither.
	Token  string  `json:"token,omitempty"`
	Action *Action `json:"action,omitempty"`
	// Index and Head are the witness that the permit brought.
	Index int64  `json:"ledger_index,omitempty"`
	Head  string `json:"ledger_head,omitempty"`
}

// Journal keeps records. It belongs to one Client at a time.
type Journal interface {
	// Append makes r durable before it returns nil. After an error nothing may
	// be taken for written, and every later Append must fail as well.
	Append(ctx context.Context, r Record) error
	// Last returns the newest record of a release, false when there is none.
	Last(ctx context.Context, id ringfence.ReleaseID) (Record, bool, error)
	// Unsettled returns the newest record of each release that is neither
	// reported nor dropped.
	Unsettled(ctx context.Context) ([]Record, error)
}

// Line is one line of a journal as ringfence reconciles it: one per release
// that was acted on, with no field of the action in it.
type Line struct {
	Release ringfence.ReleaseID `json:"release"`
	Permit  ringfence.PermitID  `json:"permit"`
	Digest  ringfence.Digest    `json:"digest"`
	Type    string              `json:"type"`
	Outcome Outcome             `json:"outcome"`
	At      time.Time           `json:"at"`
}

// line turns a record into what reconciliation reads; false for a step that
// tells of no act.
func (r Record) line() (Line, bool) {
	if r.Step != StepActed {
		return Line{}, false
	}
	return Line{Release: r.Release, Permit: r.Permit, Digest: r.Digest, Type: r.Type, Outcome: r.Outcome, At: r.At}, true
}
