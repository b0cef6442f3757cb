package flows

import (
	"slices"
	"time"
)

// Verb is what a line does. The zero value is no verb and is refused at load.
type Verb uint8

// The 20 verbs.
const (
	NoVerb Verb = iota
	Say
	Ask
	Choose
	Confirm
	Tell
	Language
	Check
	Identify
	Verify
	Reach
	Callback
	Approve
	If
	Go
	Run
	Return
	Release
	Connect
	Alert
	HangUp
	verbCount
)

// verbRule is what the grammar knows of one verb. One table, read by the
// loader, the lint, the schema, the tools and the engine.
type verbRule struct {
	word     string
	arg      string // what the argument is, in words
	settings []string
	needs    []string
	outcomes []Outcome // beside ok, which is the next line
	ends     bool      // nothing may follow it in its scene
	tries    int       // default; 0 = it has none
	wait     time.Duration
	least    time.Duration
	longest  time.Duration
}

var verbs = [verbCount]verbRule{
	Say:    {word: "say", arg: "text", settings: []string{"whole"}},
	Ask:    {word: "ask", arg: "text", settings: []string{"into", "tries", "wait"}, needs: []string{"into"}, outcomes: []Outcome{Wrong, Silent}, tries: 3, wait: 6 * time.Second, least: time.Second, longest: 30 * time.Second},
	Choose: {word: "choose", arg: "text", settings: []string{"tries", "wait"}, outcomes: []Outcome{Wrong, Silent}, ends: true, tries: 3, wait: 6 * time.Second, least: time.Second, longest: 30 * time.Second},
	Confirm: {word: "confirm", arg: "action", settings: []string{"say"}, outcomes: []Outcome{Refused, Silent},
		tries: 3, wait: 10 * time.Second},
	Tell:     {word: "tell", arg: "clerk", settings: []string{"say"}, needs: []string{"say"}},
	Language: {word: "language", arg: "language tag"},
	Check:    {word: "check", arg: "attestation or number"},
	Identify: {word: "identify", arg: "subject kind", settings: []string{"by"}, needs: []string{"by"}, outcomes: []Outcome{NotFound}},
	Verify: {word: "verify", arg: "pin, otp, totp or passkey", settings: []string{"say", "tries", "wait", "for"}, needs: []string{"say"},
		outcomes: []Outcome{Wrong, Silent, Down, Refused, Missing}, tries: 3, least: time.Second, longest: 5 * time.Minute},
	Reach: {word: "reach", arg: "text", settings: []string{"tries"}, outcomes: []Outcome{Refused, Wrong, Silent}, tries: 3, wait: 15 * time.Second},
	Callback: {word: "callback", arg: "subject kind", settings: []string{"say", "to", "with", "for", "meanwhile"}, needs: []string{"say", "to", "with", "meanwhile"},
		outcomes: []Outcome{Refused, Silent, Wrong, Busy, Diverted, Down}},
	Approve: {word: "approve", arg: "approver group", settings: []string{"wait", "for"}, outcomes: []Outcome{Refused, Silent, Down},
		wait: 10 * time.Minute, least: time.Second, longest: 30 * time.Minute},
	If:     {word: "if", arg: "condition", settings: []string{"then"}, needs: []string{"then"}},
	Go:     {word: "go", arg: "scene", settings: []string{"at_most", "then"}, ends: true},
	Run:    {word: "run", arg: "flow"},
	Return: {word: "return", arg: "ok or an outcome", ends: true},
	Release: {word: "release", arg: "action", settings: []string{"wait"}, outcomes: []Outcome{Later, Denied, Down},
		wait: 10 * time.Second, least: time.Second, longest: 30 * time.Second},
	Connect: {word: "connect", arg: "queue", settings: []string{"wait"}, outcomes: []Outcome{Closed, Full, Silent, Down}, ends: true,
		wait: 2 * time.Minute, least: 5 * time.Second, longest: 15 * time.Minute},
	Alert:  {word: "alert", arg: "text", settings: []string{"lock"}},
	HangUp: {word: "hangup", ends: true},
}

// Fixed times of the engine.
const (
	betweenKeys = 3 * time.Second  // between two keys of one entry
	callRing    = 30 * time.Second // of a held call-back
	answerLife  = 2 * time.Second  // an adapter's time-out: then unknown
)

// String returns the word that scripts use.
func (v Verb) String() string {
	if v >= verbCount {
		return ""
	}
	return verbs[v].word
}

func parseVerb(word string) (Verb, bool) {
	for v := Say; v < verbCount; v++ {
		if verbs[v].word == word {
			return v, true
		}
	}
	return NoVerb, false
}

// Outcomes lists how the line can end beside ok, in a fixed order. The flow of
// run and callback adds what it returns.
func (l *Line) Outcomes() []Outcome {
	out := slices.Clone(verbs[l.Verb].outcomes)
	switch l.Verb {
	case Verify:
		switch l.Arg {
		case "pin":
			out = []Outcome{Wrong, Silent, Down}
		case "totp":
			out = []Outcome{Wrong, Silent, Down, Missing}
		case "otp", "passkey":
		default:
			out = nil // not a method: that is reported, and enough
		}
	case Callback:
		if l.HangUp {
			return []Outcome{Down}
		}
	}
	if (l.Verb == Run || l.Verb == Callback) && l.With != nil {
		for o := Wrong; o < outcomeCount; o++ {
			if l.With.returnsOutcome(o) && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	slices.Sort(out)
	return out
}

// optional outcomes need no edge: without one they do not come.
func optional(v Verb, o Outcome) bool { return v == Identify && o == NotFound }
