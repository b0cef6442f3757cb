// Package webhook carries messages to an HTTP endpoint of the operator's own
// (an SMS gateway, a ticket system), signed as Standard Webhooks demands
// (github.com/standard-webhooks/standard-webhooks, specification 1.0.0).
//
// The endpoint comes from the configuration, never from a request; HTTPS is
// required off loopback, redirects are not followed, no proxy is used, and a
// request is made once within two seconds. What comes back is a status and
// nothing more: evidence never comes out of a webhook.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Timeout bounds one request.
const Timeout = 2 * time.Second

// minKey is the least length of a signing key in bytes: the specification asks
// for 24 to 64.
const minKey = 24

// Config is what a Hook is made of.
type Config struct {
	// URL is the endpoint, HTTPS unless on loopback, without user or fragment.
	URL string
	// Secret is "whsec_" and the base64 of 24 to 64 random bytes.
	Secret ringfence.Secret
	// Timeout overrides the constant; zero keeps it; at most 10 s.
	Timeout time.Duration
	// Client overrides the transport, e.g. with a private CA; its redirects and
	// time-out are ours.
	Transport http.RoundTripper
}

// Hook implements verify.Deliverer. It is safe for concurrent use.
type Hook struct {
	url    string
	sign   *standardwebhooks.Webhook
	client *http.Client
}

// New returns a Hook, or says what of the configuration is wrong.
func New(c Config) (*Hook, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("webhook: the address is no plain URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, errors.New("webhook: off loopback the address begins with https")
	case c.Timeout < 0 || c.Timeout > 10*time.Second:
		return nil, fmt.Errorf("webhook: a time-out of %v is not within 0 to 10 s", c.Timeout)
	}
	text, ok := strings.CutPrefix(string(c.Secret), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minKey || len(key) > 64 || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("webhook: the secret is whsec_ and the base64 of 24 to 64 random bytes")
	}
	sign, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("webhook: the secret cannot sign")
	}
	if c.Timeout == 0 {
		c.Timeout = Timeout
	}
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		c.Transport = t
	}
	return &Hook{url: c.URL, sign: sign, client: &http.Client{Transport: c.Transport, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Event is the body of a request; the type is "message.send".
type Event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is the message.
type Data struct {
	Tenant  ringfence.TenantID `json:"tenant"`
	Kind    verify.MessageKind `json:"kind"`
	Channel verify.Channel     `json:"channel"`
	To      string             `json:"to"`
	Subject string             `json:"subject,omitempty"`
	Text    string             `json:"text"`
	Ref     string             `json:"ref"`
}

// Deliver implements verify.Deliverer.
func (h *Hook) Deliver(ctx context.Context, m verify.Message) (verify.Receipt, error) {
	if m.Kind == verify.MessageCode && m.Channel != verify.ChannelSMS || m.Kind == "" || m.Channel == "" || len(m.Text) == 0 {
		return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "form"}, nil
	}
	now := time.Now()
	id := ringfence.NewID[ringfence.EventID](ringfence.PrefixEvent)
	body, err := json.Marshal(Event{Type: "message.send", Timestamp: now.UTC(), Data: Data{Tenant: m.Tenant, Kind: m.Kind, Channel: m.Channel,
		To: m.To, Subject: m.Subject, Text: string(m.Text), Ref: m.Ref}})
	if err != nil {
		return verify.Receipt{}, fmt.Errorf("webhook: %v", err)
	}
	signature, err := h.sign.Sign(string(id), now, body)
	if err != nil {
		return verify.Receipt{}, errors.New("webhook: cannot sign")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return verify.Receipt{}, errors.New("webhook: no request")
	}
	req.GetBody = nil // never sent again by the transport on its own
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, string(id))
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return h.post(req, string(id)), nil
}

// post makes the request and reads what is certain of its answer.
func (h *Hook) post(req *http.Request, id string) verify.Receipt {
	res, err := h.client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return verify.Receipt{Delivery: verify.DeliveryRefused, Detail: "not reached"}
		}
		return verify.Receipt{Delivery: verify.DeliveryAmbiguous, ID: id, Detail: "no answer"}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	r := verify.Receipt{ID: id, Detail: fmt.Sprintf("http %d", res.StatusCode), Delivery: verify.DeliveryAmbiguous}
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		r.Delivery = verify.DeliveryAccepted
	case res.StatusCode >= 300 && res.StatusCode < 500:
		r.Delivery = verify.DeliveryRefused
	}
	return r
}

// maxBody bounds a request that Receive reads, in bytes.
const maxBody = 64 << 10

// Receive reads and checks a request on the receiving side: signature,
// timestamp within five minutes, exactly one event of the known type. It is for
// gateways, the lab and tests; replays within the five minutes are the caller's
// to refuse by the webhook-id.
func Receive(secret ringfence.Secret, header http.Header, body []byte) (Event, error) {
	sign, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		return Event{}, errors.New("webhook: the secret is not base64")
	}
	if len(body) > maxBody {
		return Event{}, errors.New("webhook: the body is too long")
	}
	if err := sign.Verify(body, header); err != nil {
		return Event{}, errors.New("webhook: the signature does not verify")
	}
	var e Event
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || d.More() || e.Type != "message.send" {
		return Event{}, errors.New("webhook: not an event of ours")
	}
	return e, nil
}
