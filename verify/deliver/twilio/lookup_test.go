package twilio_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/deliver/twilio"
	"github.com/ringfence/ringfence/verify/deliver/twilio/twiliotest"
	"github.com/ringfence/ringfence/verify/signals"
)

var asked = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ask asks every package and returns the values by signal.
func ask(t *testing.T, c *twilio.Client, q signals.Question) map[string]ringfence.Signal {
	t.Helper()
	out := map[string]ringfence.Signal{}
	for _, pkg := range twilio.Packages {
		l, err := c.Lookup(pkg, 7*24*time.Hour, func() time.Time { return asked })
		if err != nil {
			t.Fatal(err)
		}
		want := l.Answers(q)
		var have []string
		for _, s := range l.Ask(t.Context(), q) {
			have = append(have, s.Name)
			out[s.Name] = s
			if s.At != asked {
				t.Errorf("%s was said at %v", s.Name, s.At)
			}
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s answers %v, said it would answer %v", pkg, have, want)
		}
	}
	return out
}

func TestLookup(t *testing.T) {
	const tn = "+447700900123"
	answer := func(sim, fwd, line string) string {
		return `{"phone_number":"` + tn + `","valid":true,"sim_swap":` + sim + `,"call_forwarding":` + fwd + `,"line_type_intelligence":` + line + `,"identity_match":null}`
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
		{"swapped in time to come", answer(`{"last_sim_swap":{"last_sim_swap_date":"2026-04-23T12:00:00Z"}}`, `null`, `{"type":"satellite<script>"}`), yes, unknown, unknown},
		{"swapped in their period", answer(`{"last_sim_swap":{"swapped_in_period":true}}`, "null", `{"type":"landline"}`), yes, unknown, yes},
		{"other shapes", answer(`[]`, `"no"`, `7`), unknown, unknown, unknown},
		{"another number's answer", strings.ReplaceAll(answer(`{"last_sim_swap":{"last_sim_swap_date":"2020-04-27T10:18:50Z"}}`, `{"call_forwarding_enabled":false}`, `{"type":"mobile"}`), tn, "+447700900999"), unknown, unknown, unknown},
		{"no JSON", "<html>", unknown, unknown, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, client := start(t)
			s.Lookups[tn] = c.body
			got := ask(t, client, signals.Question{Number: "447700900123"})
			if got["sim_swap"].Value != c.sim || got["diversion"].Value != c.div || got["forwarding"].Value != c.div || got["line_type"].Value != c.line {
				t.Errorf("have %v, want %v %v %v", got, c.sim, c.div, c.line)
			}
			if bad := s.Complaints(); len(bad) != 0 {
				t.Errorf("we broke the contract: %v", bad)
			}
		})
	}
}

// The name is compared by Twilio, only where that was asked for, and only whole
// matches of every name sent are a yes.
func TestNumberMatch(t *testing.T) {
	const tn = "+447700900123"
	for _, c := range []struct {
		first, last, body string
		want              ringfence.Tri
	}{
		{"Ada", "Bell", `{"first_name_match":"exact_match","last_name_match":"high_partial_match","error_code":null}`, ringfence.Yes},
		{"Ada", "", `{"first_name_match":"exact_match","last_name_match":"no_match"}`, ringfence.Yes},
		{"Ada", "Bell", `{"first_name_match":"exact_match","last_name_match":"partial_match"}`, ringfence.Unknown},
		{"Ada", "Bell", `{"first_name_match":"exact_match","last_name_match":null}`, ringfence.Unknown},
		{"Ada", "Bell", `{"first_name_match":"no_match","last_name_match":"no_data_available"}`, ringfence.No},
		{"Ada", "Bell", `{"first_name_match":"no_data_available","last_name_match":"no_match"}`, ringfence.No},
		{"Ada", "Bell", `{"first_name_match":"exact_match","last_name_match":"exact_match","error_code":60617}`, ringfence.Unknown},
		{"Ada", "Bell", `null`, ringfence.Unknown},
	} {
		s, client := start(t)
		s.Lookups[tn] = `{"phone_number":"` + tn + `","identity_match":` + c.body + `}`
		got := ask(t, client, signals.Question{Number: "447700900123", FirstName: c.first, LastName: c.last})
		if got["number_match"].Value != c.want {
			t.Errorf("%s: %v, want %v", c.body, got["number_match"].Value, c.want)
		}
		for _, q := range s.Asked() {
			if q.Has("FirstName") != (q.Get("Fields") == "identity_match") {
				t.Errorf("the name went with %v", q)
			}
		}
		if bad := s.Complaints(); len(bad) != 0 {
			t.Errorf("we broke the contract: %v", bad)
		}
	}
	s, client := start(t)
	s.Lookups[tn] = `{"phone_number":"` + tn + `"}`
	if got := ask(t, client, signals.Question{Number: "447700900123", FirstName: "Ç&Fields=x #?", LastName: "O'Néill / +"}); got["number_match"].Value != ringfence.Unknown {
		t.Error(got)
	}
	if last := s.Asked()[3]; last.Get("FirstName") != "Ç&Fields=x #?" || last.Get("LastName") != "O'Néill / +" || last.Get("Fields") != "identity_match" {
		t.Errorf("escaped wrongly: %v", last)
	}
}

// Whatever goes wrong, nothing is known.
func TestLookupKnowsNothingWhen(t *testing.T) {
	faults := []twiliotest.Fault{twiliotest.FaultServer, twiliotest.FaultReject, twiliotest.FaultBusy, twiliotest.FaultRedirect, twiliotest.FaultCut,
		twiliotest.FaultJunk, twiliotest.FaultHuge}
	check := func(t *testing.T, client *twilio.Client, q signals.Question) {
		for name, g := range ask(t, client, q) {
			if g.Value != ringfence.Unknown || g.Detail == "" || strings.Contains(g.Detail, "4477") {
				t.Errorf("%s is %v (%q)", name, g.Value, g.Detail)
			}
		}
	}
	for _, fault := range faults {
		t.Run(string(fault), func(t *testing.T) {
			s, client := start(t)
			s.Fail(fault)
			check(t, client, signals.Question{Number: "447700900123", FirstName: "Ada"})
		})
	}
	t.Run("slow", func(t *testing.T) {
		s, err := twiliotest.Start("")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		defer s.Release()
		s.Fail(twiliotest.FaultSilent)
		cfg := config(s.URL)
		cfg.Timeout = 50 * time.Millisecond
		client, err := twilio.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		check(t, client, signals.Question{Number: "447700900123", FirstName: "Ada"})
	})
	t.Run("form", func(t *testing.T) {
		s, client := start(t)
		for _, number := range []ringfence.TN{"44/../x", "+447700900123", "0770", "44 7700", "447700900123?Fields=x"} {
			check(t, client, signals.Question{Number: number})
		}
		if n := len(s.Asked()) + len(s.Complaints()); n != 0 {
			t.Errorf("%d requests left", n)
		}
	})
	_, client := start(t)
	if _, err := client.Lookup("pre_fill", 0, time.Now); err == nil {
		t.Error("a package that gives out whose number it is can be asked for")
	}
	for _, q := range []signals.Question{{}, {Account: "12345678", Payee: "Acme"}} {
		if got := ask(t, client, q); len(got) != 0 {
			t.Errorf("%+v: %v", q, got)
		}
	}
	if got := ask(t, client, signals.Question{Number: "442079460000", Landline: true}); len(got) != 3 {
		t.Errorf("a landline: %v", got)
	}
}
