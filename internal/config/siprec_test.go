package config

import (
	"errors"
	"strings"
	"testing"
)

func TestRecordersNeedATrunkAndLinesThatTellCallers(t *testing.T) {
	for name, tt := range map[string]struct {
		have Recorder
		want string
	}{
		"good":                 {Recorder{Name: "srs", Trunk: "rec", Lines: []string{"told"}}, ""},
		"by its flow":          {Recorder{Name: "srs", Trunk: "rec", Lines: []string{"flow"}}, ""},
		"nothing":              {Recorder{}, "a recorder needs a name"},
		"no lines":             {Recorder{Name: "srs", Trunk: "rec"}, "a recorder needs a name"},
		"no such trunk":        {Recorder{Name: "srs", Trunk: "x", Lines: []string{"told"}}, "there is no trunk"},
		"trunk only inbound":   {Recorder{Name: "srs", Trunk: "in", Lines: []string{"told"}}, "needs outbound"},
		"delayed offer":        {Recorder{Name: "srs", Trunk: "late", Lines: []string{"told"}}, "no delayed_offer"},
		"no such line":         {Recorder{Name: "srs", Trunk: "rec", Lines: []string{"x"}}, "there is no line"},
		"callers are not told": {Recorder{Name: "srs", Trunk: "rec", Lines: []string{"quiet"}}, "write what callers are told"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Lines: []Line{{Name: "told", Record: LineRecord{Notice: "This call is recorded."}}, {Name: "flow", Record: LineRecord{Consent: "flow"}}, {Name: "quiet"}}}
			addrs := []string{"192.0.2.1"}
			c.SIP.Trunks = []Trunk{{Name: "rec", Outbound: true, Addrs: addrs}, {Name: "in", Addrs: addrs}, {Name: "late", Outbound: true, Addrs: addrs, TrunkPeer: TrunkPeer{Delayed: true}}}
			c.Media.Recorders = []Recorder{tt.have}
			var p problems
			c.checkRecorders(&p)
			if err := errors.Join(p.all...); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
