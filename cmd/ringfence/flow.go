package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/scripts"
)

// flowCmd are the tools around the scripts.
type flowCmd struct {
	Lint    flowLintCmd    `cmd:"" help:"Judge flows, policy and texts: file:line:col CODE message [hint]."`
	Prove   flowProveCmd   `cmd:"" help:"Prove every call against the policy; print a call for each property that does not hold."`
	Test    flowTestCmd    `cmd:"" help:"Play the flow tests in tests/*.yaml, in virtual time."`
	Sim     flowSimCmd     `cmd:"" help:"Play a flow in the terminal, with no side effects."`
	Read    flowReadCmd    `cmd:"" help:"Print a flow as prose, for people who do not read YAML."`
	Map     flowMapCmd     `cmd:"" help:"Draw a flow as SVG or Mermaid."`
	Strings flowStringsCmd `cmd:"" help:"Write a skeleton of translations, or list every spoken text."`
	Fmt     flowFmtCmd     `cmd:"" help:"Quote what YAML would misread, and tidy files."`
	Diff    flowDiffCmd    `cmd:"" help:"Say what changed between two folders, and whether anything is looser."`
	Route   flowRouteCmd   `cmd:"" help:"Say what a call to a number would meet."`

	Publish  flowPublishCmd  `cmd:"" help:"Propose a folder as the new bundle, or sign a proposal: two persons, one of role risk when it is looser."`
	Rollback flowRollbackCmd `cmd:"" help:"Bring back what was in force: one person when it is no looser, else two."`
	Ramp     flowRampCmd     `cmd:"" help:"Give a ramped bundle more or fewer of the calls, none, or all."`
	Shadow   flowShadowCmd   `cmd:"" help:"Let a draft follow live calls with no effect, and say where it would do otherwise."`
	Replay   flowReplayCmd   `cmd:"" help:"Play a recorded call against a draft."`
	Status   flowStatusCmd   `cmd:"" help:"List what is in force, waits, is ramped and was proposed."`
}

// flowDir is where the scripts lie.
type flowDir struct {
	Dir string `arg:"" optional:"" help:"Folder with policy.yaml and the flows; by default ./scripts, else the shipped ones."`
}

func (d flowDir) fsys() (fs.FS, error) { return flowFS(d.Dir) }

