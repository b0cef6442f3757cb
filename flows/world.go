package flows

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// World is the made-up surroundings of a flow test or of sim: who calls, what
// is on file, who answers. It holds no real person's data and nothing in it
// reaches a real call.
type World struct {
	Attestation string // A, B, C, none, failed
	NumberMatch bool   // the number shown is on file, attested, with no sign of diversion
	From        Destination
	Call        CallFacts
	Language    string

	Kind    ringfence.SubjectKind
	Record  map[string]string
	PIN     string // "" = none set
	TOTP    bool
	Passkey bool
	Phones  map[Destination]string // answers, busy, silent, diverted, robot

	Action  string // console and job flows: the release they start with
	Payload map[string]string
	Have    []Proved

	Down   []string          // what fails: otp, passkey, callback, approve, gate, connect
	Queues map[string]string // open (default), closed, full, silent, down
	Gate   string            // "" = the policy decides; denied, later, down; no_hold = it decides, and a hold is waived
}

// The codes of every test world. They are printed as asterisks.
const (
	worldCarry = "4711"
	worldFresh = "38"
	worldYes   = "7"
	worldTOTP  = "246810"
	worldOTP   = "135790"
)

// newWorld is a world in which everything works, for the subject of a flow.
func newWorld() World {
	return World{Attestation: "A", NumberMatch: true, Passkey: true, TOTP: true, PIN: "482137",
		Call:   CallFacts{Attestation: "A", NumberShown: "yes", Direction: ringfence.Inbound, Hour: 10, Weekday: "monday", Open: true},
		Record: map[string]string{}, Payload: map[string]string{}, Queues: map[string]string{},
		Phones: map[Destination]string{ToMobile: "answers", ToLandline: "answers", ToNumberOnFile: "answers"}}
}

// DefaultWorld is a world in which everything works, with a made-up value for
// every field of the flow's subject and action.
func DefaultWorld(b *Bundle, f *Flow) World {
	w := newWorld()
	w.Kind = f.Subject
	if len(f.Actions) > 0 {
		w.Action = f.Actions[0]
	}
	if f.Subject == Given || w.Action == Given {
		if all := b.pol.Actions(); len(all) > 0 {
			w.Action, w.Kind = all[0].Name, all[0].About
		}
	}
	if k, ok := b.pol.Kind(w.Kind); ok {
		if k.Counterparty {
			w.PIN, w.TOTP, w.Passkey = "", false, false
		}
		for _, field := range k.Fields {
			w.Record[field.Name] = sample(field.Type)
		}
	}
	if a, ok := b.pol.Action(w.Action); ok {
		for _, field := range a.Carries {
			w.Payload[field.Name] = sample(field.Type)
		}
	}
	return w
}

// sample makes up a value of a type.
func sample(t policy.Type) string {
	least, most := t.Bounds()
	switch t.Base {
	case policy.BaseDigits, policy.BaseAccount:
		return strings.Repeat("10002000", 5)[:max(least, min(most, 8))]
	case policy.BaseNumber:
		return "12"
	case policy.BaseMoney:
		return "125000 GBP"
	case policy.BaseDate:
		return "2026-05-03"
	case policy.BaseOneOf:
		return t.OneOf[0]
	case policy.BaseIBAN:
		return "GB33BUKB20201555555555"
	case policy.BaseTN:
		return "447700900123"
	case policy.BaseEmail:
		return "someone@example.org"
	}
	if t.Base == policy.BaseName {
		return "Ada Example"
	}
	return "about a thousand"
}

var phoneWords = []string{"answers", "busy", "silent", "diverted", "robot", "none"}

// world reads `world:` of a test.
func (p *parser) world(b *Bundle, f *Flow, n *yaml.Node) World {
	w := DefaultWorld(b, f)
	for _, e := range p.pairs(n, "world") {
		switch key := e.key.Value; key {
		case "call":
			p.worldCall(&w, e.val)
		case "language":
			w.Language = e.val.Value
		case "payload":
			for _, f := range p.pairs(e.val, key) {
				w.Payload[f.key.Value] = f.val.Value
			}
		case "action":
			w.Action = e.val.Value
			if a, ok := b.pol.Action(w.Action); ok {
				w.Kind = a.About
				if k, _ := b.pol.Kind(w.Kind); k.Counterparty {
					w.PIN, w.TOTP, w.Passkey = "", false, false
				}
				w.Payload = map[string]string{}
				for _, field := range a.Carries {
					w.Payload[field.Name] = sample(field.Type)
				}
			} else {
				p.bad(e.val, "L7", meant(w.Action, actionWords(b.pol)), "the policy knows no action %s", clip(w.Action))
			}
		case "have":
			for _, v := range p.list(e.val) {
				if !policy.KnownFact(ringfence.Fact(v.Value)) {
					p.bad(v, "L7", meant(v.Value, factWords()), "%s is not a fact", clip(v.Value))
				}
				w.Have = append(w.Have, Proved{Fact: ringfence.Fact(v.Value)})
			}
		case "down":
			known := []string{"otp", "totp", "pin", "passkey", "callback", "suspend", "reach", "confirm", "approve", "gate", "connect"}
			for _, v := range p.list(e.val) {
				if !slices.Contains(known, v.Value) {
					p.bad(v, "L4", meant(v.Value, known), "%s cannot be down, only %s", clip(v.Value), oneOf(known))
				}
				w.Down = append(w.Down, v.Value)
			}
		case "gate":
			w.Gate = e.val.Value
			if known := []string{"denied", "later", "down", "no_hold"}; !slices.Contains(known, w.Gate) {
				p.bad(e.val, "L4", meant(w.Gate, known), "the gate answers %s", oneOf(known))
			}
		case "queues":
			for _, q := range p.pairs(e.val, key) {
				w.Queues[q.key.Value] = q.val.Value
			}
		default:
			if _, ok := b.pol.Kind(ringfence.SubjectKind(key)); ok {
				w.Kind = ringfence.SubjectKind(key)
				p.worldSubject(b, &w, e.val)
				continue
			}
			p.bad(e.key, "L4", "call, language, action, payload, have, down, gate, queues, or a subject", "%s is not part of a world", clip(key))
		}
	}
	return w
}

