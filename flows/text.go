package flows

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

const maxTextLen = 1000

var (
	nameWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	flowWord = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)
	langTag  = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][A-Za-z]{3})?(-[A-Z]{2})?$`)
)

// piece is a stretch of a text before its names are resolved.
type rawPiece struct {
	fixed string
	name  string // with dots, or code, yes
	last  int
	spell bool
	slow  bool
}

// splitText cuts a text at its {} places. An error says which place is wrong.
func splitText(source string) ([]rawPiece, error) {
	var out []rawPiece
	rest := source
	for rest != "" {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			return append(out, rawPiece{fixed: rest}), nil
		}
		if rest[open] == '}' {
			return nil, fmt.Errorf("there is a } without its {")
		}
		if open > 0 {
			out = append(out, rawPiece{fixed: rest[:open]})
		}
		end := strings.IndexAny(rest[open+1:], "{}")
		if end < 0 || rest[open+1+end] == '{' {
			return nil, fmt.Errorf("there is a { without its }")
		}
		p, err := parsePlace(rest[open+1 : open+1+end])
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		rest = rest[open+end+2:]
	}
	return out, nil
}

func parsePlace(body string) (rawPiece, error) {
	parts := strings.Split(body, "|")
	p := rawPiece{name: strings.TrimSpace(parts[0])}
	for _, word := range strings.Split(p.name, ".") {
		if !nameWord.MatchString(word) {
			return p, fmt.Errorf("{%s} is not a name", body)
		}
	}
	for _, f := range parts[1:] {
		f = strings.TrimSpace(f)
		count, isLast := strings.CutPrefix(f, "last ")
		switch n, err := strconv.Atoi(count); {
		case f == "spell":
			p.spell = true
		case f == "slow":
			p.slow = true
		case isLast && err == nil && n >= 1 && n <= 16:
			p.last = n
		default:
			return p, fmt.Errorf("{%s}: %q is not one of last N, spell, slow", body, f)
		}
	}
	return p, nil
}

// resolver resolves the names of one flow against the policy.
type resolver struct {
	flow *Flow
	pol  *policy.Policy
}

var callTypes = map[string]policy.Type{
	"attestation":  {Base: policy.BaseOneOf, OneOf: []string{"A", "B", "C", "none", "failed"}},
	"number_shown": {Base: policy.BaseOneOf, OneOf: []string{"yes", "withheld", "ours", "impossible"}},
	"direction":    {Base: policy.BaseOneOf, OneOf: []string{"inbound", "outbound"}},
	"hour":         {Base: policy.BaseNumber},
	"weekday": {Base: policy.BaseOneOf, OneOf: []string{"monday", "tuesday", "wednesday", "thursday", "friday",
		"saturday", "sunday"}},
	"open": {Base: policy.BaseBool},
}

// actions lists what the flow may touch: its own, or with given every action.
func (r resolver) actions() []string {
	if !slices.Contains(r.flow.Actions, Given) {
		return r.flow.Actions
	}
	var out []string
	for _, a := range r.pol.Actions() {
		out = append(out, a.Name)
	}
	return out
}

// name resolves one name, or returns what is wrong with it and a hint.
func (r resolver) name(full string) (Name, string, string) {
	owner, field, dotted := strings.Cut(full, ".")
	if !dotted {
		if v := r.flow.vars[full]; v != nil {
			return Name{Kind: NameVar, Field: full, Full: full, Type: v.Type, v: v}, "", ""
		}
		return Name{}, fmt.Sprintf("there is no variable %s in this flow", full), meant(full, r.known())
	}
	fail := func(what string, known []string) (Name, string, string) {
		for i, k := range known {
			known[i] = owner + "." + k
		}
		return Name{}, what, meant(full, known)
	}
	switch {
	case owner == "call":
		if t, ok := callTypes[field]; ok {
			return Name{Kind: NameCall, Owner: owner, Field: field, Full: full, Type: t}, "", ""
		}
		return fail(fmt.Sprintf("%s is not known of a call", full), keysOf(callTypes))
	case owner == "got":
		if policy.KnownFact(ringfence.Fact(field)) {
			return Name{Kind: NameGot, Owner: owner, Field: field, Full: full, Type: policy.Type{Base: policy.BaseBool}}, "", ""
		}
		return fail(fmt.Sprintf("%s is not a fact", full), factWords())
	}
	if a, ok := r.pol.Action(owner); ok && slices.Contains(r.actions(), owner) {
		if t, ok := a.Field(field); ok {
			return Name{Kind: NamePayload, Owner: owner, Field: field, Full: full, Type: r.money(t)}, "", ""
		}
		return fail(fmt.Sprintf("the action %s carries no %s", owner, field), fieldWords(a.Carries))
	} else if ok {
		return Name{}, fmt.Sprintf("the flow has no action %s", owner), "write it under actions: in the head of the flow"
	}
	if k, ok := r.pol.Kind(ringfence.SubjectKind(owner)); ok {
		if t, ok := k.Field(field); ok {
			return Name{Kind: NameRecord, Owner: owner, Field: field, Full: full, Type: r.money(t)}, "", ""
		}
		return fail(fmt.Sprintf("a %s has no %s", owner, field), fieldWords(k.Fields))
	}
	return Name{}, fmt.Sprintf("%s is not known", full), meant(full, r.known())
}

// money lets conditions read amounts in the base currency.
func (r resolver) money(t policy.Type) policy.Type {
	if t.Base == policy.BaseMoney && t.Currency == "" {
		t.Currency = r.pol.BaseCurrency()
	}
	return t
}

// known lists every name that may stand in this flow.
func (r resolver) known() []string {
	out := keysOf(r.flow.vars)
	for _, c := range keysOf(callTypes) {
		out = append(out, "call."+c)
	}
	for _, f := range factWords() {
		out = append(out, "got."+f)
	}
	for _, name := range r.actions() {
		if a, ok := r.pol.Action(name); ok {
			for _, f := range a.Carries {
				out = append(out, name+"."+f.Name)
			}
		}
	}
	for _, k := range r.pol.Kinds() {
		for _, f := range k.Fields {
			out = append(out, string(k.Name)+"."+f.Name)
		}
	}
	return out
}

// types returns every name with its type, for conditions.
func (r resolver) types() map[string]policy.Type {
	out := make(map[string]policy.Type)
	for _, n := range r.known() {
		if got, wrong, _ := r.name(n); wrong == "" {
			out[n] = got.Type
		}
	}
	return out
}

// text compiles a text. Codes are the code places it may have.
func (r resolver) text(at Pos, source string, codes []string, d *diags) *Text {
	t := &Text{Pos: at, Source: source}
	if len(source) > maxTextLen {
		d.add(at, "L8", "split it into two lines", "the text is longer than %d characters", maxTextLen)
		return t
	}
	if strings.TrimSpace(source) == "" {
		d.add(at, "L8", "", "there is nothing to say")
		return t
	}
	if strings.ContainsFunc(source, func(c rune) bool {
		return c < ' ' && c != '\n' || c == 0x7f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
	}) {
		d.add(at, "L8", "take it out", "the text holds a control character")
		return t
	}
	raw, err := splitText(source)
	if err != nil {
		d.add(at, "L8", "", "%v", err)
		return t
	}
	t.Pieces = r.pieces(at, raw, codes, d)
	for _, p := range t.Pieces {
		switch {
		case p.Code != "":
			t.Codes = append(t.Codes, p.Code)
			t.varies = true
		case p.Name.Kind != NoName:
			t.varies = true
			if !slices.ContainsFunc(t.Names, func(n Name) bool { return n.Full == p.Name.Full }) {
				t.Names = append(t.Names, p.Name)
				if p.Name.Kind == NamePayload || p.Name.Kind == NameRecord {
					t.Fields = append(t.Fields, p.Name.Full)
				}
			}
			if p.Name.v != nil {
				p.Name.v.read = true
			}
		}
	}
	return t
}

func (r resolver) pieces(at Pos, raw []rawPiece, codes []string, d *diags) []Piece {
	var out []Piece
	for _, p := range raw {
		if p.name == "" {
			out = append(out, Piece{Fixed: p.fixed})
			continue
		}
		if place := "{" + p.name + "}"; place == PlaceCode || place == PlaceYes || place == PlaceFresh {
			if !slices.Contains(codes, place) {
				d.add(at, "L8", "", "%s cannot be spoken by this line", place)
				continue
			}
			out = append(out, Piece{Code: place, Slow: p.slow})
			continue
		}
		n, wrong, hint := r.name(p.name)
		if wrong != "" {
			d.add(at, "L7", hint, "%s", wrong)
			continue
		}
		if n.Type.Secret || n.Kind == NameGot {
			d.add(at, "L8", "", "%s cannot be spoken", p.name)
			continue
		}
		out = append(out, Piece{Name: n, Last: p.last, Spell: p.spell, Slow: p.slow})
	}
	return out
}

// sayAs follows the type.
func sayAs(t policy.Type, spell bool) ringfence.SayAs {
	if spell {
		return ringfence.SaySpell
	}
	switch t.Base {
	case policy.BaseDigits, policy.BaseAccount, policy.BaseTN:
		return ringfence.SayDigits
	case policy.BaseNumber:
		return ringfence.SayNumber
	case policy.BaseMoney:
		return ringfence.SayMoney
	case policy.BaseDate:
		return ringfence.SayDate
	case policy.BaseName:
		return ringfence.SayName
	case policy.BaseIBAN, policy.BaseEmail:
		return ringfence.SaySpell
	default:
		return ringfence.SayText
	}
}

func keysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func factWords() []string {
	var out []string
	for _, f := range ringfence.Facts {
		out = append(out, string(f))
	}
	return out
}

func fieldWords(fields []policy.Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
	}
	return out
}
