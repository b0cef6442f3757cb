package web

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// approvalView is what an approver sees: the exact action, who asked, and
	// what was proved, with ages.
	approvalView struct {
		Release      ringfence.ReleaseID `json:"release"`
		Says         string              `json:"says"`
		Class        ringfence.Class     `json:"class"`
		Fields       []approvalField     `json:"fields"`
		Flags        []string            `json:"flags"`
		Requester    string              `json:"requester"`
		AskedBy      gate.AskedBy        `json:"asked_by,omitempty"`
		Requested    time.Time           `json:"requested_at"`
		ExpiresAt    time.Time           `json:"expires_at"`
		Evidence     []approvalEvidence  `json:"evidence"`
		Reasons      []policy.Reason     `json:"reasons"`
		Risks        []approvalRisk      `json:"risks" doc:"what is known of the risk, each in a sentence; nothing of it is proof"`
		Waivers      []string            `json:"waivers"`
		Digest       ringfence.Digest    `json:"digest"`
		Policy       ringfence.Digest    `json:"policy"`
		EvidenceHash ringfence.Digest    `json:"evidence_hash"`
	}
	approvalRisk struct {
		Says string `json:"says"`
		Odd  bool   `json:"odd" doc:"a sign of fraud"`
	}
	approvalField struct {
		Name  string `json:"name"`
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	approvalEvidence struct {
		Fact     ringfence.Fact     `json:"fact"`
		Strength ringfence.Strength `json:"strength"`
		At       time.Time          `json:"at"`
		// Since is when the number or authenticator that it rests on began to
		// count, Masked the number's or address's last two characters.
		Since     time.Time `json:"since,omitzero"`
		Masked    string    `json:"masked,omitempty"`
		Presented bool      `json:"presented" doc:"every field was shown or spoken to the person reached"`
	}
	approvalsOut struct {
		Body struct {
			Approvals []approvalView `json:"approvals"`
		}
	}
	approvalOut struct{ Body approvalView }
	onApproval  struct {
		Release ringfence.ReleaseID `path:"release" maxLength:"40"`
	}
	approvalBeginIn struct {
		Release ringfence.ReleaseID `path:"release" maxLength:"40"`
		Body    struct {
			Agrees       bool             `json:"agrees"`
			Digest       ringfence.Digest `json:"digest"`
			Policy       ringfence.Digest `json:"policy"`
			EvidenceHash ringfence.Digest `json:"evidence_hash"`
		}
	}
	approvalFinishIn struct {
		Release ringfence.ReleaseID `path:"release" maxLength:"40"`
		Body    struct {
			Agrees       bool             `json:"agrees"`
			Reason       string           `json:"reason,omitempty" maxLength:"500"`
			Digest       ringfence.Digest `json:"digest"`
			Policy       ringfence.Digest `json:"policy"`
			EvidenceHash ringfence.Digest `json:"evidence_hash"`
			Ceremony     string           `json:"ceremony" minLength:"22" maxLength:"128"`
			Response     json.RawMessage  `json:"response"`
		}
	}
)

var errMovedOn = problem.New(problem.Conflict, "The action has changed since you looked. Look again.")

