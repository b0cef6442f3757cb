package runner

import (
	"context"
	"strings"

	"github.com/ringfence/ringfence"
)

// browserPlace begins the place of somebody who takes calls in the console.
const browserPlace = "browser:"

// agentHeld puts the caller on hold, or takes them back. A desk phone or a PBX
// has music of its own, or none by choice; for an agent in the console we play
// it.
func (t *traversal) agentHeld(a *agent, ev ringfence.LegEvent) {
	if a != t.agent || a.held == !ev.Whole {
		return
	}
	a.held = !ev.Whole
	if !a.browser() {
		t.attendAgent(MomentHeld)
		return
	}
	if a.held {
		t.note("the agent put the caller on hold", false)
	} else {
		t.note("the agent took the caller back", false)
	}
	if !a.parked { // else a check runs, and what follows it looks again
		t.joinAgent()
	}
	t.attendAgent(MomentHeld)
}

// browser reports whether the agent speaks in the console.
func (a *agent) browser() bool { return strings.HasPrefix(a.place.URI, browserPlace) }

// legHeld notes that the far end of a slot put us on media hold, or took us back.
func (t *traversal) legHeld(s *slot, on bool) {
	s.held = on
	if s.at == 0 && t.agent != nil {
		t.attendAgent(MomentHeld)
	}
}

// holdCaller keeps the caller waiting with music, unheard.
func (t *traversal) holdCaller(s *slot) {
	s.leg.Part()
	s.leg.Stop()
	s.leg.Loop(t.r.cfg.Music)
}

// remind tells a waiting caller again and again that they are not forgotten.
func (t *traversal) remind(ctx context.Context, w *connectWait, q Queue) {
	text := q.Announce[t.language()]
	if text == "" || q.Every <= 0 {
		return
	}
	t.after(q.Every, func() {
		s := t.slots[0]
		if t.waiting != w || s == nil || !s.up {
			return
		}
		u := &utterance{}
		t.render(ctx, u, ringfence.Speech{Language: t.language(), Source: text, Parts: []ringfence.SpeechPart{{Text: text}}}, func() {
			if t.waiting == w && !u.bad && s.up && s.playing == 0 {
				s.leg.Play(u.clip) // the music goes on behind it
			}
		})
		t.remind(ctx, w, q)
	})
}
