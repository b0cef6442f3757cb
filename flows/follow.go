package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/policy"
)

// What became of following a call with another bundle. They are stored and
// never renamed.
const (
	FollowedSame    = "same"    // it asks and says the same
	FollowedWords   = "words"   // it asks the same in other words
	FollowedDiffers = "differs" // it asks something else: from there on inputs mean nothing
	FollowedUnknown = "unknown" // the recording does not say enough to go on
)

// Difference is one point where the other bundle does otherwise.
type Difference struct {
	Kind string `json:"kind"` // words, asks, takes, ends, unknown
	Was  Place  `json:"was"`
	Now  Place  `json:"now"`
	// Before and After say what each does there, as the scripts have it.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// String says it in a sentence.
func (d Difference) String() string {
	at := fmt.Sprintf("%s, %s", d.Was.Flow, d.Was.Scene)
	switch d.Kind {
	case "words":
		return fmt.Sprintf("%s: says “%s” instead of “%s”", at, d.After, d.Before)
	case "unknown":
		return fmt.Sprintf("%s: %s", at, d.After)
	}
	return fmt.Sprintf("%s: %s, where the call had: %s", at, d.After, d.Before)
}

// FollowedStep is one step of the other bundle with what it knows there.
type FollowedStep struct {
	TraceStep
	Facts []string `json:"facts,omitempty"` // proved so far
	Knows []string `json:"knows,omitempty"` // cells of values
}

// Followed is how another bundle took a call. It holds no digit and no value.
type Followed struct {
	Flow        string         `json:"flow"`
	From        string         `json:"from"` // hash of the bundle of the call
	To          string         `json:"to"`   // hash of the bundle that followed
	Result      string         `json:"result"`
	Asked       int            `json:"asked"` // questions that both asked
	Differences []Difference   `json:"differences,omitempty"`
	Steps       []FollowedStep `json:"steps,omitempty"` // of a replay
}

// maxDifferences bounds a report.
const maxDifferences = 50

// Follower steps a bundle through what happens on a call that runs under
// another one: with no side effect, up to the first point where it would ask
// something else. It belongs to one goroutine.
type Follower struct {
	rep   Followed
	b     *Bundle
	r     *replay
	read  reader
	over  bool
	steps bool // keep them
	exact bool // values come with the steps
	known map[string]Cell
	was   []string // said by the call since its last question
	now   []string // said by the bundle
	at    happened // the last line it left
	// taking is the question that is being answered, took how it ended.
	taking Place
	took   string
}

// NewShadow follows a live call with b from the start of a flow.
func NewShadow(b *Bundle, from, flow string, f Facts) *Follower {
	w := newFollower(b, from, flow)
	w.exact = true
	w.start(f)
	return w
}

// Replay plays a recorded call against a draft and says at each step what is
// known there.
func Replay(b *Bundle, t Trace) (Followed, error) {
	if t.Version != traceVersion {
		return Followed{}, fmt.Errorf("trace: version %d, this engine reads %d", t.Version, traceVersion)
	}
	if b == nil {
		return Followed{}, fmt.Errorf("trace: there is no bundle to play it against")
	}
	w := newFollower(b, t.Bundle, t.Flow)
	w.steps = true
	for _, c := range t.Cells {
		w.known[c.Name] = c
	}
	w.start(t.facts(b.pol))
	for _, s := range t.Steps[:min(len(t.Steps), maxTraceSteps)] {
		w.follow(happened{TraceStep: s})
	}
	if t.Cut || len(t.Steps) > maxTraceSteps {
		w.stop(FollowedUnknown, Difference{Kind: "unknown", After: "the recording is cut here"})
	}
	return w.Done(), nil
}

func newFollower(b *Bundle, from, flow string) *Follower {
	return &Follower{b: b, rep: Followed{Flow: flow, From: from, To: b.hex, Result: FollowedSame}, read: reader{b: b}, known: map[string]Cell{}}
}

func (w *Follower) start(f Facts) {
	s, effects, err := Start(w.b, w.rep.Flow, f)
	if err != nil {
		w.stop(FollowedDiffers, Difference{Kind: "asks", Was: Place{Flow: w.rep.Flow}, Before: "it begins", After: err.Error()})
		return
	}
	s.unsure = w.unsure
	w.r = &replay{s: s, b: w.b, also: w.saw}
	if w.exact {
		w.knowAll(f.Action, f.Payload)
		w.knowAll(string(f.Subject), f.Record)
	}
	w.saw(Input{}, effects)
}

// knowAll marks values that are there as they are.
func (w *Follower) knowAll(owner string, fields map[string]string) {
	for field := range fields {
		w.known[owner+"."+field] = Cell{}
	}
}

// saw reads a step of the bundle that follows.
func (w *Follower) saw(in Input, effects []Effect) {
	for _, h := range w.read.read(w.r.s, in, effects) {
		w.at = h
		if w.took == "" && h.Place == w.taking {
			w.took = h.Way
		}
		w.now = append(w.now, h.says()...)
		if w.steps && len(w.rep.Steps) < maxTraceSteps {
			w.rep.Steps = append(w.rep.Steps, FollowedStep{TraceStep: h.TraceStep, Facts: w.facts(), Knows: w.knows()})
		}
	}
}

func (w *Follower) facts() []string {
	var out []string
	for _, p := range w.r.s.Proofs {
		text := string(p.Fact)
		if p.Action != "" {
			text += " for " + p.Action
		}
		out = append(out, text)
	}
	return out
}

func (w *Follower) knows() []string {
	var out []string
	for _, key := range keysOf(w.known) {
		if text := w.known[key].String(); strings.Contains(text, " ") {
			out = append(out, text)
		}
	}
	return out
}

// says is what a step says without asking anything.
func (h happened) says() []string {
	switch verb, _ := parseVerb(h.Verb); {
	case h.Asks != "" || h.Way == wayChanged || h.Way == wayHangsUp || h.Way == wayProved || h.Way == wayCancelled:
		return nil
	case verb == Say:
		return []string{h.Words}
	case verb == Tell:
		return []string{"(to the clerk) " + h.Words}
	case verb == Alert:
		return []string{"(alert) " + h.Words}
	case verb == HangUp:
		return []string{"(hangs up)"}
	}
	return nil
}

func (w *Follower) stop(result string, d Difference) {
	if w.over {
		return
	}
	w.over = true
	w.rep.Result = result
	w.differ(d)
}

func (w *Follower) differ(d Difference) {
	if len(w.rep.Differences) < maxDifferences {
		w.rep.Differences = append(w.rep.Differences, d)
	}
}

// follow takes one step of the call.
func (w *Follower) follow(h happened) {
	if w.over || w.r == nil {
		return
	}
	switch h.Way {
	case wayHangsUp, wayChanged, wayCancelled, wayProved:
		w.beside(h)
		return
	}
	if h.Asks == "" {
		w.was = append(w.was, h.says()...)
		return
	}
	if q, ok := w.meet(h); ok {
		w.take(h, q)
	}
}

// meet goes on to the next question, which has to be that of the call.
func (w *Follower) meet(h happened) (happened, bool) {
	w.advance()
	q := w.read.cur
	if w.over {
		return q, false
	}
	if w.r.s.Ended || !q.open || q.Asks != h.Asks {
		now := "asks: " + q.Asks
		if w.r.s.Ended {
			now = "the call is over"
		}
		w.stop(FollowedDiffers, Difference{Kind: "asks", Was: h.Place, Now: q.Place, Before: h.Asks, After: now})
		return q, false
	}
	w.compare(append(w.was, h.Words), append(w.now, q.Words), h.Place, q.Place)
	w.was, w.now = nil, nil
	return q, true
}

// advance lets everything be said until something is asked.
func (w *Follower) advance() {
	for n := 0; !w.r.s.Ended && w.r.s.Wait.Phase == waitSpeech && n < maxTraceSteps; n++ {
		w.r.input(Input{Kind: InPlayed, Ref: w.r.s.Wait.Play})
	}
}

func (w *Follower) compare(was, now []string, at, here Place) {
	if slices.Equal(was, now) {
		return
	}
	if w.rep.Result == FollowedSame {
		w.rep.Result = FollowedWords
	}
	w.differ(Difference{Kind: "words", Was: at, Now: here, Before: strings.Join(was, " / "), After: strings.Join(now, " / ")})
}

// take lets the question end as it did on the call.
func (w *Follower) take(h, q happened) {
	l := q.line
	step := CallStep{Line: l, Way: h.Way}
	switch {
	case l.Verb == Choose && slices.Contains(keyNames[:], h.Way) && l.Keys[slices.Index(keyNames[:], h.Way)] == nil:
		w.stop(FollowedDiffers, Difference{Kind: "takes", Was: h.Place, Now: q.Place, Before: "the caller pressed " + h.Way, After: "offers no " + h.Way})
		return
	case l.Verb == Ask && h.Way == OK.String():
		step.Value = w.learn(l, h)
	case l.Verb == Identify:
		step.Record = w.learnRecord(l, h)
		if step.Way != NotFound.String() {
			step.Way = OK.String()
		}
	}
	if l.Verb == Ask && h.Way == OK.String() && !l.Into.Type.Secret {
		if _, fits := keysOfValue(l.Into.Type, step.Value); !fits {
			w.stop(FollowedDiffers, Difference{Kind: "takes", Was: h.Place, Now: q.Place, Before: "took what was keyed", After: "takes " + l.Into.Type.String()})
			return
		}
	}
	if h.Way == "" {
		w.stop(FollowedUnknown, Difference{Kind: "unknown", Was: h.Place, Now: q.Place, After: "the recording does not say how this ended"})
		return
	}
	w.taking, w.took = q.Place, ""
	w.r.perform(step)
	if w.over {
		return
	}
	if w.took != h.Way {
		after := "ends it as " + w.took
		if w.took == "" {
			after = "asks again"
		}
		w.stop(FollowedDiffers, Difference{Kind: "takes", Was: h.Place, Now: q.Place, Before: h.Asks + " ended as " + h.Way, After: after})
		return
	}
	w.rep.Asked++
}

// learn is what the caller gives to an ask: the value, or one of its cell.
func (w *Follower) learn(l *Line, h happened) string {
	key := l.Into.Full
	if l.Into.Kind == NameVar {
		key = nameKey(l.Flow(), key)
	}
	delete(w.known, key)
	if w.exact {
		w.known[key] = Cell{}
		return h.value
	}
	if len(h.Cells) == 0 {
		return fitting(l.Into.Type)
	}
	c := h.Cells[0]
	c.Name = l.Into.Full
	w.known[key] = c
	return c.value(l.Into.Type, w.b.pol.BaseCurrency())
}

func (w *Follower) learnRecord(l *Line, h happened) map[string]string {
	for key := range w.known { // what was known of a person and a payload is void
		if !strings.Contains(key, "/") {
			delete(w.known, key)
		}
	}
	if w.exact {
		w.knowAll(l.Arg, h.record)
		return h.record
	}
	out := map[string]string{}
	for _, c := range h.Cells {
		w.known[c.Name] = c
		owner, field, _ := strings.Cut(c.Name, ".")
		if kind, ok := w.b.pol.Kind(w.r.s.Subject); ok && owner == string(kind.Name) {
			if f, ok := kind.Field(field); ok {
				out[field] = c.value(f, w.b.pol.BaseCurrency())
			}
		}
	}
	return out
}

// unsure reports that nobody can tell how a condition came out on the call,
// and stops there.
func (w *Follower) unsure(l *Line) bool {
	for _, one := range l.Cond.Comparisons() {
		if w.tells(l.Flow(), one) {
			continue
		}
		w.stop(FollowedUnknown, Difference{Kind: "unknown", Was: l.place, Now: l.place,
			After: "the recording does not tell whether " + l.Cond.String()})
		return true
	}
	return false
}

func (w *Follower) tells(f *Flow, one policy.Comparison) bool {
	if strings.HasPrefix(one.Name, "got.") || strings.HasPrefix(one.Name, "call.") {
		return true
	}
	c, ok := w.known[nameKey(f, one.Name)]
	return ok && (c.Name == "" || c.decides(one))
}

// beside takes what happened to a leg or was proved elsewhere.
func (w *Follower) beside(h happened) {
	s := w.r.s
	if h.Way == wayProved {
		w.r.input(Input{Kind: InProved, Proved: h.Proved})
		return
	}
	if h.Asks != "" {
		if _, ok := w.meet(h); !ok {
			return
		}
	}
	w.was, w.now = nil, nil // nobody knows how much of it was heard
	switch h.Way {
	case wayCancelled:
		w.r.input(Input{Kind: InCancel})
	case wayHangsUp:
		w.r.input(Input{Kind: InHungUp, On: h.Leg})
	case wayChanged:
		if h.Leg == 0 && h.Asks == "" && !s.NewLeg && s.Start != StartsJob {
			s.void(legFact) // the call was only being told something
			return
		}
		w.r.input(Input{Kind: InChanged, On: h.Leg})
	}
}

// Done ends following, when the flow of the call has ended, and returns what
// became of it.
func (w *Follower) Done() Followed {
	if !w.over && w.r != nil {
		w.advance()
	}
	if !w.over && w.r != nil {
		q := w.read.cur
		if !w.r.s.Ended {
			w.stop(FollowedDiffers, Difference{Kind: "ends", Was: w.at.Place, Now: q.Place, Before: "the call is over", After: "asks: " + q.Asks})
		} else {
			w.compare(w.was, w.now, w.at.Place, w.at.Place)
		}
	}
	w.over = true
	return w.rep
}

// Lost ends following because the call goes on where it cannot be heard.
func (w *Follower) Lost(why string) Followed {
	w.stop(FollowedUnknown, Difference{Kind: "unknown", Was: w.at.Place, After: why})
	return w.rep
}
