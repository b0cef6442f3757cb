package fork

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

type feed struct {
	ch   chan rtp.Frame
	once sync.Once
}

func (f *feed) Frames() <-chan rtp.Frame { return f.ch }
func (f *feed) Close()                   { f.once.Do(func() { close(f.ch) }) }

// service is a WebSocket server that keeps what it gets and says what it is told
// to after the start.
func service(t *testing.T, says ...string) (url string, got chan map[string]any, token chan string) {
	t.Helper()
	got, token = make(chan map[string]any, 1000), make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token <- r.Header.Get("Authorization")
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		defer close(got)
		for {
			raw, _, err := wsutil.ReadClientData(conn)
			if err != nil {
				return
			}
			var m map[string]any
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Error(err)
			}
			got <- m
			if m["event"] == "start" {
				for _, s := range says {
					if wsutil.WriteServerText(conn, []byte(s)) != nil {
						return
					}
				}
			}
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http"), got, token
}

func TestAStreamInTheShapeOfMediaStreams(t *testing.T) {
	url, got, token := service(t, `{"event":"mark","mark":{"name":"x"}}`, `{"event":"score","name":"not_configured","value":"yes"}`, `garbage`,
		`{"event":"score","name":"synthetic_voice","value":"yes","score":0.97}`)
	f := &feed{ch: make(chan rtp.Frame, 100)}
	scores := make(chan Score, 10)
	done := make(chan error, 1)
	go func() {
		done <- Run(t.Context(), Config{URL: url, Token: ringfence.Secret("s3cret"), Scores: []string{"synthetic_voice"}}, Call{Reference: "ABCD2345", Leg: "leg_1"}, f, func(s Score) { scores <- s })
	}()
	at := time.Now()
	f.ch <- rtp.Frame{Way: rtp.Received, At: at, PCM: make([]int16, 160)}
	f.ch <- rtp.Frame{Way: rtp.Sent, At: at.Add(20 * time.Millisecond), PCM: make([]int16, 160)}
	f.ch <- rtp.Frame{Cut: true, At: at.Add(40 * time.Millisecond)}
	f.ch <- rtp.Frame{Resume: true, At: at.Add(80 * time.Millisecond)}
	if s := <-scores; s != (Score{"synthetic_voice", ringfence.Yes, 0.97}) {
		t.Errorf("score %+v", s)
	}
	f.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if a := <-token; a != "Bearer s3cret" {
		t.Errorf("credential %q", a)
	}
	var events []string
	for m := range got {
		events = append(events, m["event"].(string))
		switch m["event"] {
		case "start":
			s := m["start"].(map[string]any)
			if s["callSid"] != "ABCD2345" || s["streamSid"] != m["streamSid"] || s["mediaFormat"].(map[string]any)["encoding"] != "audio/x-mulaw" || m["sequenceNumber"] != "1" {
				t.Errorf("start %v", m)
			}
		case "media":
			p := m["media"].(map[string]any)
			b, err := base64.StdEncoding.DecodeString(p["payload"].(string))
			if err != nil || len(b) != 160 || b[0] != 0xff || p["chunk"] != "1" {
				t.Errorf("media %v, %v", m, err)
			}
		}
	}
	if have := strings.Join(events, " "); have != "connected start media media mark mark stop" {
		t.Errorf("events %s", have)
	}
	if len(scores) != 0 {
		t.Errorf("another score: %+v", <-scores)
	}
}

func TestAServiceThatSaysTooMuchIsLeft(t *testing.T) {
	for _, says := range map[string][]string{"often": strings.Split(strings.Repeat(`{"event":"mark"}`+"\n", 40), "\n"), "long": {`{"event":"` + strings.Repeat("x", 2*maxMessage) + `"}`}} {
		url, got, _ := service(t, says...)
		f := &feed{ch: make(chan rtp.Frame, 100)}
		done := make(chan error, 1)
		go func() { done <- Run(t.Context(), Config{URL: url}, Call{}, f, func(Score) { t.Error("a score") }) }()
		for range got { // until the stream is closed
		}
		f.Close()
		<-done
	}
}

func TestForkRefuses(t *testing.T) {
	for _, u := range []string{"", "http://127.0.0.1/", "ws://192.0.2.1/", "ws://example.com", "wss://", "wss://a:b@example.com/"} {
		f := &feed{ch: make(chan rtp.Frame)}
		if err := Run(t.Context(), Config{URL: u}, Call{}, f, nil); err == nil {
			t.Errorf("%q was taken", u)
		}
		if _, open := <-f.ch; open {
			t.Errorf("%q: the tap is open", u)
		}
	}
	f := &feed{ch: make(chan rtp.Frame)}
	if err := Run(t.Context(), Config{URL: "ws://127.0.0.1:1/"}, Call{}, f, nil); err == nil {
		t.Error("nobody listens")
	}
}

func FuzzScore(f *testing.F) {
	f.Add([]byte(`{"event":"score","name":"a","value":"yes","score":0.5}`))
	f.Add([]byte(`{"event":"score","name":"a","value":"maybe"}`))
	f.Add([]byte(`{"event":"score","name":"b","value":"yes","score":1e999}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, ok, err := parseScore(raw, []string{"a"})
		if ok && (err != nil || s.Name != "a" || !(s.Score >= 0 && s.Score <= 1 || s.Score == -1)) {
			t.Fatalf("%+v, %v", s, err)
		}
		if !ok && s != (Score{}) && err != nil {
			t.Fatalf("a refusal with a score: %+v", s)
		}
	})
}
