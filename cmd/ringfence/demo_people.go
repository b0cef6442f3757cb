package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/pin"
)

// The addresses of the demo's staff.
const (
	emailGrace = "grace@acme.example"
	emailHenry = "henry@acme.example"
	emailAlice = "alice@acme.example"
	emailClara = "clara@acme.example"
	emailFrank = "frank@acme.example"
	emailYou   = "you@acme.example"
)

// demoStaff is the firm's staff in front of the console.
type demoStaff struct {
	grace, henry *colleague // the two built-in persons
	alice, clara *colleague // agents
	frank        *colleague // fraud desk
}

// colleague is a member of staff with a passkey and, for agents, a telephone.
type colleague struct {
	*lab.Staff
	person ringfence.Person
	key    *passkeytest.Authenticator
	desk   *lab.Person
}

// customer is a subject with a telephone, and what they know and hold.
type customer struct {
	*lab.Person
	subject ringfence.SubjectID
	account string
	pin     string
	key     *passkeytest.Authenticator
	seed    []byte // of the authenticator app
}

// demoPeople are the subjects, and who pretends to be one.
type demoPeople struct {
	ada     *customer // holds a passkey
	ben     *customer // holds an authenticator app only
	david   *customer // the finance director, known by the number on file
	mallory *lab.Person
}

// openPeople makes staff, has the two built-in persons sign everybody else and
// the first import, and signs everybody in.
func (d *demo) openPeople(ctx context.Context) error {
	var err error
	if d.staff.grace, err = d.hire(ctx, "Grace Hall", emailGrace, "", []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk, ringfence.RoleSupervisor}); err != nil {
		return err
	}
	if d.staff.henry, err = d.hire(ctx, "Henry Moss", emailHenry, "", []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleOps}, "payments_manager"); err != nil {
		return err
	}
	agents := []struct {
		at          **colleague
		name, email string
		desk        string
	}{
		{&d.staff.alice, "Alice Reed", emailAlice, "alice"},
		{&d.staff.clara, "Clara Webb", emailClara, "clara"},
		{&d.staff.frank, "Frank Ito", emailFrank, "frank"},
	}
	for _, a := range agents {
		if *a.at, err = d.hire(ctx, a.name, a.email, a.desk, []ringfence.Role{ringfence.RoleAgent}); err != nil {
			return err
		}
	}
	if err := d.importSubjects(ctx); err != nil {
		return err
	}
	d.people.mallory = d.carrier.Person("Mallory", "447700900666")
	return nil
}

// hire makes a member of staff and has them make their passkey on the
// invitation and sign in. The third and later ones are signed for by the two
// built-in persons, of whom one confirms their passkey.
func (d *demo) hire(ctx context.Context, name, email, desk string, roles []ringfence.Role, groups ...string) (*colleague, error) {
	p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: name, Email: email, Roles: roles, Groups: groups}
	c := &colleague{key: passkeytest.New(d.cfg.Web.Staff.URL)}
	if desk != "" {
		c.desk = d.office.Person(name, desk)
		p.Place = d.office.URI(desk)
	}
	link, err := d.invite(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.Staff = lab.NewStaff(name, d.cfg.Web.Staff.URL, c.key, d.t.event)
	if err := c.Join(ctx, link); err != nil {
		return nil, fmt.Errorf("%s makes a passkey: %w", name, err)
	}
	if c.Check != "" {
		if err := d.staff.grace.Confirm(ctx, p.ID, c.Check); err != nil {
			return nil, fmt.Errorf("the passkey of %s is confirmed: %w", name, err)
		}
	}
	if err := c.Login(ctx); err != nil {
		return nil, fmt.Errorf("%s signs in: %w", name, err)
	}
	c.person, err = d.app.personByEmail(ctx, ringfence.DefaultTenant, email)
	return c, err
}

// invite stores a person, signed by the built-in ones once there are two, and
// returns the link for their passkey.
func (d *demo) invite(ctx context.Context, p ringfence.Person) (string, error) {
	if err := d.addPerson(ctx, p); err != nil {
		return "", err
	}
	return d.app.invite(ctx, ringfence.DefaultTenant, p)
}

func (d *demo) addPerson(ctx context.Context, p ringfence.Person) error {
	var sigs []gate.Signature
	if d.staff.henry != nil {
		msg, err := gate.PersonMessage(ringfence.DefaultTenant, p)
		if err != nil {
			return err
		}
		if sigs, err = d.signatures(ctx, "person", msg); err != nil {
			return err
		}
	}
	_, err := d.app.gate.PutPerson(ctx, ringfence.DefaultTenant, p, sigs...)
	return err
}

// signatures has the two built-in persons sign a message with their passkeys.
func (d *demo) signatures(ctx context.Context, purpose string, msg [32]byte) ([]gate.Signature, error) {
	var out []gate.Signature
	for _, c := range []*colleague{d.staff.grace, d.staff.henry} {
		handle, options, err := d.app.verify.staff.BeginSign(ctx, ringfence.DefaultTenant, c.person.ID, purpose, msg)
		if err != nil {
			return nil, err
		}
		response, err := c.key.Assert(options)
		if err != nil {
			return nil, err
		}
		sig, ok, err := d.app.verify.staff.FinishSign(ctx, ringfence.DefaultTenant, c.person.ID, purpose, msg, handle, response)
		if err != nil || !ok {
			return nil, errors.Join(err, fmt.Errorf("the signature of %s does not verify", c.Name))
		}
		assertion, err := json.Marshal(sig)
		if err != nil {
			return nil, err
		}
		out = append(out, gate.Signature{Person: c.person.ID, Authenticator: sig.Authenticator, Assertion: assertion})
	}
	return out, nil
}

