package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence/web/importer"
)

// importCmd judges files of subjects. They are put on file in the console
// only, because two persons have to sign them.
type importCmd struct {
	Check importCheckCmd `cmd:"" help:"Say what is wrong with a file, line by line; nothing is stored."`
}

// importCheckCmd is the dry run of the console's import, without its server.
type importCheckCmd struct {
	configFlag
	File   string `arg:"" help:"CSV or JSON; - for standard input, which is CSV unless --format says json."`
	Format string `enum:"csv,json,auto" default:"auto" help:"csv or json; by default what the file's name ends with."`
	Source string `default:"a dry run" help:"Where the file comes from."`
	JSON   bool   `help:"Print the report as JSON."`
}

// Run judges. Exit 0: no faults; 1: faults; 2: it cannot be read, or the
// configuration is wrong. What is on file already is not looked at.
func (c *importCheckCmd) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	bundle, err := loadBundle(cfg, nil)
	if err != nil {
		return &exitError{2, err.Error()}
	}
	data, err := readFile(c.File)
	if err != nil {
		return &exitError{2, err.Error()}
	}
	_, report := importer.Read(data, importer.Options{Format: c.format(), Source: c.Source, Policy: bundle.Policy(), Now: time.Now()})
	if c.JSON {
		err = printJSON(os.Stdout, report)
	} else {
		printReport(os.Stdout, c.File, report)
	}
	if err == nil && !report.Clean() {
		return &exitError{code: 1}
	}
	return err
}

func (c *importCheckCmd) format() importer.Format {
	switch {
	case c.Format != "auto":
		return importer.Format(c.Format)
	case strings.EqualFold(filepath.Ext(c.File), ".json"):
		return importer.JSON
	default:
		return importer.CSV
	}
}

// readFile reads no more than an import may have, and one byte to notice.
func readFile(name string) ([]byte, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	return io.ReadAll(io.LimitReader(f, importer.MaxBytes+1))
}

func printReport(w io.Writer, name string, r importer.Report) {
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s:%d: %s\n", name, f.Line, strings.TrimPrefix(f.Column+": "+f.Says, ": "))
	}
	if r.MoreFaults > 0 {
		fmt.Fprintf(w, "%d faults more are not listed\n", r.MoreFaults)
	}
	for _, f := range r.Notes {
		fmt.Fprintf(w, "%s:%d: note: %s: %s\n", name, f.Line, f.Column, f.Says)
	}
	if !r.Clean() {
		fmt.Fprintf(w, "%d rows read; nothing can be imported until every fault is mended\n", r.Rows)
		return
	}
	points := 0
	for _, n := range r.ContactPoints {
		points += n
	}
	fmt.Fprintf(w, "ok: %d subjects, %d numbers and addresses (%d without a date), %d PINs, %d authenticator apps, %d payees, %d mandates\n",
		r.Rows, points, r.Undated, r.PINs, r.TOTPs, r.Payees, r.Mandates)
}
