package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// Softphones is how people take calls in their browsers. The telephone edge
// implements it through cmd. A call of another person is none: ErrNoCall.
type Softphones interface {
	// Calls lists the calls that ring or talk in a person's browser.
	Calls(ringfence.TenantID, ringfence.PersonID) []PhoneCall
	// Changed returns a channel that is closed when Calls of anybody may have
	// changed.
	Changed() <-chan struct{}
	// Link answers a browser's offer (SDP) for a call; the media that comes up
	// answers the call or goes on with it. ErrBadOffer refuses the offer.
	Link(tenant ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID, offer string) (answer string, err error)
	// HangUp ends a call, or declines one that rings.
	HangUp(ringfence.TenantID, ringfence.PersonID, ringfence.LegID) error
	// Hold puts the caller on hold, or takes them back.
	Hold(tenant ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID, on bool) error
}

// ErrBadOffer: the browser's description cannot be answered.
var ErrBadOffer = errors.New("web: the browser's offer cannot be answered")

// PhoneCall is a call in a person's browser.
type PhoneCall struct {
	Leg       ringfence.LegID `json:"leg"`
	From      string          `json:"from" doc:"the number shown; empty = withheld"`
	Reference string          `json:"reference,omitempty" doc:"of the call that it belongs to"`
	Live      bool            `json:"live" doc:"it was answered; until then it rings"`
	Linked    bool            `json:"linked" doc:"a browser is connected to it"`
	Held      bool            `json:"held"`
	Since     time.Time       `json:"since"`
}

// phones knows in which web session each person's softphone is on: in one at
// most. It is lost at a restart, and comes back as the consoles do.
type phones struct {
	mu   sync.Mutex
	all  map[phoneKey]*heldPhone // guarded by mu
	bell chan struct{}           // closed at a change; guarded by mu
}

type phoneKey struct {
	tenant ringfence.TenantID
	person ringfence.PersonID
}

// heldPhone is one person's softphone.
type heldPhone struct {
	session string         // in which it is on; empty = off
	streams map[string]int // live streams of the person, by session
	left    time.Time      // when the last stream of the session ended
}

// alive reports whether the browser with the softphone is there.
func (h *heldPhone) alive(now time.Time) bool {
	return h.session != "" && (h.streams[h.session] > 0 || now.Sub(h.left) <= presenceGrace)
}

func (ps *phones) atLocked(k phoneKey) *heldPhone {
	if ps.all == nil {
		ps.all = map[phoneKey]*heldPhone{}
	}
	if ps.all[k] == nil {
		ps.all[k] = &heldPhone{streams: map[string]int{}}
	}
	return ps.all[k]
}

func (ps *phones) ringLocked() {
	if ps.bell != nil {
		close(ps.bell)
		ps.bell = nil
	}
}

// changed returns a channel that is closed when a softphone was switched.
func (ps *phones) changed() <-chan struct{} {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.bell == nil {
		ps.bell = make(chan struct{})
	}
	return ps.bell
}

// come notes a stream of a session and returns what notes its end.
func (ps *phones) come(k phoneKey, session string) (leave func()) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.atLocked(k).streams[session]++
	return func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		one := ps.atLocked(k)
		if one.streams[session]--; one.streams[session] == 0 {
			delete(one.streams, session)
		}
		if one.session == session {
			one.left = time.Now()
		}
		if len(one.streams) == 0 && one.session == "" {
			delete(ps.all, k)
		}
	}
}

// The places of a softphone as one web session sees it.
const (
	phoneOff       = "off"
	phoneHere      = "here"
	phoneElsewhere = "elsewhere"
)

// drop turns a person's softphone off, wherever it is on.
func (ps *phones) drop(k phoneKey) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if one := ps.all[k]; one != nil {
		one.session = ""
		ps.ringLocked()
	}
}

// state tells a session where its person's softphone is.
func (ps *phones) state(k phoneKey, session string, now time.Time) string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch one := ps.all[k]; {
	case one == nil || !one.alive(now):
		return phoneOff
	case one.session == session:
		return phoneHere
	default:
		return phoneElsewhere
	}
}

// set switches a person's softphone on or off in a session. It reports false
// when it is on in another one and take is not said.
func (ps *phones) set(k phoneKey, session string, on, take bool, now time.Time) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	one := ps.atLocked(k)
	other := one.session != session && one.alive(now)
	switch {
	case on && other && !take:
		return false
	case on:
		one.session, one.left = session, now
	case one.session == session:
		one.session = ""
	}
	ps.ringLocked()
	return true
}

// Reachable reports whether a person's softphone is on in a browser that is
// there. cmd rings those only.
func (s *Server) Reachable(tenant ringfence.TenantID, id ringfence.PersonID) bool {
	return s.cfg.Softphones != nil && s.phones.state(phoneKey{tenant, id}, "", time.Now()) == phoneElsewhere
}

// phoneView is what a console is told about its person's softphone.
type phoneView struct {
	State string      `json:"state" enum:"off,here,elsewhere"`
	Calls []PhoneCall `json:"calls"`
}

