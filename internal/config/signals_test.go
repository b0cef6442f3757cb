package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSignalsRefuse(t *testing.T) {
	good := SignalService{Name: "bank", URL: "https://bank.example", Secret: NewSecret("whsec_x"), Answers: []string{"name_check"}}
	with := func(change func(*SignalService)) Signals {
		s := good
		change(&s)
		return Signals{Services: []SignalService{s}}
	}
	for name, tt := range map[string]struct {
		have Signals
		want string
	}{
		"nothing":           {Signals{}, ""},
		"all well":          {Signals{Services: []SignalService{good}, Timeout: time.Second, Keep: time.Minute, PerMinute: 10}, ""},
		"no lookup":         {Signals{Lookup: []string{"none"}}, ""},
		"a package":         {Signals{Lookup: []string{"pre_fill"}}, "no package"},
		"none and one":      {Signals{Lookup: []string{"none", "sim_swap"}}, "no package"},
		"nobody to ask":     {Signals{Lookup: []string{"sim_swap"}}, "deliver.twilio"},
		"a long time-out":   {Signals{Timeout: time.Minute}, "at most 10s"},
		"an old answer":     {Signals{Keep: time.Hour}, "at most 5m"},
		"no end":            {Signals{PerMinute: -1}, "per_minute"},
		"in clear":          {with(func(s *SignalService) { s.URL = "http://bank.example" }), "https address"},
		"nobody":            {with(func(s *SignalService) { s.Name = "" }), "all needed"},
		"no secret":         {with(func(s *SignalService) { s.Secret = Secret{} }), "all needed"},
		"a proof as answer": {with(func(s *SignalService) { s.Answers = []string{"pin"} }), "no signal"},
		"twice":             {Signals{Services: []SignalService{good, good}}, "twice"},
	} {
		var p problems
		c := Config{Verify: Verify{Signals: tt.have}}
		c.checkSignals(&p)
		err := errors.Join(p.all...)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if got := (Signals{}).Packages(); slices.Contains(got, "identity_match") {
		t.Errorf("names are sent to a provider unasked: %v", got)
	}
}
