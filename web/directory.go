package web

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// subjectView shows that there is a subject, and nothing of its record:
	// that stands on the console only after the policy's speak guard.
	subjectView struct {
		ID       ringfence.SubjectID   `json:"id"`
		Kind     ringfence.SubjectKind `json:"kind"`
		Language string                `json:"language,omitempty"`
		Status   ringfence.Status      `json:"status"`
	}
	contactPointsIn struct {
		Subject ringfence.SubjectID `query:"subject" maxLength:"40" required:"true"`
	}
	// contactPointView shows a contact point with at most its last two
	// characters, and the ages by which the gate judges it.
	contactPointView struct {
		ID      ringfence.ContactPointID `json:"id"`
		Type    ringfence.ContactType    `json:"type"`
		Masked  string                   `json:"masked" example:"…17"`
		Since   time.Time                `json:"since" doc:"from when on the gate counts its age: a first import may carry an old date from its source"`
		Changed time.Time                `json:"changed,omitzero"`
		// Verified is when somebody last showed that they are reached there.
		Verified time.Time        `json:"verified,omitzero"`
		Removed  time.Time        `json:"removed,omitzero"`
		Source   string           `json:"source,omitempty" doc:"a release, or the import's own source"`
		Status   ringfence.Status `json:"status"`
	}
	contactPointsOut struct {
		Body struct {
			ContactPoints  []contactPointView  `json:"contact_points"`
			Authenticators []authenticatorView `json:"authenticators"`
		}
	}
	colleague struct {
		ID   ringfence.PersonID `json:"id"`
		Name string             `json:"name"`
		Team string             `json:"team,omitempty"`
	}
	colleaguesOut struct {
		Body struct {
			Colleagues []colleague `json:"colleagues"`
		}
	}
)

func (s *Server) directoryAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/contact-points", Summary: "A subject's contact points and authenticators, masked, with their ages"},
		func(ctx context.Context, in *contactPointsIn) (*contactPointsOut, error) {
			p, out := who(ctx), &contactPointsOut{}
			if !s.maySee(p, in.Subject) {
				return nil, problem.New(problem.NotFound, "")
			}
			var err error
			out.Body.ContactPoints, out.Body.Authenticators, err = s.shownOf(ctx, p, in.Subject)
			return out, err
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/colleagues", Summary: "Whom a call can be handed to"},
		func(ctx context.Context, _ *struct{}) (*colleaguesOut, error) {
			p, out := who(ctx), &colleaguesOut{}
			out.Body.Colleagues = []colleague{}
			return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
				people, err := staff(ctx, tx)
				for _, one := range people {
					if one.ID != p.person.ID && (one.Has(ringfence.RoleAgent, tx.Now()) || one.Has(ringfence.RoleSupervisor, tx.Now())) {
						out.Body.Colleagues = append(out.Body.Colleagues, colleague{one.ID, one.Name, one.Team})
					}
				}
				return err
			})
		})
}

// judgedFrom is when the gate's clock for a contact point began; one that was
// never verified is as old as its row.
func judgedFrom(c ringfence.ContactPoint) time.Time {
	if c.VerifiedAt.IsZero() || c.ChangedAt.IsZero() {
		return c.StoredAt
	}
	return c.ChangedAt
}

// maySee reports whether the principal may see facts about a subject: an agent
// only while a call of theirs is about it.
func (s *Server) maySee(p principal, subject ringfence.SubjectID) bool {
	if p.client.ID != "" || p.watches() || p.has(ringfence.RoleAuditor) || p.has(ringfence.RoleAdmin) {
		return true
	}
	for _, c := range s.boards.at(p.tenant, time.Now()).calls {
		if c.Subject == subject && subject != "" && p.sees(c.LiveCall) {
			return true
		}
	}
	return false
}

// masked keeps the last two characters of a contact point.
func masked(value string) string {
	if local, _, ok := strings.Cut(value, "@"); ok {
		if len(local) < 4 {
			return "…@…"
		}
		return "…" + local[len(local)-2:] + "@…"
	}
	if len(value) < 5 {
		return "…"
	}
	return "…" + value[len(value)-2:]
}
