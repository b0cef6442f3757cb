package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/test/mutate/mutant"
)

// testBinary is the compiled tests of a package.
type testBinary struct {
	pkg, dir, path string
	slow           string // regular expression of tests that are asked last
	took           time.Duration
	meets          map[int]bool // the mutants that its tests come by
}

// baseline runs the tests with no mutant on.
func (b *testBinary) baseline(ctx context.Context, dir string) error {
	list := filepath.Join(dir, "reached")
	defer os.Remove(list)
	began := time.Now()
	for _, part := range b.parts() {
		if out, err := b.run(ctx, b.path, part, 0, 10*time.Minute, mutant.Reached+"="+list); err != nil {
			return fmt.Errorf("the tests of %s fail with no mutant on: %w\n%s", b.pkg, err, out)
		}
	}
	b.took = time.Since(began)
	b.meets = map[int]bool{}
	raw, err := os.ReadFile(list)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		id, _ := strconv.Atoi(s.Text())
		b.meets[id] = true
	}
	return nil
}

// patience is how long a run may take before it counts as one that never ends.
func (b *testBinary) patience() time.Duration { return 30*time.Second + 10*b.took }

var errSlow = errors.New("did not end")

// parts are the flags of the runs that together run every test.
func (b *testBinary) parts() []string { return []string{"-test.skip=" + b.slow, "-test.run=" + b.slow} }

// judge runs all tests with one mutant on, until one notices.
func (b *testBinary) judge(ctx context.Context, path string, id int) (string, error) {
	for _, part := range b.parts() {
		if became, err := judged(b.run(ctx, path, part, id, b.patience())); became != lived || err != nil {
			return became, err
		}
	}
	return lived, nil
}

// run runs part of a test binary with one mutant on.
func (b *testBinary) run(ctx context.Context, path, part string, id int, atMost time.Duration, env ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, errSlow)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, part, "-test.short", "-test.failfast", "-test.timeout", (2 * atMost).String())
	cmd.Dir = b.dir
	cmd.Env = append(append(os.Environ(), env...), fmt.Sprintf("%s=%d", mutant.Active, id))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, err
}

// What became of a mutant.
const (
	killed     = "killed"
	lived      = "lived"
	timedOut   = "timed out"
	notReached = "not reached" // no test comes by
	notViable  = "not viable"  // does not compile
)

// chosen are the mutants of a sample.
func (l *laboratory) chosen(o options) (out []*site) {
	i := 0
	for _, s := range l.sites {
		if s.Kind == logical && !o.logical {
			continue
		}
		if i++; (i-1)%o.every == 0 {
			out = append(out, s)
		}
	}
	return out
}

// runAll finds out about every chosen mutant that is not known yet.
func (l *laboratory) runAll(ctx context.Context, o options, known *results) error {
	var all sync.WaitGroup
	next := make(chan *site)
	for range max(1, o.workers) {
		all.Go(func() {
			for s := range next {
				if became, err := l.try(ctx, s); err == nil {
					known.add(s, became)
				} else if ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, s, err)
				}
			}
		})
	}
	for _, s := range l.chosen(o) {
		if ctx.Err() == nil && known.of(s) == "" {
			next <- s
		}
	}
	close(next)
	all.Wait()
	return ctx.Err()
}

// try runs the tests that come by a mutant, until one notices.
func (l *laboratory) try(ctx context.Context, s *site) (string, error) {
	if !s.switched {
		return l.tryAlone(ctx, s)
	}
	met := false
	for _, b := range l.tests {
		if !b.meets[s.ID] {
			continue
		}
		met = true
		if became, err := b.judge(ctx, b.path, s.ID); became != lived || err != nil {
			return became, err
		}
	}
	if !met {
		return notReached, nil
	}
	return lived, nil
}

// tryAlone builds the tests anew with one mutant that cannot be switched.
func (l *laboratory) tryAlone(ctx context.Context, s *site) (string, error) {
	name := strconv.Itoa(s.ID)
	file := filepath.Join(l.dir, name+".go")
	if err := os.WriteFile(file, single(l.src[s.File], s), 0o600); err != nil {
		return "", err
	}
	if err := writeOverlay(l.overlay(name), map[string]string{filepath.Join(l.top, s.File): file}); err != nil {
		return "", err
	}
	if _, err := l.goTool(ctx, "build", "-overlay", l.overlay(name), "./"+filepath.Dir(s.File)); err != nil {
		return notViable, ctx.Err()
	}
	path := filepath.Join(l.dir, name+".test")
	defer os.Remove(path)
	for _, b := range l.tests {
		if out, err := l.goTool(ctx, "test", "-c", "-vet=off", "-overlay", l.overlay(name), "-o", path, "./"+b.pkg); err != nil {
			return "", fmt.Errorf("%w\n%s", err, out)
		}
		if became, err := b.judge(ctx, path, 0); became != lived || err != nil {
			return became, err
		}
	}
	return lived, nil
}

// judged tells what a run says about its mutant.
func judged(_ []byte, err error) (string, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return lived, nil
	case errors.Is(err, errSlow):
		return timedOut, nil
	case errors.As(err, &exit) && exit.Exited():
		return killed, nil
	case errors.As(err, &exit): // a signal that was not ours: out of memory, a stack without end
		return killed, nil
	}
	return "", err
}
