package flows

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Longest is a bound of how long a call of a flow lasts, up to its end or to
// the hang-up before a call-back.
type Longest struct {
	Flow string        `json:"flow"`
	Call time.Duration `json:"call"`
}

const (
	never = time.Duration(-1) << 61
	// forever is longer than any call may last; sums stop there.
	forever = 24 * time.Hour
	// firstRing is the wait and the ringing of the first call-back after a
	// hang-up. Later ones are not tried once a proof would be stale.
	firstRing = time.Minute
	// keyedDigits bounds the digits of a PIN or code that is keyed.
	keyedDigits = 6
)

// clock is P9: bounds of durations, each in one pass against the order of the
// file, as edges run down the page and those that run back are counted.
type clock struct {
	p     *proof
	total map[*Flow]time.Duration
	ends  map[*Flow]*passes
	after map[*Flow]time.Duration // for the action in hand
	into  map[sinkKey]time.Duration
	sunk  map[sinkKey]bool
}

type sinkKey struct {
	flow   *Flow
	action string
}

// passes are the longest stretches of one flow.
type passes struct {
	end  map[*Line]time.Duration // from the start of the line to the end of the flow
	back map[*Line]time.Duration // to the end of a line with an edge that runs back
	sum  time.Duration           // of all edges that run back, as often as they may
	to   []*Line                 // where they lead
}

// times is P9.
func (p *proof) times() []Longest {
	c := &clock{p: p, total: map[*Flow]time.Duration{}, ends: map[*Flow]*passes{}, into: map[sinkKey]time.Duration{}, sunk: map[sinkKey]bool{}}
	rung := map[*Flow]bool{}
	for _, f := range p.b.order {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				if l.Verb == Callback && l.HangUp && l.With != nil {
					rung[l.With] = true
				}
			}
		}
	}
	var out []Longest
	for _, f := range p.b.order {
		if f.Starts == StartsCallback && !rung[f] || f.first() == nil {
			continue
		}
		d := c.call(f)
		out = append(out, Longest{f.Name, d})
		if limit := p.pol.MaxCall(); limit > 0 && d > limit {
			p.put(Finding{Diagnostic: diagnose(f.Pos, "P9", "fewer tries, shorter waits, or a smaller at_most",
				"a call of %s may last %s, and max_call is %s", f.Name, minutes(d), minutes(limit))})
		}
	}
	order := callersFirst(p.b.order)
	for _, a := range p.pol.Actions() {
		if a.Fresh <= 0 {
			continue
		}
		c.after = map[*Flow]time.Duration{}
		for _, f := range order {
			if f.Starts != StartsCallback {
				c.returns(f, never)
			}
			if after, ok := c.after[f]; ok {
				c.ages(f, a, after)
			}
		}
	}
	return out
}

// callersFirst orders flows so that each stands after those that call it.
func callersFirst(flows []*Flow) []*Flow {
	var out []*Flow
	seen := map[*Flow]bool{}
	var visit func(f *Flow)
	visit = func(f *Flow) {
		if seen[f] {
			return
		}
		seen[f] = true
		f.each(func(l *Line) {
			if l.With != nil {
				visit(l.With)
			}
		})
		out = append(out, f)
	}
	for _, f := range flows {
		visit(f)
	}
	slices.Reverse(out)
	return out
}

// returns notes how long it may take from the return of a flow to the approve
// or release, at its slowest caller.
func (c *clock) returns(f *Flow, after time.Duration) {
	if old, ok := c.after[f]; !ok || after > old {
		c.after[f] = after
	}
}

// minutes writes a duration in words, rounded up.
func minutes(d time.Duration) string {
	if d%time.Minute != 0 && d < 10*time.Minute {
		return spell((d + time.Second - 1).Truncate(time.Second))
	}
	return spell((d + time.Minute - 1).Truncate(time.Minute))
}

// call is the longest time from the first line to the end of the flow.
func (c *clock) call(f *Flow) time.Duration {
	if d, ok := c.total[f]; ok {
		return d
	}
	c.total[f] = 0 // recursion is refused at load
	d := c.passes(f).longest(f.first(), func(l *Line) time.Duration { return c.passes(f).end[l] })
	c.total[f] = min(d, forever)
	return c.total[f]
}

// longest bounds a walk that begins at a line: down the page, or to an edge
// that runs back, around as often as the edges allow, and then down.
func (ps *passes) longest(from *Line, rest func(*Line) time.Duration) time.Duration {
	if from == nil {
		return never
	}
	best := rest(from)
	if around := ps.around(rest); around >= 0 && ps.back[from] >= 0 {
		best = max(best, ps.back[from]+around)
	}
	return best
}

