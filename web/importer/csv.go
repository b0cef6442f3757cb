package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// readCSV reads RFC 4180 with a header row. A blank cell is no value.
func readCSV(data []byte, j *judge) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as spreadsheets write it
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		j.report.fault(0, "", "is not text in UTF-8: save it as CSV UTF-8")
		return
	}
	r := csv.NewReader(bytes.NewReader(data))
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		j.report.fault(0, "", "is empty: the first line names the columns")
		return
	}
	if err != nil {
		broken(err, j)
		return
	}
	header = slices.Clone(header)
	if !j.columns(header) {
		return
	}
	r.ReuseRecord = true
	for {
		cells, err := r.Read()
		line := 0
		if len(cells) > 0 {
			line, _ = r.FieldPos(0)
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, csv.ErrFieldCount):
			j.report.fault(line, "", fmt.Sprintf("has %d cells where the header has %d: a value with a comma stands in double quotes", len(cells), len(header)))
			continue
		case err != nil:
			broken(err, j)
			return
		}
		if j.report.Rows == MaxRows {
			j.report.fault(line, "", fmt.Sprintf("is row %d: split the file", MaxRows+1))
			return
		}
		w := row{line: line, cells: make(map[string]string, len(cells))}
		ok := true
		for i, cell := range cells {
			if cell == "" {
				continue
			}
			if len(cell) > MaxCell {
				j.report.fault(line, header[i], fmt.Sprintf("is longer than %d bytes", MaxCell))
				ok = false
				continue
			}
			w.cells[header[i]] = cell
		}
		if len(w.cells) == 0 { // a line of commas, as spreadsheets leave behind
			continue
		}
		w.payees, ok = j.payeeCells(w, ok)
		j.row(w, ok)
	}
}

// broken is a file that cannot be read further: where one row ends is not
// known after a wrong quote.
func broken(err error, j *judge) {
	line, says := 0, "cannot be read as CSV"
	var at *csv.ParseError
	if errors.As(err, &at) {
		line = at.Line
		if errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote) {
			says = "has a double quote in the wrong place: put the whole value in double quotes and double those inside; nothing after it was read"
		}
	}
	j.report.fault(line, "", says)
}

// payeeCells reads "ACCOUNT@DATE; ACCOUNT@DATE". The date may be missing.
func (j *judge) payeeCells(w row, ok bool) ([]payeeCell, bool) {
	var out []payeeCell
	text := w.cells[colPayees]
	delete(w.cells, colPayees)
	if text == "" {
		return nil, ok
	}
	for one := range strings.SplitSeq(text, ";") {
		account, since, _ := strings.Cut(strings.TrimSpace(one), "@")
		if account == "" {
			j.report.fault(w.line, colPayees, "has an empty account: write ACCOUNT@YYYY-MM-DD, several with ; between them")
			return nil, false
		}
		out = append(out, payeeCell{account, since})
	}
	return out, ok
}
