// Package twilio carries messages by Twilio's Messages resource and asks its
// Lookup for what the network says about a number.
//
// It is a carrier, never a judge: a delivery is fetched, not believed from a
// webhook (whose signature can be cut anew and replayed); an answer that is
// missing or null is unknown, not "no". Each request is made once, within two
// seconds, over an http.Client of its own that follows no redirect; whatever
// may have reached Twilio counts as sent.
//
// It refuses to start without credentials, and refuses numbers and ids that
// are not exactly in form before they get near a URL: the library puts path
// parameters in unescaped.
package twilio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Timeout bounds one request; after it the outcome is in doubt:
// 2 s, at most 10.
const Timeout = 2 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 256 << 10

// Config is what a Client is made of.
type Config struct {
	// Account is the account SID (AC and 32 hexadecimal digits).
	Account string
	// Key and Secret are an API key, or the account SID and its auth token.
	// Letters and digits only; never empty.
	Key    string
	Secret ringfence.Secret
	// From is our own sender: E.164 with a plus, or a messaging service's SID.
	From string
	// Timeout overrides the constant; zero keeps it; at most 10 s.
	Timeout time.Duration
	// Base, when set, is where requests go instead of Twilio's hosts: a test
	// server on loopback. Anything else than http://127.0.0.1, ::1 or localhost
	// is refused, so that no configuration can send credentials elsewhere.
	Base string
}

// Client implements verify.Deliverer and asks Lookup. It is safe for
// concurrent use.
type Client struct {
	cfg  Config
	base http.RoundTripper
}

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	messageSID = regexp.MustCompile(`^(SM|MM)[0-9a-fA-F]{32}$`)
	serviceSID = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	credential = regexp.MustCompile(`^[0-9A-Za-z]+$`)
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

// New returns a Client, or says what of the configuration is wrong.
func New(c Config) (*Client, error) {
	switch {
	case !accountSID.MatchString(c.Account):
		return nil, errors.New("twilio: account is AC and 32 hexadecimal digits")
	case !credential.MatchString(c.Key) || !credential.Match(c.Secret):
		return nil, errors.New("twilio: key and secret must be set, letters and digits only")
	case !e164.MatchString(c.From) && !serviceSID.MatchString(c.From):
		return nil, errors.New("twilio: from is a number with a plus or a messaging service's SID")
	case c.Timeout < 0 || c.Timeout > 10*time.Second:
		return nil, fmt.Errorf("twilio: a time-out of %v is not within 0 to 10 s", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = Timeout
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	var base http.RoundTripper = t
	if c.Base != "" {
		u, err := url.Parse(c.Base)
		if err != nil || u.Scheme != "http" || !loopback(u.Hostname()) {
			return nil, errors.New("twilio: base is for a test server on loopback only")
		}
		base = rewrite{to: u, next: t}
	}
	return &Client{cfg: c, base: base}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// rewrite sends every request to another host and keeps its Host header.
type rewrite struct {
	to   *url.URL
	next http.RoundTripper
}

func (r rewrite) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Host = req.URL.Host
	out.URL.Scheme, out.URL.Host = r.to.Scheme, r.to.Host
	return r.next.RoundTrip(out)
}

// call is one request: it brings the caller's context to a library that has
// none, keeps the status and the body as they came, and sends nothing twice.
type call struct {
	ctx    context.Context
	next   http.RoundTripper
	sent   bool
	status int
	body   []byte
}

func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.sent {
		return nil, errors.New("twilio: a request is made once")
	}
	c.sent = true
	res, err := c.next.RoundTrip(req.WithContext(c.ctx))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	c.status = res.StatusCode
	if c.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(c.body))
	return res, nil
}

