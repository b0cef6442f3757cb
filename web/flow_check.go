package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	flowCheckIn struct {
		Body struct {
			Set  flowSetIn `json:"set"`
			Flow string    `json:"flow,omitempty" maxLength:"80" doc:"the flow whose map and prose are wanted"`
			File string    `json:"file,omitempty" maxLength:"120" doc:"or the file it stands in"`
		}
	}
	flowCheckOut struct {
		Body flowCheckBody
	}
	flowCheckBody struct {
		Hash     string         `json:"hash,omitempty" doc:"of the bundle; none when it does not load"`
		Clean    bool           `json:"clean" doc:"every property is proved: it can be asked for"`
		Problems []flowProblem  `json:"problems"`
		Weakest  []flowWeakest  `json:"weakest" doc:"for each release, the least convincing caller who comes to it"`
		Longest  []flowLongest  `json:"longest"`
		States   int            `json:"states"`
		Lines    int            `json:"lines"`
		Flows    []flowHeadView `json:"flows"`
		Flow     string         `json:"flow,omitempty" doc:"whose map this is"`
		Map      *flows.Map     `json:"map,omitempty"`
		Reads    string         `json:"reads,omitempty" doc:"the flow as prose"`
		Took     float64        `json:"took_ms"`
	}
	// flowProblem is a diagnostic, with the call that shows it.
	flowProblem struct {
		policy.Diagnostic
		Play string      `json:"play,omitempty" doc:"a call that breaks the property, with two voices"`
		Path []flowPlace `json:"path,omitempty" doc:"its lines"`
		Test string      `json:"test,omitempty" doc:"the call as a flow test"`
	}
	flowPlace struct {
		File string `json:"file"`
		Line int    `json:"line"`
	}
	flowWeakest struct {
		Flow   string           `json:"flow"`
		File   string           `json:"file"`
		Line   int              `json:"line"`
		Action string           `json:"action"`
		Says   string           `json:"says"`
		Class  string           `json:"class"`
		Proofs []ringfence.Fact `json:"proofs"`
		Lanes  int              `json:"lanes"`
		Play   string           `json:"play"`
		Path   []flowPlace      `json:"path"`
	}
	flowLongest struct {
		Flow    string  `json:"flow"`
		Seconds float64 `json:"seconds"`
	}
)

