package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/reconcile"
	"github.com/ringfence/ringfence/store/sqlite"
)

// reconcileCmd holds a journal against a data folder, or a copy of one,
// without any key. Exit 0: both sides agree; 1: findings; 2: misused.
type reconcileCmd struct {
	Journal  string `arg:"" type:"existingfile" help:"What the executor did: JSON lines, or a journal of package executor."`
	Dir      string `arg:"" type:"existingdir" help:"Data folder."`
	Executor string `required:"" help:"Whose journal it is."`
	From     string `help:"The journal holds every act from here: 2026-03-01 or a time. Default: the beginning." placeholder:"TIME"`
	To       string `help:"To here. Default: now." placeholder:"TIME"`
	Tenant   string `default:"default" help:"Tenant."`
	JSON     bool   `help:"Print the report as JSON."`
}

// Run compares.
func (c *reconcileCmd) Run(ctx context.Context) error {
	report, err := c.compare(ctx)
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			fmt.Printf("%-6s %s %s: %s\n", f.Grave, f.Release, f.What, f.Says)
		}
		fmt.Printf("%d acts in the journal, %d redemptions in the window, %d agree, %d alarms\n", report.Lines, report.Redemptions, report.Agreed, report.Alarms())
	}
	if len(report.Findings) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (c *reconcileCmd) compare(ctx context.Context) (reconcile.Report, error) {
	var w reconcile.Window
	var err error
	if w.From, err = timeOr(c.From, time.Time{}); err != nil {
		return reconcile.Report{}, fmt.Errorf("--from: %w", err)
	}
	if w.To, err = timeOr(c.To, time.Now()); err != nil {
		return reconcile.Report{}, fmt.Errorf("--to: %w", err)
	}
	f, err := os.Open(c.Journal)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer f.Close()
	lines, err := reconcile.Read(f)
	if err != nil {
		return reconcile.Report{}, fmt.Errorf("%s: %w", c.Journal, err)
	}
	audit, err := sqlite.OpenAudit(c.Dir)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer audit.Close()
	facts, err := reconcile.FromSource(ctx, audit.Log(ringfence.TenantID(c.Tenant)))
	if err != nil {
		return reconcile.Report{}, err
	}
	return reconcile.Compare(c.Executor, w, lines, facts), nil
}

func timeOr(text string, other time.Time) (time.Time, error) {
	if text == "" {
		return other, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is no time: write 2026-03-01 or 2026-03-01T12:00:00Z", text)
	}
	return t, nil
}
