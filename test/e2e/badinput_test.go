package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestBadInput sends what is malformed to every door of the program. Each gets
// what it is owed, and a call that comes after it goes as any other.
func TestBadInput(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 3*time.Minute)
	c := newCarrier(t)
	g := newGateway(t, settings{Mode: "reject", Roots: c.roots, LabHost: c.host})
	d := g.seed(ctx)
	g.start(ctx)

	const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
	for _, k := range []struct {
		name, uri, head, body string
		want                  int
	}{
		{name: "no length that is a number", head: "Content-Length: many\r\n", body: sdp, want: 400},
		{name: "two Call-IDs", head: "Call-ID: another\r\n", body: sdp, want: 400},
		{name: "a scheme that nobody knows", uri: "nobody:knows@127.0.0.1", body: sdp, want: 416},
		{name: "an extension that is required", head: "Require: teleport\r\n", body: sdp, want: 420},
		{name: "no SDP but letters", body: "hello\r\n", want: 488},
		{name: "a number that is no line", uri: "sip:442079469999@" + g.sip(), body: sdp, want: 404},
		{name: "Identity that is no token", head: "Identity: hello;info=<http://" + c.host + "/x.pem>;alg=ES256\r\n", body: sdp, want: 438},
	} {
		t.Run(k.name, func(t *testing.T) {
			if have := g.invite(ctx, t, k.uri, k.head, k.body); have != k.want {
				t.Errorf("answered %d, want %d", have, k.want)
			}
			g.alive()
		})
	}
	for name, junk := range map[string][]byte{"zeros": make([]byte, 1400), "a kilobyte of nothing": bytes.Repeat([]byte("\r\n"), 512),
		"half a message": []byte("INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP"), "no UTF-8": bytes.Repeat([]byte{0xff, 0xfe}, 700)} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(name+" over "+network, func(t *testing.T) {
				conn, err := net.Dial(network, g.sip())
				must(t, err)
				defer conn.Close()
				_, err = conn.Write(junk)
				must(t, err)
				g.alive()
			})
		}
	}
	for name, k := range map[string]struct {
		path, body string
		want       int
	}{
		"no JSON":             {"/v1/actions", `{"type":`, 400},
		"a name twice":        {"/v1/actions", `{"type":"payment","type":"brochure","fields":{}}`, 400},
		"an unknown name":     {"/v1/actions", `{"type":"brochure","fields":{},"release":true}`, 400},
		"too much":            {"/v1/actions", `{"type":"` + strings.Repeat("a", 1<<20) + `"}`, 413},
		"an action of nobody": {"/v1/actions", `{"type":"brochure","fields":{"title":"x"}}`, 400},
		"a permit of ours":    {"/v1/permits/redeem", `{"permit":"eyJhbGciOiJub25lIn0.e30."}`, 403},
	} {
		t.Run(name, func(t *testing.T) {
			status, kind := d.opener.raw(ctx, t, k.path, k.body)
			if status != k.want || !strings.HasPrefix(kind, "application/problem+json") {
				t.Errorf("answered %d %s, want %d and a problem", status, kind, k.want)
			}
			g.alive()
		})
	}
	good := c.leaf(c.ca, "good")
	audio := newMedia(t, callerOctet)
	p := runSIPp(ctx, t, "caller.xml", scenario{Called: customers, Caller: mobile, Media: audio.port(),
		Identity: []string{c.sign(good, "A", mobile, customers, time.Now())}}, g.sip())
	audio.hear(p.ctx, "Welcome to Acme")
	p.poke("u1")
	p.wait(ctx)
	g.stop(ctx)
}

var toHeader = regexp.MustCompile(`(?m)^To: [^\r\n]+`)

// invite sends one INVITE over UDP and returns the status of its final answer.
func (g *gateway) invite(ctx context.Context, t *testing.T, uri, head, body string) int {
	t.Helper()
	conn, err := net.Dial("udp", g.sip())
	must(t, err)
	defer conn.Close()
	if uri == "" {
		uri = "sip:" + customers + "@" + g.sip()
	}
	port := conn.LocalAddr().(*net.UDPAddr).Port
	same := fmt.Sprintf(" %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%[2]d;branch=z9hG4bK-bad-%[2]d\r\nFrom: <sip:+%[3]s@127.0.0.1>;tag=%[2]d\r\n"+
		"Call-ID: bad-%[2]d\r\nMax-Forwards: 70\r\nCSeq: 1 ", uri, port, mobile)
	msg := fmt.Sprintf("INVITE%sINVITE\r\nTo: <sip:+%s@127.0.0.1>\r\nContact: <sip:bad@127.0.0.1:%d>\r\n%s", same, customers, port, head)
	if !strings.Contains(head, "Content-Length") {
		msg += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	_, err = io.WriteString(conn, msg+"Content-Type: application/sdp\r\n\r\n"+body)
	must(t, err)
	end, _ := ctx.Deadline()
	must(t, conn.SetReadDeadline(end))
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		must(t, err)
		var status int
		if _, err := fmt.Sscanf(string(buf[:n]), "SIP/2.0 %d", &status); err != nil || status < 200 {
			continue
		}
		if to := toHeader.FindString(string(buf[:n])); to != "" {
			_, err = io.WriteString(conn, "ACK"+same+"ACK\r\n"+to+"\r\nContent-Length: 0\r\n\r\n")
			must(t, err)
		}
		return status
	}
}

// raw posts a body as it is.
func (c *client) raw(ctx context.Context, t *testing.T, path, body string) (status int, kind string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", c.base+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+c.credential)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "raw-"+fmt.Sprint(len(body)))
	resp, err := c.http.Do(req)
	must(t, err)
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Content-Type")
}

// TestTLSAndSRTP calls over TLS with encrypted media; the same line without
// encryption is refused.
func TestTLSAndSRTP(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	g := newGateway(t, settings{})
	g.seed(ctx)
	g.start(ctx)
	pem, err := os.ReadFile(g.set.Cert)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	own, err := tls.LoadX509KeyPair(g.set.Cert, g.set.Key)
	must(t, err)
	for srtp, answered := range map[string]bool{"required": true, "off": false} {
		phone, err := peer.New(peer.Config{Transport: "tls", SRTP: srtp, TLS: &tls.Config{Certificates: []tls.Certificate{own}}, Client: &tls.Config{RootCAs: roots}})
		must(t, err)
		call, err := phone.Call(ctx, peer.Invite{To: fmt.Sprintf("sip:%s@127.0.0.1:%d;transport=tls", customers, g.set.TLS), FromTN: "+" + mobile})
		if (err == nil) != answered {
			t.Errorf("SRTP %s: %v, want answered %v", srtp, err, answered)
		}
		if call != nil {
			call.Hangup()
		}
		must(t, phone.Close())
	}
	g.stop(ctx)
}
