package web

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/recovery"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	onSubject struct {
		ID ringfence.SubjectID `path:"id" maxLength:"40"`
	}
	// authenticatorView shows that there is an authenticator, never what it
	// checks answers with.
	authenticatorView struct {
		ID       ringfence.AuthenticatorID   `json:"id"`
		Type     ringfence.AuthenticatorType `json:"type"`
		Lane     string                      `json:"lane,omitempty" doc:"handset, roaming or memory: what lives in one lane counts once"`
		Synced   bool                        `json:"synced,omitempty" doc:"a passkey that its maker keeps a copy of on other devices"`
		Left     *int                        `json:"codes_left,omitempty" doc:"recovery codes that were not used"`
		Since    time.Time                   `json:"since" doc:"from when on the gate counts its age"`
		Used     time.Time                   `json:"used,omitzero" doc:"when it last proved something, of the newest two hundred proofs"`
		Removed  time.Time                   `json:"removed,omitzero"`
		Failures int                         `json:"failures" doc:"in its whole life; 50 switch it off"`
		Check    string                      `json:"check,omitempty" doc:"of one that waits: six digits that its owner's page shows as well"`
		Status   ringfence.Status            `json:"status" doc:"pending counts for nothing yet; suspended and removed still count against a downgrade"`
	}
	mandateView struct {
		ID     string              `json:"id"`
		Person ringfence.SubjectID `json:"person" doc:"who may act"`
		Types  []string            `json:"types"`
		Limit  int64               `json:"limit" doc:"whole units of the base currency; 0 = no money"`
		Since  time.Time           `json:"since"`
		Until  time.Time           `json:"until"`
		Source string              `json:"source"`
		Status ringfence.Status    `json:"status"`
	}
	payeeView struct {
		Masked   string    `json:"masked" example:"…17"`
		Since    time.Time `json:"since"`
		Source   string    `json:"source" doc:"a release, or the import's own source"`
		Known    bool      `json:"known" doc:"old enough and not disputed: a payment to it is no first payment"`
		Disputed bool      `json:"disputed,omitempty"`
	}
	openChange struct {
		ID        ringfence.ReleaseID `json:"id"`
		Type      string              `json:"type"`
		Says      string              `json:"says"`
		Class     ringfence.Class     `json:"class"`
		State     gate.State          `json:"state"`
		HoldUntil time.Time           `json:"hold_until,omitzero"`
	}
	fileOut struct {
		Body struct {
			foundSubject
			Since          time.Time           `json:"since"`
			ContactPoints  []contactPointView  `json:"contact_points"`
			Authenticators []authenticatorView `json:"authenticators"`
			Mandates       []mandateView       `json:"mandates"`
			Payees         []payeeView         `json:"payees"`
			Open           []openChange        `json:"open" doc:"actions that are under way"`
			Changes        []changeView        `json:"changes" doc:"what may be asked for: each is an action of the policy"`
		}
	}
)

// fileAPI shows what is on file about one subject: what there is, how old it is
// by the gate's clock and how it stands. No secret, no whole number, no field of
// the record.
func (s *Server) fileAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/subjects/{id}", Summary: "What is on file about a subject, masked, with ages",
		Description: "An agent sees it while a call of theirs is about the subject."}, s.file)
}

func (s *Server) file(ctx context.Context, in *onSubject) (*fileOut, error) {
	p, out := who(ctx), &fileOut{}
	if !s.maySee(p, in.ID) {
		return nil, problem.New(problem.NotFound, "")
	}
	if err := s.lookups.spend(p.actor()); err != nil {
		return nil, err
	}
	err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		sub, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(in.ID))
		if err != nil {
			return err
		}
		b := &out.Body
		b.foundSubject, b.Since = s.found(p.tenant, sub), sub.StoredAt
		if tx, err = p.fileOf(ctx, tx, in.ID); err != nil {
			return err
		}
		if b.ContactPoints, err = contactPointsOf(ctx, tx, in.ID); err != nil {
			return err
		}
		if b.Authenticators, err = authenticatorsOf(ctx, tx, in.ID); err != nil {
			return err
		}
		if b.Mandates, err = mandatesOf(ctx, tx, in.ID); err != nil {
			return err
		}
		b.Payees, err = payeesOf(ctx, tx, in.ID)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) && s.fileOfNobody(p, in.ID, out) {
		out.Body.Changes = s.changesOf(p.tenant, out.Body.Kind)
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Body.Changes = s.changesOf(p.tenant, out.Body.Kind)
	out.Body.Open, err = s.openChanges(ctx, p.tenant, in.ID)
	return out, err
}

// fileOf is the directory as the principal may read it of a subject: to all but
// those who watch over calls, what was only done in appearance shows as done
// (invariant 26).
func (p principal) fileOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) (ledger.Tx, error) {
	if p.watches() {
		return tx, nil
	}
	return gate.Shown(ctx, tx, subject)
}

func contactPointsOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) ([]contactPointView, error) {
	points, err := verify.ContactPoints(ctx, tx, subject)
	out := []contactPointView{}
	for _, c := range points {
		out = append(out, contactPointView{ID: c.ID, Type: c.Type, Masked: masked(c.Value), Since: judgedFrom(c), Changed: c.ChangedAt,
			Verified: c.VerifiedAt, Removed: c.RemovedAt, Source: c.Source, Status: c.Status})
	}
	return out, err
}

func authenticatorsOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) ([]authenticatorView, error) {
	all, err := verify.Authenticators(ctx, tx, subject)
	if err != nil {
		return nil, err
	}
	used, err := lastUsed(ctx, tx, subject)
	out := []authenticatorView{}
	for _, one := range all {
		if one.Type == ringfence.AuthDuressPIN {
			continue // nobody is told that there is one (invariant 26)
		}
		v := authenticatorView{ID: one.ID, Type: one.Type, Lane: one.Lane, Since: one.BoundAt, Used: used[one.ID], Removed: one.RemovedAt, Failures: one.Failures,
			Synced: one.Type == ringfence.AuthPasskey && synced(one.Secret), Status: one.Status}
		if one.Type == ringfence.AuthRecovery {
			left := recovery.Left(one.Secret)
			v.Left = &left
		}
		if one.Status == ringfence.StatusPending {
			v.Check = gate.CheckDigits(gate.Fingerprint(one.Secret))
		}
		out = append(out, v)
	}
	return out, err
}

// usedAmong is among how many of a subject's newest proofs lastUsed looks.
const usedAmong = ledger.MaxPage

// lastUsed is when each authenticator of a subject last proved something.
func lastUsed(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) (map[ringfence.AuthenticatorID]time.Time, error) {
	recs, err := tx.List(ctx, ledger.KindEvidence, ledger.Query{Key: "subject", Value: string(subject), Desc: true, Limit: usedAmong})
	out := map[ringfence.AuthenticatorID]time.Time{}
	for _, rec := range recs {
		e, _, err := ledger.Read[ringfence.Evidence](ctx, tx, ledger.KindEvidence, rec.ID)
		if err != nil {
			return nil, err
		}
		if e.Authenticator != "" && e.At.After(out[e.Authenticator]) {
			out[e.Authenticator] = e.At
		}
	}
	return out, err
}

// synced reports a credential that may be kept on several devices (WebAuthn,
// backup eligibility).
func synced(credential ringfence.Secret) bool {
	var c struct {
		Flags struct {
			BackupEligible bool `json:"backupEligible"`
		} `json:"flags"`
	}
	return json.Unmarshal(credential, &c) == nil && c.Flags.BackupEligible
}

func mandatesOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) ([]mandateView, error) {
	rows, err := ledger.Rows[gate.Mandate](ctx, tx, gate.KindMandate, ledger.Query{Key: "subject", Value: string(subject)})
	out := []mandateView{}
	for _, m := range rows {
		out = append(out, mandateView{ID: m.ID, Person: m.Person, Types: append([]string{}, m.Types...), Limit: m.Limit, Since: m.Since, Until: m.Until,
			Source: m.Source, Status: m.Status})
	}
	return out, err
}

func payeesOf(ctx context.Context, tx ledger.Tx, subject ringfence.SubjectID) ([]payeeView, error) {
	rows, err := ledger.Rows[gate.Payee](ctx, tx, gate.KindPayee, ledger.Query{Key: "subject", Value: string(subject), Desc: true})
	out := []payeeView{}
	for _, one := range rows {
		out = append(out, payeeView{Masked: masked(one.Account), Since: one.Since, Source: one.Source, Known: one.Known(tx.Now()), Disputed: one.Disputed})
	}
	return out, err
}

func (s *Server) openChanges(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID) ([]openChange, error) {
	all, err := s.cfg.Gate.All(ctx, tenant, gate.Filter{Subject: subject})
	out := []openChange{}
	for _, r := range all {
		if r.State.BeforeRedeemed() {
			out = append(out, openChange{ID: r.ID, Type: r.Type, Says: r.Says, Class: r.Class, State: r.State, HoldUntil: r.HoldUntil})
		}
	}
	return out, err
}

// changeView is an action of the policy that changes what is on file.
type changeView struct {
	Action string          `json:"action"`
	Says   string          `json:"says"`
	Class  ringfence.Class `json:"class"`
	Does   []gate.Effect   `json:"does" enum:"adds_number,adds_email,adds_pin,adds_authenticator,removes_contact,removes_authenticator,resumes,grants_mandate,ends_mandate,starts_again"`
	Caller bool            `json:"caller_only" doc:"carries a secret that only the caller keys, on a call"`
	Fields []fieldType     `json:"fields"`
}

func (s *Server) changesOf(tenant ringfence.TenantID, kind ringfence.SubjectKind) []changeView {
	out := []changeView{}
	p := s.cfg.Policies.Current(tenant)
	if p == nil {
		return out
	}
	for _, a := range p.Actions() {
		does := gate.Effects(a)
		if a.About != kind || len(does) == 0 {
			continue
		}
		v := changeView{Action: a.Name, Says: a.Says, Class: a.Class, Does: does, Fields: []fieldType{}}
		for _, f := range a.Carries {
			v.Caller = v.Caller || callerKeys(f)
			v.Fields = append(v.Fields, fieldType{f.Name, f.Type.String()})
		}
		out = append(out, v)
	}
	return out
}

func callerKeys(f policy.Field) bool { return f.Type.Secret && f.Type.Base == policy.BaseDigits }
