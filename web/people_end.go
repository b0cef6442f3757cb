package web

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// resetView is a request that a person's passkeys end, which a second keeper
	// has to sign.
	resetView struct {
		By    string    `json:"by" doc:"name of who asked"`
		Why   string    `json:"why"`
		At    time.Time `json:"at"`
		Yours bool      `json:"yours" doc:"you may not sign it: you asked, or it is for you"`
	}
	resetIn struct {
		ID   ringfence.PersonID `path:"id" maxLength:"40"`
		Body struct {
			Why string `json:"why" minLength:"1" maxLength:"200" example:"Her laptop was stolen."`
		}
	}
)

// peopleEndAPI ends what people have: their passkeys, by two keepers, or
// everything at once, by one.
func (s *Server) peopleEndAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/{id}/reset", Summary: "Ask that the passkeys of a person end, for them to make another", DefaultStatus: 204,
		Description: "Another keeper signs it within seven days. The reason is kept in the ledger for ever, so it holds no numbers of people."},
		func(ctx context.Context, in *resetIn) (*nothing, error) {
			p := who(ctx)
			why, err := forLedger(in.Body.Why)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Gate.AskStaffReset(ctx, p.tenant, in.ID, p.person.ID, why)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/resets/{id}/begin", Summary: "Begin to sign that the passkeys of a person end"},
		func(ctx context.Context, in *onPerson) (*optionsOut, error) {
			msg, err := s.resetMessage(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "staff_reset", msg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/resets/{id}/finish", Summary: "Sign it: their passkeys and sessions end, and a new invitation is made",
		Description: "What is made on the invitation waits until a keeper other than you has confirmed it."}, s.resetPerson)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/resets/{id}/discard", Summary: "Drop such a request", DefaultStatus: 204},
		func(ctx context.Context, in *onPerson) (*nothing, error) {
			p := who(ctx)
			return nil, s.cfg.Gate.DropStaffReset(ctx, p.tenant, in.ID, p.person.ID)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/{id}/suspend", Summary: "Take every role from a person, at once", DefaultStatus: 204,
		Description: "Their sessions, event streams, calls in a browser and begun signatures end with it; passkeys and approvals of theirs count no more."},
		func(ctx context.Context, in *onPerson) (*nothing, error) {
			p := who(ctx)
			if err := s.cfg.Gate.SuspendPerson(ctx, p.tenant, in.ID, p.person.ID, s.sweep(in.ID)); err != nil {
				return nil, err
			}
			s.stopped(ctx, p.tenant, in.ID)
			return nil, s.tellWaiting(ctx, p.tenant)
		})
}

// findReset reads the request for a person.
func findReset(ctx context.Context, tx ledger.Tx, id ringfence.PersonID) (gate.StaffReset, error) {
	all, err := gate.StaffResets(ctx, tx)
	for _, r := range all {
		if r.Person == id {
			return r, nil
		}
	}
	if err == nil {
		err = ledger.ErrNotFound
	}
	return gate.StaffReset{}, err
}

// resetMessage is what the second keeper signs.
func (s *Server) resetMessage(ctx context.Context, id ringfence.PersonID) (msg [32]byte, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		r, err := findReset(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !s.cfg.Gate.SignsReset(r, p.person.ID):
			return problem.New(problem.Forbidden, "Another person has to sign it than who asked, and nobody for themselves.")
		}
		msg, err = gate.StaffResetMessage(p.tenant, r)
		return err
	})
	return msg, err
}

func (s *Server) resetPerson(ctx context.Context, in *draftFinishIn) (*inviteOut, error) {
	p := who(ctx)
	invites := s.passkeys(p.tenant).Invites
	if invites == nil {
		return nil, errNoPasskeys
	}
	msg, err := s.resetMessage(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "staff_reset", msg, in.Body.Ceremony, in.Body.Response)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Gate.ResetStaff(ctx, p.tenant, in.ID, sig, s.sweep(in.ID)); err != nil {
		return nil, err
	}
	s.stopped(ctx, p.tenant, in.ID)
	if err := s.tellWaiting(ctx, p.tenant); err != nil {
		return nil, err
	}
	return s.invitePerson(ctx, &onPerson{ID: in.ID})
}