// phoneOf returns the view of one session; its calls are shown only where the
// softphone is on, and where it could be.
func (s *Server) phoneOf(p principal) phoneView {
	v := phoneView{State: s.phones.state(phoneKey{p.tenant, p.person.ID}, p.session.ID, time.Now()), Calls: []PhoneCall{}}
	if v.State == phoneElsewhere {
		return v
	}
	for _, c := range s.cfg.Softphones.Calls(p.tenant, p.person.ID) {
		c.From = plain(c.From)
		v.Calls = append(v.Calls, c)
	}
	return v
}

// hasPhone reports whether the principal can have a softphone.
func (s *Server) hasPhone(p principal) bool {
	return s.cfg.Softphones != nil && (p.has(ringfence.RoleAgent) || p.has(ringfence.RoleSupervisor))
}

// sendPhone writes the view if it is another one than was sent last.
func (s *Server) sendPhone(out *stream, p principal, last []byte) []byte {
	if !s.hasPhone(p) {
		return last
	}
	text, _ := json.Marshal(s.phoneOf(p)) // strings, times and booleans always marshal
	if bytes.Equal(text, last) {
		return last
	}
	out.event("phone", "", text)
	return text
}

// phoneChanged returns what wakes a stream when a softphone changes; nil
// channels, which never do, without softphones.
func (s *Server) phoneChanged() (calls, places <-chan struct{}) {
	if s.cfg.Softphones == nil {
		return nil, nil
	}
	return s.cfg.Softphones.Changed(), s.phones.changed()
}

type (
	phoneIn struct {
		Body struct {
			On   bool `json:"on"`
			Take bool `json:"take,omitempty" doc:"also when it is on in another browser"`
		}
	}
	phoneLinkIn struct {
		Leg  ringfence.LegID `path:"leg" maxLength:"40"`
		Body struct {
			Offer string `json:"offer" minLength:"1" maxLength:"16384" doc:"SDP of one audio line, from RTCPeerConnection.createOffer"`
		}
	}
	phoneLinkOut struct {
		Body struct {
			Answer string `json:"answer" doc:"SDP for RTCPeerConnection.setRemoteDescription"`
		}
	}
	phoneHoldIn struct {
		Leg  ringfence.LegID `path:"leg" maxLength:"40"`
		Body struct {
			On bool `json:"on"`
		}
	}
	phoneLegIn struct {
		Leg ringfence.LegID `path:"leg" maxLength:"40"`
	}
)

// phoneHere refuses whoever has no softphone in this very session.
func (s *Server) phoneHere(ctx context.Context) (principal, error) {
	p := who(ctx)
	if !s.hasPhone(p) {
		return p, ErrNoCall
	}
	switch s.phones.state(phoneKey{p.tenant, p.person.ID}, p.session.ID, time.Now()) {
	case phoneHere:
		return p, nil
	case phoneElsewhere:
		return p, problem.New(problem.Conflict, "Your phone is on in another browser. Take it over first.")
	default:
		return p, problem.New(problem.Conflict, "Your phone is off. Turn it on first.")
	}
}

func (s *Server) softphoneAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/softphone", Summary: "Turn the phone of this browser on or off", DefaultStatus: 204},
		func(ctx context.Context, in *phoneIn) (*nothing, error) {
			p := who(ctx)
			if !s.hasPhone(p) {
				return nil, ErrNoCall
			}
			if !s.phones.set(phoneKey{p.tenant, p.person.ID}, p.session.ID, in.Body.On, in.Body.Take, time.Now()) {
				return nil, problem.New(problem.Conflict, "Your phone is on in another browser. Take it over first.")
			}
			return nil, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/softphone/calls/{leg}/link", Summary: "Answer a call in this browser, or go on with it"},
		func(ctx context.Context, in *phoneLinkIn) (*phoneLinkOut, error) {
			p, err := s.phoneHere(ctx)
			if err != nil {
				return nil, err
			}
			out := &phoneLinkOut{}
			out.Body.Answer, err = s.cfg.Softphones.Link(p.tenant, p.person.ID, in.Leg, in.Body.Offer)
			if errors.Is(err, ErrBadOffer) {
				return nil, problem.New(problem.Unprocessable, "This browser's audio cannot be used: it must offer one audio line with PCMU or PCMA over DTLS-SRTP.")
			}
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/softphone/calls/{leg}/hang-up", Summary: "End a call in this browser, or decline it", DefaultStatus: 204},
		func(ctx context.Context, in *phoneLegIn) (*nothing, error) {
			p, err := s.phoneHere(ctx)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Softphones.HangUp(p.tenant, p.person.ID, in.Leg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/softphone/calls/{leg}/hold", Summary: "Put the caller on hold, or take them back", DefaultStatus: 204},
		func(ctx context.Context, in *phoneHoldIn) (*nothing, error) {
			p, err := s.phoneHere(ctx)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Softphones.Hold(p.tenant, p.person.ID, in.Leg, in.Body.On)
		})
}
