package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/test/mutate/mutant"
)

// testBinary is the compiled tests of a package.
type testBinary struct {
	pkg, dir, path string
	tests          []string
	took           map[string]time.Duration // by test
	meets          map[int][]string         // the tests that come by a mutant
}

// baseline runs each test by itself with no mutant on, and notes how long it
// takes and which mutants it comes by.
func (b *testBinary) baseline(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, b.path, "-test.list=.").Output()
	if err != nil {
		return fmt.Errorf("the tests of %s cannot be listed: %w", b.pkg, err)
	}
	b.tests, b.took, b.meets = testsIn(string(out)), map[string]time.Duration{}, map[int][]string{}
	for _, name := range b.tests {
		began := time.Now()
		met, err := b.metBy(ctx, name, filepath.Join(dir, "reached"))
		if err != nil {
			return err
		}
		b.took[name] = time.Since(began)
		for _, id := range met {
			b.meets[id] = append(b.meets[id], name)
		}
	}
	return nil
}

// testsIn are the names in what -test.list prints: benchmarks do not run, and
// the last line may be the verdict.
func testsIn(list string) (out []string) {
	for line := range strings.Lines(list) {
		name := strings.TrimSpace(line)
		if !strings.ContainsAny(name, " \t") && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example")) {
			out = append(out, name)
		}
	}
	return out
}

// metBy runs one test and returns the mutants that it came by. list is a file
// that is made and removed.
func (b *testBinary) metBy(ctx context.Context, name, list string) (ids []int, err error) {
	defer os.Remove(list)
	if out, err := b.run(ctx, b.path, []string{name}, 0, 10*time.Minute, mutant.Reached+"="+list); err != nil {
		return nil, fmt.Errorf("%s of %s fails with no mutant on: %w\n%s", name, b.pkg, err, out)
	}
	raw, err := os.ReadFile(list)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		id, _ := strconv.Atoi(s.Text())
		ids = append(ids, id)
	}
	return ids, nil
}

// patience is how long a run may take before it counts as one that never ends.
func (b *testBinary) patience(tests []string) time.Duration {
	all := 30 * time.Second
	for _, t := range tests {
		all += 10 * b.took[t]
	}
	return all
}

var errSlow = errors.New("did not end")

// quick is how long a test takes at most that is asked first.
const quick = time.Second

// parts are the tests in the order in which they are asked: the quick ones, and
// then each of the others about whom these let live.
func (b *testBinary) parts(tests []string) (out [][]string) {
	var first []string
	for _, t := range tests {
		if b.took[t] <= quick {
			first = append(first, t)
		} else {
			out = append(out, []string{t})
		}
	}
	slices.SortStableFunc(out, func(x, y []string) int { return cmp.Compare(b.took[x[0]], b.took[y[0]]) })
	if first != nil {
		out = slices.Insert(out, 0, first)
	}
	return out
}

// judge runs tests with one mutant on, until one notices.
func (b *testBinary) judge(ctx context.Context, path string, id int, tests []string) (string, error) {
	for _, part := range b.parts(tests) {
		if became, err := judged(b.run(ctx, path, part, id, b.patience(part))); became != lived || err != nil {
			return became, err
		}
	}
	return lived, nil
}

// run runs some tests of a binary with one mutant on.
func (b *testBinary) run(ctx context.Context, path string, tests []string, id int, atMost time.Duration, env ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, errSlow)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-test.run=^("+strings.Join(tests, "|")+")$", "-test.short", "-test.failfast", "-test.timeout", (2 * atMost).String())
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

// runAll finds out about every chosen mutant that is not known yet, those that
// need a build of their own last.
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
	order := l.chosen(o)
	slices.SortStableFunc(order, func(a, b *site) int {
		switch {
		case a.switched == b.switched:
			return 0
		case a.switched:
			return -1
		}
		return 1
	})
	for _, s := range order {
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
		tests := b.meets[s.ID]
		met = met || tests != nil
		if became, err := b.judge(ctx, b.path, s.ID, tests); became != lived || err != nil {
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
		if became, err := b.judge(ctx, path, 0, b.tests); became != lived || err != nil {
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
