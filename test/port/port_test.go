package port

import (
	"fmt"
	"net"
	"testing"
)

// No port comes twice, one that somebody listens on never.
func TestNoneTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 3 * size {
		p := Free(t)
		if seen[p] || p < first || p >= first+blocks*size {
			t.Fatalf("port %d comes twice, or is none of ours", p)
		}
		seen[p] = true
	}
	from := Row(t, 10)
	l, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", from+15))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	next := Row(t, 10)
	for p := next; p < next+10; p++ {
		if p < from+10 && p >= from || p == from+15 {
			t.Errorf("port %d is given out a second time, or is taken", p)
		}
	}
}