func flowFS(dir string) (fs.FS, error) {
	if dir == "" {
		if _, err := os.Stat("scripts/policy.yaml"); err == nil {
			dir = "scripts"
		} else {
			return scripts.FS, nil
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, &exitError{2, err.Error()}
	}
	return os.DirFS(dir), nil
}

// load reads a set of scripts; with errors it prints them and refuses.
func (d flowDir) load() (*flows.Bundle, fs.FS, error) { return loadFlows(d.Dir) }

func loadFlows(dir string) (*flows.Bundle, fs.FS, error) {
	fsys, err := flowFS(dir)
	if err != nil {
		return nil, nil, err
	}
	b, list := flows.LoadDir(fsys)
	if b == nil {
		printDiagnostics(os.Stderr, list)
		return nil, nil, &exitError{1, "mend these first: the scripts cannot be used as they are"}
	}
	return b, fsys, nil
}

func printDiagnostics(w io.Writer, list []flows.Diagnostic) {
	for _, d := range list {
		text := d.String()
		if d.Severity == policy.SeverityWarning {
			text = strings.Replace(text, " "+d.Code+" ", " "+d.Code+" warning: ", 1)
		}
		fmt.Fprintln(w, strings.ReplaceAll(text, `\n`, "\n"))
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type flowLintCmd struct {
	flowDir
	JSON bool `help:"Print the diagnostics as JSON." name:"json"`
}

// Run implements kong's command.
func (c *flowLintCmd) Run() error {
	fsys, err := c.fsys()
	if err != nil {
		return err
	}
	b, list := flows.LoadDir(fsys)
	if c.JSON {
		out := struct {
			OK          bool               `json:"ok"`
			Bundle      string             `json:"bundle,omitempty"`
			Diagnostics []flows.Diagnostic `json:"diagnostics"`
		}{OK: b != nil, Diagnostics: append([]flows.Diagnostic{}, list...)}
		if b != nil {
			out.Bundle = b.HashText()
		}
		if err := printJSON(os.Stdout, out); err != nil {
			return err
		}
	} else {
		printDiagnostics(os.Stdout, list)
		if b != nil {
			fmt.Fprintf(os.Stderr, "%d flows, policy %s: good\n", len(b.Flows()), b.Policy().Name())
		}
	}
	if b == nil {
		return &exitError{code: 1}
	}
	return nil
}

type flowTestCmd struct {
	flowDir
	Cover   bool   `help:"Name every way out of a line that no test takes."`
	JUnit   string `help:"Write the results to a file as JUnit XML." name:"junit" placeholder:"FILE"`
	Only    string `help:"Run only tests whose name matches." placeholder:"REGEXP" name:"run"`
	Verbose bool   `short:"v" help:"Print the transcript of every test."`
	JSON    bool   `help:"Print the results as JSON." name:"json"`
}

type flowTestJSON struct {
	Test     string             `json:"test"`
	Flow     string             `json:"flow"`
	Passed   bool               `json:"passed"`
	Seconds  float64            `json:"seconds"` // virtual
	Problems []flows.Diagnostic `json:"problems,omitempty"`
	Trace    []string           `json:"transcript,omitempty"`
}

// Run implements kong's command.
func (c *flowTestCmd) Run() error {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return &exitError{2, "--run: " + err.Error()}
	}
	b, fsys, err := c.load()
	if err != nil {
		return err
	}
	tests, list := flows.LoadTests(b, fsys)
	if policy.Failed(list) {
		printDiagnostics(os.Stderr, list)
		return &exitError{1, "the tests have errors"}
	}
	cover := flows.NewCoverage(b)
	var results []flows.Result
	failed := 0
	for _, t := range tests {
		if !only.MatchString(t.Name) {
			continue
		}
		r := t.Run(b)
		cover.Add(r.Cover)
		results = append(results, r)
		if len(r.Problems) > 0 {
			failed++
		}
	}
	if c.JUnit != "" {
		raw, err := flows.JUnit(results)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.JUnit, raw, 0o644); err != nil {
			return err
		}
	}
	if err := c.print(results, cover, failed); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (c *flowTestCmd) print(results []flows.Result, cover *flows.Coverage, failed int) error {
	taken, all := cover.Count()
	if c.JSON {
		out := struct {
			Tests    []flowTestJSON `json:"tests"`
			Failed   int            `json:"failed"`
			Taken    int            `json:"ways_taken"`
			Ways     int            `json:"ways"`
			Untested []string       `json:"untested,omitempty"`
		}{Failed: failed, Taken: taken, Ways: all}
		for _, r := range results {
			one := flowTestJSON{Test: r.Test.Name, Flow: r.Test.Flow, Passed: len(r.Problems) == 0, Seconds: r.Took.Seconds(), Problems: r.Problems}
			if !one.Passed || c.Verbose {
				one.Trace = r.Trace
			}
			out.Tests = append(out.Tests, one)
		}
		if c.Cover {
			for _, g := range cover.Gaps() {
				out.Untested = append(out.Untested, g.String())
			}
		}
		return printJSON(os.Stdout, out)
	}
	for _, r := range results {
		if len(r.Problems) == 0 && !c.Verbose {
			continue
		}
		fmt.Printf("%s: %s\n", r.Test.Flow, r.Test.Name)
		for _, line := range r.Trace {
			fmt.Println("   " + line)
		}
		printDiagnostics(os.Stdout, r.Problems)
	}
	if c.Cover {
		for _, g := range cover.Gaps() {
			fmt.Printf("untested: %s\n", g)
		}
	}
	fmt.Printf("%d tests, %d failed; %d of %d ways out of lines taken\n", len(results), failed, taken, all)
	return nil
}

type flowReadCmd struct {
	Flow string `arg:"" help:"Name of the flow."`
	flowDir
}

// Run implements kong's command.
func (c *flowReadCmd) Run() error {
	_, f, err := oneFlow(c.Dir, c.Flow)
	if err != nil {
		return err
	}
	fmt.Print(f.Read())
	return nil
}

func oneFlow(dir, name string) (*flows.Bundle, *flows.Flow, error) {
	b, _, err := loadFlows(dir)
	if err != nil {
		return nil, nil, err
	}
	f, ok := b.Flow(name)
	if !ok {
		var names []string
		for _, f := range b.Flows() {
			names = append(names, f.Name)
		}
		return nil, nil, &exitError{2, "there is no flow " + name + "; there are: " + strings.Join(names, ", ")}
	}
	return b, f, nil
}

type flowMapCmd struct {
	Flow string `arg:"" help:"Name of the flow."`
	flowDir
	Mermaid bool   `help:"Write Mermaid instead of SVG."`
	Cover   bool   `help:"Colour what no flow test takes."`
	Cex     int    `help:"Draw the call of the N-th finding of flow prove into it." placeholder:"N"`
	Out     string `short:"o" help:"Write to a file." placeholder:"FILE"`
}

// Run implements kong's command.
func (c *flowMapCmd) Run() error {
	b, f, err := oneFlow(c.Dir, c.Flow)
	if err != nil {
		return err
	}
	var o flows.MapOptions
	if c.Cover {
		fsys, err := c.fsys()
		if err != nil {
			return err
		}
		tests, _ := flows.LoadTests(b, fsys)
		o.Cover = flows.NewCoverage(b)
		for _, t := range tests {
			o.Cover.Add(t.Run(b).Cover)
		}
	}
	if c.Cex != 0 {
		if o.Attack, err = attackOf(b, c.Cex); err != nil {
			return err
		}
	}
	text := f.SVG(o)
	if c.Mermaid {
		text = f.Mermaid(o)
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, []byte(text), 0o644)
	}
	fmt.Print(text)
	return nil
}

type flowStringsCmd struct {
	flowDir
	Lang  string `help:"Print prompts/LANG.yaml with every text, translations kept."`
	Write bool   `short:"w" help:"With --lang: write that file instead of printing it."`
	JSON  bool   `help:"List every text in every language, the engine's own included, as JSON." name:"json"`
}

// Run implements kong's command.
func (c *flowStringsCmd) Run() error {
	if c.Write && (c.Lang == "" || c.JSON) {
		return &exitError{2, "--write takes --lang and no --json: ringfence flow strings --lang de --write"}
	}
	if c.JSON || c.Lang == "" {
		b, _, err := c.load()
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(os.Stdout, b.Phrases())
		}
		for _, p := range b.Phrases() {
			fmt.Printf("%s\t%s\n", p.Language, p.Text)
		}
		return nil
	}
	fsys, err := c.fsys()
	if err != nil {
		return err
	}
	text, list := flows.SkeletonOf(fsys, c.Lang)
	if policy.Failed(list) {
		printDiagnostics(os.Stderr, list)
		return &exitError{1, "the scripts have errors"}
	}
	if c.Write {
		return c.write(text)
	}
	fmt.Print(text)
	return nil
}

