package flows

import (
	"time"

	"github.com/ringfence/ringfence"
)

// Ref names one thing that the engine waits for. Refs of a State grow and are
// never used twice, so an answer that comes late or twice is known by its Ref
// and ignored. Zero waits for nothing.
type Ref uint32

// LegSlot says which leg of the traversal is meant. Slot 0 is the leg the flow
// runs on (after a hang-up and call back: the new leg); a held callback adds a
// slot for the leg it places, and gives it back when its flow returns.
type LegSlot uint8

// EffectKind says what the runner must do. The comments below are the whole
// contract: what to do, which fields of the Effect count, which Input answers.
//
// Effects of one Step are performed in order. Speech queues: a Speak that
// follows another plays after it. Everything else takes effect at once.
type EffectKind uint8

// The effects.
const (
	NoEffect EffectKind = iota

	// EffLine tells which line is now being played: At, and Text in words for
	// the console. No answer.
	EffLine
	// EffOutcome tells how the line At ended: Outcome, and in Text which way on
	// it took where it has several (then, else, a key of choose). Of a line that
	// ended as ok also what the flow now knows: Value what an ask took
	// (SecretValue for a secret), Payload the record that identify found, Flag
	// whether check proved. For console, coverage and traces. No answer.
	EffOutcome

	// EffPrivate with Flag cuts the leg On both ways from agent, barging
	// supervisor, recorder (marked gap), media fork, SIPREC and HEP; without
	// Flag it joins them again. While a leg is private its keys never become
	// Inputs: they go to the open Collect, or nowhere. No answer.
	EffPrivate

	// EffSpeak plays Speech on leg On after what is queued there. Before
	// rendering, every name in Fields passes the speak guard of the gate; a
	// refusal is answered with InFault. Parts whose Text is a Place* constant
	// are filled by the runner with the code of the challenge Challenge, as
	// secret digits. Whole speech is not cut by keys. Answer: InPlayed with
	// Ref, when it was played, was stopped, or could not be rendered.
	EffSpeak
	// EffStopSpeech ends what plays on leg On and drops what is queued there.
	// No answer; InPlayed of what was stopped may come and is ignored.
	EffStopSpeech

	// EffTimer starts the one timer of this State anew: After from now, answer
	// InTimer with Ref. A timer started before is void. After 0 stops it.
	EffTimer

	// EffCollect opens the collection of a secret on leg On: the runner keeps
	// the keys in a buffer that it zeroes, Min to Max of them (0: as many as
	// the challenge has). It comes before the Speak it belongs to. "#" ends the
	// entry and "*" clears it; with Star, "*" is instead the answer "I did not
	// ask for this": the challenge is rejected, outcome refused. Keys that come
	// before the Speak named Open has ended are dropped (with Void they spend
	// a try: the entry is wrong); Open 0 lets them cut the speech, and count.
	// First is the longest wait for the first key after all queued speech, Between
	// that between keys; then: outcome silent if nothing was keyed, else the
	// entry is complete.
	//
	// With Challenge set, the entry goes to verify for that challenge, and the
	// answer is InOutcome with Ref = Challenge; with Again if the challenge stays
	// open for another try (the engine then sends Speak and Collect once more,
	// or EffCancel). With Into set instead (a secret ask), the runner keeps the
	// value under that name for a later Identify or OpenAction, and the answer
	// is InOutcome with the Ref of this effect: ok, wrong (bad length) or silent.
	EffCollect

	// EffCancel tells that the engine waits no longer for Challenge: the
	// challenge is cancelled if it is still open, its Collect closed, an
	// approval no longer asked for, a queue left, a leg not yet answered
	// dropped. No answer; late ones are ignored.
	EffCancel

	// EffCheck looks at Method (attested or known_number) of leg On. Answer:
	// InOutcome ok; Good tells whether the fact is proved.
	EffCheck
	// EffIdentify resolves the claim: kind Subject, field By, Value (or the
	// secret kept under Into). It voids all Evidence about a person on this
	// traversal but the attestation, and cancels open actions. Wants names the
	// record fields the flow reads. Answer: InOutcome ok with Record; an
	// unknown person is answered in the same way, as nobody with an empty
	// record, unless Flag is set: then with not_found.
	EffIdentify

	// EffOpenAction opens Action with the payload Payload (canonical text by
	// field name; a field whose value is SecretValue lies with the runner under
	// "action.field"). It always comes before the first effect that is for the
	// action. If it cannot be opened, that next effect is answered with its
	// worst outcome. No answer of its own.
	EffOpenAction
	// EffCancelAction cancels the open release of Action: a field of it, or the
	// person, changed. No answer.
	EffCancelAction

	// EffVerify creates and issues a challenge of Method (pin, otp, totp,
	// passkey) for the subject, bound to Action if that is set, with Tries and
	// Life. Answer: InReady with Ref when it is durable and issued (the engine
	// then speaks and collects), or InOutcome missing, down, refused. Later,
	// InOutcome: satisfied = ok, failed = wrong, expired = silent, undeliverable
	// = down, no authenticator = missing, rejected = refused, duress = ok.
	EffVerify
	// EffConfirm creates a confirmation for Action with a random yes-key 3–9.
	// Answer: InReady, then InOutcome: ok, refused (2), wrong with Again.
	EffConfirm
	// EffReach takes up the call-back challenge (of the callback line or of the
	// job; For action Action) on leg On and makes two fresh digits. Answer:
	// InReady, then InOutcome: ok, wrong, silent, refused.
	EffReach
	// EffCallback creates a call-back challenge to the contact point of kind To
	// of the subject, for Action if set, with its carry code. Hold tells
	// whether the caller stays on the line. Answer: InReady (the engine then
	// speaks the code), or InOutcome: busy (hold, and the number is the one the
	// caller shows: ring nobody), diverted, refused, down.
	EffCallback
	// EffDial places the leg of call-back Challenge, in slot On; it rings for at
	// most Life. Answer, with the Ref of this effect: InAnswered, or InOutcome
	// busy, diverted, silent (no answer), refused (declined), down.
	EffDial
	// EffSuspend stores the State (as JSON) and then hangs up leg On: the
	// traversal is suspended and the job of call-back Challenge rings. If it
	// cannot be stored, answer InOutcome down and do not hang up. Answers carry
	// the Ref of this effect: InAnswered when a phone was picked up (slot 0 is
	// the new leg); InOutcome silent when no attempt is answered or the leg is
	// diverted: the flow then goes on with no leg.
	EffSuspend

	// EffApprove asks Group to approve Action, for at most Life; Count is what
	// the policy asks without extras. Store the State first. Answer: InOutcome ok, refused, silent, down.
	EffApprove
	// EffRelease asks the gate to release Action. Store the State first.
	// Answer: InOutcome ok (executed), later (cooling, waiting, unknown),
	// denied, down.
	EffRelease
	// EffConnect puts leg On through to Queue after the queue guard. Answer:
	// InOutcome ok (the flow has ended, the call has not), closed, full,
	// silent, down.
	EffConnect

	// EffAlert raises a SIEM event with Text; with Flag it also locks the
	// subject's open releases (a Hold). No answer.
	EffAlert
	// EffTell shows Speech to the clerk or agent and whispers it. Fields as in
	// EffSpeak; a refused field is left out. No answer.
	EffTell
	// EffLanguage tells that the call goes on in Text (BCP 47). No answer.
	EffLanguage
	// EffReturn ends a console flow with Outcome: the caller goes back to the
	// agent who asked, else to the queue the call came from; with Flag the leg
	// is a new one after a hang-up, and only ok connects it. Comes with EffEnd.
	EffReturn
	// EffHangup hangs up leg On after what is queued there was played.
	EffHangup
	// EffFault tells the log that the engine met something it cannot: Text.
	// It ends the flow.
	EffFault
	// EffEnd is the last effect of a State: every wait is void.
	EffEnd
)

