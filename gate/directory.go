package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Signature is one person's passkey over a message of this room.
type Signature struct {
	Person        ringfence.PersonID
	Authenticator ringfence.AuthenticatorID
	// Key names an enrolled command-line key instead of a passkey. Only an epoch
	// takes one: there may be no console to sign it in.
	Key       string
	Assertion []byte
}

// Import is subjects with everything about them. The first one, before any
// release was opened, is the only way to carry an old verified_at, changed_at
// or bound_at from its source; in a later one every clock starts now, and
// only subjects that are new may stand in it.
type Import struct {
	// Source is who says so: "crm export of 2026-11-20". A contact point, payee
	// or mandate that names a source of its own keeps it.
	Source         string
	Subjects       []ringfence.Subject
	ContactPoints  []ringfence.ContactPoint
	Authenticators []ringfence.Authenticator
	Payees         []Payee
	Mandates       []Mandate
}

// ImportMessage is the 32 bytes that two persons sign.
func ImportMessage(tenant ringfence.TenantID, in Import) ([32]byte, error) {
	return message("import", tenant, in)
}

// PersonMessage is the 32 bytes that two persons sign to add or change staff.
func PersonMessage(tenant ringfence.TenantID, p ringfence.Person) ([32]byte, error) {
	p.Since, p.StoredAt, p.Status, p.Tenant, p.Founder = time.Time{}, time.Time{}, "", "", false
	return message("person", tenant, p)
}

func message(what string, tenant ringfence.TenantID, v any) ([32]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return [32]byte{}, fmt.Errorf("gate: %s: %v", what, err)
	}
	return sha256.Sum256(append([]byte("ringfence/"+what+"/v1\x00"+string(tenant)+"\x00"), body...)), nil
}

// desk is the directory in the hand of one transaction.
type desk struct {
	g      *Gate
	ctx    context.Context
	tx     ledger.Tx
	tenant ringfence.TenantID
	now    time.Time
}

func (g *Gate) desk(ctx context.Context, tenant ringfence.TenantID, f func(desk) error) error {
	return g.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		return f(desk{g: g, ctx: ctx, tx: tx, tenant: tenant, now: tx.Now()})
	})
}

// signed admits want different persons who may sign: active, past their
// waiting time, of one of the roles, each with their own passkey.
func (d desk) signed(msg [32]byte, want int, sigs []Signature, roles ...ringfence.Role) error {
	seen := map[ringfence.PersonID]bool{}
	for _, s := range sigs {
		p, _, err := ledger.Read[ringfence.Person](d.ctx, d.tx, ledger.KindPerson, string(s.Person))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		keys, err2 := ledger.Rows[ringfence.Authenticator](d.ctx, d.tx, ledger.KindAuthenticator, bySubject(s.Person))
		if err2 != nil {
			return err2
		}
		i := slices.IndexFunc(keys, func(a ringfence.Authenticator) bool { return a.ID == s.Authenticator })
		may := slices.ContainsFunc(roles, func(r ringfence.Role) bool { return p.Has(r, d.now) })
		if err != nil || i < 0 || !may || d.g.cfg.CheckApproval == nil || keys[i].Status != ringfence.StatusActive ||
			!passkeyCounts(keys, keys[i], d.now, d.wait()) || d.g.cfg.CheckApproval(d.ctx, keys[i], msg, s.Assertion) != nil {
			return ErrForbidden
		}
		seen[s.Person] = true
	}
	if len(seen) < want {
		return ErrForbidden
	}
	return nil
}

// wait is how long new staff wait before they may approve or sign.
func (d desk) wait() time.Duration {
	if w, ok := d.g.cfg.Policies.Current(d.tenant).Waived("", policy.WaiveStaffWait, d.now); ok {
		return min(staffWait, w.Duration())
	}
	return staffWait
}

func (d desk) empty(kind ledger.Kind) (bool, error) {
	recs, err := d.tx.List(d.ctx, kind, ledger.Query{Limit: 1})
	return len(recs) == 0, err
}

func (d desk) put(kind ledger.Kind, id string, version int64, subject ringfence.SubjectID, keys map[string]string, row any) error {
	rec := ledger.Record{Kind: kind, ID: id, Version: version, Subject: subject, Keys: keys, Sort: d.now.UnixNano()}
	err := ledger.Write(d.ctx, d.tx, &rec, row)
	if errors.Is(err, ledger.ErrConflict) {
		return &InvalidError{Field: id, Says: "is on file already; change it by an action"}
	}
	return err
}

