package gate

import (
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// State is where a release stands. The words are stored and never renamed.
type State string

// The states.
const (
	StatePendingEvidence State = "pending_evidence"
	StatePendingApproval State = "pending_approval"
	StateCooling         State = "cooling"
	StateReady           State = "ready"
	StatePermitted       State = "permitted"
	StateRedeemed        State = "redeemed"
	StateExecuted        State = "executed"
	StateExecFailed      State = "exec_failed"
	StateExecUnknown     State = "exec_unknown"
	StateReconciled      State = "reconciled"
	StateDenied          State = "denied"
	StateInvalidated     State = "invalidated"
	StateCancelled       State = "cancelled"
	StateExpired         State = "expired"
	StateHeld            State = "held"
)

// moves is the state machine; what does not stand here does not happen.
var moves = map[State][]State{
	"":                   {StatePendingEvidence, StateDenied},
	StatePendingEvidence: {StatePendingApproval, StateInvalidated, StateCancelled, StateExpired, StateHeld, StateDenied},
	StatePendingApproval: {StateCooling, StatePendingEvidence, StateInvalidated, StateCancelled, StateExpired, StateHeld},
	StateCooling:         {StateReady, StatePendingEvidence, StateInvalidated, StateCancelled, StateExpired, StateHeld},
	StateReady:           {StatePermitted, StatePendingEvidence, StateInvalidated, StateCancelled, StateExpired, StateHeld},
	StatePermitted:       {StateRedeemed, StateReady, StateInvalidated, StateCancelled, StateExpired, StateHeld},
	StateRedeemed:        {StateExecuted, StateExecFailed, StateExecUnknown},
	StateExecUnknown:     {StateReconciled},
	StateHeld:            {StateDenied, StatePendingEvidence, StatePendingApproval, StateCancelled, StateExpired, StateInvalidated},
}

// events is the ledger's word for each move, by where it leads.
var events = map[State]ledger.Event{
	StatePendingEvidence: "release.evaluated",
	StatePendingApproval: "approval.asked",
	StateCooling:         "release.cooling",
	StateReady:           "release.ready",
	StatePermitted:       "release.permitted",
	StateRedeemed:        "release.redeemed",
	StateExecuted:        "release.executed",
	StateExecFailed:      "release.failed",
	StateExecUnknown:     "release.unknown",
	StateReconciled:      "release.reconciled",
	StateDenied:          "release.denied",
	StateInvalidated:     "release.invalidated",
	StateCancelled:       "release.cancelled",
	StateExpired:         "release.expired",
	StateHeld:            "release.held",
}

// Final reports whether nothing follows.
func (s State) Final() bool { return len(moves[s]) == 0 }

// BeforeRedeemed reports whether the action can still be stopped.
func (s State) BeforeRedeemed() bool {
	switch s {
	case StatePendingEvidence, StatePendingApproval, StateCooling, StateReady, StatePermitted, StateHeld:
		return true
	default:
		return false
	}
}

// Actor is who asked for something: a member of staff, a client of the API,
// or a flow on a call. The zero Actor is nobody and may ask nothing.
type Actor struct {
	Person ringfence.PersonID `json:"person,omitempty"`
	Client string             `json:"client,omitempty"`
	Flow   string             `json:"flow,omitempty"`
	// Maker is the member of staff who made the client and was shown its
	// credential: what it asks, they may have asked.
	Maker ringfence.PersonID `json:"maker,omitempty"`
}

// Knows reports whether a person is the actor, or holds its credential.
func (a Actor) Knows(person ringfence.PersonID) bool {
	return person != "" && (person == a.Person || person == a.Maker)
}

// Zero reports whether a is nobody.
func (a Actor) Zero() bool { return a == Actor{} }

// AskedBy is how the request reached us. Values other than these are refused.
type AskedBy string

// The ways a request comes. E-mail and letter raise the class by one step.
const (
	AskedUnsaid AskedBy = ""
	AskedPhone  AskedBy = "phone"
	AskedPerson AskedBy = "in_person"
	AskedEmail  AskedBy = "email"
	AskedLetter AskedBy = "letter"
)

// Hold is a stop by time or event.
type Hold struct {
	ID     ringfence.HoldID `json:"id"`
	Why    string           `json:"why"` // rejected, diverted, cloned, approval_refused, approval_withdrawn, locked, risk, duress
	By     Actor            `json:"by"`
	At     time.Time        `json:"at"`
	Until  time.Time        `json:"until,omitzero"` // zero = until a person lifts it
	Lifted time.Time        `json:"lifted,omitzero"`
	Lifter Actor            `json:"lifter"`
}

// Release is the gate's record for one action, as everybody but roles risk
// and supervisor may see it: duress does not show in it, and under duress what
// follows ready is appearance.
type Release struct {
	ID       ringfence.ReleaseID   `json:"id"`
	Tenant   ringfence.TenantID    `json:"tenant"`
	Version  int64                 `json:"version"`
	State    State                 `json:"state"`
	Type     string                `json:"type"`
	Says     string                `json:"says"`
	Subject  ringfence.SubjectID   `json:"subject"`
	Kind     ringfence.SubjectKind `json:"kind"`
	Proves   ringfence.SubjectID   `json:"proves"` // whose evidence counts: the subject, or who acts for it under a mandate
	Fields   map[string]string     `json:"fields"` // canonical text, in the policy's types
	Flags    []string              `json:"flags,omitempty"`
	Nonce    string                `json:"nonce"` // 128 bits in hexadecimal
	Digest   ringfence.Digest      `json:"digest"`
	Class    ringfence.Class       `json:"class"` // as last judged
	Executor string                `json:"executor,omitempty"`

	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	Opener    Actor                 `json:"opener"`
	AskedBy   AskedBy               `json:"asked_by,omitempty"`
	Policy    ringfence.Digest      `json:"policy"` // hash of the policy it was opened under
	Bundle    ringfence.Digest      `json:"bundle"`
	Waivers   []string              `json:"waivers,omitempty"` // in effect when last judged, in words

	RequestedAt time.Time `json:"requested_at"`
	AskedAt     time.Time `json:"asked_at,omitzero"` // when release was asked for
	CoolingAt   time.Time `json:"cooling_at,omitzero"`
	HoldUntil   time.Time `json:"hold_until,omitzero"`
	ReadyAt     time.Time `json:"ready_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at"`
	ChangedAt   time.Time `json:"changed_at"`

	Evidence     []ringfence.EvidenceID `json:"evidence,omitempty"` // frozen set
	EvidenceHash ringfence.Digest       `json:"evidence_hash"`
	Approvals    policy.Approvals       `json:"approvals"` // who must agree, as last judged; Count 0 = that group may, and nobody has to
	Holds        []Hold                 `json:"holds,omitempty"`
	Permit       ringfence.PermitID     `json:"permit,omitempty"` // the last one
	Permits      int                    `json:"permits"`          // minted so far
	PermitUntil  time.Time              `json:"permit_until,omitzero"`
	Why          string                 `json:"why,omitempty"` // one sentence: why it stands where it stands
	// Signals are what was last said about the subject's numbers, the account
	// and the call, by whom and when.
	Signals []ringfence.Signal `json:"signals,omitempty"`
	Reasons []policy.Reason    `json:"reasons,omitempty"`
	Missing []ringfence.Fact   `json:"missing,omitempty"`
}

// row is a release as stored.
type row struct {
	Release
	Duress bool `json:"duress,omitempty"` // no permit, ever
	// Stood is where a release under duress stands in truth while State goes on
	// in appearance; "" = State is the truth.
	Stood State `json:"stood,omitempty"`
	// Seems are rows of the directory as a release under duress shows them.
	Seems    []ledger.Record `json:"seems,omitempty"`
	Pace     *pace           `json:"pace,omitempty"` // nil = not known yet
	HeldFrom State           `json:"held_from,omitempty"`
	Handled  []string        `json:"handled,omitempty"` // alarms that became holds
	Bad      map[string]bool `json:"bad,omitempty"`     // signals that were once bad stay bad
	// Enrols is the pending authenticator that the action makes count.
	Enrols ringfence.AuthenticatorID `json:"enrols,omitempty"`
	// Disowned reports that the subject said, too late to stop it, that they did
	// not ask for it.
	Disowned bool `json:"disowned,omitempty"`
	// Spent is when it was redeemed.
	Spent time.Time `json:"spent,omitzero"`
	// Barred is why the action will fail when it would be done.
	Barred string `json:"barred,omitempty"`

	pending *ringfence.Authenticator // to be stored with the row
}

// public returns what everybody may see: a hold for duress is left out.
func (r row) public() Release {
	out := r.Release
	out.Holds = nil
	for _, h := range r.Holds {
		if h.Why != alarmDuress {
			out.Holds = append(out.Holds, h)
		}
	}
	return out
}

// keys are the look-up values of a release.
func (r row) keys() map[string]string {
	k := map[string]string{"state": string(r.State), "subject": string(r.Subject), "window": windowKey(r.Subject, r.Type)}
	if r.Traversal != "" {
		k["traversal"] = string(r.Traversal)
	}
	if r.State == StateReady && !r.Duress && r.Executor != "" {
		k["ready"] = r.Executor
	}
	if r.Duress {
		k["duress"] = "yes"
	}
	if at := r.spent(); !at.IsZero() {
		k["spent"] = spentKey(k["window"], at)
	} else if r.State.BeforeRedeemed() {
		k["open"] = k["window"]
	}
	if len(r.Seems) > 0 {
		k["seems"] = string(r.Subject)
	}
	return k
}

func windowKey(subject ringfence.SubjectID, action string) string {
	return string(subject) + "\x00" + action
}
