package voice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Bounds on a TTS.
const (
	// DefaultTTSTimeout is how long a TTS may take for one stretch.
	DefaultTTSTimeout = 10 * time.Second
	// DefaultTTSBytes bounds its answer: three minutes of 16-bit at 22.05 kHz
	// and room for a header.
	DefaultTTSBytes = 180*22050*2 + 4096
)

// TTS is a synthesiser for fixed text and for names. Speak is called from many
// goroutines at once, never with a secret, and must return when ctx ends.
type TTS interface {
	// Speak returns text spoken in the language (BCP 47) by the voice, which
	// may be empty.
	Speak(ctx context.Context, language, voice, text string) (ringfence.Clip, error)
	// Name tells synthesisers apart in the cache; a change of it renders anew.
	Name() string
}

// Command is a TTS program: text on its standard input, a WAV file on its
// standard output. In its arguments {language} and {voice} are replaced.
// Nothing of the text is ever an argument. The environment it gets is PATH
// and LANG, no more.
type Command struct {
	Argv     []string      // program and arguments; empty is an error
	Timeout  time.Duration // zero means DefaultTTSTimeout
	MaxBytes int64         // bound on its output; zero means DefaultTTSBytes
	// Raw says that the program writes bare 16-bit little-endian mono samples
	// at this rate instead of a WAV file; zero means WAV.
	Raw int
}

// Name returns the program and its arguments.
func (c *Command) Name() string { return "command:" + strings.Join(c.Argv, "\x1f") }

// Speak runs the program and reads its answer. A program that fails, writes
// too much or takes too long is an error, and is killed.
func (c *Command) Speak(ctx context.Context, language, voice, text string) (ringfence.Clip, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("tts command: no program configured")
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(c.Timeout, DefaultTTSTimeout))
	defer cancel()
	fill := strings.NewReplacer("{language}", language, "{voice}", voice)
	args := make([]string, len(c.Argv)-1)
	for i, a := range c.Argv[1:] {
		args[i] = fill.Replace(a)
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=" + os.Getenv("LANG")}
	cmd.Stdin = strings.NewReader(text)
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe open
	out := &boundedBuffer{limit: orDefault(c.MaxBytes, DefaultTTSBytes), full: cancel}
	cmd.Stdout = out
	err := cmd.Run()
	switch {
	case out.over:
		return nil, fmt.Errorf("tts command: more than %d bytes", out.limit)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("tts command: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("tts command: %v", err)
	}
	return readSpoken(out.taken, c.Raw)
}

// Endpoint is a TTS behind HTTP. The text is the body of a POST, the answer
// a WAV file.
type Endpoint struct {
	URL      string        // {language} and {voice} are replaced, escaped
	Header   http.Header   // sent along, e.g. an API key
	Timeout  time.Duration // zero means DefaultTTSTimeout
	MaxBytes int64         // bound on its answer; zero means DefaultTTSBytes
	Raw      int           // as in Command
	Client   *http.Client  // nil means one that follows no redirect
}

// Name returns the address without query and user, which may hold keys.
func (e *Endpoint) Name() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return "endpoint:"
	}
	return "endpoint:" + u.Scheme + "://" + u.Host + u.Path
}

// Speak posts the text and reads the answer. Any status but 200, an answer
// that is too long or a redirect is an error; the error names neither the
// query of the address nor its headers.
func (e *Endpoint) Speak(ctx context.Context, language, voice, text string) (ringfence.Clip, error) {
	ctx, cancel := context.WithTimeout(ctx, orDefault(e.Timeout, DefaultTTSTimeout))
	defer cancel()
	target := strings.NewReplacer("{language}", url.QueryEscape(language), "{voice}", url.QueryEscape(voice)).Replace(e.URL)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(text))
	if err != nil {
		return nil, errors.New("tts endpoint: the configured address is not a URL")
	}
	for k, vs := range e.Header {
		req.Header[k] = vs
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("Accept", "audio/wav")
	client := e.Client
	if client == nil {
		client = noRedirects
	}
	res, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text holds the whole address
			err = u.Err
		}
		return nil, fmt.Errorf("tts endpoint: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("tts endpoint: status %d", res.StatusCode)
	}
	b, err := readBounded(res.Body, orDefault(e.MaxBytes, DefaultTTSBytes))
	if err != nil {
		return nil, fmt.Errorf("tts endpoint: %w", err)
	}
	return readSpoken(b, e.Raw)
}

// noRedirects keeps text from being sent to an address nobody configured.
var noRedirects = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func readSpoken(b []byte, raw int) (ringfence.Clip, error) {
	if raw == 0 {
		return readPipedWAV(b)
	}
	if !resamples(raw) {
		return nil, fmt.Errorf("tts: raw audio at %d Hz: want 8000 or 16000", raw)
	}
	pcm, err := (&waveFormat{tag: wavePCM, bits: 16, rate: raw}).decode(b)
	if err != nil {
		return nil, err
	}
	return Resample(pcm, raw), nil
}

// boundedBuffer takes limit bytes; at one more it calls full and takes none.
// It is no io.ReaderFrom, which would get round the limit.
type boundedBuffer struct {
	taken []byte
	limit int64
	over  bool
	full  func()
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.over || int64(len(b.taken)+len(p)) > b.limit {
		b.over = true
		b.full()
		return 0, io.ErrShortWrite
	}
	b.taken = append(b.taken, p...)
	return len(p), nil
}

func orDefault[T time.Duration | int64](v, zero T) T {
	if v == 0 {
		return zero
	}
	return v
}
