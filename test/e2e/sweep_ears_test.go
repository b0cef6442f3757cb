package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/test/port"
	"github.com/ringfence/ringfence/verify/deliver/twilio/twiliotest"
)

// watched is everybody whom an installation may tell of its calls, as its
// configuration names them.
type watched struct {
	Metrics, Recorders       int // our own ports
	Fork, Recorder, HEP      string
	Account, From, Messages  string // of who carries text messages
	forks                    *listener
	recorder                 *sessionRecorder
	hep, hooks               *tape
	texts                    *lab.Handsets
	twilio                   *twiliotest.Server
	forkToken, hepPassphrase string
	bank                     string // where the bank is told that something is ready
}

// tape keeps what came, from many goroutines.
type tape struct {
	mu   sync.Mutex // guards data
	data []byte
}

func (k *tape) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.data = append(k.data, b...)
	return len(b), nil
}

func (k *tape) all() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]byte(nil), k.data...)
}

// audio is what was heard, by stream.
type audio struct {
	mu  sync.Mutex // guards pcm
	pcm map[string][]int16
}

func (a *audio) add(stream string, more ...int16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pcm == nil {
		a.pcm = map[string][]int16{}
	}
	a.pcm[stream] = append(a.pcm[stream], more...)
}

// watch opens a place for each of them.
func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{Metrics: port.Free(t), Recorders: port.Free(t), forks: &listener{}, hep: &tape{}, hooks: &tape{}, texts: &lab.Handsets{},
		Account: twiliotest.Account, From: twiliotest.From, forkToken: "token-of-the-service-that-listens", hepPassphrase: "password-for-the-capture-server"}
	fork := httptest.NewServer(w.forks)
	t.Cleanup(fork.Close)
	w.Fork = "ws" + strings.TrimPrefix(fork.URL, "http")
	bank := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = r.Header.Write(w.hooks)
		_, _ = io.Copy(w.hooks, r.Body)
		rw.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(bank.Close)
	w.bank = bank.URL
	w.recorder = newSessionRecorder(t)
	w.Recorder = w.recorder.sip.LocalAddr().String()
	w.HEP = packetsTo(t, w.hep)
	var err error
	w.twilio, err = twiliotest.Start("")
	must(t, err)
	w.Messages = w.twilio.URL
	sent := make(chan twiliotest.Message, 100)
	w.twilio.Hear(sent)
	var delivering sync.WaitGroup
	delivering.Go(func() {
		for m := range sent {
			w.texts.Deliver(m.To, m.Body)
		}
	})
	t.Cleanup(func() { must(t, w.twilio.Close()); w.twilio.Hear(nil); close(sent); delivering.Wait() })
	return w
}

// packetsTo keeps every UDP packet that comes to the address.
func packetsTo(t *testing.T, k *tape) string {
	t.Helper()
	conn := loopback(t)
	go func() { // ends with the socket
		buf := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = k.Write(append(buf[:n:n], '\n'))
		}
	}()
	return conn.LocalAddr().String()
}

func loopback(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// listener is a service to which calls are copied as Media Streams: each
// message whole, and the audio of each track.
type listener struct {
	tape
	heard audio
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		raw, _, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		_, _ = l.Write(append(raw, '\n'))
		var m struct {
			StreamSid string
			Media     struct{ Track, Payload string }
		}
		if json.Unmarshal(raw, &m) != nil || m.Media.Track == "" {
			continue
		}
		ulaw, err := base64.StdEncoding.DecodeString(m.Media.Payload)
		if err != nil {
			continue
		}
		for _, b := range ulaw {
			l.heard.add(m.StreamSid+" "+m.Media.Track, linear(b))
		}
	}
}

// sessionRecorder is a session recording server (RFC 7866) on loopback: it
// keeps every message and the audio of both streams of each session.
type sessionRecorder struct {
	tape
	heard  audio
	sip    *net.UDPConn
	rtp    [2]*net.UDPConn
	mu     sync.Mutex
	events int // packets that are no audio; guarded by mu
}

func newSessionRecorder(t *testing.T) *sessionRecorder {
	t.Helper()
	r := &sessionRecorder{sip: loopback(t), rtp: [2]*net.UDPConn{loopback(t), loopback(t)}}
	go r.answer() // these end with their sockets
	for i, name := range []string{"caller", "agent"} {
		go r.record(r.rtp[i], name)
	}
	return r
}

func (r *sessionRecorder) answer() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.sip.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		req := string(buf[:n])
		_, _ = r.Write(append(buf[:n:n], '\n'))
		method, _, _ := strings.Cut(req, " ")
		if method == "INVITE" || method == "BYE" {
			_, _ = r.sip.WriteToUDPAddrPort([]byte(r.ok(req, method == "INVITE")), from)
		}
	}
}

// ok is the 200 to a request, which records both streams unless it pauses.
func (r *sessionRecorder) ok(req string, media bool) string {
	to := fieldOf(req, "To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=srs"
	}
	body := ""
	if media {
		way := "recvonly"
		if strings.Contains(req, "a=inactive") {
			way = "inactive"
		}
		body = "v=0\r\no=- 5 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
		for _, c := range r.rtp {
			body += fmt.Sprintf("m=audio %d RTP/AVP 0\r\na=%s\r\n", portOf(c), way)
		}
	}
	return fmt.Sprintf("SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:srs@%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		fieldOf(req, "Via"), fieldOf(req, "From"), to, fieldOf(req, "Call-ID"), fieldOf(req, "CSeq"), r.sip.LocalAddr(), len(body), body)
}

// fieldOf is a header field of a SIP message.
func fieldOf(message, name string) string {
	_, rest, _ := strings.Cut(message, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func portOf(c *net.UDPConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

func (r *sessionRecorder) record(conn *net.UDPConn, side string) {
	buf := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n < 12 || buf[0]>>6 != 2 || buf[1] >= 192 && buf[1] <= 223 {
			continue // RTCP
		}
		if buf[1]&0x7f != 0 {
			r.mu.Lock()
			r.events++
			r.mu.Unlock()
			continue
		}
		stream := fmt.Sprintf("%s %08x", side, binary.BigEndian.Uint32(buf[8:]))
		for _, b := range buf[12:n] {
			r.heard.add(stream, linear(b))
		}
	}
}

// sipAt is an address as the exchanges take it.
func sipAt(addr string) netip.AddrPort { return netip.MustParseAddrPort(addr) }
