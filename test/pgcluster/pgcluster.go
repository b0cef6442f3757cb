// Package pgcluster runs PostgreSQL servers of a test's own, which the test may
// stop, kill and promote: a primary and its standbys, on loopback, in folders
// that go with the test.
package pgcluster

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/port"
)

// patience bounds every start, stop and promotion on a loaded machine.
const patience = 60 * time.Second

// Server is one PostgreSQL.
type Server struct {
	Port int

	t    testing.TB
	dir  string
	bin  string
	cred *syscall.Credential
	set  []string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// Start makes a database and serves it; settings are as in postgresql.conf.
// Where PostgreSQL is not installed the test is skipped, in CI it fails.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := prepare(t, settings)
	s.command("initdb", "-D", s.data(), "-U", "ringfence", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
	s.Up()
	return s
}

// Standby copies the primary and follows it under a name. It returns when it
// serves; that it streams is for the caller to wait for.
func (s *Server) Standby(name string, settings ...string) *Server {
	s.t.Helper()
	b := prepare(s.t, settings)
	b.command("pg_basebackup", "-D", b.data(), "-R", "-c", "fast", "-N",
		"-d", fmt.Sprintf("host=127.0.0.1 port=%d user=ringfence application_name=%s", s.Port, name))
	b.Up()
	return b
}

// URL is the address of a database.
func (s *Server) URL(database string) string { return URL(database, s) }

// URL is the address of a database that any of servers may hold.
func URL(database string, servers ...*Server) string {
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = fmt.Sprintf("127.0.0.1:%d", s.Port)
	}
	return "postgres://ringfence@" + strings.Join(hosts, ",") + "/" + database + "?sslmode=disable"
}

// Up starts the server, as after a reboot.
func (s *Server) Up() {
	s.t.Helper()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.dir, "-c", "max_connections=100"}
	for _, c := range s.set {
		args = append(args, "-c", c)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = log, log, s.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	gone := make(chan struct{})
	s.gone = gone
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(gone) }(s.cmd)
	s.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-d", "postgres")
}

// Kill ends every process of the server at once, as a power cut does.
func (s *Server) Kill() {
	s.t.Helper()
	s.Stop() // so that nobody sees another die first
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.gone
}

// Stop freezes every process of the server; Go lets them go on.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Go ends what Stop did.
func (s *Server) Go() { s.signal(syscall.SIGCONT) }

// Promote makes a standby the primary.
func (s *Server) Promote() {
	s.t.Helper()
	s.command("pg_ctl", "-s", "-w", "-t", "60", "-D", s.data(), "promote")
}

// Ask runs SQL as the owner and returns what comes, without frills.
func (s *Server) Ask(sql string) string {
	s.t.Helper()
	return s.command("psql", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "ringfence", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-AtXqc", sql)
}

func prepare(t testing.TB, settings []string) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL is not installed: run make install")
		}
		t.Skip("PostgreSQL is not installed: run make install")
	}
	dir, err := os.MkdirTemp("", "ringfence-pg-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, bin: filepath.Dir(slices.Max(found)), set: settings, Port: port.Free(t)}
	t.Cleanup(s.remove)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) remove() {
	if s.gone != nil {
		select {
		case <-s.gone:
		default:
			s.Kill()
		}
	}
	if log, err := os.ReadFile(filepath.Join(s.dir, "log")); err == nil && s.t.Failed() {
		s.t.Logf("the log of PostgreSQL on port %d ends:\n%s", s.Port, log[max(0, len(log)-4000):])
	}
	_ = os.RemoveAll(s.dir)
}

// command runs a program of PostgreSQL until it succeeds, for as long as the
// server may take to answer.
func (s *Server) command(name string, args ...string) string {
	s.t.Helper()
	for began := time.Now(); ; {
		cmd := exec.Command(filepath.Join(s.bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.cred}
		out, err := cmd.CombinedOutput()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
		if name != "pg_isready" || time.Since(began) > patience {
			s.t.Fatalf("%s: %v\n%s", name, err, out)
		}
		select {
		case <-s.gone:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("PostgreSQL ended:\n%s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) signal(sig syscall.Signal) {
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, sig)
	}
}

// processes are the server and all that it started.
func (s *Server) processes() []int {
	out := []int{s.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …; the name may hold blanks and brackets.
		_, rest, _ := strings.Cut(string(raw[strings.LastIndexByte(string(raw), ')'):]), " ")
		fields := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if len(fields) > 1 && fields[1] == strconv.Itoa(out[0]) {
			out = append(out, pid)
		}
	}
	return out
}
