package web

import (
	"context"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

type changeIn struct {
	httpPair
	ID   ringfence.SubjectID `path:"id" maxLength:"40"`
	Key  string              `header:"Idempotency-Key" minLength:"8" maxLength:"128"`
	Body struct {
		Action    string                `json:"action" pattern:"^[a-z][a-z0-9_]{0,63}$" doc:"one of the subject's changes" example:"remove_number"`
		Target    string                `json:"target,omitempty" maxLength:"60" doc:"id of the contact point, authenticator or mandate that it is about; its fields are filled in"`
		Fields    map[string]string     `json:"fields,omitempty" doc:"the other fields, as canonical text"`
		Traversal ringfence.TraversalID `json:"traversal,omitempty" maxLength:"40" doc:"your live call about the subject, on which it is to be proved; an agent needs one"`
		AskedBy   gate.AskedBy          `json:"asked_by,omitempty" enum:"phone,in_person,email,letter"`
	}
}

// changeAPI is the one door by which staff and systems ask for a change of
// what is on file. Each is an action of class C4 or above; this opens it, and
// the gate decides.
func (s *Server) changeAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/subjects/{id}/changes", Summary: "Ask for a change of contact points, authenticators or mandates", DefaultStatus: 201,
		Description: "Opens an action of class C4 or C5. What it needs stands in its answer; nothing changes before it is released and its waiting time has passed. " +
			"To stop something at once: POST /v1/subjects/{id}/suspend."}, s.askChange)
}

func (s *Server) askChange(ctx context.Context, in *changeIn) (*releaseOut, error) {
	p := who(ctx)
	if !s.maySee(p, in.ID) {
		return nil, problem.New(problem.NotFound, "")
	}
	q := gate.OpenRequest{Type: in.Body.Action, Subject: in.ID, Fields: maps.Clone(in.Body.Fields), Traversal: in.Body.Traversal, By: actorOf(ctx), AskedBy: in.Body.AskedBy}
	if q.Fields == nil {
		q.Fields = map[string]string{}
	}
	if err := s.mayChange(p, q.Type); err != nil {
		return nil, err
	}
	s.spell(p.tenant, q.Type, q.Fields)
	switch {
	case q.Traversal != "":
		if err := s.onCall(ctx, &q); err != nil {
			return nil, err
		}
	case p.client.ID == "" && !p.watches() && !p.has(ringfence.RoleAdmin):
		return nil, problem.New(problem.Forbidden, "An agent asks for a change on their own call.")
	}
	if in.Body.Target != "" {
		named, err := s.describe(ctx, q.Type, in.ID, in.Body.Target)
		if err != nil {
			return nil, err
		}
		maps.Copy(q.Fields, named)
	}
	return s.openedBy(ctx, q, in.httpPair, in.Key)
}

// mayChange refuses what is no change of what is on file, and what only the
// caller may key.
func (s *Server) mayChange(p principal, action string) error {
	current := s.cfg.Policies.Current(p.tenant)
	if current == nil {
		return problem.New(problem.Unavailable, "No policy is in force.")
	}
	a, ok := current.Action(action)
	switch {
	case !ok || len(gate.Effects(a)) == 0:
		return problem.New(problem.Unprocessable, "This is no change that the policy knows. See changes of GET /v1/subjects/{id}.")
	case slices.ContainsFunc(a.Carries, callerKeys):
		return problem.New(problem.Unprocessable, "This carries a secret that only the caller keys, on a call.")
	}
	return nil
}

// spell brings telephone numbers, which people group and prefix as they are
// used to, into the form of the gate. What is no number stays as it is, and is
// refused there.
func (s *Server) spell(tenant ringfence.TenantID, action string, fields map[string]string) {
	a, _ := s.cfg.Policies.Current(tenant).Action(action)
	for _, f := range a.Carries {
		if tn, ok := s.number(fields[f.Name]); ok && f.Type.Base == policy.BaseTN {
			fields[f.Name] = string(tn)
		}
	}
}
