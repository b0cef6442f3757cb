package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/flows"
)

type flowProveCmd struct {
	flowDir
	Certificate bool   `help:"Print the certificate, as it stands in a bundle."`
	Raised      bool   `help:"List the releases that no call can make once their class is raised."`
	Save        string `help:"Write each counter-example as a flow test into a folder." placeholder:"DIR"`
	JSON        bool   `help:"Print the report as JSON." name:"json"`
}

// Help implements kong's HelpProvider.
func (c *flowProveCmd) Help() string {
	return `Explores every call that the flows can become, and prints a call for each
property that does not hold:

  P1 releases without the proofs that the policy asks for
  P2 speaks what must not be heard on that leg       P3 connects too early
  P4 reads, confirms or releases what may be empty   P5 changes what was proved
  P6 proofs of too few different lanes               P7 lines no call comes to
  P8 actions no flow releases                        P9 calls or proofs too old
  P10 reach, read-back and approval out of order

Examples:
  ringfence flow prove scripts
  ringfence flow prove scripts --save scripts/tests
  ringfence flow prove scripts --certificate`
}

type flowProveJSON struct {
	Clean       bool                `json:"clean"`
	Certificate flows.Certificate   `json:"certificate"`
	Findings    []flowProveFinding  `json:"findings"`
	Roots       int                 `json:"roots"`
	Lines       int                 `json:"lines"`
	Longest     []flowProveDuration `json:"longest"`
	Raised      []flows.RaisedGap   `json:"raised,omitempty"`
}

type flowProveFinding struct {
	flows.Diagnostic
	Call []string `json:"call,omitempty"`
	Play string   `json:"play,omitempty"`
}

type flowProveDuration struct {
	Flow    string  `json:"flow"`
	Seconds float64 `json:"seconds"`
}

// Run implements kong's command.
func (c *flowProveCmd) Run() error {
	b, _, err := c.load()
	if err != nil {
		return err
	}
	began := time.Now()
	r := flows.Prove(b)
	took := time.Since(began)
	if c.Save != "" {
		if err := saveCalls(c.Save, b, r); err != nil {
			return err
		}
	}
	var raised []flows.RaisedGap
	if c.Raised {
		raised = flows.Raised(b)
	}
	switch {
	case c.JSON:
		err = printJSON(os.Stdout, proveJSON(r, raised))
	case c.Certificate:
		_, err = fmt.Printf("%s\n", r.Certificate().Canonical())
	default:
		printProof(os.Stdout, r)
		for _, g := range raised {
			fmt.Println(g)
		}
	}
	if err != nil {
		return err
	}
	if !r.Clean() {
		return &exitError{1, counted(len(r.Findings), "finding") + ": a call can go wrong"}
	}
	fmt.Fprintf(os.Stderr, "%d flows, %d lines: P1–P10 hold for every call (%d states, %.1f ms)\n", len(b.Flows()), r.Lines, r.States, float64(took.Microseconds())/1000)
	return nil
}

func printProof(w io.Writer, r flows.Report) {
	for i, f := range r.Findings {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printDiagnostics(w, []flows.Diagnostic{f.Diagnostic})
		if f.Call != nil {
			fmt.Fprintf(w, "\n%s", f.Call.Play())
		}
	}
}

func proveJSON(r flows.Report, raised []flows.RaisedGap) flowProveJSON {
	out := flowProveJSON{Clean: r.Clean(), Certificate: r.Certificate(), Roots: r.Roots, Lines: r.Lines, Raised: raised, Findings: []flowProveFinding{}}
	for _, f := range r.Findings {
		one := flowProveFinding{Diagnostic: f.Diagnostic}
		if f.Call != nil {
			one.Play = f.Call.Play()
			for _, s := range f.Call.Steps {
				one.Call = append(one.Call, fmt.Sprintf("%s %s %s", s.Line.Pos, s.Line.Verb, s.Way))
			}
		}
		out.Findings = append(out.Findings, one)
	}
	for _, l := range r.Longest {
		out.Longest = append(out.Longest, flowProveDuration{l.Flow, l.Call.Seconds()})
	}
	return out
}

// attackOf is the way of the call of the n-th finding, counted from 1.
func attackOf(b *flows.Bundle, n int) ([]flows.Place, error) {
	r := flows.Prove(b)
	if n < 1 || n > len(r.Findings) {
		return nil, &exitError{1, fmt.Sprintf("--cex: flow prove has %d findings, there is no number %d", len(r.Findings), n)}
	}
	f := r.Findings[n-1]
	if f.Call == nil {
		return nil, &exitError{1, "--cex: this finding is of a line, not of a call: " + f.Diagnostic.String()}
	}
	var out []flows.Place
	for _, s := range f.Call.Steps {
		out = append(out, s.Line.Place())
	}
	return out, nil
}

// saveCalls writes the counter-examples as flow tests, and says which cannot
// be.
func saveCalls(dir string, b *flows.Bundle, r flows.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &exitError{2, err.Error()}
	}
	for i, f := range r.Findings {
		if f.Call == nil {
			continue
		}
		test, err := f.Test(b)
		if err != nil {
			fmt.Fprintf(os.Stderr, "not saved: %v\n", err)
			continue
		}
		name := filepath.Join(dir, fmt.Sprintf("prove-%d-%s.yaml", i+1, f.Code))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("save a counter-example: %v", err)
		}
		if _, err := file.WriteString(test); err != nil {
			file.Close()
			return fmt.Errorf("save a counter-example: %v", err)
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("save a counter-example: %v", err)
		}
		fmt.Fprintln(os.Stderr, name)
	}
	return nil
}

// counted is a number and a noun, in the singular for one.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
