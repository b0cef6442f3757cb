package executor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/ringfence/ringfence"
)

// maxRecordBytes bounds one line of a journal file.
const maxRecordBytes = 1 << 20

// FileJournal is a Journal in one file of JSON lines, mode 0600, synced after
// each record and locked against a second process. The zero value is of no
// use; OpenJournal makes one.
type FileJournal struct {
	mu   sync.Mutex // guards what follows
	file *os.File
	last map[ringfence.ReleaseID]Record
	err  error // of a write that failed: nothing is written after it
}

// OpenJournal opens or makes a journal. A last line without its end is what a
// crash left of a record that was never acknowledged: it is cut off. Any other
// line that cannot be read is an error, because what was done is in doubt.
func OpenJournal(path string) (*FileJournal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &FileJournal{file: f, last: map[ringfence.ReleaseID]Record{}}
	if err := j.load(path); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), f.Close())
	}
	return j, nil
}

func (j *FileJournal) load(path string) error {
	if err := syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.New("another process has it: two executors must not share a journal")
	}
	end, err := j.read()
	if err != nil {
		return err
	}
	if err := j.file.Truncate(end); err != nil {
		return err
	}
	if _, err := j.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	return errors.Join(j.file.Sync(), syncDir(filepath.Dir(path)))
}

// read takes in every whole line and returns where the last one ends.
func (j *FileJournal) read() (end int64, err error) {
	in := bufio.NewReaderSize(j.file, maxRecordBytes)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return end, nil // an unfinished line was never acknowledged
		case err != nil:
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil || r.Release == "" {
			return 0, fmt.Errorf("line %d is no record: what was done is in doubt, look at the file", n)
		}
		j.last[r.Release] = r
		end += int64(len(line))
	}
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append implements Journal.
func (j *FileJournal) Append(_ context.Context, r Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if _, err := j.file.Write(append(raw, '\n')); err != nil {
		j.err = fmt.Errorf("journal: %w: it takes nothing more until it is opened again", err)
		return j.err
	}
	if err := j.file.Sync(); err != nil {
		j.err = fmt.Errorf("journal: %w: it takes nothing more until it is opened again", err)
		return j.err
	}
	j.last[r.Release] = r
	return nil
}

// Last implements Journal.
func (j *FileJournal) Last(_ context.Context, id ringfence.ReleaseID) (Record, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.last[id]
	return r, ok, j.err
}

// Unsettled implements Journal.
func (j *FileJournal) Unsettled(context.Context) ([]Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Record
	for _, r := range j.last {
		if r.Step != StepReported && r.Step != StepDropped {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return a.At.Compare(b.At) })
	return out, j.err
}

// Close lets the file go.
func (j *FileJournal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = errors.New("journal: closed")
	}
	return j.file.Close()
}

// Lines reads a journal file, which may be in use, and writes what ringfence
// reconciles: one JSON line for each act, without any field of the action.
func Lines(journal io.Reader, to io.Writer) error {
	in := bufio.NewScanner(journal)
	in.Buffer(make([]byte, 0, 64<<10), maxRecordBytes)
	out := json.NewEncoder(to)
	for n := 1; in.Scan(); n++ {
		var r Record
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return fmt.Errorf("line %d is no record of a journal", n)
		}
		if l, ok := r.line(); ok {
			if err := out.Encode(l); err != nil {
				return err
			}
		}
	}
	return in.Err()
}
