package ringfence

import (
	"net/netip"
	"time"
)

// This file holds the words with which the edge (b2bua), the traversal
// (flows/runner) and the console (web) speak about one call. They stand here
// because none of those rooms may import another.

// SayAs is how a value is spoken. The empty value is plain text.
type SayAs string

// The ways of speaking; they follow the type of a variable.
const (
	SayText   SayAs = ""
	SayDigits SayAs = "digits" // one by one
	SayNumber SayAs = "number"
	SayMoney  SayAs = "money" // Text is "<minor units> <ISO 4217>", e.g. "1250 GBP"
	SayDate   SayAs = "date"  // Text is YYYY-MM-DD
	SaySpell  SayAs = "spell" // letter by letter
	SayName   SayAs = "name"
)

// SpeechPart is one stretch of a spoken line.
type SpeechPart struct {
	As   SayAs  `json:"as,omitempty"`
	Text string `json:"text"`
	Slow bool   `json:"slow,omitempty"`
	// Secret marks a code: it may be heard on this leg and stand nowhere else.
	Secret bool `json:"secret,omitempty"`
	// Recorded is the SHA-256 of a WAV file in which a person speaks this fixed
	// text; zero = there is none. Whoever cannot have it speaks Text otherwise.
	Recorded Digest `json:"recorded,omitzero"`
}

// Speech is one line to be spoken. Fixed text and values alternate, so that a
// recording of the fixed text can be found by its exact source.
type Speech struct {
	Language string       `json:"language"` // BCP 47, e.g. "en"
	Source   string       `json:"source"`   // the script's own text, with its {} places
	Parts    []SpeechPart `json:"parts"`
}

// Secret reports whether any part must not be logged, recorded or relayed.
func (s Speech) Secret() bool {
	for _, p := range s.Parts {
		if p.Secret {
			return true
		}
	}
	return false
}

// Text returns the line as a transcript may show it: secrets as asterisks.
func (s Speech) Text() string {
	var out []byte
	for _, p := range s.Parts {
		if p.Secret {
			out = append(out, "****"...)
			continue
		}
		out = append(out, p.Text...)
	}
	return string(out)
}

// Clip is audio of one voice: 8 kHz, mono, 16-bit linear.
type Clip []int16

// Direction says who placed a leg.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// LegInfo is what the signalling of one leg says about itself. Every text in
// it is a stranger's.
type LegInfo struct {
	ID         LegID
	Direction  Direction
	Trunk      string // configured peer that the message was accepted from; empty = none
	Listener   string // configured listener it arrived on
	Transport  string // udp, tcp, tls, ws
	Source     netip.AddrPort
	TrustedIDs bool // the trunk may assert identities (PAI, verstat)

	Called     string   // user part of the Request-URI, as received
	RequestURI string   // addr-spec
	From       string   // header field value, whole
	To         string   // header field value, whole
	PAI        []string // P-Asserted-Identity values
	Identity   []string // Identity values, one a header field
	Date       string
	Privacy    string   // Privacy value, RFC 3323
	Attested   string   // P-Attestation-Indicator, of a trunk that may assert identities only
	Diversion  []string // Diversion and History-Info values: any of them is a sign of diversion
	UUI        string   // User-to-User
	CallID     string
	ReceivedAt time.Time

	// Emergency says that one of our own phones called an emergency number. No
	// flow takes such a call: it goes to the emergency trunk at once.
	Emergency bool
	Location  *Location // where that phone says it is; nil = it does not say
}

// Location is where a phone says that it is (RFC 6442), passed on as it came.
type Location struct {
	Geolocation []string
	Routing     string // Geolocation-Routing: yes, no or empty
	ContentID   string // of PIDFLO, to which Geolocation may point
	PIDFLO      []byte // application/pidf+xml; nil = by reference only
}

// LegEventKind is what happened on a leg.
type LegEventKind string

