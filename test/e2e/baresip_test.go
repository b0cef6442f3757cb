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

	"github.com/ringfence/ringfence/test/port"
)

// baresip is one running baresip: a telephone that plays back whatever it
// hears, so that one side's count of its own octets proves both directions.
type baresip struct {
	t    testing.TB
	port int // SIP over UDP; TLS is one above
	keys net.Conn
	out  *bytes.Buffer
}

// phoneSettings are what tests set of a foreign telephone.
type phoneSettings struct {
	User     string // number of its account
	Codec    string // as the telephone names it
	Security string // as the telephone names it; empty = plain RTP
	CA       string // file with the certificate that is trusted over TLS
	Media    int    // first of ten ports for its media; zero = any
	Sine     bool   // it sends a sine instead of what it hears
}

func startBaresip(ctx context.Context, t testing.TB, s phoneSettings) *baresip {
	t.Helper()
	needs(t, "baresip", "baresip-core")
	dir := t.TempDir()
	p := &baresip{t: t, port: port.Row(t, 2), out: &bytes.Buffer{}}
	keyboard := port.Free(t)
	source := "aubridge,loop"
	if s.Sine {
		source = "ausine,440"
	}
	config := fmt.Sprintf(`sip_listen 127.0.0.1:%d
module_path %s
module g711.so
module g722.so
module opus.so
module aubridge.so
module ausine.so
module srtp.so
audio_player aubridge,loop
audio_source %s
audio_alert aubridge,none
module_tmp account.so
module_app menu.so
module_app cons.so
cons_listen 127.0.0.1:%d
`, p.port, baresipModules(t), source, keyboard)
	if s.CA != "" {
		config += fmt.Sprintf("sip_cafile %s\nsip_verify_server yes\n", s.CA)
	}
	if s.Media != 0 {
		config += fmt.Sprintf("rtp_ports %d-%d\n", s.Media, s.Media+9)
	}
	account := fmt.Sprintf("<sip:%s@127.0.0.1:%d>;regint=0;answermode=auto;audio_codecs=%s", s.User, p.port, s.Codec)
	if s.Security != "" {
		account += ";mediaenc=" + s.Security
	}
	for name, text := range map[string]string{"config": config, "accounts": account + "\n", "contacts": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, dir)
	until(ctx, t, "baresip listens", func() bool { return taken(p.port) && taken(keyboard) })
	var err error
	if p.keys, err = net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", keyboard)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.keys.Close() })
	return p
}

func (p *baresip) run(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.Command("baresip", "-f", dir, "-s")
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("baresip said:\n%s", p.out)
		}
	})
}

// baresipModules is where Debian puts the modules.
func baresipModules(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "aubridge.so")); err == nil {
			return dir
		}
	}
	t.Fatal("baresip has no module aubridge.so")
	return ""
}

func (p *baresip) uri() string { return fmt.Sprintf("sip:desk@127.0.0.1:%d", p.port) }

// command types one of its commands.
func (p *baresip) command(c string) {
	p.t.Helper()
	if _, err := p.keys.Write([]byte("/" + c + "\n")); err != nil {
		p.t.Fatal(err)
	}
}
