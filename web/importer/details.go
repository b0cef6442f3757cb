package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/pin"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// contacts takes the numbers and the address.
func (j *judge) contacts(w row, subject ringfence.SubjectID, source string, verified time.Time, fault func(string, string)) []ringfence.ContactPoint {
	if j.numbers == nil {
		j.numbers = map[string]int{}
	}
	var out []ringfence.ContactPoint
	for _, typ := range []ringfence.ContactType{ringfence.ContactMobile, ringfence.ContactLandline, ringfence.ContactEmail} {
		column := string(typ)
		v := w.cells[column]
		if v == "" {
			continue
		}
		says := ""
		if typ == ringfence.ContactEmail {
			says = gate.CheckValue(policy.Type{Base: policy.BaseEmail}, v)
		} else {
			v, says = number(typ, v)
		}
		if says == "" && slices.ContainsFunc(out, func(c ringfence.ContactPoint) bool { return c.Value == v }) {
			says = "is the same number as in another column: write it once"
		}
		if says != "" {
			fault(column, says)
			continue
		}
		if line, shared := j.numbers[v]; shared {
			j.report.note(w.line, column, fmt.Sprintf("is also that of line %d: whoever holds it can answer for both", line))
		}
		j.numbers[v] = w.line
		out = append(out, ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint),
			Subject: subject, Type: typ, Value: v, Source: source, VerifiedAt: verified})
	}
	return out
}

// number reads an international number, written with plus and as people
// write it, into digits.
func number(typ ringfence.ContactType, v string) (tn, says string) {
	const form = "want a number with plus and country code, such as +44 20 7946 0000"
	if !strings.HasPrefix(v, "+") || strings.ContainsFunc(v, func(r rune) bool { return !strings.ContainsRune("+0123456789 -()./", r) }) {
		return "", form
	}
	n, err := phonenumbers.Parse(v, "")
	if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return "", form
	}
	switch t := phonenumbers.GetNumberType(n); {
	case t == phonenumbers.FIXED_LINE && typ == ringfence.ContactMobile:
		return "", "is a landline: put it into that column"
	case t == phonenumbers.MOBILE && typ == ringfence.ContactLandline:
		return "", "is a mobile: put it into that column"
	case t == phonenumbers.PREMIUM_RATE || t == phonenumbers.SHARED_COST:
		return "", "is a premium number, which is never rung: leave it out"
	}
	tn = strings.TrimPrefix(phonenumbers.Format(n, phonenumbers.E164), "+")
	if gate.CheckValue(policy.Type{Base: policy.BaseTN}, tn) != "" {
		return "", form
	}
	return tn, ""
}

// authenticators takes the PIN and the seed of an authenticator app.
func (j *judge) authenticators(w row, kind policy.Kind, s ringfence.Subject, label string, points []ringfence.ContactPoint, fault func(string, string)) ([]ringfence.Authenticator, []Made) {
	bound := j.date(w.cells[colBound], colBound, fault)
	var out []ringfence.Authenticator
	var made []Made
	carried := 0
	add := func(column string, typ ringfence.AuthenticatorType, toMake string, take func(ringfence.Secret) (ringfence.Secret, error), says string) {
		v := w.cells[column]
		if v == "" {
			return
		}
		a := ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Subject: s.ID, Type: typ, Lane: "handset"}
		switch {
		case kind.Counterparty:
			fault(column, "cannot be given to a "+string(kind.Name)+", who is reached through a company number: leave it out")
			return
		case v == toMake:
			made = append(made, Made{Index: len(out), Label: label, Own: own(s, points)})
		default:
			var err error
			if a.Secret, err = take(ringfence.Secret(v)); err != nil {
				fault(column, says)
				return
			}
			a.BoundAt = bound
			carried++
		}
		out = append(out, a)
	}
	add(colPIN, ringfence.AuthPIN, "random", pin.ImportRecord,
		"want random, for a first PIN that is shown once, or the argon2id record of an installation with the same pepper; never a PIN itself")
	add(colTOTP, ringfence.AuthTOTP, "new", j.seed(w.line),
		"want new, or a base32 seed of 128 bits or more that stands for one subject only")
	if !bound.IsZero() && carried == 0 {
		fault(colBound, "stands without a PIN record or seed that was bound then: leave it out; what is made now is bound now")
	}
	if j.report.Made += len(made); j.report.Made > MaxMade && j.report.Made-len(made) <= MaxMade {
		fault("", fmt.Sprintf("asks for more than %d new PINs and seeds, each of which a person has to hand over: split the file", MaxMade))
	}
	return out, made
}