// around is the longest way from an edge that runs back to the end, going
// around as often as the edges allow; never when there is none.
func (ps *passes) around(rest func(*Line) time.Duration) time.Duration {
	best := never
	for _, to := range ps.to {
		if r := rest(to); r >= 0 {
			best = max(best, ps.sum-max(ps.back[to], 0)+r)
		}
	}
	return best
}

// each visits the lines of a flow against their order.
func (f *Flow) each(do func(*Line)) {
	for i := len(f.Scenes) - 1; i >= 0; i-- {
		for k := len(f.Scenes[i].Lines) - 1; k >= 0; k-- {
			do(f.Scenes[i].Lines[k])
		}
	}
}

// onward is the greatest of what follows a line: the next one, and where its
// edges lead down the page.
func onward(l *Line, value func(*Line) time.Duration) time.Duration {
	best := never
	if n := l.Next(); n != nil && !ends(l) {
		best = value(n)
	}
	l.targets(func(s *Scene) {
		if s.Index > l.Scene.Index && len(s.Lines) > 0 {
			best = max(best, value(s.Lines[0]))
		}
	})
	return best
}

// backs visits the edges of a line that run back.
func (l *Line) backs(see func(*Target)) {
	visit := func(t *Target) {
		if t != nil && t.Scene != nil && t.Scene.Index <= l.Scene.Index && len(t.Scene.Lines) > 0 {
			see(t)
		}
	}
	visit(l.Go)
	for _, t := range l.Keys {
		visit(t)
	}
	for _, t := range l.edges {
		visit(t)
	}
}

func (c *clock) passes(f *Flow) *passes {
	if ps, ok := c.ends[f]; ok {
		return ps
	}
	ps := &passes{end: map[*Line]time.Duration{}, back: map[*Line]time.Duration{}}
	c.ends[f] = ps
	f.each(func(l *Line) {
		d := c.lasts(l)
		ps.end[l] = min(forever, d+max(0, onward(l, func(n *Line) time.Duration { return ps.end[n] })))
		best := onward(l, func(n *Line) time.Duration { return ps.back[n] })
		if best >= 0 {
			best += d
		}
		l.backs(func(*Target) { best = max(best, d) })
		ps.back[l] = min(best, forever)
	})
	seen := map[*Target]bool{}
	f.each(func(l *Line) {
		l.backs(func(t *Target) {
			if !seen[t] {
				seen[t] = true
				to := t.Scene.Lines[0]
				ps.to = append(ps.to, to)
				ps.sum = min(forever, ps.sum+time.Duration(t.AtMost)*max(ps.back[to], 0))
			}
		})
	})
	return ps
}

// lasts is the longest a line takes: its tries, each with its text, its wait
// and the keys after the first.
func (c *clock) lasts(l *Line) time.Duration {
	speech := c.speech(l.Flow(), l.Text)
	tries := time.Duration(max(l.Tries, 1))
	keys := func(n int) time.Duration { return time.Duration(max(n-1, 0)) * betweenKeys }
	switch l.Verb {
	case Say:
		return speech
	case Ask:
		_, most := entryBounds(l.Into.Type)
		return tries * (speech + l.Wait + keys(most))
	case Choose:
		return tries * (speech + l.Wait)
	case Confirm:
		for _, t := range l.Flow().givenTexts {
			speech = max(speech, c.speech(l.Flow(), t))
		}
		return tries * (speech + l.Wait)
	case Reach:
		speech += c.engine(warnCallback) + c.engine(freshDigits)
		return tries * (speech + l.Wait + keys(keyedDigits+2))
	case Verify:
		if l.Arg == "passkey" {
			return speech + l.Wait
		}
		return tries * (speech + l.Wait + keys(keyedDigits))
	case Check, Identify:
		return answerLife
	case Approve, Release, Connect:
		return l.Wait
	case Callback:
		if !l.HangUp && l.With != nil {
			return speech + callRing + c.call(l.With)
		}
		return speech
	case Run:
		if l.With != nil {
			return c.call(l.With)
		}
	}
	return 0
}

// speech is how long a text takes in the language in which it is longest.
func (c *clock) speech(f *Flow, t *Text) time.Duration {
	if t == nil {
		return 0
	}
	best := time.Duration(0)
	measure := func(pieces []Piece) {
		var s ringfence.Speech
		for _, p := range pieces {
			part := ringfence.SpeechPart{Text: p.Fixed, Secret: p.Code != ""}
			if p.Name.Kind != NoName {
				part = ringfence.SpeechPart{As: sayAs(p.Name.Type, p.Spell), Text: sample(p.Name.Type)}
			}
			s.Parts = append(s.Parts, part)
		}
		best = max(best, speechTime(s))
	}
	measure(t.Pieces)
	for _, pieces := range t.byLang {
		measure(pieces)
	}
	return best
}

