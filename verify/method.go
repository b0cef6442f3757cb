package verify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ringfence/ringfence"
)

// Method is one way of proving something. It holds no durable state of its
// own: what it must remember stands in the challenge's Private part.
type Method interface {
	Spec() Spec
	// Check compares one answer. It is called once per counted try, outside any
	// transaction, and does the same work whether or not the attempt carries an
	// authenticator. A wrong answer is a Verdict, not an error.
	Check(ctx context.Context, a Attempt) (Verdict, error)
}

// Issuer is a Method that tells or sends something when it is issued.
type Issuer interface {
	Method
	// Prepare chooses codes and links inside the issuing transaction. It may
	// run more than once; the last run counts. For a decoy it does the same
	// work and its message is never sent.
	Prepare(d *Draft) (Issue, error)
}

// Spec is what the core has to know of a method.
type Spec struct {
	Fact ringfence.Fact
	// Strength is how hard the proof is to fake; empty for what proves nothing
	// by itself (confirmed).
	Strength ringfence.Strength
	// Authenticator is the type of authenticator that answers; empty for
	// methods that rest on a contact point or on the leg alone.
	Authenticator ringfence.AuthenticatorType
	// Contact lists the types of contact point the method can use; nil = none.
	Contact []ringfence.ContactType
	// Life is used when a request names none; MaxLife is the hard bound.
	Life, MaxLife time.Duration
	// Calls reports that the method rings the contact point instead of writing
	// to it: the call caps apply, not the message caps.
	Calls bool
	// Presents reports that a satisfied challenge has shown every field of its
	// action to the person reached (invariant 31).
	Presents bool
	// PresentOnSend moves the challenge to presented as soon as its message was
	// handed over, because the message itself shows the action.
	PresentOnSend bool
	// OffLeg methods are answered on a page: a leg in the request is dropped, and
	// their Evidence names none.
	OffLeg bool
	// Quiet methods answer missing for nobody: an absent authenticator runs as a
	// decoy (PIN).
	Quiet bool
	// Uncounted methods do not count in the subject's lock: their codes are
	// fresh for each challenge and the chain bounds the guesses.
	Uncounted bool
}

// Draft is an open challenge inside a transaction, as its own method sees it.
type Draft struct {
	Challenge
	// Private is the method's own JSON: keyed hashes, WebAuthn session data. It
	// never holds a code.
	Private ringfence.Secret
	// Link is the hexadecimal SHA-256 of a link secret under which FindLink
	// finds the challenge; empty = none.
	Link string
	// Contact is the resolved contact point; its zero value for decoys.
	Contact ringfence.ContactPoint
	// Authenticators are the active ones of the method's type; none for decoys.
	Authenticators []ringfence.Authenticator
	Now            time.Time

	proved   func(ringfence.Fact) (bool, error)
	next     State
	why      string
	counted  bool
	presents *bool
}

// Proved reports whether Evidence of the fact exists for the same subject, on
// the same leg, for the same action.
func (d *Draft) Proved(fact ringfence.Fact) (bool, error) { return d.proved(fact) }

// Present moves an issued challenge to presented when the change commits.
func (d *Draft) Present() { d.next = StatePresented }

// CountTry counts one wrong try over the chain in the same transaction, so
// that nobody learns that it was wrong before it is counted; the last one fails
// the challenge. The caller looks at TryLeft first.
func (d *Draft) CountTry() { d.counted = true }

// TryLeft reports whether the chain has a try left.
func (d *Draft) TryLeft() bool { return d.Tries < d.Max }

// End moves the challenge to a final state other than satisfied and duress
// when the change commits.
func (d *Draft) End(s State, why string) {
	if s.Final() && s != StateSatisfied && s != StateDuress {
		d.next, d.why = s, why
	}
}

// Presented sets what the Evidence will say about invariant 31, where the
// method's Spec cannot know it.
func (d *Draft) Presented(whole bool) { d.presents = &whole }

// Issue is what leaves when a challenge is issued.
type Issue struct {
	// Tell is spoken to the caller, on the caller's leg only. Its parts are
	// Secret; it is the only place where a code exists in clear.
	Tell []ringfence.SpeechPart
	// Message, when its Text is set, goes to the draft's contact point.
	Message Message
}

// Format prints an Issue without what it tells.
func (i Issue) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%d parts told, %s by %s}", len(i.Tell), i.Message.Kind, i.Message.Channel)
}

// LogValue keeps what an Issue tells out of structured logs.
func (i Issue) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(i)) }

// Attempt is one counted try.
type Attempt struct {
	Challenge      Challenge
	Private        ringfence.Secret
	Authenticators []ringfence.Authenticator // none for decoys and locked subjects
	Answer         Answer
	Now            time.Time
}

// Verdict is what a comparison found. The zero value is wrong.
type Verdict struct {
	OK     bool
	Duress bool // with OK: the duress PIN
	// Authenticator is the one that answered. Step (TOTP) must be above its
	// LastStep and SignCount (passkey) is stored, both by compare-and-set with
	// the satisfaction.
	Authenticator ringfence.AuthenticatorID
	Step          int64
	SignCount     uint32
	// Secret, when set, replaces the authenticator's secret (a passkey's flags).
	Secret ringfence.Secret
	// Cloned suspends the authenticator and raises an alarm (WebAuthn, section
	// 7.2, step 22); never with OK.
	Cloned     bool
	MustChange bool
}
