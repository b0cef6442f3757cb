package redis

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// server is a Redis of one test, which may die.
type server struct {
	t    *testing.T
	url  string
	args []string
	cmd  *exec.Cmd
}

// startRedis starts one that saves to a folder when it is told.
func startRedis(t *testing.T) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed: run make install")
		}
		t.Skip("redis-server is not installed: run make install")
	}
	for range 20 {
		port := 61000 + rand.IntN(4500)
		at := fmt.Sprintf("127.0.0.1:%d", port)
		if ln, err := net.Listen("tcp", at); err != nil {
			continue
		} else {
			ln.Close()
		}
		r := &server{t: t, url: "redis://" + at + "/0", args: []string{path, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "",
			"--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", t.TempDir(), "--logfile", "log"}}
		r.start()
		t.Cleanup(r.kill)
		return r
	}
	t.Fatal("no port is free")
	return nil
}

// start returns when it takes connections.
func (r *server) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.args[0], r.args[1:]...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	late := time.After(time.Minute)
	for {
		c, err := net.Dial("tcp", r.url[len("redis://"):len(r.url)-len("/0")])
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-late:
			r.t.Fatal("redis-server does not answer")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends it as a power cut does.
func (r *server) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}
