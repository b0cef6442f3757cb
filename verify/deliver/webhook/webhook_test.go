package webhook_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/deliver/webhook"
)

var secret = ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("twenty-four bytes or more")))

func message() verify.Message {
	return verify.Message{Tenant: "default", Kind: verify.MessageCode, Channel: verify.ChannelSMS, To: "447700900123", Text: ringfence.Secret("key 123456"), Ref: "chl_1"}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		c    webhook.Config
	}{
		{"no address", webhook.Config{Secret: secret}},
		{"http off loopback", webhook.Config{URL: "http://gateway.example/x", Secret: secret}},
		{"a user in the address", webhook.Config{URL: "https://u:p@gateway.example/x", Secret: secret}},
		{"a file", webhook.Config{URL: "file:///etc/passwd", Secret: secret}},
		{"no secret", webhook.Config{URL: "https://gateway.example/x"}},
		{"a short secret", webhook.Config{URL: "https://gateway.example/x", Secret: ringfence.Secret("whsec_c2hvcnQ=")}},
		{"a secret without its prefix", webhook.Config{URL: "https://gateway.example/x", Secret: secret[6:]}},
		{"a time-out over 10 s", webhook.Config{URL: "https://gateway.example/x", Secret: secret, Timeout: time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := webhook.New(c.c); err == nil {
				t.Error("have no error")
			}
		})
	}
}

func TestDeliver(t *testing.T) {
	var got webhook.Event
	var bad error
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, bad = webhook.Receive(secret, r.Header, body)
		r.Header.Set(standardwebhooks.HeaderWebhookID, "evt_other")
		if _, err := webhook.Receive(secret, r.Header, body); err == nil {
			t.Error("another id verifies")
		}
	}))
	defer s.Close()
	h, err := webhook.New(webhook.Config{URL: s.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Deliver(t.Context(), message())
	if err != nil || r.Delivery != verify.DeliveryAccepted || bad != nil {
		t.Fatal(r, err, bad)
	}
	if got.Data.Text != "key 123456" || got.Data.To != "447700900123" || got.Data.Ref != "chl_1" {
		t.Errorf("have %+v", got)
	}
}

func TestWhatTheEndpointSays(t *testing.T) {
	for _, c := range []struct {
		status int
		want   verify.Delivery
	}{{200, verify.DeliveryAccepted}, {202, verify.DeliveryAccepted}, {307, verify.DeliveryRefused}, {400, verify.DeliveryRefused}, {410, verify.DeliveryRefused}, {429, verify.DeliveryRefused}, {500, verify.DeliveryAmbiguous}, {502, verify.DeliveryAmbiguous}} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			n := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n++
				w.Header().Set("Location", "/again")
				w.WriteHeader(c.status)
			}))
			defer s.Close()
			h, err := webhook.New(webhook.Config{URL: s.URL, Secret: secret})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := h.Deliver(t.Context(), message()); err != nil || r.Delivery != c.want || n != 1 {
				t.Errorf("have %v, %v, %d requests; want %s in one", r, err, n, c.want)
			}
		})
	}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	h, err := webhook.New(webhook.Config{URL: s.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := h.Deliver(t.Context(), message()); err != nil || r.Delivery != verify.DeliveryAmbiguous {
		t.Errorf("cut: have %v, %v", r, err)
	}
	s.Close()
	if r, err := h.Deliver(t.Context(), message()); err != nil || r.Delivery != verify.DeliveryRefused {
		t.Errorf("nobody there: have %v, %v", r, err)
	}
	m := message()
	m.Channel = verify.ChannelEmail
	if r, err := h.Deliver(t.Context(), m); err != nil || r.Delivery != verify.DeliveryRefused {
		t.Errorf("a code by e-mail: have %v, %v", r, err)
	}
}

func FuzzReceive(f *testing.F) {
	sign, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		f.Fatal(err)
	}
	good := []byte(`{"type":"message.send","timestamp":"2026-01-01T00:00:00Z","data":{"tenant":"default","kind":"code","channel":"sms","to":"447700900123","text":"x","ref":"chl_1"}}`)
	f.Add(good, true)
	f.Add(good, false)
	f.Add([]byte(`{"type":"message.send"}{"type":"message.send"}`), true)
	f.Add([]byte(`{"type":"other"}`), true)
	f.Add([]byte(`{"TYPE":"message.send"}`), true)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		now := time.Now()
		sig, err := sign.Sign("evt_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		if !signed {
			sig = "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
		}
		h := http.Header{}
		h.Set(standardwebhooks.HeaderWebhookID, "evt_1")
		h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		h.Set(standardwebhooks.HeaderWebhookSignature, sig)
		e, err := webhook.Receive(secret, h, body)
		if err == nil && (!signed || e.Type != "message.send") {
			t.Errorf("taken: signed %v, %q", signed, body)
		}
	})
}
