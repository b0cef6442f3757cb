package voice

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// The test binary is its own TTS program: TestMain plays what the first
// argument says.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "tts-") {
		os.Exit(ttsProgram(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func ttsProgram(mode string, args []string) int {
	text, _ := io.ReadAll(os.Stdin)
	switch mode {
	case "tts-length": // as many samples as there are bytes of text
		os.Stdout.Write(pcmWAV(make(ringfence.Clip, len(text))))
	case "tts-args": // fails unless called with the filled-in arguments
		if !slices.Equal(args, []string{"-v", "de/anna", "--keep={x}"}) || os.Getenv("PLANTED") != "" {
			return 3
		}
		os.Stdout.Write(pcmWAV(ringfence.Clip{7}))
	case "tts-raw":
		os.Stdout.Write([]byte{1, 0, 2, 0})
	case "tts-endless":
		for {
			if _, err := os.Stdout.Write(make([]byte, 4096)); err != nil {
				return 1
			}
		}
	case "tts-hangs":
		io.Copy(io.Discard, neverEnds{})
	case "tts-fails":
		os.Stdout.Write(pcmWAV(ringfence.Clip{7}))
		return 1
	case "tts-rubbish":
		os.Stdout.WriteString("no audio")
	}
	return 0
}

type neverEnds struct{}

func (neverEnds) Read([]byte) (int, error) { select {} }

func program(t *testing.T, args ...string) *Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Command{Argv: append([]string{self}, args...)}
}

func TestCommandRefuses(t *testing.T) {
	hanging := program(t, "tts-hangs")
	hanging.Timeout = 50 * time.Millisecond
	endless := program(t, "tts-endless")
	endless.MaxBytes = 10000
	odd := program(t, "tts-raw")
	odd.Raw = 12345
	for _, tt := range []struct {
		name string
		have *Command
		want string
	}{
		{"the zero value", &Command{}, "no program"},
		{"no such program", &Command{Argv: []string{"/nonexistent/tts"}}, "tts command"},
		{"a program that hangs", hanging, "deadline"},
		{"a program that never stops writing", endless, "more than 10000 bytes"},
		{"a program that fails", program(t, "tts-fails"), "exit status"},
		{"an answer that is no audio", program(t, "tts-rubbish"), "RIFF"},
		{"raw at a strange rate", odd, "12345"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clip, err := tt.have.Speak(t.Context(), "en", "", "words of the text")
			if err == nil || clip != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Speak = %d samples, %v; want %q", len(clip), err, tt.want)
			}
			if strings.Contains(err.Error(), "words of the text") {
				t.Errorf("the error holds the text: %v", err)
			}
		})
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program(t, "tts-hangs").Speak(ctx, "en", "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func TestCommand(t *testing.T) {
	t.Setenv("PLANTED", "must not reach the program")
	raw := program(t, "tts-raw")
	raw.Raw = Rate
	for _, tt := range []struct {
		name string
		have *Command
		want ringfence.Clip
	}{
		{"text on its input", program(t, "tts-length"), make(ringfence.Clip, 5)},
		{"arguments", program(t, "tts-args", "-v", "{language}/{voice}", "--keep={x}"), ringfence.Clip{7}},
		{"raw", raw, ringfence.Clip{1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.have.Speak(t.Context(), "de", "anna", "fünf")
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Speak = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestEndpointRefuses(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %d bytes", r.ContentLength)
	}))
	defer elsewhere.Close()
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hangs":
			io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-done:
			}
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		case "/redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/rubbish":
			io.WriteString(w, "no audio")
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer srv.Close()
	defer close(done)
	for _, tt := range []struct {
		name string
		have *Endpoint
		want string
	}{
		{"the zero value", &Endpoint{}, "tts endpoint"},
		{"no address", &Endpoint{URL: "http://%zz?key=planted"}, "not a URL"},
		{"nobody there", &Endpoint{URL: "http://127.0.0.1:1/tts?key=planted"}, "refused"},
		{"an endpoint that hangs", &Endpoint{URL: srv.URL + "/hangs?key=planted", Timeout: 50 * time.Millisecond}, "deadline"},
		{"an answer without end", &Endpoint{URL: srv.URL + "/endless", MaxBytes: 10000}, "more bytes"},
		{"a redirect", &Endpoint{URL: srv.URL + "/redirect"}, "307"},
		{"a refusal", &Endpoint{URL: srv.URL + "/none"}, "403"},
		{"an answer that is no audio", &Endpoint{URL: srv.URL + "/rubbish"}, "RIFF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clip, err := tt.have.Speak(t.Context(), "en", "", "words of the text")
			if err == nil || clip != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Speak = %d samples, %v; want %q", len(clip), err, tt.want)
			}
			if strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "words of") {
				t.Errorf("the error holds a key or the text: %v", err)
			}
		})
	}
}

func TestEndpoint(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Query().Get("v") != "anna & co" || r.Header.Get("X-Key") != "k" {
			http.Error(w, "wrong request", http.StatusBadRequest)
			return
		}
		w.Write(pcmWAV(make(ringfence.Clip, len(body))))
	}))
	defer srv.Close()
	e := &Endpoint{URL: srv.URL + "/say?v={voice}&key=planted", Header: http.Header{"X-Key": {"k"}}}
	clip, err := e.Speak(t.Context(), "en", "anna & co", "five!")
	if err != nil || len(clip) != 5 {
		t.Errorf("Speak = %d samples, %v", len(clip), err)
	}
	if strings.Contains(e.Name(), "planted") {
		t.Errorf("Name holds the key: %s", e.Name())
	}
}
