package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/recovery"
	"github.com/ringfence/ringfence/web/problem"
)

// LinkPost sends a link to a contact point on file, for a member of staff. A cap
// that is reached is ErrTooManyMessages.
type LinkPost func(ctx context.Context, tenant ringfence.TenantID, to ringfence.ContactPoint, by ringfence.PersonID, link ringfence.Secret) error

// ErrTooManyMessages refuses a message for now: to this contact point, to numbers
// like it, by this person or in all.
var ErrTooManyMessages = errors.New("web: too many messages")

type (
	subjectInviteIn struct {
		ID   ringfence.SubjectID `path:"id" maxLength:"40"`
		Body struct {
			Contact ringfence.ContactPointID `json:"contact,omitempty" maxLength:"40" doc:"mobile number or e-mail address on file that the link goes to; none shows it here, for somebody who is present"`
			What    string                   `json:"what,omitempty" enum:"passkey,recovery_codes" doc:"passkey (with recovery codes) unless given; recovery_codes makes new ones after the person's own passkey was proved"`
		}
	}
	subjectInviteOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Code      string    `json:"code" doc:"carry code: tell it to the person; the page asks for it, three times at most. It is told once"`
			Sent      string    `json:"sent,omitempty" doc:"where the link went, masked"`
			Link      string    `json:"link,omitempty" doc:"only without a contact point"`
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
)

// enrolAPI invites people to make a passkey or recovery codes on their own
// device. What they make waits, and counts for nothing, until an action of class
// C4 or above that names it was released.
func (s *Server) enrolAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/subjects/{id}/invite", Summary: "Invite a person to make a passkey, or new recovery codes", DefaultStatus: 201,
		Description: "The link goes to a number or address on file, the carry code is told by you: neither is enough alone. The person's page shows six check digits " +
			"of what was made; compare them with those of GET /v1/subjects/{id}, then ask for the change. Three links an hour; every contact point hears of each."}, s.inviteSubject)
}

func (s *Server) inviteSubject(ctx context.Context, in *subjectInviteIn) (*subjectInviteOut, error) {
	p := who(ctx)
	reg := s.passkeys(p.tenant).Enrol
	switch {
	case !s.maySee(p, in.ID):
		return nil, errNotFound
	case reg == nil:
		return nil, errNoPasskeys
	case in.Body.Contact == "" && !p.watches() && !p.has(ringfence.RoleAdmin):
		return nil, problem.New(problem.Forbidden, "An agent sends the link to a number or address on file.")
	}
	to, err := s.invitee(ctx, p.tenant, in.ID, in.Body.Contact)
	sent := masked(to.Value)
	if errors.Is(err, gate.ErrNotFound) {
		sent, err = s.inviteOfNobody(p, in.ID, in.Body.Contact)
	}
	if err != nil {
		return nil, err
	}
	token, code, err := reg.Offer(ctx, p.tenant, passkey.Offer{Owner: string(in.ID), Name: s.cfg.Company(p.tenant), By: []ringfence.PersonID{p.person.ID}, Carry: true, Prove: in.Body.What == "recovery_codes"})
	switch {
	case errors.Is(err, passkey.ErrTooManyInvites):
		return nil, problem.New(problem.TooMany, "Three links went to this person within an hour.")
	case err != nil:
		return nil, err
	}
	link := strings.TrimSuffix(s.cfg.PublicURL, "/") + "/enrol#" + string([]byte(token))
	out := &subjectInviteOut{CacheControl: "no-store"}
	out.Body.Code, out.Body.ExpiresAt = string([]byte(code)), p.at.Add(passkey.InviteLife)
	if in.Body.Contact == "" {
		out.Body.Link = link
		return out, nil
	}
	if out.Body.Sent = sent; to.ID == "" {
		return out, nil // nobody is there to get it
	}
	switch err := s.cfg.PostLink(ctx, p.tenant, to, p.person.ID, ringfence.Secret(link)); {
	case errors.Is(err, ErrTooManyMessages):
		return nil, problem.New(problem.TooMany, "As many messages went out as may for now. Try again later.")
	case err != nil:
		return nil, problem.New(problem.Unavailable, "The link could not be sent. Try another number or address on file.")
	}
	return out, nil
}

