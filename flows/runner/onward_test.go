package runner

import (
	"context"
	"testing"
)

// An agent's leg shows the number and the result of its check, never for a
// caller who asked not to be shown; it is signed only where the trunk asks.
func TestAgentLegSaysNoMoreThanTheCaller(t *testing.T) {
	for _, c := range []struct {
		name, number  string
		sign          bool
		from, verstat string
		signed        int
	}{
		{"withheld", "withheld", true, "anonymous", "", 0},
		{"shown", "yes", false, "447700900999", "No-TN-Validation", 0},
		{"shown, on a trunk that wants it signed", "yes", true, "447700900999", "No-TN-Validation", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.caller.Number, w.caller.Verstat = c.number, "No-TN-Validation"
				w.r.cfg.SignOn = func(_ context.Context, call Onward) []string {
					return []string{string(call.Orig) + " to " + call.Called + " at " + call.To}
				}
				w.phones["sip:desk@pbx"] = "busy"
				w.queues["payments_clerk"] = Queue{URI: "sip:desk@pbx", Sign: c.sign}
				caller := w.call("accounts-line")
				p := w.placed().p
				if p.From != c.from || p.Verstat != c.verstat || len(p.Identity) != c.signed {
					t.Errorf("placed %+v", p)
				}
				if c.signed == 1 && p.Identity[0] != "447700900999 to accounts-line at sip:desk@pbx" {
					t.Errorf("signed %q", p.Identity)
				}
				caller.gone()
				w.ended()
			})
		})
	}
}
