package web

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// presenceGrace is how long a person counts as there after their last stream
// ended: long enough for a lost network or a restarted browser tab.
const presenceGrace = 10 * time.Second

// Presence is whether a person takes calls now. It is lost at a restart, and
// comes back as the consoles do.
type Presence struct {
	Person ringfence.PersonID `json:"person"`
	Name   string             `json:"name,omitempty"`
	// State is ready, busy (on a call) or away.
	State string    `json:"state" enum:"ready,busy,away"`
	Since time.Time `json:"since"`
}

// presence knows who has a live console, and who of them went away from it.
// The zero value is ready.
type presence struct {
	mu  sync.Mutex
	all map[ringfence.TenantID]map[ringfence.PersonID]*present // guarded by mu
}

type present struct {
	streams int
	left    time.Time // when the last stream ended
	away    bool
	since   time.Time // of the last change, or of the end of the last call
}

// come notes a stream of a person and returns what notes its end.
func (ps *presence) come(tenant ringfence.TenantID, id ringfence.PersonID) (leave func()) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		ps.all = map[ringfence.TenantID]map[ringfence.PersonID]*present{}
	}
	if ps.all[tenant] == nil {
		ps.all[tenant] = map[ringfence.PersonID]*present{}
	}
	one := ps.all[tenant][id]
	if one == nil || one.gone(time.Now()) {
		one = &present{since: time.Now()}
		ps.all[tenant][id] = one
	}
	one.streams++
	return func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		one.streams--
		one.left = time.Now()
	}
}

func (p *present) gone(now time.Time) bool { return p.streams == 0 && now.Sub(p.left) > presenceGrace }

// set makes a person ready or away; without a console they are neither.
func (ps *presence) set(tenant ringfence.TenantID, id ringfence.PersonID, away bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if one := ps.all[tenant][id]; one != nil && one.away != away {
		one.away, one.since = away, time.Now()
	}
}

// isAway reports whether the person said so on a console that is still there.
func (ps *presence) isAway(tenant ringfence.TenantID, id ringfence.PersonID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	one := ps.all[tenant][id]
	return one != nil && one.away
}

// onTheLine are the states of a call in which its owner's telephone is taken.
// While the caller is called back, or waits to be put through again, it is
// free: the call comes back to it.
var onTheLine = map[string]bool{"talking": true, "step_up": true, "ringing": true}

// Present lists who has a live console, the longest idle first. Whoever owns a
// live call is busy. cmd builds the queues of people from those that are ready.
func (s *Server) Present(tenant ringfence.TenantID) []Presence {
	busy := map[ringfence.PersonID]bool{}
	for _, c := range s.cfg.Calls.Live(tenant) {
		if onTheLine[c.State] {
			busy[c.Owner] = true
		}
	}
	s.present.mu.Lock()
	defer s.present.mu.Unlock()
	var out []Presence
	now := time.Now()
	for id, one := range s.present.all[tenant] {
		if one.gone(now) {
			delete(s.present.all[tenant], id)
			continue
		}
		p := Presence{Person: id, State: "ready", Since: one.since}
		switch {
		case busy[id]:
			one.since = now // idle from the end of the call on
			p.State, p.Since = "busy", now
		case one.away:
			p.State = "away"
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Presence) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Person, b.Person))
	})
	return out
}

type (
	presenceIn struct {
		Body struct {
			State string `json:"state" enum:"ready,away"`
		}
	}
	presenceOut struct {
		Body struct {
			People []Presence `json:"people"`
		}
	}
)

func (s *Server) presenceAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/presence", Summary: "Take calls, or be away", DefaultStatus: 204},
		func(ctx context.Context, in *presenceIn) (*nothing, error) {
			p := who(ctx)
			s.present.set(p.tenant, p.person.ID, in.Body.State == "away")
			return nil, nil
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/presence", Summary: "Who has a live console, the longest idle first"},
		func(ctx context.Context, _ *struct{}) (*presenceOut, error) {
			p, out := who(ctx), &presenceOut{}
			out.Body.People = append([]Presence{}, s.Present(p.tenant)...)
			return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
				for i := range out.Body.People {
					one, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(out.Body.People[i].Person))
					if err != nil {
						return err
					}
					out.Body.People[i].Name = one.Name
				}
				return nil
			})
		})
}
