// Package importer reads subjects with their contact points, first
// authenticators, payees and mandates from CSV (RFC 4180) or JSON, and says of
// every fault in which line and column it stands and what to change.
//
//	file ──Read──▶ rows ──judge──▶ gate.Import + what is to be made ──▶ Report
//
// It is strict and total: a file with one fault yields no import at all, an
// unknown column is a fault, and no fault repeats the value it is about. It
// stores nothing and makes no secret; the gate judges the import once more.
package importer

import (
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
)

// Limits of a file.
const (
	MaxBytes   = 10 << 20
	MaxRows    = 100_000
	MaxColumns = 64
	MaxCell    = 4096 // bytes
	MaxPerRow  = 100  // payees, and mandates, of one subject
	// MaxFaults is how many faults are listed; the rest is counted.
	MaxFaults = 200
	// MaxMade is how many PINs and seeds one import may have made: each is told
	// to a person by a person.
	MaxMade = 200
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// Fault is something that has to be changed, or in a note: looked at.
type Fault struct {
	Line   int    `json:"line" doc:"of the file, from 1; 0 is the file as a whole"`
	Column string `json:"column,omitempty"`
	Says   string `json:"says" doc:"what is wrong and what to change; never the value"`
}

// String returns the fault as "line 3, mobile: …".
func (f Fault) String() string {
	where := "file"
	if f.Line > 0 {
		where = fmt.Sprintf("line %d", f.Line)
	}
	if f.Column != "" {
		where += ", " + f.Column
	}
	return where + ": " + f.Says
}

// Report is what a dry run finds.
type Report struct {
	Rows          int                           `json:"rows"`
	Subjects      map[ringfence.SubjectKind]int `json:"subjects"`
	ContactPoints map[ringfence.ContactType]int `json:"contact_points"`
	PINs          int                           `json:"pins"`
	TOTPs         int                           `json:"totps"`
	Payees        int                           `json:"payees"`
	Mandates      int                           `json:"mandates"`
	Made          int                           `json:"made" doc:"first PINs and seeds that are made and shown once"`
	Oldest        time.Time                     `json:"oldest,omitzero" doc:"oldest date that the file carries"`
	Undated       int                           `json:"undated" doc:"contact points without verified_at: their clock starts now"`
	Faults        []Fault                       `json:"faults"`
	MoreFaults    int                           `json:"more_faults" doc:"faults that are not listed"`
	Notes         []Fault                       `json:"notes" doc:"no faults, but worth a look"`
}

// Clean reports that there is no fault.
func (r *Report) Clean() bool { return len(r.Faults) == 0 }

// Add adds a fault that only who knows the directory can find.
func (r *Report) Add(line int, column, says string) { r.fault(line, column, says) }

func (r *Report) fault(line int, column, says string) {
	if len(r.Faults) == MaxFaults {
		r.MoreFaults++
		return
	}
	r.Faults = append(r.Faults, Fault{line, column, says})
}

func (r *Report) note(line int, column, says string) {
	if len(r.Notes) < MaxFaults {
		r.Notes = append(r.Notes, Fault{line, column, says})
	}
}

// Made is a first secret that is to be made before the import is signed.
type Made struct {
	// Index is its place in Import.Authenticators, whose Secret is empty.
	Index int
	// Label names the subject: "customer 10002000".
	Label string
	// Own are the subject's numbers, which a PIN may not be part of.
	Own []string
}

// Parsed is a file without faults.
type Parsed struct {
	Import gate.Import
	Make   []Made
	// Lines holds the line of every subject, by its place in Import.Subjects.
	Lines []int
}

// Options are what a file is judged by.
type Options struct {
	Format Format
	Source string // of rows that name none
	Policy *policy.Policy
	Now    time.Time
}

// Read judges a whole file. Parsed is nil unless the report is clean.
func Read(data []byte, o Options) (*Parsed, Report) {
	j := &judge{o: o, report: Report{Subjects: map[ringfence.SubjectKind]int{}, ContactPoints: map[ringfence.ContactType]int{},
		Faults: []Fault{}, Notes: []Fault{}}}
	j.out.Import.Source = o.Source
	if says := gate.CheckValue(policy.Type{Base: policy.BaseName}, o.Source); says != "" || ringfence.ValidID(o.Source, ringfence.PrefixRelease) {
		j.report.fault(0, "source", "say where the file comes from, in at most 140 plain characters, such as CRM export of 2026-11-20")
	}
	switch {
	case o.Policy == nil:
		j.report.fault(0, "", "no policy is in force")
	case len(data) > MaxBytes:
		j.report.fault(0, "", fmt.Sprintf("is larger than %d MiB: split it", MaxBytes>>20))
	case o.Format == CSV:
		readCSV(data, j)
	case o.Format == JSON:
		readJSON(data, j)
	default:
		j.report.fault(0, "", "is neither csv nor json: say which")
	}
	j.finish()
	if !j.report.Clean() {
		return nil, j.report
	}
	return &j.out, j.report
}
