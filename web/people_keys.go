package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// waitingView is a passkey that counts for nothing until a keeper other than
	// those who invited its owner has signed for it. Its digits are not told: the
	// keeper asks the person for them.
	waitingView struct {
		Since   time.Time `json:"since" doc:"when it was made"`
		Invited []string  `json:"invited" doc:"names of those on whose invitation it was made; none: the machine's own link"`
		Yours   bool      `json:"yours" doc:"you may not confirm it: it is yours, or you invited its owner"`
	}
	inviteFinishOut struct {
		Body struct {
			Waits bool   `json:"waits" doc:"it opens nothing yet: a colleague who keeps staff, other than who invited you, has to confirm it"`
			Check string `json:"check,omitempty" doc:"six digits of the passkey's fingerprint, for the owner to tell that colleague"`
		}
	}
	keyBeginIn struct {
		ID   ringfence.PersonID `path:"id" maxLength:"40"`
		Body struct {
			Check string `json:"check" pattern:"^[0-9]{6}$" doc:"the digits that the person reads to you"`
		}
	}
	keyFinishIn struct {
		ID   ringfence.PersonID `path:"id" maxLength:"40"`
		Body struct {
			Check    string          `json:"check" pattern:"^[0-9]{6}$"`
			Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
			Response json.RawMessage `json:"response"`
		}
	}
)

var (
	errNoneWaits   = problem.New(problem.NotFound, "No passkey of this person waits to be confirmed.")
	errOwnKey      = problem.New(problem.Forbidden, "Another person has to confirm it: nobody confirms their own passkey, or one whose owner they invited.")
	errOtherDigits = problem.New(problem.Unprocessable, "The passkey that waits has other digits. Ask the person again; if they have made none, drop it: somebody else used the invitation.")
)

// peopleKeysAPI confirms the passkeys that staff made on invitations.
func (s *Server) peopleKeysAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/passkeys/{id}/begin", Summary: "Begin to confirm the passkey that a person has made",
		Description: "Call the person, not by what the invitation went over, and have them read the six digits that their page showed. Who invited them cannot confirm, nor can they themselves."},
		func(ctx context.Context, in *keyBeginIn) (*optionsOut, error) {
			msg, err := s.waitingKey(ctx, in.ID, in.Body.Check)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "staff_key", msg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/passkeys/{id}/finish", Summary: "Confirm the passkey of a person, signed; it counts from then on", DefaultStatus: 204},
		func(ctx context.Context, in *keyFinishIn) (*nothing, error) {
			p := who(ctx)
			msg, err := s.waitingKey(ctx, in.ID, in.Body.Check)
			if err != nil {
				return nil, err
			}
			sig, err := s.finishSign(ctx, "staff_key", msg, in.Body.Ceremony, in.Body.Response)
			if err != nil {
				return nil, err
			}
			if err := s.cfg.Gate.ConfirmStaffKey(ctx, p.tenant, in.ID, in.Body.Check, sig); err != nil {
				return nil, err
			}
			return nil, s.tellWaiting(ctx, p.tenant)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/passkeys/{id}/discard", Summary: "Drop a passkey that waits to be confirmed", DefaultStatus: 204},
		func(ctx context.Context, in *onPerson) (*nothing, error) {
			p := who(ctx)
			if err := s.cfg.Gate.DropStaffKey(ctx, p.tenant, in.ID, p.person.ID); err != nil {
				return nil, err
			}
			return nil, s.tellWaiting(ctx, p.tenant)
		})
}

// waitingKey is what a keeper signs who was told the digits of the passkey that
// a person has made.
func (s *Server) waitingKey(ctx context.Context, id ringfence.PersonID, check string) (msg [32]byte, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		all, err := gate.WaitingStaffKeys(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a ringfence.Authenticator) bool { return string(a.Subject) == string(id) })
		switch {
		case i < 0:
			return errNoneWaits
		case !s.cfg.Gate.Confirms(all[i], p.person.ID):
			return errOwnKey
		case check != gate.CheckDigits(gate.Fingerprint(all[i].Secret)):
			return errOtherDigits
		}
		msg, err = gate.StaffKeyMessage(p.tenant, all[i])
		return err
	})
	return msg, err
}

// showWaiting puts what waits beside the people it belongs to.
func (s *Server) showWaiting(ctx context.Context, tx ledger.Tx, by ringfence.PersonID, people []personView, names map[ringfence.PersonID]string) error {
	all, err := gate.WaitingStaffKeys(ctx, tx)
	if err != nil {
		return err
	}
	for _, a := range all {
		i := slices.IndexFunc(people, func(p personView) bool { return string(p.ID) == string(a.Subject) })
		if i < 0 {
			continue
		}
		v := &waitingView{Since: a.StoredAt, Invited: []string{}, Yours: !s.cfg.Gate.Confirms(a, by)}
		for _, id := range a.Invited {
			v.Invited = append(v.Invited, cmp.Or(names[id], string(id)))
		}
		people[i].Waiting = v
	}
	return nil
}

// tellWaiting brings the alerts up to date: keepers see what waits at once.
func (s *Server) tellWaiting(ctx context.Context, tenant ringfence.TenantID) error {
	now, err := s.waitingConditions(ctx, tenant)
	if err != nil {
		return err
	}
	return s.SetConditions(ctx, tenant, []AlertKind{AlertPasskey}, now)
}

// waitingConditions names those whose passkey waits.
func (s *Server) waitingConditions(ctx context.Context, tenant ringfence.TenantID) (out []Condition, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		out = nil
		all, err := gate.WaitingStaffKeys(ctx, tx)
		if err != nil {
			return err
		}
		for _, a := range all {
			p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(a.Subject))
			if err != nil {
				return err
			}
			out = append(out, Condition{AlertPasskey, string(a.ID), fmt.Sprintf("%s has made a passkey. Somebody who keeps staff, other than who invited them, has to confirm it under People.", p.Name)})
		}
		return nil
	})
	return out, err
}

// keyState reports whether a person has a passkey that counts, or one that waits.
func keyState(ctx context.Context, tx ledger.Tx, id ringfence.PersonID) (bound, waits bool, err error) {
	list, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(id))
	for _, a := range list {
		if a.Type == ringfence.AuthPasskey {
			bound = bound || a.Status == ringfence.StatusActive
			waits = waits || a.Status == ringfence.StatusPending
		}
	}
	return bound, waits, err
}
