package webhook_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/deliver/webhook"
)

type answering int

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}}, nil
}

// What an endpoint says counts from the first status of its hundred to the last.
func TestStatusEdges(t *testing.T) {
	for status, want := range map[int]verify.Delivery{199: verify.DeliveryAmbiguous, 200: verify.DeliveryAccepted, 299: verify.DeliveryAccepted,
		300: verify.DeliveryRefused, 499: verify.DeliveryRefused, 500: verify.DeliveryAmbiguous} {
		h, err := webhook.New(webhook.Config{URL: "https://sms.example/", Secret: secret, Transport: answering(status)})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := h.Deliver(t.Context(), message()); err != nil || r.Delivery != want {
			t.Errorf("%d: %v, %v; want %s", status, r, err, want)
		}
	}
}

// A secret has 24 to 64 bytes, a time-out ten seconds at most.
func TestConfigEdges(t *testing.T) {
	if webhook.Timeout != 2*time.Second {
		t.Errorf("waits for %s", webhook.Timeout)
	}
	for n, ok := range map[int]bool{23: false, 24: true, 64: true, 65: false} {
		key := ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)))
		if _, err := webhook.New(webhook.Config{URL: "https://sms.example/", Secret: key}); (err == nil) != ok {
			t.Errorf("a secret of %d bytes: %v", n, err)
		}
	}
	for d, ok := range map[time.Duration]bool{-1: false, 0: true, 10 * time.Second: true, 10*time.Second + 1: false} {
		if _, err := webhook.New(webhook.Config{URL: "https://sms.example/", Secret: secret, Timeout: d}); (err == nil) != ok {
			t.Errorf("a time-out of %s: %v", d, err)
		}
	}
}
