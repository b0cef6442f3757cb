package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Staff is a member of staff in front of the console, with a passkey.
type Staff struct {
	Name string
	// Check is the digits that a colleague confirms the passkey by which Join
	// made; empty when it counts at once.
	Check string
	c     *client
	key   Authenticator
	log   Log
}

// NewStaff returns a person in front of the console at base.
func NewStaff(name, base string, key Authenticator, log Log) *Staff {
	return &Staff{Name: name, c: newClient(base), key: key, log: log}
}

// Join makes a passkey on an invitation link, which is used up by it.
func (s *Staff) Join(ctx context.Context, link string) error {
	_, _, token, err := fragment(link)
	if err != nil {
		return err
	}
	var begun struct{ Options json.RawMessage }
	if err := s.c.do(ctx, "POST", "/v1/invite/begin", map[string]any{"token": token}, &begun); err != nil {
		return err
	}
	response, err := s.key.Register(begun.Options)
	if err != nil {
		return err
	}
	var made struct{ Check string }
	err = s.c.do(ctx, "POST", "/v1/invite/finish", map[string]any{"token": token, "response": json.RawMessage(response)}, &made)
	s.Check = made.Check
	return err
}

// Login signs in with the passkey.
func (s *Staff) Login(ctx context.Context) error {
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if err := s.c.do(ctx, "POST", "/v1/login/begin", map[string]any{}, &begun); err != nil {
		return err
	}
	response, err := s.key.Assert(begun.Options)
	if err != nil {
		return err
	}
	return s.c.do(ctx, "POST", "/v1/login/finish", map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}, nil)
}

// Me returns who is signed in.
func (s *Staff) Me(ctx context.Context) (ringfence.PersonID, error) {
	var me struct{ ID ringfence.PersonID }
	err := s.c.do(ctx, "GET", "/v1/me", nil, &me)
	return me.ID, err
}

// Calls returns the live calls that the person may see.
func (s *Staff) Calls(ctx context.Context) ([]ringfence.LiveCall, error) {
	var out struct{ Traversals []ringfence.LiveCall }
	err := s.c.do(ctx, "GET", "/v1/traversals", nil, &out)
	return out.Traversals, err
}

// WaitCall watches the console until a live call is as wanted.
func (s *Staff) WaitCall(ctx context.Context, want func(ringfence.LiveCall) bool) (ringfence.LiveCall, error) {
	var got ringfence.LiveCall
	err := s.stream(ctx, func(event string, data []byte) (bool, error) {
		if event != "call" {
			return false, nil
		}
		var c ringfence.LiveCall
		if err := json.Unmarshal(data, &c); err != nil {
			return false, fmt.Errorf("lab: the console was sent no call: %v", err)
		}
		if !want(c) {
			return false, nil
		}
		got = c
		return true, nil
	})
	return got, err
}

// errStreamEnded is the end of an event stream before what was waited for.
var errStreamEnded = errors.New("lab: the event stream ended")

