package stihttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
)

// ErrNoPASSporT is returned by CPS.Retrieve when the service has none for the
// call.
var ErrNoPASSporT = errors.New("stihttp: no PASSporT for this call")

// CPSError is an answer of a call placement service that was not a success.
type CPSError struct {
	Status int  // HTTP status
	Retry  bool // another try may help
}

// Error says what the service answered.
func (e *CPSError) Error() string {
	return "stihttp: call placement service answered " + statusText(e.Status)
}

// CPS is a client of a call placement service, which carries PASSporTs past
// networks without SIP Identity (RFC 8816; ATIS-1000096 gives the interface).
// What it retrieves is as good as an Identity header field from a stranger: it
// goes through Verifier.Verify like one.
type CPS struct {
	base   string
	client *http.Client
	bearer func(ctx context.Context) (string, error)
}

// NewCPS makes a client for a service at base, an https URL without query. The
// guards of fetch hold for it. bearer gives the token of each request
// (ATIS-1000096, section 6.3); nil sends none.
func NewCPS(base string, fetch stirshaken.FetchConfig, bearer func(ctx context.Context) (string, error)) (*CPS, error) {
	base = strings.TrimRight(base, "/")
	if r := fetch.CheckX5U(base + "/"); r != nil {
		return nil, fmt.Errorf("stihttp: call placement service: %s", r)
	}
	client, err := fetch.Client()
	if err != nil {
		return nil, err
	}
	return &CPS{base: base, client: client, bearer: bearer}, nil
}

func (c *CPS) url(orig, dest ringfence.TN) (string, error) {
	if orig == "" || dest == "" {
		return "", errors.New("stihttp: a call has two numbers")
	}
	return c.base + "/passports/" + url.PathEscape(string(dest)) + "/" + url.PathEscape(string(orig)), nil
}

// Publish stores PASSporTs (bare tokens in full form) for a call.
func (c *CPS) Publish(ctx context.Context, orig, dest ringfence.TN, tokens []string) error {
	if len(tokens) == 0 || len(tokens) > stirshaken.MaxIdentityHeaders {
		return errors.New("stihttp: publish one to ten PASSporTs")
	}
	for _, t := range tokens {
		if _, r := stirshaken.IdentityOf(t); r != nil {
			return fmt.Errorf("stihttp: publish: %s", r)
		}
	}
	body, err := json.Marshal(map[string]any{"passports": tokens})
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, orig, dest, body)
	return err
}

// Retrieve fetches the PASSporTs of a call as Identity header field values.
// Malformed ones are left out; ErrNoPASSporT when none is left.
func (c *CPS) Retrieve(ctx context.Context, orig, dest ringfence.TN) ([]string, error) {
	b, err := c.do(ctx, http.MethodGet, orig, dest, nil)
	var status *CPSError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, ErrNoPASSporT
	}
	if err != nil {
		return nil, err
	}
	if stirshaken.CheckJSON(b) != nil {
		return nil, errors.New("stihttp: call placement service sent no JSON")
	}
	var tokens []string
	if json.Unmarshal(b, &tokens) != nil {
		var wrapped struct {
			PASSporTs []string `json:"passports"`
		}
		if json.Unmarshal(b, &wrapped) != nil {
			return nil, errors.New("stihttp: call placement service sent no list")
		}
		tokens = wrapped.PASSporTs
	}
	var out []string
	for _, t := range tokens {
		if id, r := stirshaken.IdentityOf(t); r == nil && len(out) < stirshaken.MaxIdentityHeaders {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoPASSporT
	}
	return out, nil
}

func (c *CPS) do(ctx context.Context, method string, orig, dest ringfence.TN, body []byte) ([]byte, error) {
	u, err := c.url(orig, dest)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != nil {
		token, err := c.bearer(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("stihttp: call placement service: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &CPSError{Status: resp.StatusCode, Retry: retryable(resp.StatusCode)}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("stihttp: call placement service: %v", err)
	}
	if len(b) > MaxBodyBytes {
		return nil, errors.New("stihttp: call placement service sent too much")
	}
	return b, nil
}
