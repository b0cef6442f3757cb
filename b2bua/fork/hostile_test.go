package fork

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

// hostileReplies are what a service sends that is broken or was taken over: the
// octets behind the upgrade.
func hostileReplies() map[string][]byte {
	many := func(n int, b ...byte) []byte { return bytes.Repeat(b, n) }
	score := `{"event":"score","name":"synthetic_voice","value":"yes","score":0.9}`
	text := func(s string) []byte { return ws.MustCompileFrame(ws.NewTextFrame([]byte(s))) }
	return map[string][]byte{
		"nothing":                             {},
		"half a header":                       {0x81},
		"a score that is masked":              ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(score)))),
		"reserved bits":                       {0xf1, 0},
		"an opcode that nobody knows":         {0x83, 0},
		"a control opcode that nobody knows":  {0x8b, 0},
		"a ping in two frames":                {0x09, 0, 0x80, 0},
		"a ping of 126 octets":                append([]byte{0x89, 126, 0, 126}, many(126, 'x')...),
		"a frame of 2^62 octets":              {0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"a frame of 2^63 octets":              {0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"a frame over the bound":              append([]byte{0x81, 126, 0xff, 0xff}, many(65535, ' ')...),
		"a frame that never comes":            {0x81, 100, '{'},
		"no UTF-8":                            {0x81, 2, 0xff, 0xfe},
		"a continuation of nothing":           {0x80, 1, 'x'},
		"a text inside a text":                append([]byte{0x01, 1, '{'}, text(score)...),
		"fragments without an end":            append([]byte{0x01, 0}, many(1000, 0x00, 0x00)...),
		"pings without an end":                many(1000, 0x89, 0),
		"pongs that nobody asked for":         many(1000, 0x8a, 0),
		"a close without reason":              {0x88, 0},
		"a close of one octet":                {0x88, 1, 3},
		"a close with a code of nobody":       {0x88, 2, 0, 0},
		"what comes behind a close":           append([]byte{0x88, 0}, text(score)...),
		"deep JSON":                           text(strings.Repeat("[", 4000)),
		"a number that is none":               text(`{"event":"score","name":"synthetic_voice","value":"yes","score":1e999}`),
		"a score that is not asked for":       text(`{"event":"score","name":"balance","value":"yes","score":0.9}`),
		"a value that is none":                text(`{"event":"score","name":"synthetic_voice","value":"certainly","score":0.9}`),
		"a score over one":                    text(`{"event":"score","name":"synthetic_voice","value":"yes","score":9}`),
		"binary":                              {0x82, 4, 0, 0, 0, 0},
		"HTTP again":                          []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		"a redirection after the upgrade":     []byte("HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"),
		"a score in compressed frames, RSV1":  {0xc1, 3, 0x4b, 0x4c, 0},
		"an endless stream of empty messages": many(1000, 0x81, 0),
	}
}

// TestHostileReplies: whatever a service answers, the stream ends or goes on, no
// score comes of it, and the tap is let go.
func TestHostileReplies(t *testing.T) {
	kinds := hostileReplies()
	if len(kinds) < 30 {
		t.Fatalf("only %d kinds", len(kinds))
	}
	for name, raw := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := func(s Score) { t.Errorf("score %+v", s) }
			if err := listen(&counted{}, bytes.NewReader(raw), []string{"synthetic_voice"}, heard); err == nil {
				t.Error("its end is no end")
			}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, _, err := ws.UpgradeHTTP(r, w)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = conn.Write(raw)
				_, _ = io.Copy(io.Discard, conn) // until we leave
			}))
			defer srv.Close()
			f := &feed{ch: make(chan rtp.Frame, 10)}
			f.ch <- rtp.Frame{Way: rtp.Received, At: time.Now(), PCM: make([]int16, 160)}
			done := make(chan error, 1)
			go func() {
				done <- Run(t.Context(), Config{URL: "ws" + strings.TrimPrefix(srv.URL, "http"), Scores: []string{"synthetic_voice"}}, Call{Reference: "ABCD2345"}, f, heard)
			}()
			f.Close() // the call ends
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				t.Fatal("the stream outlives its call")
			}
		})
	}
}

// TestTooManyControlFramesAreTooMuch: pings and fragments count like what is
// said, so that nobody keeps us busy with answers.
func TestTooManyControlFramesAreTooMuch(t *testing.T) {
	for name, raw := range map[string][]byte{"pings": bytes.Repeat([]byte{0x89, 0}, perSecond+1), "pongs": bytes.Repeat([]byte{0x8a, 0}, perSecond+1),
		"fragments": append([]byte{0x01, 0}, bytes.Repeat([]byte{0x00, 0}, perSecond+1)...), "mixed": bytes.Repeat([]byte{0x89, 1, 'x', 0x8a, 0}, perSecond)} {
		said := pace{since: time.Now().Add(time.Hour)} // one long second
		conn := &counted{}
		if _, err := readMessage(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(raw), timed{conn}}, &said); err == nil || said.n != perSecond+1 {
			t.Errorf("%s: %d frames were read, %v", name, said.n, err)
		}
		if conn.bare != 0 {
			t.Errorf("%s: %d answers without a bound of their own", name, conn.bare)
		}
	}
}

// TestAMessageIsOneWrite: a pong may come between two messages and in none.
func TestAMessageIsOneWrite(t *testing.T) {
	conn := &counted{}
	s := &stream{conn: conn, id: "str_1"}
	for range 3 {
		if err := s.write(message{Event: "mark", Mark: &markPart{Name: "secret"}}); err != nil {
			t.Fatal(err)
		}
	}
	if conn.writes != 3 || conn.bare != 0 {
		t.Errorf("%d writes, %d without a bound; want 3 and none", conn.writes, conn.bare)
	}
}

// counted is a connection that counts writes, and those before which no deadline
// was set.
type counted struct {
	net.Conn
	bounded      bool
	writes, bare int
}

func (c *counted) SetWriteDeadline(time.Time) error { c.bounded = true; return nil }

func (c *counted) Close() error { return nil }

func (c *counted) Write(b []byte) (int, error) {
	c.writes++
	if !c.bounded {
		c.bare++
	}
	c.bounded = false
	return len(b), nil
}
