package runner

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestLag: what waits still counts as much as what has waited, and each is told
// once.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lag
		if got := l.take(); got != 0 {
			t.Errorf("nothing waits: %v", got)
		}
		short := l.begin()
		time.Sleep(30 * time.Millisecond)
		short()
		long := l.begin()
		time.Sleep(10 * time.Millisecond)
		if got := l.take(); got != 30*time.Millisecond {
			t.Errorf("%v, want that of what ended", got)
		}
		time.Sleep(time.Second)
		if got := l.take(); got != 1010*time.Millisecond {
			t.Errorf("%v, want that of what goes on", got)
		}
		long()
		l.take()
		if got := l.take(); got != 0 {
			t.Errorf("%v is told again", got)
		}
	})
}
