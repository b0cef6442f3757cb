package web

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
)

// The errors with which an implementation of Calls refuses. Any other error
// means that it could not find out.
var (
	// ErrNoCall: there is no such live traversal, or it is not this person's.
	ErrNoCall = errors.New("web: no such call")
	// ErrBusy: a console flow runs already, or the call is not in a state in
	// which this can be done.
	ErrBusy = errors.New("web: call is busy")
	// ErrUnknownFlow: there is no console flow of that name.
	ErrUnknownFlow = errors.New("web: no such console flow")
	// ErrWrongCode: no waiting call was whispered these digits.
	ErrWrongCode = errors.New("web: no waiting call has this code")
)

// Calls is how the console reaches live traversals. The runner implements it
// through cmd. Its methods may be called from any goroutine and do not block
// on a caller; every command checks the owner again.
type Calls interface {
	Board
	Desk
}

// Board shows the live traversals of a tenant.
type Board interface {
	// Live returns every live traversal; the slices in it are not changed
	// afterwards.
	Live(ringfence.TenantID) []ringfence.LiveCall
	// Watch returns a channel that holds a value whenever Live may have changed
	// since the last receive, and a function that ends the watch.
	Watch(ringfence.TenantID) (changed <-chan struct{}, stop func())
	// Placed reports whether the reference (8 characters, upper case, without
	// blanks) is that of a call WE placed within 30 days, and when.
	// Confirm is Placed for whoever was rung: it asks for the last four digits of
	// the number that rang, and forgets the call 15 minutes after its end.
	Confirm(ctx context.Context, tenant ringfence.TenantID, reference, tail string) (at time.Time, ours bool, err error)
	Placed(ctx context.Context, tenant ringfence.TenantID, reference string) (at time.Time, ours bool, err error)
}

// Desk takes what a person does with a live traversal. The person is known to
// be signed in and to hold the role; that the call is theirs is checked here.
type Desk interface {
	// Take makes the person owner of the call whose whispered digits these are.
	Take(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, code string) (ringfence.TraversalID, error)
	// StepUp starts a console flow for a release, or for none.
	StepUp(ctx context.Context, s StepUp) error
	// CancelStepUp ends the console flow that runs and puts the caller back.
	CancelStepUp(ctx context.Context, who Act) error
	// Identify says whom the caller claims to be, by an identifying field: a
	// claim by the agent, never a proof. All evidence about another subject is
	// void after it. A claim that names nobody is taken like any other, so that
	// an agent cannot be asked who is a customer (invariant 23).
	Identify(ctx context.Context, who Act, claim Claim) error
	// HandOver makes a colleague the owner, with all evidence and releases.
	HandOver(ctx context.Context, who Act, to ringfence.PersonID) error
	// HangUp ends the agent's part of the call.
	HangUp(ctx context.Context, who Act) error
	// Pressure tells risk and supervisors, silently, that the agent acts under
	// pressure: nothing visible changes, nothing of this call executes.
	Pressure(ctx context.Context, who Act) error
	// Pretend opens an action about the person of a call who is not on file, as
	// if they were and had proved nothing: an agent is not told who is a customer
	// (invariant 23). Pretended is such an action by its id, cancelled or held
	// before unless to is ""; gate.ErrNotFound for any other.
	Pretend(ctx context.Context, who Act, q gate.OpenRequest) (gate.Release, gate.Verdict, error)
	Pretended(ctx context.Context, who Act, id ringfence.ReleaseID, to gate.State) (gate.Release, gate.Verdict, error)
	// Report raises an alert about the call with the words of whoever has it,
	// or had it: also after its end.
	Report(ctx context.Context, who Act, text string) error
}

// Act names who does something to which call. Supervisor tells that the person
// holds that role and acts on a call of somebody else.
type Act struct {
	Tenant     ringfence.TenantID
	By         ringfence.PersonID
	Traversal  ringfence.TraversalID
	Supervisor bool
}

// StepUp asks for a console flow on a live call.
type StepUp struct {
	Act
	Flow    string
	Release ringfence.ReleaseID
}

// Claim is whom a caller says they are.
type Claim struct {
	Kind         ringfence.SubjectKind
	Field, Value string
}