func (c *clock) engine(source string) time.Duration {
	best := time.Duration(0)
	for _, tag := range []string{"en", "de"} {
		best = max(best, speechTime(engineSpeech(source, tag)))
	}
	return best
}

// ages reports every proof of a flow that may be older than the action allows
// when a colleague is asked or the action is released. after is the longest
// time from the flow's return to that, never if it does not return to it.
func (c *clock) ages(f *Flow, a *policy.Action, after time.Duration) {
	if after < 0 && !c.sinks(f, a.Name) {
		return
	}
	rest := map[*Line]time.Duration{}
	f.each(func(l *Line) { rest[l] = c.rest(l, a, after, rest) })
	ps := c.passes(f)
	read := func(l *Line) time.Duration { return rest[l] }
	around := ps.around(read)
	f.each(func(l *Line) {
		if l.Next() == nil && !l.HangUp {
			return
		}
		next := never
		if n := l.Next(); n != nil {
			if next = rest[n]; around >= 0 && ps.back[n] >= 0 {
				next = max(next, ps.back[n]+around)
			}
		}
		switch {
		case l.Verb == Run || l.Verb == Callback && !l.HangUp:
			// What the other flow proves counts if it returns ok, and grows
			// older here.
			if l.With != nil {
				c.returns(l.With, next)
			}
		case l.Verb == Callback:
			if l.With != nil {
				c.returns(l.With, never)
			}
		}
		fact, ok := l.proves(a)
		if !ok || !c.p.asks(a.Name, fact) || next <= a.Fresh {
			return
		}
		c.p.put(Finding{Diagnostic: diagnose(l.Pos, "P9", "ask for it later, or take less time in between",
			"%s may be %s old when %s is approved or released, and the policy allows %s", fact, minutes(next), a.Name, minutes(a.Fresh))})
	})
}

// rest is the longest time from the start of a line to the first approve or
// release of the action.
func (c *clock) rest(l *Line, a *policy.Action, after time.Duration, rest map[*Line]time.Duration) time.Duration {
	if (l.Verb == Approve || l.Verb == Release) && (l.For == a.Name || l.For == Given) {
		return 0
	}
	best := onward(l, func(n *Line) time.Duration { return rest[n] })
	if l.Verb == Return && l.Return == OK {
		best = after
	}
	if best >= 0 {
		best += c.lasts(l)
	}
	if l.With != nil && l.With.first() != nil && c.sinks(l.With, a.Name) {
		inside := c.enters(l.With, a)
		if inside >= 0 {
			inside += c.speech(l.Flow(), l.Text) + callRing
			if l.HangUp {
				inside += firstRing - callRing
			}
			best = max(best, inside)
		}
	}
	return min(best, forever)
}

// enters is the longest time from the first line of a flow to the first approve
// or release of the action in it.
func (c *clock) enters(f *Flow, a *policy.Action) time.Duration {
	key := sinkKey{f, a.Name}
	if d, ok := c.into[key]; ok {
		return d
	}
	rest := map[*Line]time.Duration{}
	f.each(func(l *Line) { rest[l] = c.rest(l, a, never, rest) })
	c.into[key] = c.passes(f).longest(f.first(), func(l *Line) time.Duration { return rest[l] })
	return c.into[key]
}

// sinks reports whether the action can be approved or released in a flow, or in
// one that it calls.
func (c *clock) sinks(f *Flow, action string) bool {
	key := sinkKey{f, action}
	if yes, ok := c.sunk[key]; ok {
		return yes
	}
	yes := false
	f.each(func(l *Line) {
		yes = yes || (l.Verb == Approve || l.Verb == Release) && (l.For == action || l.For == Given) || l.With != nil && c.sinks(l.With, action)
	})
	c.sunk[key] = yes
	return yes
}

// proves is the fact that a line proves, and whether it can count for a.
func (l *Line) proves(a *policy.Action) (ringfence.Fact, bool) {
	mine := l.For == a.Name || l.For == Given || l.For == "" && len(l.Flow().Actions) == 1 && l.Flow().Actions[0] == a.Name
	switch l.Verb {
	case Check:
		return l.fact(), true
	case Verify:
		return l.fact(), mine || l.Arg == "pin"
	case Confirm:
		return ringfence.FactConfirmed, mine
	case Reach:
		return ringfence.FactCallback, true
	}
	return "", false
}
