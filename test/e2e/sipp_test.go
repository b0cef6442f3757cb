package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/ringfence/ringfence/test/port"
)

// scenario is what the templates of testdata/*.xml are filled with.
type scenario struct {
	Called   string // user part of the Request-URI
	Caller   string // number in From
	Identity []string
	Media    int    // port of the audio
	Want     int    // status
	Reason   string // regular expression of the Reason field of the answer; empty = any
	Crypto   string // SDES key; empty = plain RTP
}

// sipp is one running SIPp.
type sipp struct {
	t      testing.TB
	what   string
	port   int
	callID string          // of the calls it makes
	ctx    context.Context // ends when the scenario fails
	done   chan error
}

// runSIPp runs a scenario once. With a target it calls, without it is called.
func runSIPp(ctx context.Context, t testing.TB, file string, s scenario, target string, args ...string) *sipp {
	t.Helper()
	text, err := template.ParseFiles(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var xml bytes.Buffer
	if err := text.Execute(&xml, s); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, xml.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	p := &sipp{ctx: ctx, t: t, what: file, port: port.Free(t), done: make(chan error, 1)}
	p.callID = fmt.Sprintf("e2e-%d", p.port)
	args = append([]string{"-trace_err", "-trace_msg", "-sf", path, "-m", "1", "-i", "127.0.0.1", "-p", fmt.Sprint(p.port), "-nostdin", "-cid_str", p.callID,
		"-timeout", "90s", "-timeout_error"}, args...)
	if target != "" {
		args = append(args, "-s", s.Called, target)
	}
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("sipp %s: %w\n%s", file, err, complaints(dir, out.String()))
			fail(err)
		}
		p.done <- err
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		fail(nil)
	})
	if target == "" {
		until(ctx, t, "sipp listens", func() bool { return taken(p.port) })
	}
	return p
}

// complaints is what SIPp said was wrong, or the messages of the call.
func complaints(dir, out string) string {
	for _, kind := range []string{"errors", "messages"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_"+kind+".log"))
		if err != nil || len(files) == 0 {
			continue
		}
		if raw, err := os.ReadFile(files[0]); err == nil && len(raw) > 0 {
			return string(raw)
		}
	}
	return out[max(0, len(out)-2000):]
}

// taken reports whether somebody listens on a UDP port.
func taken(port int) bool {
	c, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err != nil
}

// wait wants the scenario to have gone as written.
func (p *sipp) wait(ctx context.Context) {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-ctx.Done():
		p.t.Fatalf("sipp %s goes on: %v", p.what, context.Cause(ctx))
	}
}

// poke lets a scenario that waits for INFO go on. SIPp tells calls apart by
// their Call-ID alone.
func (p *sipp) poke(transport string) {
	p.t.Helper()
	network := map[string]string{"u1": "udp", "t1": "tcp"}[transport]
	c, err := net.Dial(network, fmt.Sprintf("127.0.0.1:%d", p.port))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	msg := strings.Join([]string{"INFO sip:e2e@127.0.0.1 SIP/2.0", "Via: SIP/2.0/" + strings.ToUpper(network) + " " + c.LocalAddr().String() + ";branch=z9hG4bK-poke", "From: <sip:e2e@127.0.0.1>;tag=1",
		"To: <sip:e2e@127.0.0.1>;tag=2", "Call-ID: " + p.callID, "CSeq: 77 INFO", "Content-Length: 0", "", ""}, "\r\n")
	if _, err := c.Write([]byte(msg)); err != nil {
		p.t.Fatal(err)
	}
}
