package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/web"
)

// drillCmd attacks a second ringfence that has the operator's configuration.
type drillCmd struct {
	configFlag
	List    bool     `help:"Name the attacks and what has to stop each."`
	Against []string `help:"Attack the listener of a running ringfence at this address, from outside, instead." placeholder:"URL"`
	Yes     bool     `help:"Attack a host that is neither this machine nor in your configuration: it is yours, or its owner asked you to."`
	Only    []string `help:"Run these attacks only." placeholder:"NAME"`
	JSON    bool     `name:"json" help:"Print the report as JSON."`
	Verbose bool     `short:"v" help:"Tell on standard error what everybody does and hears."`
}

// Run attacks. Exit 0: everything was stopped; 1: something got through; 2: an
// attack could not be carried out, or the configuration cannot be served.
func (c *drillCmd) Run(ctx context.Context) error {
	switch {
	case c.List && len(c.Against) > 0:
		return listDrills(os.Stdout, outsideDrills(), c.JSON)
	case c.List:
		return listDrills(os.Stdout, drills(), c.JSON)
	case len(c.Against) > 0:
		report, err := c.against(ctx)
		if err != nil {
			return err
		}
		if err := printDrill(os.Stdout, report, c.JSON); err != nil {
			return err
		}
		return drillStatus(report)
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	chosen, err := choose(c.Only)
	if err != nil {
		return &exitError{code: 2, text: err.Error() + " (ringfence drill --list names them)"}
	}
	story := io.Discard
	if c.Verbose {
		story = os.Stderr
	}
	o := drillOptions{Tenant: tenants(cfg)[0], Attacks: chosen, Story: newTranscript(story)}
	report := runDrill(ctx, cfg, o)
	if err := (drillFolder{cfg.Data}).keep(o.Tenant, report); err != nil {
		fmt.Fprintln(os.Stderr, "ringfence: the report is not kept: "+err.Error())
	}
	if err := printDrill(os.Stdout, report, c.JSON); err != nil {
		return err
	}
	return drillStatus(report)
}

// drillStatus is the exit status of a report.
func drillStatus(r web.DrillReport) error {
	switch {
	case r.Through > 0:
		return &exitError{code: 1}
	case !r.OK:
		return &exitError{code: 2}
	}
	return nil
}

func listDrills(w io.Writer, list []web.Drill, asJSON bool) error {
	if asJSON {
		return indented(w, list)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", d.Name, d.Layer, d.Does)
	}
	return t.Flush()
}

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// drillWords are the outcomes as people read them.
var drillWords = map[web.DrillOutcome]string{web.DrillStopped: "stopped", web.DrillThrough: "GOT THROUGH", web.DrillNotApplicable: "not applicable", web.DrillFailed: "NOT CARRIED OUT"}

func printDrill(w io.Writer, r web.DrillReport, asJSON bool) error {
	if asJSON {
		return indented(w, r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", x.Name, cmp.Or(drillWords[x.Outcome], drillWords[web.DrillFailed]), x.Layer, x.Says)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Error != "" {
		fmt.Fprintln(w, "ended early: "+r.Error)
	}
	_, err := fmt.Fprintf(w, "\n%d stopped, %d got through, %d not carried out, %d not applicable, in %.0f s\n",
		r.Stopped, r.Through, r.Failed, r.NotApplicable, r.Ended.Sub(r.Began).Seconds())
	return err
}

// choose returns the named attacks in their order, all when none is named.
func choose(names []string) ([]attack, error) {
	if len(names) == 0 {
		return attacks, nil
	}
	var out []attack
	for _, a := range attacks {
		if slices.Contains(names, a.Name) {
			out = append(out, a)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(out, func(a attack) bool { return a.Name == n }) {
			return nil, fmt.Errorf("%w %q", web.ErrNoDrill, n)
		}
	}
	return out, nil
}

// drills lists the attacks for readers.
func drills() []web.Drill {
	out := make([]web.Drill, len(attacks))
	for i, a := range attacks {
		out[i] = a.Drill
	}
	return out
}

// outsideDrills lists those that need no view inside.
func outsideDrills() []web.Drill {
	out := make([]web.Drill, len(outsideAttacks))
	for i, a := range outsideAttacks {
		out[i] = a.Drill
	}
	return out
}

// verdict is what came of one attack.
type verdict struct {
	outcome web.DrillOutcome
	says    string
}

func stopped(format string, args ...any) verdict {
	return verdict{web.DrillStopped, fmt.Sprintf(format, args...)}
}

func through(format string, args ...any) verdict {
	return verdict{web.DrillThrough, fmt.Sprintf(format, args...)}
}

func notApplicable(format string, args ...any) verdict {
	return verdict{web.DrillNotApplicable, fmt.Sprintf(format, args...)}
}

func broken(err error) verdict { return verdict{web.DrillFailed, err.Error()} }

// denied judges an answer of the API: an attack is stopped only by a refusal.
// Everything else that went wrong says nothing about it.
func denied(err error, got string) verdict {
	if err == nil {
		return through("%s", got)
	}
	if p, ok := problemIn(err); ok && p.Status >= 400 && p.Status < 500 {
		return stopped("%d %s: %s", p.Status, strings.TrimSpace(p.Kind()), p.Says())
	}
	return broken(err)
}

// worst joins verdicts of which each has to be a stop.
func worst(all ...verdict) verdict {
	rank := []web.DrillOutcome{web.DrillThrough, web.DrillFailed, web.DrillNotApplicable, web.DrillStopped}
	return slices.MinFunc(all, func(a, b verdict) int {
		return slices.Index(rank, a.outcome) - slices.Index(rank, b.outcome)
	})
}

// problemIn returns the refusal of the API that an error is.
func problemIn(err error) (*lab.Problem, bool) { return errorIn[*lab.Problem](err) }