// atBench waits for a free place at the work bench: proofs and tests take the
// processor, and calls come first.
func (s *Server) atBench(ctx context.Context) (leave func(), err error) {
	if err := s.benches.spend(who(ctx).actor()); err != nil {
		return nil, err
	}
	select {
	case s.bench <- struct{}{}:
		return func() { <-s.bench }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// checkFlows is what "flow lint" and "flow prove" say, for a set in an editor.
func (s *Server) checkFlows(ctx context.Context, in *flowCheckIn) (*flowCheckOut, error) {
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return &flowCheckOut{Body: checkSet(set, in.Body.Flow, in.Body.File)}, nil
}

// checkSet loads, proves and maps a set. It is pure.
func checkSet(set flowSet, flow, file string) flowCheckBody {
	began := time.Now()
	out := flowCheckBody{Problems: []flowProblem{}, Weakest: []flowWeakest{}, Longest: []flowLongest{}, Flows: []flowHeadView{}}
	b, list := flows.LoadFiles(set.files)
	for _, d := range list {
		out.Problems = append(out.Problems, flowProblem{Diagnostic: d})
	}
	if b != nil {
		out.Hash, out.Flows = b.HashText(), flowHeads(b)
		out.prove(b)
		out.draw(b, flow, file)
		_, wrong := flows.LoadTestFiles(b, set.tests)
		for _, d := range wrong {
			d.Severity = policy.SeverityWarning // a test that cannot be read keeps no bundle from going live
			out.Problems = append(out.Problems, flowProblem{Diagnostic: d})
		}
	}
	out.Took = float64(time.Since(began).Microseconds()) / 1000
	return out
}

func (out *flowCheckBody) prove(b *flows.Bundle) {
	report := flows.Prove(b)
	out.Clean, out.States, out.Lines = report.Clean(), report.States, report.Lines
	for _, f := range report.Findings {
		one := flowProblem{Diagnostic: f.Diagnostic}
		if f.Call != nil {
			one.Play, one.Path = f.Call.Play(), pathOf(f.Call)
			if text, err := f.Test(b); err == nil {
				one.Test = text
			}
		}
		out.Problems = append(out.Problems, one)
	}
	for _, w := range report.Weakest {
		a, _ := b.Policy().Action(w.Action)
		out.Weakest = append(out.Weakest, flowWeakest{Flow: w.Flow, File: w.File, Line: w.Line, Action: w.Action, Says: a.Says, Class: w.Class.String(),
			Proofs: append([]ringfence.Fact{}, w.Proofs...), Lanes: w.Lanes, Play: w.Call.Play(), Path: pathOf(w.Call)})
	}
	for _, l := range report.Longest {
		out.Longest = append(out.Longest, flowLongest{l.Flow, l.Call.Seconds()})
	}
}

// draw adds the map of one flow.
func (out *flowCheckBody) draw(b *flows.Bundle, flow, file string) {
	f := flowIn(b, flow, file)
	if f == nil {
		return
	}
	m := f.Map(flows.MapOptions{})
	out.Flow, out.Map, out.Reads = f.Name, &m, f.Read()
}

// flowIn finds a flow by its name or its file.
func flowIn(b *flows.Bundle, flow, file string) *flows.Flow {
	if f, ok := b.Flow(flow); ok {
		return f
	}
	for _, f := range b.Flows() {
		if f.File == file {
			return f
		}
	}
	return nil
}

func pathOf(c *flows.Counterexample) []flowPlace {
	out := []flowPlace{}
	for _, s := range c.Steps {
		out = append(out, flowPlace{s.Line.File, s.Line.Line})
	}
	return out
}

// loaded is a set as a bundle; the problem names the first thing wrong with it.
func (f flowSet) loaded() (*flows.Bundle, error) {
	b, list := flows.LoadFiles(f.files)
	if b != nil {
		return b, nil
	}
	for _, d := range list {
		if policy.Failed([]policy.Diagnostic{d}) {
			return nil, problem.New(problem.Unprocessable, "The flows do not load yet: "+d.String())
		}
	}
	return nil, problem.New(problem.Unprocessable, "The flows do not load yet.")
}

type (
	flowSimulateIn struct {
		Body struct {
			Set   flowSetIn `json:"set"`
			Flow  string    `json:"flow" maxLength:"80"`
			World []string  `json:"world,omitempty" maxItems:"60" doc:"as flow sim takes it: passkey=none, mobile=busy, call.attestation=C, queue.x=closed, down=otp, language=de"`
			Moves []string  `json:"moves,omitempty" maxItems:"300" doc:"what people do, in turn: keys, the code, yes, no, /wait 20s, /hang, /page approves, /approve, /refuse, /moved; empty = wait"`
		}
	}
	flowSimulateOut struct {
		Body struct {
			Steps   []flowStep `json:"steps"`
			Leg     string     `json:"leg,omitempty" doc:"who may act now"`
			Options []string   `json:"options" doc:"moves that lead on, the right one first"`
			Ended   bool       `json:"ended"`
			Ends    string     `json:"ends,omitempty"`
			Note    string     `json:"note,omitempty" doc:"why the last move did nothing"`
			Test    string     `json:"test" doc:"what was played, as a flow test"`
		}
	}
	flowStep struct {
		Seconds float64       `json:"at"`
		Leg     string        `json:"leg,omitempty"`
		What    string        `json:"what,omitempty"`
		File    string        `json:"file,omitempty"`
		Line    int           `json:"line,omitempty"`
		Values  []flows.Value `json:"values,omitempty" doc:"what the flow knows from here on; none: as before"`
	}
)

// simulateFlow plays a flow in a made-up world. It is played from its start each
// time, so nothing is kept here and nothing has a side effect.
func (s *Server) simulateFlow(ctx context.Context, in *flowSimulateIn) (*flowSimulateOut, error) {
	for _, text := range slices.Concat(in.Body.World, in.Body.Moves) {
		if len(text) > 200 {
			return nil, problem.New(problem.Unprocessable, "A setting or a move is longer than 200 characters.")
		}
	}
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	b, err := set.loaded()
	if err != nil {
		return nil, err
	}
	r, err := flows.Rehearse(b, in.Body.Flow, in.Body.World, in.Body.Moves)
	if err != nil {
		return nil, problem.New(problem.Unprocessable, upperFirst(err.Error())+".")
	}
	out := &flowSimulateOut{}
	out.Body.Steps = []flowStep{}
	for _, st := range r.Steps {
		out.Body.Steps = append(out.Body.Steps, flowStep{Seconds: st.At.Seconds(), Leg: st.Leg, What: st.What, File: st.File, Line: st.Line, Values: st.Values})
	}
	out.Body.Leg, out.Body.Options, out.Body.Ended, out.Body.Ends, out.Body.Note, out.Body.Test = r.Leg, r.Options, r.Ended, r.Ends, r.Note, r.Test
	return out, nil
}

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
