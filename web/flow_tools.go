package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	flowTestIn struct {
		Body struct {
			Set  flowSetIn `json:"set"`
			Flow string    `json:"flow,omitempty" maxLength:"80" doc:"whose map is wanted, with what no test takes"`
		}
	}
	flowTestOut struct {
		Body flowTestBody
	}
	flowTestBody struct {
		Tests    []flowTestView      `json:"tests"`
		Problems []policy.Diagnostic `json:"problems" doc:"tests that cannot be read"`
		Failed   int                 `json:"failed"`
		Taken    int                 `json:"taken" doc:"ways out of lines that some test takes"`
		All      int                 `json:"all"`
		Gaps     []flowGap           `json:"gaps"`
		Map      *flows.Map          `json:"map,omitempty"`
	}
	flowTestView struct {
		Name     string              `json:"name"`
		Flow     string              `json:"flow"`
		File     string              `json:"file"`
		Line     int                 `json:"line"`
		Seconds  float64             `json:"seconds" doc:"virtual"`
		Problems []policy.Diagnostic `json:"problems"`
		Trace    []string            `json:"trace,omitempty" doc:"of a test that failed"`
	}
	// flowGap is a line and a way out of it that no test takes.
	flowGap struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Flow string `json:"flow"`
		Says string `json:"says"`
	}
	flowStringsIn struct {
		Body struct {
			Set      flowSetIn `json:"set"`
			Language string    `json:"language" pattern:"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"`
		}
	}
	flowStringsOut struct {
		Body struct {
			Languages []string          `json:"languages"`
			Strings   []flows.StringRow `json:"strings"`
			Audio     []string          `json:"audio" doc:"recordings of the language, by name"`
		}
	}
	flowStringIn struct {
		Body struct {
			Set      flowSetIn `json:"set"`
			Language string    `json:"language" pattern:"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"`
			Source   string    `json:"source" minLength:"1" maxLength:"1000"`
			Said     string    `json:"said,omitempty" maxLength:"1000" doc:"neither this nor audio: the entry goes"`
			Audio    []string  `json:"audio,omitempty" maxItems:"20"`
		}
	}
	flowStringOut struct {
		Body struct {
			File string `json:"file"`
			Text string `json:"text" doc:"the whole file, to be saved with the draft"`
		}
	}
	flowDiffIn struct {
		Body struct {
			Set     flowSetIn `json:"set"`
			Against string    `json:"against,omitempty" pattern:"^[0-9a-f]{64}$" doc:"a bundle; none: what is in force"`
		}
	}
	flowDiffOut struct {
		Body flowDiffBody
	}
	flowDiffBody struct {
		Loads   bool           `json:"loads" doc:"false: only the texts can be compared"`
		Looser  bool           `json:"looser" doc:"somebody of role risk has to sign, and it waits 24 hours"`
		Changes []flows.Change `json:"changes" doc:"in words, what is looser first"`
		Files   []fileDiff     `json:"files"`
	}
)

func (s *Server) flowToolAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/check", Summary: "Lint, proof, weakest calls and the map of a set of flows",
		Description: "The same code as on the command line. Nothing is kept."}, s.checkFlows)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/simulate", Summary: "Play a flow in a made-up world",
		Description: "Time is virtual, time-outs are played, nothing has a side effect. The same moves always give the same answer."}, s.simulateFlow)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/test", Summary: "Run the flow tests, with coverage of lines and outcomes"}, s.testFlows)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/strings", Summary: "What callers hear in a language, and which translations are missing or stale"}, s.listStrings)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/strings/set", Summary: "Write a translation or its recordings into the prompts file",
		Description: "The answer is the new text of the file; it is kept when the draft is saved."}, s.setString)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/diff", Summary: "What changed, in words and as text"}, s.diffFlows)
}

func (s *Server) testFlows(ctx context.Context, in *flowTestIn) (*flowTestOut, error) {
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
	body, err := runTests(ctx, b, set.tests, in.Body.Flow)
	return &flowTestOut{Body: body}, err
}