// approvalAPI shows a colleague what they are asked to agree to, and takes
// their signature over exactly that.
func (s *Server) approvalAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/approvals", Summary: "What you are asked to agree to"},
		func(ctx context.Context, _ *struct{}) (*approvalsOut, error) {
			out := &approvalsOut{}
			list, err := s.askedOf(ctx, who(ctx))
			out.Body.Approvals = []approvalView{}
			for _, r := range list {
				v, err := s.approvalView(ctx, r)
				if err != nil {
					return nil, err
				}
				out.Body.Approvals = append(out.Body.Approvals, v)
			}
			return out, err
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/approvals/{release}", Summary: "One action that you are asked to agree to"},
		func(ctx context.Context, in *onApproval) (*approvalOut, error) {
			r, err := s.askedFor(ctx, in.Release)
			if err != nil {
				return nil, err
			}
			v, err := s.approvalView(ctx, r)
			return &approvalOut{Body: v}, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/approvals/{release}/begin", Summary: "Begin to sign an agreement or a refusal"},
		func(ctx context.Context, in *approvalBeginIn) (*optionsOut, error) {
			p := who(ctx)
			r, err := s.askedFor(ctx, in.Release)
			if err != nil {
				return nil, err
			}
			m := matter(r)
			if m != (approve.Matter{Tenant: p.tenant, Release: r.ID, Digest: in.Body.Digest, PolicyHash: in.Body.Policy, EvidenceHash: in.Body.EvidenceHash}) {
				return nil, errMovedOn
			}
			desk := s.passkeys(p.tenant).Approvals
			if desk == nil {
				return nil, errNoPasskeys
			}
			handle, options, err := desk.Begin(ctx, p.person.ID, m, in.Body.Agrees)
			out := &optionsOut{}
			out.Body.Ceremony, out.Body.Options = string([]byte(handle)), options
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/approvals/{release}/finish", Summary: "Agree or refuse, signed", DefaultStatus: 204},
		func(ctx context.Context, in *approvalFinishIn) (*nothing, error) {
			p := who(ctx)
			r, err := s.askedFor(ctx, in.Release)
			if err != nil {
				return nil, err
			}
			m := matter(r)
			if m != (approve.Matter{Tenant: p.tenant, Release: r.ID, Digest: in.Body.Digest, PolicyHash: in.Body.Policy, EvidenceHash: in.Body.EvidenceHash}) {
				return nil, errMovedOn
			}
			desk := s.passkeys(p.tenant).Approvals
			if desk == nil {
				return nil, errNoPasskeys
			}
			got, err := desk.Finish(ctx, p.person.ID, m, in.Body.Agrees, plainWords(in.Body.Reason, 500), ringfence.Secret(in.Body.Ceremony), in.Body.Response)
			switch {
			case err != nil:
				return nil, err
			case got == approve.OutcomeTaken:
				s.Asked(p.tenant)
				return nil, nil
			case got == approve.OutcomeRefused:
				return nil, problem.New(problem.Forbidden, "You cannot decide this one.")
			default:
				return nil, problem.New(problem.Unprocessable, "The passkey did not fit. Try again.")
			}
		})
}

func matter(r gate.Release) approve.Matter {
	return approve.Matter{Tenant: r.Tenant, Release: r.ID, Digest: r.Digest, PolicyHash: r.Policy, EvidenceHash: r.EvidenceHash}
}

// Asked wakes the consoles of those who may be asked to approve something.
func (s *Server) Asked(tenant ringfence.TenantID) { s.asked.ring(tenant) }

// askedOf lists what waits for a colleague of the person's groups. Whoever
// opened the action or owns its call is not asked; the gate refuses anybody
// else who took part.
func (s *Server) askedOf(ctx context.Context, p principal) ([]gate.Release, error) {
	if len(p.person.Groups) == 0 {
		return nil, nil
	}
	all, err := s.cfg.Gate.All(ctx, p.tenant, gate.Filter{State: gate.StatePendingApproval})
	return slices.DeleteFunc(all, func(r gate.Release) bool { return !s.isAsked(p, r) }), err
}

func (s *Server) isAsked(p principal, r gate.Release) bool {
	c, _ := s.liveCall(p.tenant, r.Traversal)
	return r.State == gate.StatePendingApproval && slices.Contains(p.person.Groups, r.Approvals.Group) &&
		!r.Opener.Knows(p.person.ID) && c.Owner != p.person.ID
}

func (s *Server) askedFor(ctx context.Context, id ringfence.ReleaseID) (gate.Release, error) {
	r, err := s.cfg.Gate.Lookup(ctx, who(ctx).tenant, id)
	if err == nil && !s.isAsked(who(ctx), r) {
		err = errNotFound
	}
	return r, err
}

func (s *Server) approvalView(ctx context.Context, r gate.Release) (approvalView, error) {
	v := approvalView{Release: r.ID, Says: r.Says, Class: r.Class, Fields: []approvalField{}, Flags: append([]string{}, r.Flags...), AskedBy: r.AskedBy, Requested: r.RequestedAt,
		ExpiresAt: r.ExpiresAt, Evidence: []approvalEvidence{}, Reasons: append([]policy.Reason{}, r.Reasons...), Waivers: append([]string{}, r.Waivers...),
		Digest: r.Digest, Policy: r.Policy, EvidenceHash: r.EvidenceHash}
	if a, ok := s.action(r); ok {
		for _, f := range a.Carries {
			v.Fields = append(v.Fields, approvalField{f.Name, f.Type.String(), r.Fields[f.Name]})
		}
	}
	_, verdict, err := s.cfg.Gate.Evaluate(ctx, r.Tenant, r.ID)
	if err != nil {
		return v, err
	}
	v.Risks = []approvalRisk{}
	for _, r := range verdict.Risks {
		v.Risks = append(v.Risks, approvalRisk{r.Says, r.Odd()})
	}
	if v.Requester, err = s.nameOf(ctx, r.Tenant, r.Opener.Person); err != nil {
		return v, err
	}
	if v.Requester == "" {
		v.Requester = r.Opener.Client + r.Opener.Flow
	}
	return v, s.cfg.Store.View(ctx, r.Tenant, func(tx ledger.Tx) error {
		v.Evidence = v.Evidence[:0]
		for _, id := range r.Evidence {
			e, _, err := ledger.Read[ringfence.Evidence](ctx, tx, ledger.KindEvidence, string(id))
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			one := approvalEvidence{Fact: e.Fact, Strength: e.Strength, At: e.At, Presented: e.Presented}
			if err := restsOn(ctx, tx, e, &one); err != nil {
				return err
			}
			v.Evidence = append(v.Evidence, one)
		}
		return nil
	})
}

// restsOn adds how long what a proof rests on has counted.
func restsOn(ctx context.Context, tx ledger.Tx, e ringfence.Evidence, out *approvalEvidence) error {
	if e.Authenticator != "" {
		a, _, err := ledger.Read[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, string(e.Authenticator))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		out.Since = a.BoundAt
	}
	if e.ContactPoint != "" {
		c, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(e.ContactPoint))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err == nil {
			out.Masked = masked(c.Value)
			if from := judgedFrom(c); from.After(out.Since) {
				out.Since = from // the younger of the two
			}
		}
	}
	return nil
}

// action is the release's action in the policy it was opened under.
func (s *Server) action(r gate.Release) (*policy.Action, bool) {
	p := s.cfg.Policies.ByHash(r.Tenant, r.Policy)
	if p == nil {
		return nil, false
	}
	return p.Action(r.Type)
}
