package flows

// InputKind says what happened. Zero is nothing, and is ignored.
type InputKind uint8

// The inputs.
const (
	NoInput InputKind = iota
	// InDigit is a key on leg On while that leg is not private: Digit.
	InDigit
	// InPlayed ends the EffSpeak of Ref.
	InPlayed
	// InTimer is the EffTimer of Ref.
	InTimer
	// InReady tells that the challenge of Ref exists and was issued.
	InReady
	// InAnswered tells that a person's phone took the leg of EffDial or
	// EffSuspend: Ref is that of the effect.
	InAnswered
	// InOutcome is the outcome of Ref: Outcome, with Again, Good and Record
	// where the effect says so.
	InOutcome
	// InHungUp tells that the far end of leg On has gone.
	InHungUp
	// InChanged tells that the far end of leg On is somebody else now: the
	// facts of the leg are void, and so is what it was being asked.
	InChanged
	// InProved tells of a fact proved beside the flow (another console, a page
	// answered late): Fact for Action. It moves nothing, and is seen by got.X.
	InProved
	// InFault tells that the effect of Ref could not be performed. The line
	// ends as down where that is handled, else the flow ends.
	InFault
	// InCancel ends the flow from outside: the agent cancelled a console flow,
	// or the traversal is over. Everything open is voided.
	InCancel
)

// Input is one thing that happened. A secret never stands in it.
type Input struct {
	Kind    InputKind         `json:"kind"`
	Ref     Ref               `json:"ref,omitempty"`
	On      LegSlot           `json:"on,omitempty"`
	Digit   byte              `json:"digit,omitempty"`
	Outcome Outcome           `json:"outcome,omitempty"`
	Again   bool              `json:"again,omitempty"`
	Good    bool              `json:"good,omitempty"`
	Proved  Proved            `json:"proved,omitzero"`
	Record  map[string]string `json:"record,omitempty"` // canonical text by field name
}