// invitee finds where the link goes: a number or address that is on file for
// exactly this subject, and in use.
func (s *Server) invitee(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, id ringfence.ContactPointID) (c ringfence.ContactPoint, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		if _, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(subject)); err != nil || id == "" {
			return err
		}
		c, _, err = ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(id))
		if err == nil && (c.Subject != subject || c.Status != ringfence.StatusActive) {
			return errNotFound
		}
		return err
	})
	switch {
	case err != nil || id == "":
		return ringfence.ContactPoint{}, err
	case c.Type != ringfence.ContactMobile && c.Type != ringfence.ContactEmail:
		return c, problem.New(problem.Unprocessable, "A link goes to a mobile number or an e-mail address.")
	case s.cfg.PostLink == nil:
		return c, problem.New(problem.Unavailable, "Messages are not set up.")
	}
	return c, nil
}

// enrolLook tells what the page has to ask for. It spends nothing.
func (s *Server) enrolLook(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	reg := s.passkeys(tenant).Enrol
	if reg == nil {
		return callerOut{}, errNoPasskeys
	}
	inv, open, err := reg.Look(ctx, tenant, ringfence.Secret(in.Token))
	if err != nil || !open {
		return callerOut{Outcome: "closed"}, err
	}
	return callerOut{Outcome: "open", NeedsCode: inv.NeedsCode(), Prove: inv.Prove, ExpiresAt: inv.ExpiresAt}, nil
}

func (s *Server) enrolUnlock(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	reg := s.passkeys(tenant).Enrol
	if reg == nil {
		return callerOut{}, errNoPasskeys
	}
	ok, left, err := reg.Unlock(ctx, tenant, ringfence.Secret(in.Token), ringfence.Secret(in.Code))
	switch {
	case err != nil && !errors.Is(err, passkey.ErrSpent):
		return callerOut{}, err
	case ok && err == nil:
		return callerOut{Outcome: "open"}, nil
	case left > 0 && err == nil:
		return callerOut{Outcome: "wrong", TriesLeft: left}, nil
	}
	return callerOut{Outcome: "closed"}, nil
}

// callerEnrolFinish keeps what was made on an invited link as waiting, and shows
// its owner what nobody else is shown: the recovery codes, once.
func (s *Server) callerEnrolFinish(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	reg := s.passkeys(tenant).Enrol
	if reg == nil {
		return callerOut{}, errNoPasskeys
	}
	var out callerOut
	var waits ringfence.Authenticator
	var inv passkey.Invite
	made, ok, err := reg.FinishWith(ctx, tenant, ringfence.Secret(in.Token), in.Response, func(ctx context.Context, tx ledger.Tx, i passkey.Invite, a ringfence.Authenticator) error {
		out, waits, inv = callerOut{}, a, i
		if s.cfg.Recovery == nil {
			return nil
		}
		with := a.ID
		if i.Prove {
			with = ""
		}
		set, err := s.newCodes(ctx, tx, a, with, &out)
		if i.Prove {
			waits = set
		}
		return err
	})
	if err != nil {
		return callerOut{}, err
	}
	if !ok || made.ID == "" {
		return callerOut{}, errLinkSpent
	}
	out.Outcome = "satisfied"
	out.Fingerprint = gate.Fingerprint(waits.Secret)
	out.Check = gate.CheckDigits(out.Fingerprint)
	if inv.For == "" {
		return out, nil
	}
	return out, s.startAgain(ctx, tenant, inv, waits)
}

