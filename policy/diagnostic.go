package policy

import "fmt"

// Severity says whether a diagnostic refuses the file.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// The codes of diagnostics. They are printed, documented and searched for:
// never renamed.
const (
	CodeYAML     = "Y3" // not one plain YAML document: duplicate key, anchor, alias, tag, tab, second document
	CodeKey      = "E1" // unknown or missing key
	CodeShape    = "E2" // a list where a map belongs, and the like
	CodeName     = "E3" // unknown fact, field, subject kind or action
	CodeType     = "E4" // unknown type, or a comparison of unlike types
	CodeRange    = "E5" // a number or duration outside its hard bound
	CodeFloor    = "E6" // below the floor of its class
	CodeSubset   = "E7" // a condition outside the plain subset
	CodeWaiver   = "E8" // a waiver of what may not be waived, or without reason or end
	CodeUseless  = "W1" // allowed, but surely not meant
	maxNodeDepth = 16   // no policy or flow nests deeper
)

// Diagnostic is one finding about a file, at a place.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"` // from 1; 0 = the file as a whole
	Col      int      `json:"col"`  // from 1
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // what to write instead
	Severity Severity `json:"severity"`
}

// String returns file:line:col CODE message [hint].
func (d Diagnostic) String() string {
	s := fmt.Sprintf("%s:%d:%d %s %s", d.File, d.Line, d.Col, d.Code, d.Message)
	if d.Hint != "" {
		s += " [" + d.Hint + "]"
	}
	return s
}

// Failed reports whether any of ds is an error.
func Failed(ds []Diagnostic) bool {
	for _, d := range ds {
		if d.Severity != SeverityWarning {
			return true
		}
	}
	return false
}
