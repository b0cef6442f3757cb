package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// laboratory is one room with its mutants.
type laboratory struct {
	top, dir    string
	room        room
	src         map[string][]byte // by file
	sites       []*site
	tests       []*testBinary
	fingerprint string // of all that a result depends on
}

// open finds the mutants, builds the tests with all of them in, and runs them
// once with none switched on.
func (l *laboratory) open(ctx context.Context) error {
	if err := l.read(); err != nil {
		return err
	}
	if err := l.fit(ctx); err != nil {
		return err
	}
	for i, t := range l.room.tests {
		b := &testBinary{pkg: t, dir: filepath.Join(l.top, t), path: filepath.Join(l.dir, fmt.Sprintf("%d.test", i))}
		if out, err := l.goTool(ctx, "test", "-c", "-vet=off", "-overlay", l.overlay(""), "-o", b.path, "./"+t); err != nil {
			return fmt.Errorf("building the tests of %s: %w\n%s", t, err, out)
		}
		if err := b.baseline(ctx, l.dir); err != nil {
			return err
		}
		l.tests = append(l.tests, b)
	}
	return nil
}

// read reads the packages and finds their mutants.
func (l *laboratory) read() error {
	sum := sha256.New()
	for _, pkg := range append(slices.Clone(l.room.sources), l.room.tests...) {
		names, err := filepath.Glob(filepath.Join(l.top, pkg, "*.go"))
		if err != nil {
			return err
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum.Write(src)
			file, err := filepath.Rel(l.top, name)
			if err != nil {
				return err
			}
			if strings.HasSuffix(file, "_test.go") || !slices.Contains(l.room.sources, pkg) || l.src[file] != nil {
				continue
			}
			found, err := sitesOf(l.top, file, src)
			if err != nil {
				return err
			}
			l.src[file] = src
			l.sites = append(l.sites, found...)
		}
	}
	for i, s := range l.sites {
		s.ID = i + 1
	}
	l.fingerprint = hex.EncodeToString(sum.Sum(nil))[:16]
	return nil
}

var position = regexp.MustCompile(`(?m)^(\S+\.go):(\d+):\d+: (.*)$`)

// fit takes those mutants out of the switched ones that the compiler refuses
// behind a switch. They are compiled alone.
func (l *laboratory) fit(ctx context.Context) error {
	for range 12 {
		if err := l.write(); err != nil {
			return err
		}
		args := []string{"build", "-gcflags=-e", "-overlay", l.overlay("")}
		for _, s := range l.room.sources {
			args = append(args, "./"+s)
		}
		out, err := l.goTool(ctx, args...)
		if err == nil {
			return nil
		}
		taken := 0
		for _, m := range position.FindAllStringSubmatch(out, -1) {
			line, _ := strconv.Atoi(m[2])
			taken += l.unswitch(m[1], line)
		}
		if taken == 0 {
			return fmt.Errorf("the mutants cannot be built: %w\n%s", err, out)
		}
	}
	return errors.New("the compiler goes on refusing mutants")
}

// unswitch takes out the mutants of a line. The compiler names the file as it was
// written for it.
func (l *laboratory) unswitch(path string, line int) (n int) {
	for _, s := range l.sites {
		if s.switched && s.Line == line && filepath.Base(path) == plantedName(s.File) {
			s.switched = false
			n++
		}
	}
	return n
}

// write writes the planted files and the overlay that puts them in the place of
// the real ones.
func (l *laboratory) write() error {
	replace := map[string]string{}
	for file, src := range l.src {
		var own []*site
		for _, s := range l.sites {
			if s.File == file {
				own = append(own, s)
			}
		}
		to := filepath.Join(l.dir, plantedName(file))
		if err := os.WriteFile(to, planted(src, own), 0o600); err != nil {
			return err
		}
		replace[filepath.Join(l.top, file)] = to
	}
	return writeOverlay(l.overlay(""), replace)
}

func plantedName(file string) string { return strings.ReplaceAll(file, "/", "-") }

// overlay is the path of an overlay: the one of all switched mutants, or that
// of one mutant.
func (l *laboratory) overlay(of string) string { return filepath.Join(l.dir, "overlay"+of+".json") }

func writeOverlay(to string, replace map[string]string) error {
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o600)
}

func (l *laboratory) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = l.top
	out, err := cmd.CombinedOutput()
	return string(out), err
}
