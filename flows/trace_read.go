package flows

import (
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// happened is a step with what only lives as long as the call: values.
type happened struct {
	TraceStep
	value  string            // what an ask took
	record map[string]string // what identify found
	line   *Line
	open   bool // the line has not ended
}

// reader turns inputs and effects of an engine into steps.
type reader struct {
	b   *Bundle
	cur happened // the line being played
	out []happened
}

// read returns what one step of the engine tells; valid until the next.
func (r *reader) read(s *State, in Input, effects []Effect) []happened {
	r.out = r.out[:0]
	beside := false // what follows comes of what happened to a leg: no answer
	switch {
	case in.Kind == InHungUp && len(effects) > 0:
		beside = r.event(wayHangsUp, in)
	case in.Kind == InChanged:
		beside = r.event(wayChanged, in)
	case in.Kind == InCancel && len(effects) > 0:
		beside = r.event(wayCancelled, in)
	case in.Kind == InProved:
		r.event(wayProved, in)
		r.out[len(r.out)-1].Proved = in.Proved
	}
	for i := range effects {
		switch e := &effects[i]; e.Kind {
		case EffLine:
			r.enter(in)
			r.begin(s, e)
		case EffOutcome:
			r.ended(e, beside)
		case EffCheck, EffIdentify, EffVerify, EffConfirm, EffReach, EffCallback, EffApprove, EffRelease, EffConnect:
			r.cur.Asks = asksOf(e)
		}
	}
	return r.out
}

// event notes something that happened beside the line being played, which
// tells in Asks what was being asked.
func (r *reader) event(way string, in Input) bool {
	step := TraceStep{Place: r.cur.Place, Verb: r.cur.Verb, Leg: in.On, Way: way}
	if r.cur.open {
		step.Asks, step.Words = r.cur.Asks, r.cur.Words
	}
	r.out = append(r.out, happened{TraceStep: step, line: r.cur.line})
	return true
}

func (r *reader) begin(s *State, e *Effect) {
	l := r.b.lineAt(e.At)
	r.cur = happened{line: l, open: true, TraceStep: TraceStep{Place: e.At, Leg: e.On}}
	if l == nil {
		return
	}
	r.cur.Verb = l.Verb.String()
	if l.Text != nil {
		r.cur.Words = l.Text.Source
	}
	switch {
	case s.NoLeg:
	case l.Verb == Ask && l.Into.Kind == NameVar:
		r.cur.Asks = "ask for " + l.Into.Type.String()
	case l.Verb == Ask:
		r.cur.Asks = "ask for " + l.Into.Full
	case l.Verb == Choose:
		r.cur.Asks = "choose"
	}
}

// enter notes that a line which has not ended led into another flow.
func (r *reader) enter(in Input) {
	if !r.cur.open || r.cur.line == nil {
		return
	}
	switch r.cur.line.Verb {
	case Run:
		r.cur.Way = wayEnters
	case Callback:
		r.cur.Way = wayNobody
		if in.Kind == InAnswered {
			r.cur.Way = wayAnswers
		}
	default:
		return
	}
	r.cur.open = false
	r.out = append(r.out, r.cur)
}

// ended notes how a line ended: the one being played, or the one that called
// the flow which has returned.
func (r *reader) ended(e *Effect, beside bool) {
	h := r.cur
	if !r.cur.open || r.cur.Place != e.At {
		h = happened{line: r.b.lineAt(e.At), TraceStep: TraceStep{Place: e.At, Leg: e.On}}
		if h.line != nil {
			h.Verb = h.line.Verb.String()
		}
	}
	r.cur.open = false
	if h.Way = e.Text; h.Way == "" {
		h.Way = e.Outcome.String()
	}
	if beside {
		h.Asks = ""
	}
	if h.line != nil && e.Outcome == OK {
		r.learnt(&h, e)
	}
	r.out = append(r.out, h)
}

// learnt keeps what the flow now knows.
func (r *reader) learnt(h *happened, e *Effect) {
	l := h.line
	switch l.Verb {
	case Ask:
		h.value = e.Value
		key := l.Into.Full
		if l.Into.Kind == NameVar {
			key = nameKey(l.Flow(), key)
		}
		if c, ok := cellOf(l.Into.Full, r.b.comparedNames()[key], e.Value); ok {
			h.Cells = []Cell{c}
		}
	case Identify:
		h.record = e.Payload
		h.Cells = r.b.recordCells(l.Arg, e.Payload)
	case Check:
		if h.Way = wayBad; e.Flag {
			h.Way = wayGood
		}
	}
}

// asksOf says what an effect asks of whom.
func asksOf(e *Effect) string {
	about := ""
	if e.Action != "" {
		about = " for " + e.Action
	}
	switch e.Kind {
	case EffCheck:
		return "check " + string(e.Method)
	case EffIdentify:
		return "identify " + string(e.Subject) + " by " + e.By
	case EffVerify:
		return "verify " + string(e.Method) + about
	case EffConfirm:
		return "confirm" + about
	case EffReach:
		return "reach" + about
	case EffCallback:
		if e.Hold {
			return "call back on " + string(e.To) + " while the caller holds" + about
		}
		return "hang up and call back on " + string(e.To) + about
	case EffApprove:
		return "approve by " + e.Group + about
	case EffRelease:
		return "release" + about
	case EffConnect:
		return "connect " + e.Queue
	}
	return ""
}

// Recorder writes down what happens in one run of a flow. It belongs to the
// goroutine that steps the engine.
type Recorder struct {
	read   reader
	trace  Trace
	began  time.Time
	listen []*Follower
}

// NewRecorder begins a trace of a flow that was started with f.
func NewRecorder(b *Bundle, flow string, f Facts, now time.Time) *Recorder {
	t := Trace{Version: traceVersion, Bundle: b.hex, Flow: flow, Start: f.Start, Language: f.Language, Call: f.Call,
		Subject: f.Subject, Action: f.Action, Have: f.Have}
	t.Cells = append(b.recordCells(f.Action, f.Payload), b.recordCells(string(f.Subject), f.Record)...)
	return &Recorder{read: reader{b: b}, trace: t, began: now}
}

// ResumeRecorder goes on with a trace after a restart: s is the stored State,
// which waits for a call-back to be answered.
func ResumeRecorder(b *Bundle, t Trace, s *State, now time.Time) *Recorder {
	r := &Recorder{read: reader{b: b}, trace: t, began: now}
	if n := len(t.Steps); n > 0 {
		r.began = now.Add(-t.Steps[n-1].After)
	}
	if l := s.line(); l.Verb == Callback {
		r.read.cur = happened{line: l, open: true, TraceStep: TraceStep{Place: l.place, Verb: l.Verb.String(), Words: l.Text.Source,
			Asks: asksOf(&Effect{Kind: EffCallback, To: l.To, Hold: !l.HangUp, Action: s.Wait.For})}}
	}
	return r
}

// Follow lets a shadow hear what is recorded from now on.
func (r *Recorder) Follow(f *Follower) { r.listen = append(r.listen, f) }

// Saw takes one step of the engine, or its start with no input. s is the State
// after it.
func (r *Recorder) Saw(now time.Time, s *State, in Input, effects []Effect) {
	for _, h := range r.read.read(s, in, effects) {
		h.After = now.Sub(r.began)
		if len(r.trace.Steps) < maxTraceSteps {
			r.trace.Steps = append(r.trace.Steps, h.TraceStep)
		} else {
			r.trace.Cut = true
		}
		for _, f := range r.listen {
			f.follow(h)
		}
	}
}

// Trace returns what was recorded so far. Its slices are not written to again.
func (r *Recorder) Trace() Trace {
	t := r.trace
	t.Steps = t.Steps[:len(t.Steps):len(t.Steps)]
	return t
}

// Facts for a draft that is started as the recorded flow was: values that lie in
// the recorded cells.
func (t Trace) facts(pol *policy.Policy) Facts {
	f := Facts{Start: t.Start, Call: t.Call, Language: t.Language, Subject: t.Subject, Action: t.Action, Have: t.Have,
		Record: map[string]string{}, Payload: map[string]string{}}
	cells := map[string]Cell{}
	for _, c := range t.Cells {
		cells[c.Name] = c
	}
	if a, ok := pol.Action(t.Action); ok {
		for _, field := range a.Carries {
			f.Payload[field.Name] = cells[a.Name+"."+field.Name].value(field.Type, pol.BaseCurrency())
		}
	}
	if k, ok := pol.Kind(ringfence.SubjectKind(t.Subject)); ok && t.Subject != "" {
		for _, field := range k.Fields {
			f.Record[field.Name] = cells[string(k.Name)+"."+field.Name].value(field.Type, pol.BaseCurrency())
		}
	}
	return f
}
