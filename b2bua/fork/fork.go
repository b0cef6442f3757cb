package fork

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Bounds of a stream.
const (
	dialTime  = 5 * time.Second
	writeTime = 5 * time.Second // a service that takes nothing for so long is left
	perSecond = 10              // messages of a service
)

// Config is a service that listens.
type Config struct {
	// URL is wss://…; ws:// on loopback only.
	URL string
	// Token is sent as a bearer credential, unless it is empty.
	Token ringfence.Secret
	// Scores are the names of Signals that the service may give.
	Scores []string
	// TLS is the client configuration; nil means the system's roots.
	TLS *tls.Config
}

// Check judges a configuration.
func (c Config) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("fork: the url is no address such as wss://listen.example.com/stream") // a wrong one may hold a password
	case u.Scheme == "wss":
		return nil
	case u.Scheme == "ws":
		if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && a.IsLoopback() {
			return nil
		}
	}
	return errors.New("fork: audio goes over wss only, or ws on loopback")
}

// Call is what a stream is of. The service is told these two and nothing else.
type Call struct {
	Reference string
	Leg       ringfence.LegID
}

// Tap is a copy of a leg's audio; *rtp.Tap is one.
type Tap interface {
	Frames() <-chan rtp.Frame
	Close()
}

// Run streams a tap to a service until the call ends, and hands its scores to
// heard, which must not wait. It closes the tap. An error says why the stream
// ended before the call did.
func Run(ctx context.Context, cfg Config, call Call, tap Tap, heard func(Score)) error {
	defer tap.Close()
	if err := cfg.Check(); err != nil {
		return err
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	d := ws.Dialer{TLSConfig: cfg.TLS}
	if len(cfg.Token) > 0 {
		d.Header = ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + string([]byte(cfg.Token))}})
	}
	conn, early, _, err := d.Dial(dial, cfg.URL)
	if err != nil {
		return fmt.Errorf("fork: %w", err)
	}
	defer conn.Close()
	var in io.Reader = conn
	if early != nil {
		in = early
	}
	read := make(chan error, 1)
	go func() { read <- listen(conn, in, cfg.Scores, heard) }() // ends when conn is closed, which we do, and wait
	defer func() { _ = conn.Close(); <-read }()
	s := &stream{conn: conn, call: call, id: ringfence.NewID[string]("str"), chunk: map[rtp.Way]int{}}
	return s.send(ctx, tap)
}

// listen reads what the service says until the connection ends. A bad message is
// let pass; too many end the stream.
func listen(conn net.Conn, in io.Reader, names []string, heard func(Score)) error {
	rw := struct {
		io.Reader
		io.Writer
	}{in, timed{conn}}
	var said pace
	for {
		raw, err := readMessage(rw, &said)
		if err != nil {
			_ = conn.Close()
			return err
		}
		if s, ok, _ := parseScore(raw, names); ok {
			heard(s)
		}
	}
}

// timed bounds each write by itself: a deadline that the last one left would end
// a stream that says nothing for a while, as during a secret.
type timed struct{ net.Conn }

func (c timed) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTime))
	return c.Conn.Write(b)
}

// pace counts the frames of one second.
type pace struct {
	since time.Time
	n     int
}

var errTooMuch = errors.New("fork: the service says too much")

// frame counts one; an error says that it is too many.
func (p *pace) frame(now time.Time) error {
	if now.Sub(p.since) > time.Second {
		p.since, p.n = now, 0
	}
	if p.n++; p.n > perSecond {
		return errTooMuch
	}
	return nil
}

// readMessage reads one message of bounded length; pings are answered, and count
// as much as what is said.
func readMessage(rw io.ReadWriter, said *pace) ([]byte, error) {
	control := func(h ws.Header, r io.Reader) error {
		if err := said.frame(time.Now()); err != nil {
			return err
		}
		return wsutil.ControlFrameHandler(rw, ws.StateClientSide)(h, r)
	}
	r := wsutil.Reader{Source: rw, State: ws.StateClientSide, CheckUTF8: true, MaxFrameSize: maxMessage, OnIntermediate: control,
		OnContinuation: func(ws.Header, io.Reader) error { return said.frame(time.Now()) }}
	for {
		h, err := r.NextFrame()
		if err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() {
			if err := control(h, &r); err != nil {
				return nil, err
			}
			continue
		}
		if err := said.frame(time.Now()); err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(io.LimitReader(&r, maxMessage+1))
		if err != nil || len(raw) > maxMessage {
			return nil, errors.Join(err, errScore)
		}
		return raw, nil
	}
}

// stream is one call's messages to a service. Owned by Run.
type stream struct {
	conn  net.Conn
	call  Call
	id    string
	seq   int
	start time.Time
	chunk map[rtp.Way]int
	ulaw  []byte
}

var tracks = map[rtp.Way]string{rtp.Received: "inbound", rtp.Sent: "outbound"}

// account stands where Media Streams names a customer; we have one.
const account = "ringfence"

func (s *stream) send(ctx context.Context, tap Tap) error {
	if err := s.write(message{Event: "connected", Protocol: "Call", Version: "1.0.0"}); err != nil {
		return err
	}
	if err := s.write(message{Event: "start", Start: &startPart{Account: account, Stream: s.id, Call: s.call.Reference, Tracks: []string{"inbound", "outbound"},
		Format: formatPart{Encoding: "audio/x-mulaw", Rate: 8000, Channels: 1}, Custom: map[string]string{"leg": string(s.call.Leg)}}}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f, more := <-tap.Frames():
			if !more {
				return errors.Join(s.write(message{Event: "stop", Stop: &stopPart{Account: account, Call: s.call.Reference}}), s.bye())
			}
			if err := s.frame(f); err != nil {
				return err
			}
		}
	}
}

// frame sends what was said, or the mark of a secret.
func (s *stream) frame(f rtp.Frame) error {
	if s.start.IsZero() {
		s.start = f.At
	}
	switch {
	case f.Cut:
		return s.write(message{Event: "mark", Mark: &markPart{Name: "secret"}})
	case f.Resume:
		return s.write(message{Event: "mark", Mark: &markPart{Name: "resume"}})
	}
	s.chunk[f.Way]++
	s.ulaw = s.ulaw[:0]
	for _, v := range f.PCM {
		s.ulaw = append(s.ulaw, g711.EncodeUlawFrame(v))
	}
	return s.write(message{Event: "media", Media: &mediaPart{Track: tracks[f.Way], Chunk: strconv.Itoa(s.chunk[f.Way]),
		Timestamp: strconv.FormatInt(max(0, f.At.Sub(s.start).Milliseconds()), 10), Payload: base64.StdEncoding.EncodeToString(s.ulaw)}})
}

func (s *stream) write(m message) error {
	if m.Event != "connected" {
		s.seq++
		m.Sequence, m.Stream = strconv.Itoa(s.seq), s.id
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// In one piece: a pong goes out by another goroutine.
	_, err = timed{s.conn}.Write(ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame(raw))))
	return err
}

func (s *stream) bye() error {
	err := wsutil.WriteClientMessage(s.conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	if err != nil && strings.Contains(err.Error(), "closed") {
		return nil
	}
	return err
}
