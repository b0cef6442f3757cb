package web

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// kindErasure holds erasureRow until two persons have signed.
const kindErasure ledger.Kind = "erasure_draft"

// maxErasures is how many may wait at a time.
const maxErasures = 100

type (
	// erasureRow is an erasure that waits, with the signatures it has so far. The
	// gate judges them; here they only wait. It tells nothing of the person.
	erasureRow struct {
		Erasure gate.Erasure       `json:"erasure"`
		By      ringfence.PersonID `json:"by"`
		At      time.Time          `json:"at"`
		Signed  []gate.Signature   `json:"signed"`
	}
	erasureView struct {
		Subject ringfence.SubjectID `json:"subject"`
		Reason  string              `json:"reason"`
		By      string              `json:"by"`
		At      time.Time           `json:"at"`
		Signed  []string            `json:"signed" doc:"names of those who signed"`
		Mine    bool                `json:"mine" doc:"you have signed it"`
	}
	erasuresOut struct {
		Body struct {
			Erasures []erasureView `json:"erasures"`
		}
	}
	eraseIn struct {
		ID   ringfence.SubjectID `path:"id" maxLength:"40"`
		Body struct {
			Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"who asked, and when; it stays in the log, so name nobody"`
		}
	}
	eraseFinishIn struct {
		ID   ringfence.SubjectID `path:"id" maxLength:"40"`
		Body struct {
			Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
			Response json.RawMessage `json:"response"`
		}
	}
	eraseFinishOut struct {
		Body struct {
			Done    bool   `json:"done" doc:"two persons have signed, and the subject is erased"`
			Waiting string `json:"waiting,omitempty" doc:"why not, when as many have signed as are needed"`
		}
	}
)

func (d erasureRow) made() time.Time { return d.At }

// erasureAPI erases subjects: one person proposes, two sign with their passkeys,
// and the gate judges both.
func (s *Server) erasureAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/erasures", Summary: "Erasures that wait for a signature"}, s.erasures)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/subjects/{id}/erase", Summary: "Propose to erase a subject", DefaultStatus: 204,
		Description: "Nothing is erased until two persons with role admin or risk have signed. Then the key is destroyed under which everything about the subject is kept; the log still verifies. Whoever has an action under way is refused."}, s.proposeErasure)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/erasures/{id}/begin", Summary: "Begin to sign an erasure"},
		func(ctx context.Context, in *onSubject) (*optionsOut, error) {
			_, _, msg, err := s.erasure(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "erasure", msg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/erasures/{id}/finish", Summary: "Sign an erasure; the second signature erases"}, s.signErasure)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/erasures/{id}/discard", Summary: "Drop an erasure", DefaultStatus: 204},
		func(ctx context.Context, in *onSubject) (*nothing, error) {
			return nil, s.cfg.Store.Update(ctx, who(ctx).tenant, func(tx ledger.Tx) error { return dropProposal(ctx, tx, kindErasure, string(in.ID)) })
		})
}

func (s *Server) erasures(ctx context.Context, _ *struct{}) (*erasuresOut, error) {
	p, out := who(ctx), &erasuresOut{}
	out.Body.Erasures = []erasureView{}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		names, err := staffNames(ctx, tx)
		if err != nil {
			return err
		}
		return eachWaiting(ctx, tx, kindErasure, maxErasures, func(_ string, d erasureRow) {
			v := erasureView{Subject: d.Erasure.Subject, Reason: d.Erasure.Reason, By: names[d.By], At: d.At}
			v.Signed, v.Mine = signers(d.Signed, names, p.person.ID)
			out.Body.Erasures = append(out.Body.Erasures, v)
		})
	})
}

func (s *Server) proposeErasure(ctx context.Context, in *eraseIn) (*nothing, error) {
	p, reason := who(ctx), strings.TrimSpace(plainWords(in.Body.Reason, 200))
	if reason == "" {
		return nil, problem.New(problem.Unprocessable, "Say who asked, and when.")
	}
	if err := s.cfg.Gate.Erasable(ctx, p.tenant, in.ID); err != nil {
		return nil, err
	}
	return nil, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		n, err := sweepProposals(ctx, tx, kindErasure, maxErasures, func(id string) error { return dropProposal(ctx, tx, kindErasure, id) })
		if err != nil {
			return err
		}
		if n >= maxErasures {
			return problem.New(problem.Conflict, "As many erasures wait as may. Sign or drop one first.")
		}
		return keepAnew(ctx, tx, kindErasure, string(in.ID), erasureRow{Erasure: gate.Erasure{Subject: in.ID, Reason: reason}, By: p.person.ID, At: tx.Now()})
	})
}

// erasure reads an erasure that waits, and the message that its signatures are
// over.
func (s *Server) erasure(ctx context.Context, id ringfence.SubjectID) (d erasureRow, version int64, msg [32]byte, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		d, version, err = waiting[erasureRow](ctx, tx, kindErasure, string(id))
		return err
	})
	if err == nil {
		msg, err = gate.ErasureMessage(p.tenant, d.Erasure)
	}
	return d, version, msg, err
}

// signErasure adds a signature. The one that is enough erases.
func (s *Server) signErasure(ctx context.Context, in *eraseFinishIn) (*eraseFinishOut, error) {
	p := who(ctx)
	d, version, msg, err := s.erasure(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "erasure", msg, in.Body.Ceremony, in.Body.Response)
	if err != nil {
		return nil, err
	}
	d.Signed = signedBy(d.Signed, sig)
	out := &eraseFinishOut{}
	err = s.cfg.Gate.Erase(ctx, p.tenant, d.Erasure, d.Signed...)
	if errors.Is(err, gate.ErrForbidden) {
		if len(d.Signed) > 1 {
			out.Body.Waiting = slowSignature
		}
		return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
			return keep(ctx, tx, kindErasure, string(in.ID), version, d)
		})
	}
	if err != nil {
		return nil, err
	}
	out.Body.Done = true
	ctx = context.WithoutCancel(ctx)
	return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error { return dropProposal(ctx, tx, kindErasure, string(in.ID)) })
}
