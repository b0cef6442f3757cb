// Package port hands out ports to tests that must know one before anything
// listens on it: to a foreign program's configuration, to an origin in a
// passkey. None is handed out twice, not even to the tests of another process,
// and none is a port that the system gives away by itself: what a test before
// still sends to a port of its own would reach the next test.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Below the ephemeral range of Linux, in blocks of which each is one process's.
const first, blocks, size = 20000, 120, 100

var mine struct {
	sync.Mutex
	next, end int
	locks     []*os.File // held until the process ends
}

// Free is a port of 127.0.0.1 that nobody listens on now, over UDP and TCP.
func Free(t testing.TB) int { return Row(t, 1) }

// Row is the first of n such ports in a row; n is at most 50.
func Row(t testing.TB, n int) int {
	t.Helper()
	mine.Lock()
	defer mine.Unlock()
	for range blocks * size {
		if mine.next+n > mine.end {
			if err := takeBlock(); err != nil {
				t.Fatal(err)
			}
		}
		from := mine.next
		for mine.next++; mine.next < from+n && free(mine.next-1); {
			mine.next++
		}
		if mine.next == from+n && free(mine.next-1) {
			return from
		}
	}
	t.Fatal("no port is free")
	return 0
}

// takeBlock takes a block that no other process has.
func takeBlock() error {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ringfence-test-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, b := range rand.Perm(blocks) {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(b)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			mine.locks = append(mine.locks, f)
			mine.next, mine.end = first+b*size, first+(b+1)*size
			return nil
		}
		f.Close()
	}
	return fmt.Errorf("all %d blocks of ports are taken", blocks)
}

func free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	u.Close()
	return true
}
