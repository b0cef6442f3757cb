package importer

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readJSON reads an array of objects whose members are the columns. Every
// value is a string, so that no leading zero is lost; payees and mandates are
// arrays of objects.
func readJSON(data []byte, j *judge) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	lines := counter{data: data}
	stop := func(says string) { j.report.fault(lines.at(dec.InputOffset()), "", says) }
	if dec.PeekKind() != '[' {
		stop("is not a JSON array of objects, one for each subject")
		return
	}
	dec.ReadToken()
	for dec.PeekKind() == '{' {
		line := lines.at(begin(data, dec.InputOffset()))
		if j.report.Rows == MaxRows {
			j.report.fault(line, "", fmt.Sprintf("is row %d: split the file", MaxRows+1))
			return
		}
		raw, err := dec.ReadValue()
		if err != nil {
			stop("is not JSON of one meaning: look for a missing comma or quote, or a name that stands twice")
			return
		}
		w, ok := j.object(line, raw)
		j.row(w, ok)
	}
	if dec.PeekKind() != ']' {
		stop("is not JSON: want an object or the end of the array")
		return
	}
	dec.ReadToken()
	if _, err := dec.ReadToken(); err != io.EOF {
		stop("goes on after the end of the array")
	}
}

// object reads one row.
func (j *judge) object(line int, raw jsontext.Value) (row, bool) {
	w, ok := row{line: line, cells: map[string]string{}}, true
	fault := func(column, says string) {
		j.report.fault(line, column, says)
		ok = false
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil || len(members) > MaxColumns {
		fault("", fmt.Sprintf("cannot be read: want at most %d members, each once", MaxColumns))
		return w, ok
	}
	for name, v := range members {
		var text string
		switch {
		case len(v) > MaxCell && name != colPayees && name != colMandates:
			fault(j.shown(name), fmt.Sprintf("is longer than %d bytes", MaxCell))
		case name == colPayees:
			if json.Unmarshal(v, &w.payees, json.RejectUnknownMembers(true)) != nil {
				fault(name, `want [{"account": "…", "since": "YYYY-MM-DD"}]`)
			}
		case name == colMandates:
			if json.Unmarshal(v, &w.mandates, json.RejectUnknownMembers(true)) != nil {
				fault(name, `want [{"person": "customer 10002000", "types": ["payment"], "limit": "5000", "until": "YYYY-MM-DD"}]`)
			}
		case !j.known(name):
			fault(j.shown(name), "is no column: "+j.hint())
		case v.Kind() == 'n':
		case json.Unmarshal(v, &text) != nil:
			fault(name, "is not in quotes: every value is a string, so that no zero is lost")
		case text != "":
			w.cells[name] = text
		}
	}
	return w, ok
}

// counter finds the line of an offset, going forward only.
type counter struct {
	data []byte
	read int64
	line int
}

func (c *counter) at(offset int64) int {
	if c.line == 0 {
		c.line = 1
	}
	offset = min(offset, int64(len(c.data)))
	if offset > c.read {
		c.line += bytes.Count(c.data[c.read:offset], []byte("\n"))
		c.read = offset
	}
	return c.line
}

// begin skips what stands before the next value.
func begin(data []byte, offset int64) int64 {
	for offset < int64(len(data)) && bytes.IndexByte([]byte(" \t\r\n,"), data[offset]) >= 0 {
		offset++
	}
	return offset
}
