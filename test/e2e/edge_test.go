package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"text/template"
	"time"

	"github.com/ringfence/ringfence/test/port"
)

// startEdge runs Kamailio, which listens at a port and sends every call on to
// the gateway, and rtpengine, which relays its media.
func startEdge(ctx context.Context, t testing.TB, sip int, gateway string) {
	t.Helper()
	needs(t, "kamailio", "kamailio")
	needs(t, "rtpengine", "rtpengine-daemon")
	dir, control, first := t.TempDir(), port.Free(t), port.Row(t, 10)
	text, err := template.ParseFiles("testdata/kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	var config bytes.Buffer
	if err := text.Execute(&config, map[string]any{"Port": sip, "Gateway": gateway, "Control": control, "Modules": kamailioModules(t)}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(path, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, "rtpengine", "--foreground", "--log-stderr", "--log-level=5", "--table=-1", "--interface=127.0.0.1", "--no-fallback",
		fmt.Sprintf("--listen-ng=127.0.0.1:%d", control), fmt.Sprintf("--port-min=%d", first), fmt.Sprintf("--port-max=%d", first+9), "--pidfile="+filepath.Join(dir, "rtpengine.pid"))
	until(ctx, t, "rtpengine listens", func() bool { return taken(control) })
	background(t, "kamailio", "-f", path, "-DD", "-E", "-m", "32", "-M", "8", "-Y", dir, "-P", filepath.Join(dir, "kamailio.pid"))
	until(ctx, t, "Kamailio answers", func() bool { return answersOptions(sip) })
}

// background runs a program until the test ends.
func background(t testing.TB, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.Bytes()[max(0, out.Len()-8000):])
		}
	})
}

// answersOptions reports whether a SIP server answers at port.
func answersOptions(sip int) bool {
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", sip))
	if err != nil {
		return false
	}
	defer c.Close()
	msg := fmt.Sprintf("OPTIONS sip:127.0.0.1:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-up\r\nFrom: <sip:e2e@127.0.0.1>;tag=1\r\n"+
		"To: <sip:127.0.0.1>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n", sip, c.LocalAddr())
	if _, err := c.Write([]byte(msg)); err != nil {
		return false
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 2048))
	return err == nil && n > 0
}

// kamailioModules is where Debian puts the modules.
func kamailioModules(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/kamailio/modules/rtpengine.so")
	if err != nil || len(found) == 0 {
		t.Fatal("Kamailio has no module rtpengine.so")
	}
	return filepath.Dir(found[0])
}
