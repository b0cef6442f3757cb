package importer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
)

// The columns beside the fields of the records.
const (
	colKind     = "kind"
	colLanguage = "language"
	colMobile   = "mobile"
	colLandline = "landline"
	colEmail    = "email"
	colVerified = "verified_at"
	colSource   = "source"
	colPIN      = "pin"
	colTOTP     = "totp"
	colBound    = "bound_at"
	colPayees   = "payees"
	colMandates = "mandates"
	// fieldPrefix names a record's field that is called like a column.
	fieldPrefix = "record."
)

var columns = []string{colKind, colLanguage, colMobile, colLandline, colEmail, colVerified, colSource, colPIN, colTOTP, colBound, colPayees, colMandates}

// row is one subject as the file has it. A blank is no cell.
type row struct {
	line     int
	cells    map[string]string
	payees   []payeeCell
	mandates []mandateCell
}

type payeeCell struct {
	Account string `json:"account"`
	Since   string `json:"since"`
}

type mandateCell struct {
	Person string   `json:"person"`
	Types  []string `json:"types"`
	Limit  string   `json:"limit"`
	Until  string   `json:"until"`
	Since  string   `json:"since"`
}

// judge collects what is good and what is not.
type judge struct {
	o       Options
	report  Report
	out     Parsed
	names   map[string]bool                // fields of all kinds
	seen    map[string]int                 // identifying value -> line
	byLabel map[string]ringfence.SubjectID // "customer 10002000"
	numbers map[string]int                 // contact value -> line
	seeds   map[string]int
	late    []late
}

// late is a mandate whose person may stand further down.
type late struct {
	line    int
	subject ringfence.SubjectID
	cell    mandateCell
}

// known reports a name that a column may have.
func (j *judge) known(name string) bool {
	if j.names == nil {
		j.names = map[string]bool{}
		for _, k := range j.o.Policy.Kinds() {
			for _, f := range k.Fields {
				j.names[f.Name] = true
			}
		}
	}
	return slices.Contains(columns, name) || j.names[strings.TrimPrefix(name, fieldPrefix)]
}

// shown is a column's name as a fault may repeat it.
func (j *judge) shown(name string) string {
	if len(name) > 40 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return name
}

func (j *judge) hint() string {
	fields := []string{}
	for name := range j.names {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	return "want " + strings.Join(columns, ", ") + ", or a field of the policy's kinds (" + strings.Join(fields, ", ") + ")"
}

// columns judges a header.
func (j *judge) columns(header []string) bool {
	before := len(j.report.Faults)
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		j.report.fault(1, "", "has no commas: separate the columns by commas, not by semicolons or tabs")
		return false
	}
	if len(header) > MaxColumns {
		j.report.fault(1, "", fmt.Sprintf("has more than %d columns", MaxColumns))
		return false
	}
	for i, name := range header {
		switch {
		case name == colMandates:
			j.report.fault(1, name, "can be read from JSON only")
		case !j.known(name):
			j.report.fault(1, j.shown(name), fmt.Sprintf("column %d is not known: %s", i+1, j.hint()))
		case slices.Contains(header[:i], name):
			j.report.fault(1, name, "stands twice")
		}
	}
	if !slices.Contains(header, colKind) {
		j.report.fault(1, colKind, "is missing: it names the kind of each subject")
	}
	return len(j.report.Faults) == before
}

