package runner

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/ringfence/ringfence"
)

// attending gathers what those who attend calls are told.
func (w *world) attending() func() []Moment {
	var mu sync.Mutex
	var all []Moment
	w.r.cfg.Attend = func(m Moment) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
	}
	return func() []Moment {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

const thisIsRecorded = "This call is recorded."

func (w *world) recorded(flow string, decline byte) {
	l := w.lines[flow]
	l.Notice, l.Decline = thisIsRecorded, decline
	w.lines[flow] = l
}

// The notice comes before anything of the flow, and consent is its whole
// hearing without a no.
func TestTheNoticeComesFirst(t *testing.T) {
	for _, tt := range []struct {
		name      string
		keys      string
		broken    bool
		consented bool
	}{
		{"heard", "", false, true},
		{"declined", "9", false, false},
		{"another key", "5", false, true},
		{"cannot be spoken", "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				told := w.attending()
				w.recorded("accounts-line", '9')
				if tt.broken {
					w.voice.fail = func(text string) bool { return text == thisIsRecorded }
				}
				caller := w.call("accounts-line")
				w.until("live", func(ringfence.LiveCall) bool { return true })
				caller.keys(tt.keys)
				if !tt.broken {
					if text := caller.hears(""); text != thisIsRecorded {
						t.Errorf("heard %q first", text)
					}
				}
				agent := w.placed()
				w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
				caller.end(ringfence.EndBye)
				agent.gone()
				w.ended()
				var kinds []MomentKind
				for _, m := range told() {
					kinds = append(kinds, m.Kind)
					if m.Consented != tt.consented || m.Traversal == "" || m.Tenant != ten || m.Line.Name != "accounts-line" {
						t.Errorf("told %+v", m)
					}
					if m.Kind == MomentJoined && (m.Agent == nil || m.Person != ada || m.Caller.ID() != caller.id) {
						t.Errorf("joined: %+v", m)
					}
				}
				if !slices.Equal(kinds, []MomentKind{MomentAnswered, MomentJoined, MomentEnded}) {
					t.Errorf("told %v", kinds)
				}
			})
		})
	}
}

func TestWithoutANoticeNobodyConsented(t *testing.T) {
	inWorld(t, func(w *world) {
		told := w.attending()
		caller, agent, _ := w.talking()
		caller.end(ringfence.EndBye)
		agent.gone()
		w.ended()
		for _, m := range told() {
			if m.Consented {
				t.Errorf("told %+v", m)
			}
		}
	})
}

func TestACallerWhoHangsUpDuringTheNotice(t *testing.T) {
	inWorld(t, func(w *world) {
		told := w.attending()
		w.recorded("accounts-line", 0)
		caller := w.call("accounts-line")
		w.until("live", func(ringfence.LiveCall) bool { return true })
		caller.end(ringfence.EndBye)
		w.ended()
		for _, m := range told() {
			if m.Kind != MomentEnded || m.Consented {
				t.Errorf("told %+v", m)
			}
		}
	})
}

func TestOnlyASupervisorFindsTheEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		caller, agent, v := w.talking()
		sup := Act{Tenant: ten, By: manager, Traversal: v.Traversal, Supervisor: true}
		for name, who := range map[string]Act{"no supervisor": {Tenant: ten, By: manager, Traversal: v.Traversal}, "the owner": {Tenant: ten, By: ada, Traversal: v.Traversal, Supervisor: true},
			"another tenant": {Tenant: "ten_x", By: manager, Traversal: v.Traversal, Supervisor: true}} {
			if e, err := w.r.Ends(ctx, who); err != ErrNoCall || e != (Ends{}) {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
		if err := w.r.Attended(ctx, Act{Tenant: ten, By: manager, Traversal: v.Traversal}, "listen", true); err != ErrNoCall {
			t.Errorf("attended without the role: %v", err)
		}
		e, err := w.r.Ends(ctx, sup)
		if err != nil || e.Caller != caller.id || e.Agent != agent.id || e.Owner != ada {
			t.Errorf("have %+v, %v", e, err)
		}
		if err := w.r.Attended(ctx, sup, "listen", false); err != nil || w.live().Supervised != "" {
			t.Errorf("the agent sees a silent listener: %v", err)
		}
		if err := w.r.Attended(ctx, sup, "barge", true); err != nil || w.live().Supervised != "barge" {
			t.Errorf("the agent does not see: %v", err)
		}
		if err := w.r.Attended(ctx, sup, "left", true); err != nil || w.live().Supervised != "" {
			t.Errorf("the supervisor never left: %v", err)
		}
		n := 0
		for _, entry := range w.Store.Entries(ten) {
			if entry.Event == "traversal.supervised" && entry.Person == manager {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d entries, want 3", n)
		}
		agent.end(ringfence.EndBye)
		caller.gone()
		w.ended()
		if _, err := w.r.Ends(ctx, sup); err != ErrNoCall {
			t.Errorf("the ends of a call that is over: %v", err)
		}
	})
}
