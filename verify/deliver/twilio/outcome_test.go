package twilio

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twilio/twilio-go/client"

	"github.com/ringfence/ringfence/verify"
)

// Only what Twilio refused, or never got, was certainly not sent.
func TestOutcome(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		status int
		sent   bool
		err    error
		want   verify.Delivery
	}{
		{200, true, nil, verify.DeliveryAccepted}, {201, true, nil, verify.DeliveryAccepted}, {299, true, nil, verify.DeliveryAccepted},
		{200, true, broken, verify.DeliveryAmbiguous}, {199, true, nil, verify.DeliveryAmbiguous},
		{300, true, nil, verify.DeliveryRefused}, {300, true, broken, verify.DeliveryRefused}, {499, true, broken, verify.DeliveryRefused},
		{500, true, broken, verify.DeliveryAmbiguous}, {503, true, broken, verify.DeliveryAmbiguous},
		{0, true, broken, verify.DeliveryAmbiguous}, {0, false, broken, verify.DeliveryRefused},
	} {
		if have := outcome(&call{status: tt.status, sent: tt.sent}, tt.err); have != tt.want {
			t.Errorf("%d, sent %v, %v: %s, want %s", tt.status, tt.sent, tt.err, have, tt.want)
		}
	}
	for want, tt := range map[string]struct {
		status int
		err    error
	}{
		"twilio 21211": {400, fmt.Errorf("of Twilio: %w", &client.TwilioRestError{Code: 21211})},
		"http 400":     {400, &client.TwilioRestError{}}, "http 503": {503, broken}, "no answer": {0, broken},
	} {
		if have := detail(&call{status: tt.status}, tt.err); have != want {
			t.Errorf("%d, %v: %s, want %s", tt.status, tt.err, have, want)
		}
	}
}
