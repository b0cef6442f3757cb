package main

import (
	"testing"

	"github.com/ringfence/ringfence/internal/config"
)

// Call-backs go to a carrier, wherever the trunk of a recorder stands.
func TestARecordersTrunkRingsNobodyBack(t *testing.T) {
	recorder := config.Trunk{Name: "recorder", Outbound: true}
	carrier := config.Trunk{Name: "carrier", Outbound: true, From: "442079460000"}
	in := config.Trunk{Name: "in"}
	for name, tt := range map[string]struct {
		trunks []config.Trunk
		want   string
	}{
		"nothing goes out":   {[]config.Trunk{in}, ""},
		"recorder first":     {[]config.Trunk{in, recorder, carrier}, "carrier"},
		"carrier first":      {[]config.Trunk{carrier, recorder}, "carrier"},
		"one trunk for both": {[]config.Trunk{in, recorder}, "recorder"},
		"the first of two":   {[]config.Trunk{carrier, {Name: "other", Outbound: true}}, "carrier"},
	} {
		r := &routing{}
		r.cfg.SIP.Trunks, r.cfg.Media.Recorders = tt.trunks, []config.Recorder{{Name: "archive", Trunk: "recorder"}}
		if got, _ := r.Outbound("acme"); got != tt.want {
			t.Errorf("%s: by %q, want %q", name, got, tt.want)
		}
	}
}
