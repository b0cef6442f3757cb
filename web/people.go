package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// kindDraft holds personDraft until two persons have signed it.
const kindDraft ledger.Kind = "person_draft"

// maxDrafts is how many may wait at a time.
const maxDrafts = 200

// personDraft is a proposal to add or change a member of staff, with the
// signatures it has so far. The gate judges them; here they only wait.
type personDraft struct {
	Person ringfence.Person   `json:"person"`
	By     ringfence.PersonID `json:"by"`
	At     time.Time          `json:"at"`
	Signed []gate.Signature   `json:"signed"`
}

type (
	personView struct {
		ID      ringfence.PersonID `json:"id"`
		Name    string             `json:"name"`
		Email   string             `json:"email"`
		Roles   []ringfence.Role   `json:"roles"`
		Groups  []string           `json:"groups"`
		Team    string             `json:"team,omitempty"`
		Place   string             `json:"place,omitempty"`
		Status  ringfence.Status   `json:"status"`
		Since   time.Time          `json:"since" doc:"roles count from here on"`
		Passkey bool               `json:"passkey" doc:"has one that counts"`
		Waiting *waitingView       `json:"waiting,omitempty" doc:"made a passkey that nobody has confirmed yet"`
		Reset   *resetView         `json:"reset,omitempty" doc:"somebody asked that their passkeys end"`
	}
	draftView struct {
		Person personView `json:"person"`
		By     string     `json:"by"`
		At     time.Time  `json:"at"`
		Signed []string   `json:"signed" doc:"names of those who signed"`
		Mine   bool       `json:"mine" doc:"you have signed it"`
	}
	peopleOut struct {
		Body struct {
			People []personView `json:"people"`
			Drafts []draftView  `json:"drafts"`
		}
	}
	draftIn struct {
		Body struct {
			ID     ringfence.PersonID `json:"id,omitempty" maxLength:"40" doc:"of the person to change; none adds one"`
			Name   string             `json:"name" minLength:"1" maxLength:"80"`
			Email  string             `json:"email" maxLength:"254"`
			Roles  []ringfence.Role   `json:"roles" minItems:"1" maxItems:"6"`
			Groups []string           `json:"groups,omitempty" maxItems:"20"`
			Team   string             `json:"team,omitempty" maxLength:"80"`
			Place  string             `json:"place,omitempty" maxLength:"200" doc:"SIP URI of the phone; browser, or none, is the softphone in the console"`
		}
	}
	draftOut struct {
		Body struct {
			ID ringfence.PersonID `json:"id"`
		}
	}
	onPerson struct {
		ID ringfence.PersonID `path:"id" maxLength:"40"`
	}
	draftFinishIn struct {
		ID   ringfence.PersonID `path:"id" maxLength:"40"`
		Body struct {
			Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
			Response json.RawMessage `json:"response"`
		}
	}
	draftFinishOut struct {
		Body struct {
			Done bool `json:"done" doc:"enough persons have signed; the change is made"`
		}
	}
	inviteOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Link string `json:"link" doc:"opens once, within 15 minutes, on the person's own device"`
		}
	}
)

// peopleAPI proposes changes of staff, collects their signatures, and makes
// invitations. Whether they are enough is the gate's to say.
func (s *Server) peopleAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/people", Summary: "Staff, and proposals that wait for a signature"}, s.listPeople)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/drafts", Summary: "Propose to add or change a member of staff", DefaultStatus: 201}, s.proposePerson)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/drafts/{id}/begin", Summary: "Begin to sign a proposal"},
		func(ctx context.Context, in *onPerson) (*optionsOut, error) {
			_, _, msg, err := s.draft(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "person", msg)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/drafts/{id}/finish", Summary: "Sign a proposal; the second signature makes the change"}, s.signPerson)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/drafts/{id}/discard", Summary: "Drop a proposal", DefaultStatus: 204},
		func(ctx context.Context, in *onPerson) (*nothing, error) {
			return nil, s.cfg.Store.Update(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
				rec, err := tx.Get(ctx, kindDraft, string(in.ID))
				if err != nil {
					return err
				}
				return tx.Delete(ctx, kindDraft, rec.ID, rec.Version)
			})
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/people/{id}/invite", Summary: "Make the link on which a person makes their passkey", DefaultStatus: 201,
		Description: "What is made on it waits until a keeper other than you has confirmed it."}, s.invitePerson)
	s.peopleKeysAPI(a)
	s.peopleEndAPI(a)
}

func (s *Server) listPeople(ctx context.Context, _ *struct{}) (*peopleOut, error) {
	p, out := who(ctx), &peopleOut{}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		out.Body.People, out.Body.Drafts = []personView{}, []draftView{}
		known := map[ringfence.PersonID]string{}
		people, err := staff(ctx, tx)
		if err != nil {
			return err
		}
		for _, one := range people {
			v := viewPerson(one)
			if v.Passkey, err = hasPasskey(ctx, tx, one.ID); err != nil {
				return err
			}
			known[one.ID] = one.Name
			out.Body.People = append(out.Body.People, v)
		}
		if err := s.showWaiting(ctx, tx, p.person.ID, out.Body.People, known); err != nil {
			return err
		}
		if err := s.showResets(ctx, tx, p.person.ID, out.Body.People, known); err != nil {
			return err
		}
		slices.SortFunc(out.Body.People, func(a, b personView) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
		})
		return eachWaiting(ctx, tx, kindDraft, maxDrafts, func(_ string, d personDraft) {
			v := draftView{Person: viewPerson(d.Person), By: known[d.By], At: d.At}
			v.Signed, v.Mine = signers(d.Signed, known, p.person.ID)
			out.Body.Drafts = append(out.Body.Drafts, v)
		})
	})
}

