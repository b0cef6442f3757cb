//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// armed is the point that was named and how often it is passed unharmed.
type armed struct {
	name string
	left atomic.Int64
}

var point = arm(os.Getenv("RINGFENCE_FAILPOINT"))

func arm(text string) *armed {
	name, n, _ := strings.Cut(text, ":")
	times, err := strconv.ParseInt(n, 10, 64)
	if err != nil || times < 1 {
		return &armed{}
	}
	p := &armed{name: name}
	p.left.Store(times)
	return p
}

// Hit kills the process, as a power cut would, when the armed point is passed
// for the last time.
func Hit(name string) {
	if name != point.name || point.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // nothing after this point is done
}