// runTests plays the tests in virtual time, until nobody wants to know.
func runTests(ctx context.Context, b *flows.Bundle, files []flows.File, flow string) (flowTestBody, error) {
	tests, wrong := flows.LoadTestFiles(b, files)
	out := flowTestBody{Tests: []flowTestView{}, Problems: append([]policy.Diagnostic{}, wrong...), Gaps: []flowGap{}}
	cover := flows.NewCoverage(b)
	for _, t := range tests {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		r := t.Run(b)
		cover.Add(r.Cover)
		v := flowTestView{Name: t.Name, Flow: t.Flow, File: t.File, Line: t.Line, Seconds: r.Took.Seconds(), Problems: append([]policy.Diagnostic{}, r.Problems...)}
		if len(r.Problems) > 0 {
			out.Failed++
			v.Trace = r.Trace
		}
		out.Tests = append(out.Tests, v)
	}
	out.Taken, out.All = cover.Count()
	for _, g := range cover.Gaps() {
		out.Gaps = append(out.Gaps, flowGap{File: g.Line.File, Line: g.Line.Line, Flow: g.Line.Flow().Name, Says: strings.TrimPrefix(g.String(), g.Line.Pos.String()+" ")})
	}
	if f := flowIn(b, flow, ""); f != nil {
		m := f.Map(flows.MapOptions{Cover: cover})
		out.Map = &m
	}
	return out, nil
}

func (s *Server) listStrings(ctx context.Context, in *flowStringsIn) (*flowStringsOut, error) {
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := &flowStringsOut{}
	out.Body.Languages, out.Body.Strings, out.Body.Audio = append([]string{}, flows.LanguagesOf(set.files)...), flows.Strings(set.files, in.Body.Language), []string{}
	for _, f := range set.files {
		if name, ok := strings.CutPrefix(f.Path, "audio/"); ok && strings.HasPrefix(name, in.Body.Language+"/") {
			out.Body.Audio = append(out.Body.Audio, name)
		}
	}
	return out, nil
}

func (s *Server) setString(ctx context.Context, in *flowStringIn) (*flowStringOut, error) {
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	out := &flowStringOut{}
	out.Body.File = "prompts/" + in.Body.Language + ".yaml"
	src, _ := set.text(out.Body.File)
	text, wrong := flows.SetString(out.Body.File, []byte(src), in.Body.Source, in.Body.Said, in.Body.Audio)
	if text == nil && len(wrong) > 0 {
		return nil, problem.New(problem.Unprocessable, wrong[0].String())
	}
	out.Body.Text = string(text)
	return out, nil
}

func (s *Server) diffFlows(ctx context.Context, in *flowDiffIn) (*flowDiffOut, error) {
	after, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	before, err := s.set(ctx, flowSetIn{Bundle: in.Body.Against})
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return &flowDiffOut{Body: diffSets(before, after)}, nil
}

// diffSets compares two sets in words, where both load, and line by line.
func diffSets(before, after flowSet) flowDiffBody {
	out := flowDiffBody{Changes: []flows.Change{}, Files: diffFiles(before.texts(), after.texts())}
	old, _ := flows.LoadFiles(before.files)
	now, _ := flows.LoadFiles(after.files)
	if old == nil || now == nil {
		return out
	}
	out.Loads = true
	out.Changes = append(out.Changes, flows.Diff(old, now)...)
	slices.SortStableFunc(out.Changes, func(a, b flows.Change) int {
		switch {
		case a.Looser == b.Looser:
			return 0
		case a.Looser:
			return -1
		}
		return 1
	})
	out.Looser = len(flows.Looser(out.Changes)) > 0
	return out
}

type (
	flowSpeakIn struct {
		Body struct {
			Language string `json:"language" pattern:"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"`
			Text     string `json:"text" minLength:"1" maxLength:"1000"`
		}
	}
	flowSoundOut struct {
		Body struct {
			WAV     []byte  `json:"wav" doc:"16-bit mono, base64"`
			Seconds float64 `json:"seconds"`
		}
	}
)

// speakFlow lets people hear a text as callers do.
func (s *Server) speakFlow(ctx context.Context, in *flowSpeakIn) (*flowSoundOut, error) {
	if s.cfg.FlowVoice == nil {
		return nil, problem.New(problem.Unavailable, "There is no voice here.")
	}
	if err := s.benches.spend(who(ctx).actor()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	wav, err := s.cfg.FlowVoice.Speak(ctx, in.Body.Language, in.Body.Text)
	if err != nil {
		return nil, problem.New(problem.Unprocessable, "This text cannot be spoken here. Record it, or set up a text-to-speech program.")
	}
	out := &flowSoundOut{}
	out.Body.WAV = wav
	return out, nil
}
