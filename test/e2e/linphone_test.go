package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/port"
)

// linphone is one running linphone: a telephone that says one file and writes
// what it hears into another.
type linphone struct {
	t     testing.TB
	port  int // SIP over UDP
	heard string
	keys  io.Writer
}

// startLinphone starts a telephone that sends octet, as PCMU has it.
func startLinphone(ctx context.Context, t testing.TB, s phoneSettings, octet byte) *linphone {
	t.Helper()
	needs(t, "linphonec", "linphone-cli")
	home := t.TempDir()
	// It opens no port while it cannot open its database, and does not make the folder.
	if err := os.MkdirAll(filepath.Join(home, ".local/share/linphone"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &linphone{t: t, port: port.Free(t), heard: filepath.Join(home, "heard.wav")}
	said := filepath.Join(home, "said.wav")
	for name, text := range map[string][]byte{"rc": []byte(p.config(s)), "said.wav": constantWAV(linear(octet), 10*time.Second)} {
		if err := os.WriteFile(filepath.Join(home, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, home)
	until(ctx, t, "linphone listens", func() bool { return taken(p.port) })
	p.command("autoanswer enable")
	p.command("soundcard use files")
	p.command("play " + said)
	p.command("record " + p.heard)
	return p
}

func (p *linphone) config(s phoneSettings) string {
	c := fmt.Sprintf(`[sip]
default_proxy=-1
contact=sip:%s@127.0.0.1
guess_hostname=0
sip_port=%d
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0
ipv6_migration_done=1
root_ca=%s
`, s.User, p.port, s.CA)
	if s.Security != "" {
		c += "media_encryption=" + s.Security + "\nmedia_encryption_mandatory=1\n"
	}
	c += "[rtp]\naudio_rtp_port=-1\nvideo_rtp_port=-1\ntext_rtp_port=-1\n"
	if s.Media != 0 {
		c += fmt.Sprintf("audio_rtp_port=%d\n", s.Media)
	}
	return c + "[video]\nenabled=0\n[audio_codec_0]\nmime=" + s.Codec + "\nrate=8000\nchannels=1\nenabled=1\n"
}

func (p *linphone) run(t testing.TB, home string) {
	t.Helper()
	cmd := exec.Command("linphonec", "-c", filepath.Join(home, "rc"))
	cmd.Env = append(os.Environ(), "HOME="+home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.keys = keys
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("linphone said:\n%s", &out)
		}
	})
}

// command types one of its commands.
func (p *linphone) command(c string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, c+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *linphone) uri() string { return fmt.Sprintf("sip:desk@127.0.0.1:%d", p.port) }

// hears waits until it has written a second of octet.
func (p *linphone) hears(ctx context.Context, octet byte) {
	p.t.Helper()
	want := binary.LittleEndian.AppendUint16(nil, uint16(linear(octet)))
	until(ctx, p.t, "linphone hears the other side", func() bool {
		b, err := os.ReadFile(p.heard)
		return err == nil && bytes.Count(b, want) > 8000
	})
}

// constantWAV is a mono recording at 8 kHz of one value.
func constantWAV(value int16, length time.Duration) []byte {
	samples := int(length.Seconds() * 8000)
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+2*samples))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1} { // PCM, one channel
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 16000)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	for range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(value))
	}
	return b
}

// TestLinphoneCalls is a foreign telephone that calls in plain and over TLS
// with SRTP; both sides hear the other.
func TestLinphoneCalls(t *testing.T) {
	for name, c := range map[string]struct {
		s  phoneSettings
		to func(*gateway) string
	}{
		"UDP": {phoneSettings{Codec: "PCMU"}, func(g *gateway) string { return fmt.Sprintf("sip:%s@%s", accountsLine, g.sip()) }},
		"TLS, SRTP": {phoneSettings{Codec: "PCMU", Security: "srtp"}, func(g *gateway) string {
			return fmt.Sprintf("sip:%s@localhost:%d;transport=tls", accountsLine, g.set.TLS) // it looks for names in certificates, not addresses
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t, "sipp", "sip-tester")
			ctx := within(t, 2*time.Minute)
			deskAudio := newMedia(t, agentOctet)
			desk := runSIPp(ctx, t, "agent.xml", scenario{Media: deskAudio.port()}, "")
			g := newGateway(t, settings{Queue: fmt.Sprintf("sip:desk@127.0.0.1:%d", desk.port)})
			g.start(ctx)
			c.s.User, c.s.CA = "+"+mobile, g.set.Cert
			phone := startLinphone(ctx, t, c.s, callerOctet)
			phone.command("call " + c.to(g))
			deskAudio.count(ctx, callerOctet, 100)
			phone.hears(ctx, agentOctet)
			phone.command("terminate")
			desk.wait(ctx)
			g.stop(ctx)
		})
	}
}

// TestLinphoneAnswers is a foreign telephone as the clerk's.
func TestLinphoneAnswers(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 2*time.Minute)
	desk := startLinphone(ctx, t, phoneSettings{User: "desk", Codec: "PCMU"}, agentOctet)
	g := newGateway(t, settings{Queue: desk.uri()})
	g.start(ctx)
	audio := newMedia(t, callerOctet)
	caller := runSIPp(ctx, t, "caller.xml", scenario{Called: accountsLine, Caller: mobile, Media: audio.port()}, g.sip())
	audio.count(caller.ctx, agentOctet, 100)
	desk.hears(caller.ctx, callerOctet)
	caller.poke("u1")
	caller.wait(ctx)
	g.stop(ctx)
}