// begin makes a call and the library's handler over it. Edge and region stay
// empty, whatever the environment says.
func (c *Client) begin(ctx context.Context) (*call, *client.RequestHandler, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, c.cfg.Timeout)
	one := &call{ctx: ctx, next: c.base}
	lib := &client.Client{Credentials: client.NewCredentials(c.cfg.Key, string(c.cfg.Secret)),
		HTTPClient: &http.Client{Transport: one, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	lib.SetAccountSid(c.cfg.Account)
	return one, &client.RequestHandler{Client: lib}, stop
}

// validity is how long Twilio may try to deliver a code, in seconds: no longer
// than the code lives.
const validity = 300

// Deliver implements verify.Deliverer for ChannelSMS.
func (c *Client) Deliver(ctx context.Context, m verify.Message) (verify.Receipt, error) {
	to := "+" + m.To
	if m.Channel != verify.ChannelSMS || !e164.MatchString(to) || len(m.Text) == 0 {
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "form"}, nil
	}
	p := (&api.CreateMessageParams{}).SetTo(to).SetBody(string(m.Text))
	if serviceSID.MatchString(c.cfg.From) {
		p.SetMessagingServiceSid(c.cfg.From)
	} else {
		p.SetFrom(c.cfg.From)
	}
	if m.Kind == verify.MessageCode {
		p.SetValidityPeriod(validity)
	}
	one, handler, stop := c.begin(ctx)
	defer stop()
	got, err := api.NewApiService(handler).CreateMessage(p)
	r := verify.Receipt{Delivery: outcome(one, err)}
	if got != nil && got.Sid != nil && messageSID.MatchString(*got.Sid) {
		r.ID = *got.Sid
	}
	if r.Delivery == verify.DeliveryAccepted && r.ID == "" {
		r.Delivery = verify.DeliveryAmbiguous
	}
	if r.Delivery != verify.DeliveryAccepted {
		r.Detail = detail(one, err)
	}
	return r, nil
}

// outcome reads what is certain about a POST: only a refusal that Twilio gave,
// or a connection that was never made, means that nothing was sent.
func outcome(one *call, err error) verify.Delivery {
	var op *net.OpError
	switch {
	case one.status >= 200 && one.status < 300 && err == nil:
		return verify.DeliveryAccepted
	case one.status >= 300 && one.status < 500:
		return verify.DeliveryRefused
	case !one.sent, one.status == 0 && errors.As(err, &op) && op.Op == "dial":
		return verify.DeliveryRefused
	default:
		return verify.DeliveryAmbiguous
	}
}

// detail is Twilio's error number or the HTTP status; its texts repeat numbers.
func detail(one *call, err error) string {
	var rest *client.TwilioRestError
	if errors.As(err, &rest) && rest.Code != 0 {
		return fmt.Sprintf("twilio %d", rest.Code)
	}
	if one.status != 0 {
		return fmt.Sprintf("http %d", one.status)
	}
	return "no answer"
}

// Status fetches what became of a message. Delivered and still on the way are
// both accepted; only Twilio's failed and undelivered are refused.
func (c *Client) Status(ctx context.Context, id string) (verify.Receipt, error) {
	if !messageSID.MatchString(id) {
		return verify.Receipt{}, errors.New("twilio: not a message SID")
	}
	one, handler, stop := c.begin(ctx)
	defer stop()
	got, err := api.NewApiService(handler).FetchMessage(id, nil)
	if err != nil || one.status != http.StatusOK || got.Status == nil || got.Sid == nil || *got.Sid != id {
		return verify.Receipt{}, fmt.Errorf("twilio: status: %s", detail(one, err))
	}
	r := verify.Receipt{ID: id, Detail: word(*got.Status), Delivery: verify.DeliveryAmbiguous}
	switch r.Detail {
	case "queued", "sending", "sent", "delivered", "accepted", "scheduled", "read":
		r.Delivery = verify.DeliveryAccepted
	case "failed", "undelivered", "canceled":
		r.Delivery = verify.DeliveryRefused
	}
	return r, nil
}

// word keeps what is a plain word of a stranger's text.
func word(s string) string {
	if len(s) > 32 || !credential.MatchString(s) {
		return "unknown"
	}
	return s
}