func (d desk) entry(event ledger.Event, subject ringfence.SubjectID, object string, sigs []Signature, data map[string]string) error {
	e := ledger.Entry{Event: event, Subject: subject, Object: object, Data: data}
	if len(sigs) > 0 {
		e.Person = sigs[0].Person
	}
	for i, s := range sigs {
		if data != nil {
			sum := sha256.Sum256(s.Assertion)
			data[fmt.Sprintf("signed_%d", i+1)] = string(s.Person) + " " + ringfence.Digest(sum).String()
		}
	}
	_, err := d.tx.Append(d.ctx, e)
	return err
}

// Import stores subjects, contact points, authenticators, payees and
// mandates, signed by two different persons with role admin, ops or risk over
// ImportMessage. Nothing on file is changed by it.
func (g *Gate) Import(ctx context.Context, tenant ringfence.TenantID, in Import, sigs ...Signature) error {
	msg, err := ImportMessage(tenant, in)
	if err != nil {
		return err
	}
	if in.Source == "" {
		return &InvalidError{Field: "source", Says: "is missing"}
	}
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.signed(msg, 2, sigs, ringfence.RoleAdmin, ringfence.RoleOps, ringfence.RoleRisk); err != nil {
			return err
		}
		first, err := d.empty(KindRelease)
		if err != nil {
			return err
		}
		known := map[ringfence.SubjectID]bool{}
		for _, s := range in.Subjects {
			known[s.ID] = true
			if err := d.subject(s); err != nil {
				return err
			}
		}
		if err := d.details(in, first, known); err != nil {
			return err
		}
		return d.entry("reference.imported", "", "", sigs, map[string]string{"source": in.Source, "sha256": ringfence.Digest(msg).String(),
			"subjects": fmt.Sprint(len(in.Subjects)), "contact_points": fmt.Sprint(len(in.ContactPoints)),
			"authenticators": fmt.Sprint(len(in.Authenticators)), "first": fmt.Sprint(first)})
	})
}

