package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 4 << 20

// Problem is an answer that refused (RFC 9457).
type Problem struct {
	Type    string           `json:"type"`
	Title   string           `json:"title"`
	Status  int              `json:"status"`
	Detail  string           `json:"detail"`
	Missing []ringfence.Fact `json:"missing"`
	Next    string           `json:"next"`
	Errors  []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// Kind is the type without its prefix.
func (p *Problem) Kind() string { return strings.TrimPrefix(p.Type, "urn:ringfence:problem:") }

// Says is the refusal in one sentence, the most telling part of it.
func (p *Problem) Says() string {
	switch {
	case p.Next != "":
		return p.Next
	case p.Detail != "":
		return p.Detail
	case len(p.Errors) > 0:
		return p.Errors[0].Location + ": " + p.Errors[0].Message
	default:
		return p.Title + "."
	}
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Kind(), p.Says()) }

// client is somebody's browser or program on one origin.
type client struct {
	base       string
	credential string // of a program; empty for browsers
	proof      *dpop  // with which the program proves that it is its own
	http       *http.Client
}

func newClient(base string) *client {
	jar, _ := cookiejar.New(nil) // it never fails
	return &client{base: strings.TrimSuffix(base, "/"),
		http: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// do sends a request as a page of the origin would, reads the answer into out
// and returns a *Problem when it refused.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	return c.keyed(ctx, method, path, newKey(), in, out)
}

// keyed is do under an idempotency key of the caller's.
func (c *client) keyed(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("lab: %s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("lab: %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		p := &Problem{Status: resp.StatusCode}
		if json.Unmarshal(raw, p) != nil || p.Title == "" {
			p.Title = http.StatusText(resp.StatusCode)
		}
		return p
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("lab: %s %s: %v", method, path, err)
	}
	return nil
}

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.credential != "" {
		return req, c.proof.sign(req, c.credential)
	}
	req.Header.Set("Origin", c.base) // what a browser says of a request of the page's own
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req, nil
}

// newKey is a fresh idempotency key.
func newKey() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("lab: no randomness: " + err.Error())
	}
	return hex.EncodeToString(b[:])
}

// fragment parts a link into its page and what stands behind the #.
func fragment(link string) (base, path, token string, err error) {
	page, token, ok := strings.Cut(link, "#")
	scheme, rest, found := strings.Cut(page, "://")
	host, path, _ := strings.Cut(rest, "/")
	if !ok || !found || token == "" || host == "" {
		return "", "", "", fmt.Errorf("lab: no link with a token behind #")
	}
	return scheme + "://" + host, "/" + path, token, nil
}
