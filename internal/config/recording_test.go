package config

import (
	"strings"
	"testing"
)

func TestRecordingIsOffAndRefusesWhatIsUnclear(t *testing.T) {
	if Default().Media.Recording.Retention()["standard"].Hours() != 90*24 {
		t.Error("the standard class is not 90 days")
	}
	for _, tt := range []struct {
		name string
		rec  LineRecord
		want string
	}{
		{"off says nothing", LineRecord{Notice: "x", Class: "nowhere"}, ""},
		{"no notice", LineRecord{On: true}, "write what callers are told"},
		{"a blank notice", LineRecord{On: true, Notice: "  "}, "write what callers are told"},
		{"the flow tells", LineRecord{On: true, Consent: "flow"}, ""},
		{"a notice", LineRecord{On: true, Notice: "We record.", Decline: "9", From: "agent"}, ""},
		{"no such class", LineRecord{On: true, Notice: "We record.", Class: "forever"}, "no class \"forever\""},
		{"two keys", LineRecord{On: true, Notice: "We record.", Decline: "99"}, "want one key"},
		{"no key", LineRecord{On: true, Notice: "We record.", Decline: "x"}, "want one key"},
		{"no such beginning", LineRecord{On: true, Notice: "We record.", From: "never"}, "answer or agent"},
		{"no such consent", LineRecord{On: true, Notice: "We record.", Consent: "silence"}, "notice or flow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			c.Lines = []Line{{Name: "a", Numbers: []string{"1"}, Flow: "f", Record: tt.rec}}
			err := c.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("have %v, want %q", err, tt.want)
			}
		})
	}
	c := Default()
	c.SIP.Emergency.Numbers = []string{"999"}
	c.Lines = []Line{{Name: "a", Numbers: []string{"999"}, Flow: "f", Record: LineRecord{On: true, Notice: "We record."}}}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "never recorded") {
		t.Errorf("an emergency number is recorded: %v", err)
	}
	c = Default()
	c.Media.Recording.RetentionDays = map[string]int{"standard": 0}
	if err := c.Check(); err == nil {
		t.Error("kept for no day")
	}
}