// stream reads server-sent events until f is done. A stream that ends early is
// opened again, as a browser does.
func (s *Staff) stream(ctx context.Context, f func(event string, data []byte) (bool, error)) error {
	for {
		err := s.streamOnce(ctx, f)
		if !errors.Is(err, errStreamEnded) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (s *Staff) streamOnce(ctx context.Context, f func(event string, data []byte) (bool, error)) error {
	req, err := s.c.request(ctx, "GET", "/v1/events", nil)
	if err != nil {
		return err
	}
	open := *s.c.http
	open.Timeout = 0 // it lasts as long as ctx
	resp, err := open.Do(req)
	if err != nil {
		return fmt.Errorf("lab: events: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &Problem{Status: resp.StatusCode, Title: "No event stream"}
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswerBytes)
	var event string
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if done, err := f(event, []byte(data)); done || err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("lab: watching the console: %w", context.Cause(ctx))
	}
	return errStreamEnded
}

// Action is what a person asks to be done, in canonical text.
type Action struct {
	Type      string                `json:"type"`
	Fields    map[string]string     `json:"fields"`
	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	Subject   ringfence.SubjectID   `json:"subject,omitempty"`
	AskedBy   string                `json:"asked_by,omitempty"`
}

// Release is an action as the console shows it.
type Release struct {
	ID        ringfence.ReleaseID `json:"id"`
	State     string              `json:"state"`
	Type      string              `json:"type"`
	Says      string              `json:"says"`
	Class     ringfence.Class     `json:"class"`
	Subject   ringfence.SubjectID `json:"subject"`
	Digest    ringfence.Digest    `json:"digest"`
	Fields    map[string]string   `json:"fields"`
	Decision  string              `json:"decision"`
	Missing   []ringfence.Fact    `json:"missing"`
	Next      string              `json:"next"`
	Waivers   []string            `json:"waivers"`
	HoldUntil time.Time           `json:"hold_until"`
	Executor  string              `json:"executor"`
}

// Open opens an action.
func (s *Staff) Open(ctx context.Context, a Action) (Release, error) {
	var out Release
	err := s.c.do(ctx, "POST", "/v1/actions", a, &out)
	return out, err
}

// Lookup reads an action, judged now.
func (s *Staff) Lookup(ctx context.Context, id ringfence.ReleaseID) (Release, error) {
	var out Release
	err := s.c.do(ctx, "GET", "/v1/releases/"+string(id), nil, &out)
	return out, err
}

// Release asks that an action be done, whose digest is what the person saw.
func (s *Staff) Release(ctx context.Context, id ringfence.ReleaseID, digest ringfence.Digest) (Release, error) {
	var out Release
	err := s.c.do(ctx, "POST", "/v1/releases/"+string(id)+"/release", map[string]any{"digest": digest}, &out)
	return out, err
}

// Permit tries to fetch a permit, which no member of staff may.
func (s *Staff) Permit(ctx context.Context, id ringfence.ReleaseID) error {
	return s.c.do(ctx, "POST", "/v1/releases/"+string(id)+"/permit", map[string]any{}, nil)
}

// Identify says whom the caller claims to be.
func (s *Staff) Identify(ctx context.Context, call ringfence.TraversalID, kind ringfence.SubjectKind, field, value string) error {
	return s.c.do(ctx, "POST", "/v1/traversals/"+string(call)+"/identify", map[string]any{"kind": kind, "field": field, "value": value}, nil)
}

// StepUp starts a console flow on a live call.
func (s *Staff) StepUp(ctx context.Context, call ringfence.TraversalID, flow string, release ringfence.ReleaseID) error {
	in := map[string]any{"flow": flow}
	if release != "" {
		in["release"] = release
	}
	return s.c.do(ctx, "POST", "/v1/traversals/"+string(call)+"/step-ups", in, nil)
}

// HangUp leaves a call.
func (s *Staff) HangUp(ctx context.Context, call ringfence.TraversalID) error {
	return s.c.do(ctx, "POST", "/v1/traversals/"+string(call)+"/hang-up", nil, nil)
}

// Approval is an action that waits for a colleague, as the approver sees it.
type Approval struct {
	Release ringfence.ReleaseID `json:"release"`
	Says    string              `json:"says"`
	Fields  []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"fields"`
	Requester    string           `json:"requester"`
	Digest       ringfence.Digest `json:"digest"`
	Policy       ringfence.Digest `json:"policy"`
	EvidenceHash ringfence.Digest `json:"evidence_hash"`
}

// Approvals lists what the person is asked to agree to.
func (s *Staff) Approvals(ctx context.Context) ([]Approval, error) {
	var out struct{ Approvals []Approval }
	err := s.c.do(ctx, "GET", "/v1/approvals", nil, &out)
	return out.Approvals, err
}

// WaitApproval watches until the person is asked to agree to a release.
func (s *Staff) WaitApproval(ctx context.Context, id ringfence.ReleaseID) (Approval, error) {
	var got Approval
	err := s.stream(ctx, func(string, []byte) (bool, error) {
		all, err := s.Approvals(ctx)
		if err != nil {
			return false, err
		}
		for _, a := range all {
			if a.Release == id || id == "" {
				got = a
				return true, nil
			}
		}
		return false, nil
	})
	return got, err
}

// Agree signs an agreement to exactly what was shown, with the passkey.
func (s *Staff) Agree(ctx context.Context, a Approval) error {
	return s.Sign(ctx, "/v1/approvals/"+string(a.Release), map[string]any{"agrees": true, "digest": a.Digest, "policy": a.Policy, "evidence_hash": a.EvidenceHash}, nil)
}

// Watch shows every change of the live calls that the person may see, until
// ctx ends.
func (s *Staff) Watch(ctx context.Context, show func(ringfence.LiveCall)) error {
	_, err := s.WaitCall(ctx, func(c ringfence.LiveCall) bool {
		show(c)
		return false
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Cookies returns what the console has told the person's browser to keep.
func (s *Staff) Cookies() []*http.Cookie {
	at, err := url.Parse(s.c.base)
	if err != nil {
		return nil
	}
	return s.c.http.Jar.Cookies(at)
}
