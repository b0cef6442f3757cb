package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/pin"
)

// victimPIN, duressPIN and attackerPIN are telephone PINs; the second is keyed
// under pressure, the last is nobody's.
const (
	victimPIN   = "739261"
	duressPIN   = "158042"
	attackerPIN = "264917"
)

// openVictims hires staff and puts a subject on file for each attack.
func (w *drillWorld) openVictims(ctx context.Context, chosen []attack) error {
	var err error
	if w.staff.grace, err = w.hire(ctx, "Grace Hall", "grace@drill.example", "", []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk, ringfence.RoleSupervisor}); err != nil {
		return err
	}
	if w.staff.henry, err = w.hire(ctx, "Henry Moss", "henry@drill.example", "", []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleOps}); err != nil {
		return err
	}
	groups := approverGroups(w.bundle.Policy())
	for i, q := range w.openQueues() {
		if !slices.ContainsFunc(w.cfg.Queues, func(c config.Queue) bool { return c.Name == q && slices.Contains(c.People, laneEmail(i)) }) {
			continue
		}
		agent, err := w.hire(ctx, "Agent "+strings.ToUpper(string(rune('a'+i))), laneEmail(i), fmt.Sprintf("drill%d", i), []ringfence.Role{ringfence.RoleAgent}, groups...)
		if err != nil {
			return err
		}
		w.laneCount++
		w.lanes <- &lane{number: laneNumber(i), queue: q, agent: agent}
	}
	w.people.mallory = w.carrier.Person("Mallory", w.number(900))
	return w.importVictims(ctx, chosen)
}

// approverGroups are all that policy asks to approve. The agents of the drill
// are in each of them: what stops them from approving is not their role.
func approverGroups(p *policy.Policy) (out []string) {
	for _, a := range p.Actions() {
		if g := a.Approvals.Group; g != "" && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// number is the i-th telephone number of the drill's world, under the first
// prefix that the operator allows to be rung.
func (w *drillWorld) number(i int) string {
	prefix := "44"
	if p := w.operator.Verify.Prefixes; len(p) > 0 {
		prefix = digitsOf(p[0])
	}
	rest := fmt.Sprintf("7700900%03d", i)
	if room := 15 - len(prefix); len(rest) > room {
		rest = rest[len(rest)-max(room, 3):]
	}
	return prefix + rest
}

// importVictims stores a subject for each attack that wants one.
func (w *drillWorld) importVictims(ctx context.Context, chosen []attack) error {
	in, long := gate.Import{Source: "drill"}, time.Now().AddDate(-2, 0, 0)
	for _, a := range chosen {
		if a.victim == "" || w.victims[a.of()] != nil {
			continue
		}
		kind, ok := w.kindOf(a)
		if !ok {
			continue
		}
		c, err := w.victim(ctx, kind, len(w.victims)+1, a.victim, &in)
		if err != nil {
			return err
		}
		w.victims[a.of()] = c
		if slices.Contains([]string{"permit", "duress", "reject"}, a.of()) {
			w.knowPayee(c.subject, long, &in)
		}
	}
	if len(in.Subjects) == 0 {
		return nil
	}
	msg, err := gate.ImportMessage(ringfence.DefaultTenant, in)
	if err != nil {
		return err
	}
	sigs, err := w.signatures(ctx, "import", msg)
	if err != nil {
		return err
	}
	return w.app.gate.Import(ctx, ringfence.DefaultTenant, in, sigs...)
}

// knowPayee has the victim have paid the account of the main action before, so
// that the stage needs no more proofs than it plays.
func (w *drillWorld) knowPayee(subject ringfence.SubjectID, since time.Time, in *gate.Import) {
	main, err := w.mainAction()
	if err != nil {
		return // the stage says so
	}
	fields, account := w.fields(main, 1), ""
	for _, f := range main.Carries {
		if f.Type.Base == policy.BaseIBAN || f.Type.Base == policy.BaseAccount {
			account += "/" + fields[f.Name]
		}
	}
	if account != "" {
		in.Payees = append(in.Payees, gate.Payee{Subject: subject, Account: account, Since: since})
	}
}

// kindOf is the kind of subject that an attack is about.
func (w *drillWorld) kindOf(a attack) (policy.Kind, bool) {
	if a.stage == nil {
		return w.bundle.Policy().Kind("customer")
	}
	main, err := w.mainAction()
	if err != nil {
		return policy.Kind{}, false
	}
	return w.bundle.Policy().Kind(main.About)
}

// victim makes a subject with a number on file and what holds says: pin, duress,
// totp, passkey. Everything is as old as policy can ask for.
func (w *drillWorld) victim(ctx context.Context, kind policy.Kind, i int, holds string, in *gate.Import) (*customer, error) {
	long := time.Now().AddDate(-2, 0, 0)
	c := &customer{Person: w.carrier.Person(fmt.Sprintf("Victim %d", i), w.number(i)), subject: ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)}
	s := ringfence.Subject{ID: c.subject, Kind: kind.Name, Language: "en", Record: map[string]string{}}
	for _, f := range kind.Fields {
		s.Record[f.Name] = w.sample(f.Type, i)
	}
	if len(kind.IdentifiedBy) > 0 {
		c.account = s.Record[kind.IdentifiedBy[0]]
	}
	in.Subjects = append(in.Subjects, s)
	in.ContactPoints = append(in.ContactPoints, ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint),
		Subject: c.subject, Type: ringfence.ContactMobile, Value: c.Number, VerifiedAt: long, ChangedAt: long})
	w.provider.Lookups["+"+c.Number] = goodLookup(c.Number)
	add := func(a ringfence.Authenticator) {
		a.ID, a.Subject, a.BoundAt = ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), c.subject, long
		in.Authenticators = append(in.Authenticators, a)
	}
	if strings.Contains(holds, "pin") {
		choice := pin.Choice{PIN: ringfence.Secret(victimPIN), Own: []string{c.Number, c.account}}
		if strings.Contains(holds, "duress") {
			choice.Duress = ringfence.Secret(duressPIN)
		}
		secret, refused, err := w.app.verify.pin.Enrol(ctx, choice)
		if err != nil || refused != "" {
			return nil, errors.Join(err, fmt.Errorf("a PIN: %s", refused))
		}
		c.pin = victimPIN
		add(ringfence.Authenticator{Type: ringfence.AuthPIN, Secret: secret, Lane: "memory"})
	}
	if strings.Contains(holds, "totp") {
		c.seed = make([]byte, 20)
		if _, err := rand.Read(c.seed); err != nil {
			return nil, err
		}
		seed, err := otp.ImportSeed(ringfence.Secret(base32.StdEncoding.EncodeToString(c.seed)))
		if err != nil {
			return nil, err
		}
		add(ringfence.Authenticator{Type: ringfence.AuthTOTP, Secret: seed, Lane: "handset"})
	}
	if strings.Contains(holds, "passkey") {
		c.key = passkeytest.New(w.cfg.Web.Public.URL)
		made, err := w.makePasskey(ctx, c)
		if err != nil {
			return nil, err
		}
		made.BoundAt = long
		in.Authenticators = append(in.Authenticators, made)
	}
	return c, nil
}