// The events of a leg. LegEnded is the last; the channel is closed after it.
const (
	LegDigit    LegEventKind = "digit"    // Digit: 0–9 * # A–D, exactly once for each key
	LegPlayed   LegEventKind = "played"   // Play: the number Play returned; Whole tells whether it was heard to its end
	LegRinging  LegEventKind = "ringing"  // an outbound leg: 180 or 183
	LegAnswered LegEventKind = "answered" // an outbound leg: 200 and media agreed
	LegDiverted LegEventKind = "diverted" // an outbound leg: 181, 3xx, History-Info or Diversion in an answer, a contact's leg with another number than the one dialled; the leg never counts
	LegChanged  LegEventKind = "changed"  // the far end is somebody else now: facts of this leg are void
	LegHeld     LegEventKind = "held"     // the far end put us on media hold, or took us back (Whole = back)
	LegTransfer LegEventKind = "transfer" // the far end of a leg that may asks that the call goes on elsewhere: Refer
	LegEnded    LegEventKind = "ended"    // Cause and Code say why
)

// EndCause is why a leg ended.
type EndCause string

// The causes of LegEnded.
const (
	EndBye      EndCause = "bye"       // the far end hung up
	EndCancel   EndCause = "cancel"    // the caller gave up before the answer
	EndHangup   EndCause = "hangup"    // we hung up
	EndBusy     EndCause = "busy"      // 486, 600
	EndDeclined EndCause = "declined"  // 603 and other refusals
	EndNoAnswer EndCause = "no_answer" // ring time over, 408, 480, 487
	EndDiverted EndCause = "diverted"  // 3xx: redirected, not followed
	EndFailed   EndCause = "failed"    // could not be placed
	EndMedia    EndCause = "media"     // no packets came for too long
	EndLimit    EndCause = "limit"     // greatest duration reached
	EndShutdown EndCause = "shutdown"  // this process is stopping
)

// LegEvent is one thing that happened on a leg, in order.
type LegEvent struct {
	Kind  LegEventKind
	Digit byte   // LegDigit
	Play  uint64 // LegPlayed
	Whole bool   // LegPlayed, LegHeld
	Cause EndCause
	Code  int      // SIP status of a failed outbound leg; 0 otherwise
	Refer Referral // LegTransfer
	At    time.Time
}

// Referral is what a REFER asks for (RFC 3515). It is the far end's text: it
// names a place, and whether calls may go on there is for the configuration to
// say.
type Referral struct {
	To string // user part of Refer-To, never empty
	// Replaces is a Replaces header field value (RFC 3891) for the new leg, well
	// formed: the far end has asked the new party and joins that call to ours.
	Replaces string
}

// Placement asks for an outbound leg. To is never a caller's text: it is a
// contact point resolved by the gate, or a configured place.
type Placement struct {
	Leg LegID // the identifier the new leg gets; empty = a fresh one
	// Beside is the leg with which it will talk, so that both have one codec where
	// they can, and no cap on calls parts them; empty = none yet.
	Beside LegID
	// During is a leg of a call in progress that waits for this one, which does
	// not talk with it: a call-back by which that caller is to prove something, a
	// recorder. A small reserve past the caps is for these. Empty = none waits.
	During   LegID
	Trunk    string // configured peer to send through; empty with a full URI = the peer whose address it names
	To       string // SIP URI, or E.164 digits to be sent through Trunk
	From     string // our own number or user part shown to the called party
	Name     string // display name shown to the called party
	UUI      string // User-to-User value for a contact centre, or empty
	Identity []string
	// Verstat is what the check of the caller's number came to, for peers that
	// may be told: it is written behind the number in From, and in
	// P-Asserted-Identity on a trunk with which identities are shared. Empty
	// writes none.
	Verstat string
	Ring    time.Duration // zero means 30 s; at most 3 min
	// Contact reports that this leg is a call-back to a contact point: a 3xx,
	// 181, Diversion or History-Info ends it as diverted, and so does another
	// number than To, in an answer or later.
	Contact bool
	// Location goes with an emergency call.
	Location *Location
	// MayTransfer says that the far end may ask by REFER that the call goes on
	// elsewhere; LegTransfer tells of it. Otherwise REFER is refused.
	MayTransfer bool
	Replaces    string // Replaces header field value of an attended transfer, or empty
	// Whisper legs of agents are allowed early media and hold; the field is
	// for the call's record only.
	Purpose string // "agent", "callback", "job", "emergency"
}
