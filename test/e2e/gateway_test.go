package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"

	"github.com/ringfence/ringfence/test/port"
)

// settings are what tests set of a configuration; the rest of it is in
// testdata/ringfence.yaml.
type settings struct {
	Dir           string
	Mode          string // mark or reject
	Reason        string // off, stir or sip
	Roots         string // file with trusted roots; empty = none
	LabHost       string // whence certificates may be fetched
	Carrier       string // host:port to which calls to the outside go
	Queue         string // SIP URI of a PBX queue; empty = the people of the console
	Place         string // of those people
	Staff, Public int    // ports
	SIP           int    // port over UDP and TCP
	Phones        int
	Cert, Key     string
	Hook          string // where the bank is told that something is ready
	TLS           int
	Postgres      string // address of the store; empty = SQLite
	Redis         string // address of what may be lost; empty = none
	Debug         bool   // log everything
	Codecs        string // of carrier and phones; empty = the usual ones
	Watched       *watched
}

// gateway is one installation: its folder, its configuration and, while it
// runs, its process.
type gateway struct {
	t        testing.TB
	set      settings
	cmd      *exec.Cmd
	log      *logLines
	program  string        // another build of ringfence; "" = the one that people run
	env      []string      // of the process, beside the test's own
	done     chan struct{} // closed when the process has ended
	finished error
}

// newGateway writes configuration and scripts and makes the keys of a new
// installation. Nothing runs yet.
func newGateway(t testing.TB, set settings) *gateway {
	t.Helper()
	set.Dir = t.TempDir()
	if set.Mode == "" {
		set.Mode = "mark"
	}
	if set.Carrier == "" {
		set.Carrier = fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	}
	set.Staff, set.Public, set.SIP, set.Phones, set.TLS = port.Free(t), port.Free(t), port.Free(t), port.Free(t), port.Free(t)
	set.Cert, set.Key = filepath.Join(set.Dir, "sip.crt"), filepath.Join(set.Dir, "sip.key")
	writeCertificate(t, set.Cert, set.Key)
	g := &gateway{t: t, set: set}
	text, err := template.New("ringfence.yaml").Funcs(template.FuncMap{"split": strings.Fields}).ParseFiles("testdata/ringfence.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, set); err != nil {
		t.Fatal(err)
	}
	g.write("ringfence.yaml", out.Bytes())
	g.write("bank.secret", []byte(bankSecret+"\n"))
	g.write("hook.secret", []byte(hookSecret+"\n"))
	writeScripts(t, filepath.Join(set.Dir, "scripts"))
	return g
}

func (g *gateway) path(name string) string { return filepath.Join(g.set.Dir, name) }

func (g *gateway) write(name string, content []byte) {
	g.t.Helper()
	if err := os.WriteFile(g.path(name), content, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) sip() string    { return fmt.Sprintf("127.0.0.1:%d", g.set.SIP) }
func (g *gateway) staff() string  { return fmt.Sprintf("http://localhost:%d", g.set.Staff) }
func (g *gateway) public() string { return fmt.Sprintf("http://localhost:%d", g.set.Public) }

// run runs a command of the program to its end.
func (g *gateway) run(args ...string) (output string, code int) {
	g.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = g.set.Dir
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// start serves and returns when it is ready. The process is killed at the end
// of the test.
func (g *gateway) start(ctx context.Context) {
	g.t.Helper()
	if !g.boot(ctx) {
		g.t.Fatalf("ringfence ended instead of serving: %v\n%s", g.finished, g.log.tail(20))
	}
}

// boot is start for a process that may die before it is ready.
func (g *gateway) boot(ctx context.Context) (ready bool) {
	g.t.Helper()
	g.log = &logLines{}
	path := program
	if g.program != "" {
		path = g.program
	}
	g.cmd = exec.Command(path, "serve", "--drain", "20s")
	g.cmd.Dir, g.cmd.Env = g.set.Dir, append(os.Environ(), g.env...)
	pipe, err := g.cmd.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	done := make(chan struct{})
	g.done = done
	go func() {
		defer close(done)
		g.log.read(pipe)
		g.finished = g.cmd.Wait()
	}()
	g.t.Cleanup(func() {
		g.cmd.Process.Kill()
		<-done
		if g.t.Failed() {
			g.t.Logf("the log of ringfence ends:\n%s\nits ledger ends:\n%s", g.log.tail(40), g.lastEntries(60))
		}
	})
	until(ctx, g.t, "ringfence becomes ready", func() bool {
		select {
		case <-done:
			return true
		default:
		}
		ready = g.log.has("ready")
		return ready
	})
	return ready
}

// kill ends the process as a power cut would.
func (g *gateway) kill() {
	g.t.Helper()
	if err := g.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		g.t.Fatal(err)
	}
	<-g.done
}

// stop asks the process to end and wants exit 0.
func (g *gateway) stop(ctx context.Context) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	select {
	case <-g.done:
		if g.finished != nil {
			g.t.Errorf("ringfence ended after TERM with %v, want exit 0\n%s", g.finished, g.log.tail(20))
		}
	case <-ctx.Done():
		g.t.Fatalf("ringfence did not end after TERM: %v", context.Cause(ctx))
	}
}

// alive wants the process to run still.
func (g *gateway) alive() {
	g.t.Helper()
	select {
	case <-g.done:
		g.t.Fatalf("ringfence ended: %v\n%s", g.finished, g.log.tail(20))
	default:
	}
}

// logLines is what the process wrote, line by line.
type logLines struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *logLines) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		l.mu.Lock()
		l.lines = append(l.lines, s.Text())
		l.mu.Unlock()
	}
}

// has reports whether a line with this message was written.
func (l *logLines) has(msg string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		var e struct{ Msg string }
		if json.Unmarshal([]byte(line), &e) == nil && e.Msg == msg || strings.Contains(line, " msg="+msg+" ") {
			return true
		}
	}
	return false
}

func (l *logLines) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(0, len(l.lines)-n):], "\n")
}
