package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

// releaseView is a release as the API shows it: never its nonce, and its
// fields only to those who may see the action.
type releaseView struct {
	ID        ringfence.ReleaseID   `json:"id"`
	State     gate.State            `json:"state"`
	Type      string                `json:"type"`
	Says      string                `json:"says"`
	Class     ringfence.Class       `json:"class" doc:"C0 to C5"`
	Subject   ringfence.SubjectID   `json:"subject"`
	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	Digest    ringfence.Digest      `json:"digest" doc:"64 hexadecimal characters; a changed action has another one"`
	Fields    map[string]string     `json:"fields,omitempty" doc:"canonical text; money as minor units and currency"`
	Flags     []string              `json:"flags,omitempty" doc:"what a person should look at"`
	Decision  string                `json:"decision" enum:"refuse,step_up,allow" doc:"refuse, step_up or allow, as judged now"`
	Reasons   []policy.Reason       `json:"reasons,omitempty"`
	Missing   []ringfence.Fact      `json:"missing,omitempty" doc:"of the fastest way on"`
	Next      string                `json:"next,omitempty" doc:"one sentence with the fastest way on"`
	Approvals policy.Approvals      `json:"approvals"`
	Waivers   []string              `json:"waivers,omitempty"`
	Risks     []gate.Risk           `json:"risks,omitempty" doc:"what looks odd, each in a sentence; nothing of it is proof"`
	Requested time.Time             `json:"requested_at"`
	HoldUntil time.Time             `json:"hold_until,omitzero"`
	ReadyAt   time.Time             `json:"ready_at,omitzero"`
	ExpiresAt time.Time             `json:"expires_at"`
	Executor  string                `json:"executor,omitempty"`
}

func viewOf(r gate.Release, v gate.Verdict) releaseView {
	return releaseView{ID: r.ID, State: r.State, Type: r.Type, Says: r.Says, Class: r.Class, Subject: r.Subject, Traversal: r.Traversal, Digest: r.Digest,
		Flags: r.Flags, Decision: v.Decision.String(), Reasons: v.Reasons, Missing: v.Missing, Next: v.Next, Approvals: r.Approvals, Waivers: r.Waivers, Risks: v.Risks,
		Requested: r.RequestedAt, HoldUntil: r.HoldUntil, ReadyAt: r.ReadyAt, ExpiresAt: r.ExpiresAt, Executor: r.Executor}
}