// showResets puts what was asked beside the people it is for.
func (s *Server) showResets(ctx context.Context, tx ledger.Tx, by ringfence.PersonID, people []personView, names map[ringfence.PersonID]string) error {
	all, err := gate.StaffResets(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range all {
		for i := range people {
			if people[i].ID == r.Person {
				people[i].Reset = &resetView{By: names[r.By], Why: r.Why, At: r.At, Yours: !s.cfg.Gate.SignsReset(r, by)}
			}
		}
	}
	return nil
}

// sweep ends, in the transaction in which a person was stopped, their sessions
// and begun signatures.
func (s *Server) sweep(id ringfence.PersonID) func(context.Context, ledger.Tx) error {
	return func(ctx context.Context, tx ledger.Tx) error {
		for rec, err := range ledger.All(ctx, tx, kindSession, ledger.Query{Key: "person", Value: string(id)}) {
			if err != nil {
				return err
			}
			if err := endSession(ctx, tx, rec.ID); err != nil {
				return err
			}
		}
		return passkey.EndCeremonies(ctx, tx, id)
	}
}

// stopped ends what of a person runs in this process: their streams find out
// that their session is over, and their calls are hung up, at a desk phone as
// well. Another node finds out within askedPoll, by the same stream.
func (s *Server) stopped(ctx context.Context, tenant ringfence.TenantID, id ringfence.PersonID) {
	s.left.ring(tenant)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, c := range s.cfg.Calls.Live(tenant) {
		if c.Owner != id {
			continue
		}
		if err := s.cfg.Calls.HangUp(ctx, Act{Tenant: tenant, Traversal: c.Traversal, By: id}); err != nil && !errors.Is(err, ErrNoCall) {
			s.log.WarnContext(ctx, "a stopped person's call goes on", "traversal", string(c.Traversal), "err", err)
		}
	}
	s.endPhone(tenant, id)
}

// stopTimeout bounds how long hanging up may take.
const stopTimeout = 10 * time.Second

// endPhone ends the calls in a person's browser, and turns their phone off.
func (s *Server) endPhone(tenant ringfence.TenantID, id ringfence.PersonID) {
	s.phones.drop(phoneKey{tenant, id})
	if s.cfg.Softphones == nil {
		return
	}
	for _, c := range s.cfg.Softphones.Calls(tenant, id) {
		if err := s.cfg.Softphones.HangUp(tenant, id, c.Leg); err != nil && !errors.Is(err, ErrNoCall) {
			s.log.Warn("a stopped person's call goes on", "leg", string(c.Leg), "err", err)
		}
	}
}

// still reads the session of a stream again, and reports whether it goes on. One
// that somebody ended takes the calls in its browser with it; one that nobody
// used for too long does not.
func (s *Server) still(ctx context.Context, out *stream, p *principal) bool {
	again, err := s.sessionOf(ctx, p.tenant, p.session.ID)
	if err == nil {
		*p = again // a role given or taken counts from now on
		return true
	}
	if !problem.Is(toProblem(err), problem.Unauthenticated) {
		return true // not found out: the next look tells
	}
	if s.wasStopped(ctx, *p) {
		s.stopped(ctx, p.tenant, p.person.ID)
	}
	out.event("signed_out", "", []byte("{}"))
	out.flush()
	return false
}

// wasStopped reports that a person is suspended.
func (s *Server) wasStopped(ctx context.Context, p principal) (stopped bool) {
	_ = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error { // what is not found out was done where it was said
		now, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(p.person.ID))
		stopped = err == nil && now.Status != ringfence.StatusActive
		return err
	})
	return stopped
}
