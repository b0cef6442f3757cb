package web

import (
	"context"
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
)

type keptSignals struct{ got []SignalReport }

func (k *keptSignals) Observe(_ context.Context, _ ringfence.TenantID, s SignalReport) error {
	k.got = append(k.got, s)
	return nil
}

// TestSignals: only a service account with the scope may score a call, only a
// live one, only under known names and within bounds, and not without end.
func TestSignals(t *testing.T) {
	kept := &keptSignals{}
	d := newDesktop(t, func(c *Config) { c.Signals = kept })
	d.calls.change("trv_1", func(c *ringfence.LiveCall) { c.Reference = "ABCD2345" })
	d.calls.change("trv_2", func(c *ringfence.LiveCall) {}) // has no reference yet
	const path = "/v1/calls/ABCD2345/signals"
	score := func(name, value string, more ...any) map[string]any {
		m := map[string]any{"name": name, "value": value}
		if len(more) > 0 {
			m["score"] = more[0]
		}
		return m
	}
	ears := d.as(ScopeSignals)
	for name, tt := range map[string]struct {
		path string
		body any
		want int
	}{
		"another call":     {"/v1/calls/ABCD2346/signals", score("synthetic_voice", "yes"), 404},
		"no reference":     {"/v1/calls/-/signals", score("synthetic_voice", "yes"), 404},
		"unknown name":     {path, score("pin", "yes"), 422},
		"unknown value":    {path, score("synthetic_voice", "maybe"), 422},
		"score over one":   {path, score("synthetic_voice", "yes", 1.5), 422},
		"score below zero": {path, score("synthetic_voice", "yes", -0.5), 422},
		"nothing":          {path, map[string]any{}, 422},
		"another field":    {path, map[string]any{"name": "synthetic_voice", "value": "yes", "fact": "pin"}, 422},
	} {
		if got := ears(tt.path, tt.body).Code; got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if got := d.as(ScopeTraversals, ScopeEvents)(path, score("synthetic_voice", "yes")).Code; got != 403 {
		t.Errorf("without the scope: %d", got)
	}
	if len(kept.got) != 0 {
		t.Fatalf("kept %+v", kept.got)
	}
	if got := ears(path, score("voice_match", "no", 0.25)).Code; got != 204 {
		t.Fatalf("a score: %d", got)
	}
	if len(kept.got) != 1 || kept.got[0].Client == "" {
		t.Fatalf("kept %+v", kept.got)
	}
	want := SignalReport{Traversal: "trv_1", Client: kept.got[0].Client, Name: "voice_match", Value: ringfence.No, Score: 0.25}
	if kept.got[0] != want {
		t.Errorf("kept %+v, want %+v", kept.got[0], want)
	}
	var codes []int
	for range 60 {
		codes = append(codes, ears(path, score("synthetic_voice", "unknown")).Code)
	}
	if !slices.Contains(codes, 429) {
		t.Error("a service may say as much as it likes")
	}
}