// importSubjects stores the firm's customers and contacts by a first import.
func (d *demo) importSubjects(ctx context.Context) error {
	long := time.Now().AddDate(-2, 0, 0)
	in := gate.Import{Source: "customer register of Acme"}
	point := func(c *customer) {
		in.ContactPoints = append(in.ContactPoints, ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint),
			Subject: c.subject, Type: ringfence.ContactMobile, Value: c.Number, VerifiedAt: long, ChangedAt: long})
		d.provider.Lookups["+"+c.Number] = goodLookup(c.Number)
	}
	authenticator := func(c *customer, typ ringfence.AuthenticatorType, secret ringfence.Secret) {
		in.Authenticators = append(in.Authenticators, ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator),
			Subject: c.subject, Type: typ, Secret: secret, Lane: "handset", BoundAt: long})
	}
	people := &d.people
	people.ada = &customer{Person: d.carrier.Person("Ada Bell", "447700900123"), account: "40718293", pin: "739261", key: passkeytest.New(d.cfg.Web.Public.URL)}
	people.ben = &customer{Person: d.carrier.Person("Ben Okri", "447700900124"), account: "40718301", pin: "582694", seed: make([]byte, 20)}
	people.david = &customer{Person: d.carrier.Person("David Stone", "447700900777")}
	for _, c := range []*customer{people.ada, people.ben, people.david} {
		c.subject = ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
		s := ringfence.Subject{ID: c.subject, Kind: "customer", Language: "en", Record: map[string]string{"first_name": firstName(c.Name)}}
		if c == people.david {
			s.Kind, s.Record["company"], s.Record["contact_number"] = "contact", demoFirm, demoDirector
		} else {
			s.Record["account"], s.Record["balance"], s.Record["balance_band"] = c.account, "234500 GBP", "between one thousand and five thousand pounds"
		}
		in.Subjects = append(in.Subjects, s)
		point(c)
		if c.pin == "" {
			continue
		}
		secret, refused, err := d.app.verify.pin.Enrol(ctx, pin.Choice{PIN: ringfence.Secret(c.pin), Own: []string{c.Number, c.account}})
		if err != nil || refused != "" {
			return errors.Join(err, fmt.Errorf("the PIN of %s: %s", c.Name, refused))
		}
		authenticator(c, ringfence.AuthPIN, secret)
	}
	if _, err := rand.Read(people.ben.seed); err != nil {
		return err
	}
	seed, err := otp.ImportSeed(ringfence.Secret(base32.StdEncoding.EncodeToString(people.ben.seed)))
	if err != nil {
		return err
	}
	authenticator(people.ben, ringfence.AuthTOTP, seed)
	made, err := d.makePasskey(ctx, people.ada)
	if err != nil {
		return err
	}
	made.BoundAt = long
	in.Authenticators = append(in.Authenticators, made)
	msg, err := gate.ImportMessage(ringfence.DefaultTenant, in)
	if err != nil {
		return err
	}
	sigs, err := d.signatures(ctx, "import", msg)
	if err != nil {
		return err
	}
	return d.app.gate.Import(ctx, ringfence.DefaultTenant, in, sigs...)
}

// makePasskey has a customer make a passkey for the import, with the ceremony
// that the enrolment page runs.
func (d *demo) makePasskey(ctx context.Context, c *customer) (made ringfence.Authenticator, err error) {
	keep := passkey.EnrolFunc(func(_ context.Context, _ verify.Tx, a ringfence.Authenticator) error {
		made = a
		return nil
	})
	reg, err := passkey.NewRegistrar(d.app.store, d.app.verify.callerRP, keep)
	if err != nil {
		return made, err
	}
	token, err := reg.Invite(ctx, ringfence.DefaultTenant, string(c.subject), c.Name, d.staff.grace.person.ID)
	if err != nil {
		return made, err
	}
	options, ok, err := reg.Begin(ctx, ringfence.DefaultTenant, token)
	if err != nil || !ok {
		return made, errors.Join(err, errors.New("the invitation is not open"))
	}
	response, err := c.key.Register(options)
	if err != nil {
		return made, err
	}
	_, ok, err = reg.Finish(ctx, ringfence.DefaultTenant, token, response)
	if err == nil && !ok {
		err = errors.New("the passkey was not taken")
	}
	return made, err
}

// goodLookup is what a network says of a number whose SIM was not changed for
// years and whose calls are not forwarded.
func goodLookup(number string) string {
	return fmt.Sprintf(`{"phone_number":"+%s","valid":true,
 "sim_swap":{"last_sim_swap":{"last_sim_swap_date":"2019-04-27T10:18:50Z","swapped_period":"PT72H","swapped_in_period":false},"error_code":null},
 "call_forwarding":{"call_forwarding_enabled":false,"error_code":null},
 "line_type_intelligence":{"type":"mobile","error_code":null}}`, number)
}

func firstName(name string) string {
	for i := range len(name) {
		if name[i] == ' ' {
			return name[:i]
		}
	}
	return name
}

// evidence lists what was proved for a release, from the records.
func (d *demo) evidence(ctx context.Context, r lab.Release) ([]ringfence.Evidence, error) {
	rel, err := d.app.gate.Lookup(ctx, ringfence.DefaultTenant, r.ID)
	if err != nil {
		return nil, err
	}
	var out []ringfence.Evidence
	err = d.app.store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		out = nil
		for _, id := range rel.Evidence {
			e, _, err := ledger.Read[ringfence.Evidence](ctx, tx, ledger.KindEvidence, string(id))
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}