func (p *parser) worldCall(w *World, n *yaml.Node) {
	for _, e := range p.pairs(n, "call") {
		v := e.val.Value
		switch e.key.Value {
		case "attestation":
			w.Attestation, w.Call.Attestation = v, v
			w.NumberMatch = w.NumberMatch && v == "A"
		case "number": // yes, no, unknown: does it match a number on file?
			w.NumberMatch = v == "yes" && w.Attestation == "A"
		case "from":
			w.From = Destination(v)
		case "number_shown":
			w.Call.NumberShown = v
		case "hour":
			w.Call.Hour = p.number(e.val, "hour", 0, 23)
		case "weekday":
			w.Call.Weekday = v
		case "open":
			w.Call.Open = p.truth(e.val, "open")
		default:
			p.bad(e.key, "L4", "attestation, number, from, number_shown, hour, weekday, open", "%s is not known of a call", clip(e.key.Value))
		}
	}
}

func (p *parser) worldSubject(b *Bundle, w *World, n *yaml.Node) {
	kind, _ := b.pol.Kind(w.Kind)
	for _, e := range p.pairs(n, "the subject") {
		key, v := e.key.Value, e.val.Value
		switch {
		case key == "pin":
			w.PIN = v
			if v == "none" {
				w.PIN = ""
			}
		case key == "totp", key == "passkey":
			if v != "set" && v != "none" {
				p.bad(e.val, "L4", key+": set", "%s is set or none", key)
			}
			if key == "totp" {
				w.TOTP = v == "set"
			} else {
				w.Passkey = v == "set"
			}
		case key == string(ToMobile), key == string(ToLandline), key == string(ToNumberOnFile):
			if !slices.Contains(phoneWords, v) {
				p.bad(e.val, "L4", meant(v, phoneWords), "a phone %s", oneOf(phoneWords))
			}
			w.Phones[Destination(key)] = v
		default:
			if _, ok := kind.Field(key); !ok {
				p.bad(e.key, "L7", meant(key, fieldWords(kind.Fields)), "a %s has no %s", kind.Name, clip(key))
			}
			w.Record[key] = v
		}
	}
}

// spokenText writes a speech as a transcript and `hears:` show it: digits one
// by one, amounts with their decimals, codes as asterisks.
func spokenText(s ringfence.Speech) string {
	var out strings.Builder
	for _, p := range s.Parts {
		switch {
		case p.Secret:
			out.WriteString("****")
		case p.As == ringfence.SayDigits || p.As == ringfence.SaySpell:
			out.WriteString(strings.Join(strings.Split(p.Text, ""), " "))
		case p.As == ringfence.SayMoney:
			out.WriteString(moneyText(p.Text))
		default:
			out.WriteString(p.Text)
		}
	}
	return out.String()
}

func moneyText(canonical string) string {
	m, ok := policy.ParseMoney(canonical)
	if !ok {
		return canonical
	}
	digits := strconv.FormatInt(m.Minor, 10)
	places := policy.Exponent(m.Currency)
	if places == 0 {
		return digits + " " + m.Currency
	}
	for len(digits) <= places {
		digits = "0" + digits
	}
	return digits[:len(digits)-places] + "." + digits[len(digits)-places:] + " " + m.Currency
}

// speechTime is how long a text takes to be spoken: 15 letters a second, a
// second for each spoken digit.
func speechTime(s ringfence.Speech) time.Duration {
	var t time.Duration
	for _, p := range s.Parts {
		switch {
		case p.Secret:
			t += 3 * time.Second
		case p.As == ringfence.SayDigits || p.As == ringfence.SaySpell:
			t += time.Duration(len(p.Text)) * time.Second
		default:
			t += time.Duration(len(p.Text)) * time.Second / 15
		}
	}
	return t + 300*time.Millisecond
}
