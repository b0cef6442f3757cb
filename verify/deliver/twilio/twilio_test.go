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

func TestLookup(t *testing.T) {
	const tn = "+447700900123"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answer := func(sim, fwd, line string) string {
		return `{"phone_number":"` + tn + `","valid":true,"sim_swap":` + sim + `,"call_forwarding":` + fwd + `,"line_type_intelligence":` + line + `}`
	}
	const yes, no, unknown = ringfence.Yes, ringfence.No, ringfence.Unknown
	for _, c := range []struct {
		name, body     string
		sim, div, line ringfence.Tri
	}{
		{"all null", answer("null", "null", "null"), unknown, unknown, unknown},
		{"nulls within", answer(`{"last_sim_swap":null,"error_code":null}`, `{"call_forwarding_enabled":null,"error_code":null}`, `{"type":null}`), unknown, unknown, unknown},
		{"nulls deeper", answer(`{"last_sim_swap":{"last_sim_swap_date":null,"swapped_period":"PT24H","swapped_in_period":null}}`, `{}`, `{"type":"unknown"}`), unknown, unknown, unknown},
		{"errors", answer(`{"last_sim_swap":{"last_sim_swap_date":"2020-01-01T00:00:00Z","swapped_in_period":false},"error_code":60606}`, `{"call_forwarding_enabled":false,"error_code":60606}`, `{"type":"mobile","error_code":60600}`), unknown, unknown, unknown},
		{"not in their period, no date", answer(`{"last_sim_swap":{"swapped_period":"PT24H","swapped_in_period":false}}`, "null", "null"), unknown, unknown, unknown},
		{"all well", answer(`{"last_sim_swap":{"last_sim_swap_date":"2020-04-27T10:18:50Z","swapped_period":"PT24H","swapped_in_period":false},"error_code":null}`, `{"call_forwarding_enabled":false}`, `{"type":"mobile"}`), no, no, yes},
		{"swapped six days ago, outside their period", answer(`{"last_sim_swap":{"last_sim_swap_date":"2026-02-23T12:00:00Z","swapped_in_period":false}}`, `{"call_forwarding_enabled":true}`, `{"type":"nonFixedVoip"}`), yes, yes, no},
		{"swapped in their period", answer(`{"last_sim_swap":{"swapped_in_period":true}}`, "null", `{"type":"landline"}`), yes, unknown, yes},
		{"another number's answer", strings.ReplaceAll(answer(`{"last_sim_swap":{"last_sim_swap_date":"2020-04-27T10:18:50Z"}}`, `{"call_forwarding_enabled":false}`, `{"type":"mobile"}`), tn, "+447700900999"), unknown, unknown, unknown},
		{"no JSON", "<html>", unknown, unknown, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, client := start(t)
			s.Lookups[tn] = c.body
			got := client.Lookup(t.Context(), "447700900123", 7*24*time.Hour, now)
			if len(got) != 3 || got[0].Name != "sim_swap" || got[1].Name != "diversion" || got[2].Name != "line_type" {
				t.Fatal(got)
			}
			if got[0].Value != c.sim || got[1].Value != c.div || got[2].Value != c.line {
				t.Errorf("have %v %v %v, want %v %v %v", got[0].Value, got[1].Value, got[2].Value, c.sim, c.div, c.line)
			}
			if bad := s.Complaints(); len(bad) != 0 {
				t.Errorf("we broke the contract: %v", bad)
			}
		})
	}
	s, client := start(t)
	s.Fail(twiliotest.FaultServer)
	for _, number := range []ringfence.TN{"447700900123", "", "44/../x", "+447700900123"} {
		for _, g := range client.Lookup(t.Context(), number, 0, now) {
			if g.Value != unknown {
				t.Errorf("%q: %s is %v though it could not be asked", number, g.Name, g.Value)
			}
		}
	}
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