func viewPerson(p ringfence.Person) personView {
	return personView{ID: p.ID, Name: p.Name, Email: p.Email, Roles: append([]ringfence.Role{}, p.Roles...), Groups: append([]string{}, p.Groups...),
		Team: p.Team, Place: p.Place, Status: p.Status, Since: p.Since}
}

func hasPasskey(ctx context.Context, tx ledger.Tx, id ringfence.PersonID) (bool, error) {
	bound, _, err := keyState(ctx, tx, id)
	return bound, err
}

func (s *Server) proposePerson(ctx context.Context, in *draftIn) (*draftOut, error) {
	p, b := who(ctx), in.Body
	address, err := mail.ParseAddress(b.Email)
	if err != nil || address.Address != b.Email {
		return nil, problem.New(problem.Unprocessable, "The e-mail address cannot be used.")
	}
	for _, r := range b.Roles {
		if !slices.Contains(anyone, r) {
			return nil, problem.New(problem.Unprocessable, "There is no such role.")
		}
	}
	if b.Place != "" && b.Place != "browser" && !strings.HasPrefix(b.Place, "sip:") && !strings.HasPrefix(b.Place, "sips:") {
		return nil, problem.New(problem.Unprocessable, "A place is a SIP URI, e.g. sip:ext21@pbx.example.com, or browser.")
	}
	d := personDraft{By: p.person.ID, Person: ringfence.Person{ID: b.ID, Name: plain(b.Name), Email: b.Email, Roles: b.Roles, Groups: b.Groups, Team: plain(b.Team), Place: b.Place}}
	if d.Person.ID == "" {
		d.Person.ID = ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson)
	}
	out := &draftOut{}
	out.Body.ID = d.Person.ID
	return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		if b.ID != "" {
			if _, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(b.ID)); err != nil {
				return err
			}
		}
		n, err := sweepProposals(ctx, tx, kindDraft, maxDrafts, func(id string) error { return dropProposal(ctx, tx, kindDraft, id) })
		if err != nil {
			return err
		}
		if n >= maxDrafts {
			return problem.New(problem.Conflict, "As many proposals wait as may. Sign or drop one first.")
		}
		d.At = tx.Now()
		return keepAnew(ctx, tx, kindDraft, string(d.Person.ID), d)
	})
}

func (d personDraft) made() time.Time { return d.At }

// draft reads a proposal and the message that its signatures are over.
func (s *Server) draft(ctx context.Context, id ringfence.PersonID) (d personDraft, version int64, msg [32]byte, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		d, version, err = waiting[personDraft](ctx, tx, kindDraft, string(id))
		return err
	})
	if err == nil {
		msg, err = gate.PersonMessage(p.tenant, d.Person)
	}
	return d, version, msg, err
}

func (s *Server) signPerson(ctx context.Context, in *draftFinishIn) (*draftFinishOut, error) {
	p := who(ctx)
	d, version, msg, err := s.draft(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "person", msg, in.Body.Ceremony, in.Body.Response)
	if err != nil {
		return nil, err
	}
	d.Signed = signedBy(d.Signed, sig)
	_, err = s.cfg.Gate.PutPerson(ctx, p.tenant, d.Person, d.Signed...)
	out := &draftFinishOut{}
	switch {
	case err == nil:
		out.Body.Done = true
	case !errors.Is(err, gate.ErrForbidden):
		return nil, err
	}
	return out, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		if out.Body.Done {
			return tx.Delete(ctx, kindDraft, string(in.ID), version)
		}
		return keep(ctx, tx, kindDraft, string(in.ID), version, d)
	})
}

func (s *Server) invitePerson(ctx context.Context, in *onPerson) (*inviteOut, error) {
	p := who(ctx)
	invites := s.passkeys(p.tenant).Invites
	if invites == nil {
		return nil, errNoPasskeys
	}
	var one ringfence.Person
	var bound, waits bool
	err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		if one, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(in.ID)); err != nil {
			return err
		}
		bound, waits, err = keyState(ctx, tx, in.ID)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case one.Status != ringfence.StatusActive:
		return nil, problem.New(problem.Conflict, "This person is suspended.")
	case waits:
		return nil, problem.New(problem.Conflict, "This person has made a passkey, which waits to be confirmed. Confirm it, or drop it first.")
	case bound:
		return nil, problem.New(problem.Conflict, "This person has a passkey. Another takes a reset, which two persons sign.")
	}
	token, err := invites.Invite(ctx, p.tenant, string(one.ID), one.Name, p.person.ID)
	if err != nil {
		return nil, err
	}
	out := &inviteOut{CacheControl: "no-store"}
	out.Body.Link = strings.TrimSuffix(s.cfg.StaffURL, "/") + "/invite#" + string([]byte(token))
	return out, nil
}