type (
	releaseOut  struct{ Body releaseView }
	releasesOut struct {
		Body struct {
			Releases []releaseView `json:"releases"`
		}
	}
	releasesIn struct {
		State     gate.State            `query:"state" maxLength:"40"`
		Traversal ringfence.TraversalID `query:"traversal" maxLength:"40"`
		Subject   ringfence.SubjectID   `query:"subject" maxLength:"40"`
		Limit     int                   `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	onRelease struct {
		ID ringfence.ReleaseID `path:"id" maxLength:"40"`
	}
	actionIn struct {
		httpPair
		Key  string `header:"Idempotency-Key" minLength:"8" maxLength:"128"`
		Body struct {
			Type       string                `json:"type" pattern:"^[a-z][a-z0-9_]{0,63}$" example:"bank_change"`
			Fields     map[string]string     `json:"fields" doc:"every field that the action carries, as canonical text; money as minor units and currency, e.g. 125000 GBP"`
			Traversal  ringfence.TraversalID `json:"traversal,omitempty" maxLength:"40"`
			Subject    ringfence.SubjectID   `json:"subject,omitempty" maxLength:"40" doc:"needed without a traversal"`
			Represents ringfence.SubjectID   `json:"represents,omitempty" maxLength:"40" doc:"who acts for the subject under a mandate"`
			AskedBy    gate.AskedBy          `json:"asked_by,omitempty" enum:"phone,in_person,email,letter"`
		}
	}
	releaseIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Digest ringfence.Digest `json:"digest" doc:"of the action that you see; another one is a conflict"`
		}
	}
	cancelIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Why string `json:"why,omitempty" maxLength:"200"`
		} `required:"false"`
	}
)

// releaseAPI opens, shows and asks for releases. Every answer comes from the
// gate; nothing here decides.
func (s *Server) releaseAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/actions", Summary: "Open an action", DefaultStatus: 201,
		Description: "A person opens actions on their own live call, about its subject. What was proved counts for exactly this action."}, s.openAction)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/releases", Summary: "Releases, newest first",
		Description: "An executor gets what is ready for it, what has waited longest first; others by state, traversal or subject (at most one)."}, s.listReleases)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/releases/{id}", Summary: "One release, judged now"},
		func(ctx context.Context, in *onRelease) (*releaseOut, error) {
			r, err := s.release(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			r, v, err := s.orPretended(ctx, in.ID, "")(s.cfg.Gate.Evaluate(ctx, who(ctx).tenant, r.ID))
			out := &releaseOut{Body: viewOf(r, v)}
			out.Body.Fields = r.Fields
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/release", Summary: "Ask that the action be done",
		Description: "Answers 403 with what is missing while it is not proved."},
		func(ctx context.Context, in *releaseIn) (*releaseOut, error) {
			r, err := s.ownRelease(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if in.Body.Digest != r.Digest || r.Digest.Zero() {
				return nil, problem.New(problem.Conflict, "This is not the action that was opened.")
			}
			r, v, err := s.orPretended(ctx, in.ID, "")(s.cfg.Gate.Release(ctx, who(ctx).tenant, in.ID, actorOf(ctx)))
			return answer(r, v, err)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/cancel", Summary: "End a release that nobody wants any more"},
		func(ctx context.Context, in *cancelIn) (*releaseOut, error) {
			if _, err := s.ownRelease(ctx, in.ID); err != nil {
				return nil, err
			}
			why := plainWords(in.Body.Why, 200)
			if why == "" {
				why = "cancelled by whoever opened it"
			}
			r, err := s.cfg.Gate.Cancel(ctx, who(ctx).tenant, in.ID, actorOf(ctx), why)
			r, _, err = s.orPretended(ctx, in.ID, gate.StateCancelled)(r, gate.Verdict{}, err)
			return &releaseOut{Body: viewOf(r, gate.Verdict{})}, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/reject", Summary: "Tell that the person did not ask for this",
		Description: "The release is held and an alarm raised."},
		func(ctx context.Context, in *onRelease) (*releaseOut, error) {
			if _, err := s.release(ctx, in.ID); err != nil {
				return nil, err
			}
			r, err := s.cfg.Gate.Reject(ctx, who(ctx).tenant, in.ID, actorOf(ctx))
			r, _, err = s.orPretended(ctx, in.ID, gate.StateHeld)(r, gate.Verdict{}, err)
			return &releaseOut{Body: viewOf(r, gate.Verdict{})}, err
		})
}

// answer turns what the gate said to a request for release into HTTP: a
// refusal that more proof would mend is RFC 9470's.
func answer(r gate.Release, v gate.Verdict, err error) (*releaseOut, error) {
	switch {
	case err != nil:
		return nil, err
	case r.State == gate.StatePendingEvidence:
		p := problem.New(problem.InsufficientEvidence, "")
		p.Missing, p.Next = v.Missing, v.Next
		return nil, p
	case r.State == gate.StateHeld:
		p := problem.New(problem.Held, "")
		p.Next = v.Next
		return nil, p
	case r.State == gate.StateDenied, r.State == gate.StateInvalidated, r.State == gate.StateCancelled:
		return nil, problem.New(problem.Conflict, "The release has ended.")
	case r.State == gate.StateExpired:
		return nil, problem.New(problem.Expired, "")
	default:
		return &releaseOut{Body: viewOf(r, v)}, nil
	}
}

func (s *Server) openAction(ctx context.Context, in *actionIn) (*releaseOut, error) {
	p := who(ctx)
	q := gate.OpenRequest{Type: in.Body.Type, Subject: in.Body.Subject, Represents: in.Body.Represents, Fields: in.Body.Fields,
		Traversal: in.Body.Traversal, By: actorOf(ctx), AskedBy: in.Body.AskedBy}
	if p.client.ID == "" || q.Traversal != "" {
		if err := s.onCall(ctx, &q); err != nil {
			return nil, err
		}
	}
	return s.openedBy(ctx, q, in.httpPair, in.Key)
}

// onCall takes the subject of an action from the live call it is asked for on,
// which must be the person's own.
func (s *Server) onCall(ctx context.Context, q *gate.OpenRequest) error {
	act, err := s.act(ctx, q.Traversal)
	if err != nil {
		return err
	}
	if act.Supervisor {
		return problem.New(problem.Forbidden, "This call is another person's. Have it handed over first.")
	}
	c, live := s.liveCall(who(ctx).tenant, q.Traversal)
	if !live || c.State == "ended" || c.State == "suspended" {
		return problem.New(problem.Conflict, "The call is over.")
	}
	if c.Subject == "" {
		return problem.New(problem.Unprocessable, "Nobody is identified on this call.")
	}
	if q.Subject != "" && q.Subject != c.Subject {
		return problem.New(problem.Unprocessable, "The call is about another subject.")
	}
	q.Subject = c.Subject
	return nil
}

// openedBy opens an action under an idempotency key.
func (s *Server) openedBy(ctx context.Context, q gate.OpenRequest, pair httpPair, key string) (*releaseOut, error) {
	p := who(ctx)
	body, err := bodyHash(pair)
	if err != nil {
		return nil, err
	}
	q.Key = gate.Key{Client: p.actor(), Operation: "open", Value: key, Body: body}
	r, v, err := s.cfg.Gate.Open(ctx, p.tenant, q)
	if errors.Is(err, gate.ErrNoSubject) && p.client.ID == "" && q.Traversal != "" {
		r, v, err = s.cfg.Calls.Pretend(ctx, Act{Tenant: p.tenant, By: p.person.ID, Traversal: q.Traversal}, q)
		if err == nil {
			return &releaseOut{Body: viewOf(r, v)}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if q.Traversal != "" {
		// A call that ended meanwhile has cancelled its actions already, and
		// would leave this one waiting for proof until it expires.
		if _, live := s.liveCall(p.tenant, q.Traversal); !live {
			_, err := s.cfg.Gate.Cancel(context.WithoutCancel(ctx), p.tenant, r.ID, q.By, "the call ended as the action was opened")
			if err != nil && !errors.Is(err, gate.ErrConflict) {
				return nil, err
			}
			return nil, problem.New(problem.Conflict, "The call is over.")
		}
	}
	return &releaseOut{Body: viewOf(r, v)}, nil
}

func (s *Server) listReleases(ctx context.Context, in *releasesIn) (*releasesOut, error) {
	p := who(ctx)
	f := gate.Filter{State: in.State, Traversal: in.Traversal, Subject: in.Subject, Limit: in.Limit}
	if set(f.State != "", f.Traversal != "", f.Subject != "") > 1 {
		return nil, problem.New(problem.Unprocessable, "Set at most one of state, traversal and subject.")
	}
	if p.client.Executor != "" {
		f = gate.Filter{Executor: p.client.Executor, Limit: in.Limit}
	}
	all, err := s.cfg.Gate.List(ctx, p.tenant, f)
	out := &releasesOut{}
	out.Body.Releases = []releaseView{}
	for _, r := range all {
		if s.mayRead(p, r) {
			v := viewOf(r, gate.Verdict{})
			v.Next = r.Why
			out.Body.Releases = append(out.Body.Releases, v)
		}
	}
	return out, err
}

// release reads a release that the principal may see; any other is not there.
func (s *Server) release(ctx context.Context, id ringfence.ReleaseID) (gate.Release, error) {
	r, err := s.cfg.Gate.Lookup(ctx, who(ctx).tenant, id)
	if r, _, err = s.orPretended(ctx, id, "")(r, gate.Verdict{}, err); err != nil {
		return gate.Release{}, err
	}
	if !s.mayRead(who(ctx), r) {
		return gate.Release{}, errNotFound
	}
	return r, nil
}

// ownRelease reads a release that the principal may act on: whoever owns its
// call now, or opened it.
func (s *Server) ownRelease(ctx context.Context, id ringfence.ReleaseID) (gate.Release, error) {
	r, err := s.release(ctx, id)
	if err != nil {
		return gate.Release{}, err
	}
	if !s.owns(who(ctx), r) {
		return gate.Release{}, problem.New(problem.Forbidden, "This action is another person's.")
	}
	return r, nil
}

func (s *Server) owns(p principal, r gate.Release) bool {
	if p.client.ID != "" {
		return r.Opener.Client == p.client.ID
	}
	if r.Traversal != "" {
		if c, live := s.liveCall(p.tenant, r.Traversal); live {
			return c.Owner == p.person.ID
		}
	}
	return r.Opener.Person == p.person.ID
}

func (s *Server) mayRead(p principal, r gate.Release) bool {
	if p.client.ID != "" {
		return r.Opener.Client == p.client.ID || p.client.Executor != "" && r.Executor == p.client.Executor
	}
	return s.owns(p, r) || p.watches() || p.has(ringfence.RoleAuditor)
}

func (s *Server) liveCall(tenant ringfence.TenantID, id ringfence.TraversalID) (ringfence.LiveCall, bool) {
	all := s.boards.at(tenant, time.Now()).calls
	i := slices.IndexFunc(all, func(c *liveCall) bool { return c.Traversal == id })
	if i < 0 {
		return ringfence.LiveCall{}, false
	}
	return all[i].LiveCall, true
}

// actorOf is under which name the gate records what the principal asks.
func actorOf(ctx context.Context) gate.Actor {
	p := who(ctx)
	return gate.Actor{Person: p.person.ID, Client: p.client.ID, Maker: p.client.By}
}

// bodyHash is the SHA-256 of the request's body, which idempotent read before.
func bodyHash(p httpPair) ([32]byte, error) {
	body, ok := p.r.Context().Value(bodyKey{}).([]byte)
	if !ok {
		return [32]byte{}, problem.New(problem.InvalidBody, "Idempotency-Key, of 8 to 128 characters, is required.")
	}
	return sha256.Sum256(body), nil
}