// write replaces prompts/LANG.yaml. A shell's ">" would have emptied it before
// its translations were read.
func (c *flowStringsCmd) write(text string) error {
	dir := c.Dir
	if dir == "" {
		dir = "scripts"
	}
	if _, err := os.Stat(dir); err != nil {
		return &exitError{2, "there is no folder to write to: " + err.Error()}
	}
	if err := os.MkdirAll(filepath.Join(dir, "prompts"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "prompts", c.Lang+".yaml"), []byte(text), 0o644)
}

type flowFmtCmd struct {
	Paths []string `arg:"" optional:"" help:"Files or folders; by default ./scripts." type:"path"`
	Check bool     `help:"Change nothing; exit 1 if a file would change."`
}

// Run implements kong's command.
func (c *flowFmtCmd) Run() error {
	if len(c.Paths) == 0 {
		c.Paths = []string{"scripts"}
	}
	changed := 0
	for _, path := range c.Paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(file) != ".yaml" {
				return err
			}
			src, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			out := flows.Format(src)
			if string(out) == string(src) {
				return nil
			}
			changed++
			fmt.Println(file)
			if c.Check {
				return nil
			}
			return os.WriteFile(file, out, 0o644)
		})
		if err != nil {
			return &exitError{2, err.Error()}
		}
	}
	if c.Check && changed > 0 {
		return &exitError{code: 1}
	}
	return nil
}

type flowSimCmd struct {
	Flow string `arg:"" help:"Name of the flow."`
	flowDir
	World []string `help:"Change the made-up world: passkey=none, mobile=busy, call.attestation=C, queue.fraud_desk=closed, down=otp." placeholder:"KEY=VALUE"`
	Save  string   `help:"Write what was played to a file as a flow test." placeholder:"FILE"`
}

// Run implements kong's command.
func (c *flowSimCmd) Run() error {
	b, _, err := oneFlow(c.Dir, c.Flow)
	if err != nil {
		return err
	}
	s, err := flows.NewSession(b, c.Flow, c.World, os.Stdout)
	if err != nil {
		return &exitError{2, err.Error()}
	}
	s.Save = func(file, test string) error { return os.WriteFile(file, []byte(test), 0o644) }
	if err := s.Play(os.Stdin); err != nil {
		return err
	}
	if c.Save != "" {
		return s.Save(c.Save, s.Test("what this shows"))
	}
	return nil
}

type flowDiffCmd struct {
	Old  string `arg:"" help:"Folder as it was."`
	New  string `arg:"" help:"Folder as it is to be."`
	JSON bool   `help:"Print the changes as JSON." name:"json"`
}

// Run implements kong's command. A looser set is not an error: publishing it
// needs a signature of role risk.
func (c *flowDiffCmd) Run() error {
	old, _, err := loadFlows(c.Old)
	if err != nil {
		return err
	}
	next, _, err := loadFlows(c.New)
	if err != nil {
		return err
	}
	changes := flows.Diff(old, next)
	if c.JSON {
		return printJSON(os.Stdout, append([]flows.Change{}, changes...))
	}
	for _, one := range changes {
		fmt.Println(one)
	}
	return nil
}

type flowRouteCmd struct {
	configFlag
	Number string    `arg:"" help:"The number called."`
	Trunk  string    `help:"The trunk the call comes from."`
	At     time.Time `help:"The time of the call (RFC 3339); by default now."`
	flowDir
}
