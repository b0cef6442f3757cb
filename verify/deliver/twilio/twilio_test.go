package twilio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/deliver/twilio"
	"github.com/ringfence/ringfence/verify/deliver/twilio/twiliotest"
)

func config(base string) twilio.Config {
	return twilio.Config{Account: twiliotest.Account, Key: twiliotest.Key, Secret: ringfence.Secret(twiliotest.Secret), From: twiliotest.From, Base: base}
}

func start(t *testing.T) (*twiliotest.Server, *twilio.Client) {
	t.Helper()
	s, err := twiliotest.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := twilio.New(config(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func message() verify.Message {
	return verify.Message{Kind: verify.MessageCode, Channel: verify.ChannelSMS, To: "447700900123", Text: ringfence.Secret("Acme: key 123456"), Ref: "chl_1"}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*twilio.Config)
	}{
		{"an empty auth token", func(c *twilio.Config) { c.Secret = nil }},
		{"an empty key", func(c *twilio.Config) { c.Key = "" }},
		{"no account", func(c *twilio.Config) { c.Account = "" }},
		{"an account with a path in it", func(c *twilio.Config) { c.Account = "AC../../x" }},
		{"no sender", func(c *twilio.Config) { c.From = "" }},
		{"a sender that is no number", func(c *twilio.Config) { c.From = "Acme" }},
		{"a time-out over 10 s", func(c *twilio.Config) { c.Timeout = 11 * time.Second }},
		{"a base off loopback", func(c *twilio.Config) { c.Base = "http://api.twilio.example" }},
		{"a base with a loopback prefix", func(c *twilio.Config) { c.Base = "http://127.0.0.1.example" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config("")
			c.change(&cfg)
			if _, err := twilio.New(cfg); err == nil {
				t.Error("have no error")
			} else if strings.Contains(err.Error(), twiliotest.Secret) {
				t.Error("the error holds the secret")
			}
		})
	}
}

func TestDeliver(t *testing.T) {
	s, c := start(t)
	r, err := c.Deliver(t.Context(), message())
	if err != nil || r.Delivery != verify.DeliveryAccepted || r.ID == "" {
		t.Fatal(r, err)
	}
	m := s.Messages()[0]
	if m.To != "+447700900123" || m.Body != "Acme: key 123456" || m.From != twiliotest.From || m.ValidityPeriod != 300 {
		t.Errorf("have %+v", m)
	}
	if bad := s.Complaints(); len(bad) != 0 {
		t.Errorf("we broke the contract: %v", bad)
	}
	for status, want := range map[string]verify.Delivery{"delivered": verify.DeliveryAccepted, "undelivered": verify.DeliveryRefused, "<b>": verify.DeliveryAmbiguous} {
		s.SetStatus(r.ID, status)
		if got, err := c.Status(t.Context(), r.ID); err != nil || got.Delivery != want {
			t.Errorf("%s: have %v, %v", status, got, err)
		}
	}
}

func TestDeliverRefusesForm(t *testing.T) {
	s, c := start(t)
	for name, change := range map[string]func(*verify.Message){
		"another channel": func(m *verify.Message) { m.Channel = verify.ChannelEmail },
		"a plus":          func(m *verify.Message) { m.To = "+447700900123" },
		"a path":          func(m *verify.Message) { m.To = "447700900123/../x" },
		"letters":         func(m *verify.Message) { m.To = "44ACME" },
		"a leading zero":  func(m *verify.Message) { m.To = "07700900123" },
		"no text":         func(m *verify.Message) { m.Text = nil },
	} {
		m := message()
		change(&m)
		if r, err := c.Deliver(t.Context(), m); err != nil || r.Delivery != verify.DeliveryRefused {
			t.Errorf("%s: have %v, %v", name, r, err)
		}
	}
	if n := len(s.Messages()) + len(s.Complaints()); n != 0 {
		t.Errorf("%d requests left", n)
	}
	if _, err := c.Status(t.Context(), "SM/../../Accounts"); err == nil {
		t.Error("a SID with a path was fetched")
	}
}

func TestWhatMayHaveBeenSentCountsAsSent(t *testing.T) {
	for fault, want := range map[twiliotest.Fault]verify.Delivery{
		twiliotest.FaultServer: verify.DeliveryAmbiguous, twiliotest.FaultCut: verify.DeliveryAmbiguous,
		twiliotest.FaultJunk: verify.DeliveryAmbiguous, twiliotest.FaultSID: verify.DeliveryAmbiguous,
		twiliotest.FaultReject: verify.DeliveryRefused, twiliotest.FaultBusy: verify.DeliveryRefused, twiliotest.FaultRedirect: verify.DeliveryRefused,
	} {
		t.Run(string(fault), func(t *testing.T) {
			s, c := start(t)
			s.Fail(fault)
			r, err := c.Deliver(t.Context(), message())
			if err != nil || r.Delivery != want {
				t.Errorf("have %v, %v; want %s", r, err, want)
			}
			if strings.Contains(r.Detail, "447700900123") || strings.Contains(r.ID, "..") {
				t.Errorf("the receipt holds %q %q", r.Detail, r.ID)
			}
			if n := len(s.Messages()); n > 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s, c := start(t)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Deliver(t.Context(), message()); err != nil || r.Delivery != verify.DeliveryRefused {
			t.Errorf("have %v, %v", r, err)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		s, err := twiliotest.Start("")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		defer s.Release()
		s.Fail(twiliotest.FaultSilent)
		cfg := config(s.URL)
		cfg.Timeout = 50 * time.Millisecond
		c, err := twilio.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Deliver(t.Context(), message()); err != nil || r.Delivery != verify.DeliveryAmbiguous {
			t.Errorf("have %v, %v", r, err)
		}
	})
}

func TestTheFakeChecks(t *testing.T) {
	if _, err := twiliotest.Start("0.0.0.0:0"); err == nil {
		t.Error("the fake listens off loopback")
	}
	s, _ := start(t)
	cfg := config(s.URL)
	cfg.Secret = ringfence.Secret("wrong")
	c, err := twilio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Deliver(t.Context(), message()); err != nil || r.Delivery != verify.DeliveryRefused || len(s.Complaints()) != 1 {
		t.Errorf("wrong credentials: have %v, %v, %v", r, err, s.Complaints())
	}
}
