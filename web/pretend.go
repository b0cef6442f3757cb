package web

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
)

// nobodyOn finds the live call of the principal that is about a person who is
// not on file.
func (s *Server) nobodyOn(p principal, is func(ringfence.LiveCall) bool) (ringfence.LiveCall, bool) {
	for _, c := range s.boards.at(p.tenant, time.Now()).calls {
		if c.Named != nil && p.client.ID == "" && p.sees(c.LiveCall) && is(c.LiveCall) {
			return c.LiveCall, true
		}
	}
	return ringfence.LiveCall{}, false
}

// orPretended answers for the gate about an action of somebody on the line who
// is not on file, which the gate does not know: as it would for somebody who has
// proved nothing (invariant 23). to is where the request would have led it.
func (s *Server) orPretended(ctx context.Context, id ringfence.ReleaseID, to gate.State) func(gate.Release, gate.Verdict, error) (gate.Release, gate.Verdict, error) {
	return func(r gate.Release, v gate.Verdict, err error) (gate.Release, gate.Verdict, error) {
		if !errors.Is(err, gate.ErrNotFound) {
			return r, v, err
		}
		p := who(ctx)
		c, ok := s.nobodyOn(p, func(c ringfence.LiveCall) bool {
			return slices.ContainsFunc(c.Releases, func(r ringfence.LiveRelease) bool { return r.ID == id })
		})
		if !ok {
			return r, v, err
		}
		return s.cfg.Calls.Pretended(ctx, Act{Tenant: p.tenant, By: p.person.ID, Traversal: c.Traversal}, id, to)
	}
}

// fileOfNobody is what a console shows on file of a person on the line who does
// not exist.
func (s *Server) fileOfNobody(p principal, id ringfence.SubjectID, out *fileOut) bool {
	c, ok := s.nobodyOn(p, func(c ringfence.LiveCall) bool { return c.Subject == id })
	if !ok {
		return false
	}
	b := &out.Body
	b.foundSubject = s.found(p.tenant, ringfence.Subject{ID: id, Kind: c.SubjectKind, Language: s.cfg.language(p.tenant), Status: ringfence.StatusActive, Record: c.Named})
	b.ContactPoints, b.Authenticators = s.decoys.of(id)
	b.Since = b.ContactPoints[0].Since
	b.Mandates, b.Payees, b.Open = []mandateView{}, []payeeView{}, []openChange{}
	for _, r := range c.Releases {
		if state := gate.State(r.State); state.BeforeRedeemed() {
			b.Open = append(b.Open, openChange{ID: r.ID, Type: r.Type, Says: r.Says, Class: r.Class, State: state, HoldUntil: r.Until})
		}
	}
	return true
}

// describe is the gate's, or for somebody on the line who is not on file what it
// would say of the things that are shown of them.
func (s *Server) describe(ctx context.Context, action string, id ringfence.SubjectID, target string) (map[string]string, error) {
	p := who(ctx)
	named, err := s.cfg.Gate.Describe(ctx, p.tenant, action, id, target)
	if !errors.Is(err, gate.ErrNotFound) {
		return named, err
	}
	if _, ok := s.nobodyOn(p, func(c ringfence.LiveCall) bool { return c.Subject == id }); !ok {
		return nil, err
	}
	points, auths := s.decoys.of(id)
	words := map[string]string{}
	for _, c := range points {
		if string(c.ID) == target {
			words = map[string]string{"contact": target, "kind": string(c.Type), "ending": strings.TrimPrefix(c.Masked, "…"), "since": c.Changed.Format(time.DateOnly)}
		}
	}
	for _, a := range auths {
		if string(a.ID) == target {
			words = map[string]string{"authenticator": target, "kind": string(a.Type), "since": a.Since.Format(time.DateOnly)}
		}
	}
	a, ok := s.cfg.Policies.Current(p.tenant).Action(action)
	if len(words) == 0 || !ok {
		return nil, err
	}
	return carried(a, words)
}

// carried are the words of a thing that an action has fields for.
func carried(a *policy.Action, words map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, f := range a.Carries {
		if v, ok := words[f.Name]; ok {
			out[f.Name] = v
		}
	}
	if out["contact"]+out["authenticator"] == "" {
		return nil, &gate.InvalidError{Field: "target", Says: "is nothing that this action changes as it stands"}
	}
	return out, nil
}

// inviteOfNobody is where a link seems to go for somebody who is not on file.
func (s *Server) inviteOfNobody(p principal, id ringfence.SubjectID, contact ringfence.ContactPointID) (string, error) {
	if _, ok := s.nobodyOn(p, func(c ringfence.LiveCall) bool { return c.Subject == id }); !ok || s.cfg.PostLink == nil {
		return "", errNotFound
	}
	points, _ := s.decoys.of(id)
	for _, c := range points {
		if c.ID == contact {
			return c.Masked, nil
		}
	}
	return "", errNotFound
}

func (c Config) language(tenant ringfence.TenantID) string {
	if c.Language == nil {
		return ""
	}
	return c.Language(tenant)
}
