package gate

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// A good sign is good for ten minutes, a bad one for ever; two answers under
// one name are worth what the worse one is.
func TestSignalsAreAsGoodAsTheyAreYoung(t *testing.T) {
	now := epoch
	at := func(name string, v ringfence.Tri, ago time.Duration) ringfence.Signal {
		return ringfence.Signal{Name: name, Value: v, Source: "s", At: now.Add(-ago)}
	}
	const yes, no, unknown = ringfence.Yes, ringfence.No, ringfence.Unknown
	for name, c := range map[string]struct {
		have []ringfence.Signal
		want ringfence.Tri
	}{
		"sim_swap":        {[]ringfence.Signal{at("sim_swap", no, time.Minute)}, no},
		"diversion":       {[]ringfence.Signal{at("diversion", no, 11*time.Minute)}, unknown},
		"prepaid":         {[]ringfence.Signal{at("prepaid", yes, 48*time.Hour)}, yes},
		"name_check":      {[]ringfence.Signal{at("name_check", yes, 11*time.Minute)}, unknown},
		"line_type":       {[]ringfence.Signal{at("line_type", no, 48*time.Hour)}, no},
		"number_match":    {[]ringfence.Signal{at("number_match", yes, -time.Hour)}, unknown},
		"forwarding":      {[]ringfence.Signal{{Name: "forwarding", Value: no}}, unknown},
		"voice_match":     {[]ringfence.Signal{at("voice_match", yes, 0), at("voice_match", no, 0)}, no},
		"synthetic_voice": {[]ringfence.Signal{at("synthetic_voice", no, 0), at("synthetic_voice", unknown, 0)}, unknown},
		"velocity":        {nil, unknown},
	} {
		tn := &turn{r: &row{}, now: now, signals: c.have}
		if got := tn.mergeSignals()[name]; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Who said what and when stands with the release, in its risks and in the entry
// of the move that relied on it.
func TestProvenanceOfSignals(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	_, v, err := w.g.Evaluate(context.Background(), ten, r.ID)
	if err != nil || len(r.Signals) != 2 || r.Signals[0].Source != "test" || r.Signals[0].At.IsZero() {
		t.Errorf("kept %+v (%v)", r.Signals, err)
	}
	for _, risk := range v.Risks {
		if _, line := lineSigns[risk.Name]; line && (risk.Source != "test" || risk.At != w.now) {
			t.Errorf("%+v", risk)
		}
	}
	w.prove(r, "passkey", "callback", "confirmed")
	w.released(r.ID)
	told := 0
	for _, e := range w.store.Entries(ten) {
		if e.Event == "release.cooling" && strings.Contains(e.Data["signals"], "sim_swap=no (test, ") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d entries tell of it", told)
	}
	tn := &turn{r: &row{}, now: w.now, signals: []ringfence.Signal{{Name: "name_check", Detail: "close", Source: "bank", At: w.now}}}
	risks := tn.told(tn.mergeSignals())
	if len(risks) != 3 || risks[1].Says != closeName || risks[1].Source != "bank" {
		t.Errorf("told %+v", risks)
	}
}
