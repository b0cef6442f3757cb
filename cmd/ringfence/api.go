package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// apiFlags are how a command reaches a ringfence that runs.
type apiFlags struct {
	URL        string `name:"url" required:"" help:"Origin of ringfence's staff listener."`
	Credential string `required:"" type:"existingfile" help:"File with the credential of a service account." placeholder:"FILE"`
}

// api speaks with the staff listener as a service account.
type api struct {
	origin     string
	credential ringfence.Secret
	http       *http.Client
}

// errNotReached marks that nothing could be found out.
var errNotReached = errors.New("not reached")

// maxAnswer bounds an answer in octets: a capture's file holds 16 MiB.
const maxAnswer = 20 << 20

// open judges the flags. Only the machine itself is spoken to without TLS.
func (f apiFlags) open() (*api, error) {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		return nil, errors.New("--url: want an https origin")
	}
	raw, err := os.ReadFile(f.Credential)
	if err != nil {
		return nil, err
	}
	return &api{origin: strings.TrimSuffix(f.URL, "/"), credential: ringfence.Secret(bytes.TrimSpace(raw)), http: &http.Client{Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// do sends one request; in, unless nil, as JSON. Errors wrap errNotReached.
func (a *api) do(ctx context.Context, method, path string, in any) (status int, body []byte, err error) {
	var send io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.origin+path, send)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+string([]byte(a.credential)))
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", ringfence.NewID[string]("cli"))
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %v", errNotReached, err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, nil, fmt.Errorf("%w: %v", errNotReached, err)
	}
	return resp.StatusCode, body, nil
}

// ask is do for a command that a person typed: the answer goes into out, unless
// nil, and what was refused is said in the words of the API.
func (a *api) ask(ctx context.Context, method, path string, in, out any) error {
	status, body, err := a.do(ctx, method, path, in)
	switch {
	case err != nil:
		return err
	case status >= 300:
		return refusedWith(status, body)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %s does not answer like a ringfence", errNotReached, path)
	}
	return nil
}

// refusedWith reads problem details (RFC 9457).
func refusedWith(status int, body []byte) error {
	var p problem.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" {
		return &exitError{code: 1, text: fmt.Sprintf("answered %d %s", status, http.StatusText(status))}
	}
	text := p.Error()
	for _, f := range p.Errors {
		text += "; " + f.Location + ": " + f.Message
	}
	return &exitError{code: 1, text: text}
}
