package web

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// floorView is what stands around a person's own calls: whether they take
// calls now, whose calls ring at their telephone, and who waits in the queues.
// Of a call that nobody has answered it shows what the telephone would show,
// and nothing about a subject.
type floorView struct {
	State   string       `json:"state"` // ready, busy, away
	Away    bool         `json:"away"`  // also while busy: no more calls after this one
	Ringing []ringing    `json:"ringing"`
	Queues  []queueState `json:"queues"`
}

// ringing is a call that rings at the reader's telephone.
type ringing struct {
	Reference  string           `json:"reference"`
	Caller     string           `json:"caller"`
	CallerName string           `json:"caller_name,omitempty"`
	Attest     ringfence.Attest `json:"attest"`
	StirOK     ringfence.Tri    `json:"stir"`
	Queue      string           `json:"queue,omitempty"`
	Began      time.Time        `json:"began"`
	// Handed is set for a call that a colleague hands over.
	Handed bool `json:"handed,omitempty"`
}

// queueState is a queue in which somebody waits.
type queueState struct {
	Name    string    `json:"name"`
	Waiting int       `json:"waiting"`
	Since   time.Time `json:"since,omitzero"` // when the one who waits longest came
}

// around is what a board knows of a tenant beside the calls themselves.
type around struct {
	busy   map[ringfence.PersonID]bool
	rings  map[ringfence.PersonID][]ringing
	queues []queueState
}

// aroundOf reads it from the live calls, once for every console.
func aroundOf(calls []*liveCall) around {
	f := around{busy: map[ringfence.PersonID]bool{}, rings: map[ringfence.PersonID][]ringing{}, queues: []queueState{}}
	for _, c := range calls {
		if c.Owner != "" && onTheLine[c.State] {
			f.busy[c.Owner] = true
		}
		for _, who := range c.Ringing {
			f.rings[who] = append(f.rings[who], ringing{Reference: c.Reference, Caller: plain(c.Caller), CallerName: plain(c.CallerName), Attest: c.Attest,
				StirOK: c.StirOK, Queue: c.Queue, Began: c.Began, Handed: c.Owner != ""})
		}
		if c.State == "queued" && c.Queue != "" {
			f.wait(c.Queue, c.Since)
		}
	}
	slices.SortFunc(f.queues, func(a, b queueState) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func (f *around) wait(queue string, since time.Time) {
	i := slices.IndexFunc(f.queues, func(q queueState) bool { return q.Name == queue })
	if i < 0 {
		f.queues = append(f.queues, queueState{Name: queue, Waiting: 1, Since: since})
		return
	}
	q := &f.queues[i]
	if q.Waiting++; since.Before(q.Since) {
		q.Since = since
	}
}

// takesCalls reports whether the person may have calls of their own.
func (p principal) takesCalls() bool {
	return p.has(ringfence.RoleAgent) || p.has(ringfence.RoleSupervisor)
}

// sendFloor writes the floor of a reading if it is not what was sent before, and
// returns what was sent.
func (s *Server) sendFloor(out *stream, p principal, b *board, before []byte) []byte {
	if !p.takesCalls() {
		return before
	}
	f := b.around
	v := floorView{State: "ready", Away: s.present.isAway(p.tenant, p.person.ID), Ringing: append([]ringing{}, f.rings[p.person.ID]...), Queues: f.queues}
	switch {
	case f.busy[p.person.ID]:
		v.State = "busy"
	case v.Away:
		v.State = "away"
	}
	now, _ := json.Marshal(v) // strings, times and numbers always marshal
	if string(now) == string(before) {
		return before
	}
	out.event("floor", "", now)
	return now
}