// seed refuses one seed for two subjects: a code would then prove neither.
func (j *judge) seed(line int) func(ringfence.Secret) (ringfence.Secret, error) {
	return func(v ringfence.Secret) (ringfence.Secret, error) {
		s, err := otp.ImportSeed(v)
		if err != nil {
			return nil, err
		}
		if j.seeds == nil {
			j.seeds = map[string]int{}
		}
		if _, twice := j.seeds[string(s)]; twice {
			return nil, fmt.Errorf("seed of another line")
		}
		j.seeds[string(s)] = line
		return s, nil
	}
}

// own are the digits that a subject's PIN may not be part of.
func own(s ringfence.Subject, points []ringfence.ContactPoint) []string {
	var out []string
	keep := func(v string) {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, v)
		if digits != "" {
			out = append(out, digits)
		}
	}
	for _, name := range sortedKeys(s.Record) {
		keep(s.Record[name])
	}
	for _, p := range points {
		keep(p.Value)
	}
	return out
}

// payees takes the accounts that were paid before.
func (j *judge) payees(w row, kind policy.Kind, subject ringfence.SubjectID, source string, fault func(string, string)) []gate.Payee {
	if len(w.payees) > MaxPerRow {
		fault(colPayees, fmt.Sprintf("are more than %d", MaxPerRow))
		return nil
	}
	var out []gate.Payee
	for _, c := range w.payees {
		account, says := gate.PayeeAccount(j.o.Policy, kind.Name, c.Account)
		if says == "" && slices.ContainsFunc(out, func(p gate.Payee) bool { return p.Account == account }) {
			says = "name an account twice"
		}
		if says != "" {
			fault(colPayees, says)
			continue
		}
		out = append(out, gate.Payee{Subject: subject, Account: account, Source: source, Since: j.date(c.Since, colPayees, fault)})
	}
	return out
}

// finish judges what needs all rows, and refuses an empty file.
func (j *judge) finish() {
	if j.report.Rows == 0 && j.report.Clean() {
		j.report.fault(0, "", "has no rows")
	}
	for _, l := range j.late {
		m := gate.Mandate{ID: ringfence.NewID[string]("mnd"), Subject: l.subject, Person: j.byLabel[l.cell.Person], Types: l.cell.Types}
		fault := func(_, says string) { j.report.fault(l.line, colMandates, says) }
		if m.Person == "" || m.Person == l.subject {
			fault("", "name a person of this file other than the subject itself, by kind and identifying value, such as customer 10002000")
		}
		for _, t := range m.Types {
			if _, ok := j.o.Policy.Action(t); !ok {
				fault("", "name an action that the policy does not have")
			}
		}
		limit, err := strconv.ParseInt(cmp.Or(l.cell.Limit, "0"), 10, 64)
		until, bad := time.Parse(time.DateOnly, l.cell.Until)
		switch {
		case len(m.Types) == 0:
			fault("", "name no types of actions")
		case err != nil || limit < 0:
			fault("", "want limit as whole units of the base currency, such as 5000")
		case bad != nil || until.Before(j.o.Now):
			fault("", "want until as a day to come, YYYY-MM-DD")
		}
		m.Limit, m.Until, m.Since = limit, until, j.date(l.cell.Since, colMandates, fault)
		j.out.Import.Mandates = append(j.out.Import.Mandates, m)
		j.report.Mandates++
	}
}

func (j *judge) count(kind ringfence.SubjectKind, points []ringfence.ContactPoint, keys []ringfence.Authenticator, payees int, verified time.Time) {
	r := &j.report
	r.Subjects[kind]++
	for _, c := range points {
		r.ContactPoints[c.Type]++
		if c.VerifiedAt.IsZero() {
			r.Undated++
		}
	}
	for _, a := range keys {
		if a.Type == ringfence.AuthPIN {
			r.PINs++
		} else {
			r.TOTPs++
		}
	}
	r.Payees += payees
	if !verified.IsZero() && (r.Oldest.IsZero() || verified.Before(r.Oldest)) {
		r.Oldest = verified
	}
}

// languageTag reports a language as the prompts name one: en, en-GB.
func languageTag(v string) bool {
	lang, region, _ := strings.Cut(v, "-")
	return len(lang) >= 2 && len(lang) <= 3 && len(region) <= 4 && !strings.ContainsFunc(lang+region, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