// sample is the i-th value of a type.
func (w *drillWorld) sample(t policy.Type, i int) string {
	switch t.Base {
	case policy.BaseDigits:
		n := max(t.Min, 6)
		if t.Max > 0 {
			n = min(n, t.Max)
		}
		all := fmt.Sprintf("%032d", 40718200+37*i)
		return all[len(all)-n:]
	case policy.BaseMoney:
		return "25000 " + w.bundle.Policy().BaseCurrency()
	case policy.BaseNumber:
		return "1"
	case policy.BaseDate:
		return time.Now().AddDate(0, 0, 7).Format(time.DateOnly)
	case policy.BaseOneOf:
		return t.OneOf[0]
	case policy.BaseIBAN:
		return "GB82WEST12345698765432"
	case policy.BaseAccount:
		return fmt.Sprintf("%08d", 11223300+i)
	case policy.BaseTN:
		return w.number(800 + i)
	case policy.BaseEmail:
		return fmt.Sprintf("victim%d@drill.example", i)
	default:
		return "Nova"
	}
}

// fields fills in an action; i makes two fillings different.
func (w *drillWorld) fields(a *policy.Action, i int) map[string]string {
	out := map[string]string{}
	for _, f := range a.Carries {
		out[f.Name] = w.sample(f.Type, i)
	}
	return out
}

// drillCall is a live call of Mallory's with an agent, who was told that the
// victim is on the line, and has opened the main action for them.
type drillCall struct {
	*lane
	line, desk *lab.Line
	live       ringfence.LiveCall
	victim     *customer
	main       *policy.Action
	release    lab.Release
}

// begun has Mallory call an agent with her own number, well signed.
func (w *drillWorld) begun(ctx context.Context, l *lane, main *policy.Action, victim *customer) (_ *drillCall, err error) {
	c := &drillCall{lane: l, main: main, victim: victim}
	defer func() {
		if err != nil {
			c.end()
		}
	}()
	if c.line, err = w.people.mallory.Call(context.WithoutCancel(ctx), lab.Dial{To: c.number, Attest: ringfence.AttestFull}); err != nil {
		return nil, err
	}
	if c.live, c.desk, err = w.pickUp(ctx, c.agent); err != nil {
		return nil, err
	}
	if err = c.agent.Identify(ctx, c.live.Traversal, main.About, w.contactOf(main), victim.account); err != nil {
		return nil, fmt.Errorf("the agent picks the victim from the directory: %w", err)
	}
	c.release, err = c.open(ctx, main, w.fields(main, 1))
	return c, err
}

func (c *drillCall) end() {
	for _, l := range []*lab.Line{c.line, c.desk} {
		if l != nil {
			l.Hangup()
		}
	}
}

// open has the agent open an action on the call.
func (c *drillCall) open(ctx context.Context, a *policy.Action, fields map[string]string) (lab.Release, error) {
	r, err := c.agent.Open(ctx, lab.Action{Type: a.Name, Fields: fields, Traversal: c.live.Traversal, AskedBy: "phone"})
	if err != nil {
		return r, fmt.Errorf("the agent opens %s: %w", a.Name, err)
	}
	return r, nil
}