// Places in a speech that the runner fills: the Text of a part that is secret.
const (
	PlaceCode  = "{code}"  // the carry code of the challenge
	PlaceYes   = "{yes}"   // the random yes-key of a confirmation
	PlaceFresh = "{fresh}" // the two fresh digits of a reached leg
)

// SecretValue stands in a payload for a value that only the runner holds.
const SecretValue = "****"

// Effect is one thing the engine asks of the runner. It is a flat struct so
// that a step allocates next to nothing; the comment of its Kind says which
// fields count. Slices and maps in it belong to the engine: valid until the
// next Step, never to be changed.
type Effect struct {
	Kind EffectKind
	Ref  Ref
	On   LegSlot
	At   Place // the line that asks

	Speech    ringfence.Speech
	Fields    []string // subject and action fields spoken, as "kind.field"
	Challenge Ref      // the EffVerify, EffConfirm, EffReach or EffCallback meant
	Whole     bool

	After   time.Duration // EffTimer
	First   time.Duration // EffCollect
	Between time.Duration
	Life    time.Duration // greatest life of a challenge or wait
	Min     int
	Max     int
	Tries   int
	Open    Ref
	Star    bool
	Void    bool

	Method  ringfence.Fact
	Subject ringfence.SubjectKind
	By      string
	Value   string
	Into    string
	Wants   []string
	Action  string
	Payload map[string]string
	To      Destination
	With    string // the flow a callback runs
	Hold    bool
	Group   string
	Count   int
	Queue   string
	Text    string
	Outcome Outcome
	Flag    bool
}

// Destination is the kind of contact point that a callback rings. A number
// never stands in a flow.
type Destination string

// The destinations.
const (
	ToMobile       Destination = "mobile"
	ToLandline     Destination = "landline"
	ToNumberOnFile Destination = "number_on_file"
)