// newCodes stores a set of recovery codes as waiting.
func (s *Server) newCodes(ctx context.Context, tx ledger.Tx, owner ringfence.Authenticator, with ringfence.AuthenticatorID, out *callerOut) (ringfence.Authenticator, error) {
	codes, kept, err := s.cfg.Recovery.Make(with)
	if err != nil {
		return ringfence.Authenticator{}, err
	}
	for _, c := range codes {
		out.Codes = append(out.Codes, string([]byte(c)))
	}
	set := ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Tenant: owner.Tenant, Subject: owner.Subject,
		Type: ringfence.AuthRecovery, Secret: kept, Lane: policy.LaneMemory, Status: ringfence.StatusPending}
	return set, s.cfg.Gate.EnrolSubject(ctx, tx, set)
}

// recoverIn is what the door for those who have lost everything takes.
type recoverIn struct {
	Value string `json:"value"`
	Code  string `json:"code"`
}

// takeRecovery takes a recovery code. A right one leads to making a new passkey, for
// an action of class C5 that is opened then; everything else is one answer.
func (s *Server) takeRecovery(w http.ResponseWriter, r *http.Request) {
	var in recoverIn
	err := s.checks.spend(sourceOf(r))
	if err == nil {
		err = readJSON(w, r, &in)
	}
	var out callerOut
	if err == nil {
		out, err = s.lostEverything(r.Context(), s.tenantOf(r), in)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answerJSON(w, out)
}

func (s *Server) lostEverything(ctx context.Context, tenant ringfence.TenantID, in recoverIn) (callerOut, error) {
	a, kind, ok := s.startsAgain(tenant)
	reg := s.passkeys(tenant).Enrol
	if !ok || reg == nil || s.cfg.Recovery == nil {
		return callerOut{}, problem.New(problem.Unavailable, "Starting again is not set up here.")
	}
	subject, ok, err := s.cfg.Recovery.Recover(ctx, tenant, recovery.Claim{Kind: kind.Name, Field: kind.IdentifiedBy[0], Value: strings.TrimSpace(in.Value), Code: ringfence.Secret(in.Code)})
	if err != nil || !ok {
		return callerOut{Outcome: "closed"}, err
	}
	token, _, err := reg.Offer(ctx, tenant, passkey.Offer{Owner: string(subject), Name: s.cfg.Company(tenant), For: a.Name})
	if errors.Is(err, passkey.ErrTooManyInvites) {
		return callerOut{Outcome: "closed"}, nil
	}
	return callerOut{Outcome: "open", Session: string([]byte(token))}, err
}

// startsAgain is the action of the policy that binds a new passkey to somebody who has
// lost everything, and the kind of subject that it is about.
func (s *Server) startsAgain(tenant ringfence.TenantID) (*policy.Action, policy.Kind, bool) {
	p := s.cfg.Policies.Current(tenant)
	if p == nil {
		return nil, policy.Kind{}, false
	}
	for _, a := range p.Actions() {
		does := gate.Effects(a)
		kind, ok := p.Kind(a.About)
		plain := !slices.ContainsFunc(a.Carries, func(f policy.Field) bool { return !slices.Contains([]string{"type", "check", "fingerprint"}, f.Name) })
		if ok && plain && len(kind.IdentifiedBy) > 0 && slices.Contains(does, gate.StartsAgain) && slices.Contains(does, gate.AddsAuthenticator) {
			return a, kind, true
		}
	}
	return nil, policy.Kind{}, false
}

// startAgain opens the action for which a new passkey was made. Nobody has
// proved anything by it: papers, two colleagues and three days follow.
func (s *Server) startAgain(ctx context.Context, tenant ringfence.TenantID, inv passkey.Invite, made ringfence.Authenticator) error {
	fields, err := s.cfg.Gate.Describe(ctx, tenant, inv.For, made.Subject, string(made.ID))
	if err != nil {
		return err
	}
	_, _, err = s.cfg.Gate.Open(ctx, tenant, gate.OpenRequest{Type: inv.For, Subject: made.Subject, Fields: fields, By: gate.Actor{Flow: "recovery"}})
	return err
}
