package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// results are what is known of mutants, as lines of a file. Who was killed stays
// so while their file is the same: tests only grow. All others are tried again
// when anything changed.
type results struct {
	mu   sync.Mutex
	file *os.File
	lab  *laboratory
	all  map[string]string // guarded by mu: what became of a mutant, by its name
}

type line struct {
	Source string `json:"source"` // hash of the mutant's file
	Tests  string `json:"tests"`  // hash of all source and tests of the room
	Became string `json:"became"`
	*site
}

func openResults(path string, lab *laboratory) (*results, error) {
	r := &results{lab: lab, all: map[string]string{}}
	raw, err := os.Open(path)
	if err == nil {
		defer raw.Close()
		for s := bufio.NewScanner(raw); s.Scan(); {
			l := line{site: &site{}}
			if json.Unmarshal(s.Bytes(), &l) != nil || l.Source != hashOf(lab.src[l.File]) {
				continue
			}
			if l.Became == killed || l.Became == notViable || l.Tests == lab.fingerprint {
				r.all[l.String()] = l.Became
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	r.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return r, err
}

func hashOf(src []byte) string {
	sum := sha256.Sum256(src)
	return hex.EncodeToString(sum[:8])
}

func (r *results) close() error { return r.file.Close() }

// of is what became of a mutant; empty = not known.
func (r *results) of(s *site) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[s.String()]
}

func (r *results) add(s *site, became string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[s.String()] = became
	raw, err := json.Marshal(line{hashOf(r.lab.src[s.File]), r.lab.fingerprint, became, s})
	if err == nil {
		_, err = fmt.Fprintf(r.file, "%s\n", raw)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate: not kept:", err)
	}
}

// report prints who lived, and the figures; it tells whether they are enough.
// A mutant that no test comes by counts as one that lived; one that does the
// same as the program, by the list, does not count.
func report(w io.Writer, r room, sites []*site, known *results, equivalent map[string]string, least float64) bool {
	count := map[string]int{}
	for _, s := range sites {
		became, place := known.of(s), s.place()
		listed := equivalent[place] != ""
		switch {
		case listed && became == killed:
			fmt.Fprintf(w, "listed as equivalent, but killed: %s\n", place)
		case listed:
			became = same
		case slices.Contains([]string{lived, notReached, timedOut}, became):
			fmt.Fprintf(w, "%s at %s:%d: %s\n", became, s.File, s.Line, place)
		}
		count[became]++
	}
	dead, alive := count[killed], count[lived]+count[notReached]
	score := 100 * float64(dead) / float64(max(1, dead+alive))
	fmt.Fprintf(w, "%s: %d mutants: %d killed, %d lived, %d not reached, %d equivalent, %d timed out, %d not viable, %d unknown: %.1f %% killed\n",
		r.name, len(sites), dead, count[lived], count[notReached], count[same], count[timedOut], count[notViable], count[""], score)
	return score >= least && dead > 0 && count[""] == 0
}

// same is what became of a mutant of the list: nothing, for it does the same.
const same = "equivalent"
