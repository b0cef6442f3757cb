package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/binary"
)

// program is the path of ringfence.
var program string

func TestMain(m *testing.M) {
	path, remove, err := binary.Build("../..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = path
	code := m.Run()
	remove()
	os.Exit(code)
}

// within is the test's context with a bound that only a fault reaches: four
// minutes at least, for many of these tests share a machine.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	d = max(d, 4*time.Minute)
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("%s passed", d))
	t.Cleanup(cancel)
	return ctx
}

// needs skips a test whose program is missing, except in CI.
func needs(t testing.TB, name, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: apt-get install %s", name, pkg)
		}
		t.Skipf("%s is not installed", name)
	}
}

// until asks again and again, every few milliseconds, until the answer is yes.
func until(ctx context.Context, t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, context.Cause(ctx))
		}
	}
}
