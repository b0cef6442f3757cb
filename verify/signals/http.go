package signals

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
)

// maxAnswer bounds what a service may answer, in bytes.
const maxAnswer = 16 << 10

// HTTPConfig is a service of the operator's own, or a small one in front of a
// bank's or a carrier's. All fields but Transport are needed.
type HTTPConfig struct {
	Name string // who says so
	// URL is where questions are posted: https, or http on this machine.
	URL string
	// Secret is "whsec_" and the base64 of 24 to 64 random bytes. Both sides sign
	// with it, as Standard Webhooks says.
	Secret ringfence.Secret
	// Answers are the signals it can give, of Names.
	Answers []string
	// Transport replaces the default one, e.g. with a private CA.
	Transport http.RoundTripper
}

// HTTP is a Source. Its contract is in docs/signals.md: the question is a
// signed POST, the answer is signed too and repeats the question's id.
type HTTP struct {
	cfg    HTTPConfig
	sign   *standardwebhooks.Webhook
	client *http.Client
}

// NewHTTP returns the source, or says what of the configuration is wrong.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	u, err := url.Parse(c.URL)
	switch {
	case c.Name == "":
		return nil, errors.New("name: say who answers")
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, errors.New("url: want an https address")
	case len(c.Answers) == 0:
		return nil, errors.New("answers: name the signals that it can give")
	}
	for _, n := range c.Answers {
		if !slices.Contains(Names, n) {
			return nil, errors.New("answers: want some of " + strings.Join(Names, ", "))
		}
	}
	text, ok := strings.CutPrefix(string(c.Secret), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("secret: want whsec_ and the base64 of 24 to 64 random bytes")
	}
	sign, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("secret: cannot sign")
	}
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		c.Transport = t
	}
	return &HTTP{cfg: c, sign: sign, client: &http.Client{Transport: c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name implements Source.
func (h *HTTP) Name() string { return h.cfg.Name }

// Answers implements Source.
func (h *HTTP) Answers(q Question) []string {
	var out []string
	for _, n := range h.cfg.Answers {
		switch {
		case n == NameCheck && q.Account != "" && q.Payee != "",
			n == NumberMatch && q.Number != "" && q.FirstName+q.LastName != "",
			n == SimSwap && q.Number != "" && !q.Landline, n == Prepaid && q.Number != "" && !q.Landline,
			n == LineType && q.Number != "", (n == Diversion || n == Forwarding) && q.Number != "":
			out = append(out, n)
		}
	}
	return out
}

// asked is the body of a question; the type is "signals.ask".
type asked struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Ask       []string `json:"ask"`
		Number    string   `json:"number,omitempty"` // with a plus
		FirstName string   `json:"first_name,omitempty"`
		LastName  string   `json:"last_name,omitempty"`
		Account   string   `json:"account,omitempty"`
		Payee     string   `json:"payee,omitempty"`
	} `json:"data"`
}

// answered is the body of an answer.
type answered struct {
	ID      string `json:"id"` // of the question
	Signals []struct {
		Name   string    `json:"name"`
		Answer string    `json:"answer"` // yes, no, close, unknown
		At     time.Time `json:"at"`     // when the service found out; may be left out
		Detail string    `json:"detail"`
	} `json:"signals"`
}

// answers are the words of an answer. A close match is no match: it is told,
// and not known.
var answers = map[string]ringfence.Tri{"yes": ringfence.Yes, "no": ringfence.No}

// Ask implements Source.
func (h *HTTP) Ask(ctx context.Context, q Question) []ringfence.Signal {
	now := time.Now()
	id := string(ringfence.NewID[ringfence.EventID](ringfence.PrefixEvent))
	question := asked{Type: "signals.ask", Timestamp: now.UTC()}
	question.Data.Ask, question.Data.Account, question.Data.Payee = h.Answers(q), strings.TrimPrefix(q.Account, "/"), q.Payee
	if q.Number != "" {
		question.Data.Number = "+" + string(q.Number)
	}
	if slices.Contains(question.Data.Ask, NumberMatch) {
		question.Data.FirstName, question.Data.LastName = q.FirstName, q.LastName
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil
	}
	raw, ok := h.post(ctx, id, now, body)
	if !ok {
		return nil
	}
	var a answered
	if err := json.Unmarshal(raw, &a); err != nil || a.ID != id {
		return nil
	}
	var out []ringfence.Signal
	for _, s := range a.Signals[:min(len(a.Signals), 2*len(Names))] {
		one := ringfence.Signal{Name: s.Name, Value: answers[s.Answer], Detail: s.Detail, At: s.At}
		if s.Answer == "close" {
			one.Detail = "close"
		}
		out = append(out, one)
	}
	return out
}

// post sends a question once and returns the body of a signed 200.
func (h *HTTP) post(ctx context.Context, id string, now time.Time, body []byte) ([]byte, bool) {
	signature, err := h.sign.Sign(id, now, body)
	if err != nil {
		return nil, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	req.GetBody = nil // never sent again by the transport on its own
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	res, err := h.client.Do(req)
	if err != nil {
		return nil, false
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err = errors.Join(err, res.Body.Close()); err != nil || len(raw) > maxAnswer || res.StatusCode != http.StatusOK {
		return nil, false
	}
	return raw, res.Header.Get(standardwebhooks.HeaderWebhookID) == id && h.sign.Verify(raw, res.Header) == nil
}
