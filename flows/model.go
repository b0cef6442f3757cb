package flows

import (
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Given stands, in console flows and the flows they call, for the subject kind
// and the action of the release the flow was started with.
const Given = "given"

// Flow is one compiled flow. Nothing in it changes after loading.
type Flow struct {
	Pos
	Name         string
	About        string
	Starts       Starting
	Subject      ringfence.SubjectKind // may be Given
	Actions      []string              // may be [Given]
	Language     string
	Translations []string
	Record       string // never, after_connect, always
	Vars         []*Var
	Scenes       []*Scene

	otherwise  [outcomeCount]*Target
	vars       map[string]*Var
	scenes     map[string]*Scene
	counters   int                // backward edges with a counter
	wants      []string           // record fields read by texts and conditions
	returns    [outcomeCount]bool // what its return lines say
	nodes      flowNodes          // places of the head, for diagnostics
	givenTexts map[string]*Text   // confirm: given, by action
	givenFor   map[string]*Text   // before a proof for a given action
	otherPos   [outcomeCount]Pos  // places of otherwise entries
	usedOther  [outcomeCount]bool // which otherwise entries some line takes
	heads      map[string]Pos     // places of translations, by tag
	actionPos  []Pos              // places of Actions
	policy     *policy.Policy     // what it was compiled against
}

type flowNodes struct{ starts, subject, language Pos }

// Var is a variable of one flow and one call.
type Var struct {
	Pos
	Name  string
	Type  policy.Type
	index int
	read  bool
	set   bool
}

// Scene is a named list of lines, read top to bottom.
type Scene struct {
	Pos
	Name  string
	Index int // place in the file: edges that run down the page have a greater one
	Lines []*Line
	flow  *Flow
}

// Line is one verb with its settings and edges.
type Line struct {
	Pos
	Verb  Verb
	Scene *Scene
	Index int // in the scene

	Text  *Text // what is said; nil when nothing is
	Arg   string
	ArgAt Pos

	Into   Name // ask
	By     string
	ByVar  *Var // identify
	Tries  int
	Wait   time.Duration
	Whole  bool
	Lock   bool
	For    string // the action it is for; "" none, Given possible
	To     Destination
	With   *Flow // run, callback
	HangUp bool  // callback: meanwhile hang_up
	Return Outcome
	Cond   *policy.Condition
	Keys   [12]*Target // choose: 0–9, *, #
	Go     *Target     // go, and if … then

	edges  [outcomeCount]*Target // own or otherwise; nil = not handled
	own    [outcomeCount]bool
	with   string
	place  Place
	words  string // for the console: what is said, else the verb and what it is about
	src    string // condition as written
	forPos Pos
}

// Edge returns where the outcome leads: nil when the line cannot end so.
func (l *Line) Edge(o Outcome) *Target {
	if l == nil || o >= outcomeCount {
		return nil
	}
	return l.edges[o]
}

// Flow returns the flow the line stands in.
func (l *Line) Flow() *Flow { return l.Scene.flow }

// Place returns where the line stands, by names.
func (l *Line) Place() Place { return l.place }

// Next returns the line below in the same scene, nil at its end.
func (l *Line) Next() *Line {
	if l.Index+1 < len(l.Scene.Lines) {
		return l.Scene.Lines[l.Index+1]
	}
	return nil
}

// Target is where an edge leads. A backward edge may be taken AtMost times on
// one call, and then leads to Then.
type Target struct {
	Pos
	Scene   *Scene
	AtMost  int // 0 for a forward edge
	Then    *Scene
	name    string
	then    string
	counter int // index into a frame's counts
}

// NameKind says what a name in a text or condition means.
type NameKind uint8

// The kinds of names.
const (
	NoName      NameKind = iota
	NameVar              // a variable of the flow
	NamePayload          // action.field
	NameRecord           // kind.field: the record of the identified subject
	NameCall             // call.x
	NameGot              // got.x
)

// Name is a resolved name.
type Name struct {
	Kind  NameKind
	Owner string // action, kind, "call", "got"; "" for a variable
	Field string
	Full  string // as written
	Type  policy.Type
	v     *Var
}

// Text is a spoken text with its places, in the flow's language and in every
// translation of it.
type Text struct {
	Pos
	Source string
	Pieces []Piece
	Names  []Name   // every name it speaks, each once
	Fields []string // of those, the ones the speak guard judges
	Codes  []string // PlaceCode, PlaceYes, as they come
	byLang map[string][]Piece
	audio  map[string][]string         // recordings by language
	fixed  map[string]ringfence.Speech // speech without names, by language
	varies bool
}

// Piece is a stretch of fixed text, a name, or a code place.
type Piece struct {
	Fixed string
	// Recorded is the recording of Fixed that prompts name; zero = none.
	Recorded ringfence.Digest
	Name     Name
	Code     string // PlaceCode, PlaceYes or PlaceFresh
	// Last speaks only the last so many characters; 0 all of them.
	Last  int
	Spell bool
	Slow  bool
}
