package b2bua_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua"
)

// wire is a raw SIP client: what it writes is what is sent.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader // of a stream
	n    int
}

func dial(t *testing.T, ua *b2bua.UA, transport string, client *tls.Config) *wire {
	t.Helper()
	network := "tcp"
	if transport == "udp" {
		network = "udp"
	}
	c, err := net.Dial(network, ua.Addrs()["main"].String())
	if err != nil {
		t.Fatal(err)
	}
	if transport == "tls" {
		conf := client.Clone()
		conf.ServerName = "127.0.0.1"
		c = tls.Client(c, conf)
	}
	t.Cleanup(func() { _ = c.Close() })
	w := &wire{t: t, conn: c}
	if transport != "udp" {
		w.r = bufio.NewReader(c)
	}
	return w
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Logf("write: %v", err)
	}
}

// reply is one response: its status and text.
type reply struct {
	code int
	text string
}

func (r reply) header(name string) string {
	for _, line := range strings.Split(r.text, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// read returns the next message, or an error when the connection is closed.
func (w *wire) read() (reply, error) {
	w.t.Helper()
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	var text string
	if w.r == nil {
		buf := make([]byte, 65536)
		n, err := w.conn.Read(buf)
		if err != nil {
			return reply{}, err
		}
		text = string(buf[:n])
	} else {
		var b bytes.Buffer
		length := 0
		for {
			line, err := w.r.ReadString('\n')
			if err != nil {
				return reply{}, err
			}
			b.WriteString(line)
			if v, ok := strings.CutPrefix(strings.ToLower(line), "content-length:"); ok {
				length, _ = strconv.Atoi(strings.TrimSpace(v))
			}
			if line == "\r\n" && b.Len() > 2 {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(w.r, body); err != nil {
			return reply{}, err
		}
		b.Write(body)
		text = b.String()
	}
	f := strings.Fields(text)
	if len(f) < 2 {
		w.t.Fatalf("not a SIP message: %q", text)
	}
	code, _ := strconv.Atoi(f[1])
	return reply{code, text}, nil
}

// final returns the next response that is no 1xx.
func (w *wire) final() (reply, error) {
	for {
		r, err := w.read()
		if err != nil || r.code >= 200 {
			return r, err
		}
	}
}

// canary is an OPTIONS whose answer shows that nothing else was answered before.
func (w *wire) canary() string {
	w.n++
	id := fmt.Sprintf("canary-%d", w.n)
	w.send([]byte("OPTIONS sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK" + id + ";rport\r\nMax-Forwards: 70\r\n" +
		"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: " + id + "\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"))
	return id
}

// owed is what each torture message gets from a gateway that knows its sender and
// has no such number. 0 is silence: a response, or nothing a response could be
// made for. The clause stands where it is not plain.
var owed = map[string]int{
	"rfc4475/wsinv":      481, // 3.1.1.1: to be read; its To has a tag and there is no such dialog
	"rfc4475/intmeth":    400, // 3.1.1.2: departs from the clause: control characters are refused even where a quoted pair may hold them
	"rfc4475/esc01":      404, // 3.1.1.3
	"rfc4475/escnull":    405, // 3.1.1.4
	"rfc4475/esc02":      405, // 3.1.1.5: an escaped method is not the method
	"rfc4475/lwsdisp":    200, // 3.1.1.6
	"rfc4475/longreq":    404, // 3.1.1.7
	"rfc4475/dblreq":     405, // 3.1.1.8
	"rfc4475/semiuri":    200, // 3.1.1.9
	"rfc4475/transports": 200, // 3.1.1.10
	"rfc4475/mpart01":    405, // 3.1.1.11
	"rfc4475/unreason":   0,   // 3.1.1.12
	"rfc4475/noreason":   0,   // 3.1.1.13
	"rfc4475/badinv01":   400, // 3.1.2.1
	"rfc4475/clerr":      400, // 3.1.2.2
	"rfc4475/ncl":        400, // 3.1.2.3
	"rfc4475/scalar02":   400, // 3.1.2.4
	"rfc4475/scalarlg":   0,   // 3.1.2.5
	"rfc4475/quotbal":    400, // 3.1.2.6
	"rfc4475/ltgtruri":   400, // 3.1.2.7
	"rfc4475/lwsruri":    400, // 3.1.2.8
	"rfc4475/lwsstart":   400, // 3.1.2.9
	"rfc4475/trws":       400, // 3.1.2.10
	"rfc4475/escruri":    400, // 3.1.2.11
	"rfc4475/baddate":    400, // 3.1.2.12
	"rfc4475/regbadct":   400, // 3.1.2.13
	"rfc4475/badaspec":   400, // 3.1.2.14
	"rfc4475/baddn":      400, // 3.1.2.15
	"rfc4475/badvers":    505, // 3.1.2.16
	"rfc4475/mismatch01": 400, // 3.1.2.17
	"rfc4475/mismatch02": 400, // 3.1.2.18
	"rfc4475/bigcode":    0,   // 3.1.2.19
	"rfc4475/badbranch":  200, // 3.2.1: nothing to tell retransmissions apart by; OPTIONS needs none
	"rfc4475/insuf":      400, // 3.3.1
	"rfc4475/unkscm":     416, // 3.3.2
	"rfc4475/novelsc":    416, // 3.3.3
	"rfc4475/unksm2":     400, // 3.3.4: REGISTER with a Contact that is no SIP URI
	"rfc4475/bext01":     420, // 3.3.5
	"rfc4475/invut":      415, // 3.3.6
	"rfc4475/regaut01":   405, // 3.3.7
	"rfc4475/multi01":    400, // 3.3.8
	"rfc4475/mcl01":      400, // 3.3.9
	"rfc4475/bcast":      0,   // 3.3.10
	"rfc4475/zeromf":     200, // 3.3.11: the end of the way is the end
	"rfc4475/cparam01":   405, // 3.3.12
	"rfc4475/cparam02":   405, // 3.3.13
	"rfc4475/regescrt":   405, // 3.3.14
	"rfc4475/sdp01":      406, // 3.3.15
	"rfc4475/inv2543":    400, // 3.4.1: no From tag and no Contact. Departs from the clause: RFC 2543 peers are not served

	"rfc5118/ipv6-good":                     405, // 4.1
	"rfc5118/ipv6-bad":                      400, // 4.2
	"rfc5118/port-ambiguous":                405, // 4.3
	"rfc5118/port-unambiguous":              405, // 4.4
	"rfc5118/via-received-param-with-delim": 481, // 4.5
	"rfc5118/via-received-param-no-delim":   200, // 4.5
	"rfc5118/ipv6-in-sdp":                   488, // 4.6: read; G.726 over IPv6 only, no codec in common
	"rfc5118/mult-ip-in-header":             481, // 4.7
	"rfc5118/mult-ip-in-sdp":                404, // 4.8: the audio line is IPv4 and taken, the video line is refused
	"rfc5118/ipv4-mapped-ipv6":              488, // 4.9: read; no codec in common
	"rfc5118/ipv6-bug-abnf-3-colons":        400, // 4.10: may be refused
	"rfc5118/ipv6-correct-abnf-2-colons":    200, // 4.10
}

func TestTorture(t *testing.T) {
	files, err := filepath.Glob("testdata/torture/rfc*/*.dat")
	if err != nil || len(files) != len(owed) {
		t.Fatalf("%d messages, %d expectations: %v", len(files), len(owed), err)
	}
	server, client := testTLS(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ua := gateway(t, transport, func(ctx context.Context, leg *b2bua.Leg) { _ = leg.Refuse(ctx, 404, "Not Found") },
				func(c *b2bua.Config) {
					if transport == "tls" {
						c.Listeners[0].TLS = server
					}
					c.Limits.HeaderTime = 300 * time.Millisecond // clerr promises a body that never comes
				})
			for _, file := range files {
				name := filepath.Base(filepath.Dir(file)) + "/" + strings.TrimSuffix(filepath.Base(file), ".dat")
				t.Run(name, func(t *testing.T) {
					raw, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					torture(t, dial(t, ua, transport, client), raw, owed[name])
				})
			}
		})
	}
}

// torture sends one message as a proxy next to us would have: with its own Via
// on top, so that the answer comes back to this socket.
func torture(t *testing.T, w *wire, raw []byte, want int) {
	if !bytes.HasPrefix(raw, []byte("SIP/")) {
		start, rest, _ := bytes.Cut(raw, []byte("\r\n"))
		raw = bytes.Join([][]byte{start, []byte("Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK" + t.Name()[len("TestTorture/udp/rfc4475/"):] + ";rport"), rest}, []byte("\r\n"))
	}
	w.send(raw)
	id := ""
	if want == 0 {
		id = w.canary()
	}
	r, err := w.final()
	switch {
	case want == 0 && errors.Is(err, io.EOF): // the connection was closed: no answer either
	case err != nil:
		t.Fatalf("no answer: %v", err)
	case want == 0 && r.header("Call-ID") != id:
		t.Errorf("got %d, want silence", r.code)
	case want != 0 && r.code != want:
		t.Errorf("got %d, want %d\n%s", r.code, want, r.text)
	}
	if want == 405 && r.header("Allow") == "" {
		t.Error("405 without Allow")
	}
	if want == 420 && r.header("Unsupported") == "" {
		t.Error("420 without Unsupported")
	}
	if want == 415 && r.header("Accept") == "" {
		t.Error("415 without Accept")
	}
}
