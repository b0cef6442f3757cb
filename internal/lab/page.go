package lab

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence"
)

// Authenticator makes and uses passkeys over the JSON that browsers speak.
type Authenticator interface {
	Register(options []byte) ([]byte, error)
	Assert(options []byte) ([]byte, error)
}

// Page is the caller's page behind a link, in a browser. It POSTs what the
// page's script would.
type Page struct {
	c     *client
	token string
	// Session is what the page keeps after the right carry code.
	session string
	options json.RawMessage
}

// PageField is one field of the action that the page shows.
type PageField struct {
	Name  string          `json:"name"`
	As    ringfence.SayAs `json:"as"`
	Value string          `json:"value"`
}

// PageAnswer is what the page was told. Outcome is open, satisfied, rejected,
// wrong or closed.
type PageAnswer struct {
	Outcome   string          `json:"outcome"`
	TriesLeft int             `json:"tries_left"`
	Reference string          `json:"reference"`
	ExpiresAt time.Time       `json:"expires_at"`
	Session   string          `json:"session"`
	Says      string          `json:"says"`
	Fields    []PageField     `json:"fields"`
	By        string          `json:"by"`
	Options   json.RawMessage `json:"options"`
}

type pageBody struct {
	Token    string          `json:"token"`
	Code     string          `json:"code,omitempty"`
	Session  string          `json:"session,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// OpenPage opens a link from a message. It loads the page and looks, which
// spends nothing.
func OpenPage(ctx context.Context, link string) (*Page, PageAnswer, error) {
	var out PageAnswer
	base, path, token, err := fragment(link)
	if err != nil {
		return nil, out, err
	}
	p := &Page{c: newClient(base), token: token}
	if err := p.load(ctx, path); err != nil {
		return nil, out, err
	}
	return p, out, p.c.do(ctx, "POST", "/l/look", pageBody{Token: token}, &out)
}

// load asks for the page itself, as a browser does before any script runs.
func (p *Page) load(ctx context.Context, path string) error {
	req, err := p.c.request(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	resp, err := p.c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return &Problem{Status: resp.StatusCode, Title: "The page does not open"}
	}
	return nil
}

// Unlock types the carry code into the page; the right one shows the action.
func (p *Page) Unlock(ctx context.Context, code string) (PageAnswer, error) {
	var out PageAnswer
	err := p.c.do(ctx, "POST", "/l/unlock", pageBody{Token: p.token, Code: code}, &out)
	p.session, p.options = out.Session, out.Options
	return out, err
}

// Approve signs what the page shows with the passkey.
func (p *Page) Approve(ctx context.Context, a Authenticator) (PageAnswer, error) {
	var out PageAnswer
	response, err := a.Assert(p.options)
	if err != nil {
		return out, err
	}
	err = p.c.do(ctx, "POST", "/l/finish", pageBody{Token: p.token, Session: p.session, Response: response}, &out)
	return out, err
}

// Refuse presses "I did not ask for this".
func (p *Page) Refuse(ctx context.Context) (PageAnswer, error) {
	var out PageAnswer
	err := p.c.do(ctx, "POST", "/l/refuse", pageBody{Token: p.token}, &out)
	return out, err
}