// details stores what hangs on the subjects. since keeps a source's date in
// the first import and is now in any other; a date of the future is now.
func (d desk) details(in Import, first bool, known map[ringfence.SubjectID]bool) (err error) {
	since := func(at time.Time) time.Time {
		if !first || at.IsZero() || at.After(d.now) {
			return d.now
		}
		return at
	}
	for _, c := range in.ContactPoints {
		c.Tenant, c.StoredAt, c.Status = d.tenant, d.now, ringfence.StatusActive
		if c.Source, err = sourceOf(c.Source, in); err != nil {
			return err
		}
		c.ChangedAt, c.RemovedAt = since(c.ChangedAt), time.Time{}
		if c.VerifiedAt = since(c.VerifiedAt); c.ChangedAt.Before(c.VerifiedAt) {
			c.ChangedAt = c.VerifiedAt
		}
		if err := d.addContact(c, known); err != nil {
			return err
		}
	}
	for _, a := range in.Authenticators {
		a.Tenant, a.StoredAt, a.Status = d.tenant, d.now, ringfence.StatusActive
		a.BoundAt, a.RemovedAt, a.Failures = since(a.BoundAt), time.Time{}, 0
		if !known[a.Subject] || !ringfence.ValidID(string(a.ID), ringfence.PrefixAuthenticator) {
			return &InvalidError{Field: string(a.ID), Says: "is no authenticator of a subject of this import"}
		}
		if err := d.addAuthenticator(a, map[string]string{}); err != nil {
			return err
		}
	}
	for _, p := range in.Payees {
		p.Since = since(p.Since)
		if p.Source, err = sourceOf(p.Source, in); err != nil {
			return err
		}
		if !known[p.Subject] {
			return &InvalidError{Field: "payees", Says: "name a subject that is not in this import"}
		}
		if err := putPayee(d.ctx, d.tx, p, 0); err != nil {
			return err
		}
	}
	for _, m := range in.Mandates {
		m.Since, m.Status = since(m.Since), ringfence.StatusActive
		if m.Source, err = sourceOf(m.Source, in); err != nil {
			return err
		}
		if !known[m.Subject] || m.ID == "" {
			return &InvalidError{Field: "mandates", Says: "name a subject that is not in this import, or have no id"}
		}
		if err := d.put(KindMandate, m.ID, 0, m.Subject, map[string]string{"subject": string(m.Subject)}, m); err != nil {
			return err
		}
		if err := d.entry("mandate.added", m.Subject, m.ID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// sourceOf is a row's own source, or that of the whole import. No import may
// look like a release.
func sourceOf(own string, in Import) (string, error) {
	if ringfence.ValidID(own, ringfence.PrefixRelease) {
		return "", &InvalidError{Field: "source", Says: "is the name of a release"}
	}
	return cmp.Or(own, in.Source), nil
}

func (d desk) subject(s ringfence.Subject) error {
	p := d.g.cfg.Policies.Current(d.tenant)
	if p == nil {
		return errors.New("gate: no policy is in force")
	}
	kind, ok := p.Kind(s.Kind)
	if !ok || !ringfence.ValidID(string(s.ID), ringfence.PrefixSubject) {
		return &InvalidError{Field: string(s.ID), Says: "is no subject of a kind of the policy"}
	}
	for name, v := range s.Record {
		t, ok := kind.Field(name)
		if !ok {
			return &InvalidError{Field: name, Says: "is no field of " + string(kind.Name)}
		}
		if says := checkValue(t, v); says != "" {
			return &InvalidError{Field: name, Says: says}
		}
	}
	keys := map[string]string{"kind": string(s.Kind)}
	for _, name := range kind.IdentifiedBy {
		if v := s.Record[name]; v != "" {
			keys[string(s.Kind)+":"+name] = v
			twin, err := d.tx.List(d.ctx, ledger.KindSubject, ledger.Query{Key: string(s.Kind) + ":" + name, Value: v, Limit: 1})
			if err != nil {
				return err
			}
			if len(twin) > 0 {
				return &InvalidError{Field: name, Says: "belongs to another subject already"}
			}
		}
	}
	for _, f := range kind.Fields {
		if f.Type.Base == policy.BaseName {
			for _, word := range NameWords(s.Record[f.Name]) {
				keys[NameKey(word)] = string(s.Kind)
			}
		}
	}
	s.Tenant, s.StoredAt, s.Status = d.tenant, d.now, ringfence.StatusActive
	return d.put(ledger.KindSubject, string(s.ID), 0, s.ID, keys, s)
}

func (d desk) addContact(c ringfence.ContactPoint, known map[ringfence.SubjectID]bool) error {
	typ := policy.Type{Base: policy.BaseTN}
	switch c.Type {
	case ringfence.ContactMobile, ringfence.ContactLandline:
	case ringfence.ContactEmail:
		typ.Base = policy.BaseEmail
	case ringfence.ContactPost:
		typ.Base = policy.BaseText
	default:
		return &InvalidError{Field: string(c.ID), Says: "want mobile, landline, email or post"}
	}
	if says := checkValue(typ, c.Value); says != "" {
		return &InvalidError{Field: string(c.ID), Says: says}
	}
	if !known[c.Subject] || !ringfence.ValidID(string(c.ID), ringfence.PrefixContactPoint) {
		return &InvalidError{Field: string(c.ID), Says: "is no contact point of a subject of this import"}
	}
	if err := d.putContact(c, 0); err != nil {
		return err
	}
	data := map[string]string{"type": string(c.Type)}
	if ringfence.ValidID(c.Source, ringfence.PrefixRelease) { // what no import may say
		data["release"] = c.Source
	}
	return d.entry("contact_point.added", c.Subject, string(c.ID), nil, data)
}

func (d desk) putContact(c ringfence.ContactPoint, version int64) error {
	return d.put(ledger.KindContactPoint, string(c.ID), version, c.Subject,
		map[string]string{"subject": string(c.Subject), "value": c.Value}, c)
}

func (d desk) addAuthenticator(a ringfence.Authenticator, data map[string]string) error {
	if err := d.putAuthenticator(a, 0); err != nil {
		return err
	}
	data["type"] = string(a.Type)
	return d.entry("authenticator.added", a.Subject, string(a.ID), nil, data)
}

func (d desk) putAuthenticator(a ringfence.Authenticator, version int64) error {
	return d.put(ledger.KindAuthenticator, string(a.ID), version, a.Subject, map[string]string{"subject": string(a.Subject)}, a)
}

func putPayee(ctx context.Context, tx ledger.Tx, p Payee, version int64) error {
	rec := ledger.Record{Kind: KindPayee, ID: payeeID(p.Subject, p.Account), Version: version, Subject: p.Subject,
		Keys: map[string]string{"subject": string(p.Subject)}, Sort: p.Since.UnixNano()}
	return ledger.Write(ctx, tx, &rec, p)
}

// PutPerson adds a member of staff, or changes roles, groups, team or place.
// It takes the signatures of two persons with role admin or risk over
// PersonMessage, and the account may approve or sign 24 hours later. The
// first two persons, before any subject is stored, need neither.
func (g *Gate) PutPerson(ctx context.Context, tenant ringfence.TenantID, p ringfence.Person, sigs ...Signature) (ringfence.Person, error) {
	if !ringfence.ValidID(string(p.ID), ringfence.PrefixPerson) {
		return p, &InvalidError{Field: "id", Says: "is no identifier of a person"}
	}
	msg, err := PersonMessage(tenant, p)
	if err != nil {
		return p, err
	}
	out := p
	err = g.desk(ctx, tenant, func(d desk) error {
		p := p
		exempt, err := d.firstTwo(p.ID)
		if err != nil {
			return err
		}
		p.Tenant, p.StoredAt, p.Status, p.Since, p.Founder = tenant, d.now, ringfence.StatusActive, d.now, exempt
		if !exempt {
			want := 2
			if g.cfg.SingleOperator {
				want = 1
			}
			if err := d.signed(msg, want, sigs, keepers...); err != nil {
				return err
			}
			p.Since = d.now.Add(d.wait())
		}
		old, version, err := ledger.Read[ringfence.Person](ctx, d.tx, ledger.KindPerson, string(p.ID))
		event := ledger.Event("person.added")
		if err == nil {
			event, p.StoredAt, p.Founder = "person.changed", old.StoredAt, exempt || old.Founder
		} else if !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err := d.oneAccount(p); err != nil {
			return err
		}
		out = p
		if err := d.put(ledger.KindPerson, string(p.ID), version, "", map[string]string{"email": p.Email, "place": p.Place}, p); err != nil {
			return err
		}
		return d.entry(event, "", string(p.ID), sigs, map[string]string{"roles": fmt.Sprint(p.Roles), "groups": fmt.Sprint(p.Groups),
			"since": p.Since.UTC().Format(time.RFC3339), "exempt": fmt.Sprint(exempt)})
	})
	return out, err
}

// oneAccount refuses a second account under the address of another: persons
// approve, not accounts (invariant 13), and whoever left comes back as who they
// were.
func (d desk) oneAccount(p ringfence.Person) error {
	if p.Email == "" {
		return nil
	}
	all, err := ledger.Rows[ringfence.Person](d.ctx, d.tx, ledger.KindPerson, ledger.Query{})
	for _, o := range all {
		if o.ID != p.ID && strings.EqualFold(o.Email, p.Email) {
			return &InvalidError{Field: "email", Says: "is that of another member of staff, who may be suspended: change that account"}
		}
	}
	return err
}

// firstTwo reports that the person may be made without signatures: fewer
// than two others are there and no subject is stored.
func (d desk) firstTwo(id ringfence.PersonID) (bool, error) {
	none, err := d.empty(ledger.KindSubject)
	if err != nil || !none {
		return false, err
	}
	recs, err := d.tx.List(d.ctx, ledger.KindPerson, ledger.Query{Limit: 3})
	others := slices.DeleteFunc(recs, func(r ledger.Record) bool { return r.ID == string(id) })
	return len(others) < 2, err
}

// SuspendPerson takes every role from a member of staff, at once and by one
// person with role admin or risk: stopping never waits. also runs in the same
// transaction; nil does nothing.
func (g *Gate) SuspendPerson(ctx context.Context, tenant ringfence.TenantID, id, by ringfence.PersonID, also func(context.Context, ledger.Tx) error) error {
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.keeper(by); err != nil {
			return err
		}
		p, version, err := ledger.Read[ringfence.Person](ctx, d.tx, ledger.KindPerson, string(id))
		if err != nil {
			return err
		}
		p.Status = ringfence.StatusSuspended
		if err := d.put(ledger.KindPerson, string(id), version, "", map[string]string{"email": p.Email, "place": p.Place}, p); err != nil {
			return err
		}
		if also != nil {
			if err := also(ctx, d.tx); err != nil {
				return err
			}
		}
		return d.entry("person.suspended", "", string(id), []Signature{{Person: by}}, nil)
	})
}
