package reconcile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ringfence/ringfence"
)

// Line is one act of an executor.
type Line struct {
	Release ringfence.ReleaseID `json:"release"`
	Permit  ringfence.PermitID  `json:"permit"`
	Digest  ringfence.Digest    `json:"digest"`
	Type    string              `json:"type,omitempty"`
	Outcome string              `json:"outcome" enum:"executed,failed,unknown"`
	At      time.Time           `json:"at"`
}

// Bounds of a journal.
const (
	MaxLines     = 100_000
	maxLineBytes = 64 << 10
)

// Read reads a journal: JSON lines, one for each act. A journal of package
// executor may be given whole; its other steps are passed over. An error names
// the line.
func Read(r io.Reader) ([]Line, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), maxLineBytes)
	var out []Line
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var l struct {
			Line
			Step string `json:"step"`
		}
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d is not JSON of one reading, or has a value that cannot be", n)
		}
		if l.Step != "" && l.Step != "acted" {
			continue
		}
		if says := l.Fault(); says != "" {
			return nil, fmt.Errorf("line %d: %s", n, says)
		}
		if out = append(out, l.Line); len(out) > MaxLines {
			return nil, fmt.Errorf("more than %d acts: reconcile day by day", MaxLines)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("after %d acts: %w", len(out), err)
	}
	return out, nil
}

// Fault returns what is wrong with a line, "" for nothing.
func (l Line) Fault() string {
	switch {
	case l.Release == "":
		return "release is missing: a change without a release is written with the release \"none\""
	case l.Release != "none" && !ringfence.ValidID(string(l.Release), ringfence.PrefixRelease):
		return "release is no release id"
	case l.Outcome != "executed" && l.Outcome != "failed" && l.Outcome != "unknown":
		return "outcome: want executed, failed or unknown"
	case l.At.IsZero():
		return "at is missing: want a time such as 2026-03-01T12:00:00Z"
	default:
		return ""
	}
}
