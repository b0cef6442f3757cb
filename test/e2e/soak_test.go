package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/lab"
)

// TestSoak lets ten people call again and again: each hears a prompt and
// hangs up. No call fails, and what the process holds does not grow. It takes
// $E2E_SOAK, five seconds by default; `make soak HOURS=8` is the real one.
func TestSoak(t *testing.T) {
	t.Parallel()
	lasts := 5 * time.Second
	if text := os.Getenv("E2E_SOAK"); text != "" {
		var err error
		lasts, err = time.ParseDuration(text)
		must(t, err)
	}
	ctx := within(t, lasts+2*time.Minute)
	g := newGateway(t, settings{})
	g.seed(ctx)
	g.start(ctx)
	outside := exchange(t, "carrier", nil)
	outside.Connect(netip.MustParseAddrPort(g.sip()))
	var calls, failed atomic.Int64
	round := func(ctx context.Context, until time.Time) {
		var people sync.WaitGroup
		for i := range 10 {
			caller := outside.Person(fmt.Sprint("caller ", i), fmt.Sprintf("4420794605%02d", i))
			people.Go(func() {
				for first := true; first || time.Now().Before(until); first = false {
					calls.Add(1)
					if err := welcome(ctx, caller); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		people.Wait()
	}
	round(ctx, time.Now()) // what is made once is there now
	g.quiet(ctx)
	before := g.holds()
	round(ctx, time.Now().Add(lasts))
	g.quiet(ctx)
	after := g.holds()
	t.Logf("%d calls in %s, %d failed; %+v before, %+v after", calls.Load(), lasts, failed.Load(), before, after)
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), calls.Load())
	}
	if after.files > before.files+8 {
		t.Errorf("the process holds %d files after %d", after.files, before.files)
	}
	if lasts >= time.Hour && after.memory > before.memory*3/2 {
		t.Errorf("the process holds %d KiB after %d", after.memory, before.memory)
	}
	g.stop(ctx)
}

func welcome(ctx context.Context, who *lab.Person) error {
	line, err := who.Call(ctx, lab.Dial{To: customers})
	if err != nil {
		return err
	}
	defer line.Hangup()
	_, err = line.Hear(ctx, "Welcome to Acme", "Please enter your eight digit customer number")
	return err
}

// quiet waits until every call that began has ended.
func (g *gateway) quiet(ctx context.Context) {
	g.t.Helper()
	until(ctx, g.t, "all calls end", func() bool {
		return g.count(ctx, "traversal.began") == g.count(ctx, "traversal.ended")
	})
}

// holding is what a process has of the machine.
type holding struct {
	files  int
	memory int // KiB, resident
}

func (g *gateway) holds() holding {
	g.t.Helper()
	proc := fmt.Sprintf("/proc/%d", g.cmd.Process.Pid)
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	must(g.t, err)
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	must(g.t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	memory, err := strconv.Atoi(strings.Fields(rest)[0])
	must(g.t, err)
	return holding{len(files), memory}
}
