package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// An action that an agent opens, tries to release, has proved and ends about
// somebody who is not on file shows in their console, and is heard by the
// caller, like one about somebody who is and fails to prove anything
// (invariant 23). The gate is never told of it.
func TestAnAgentsActionAboutNobody(t *testing.T) {
	play := func(number string, known bool) (seen string) {
		inWorld(t, func(w *world) {
			ctx := context.Background()
			caller, agent, v := w.talking()
			if err := w.r.Identify(ctx, w.act(v), "customer", "account", number); err != nil {
				t.Fatal(err)
			}
			v = w.live()
			q := gate.OpenRequest{Type: "bank_change", Subject: v.Subject, Fields: map[string]string{"new_account": "12345678"}, Traversal: v.Traversal,
				By: gate.Actor{Person: v.Owner}, AskedBy: gate.AskedPhone, Key: gate.Key{Client: string(v.Owner), Operation: "open", Value: "once-and-again"}}
			var rel gate.Release
			var verdict gate.Verdict
			open := func() {
				var err error
				if known {
					rel, verdict, err = w.gate.Open(ctx, ten, q)
				} else {
					rel, verdict, err = w.r.Pretend(ctx, w.act(v), q)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			open()
			first := rel.ID
			if open(); rel.ID != first {
				t.Error("the same key opened another action")
			}
			v = w.until("shown", func(v ringfence.LiveCall) bool { return len(v.Releases) == 1 })
			told := []string{verdict.Decision.String(), verdict.Next, string(rel.State), rel.Class.String(), fmt.Sprint(verdict.Missing)}
			if err := w.r.StepUp(ctx, w.act(v), "step-up-code", rel.ID); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				caller.hears("telephone PIN")
				caller.keys("000000#")
			}
			v = w.back()
			if known {
				if _, err := w.gate.Cancel(ctx, ten, rel.ID, gate.Actor{Person: v.Owner}, "a mistake"); err != nil {
					t.Fatal(err)
				}
			} else if _, _, err := w.r.Pretended(ctx, w.act(v), rel.ID, gate.StateCancelled); err != nil {
				t.Fatal(err)
			}
			v = w.until("cancelled", func(v ringfence.LiveCall) bool { return v.Releases[0].State == string(gate.StateCancelled) })
			r := v.Releases[0]
			told = append(told, v.Claim, v.Outcome, r.Type, r.State, r.Says, r.Decision, fmt.Sprint(r.Fields, r.Class, r.Missing, r.Risks))
			for _, e := range v.Timeline {
				told = append(told, e.Text)
			}
			seen = strings.Join(append(told, caller.texts...), "\n")
			if !known {
				w.knowsNothing(rel.ID)
				other := w.act(v)
				other.By = "per_other"
				if _, _, err := w.r.Pretended(ctx, other, rel.ID, ""); !errors.Is(err, ErrNoCall) {
					t.Errorf("somebody else reads it: %v", err)
				}
				if _, _, err := w.r.Pretend(ctx, w.act(v), gate.OpenRequest{Type: "bank_change", Subject: "sub_other", By: q.By}); !errors.Is(err, ErrNoCall) {
					t.Errorf("made up about another than the caller: %v", err)
				}
			}
			agent.end(ringfence.EndBye)
			caller.gone()
			w.ended()
		})
		return seen
	}
	somebody, nobody := play(account, true), play("99999999", false)
	if somebody != nobody {
		t.Errorf("about somebody:\n%s\nabout nobody:\n%s", somebody, nobody)
	}
}

func (w *world) knowsNothing(id ringfence.ReleaseID) {
	w.t.Helper()
	if _, err := w.gate.Lookup(context.Background(), ten, id); !errors.Is(err, gate.ErrNotFound) {
		w.t.Errorf("the gate knows of it: %v", err)
	}
	if slices.ContainsFunc(w.Events(), func(e ledger.Event) bool { return strings.HasPrefix(string(e), "release.") }) {
		w.t.Error("the log has a release of nobody")
	}
}