// row judges one subject with all that hangs on it. ok is false when some of
// its cells could not be read; then it is judged for further faults only.
func (j *judge) row(w row, ok bool) {
	j.report.Rows++
	fault := func(column, says string) {
		j.report.fault(w.line, column, says)
		ok = false
	}
	kind, known := j.o.Policy.Kind(ringfence.SubjectKind(w.cells[colKind]))
	if !known {
		names := []string{}
		for _, k := range j.o.Policy.Kinds() {
			names = append(names, string(k.Name))
		}
		fault(colKind, "want one of "+strings.Join(names, ", "))
		return
	}
	s := ringfence.Subject{ID: ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject), Kind: kind.Name, Record: map[string]string{}}
	s.Language = w.cells[colLanguage]
	if s.Language != "" && !languageTag(s.Language) {
		fault(colLanguage, "want a language such as en or en-GB")
	}
	j.record(w, kind, s.Record, fault)
	label := j.identify(w, kind, s, fault)
	verified := j.date(w.cells[colVerified], colVerified, fault)
	source := w.cells[colSource]
	if source != "" && (gate.CheckValue(policy.Type{Base: policy.BaseName}, source) != "" || ringfence.ValidID(source, ringfence.PrefixRelease)) {
		fault(colSource, "want at most 140 plain characters that say who said so")
	}
	points := j.contacts(w, s.ID, source, verified, fault)
	if len(points) == 0 && !verified.IsZero() {
		fault(colVerified, "stands without a number or address that was verified: leave it out")
	}
	keys, made := j.authenticators(w, kind, s, label, points, fault)
	payees := j.payees(w, kind, s.ID, source, fault)
	if len(w.mandates) > MaxPerRow {
		fault(colMandates, fmt.Sprintf("are more than %d", MaxPerRow))
	} else {
		for _, m := range w.mandates {
			j.late = append(j.late, late{w.line, s.ID, m})
		}
	}
	if !ok {
		return
	}
	in := &j.out.Import
	for i := range made {
		made[i].Index += len(in.Authenticators)
	}
	j.out.Make = append(j.out.Make, made...)
	j.out.Lines = append(j.out.Lines, w.line)
	in.Subjects = append(in.Subjects, s)
	in.ContactPoints = append(in.ContactPoints, points...)
	in.Authenticators = append(in.Authenticators, keys...)
	in.Payees = append(in.Payees, payees...)
	j.count(kind.Name, points, keys, len(payees), verified)
}

// record takes the fields of the record.
func (j *judge) record(w row, kind policy.Kind, out map[string]string, fault func(string, string)) {
	for _, name := range sortedKeys(w.cells) {
		v := w.cells[name]
		field, spelt := strings.CutPrefix(name, fieldPrefix)
		if !spelt && slices.Contains(columns, name) {
			continue
		}
		t, known := kind.Field(field)
		if !known {
			fault(name, "is no field of "+string(kind.Name)+": leave the cell empty")
			continue
		}
		if _, twice := out[field]; twice {
			fault(name, "stands twice")
			continue
		}
		if says := gate.CheckValue(t, v); says != "" {
			fault(name, says)
			continue
		}
		if (t.Base == policy.BaseName || t.Base == policy.BaseText) && gate.MixedScripts(v) {
			j.report.note(w.line, name, "mixes alphabets whose letters look alike: compare it with the original")
		}
		if (t.Base == policy.BaseName || t.Base == policy.BaseText) && strings.ContainsRune("=+-@", rune(v[0])) {
			j.report.note(w.line, name, "begins like a formula, which a spreadsheet would run: compare it with the original")
		}
		out[field] = v
	}
}

// identify returns a name for the subject, and refuses two with one value.
func (j *judge) identify(w row, kind policy.Kind, s ringfence.Subject, fault func(string, string)) string {
	if j.seen == nil {
		j.seen, j.byLabel = map[string]int{}, map[string]ringfence.SubjectID{}
	}
	label, refused := "", false
	for _, name := range kind.IdentifiedBy {
		v := s.Record[name]
		refused = refused || v == "" && w.cells[name]+w.cells[fieldPrefix+name] != ""
		if v == "" {
			continue
		}
		key := string(kind.Name) + ":" + name + "=" + v
		if line, twice := j.seen[key]; twice {
			fault(name, fmt.Sprintf("is the same as in line %d: each value names one %s", line, kind.Name))
		}
		j.seen[key] = w.line
		full := string(kind.Name) + " " + v
		if label == "" {
			label = full
		}
		j.byLabel[full] = s.ID
	}
	if label == "" && !refused && len(kind.IdentifiedBy) > 0 && !kind.Counterparty {
		fault(kind.IdentifiedBy[0], "is missing: callers of kind "+string(kind.Name)+" say who they are by "+strings.Join(kind.IdentifiedBy, " or "))
	}
	if label == "" {
		label = fmt.Sprintf("%s of line %d", kind.Name, w.line)
	}
	return label
}

// date reads a day or an instant, not of the future; "" is none.
func (j *judge) date(v, column string, fault func(string, string)) time.Time {
	if v == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.DateOnly, v)
	if err != nil {
		at, err = time.Parse(time.RFC3339, v)
	}
	switch {
	case err != nil || at.Year() < 1950:
		fault(column, "want a date as YYYY-MM-DD, or a time as 2026-11-20T16:00:00Z")
		return time.Time{}
	case at.After(j.o.Now):
		fault(column, "lies in the future")
		return time.Time{}
	}
	return at.UTC()
}
