package policy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence"
)

// Load reads, checks and compiles a policy file. file names it in
// diagnostics. The policy is nil when any diagnostic is an error.
func Load(file string, src []byte) (*Policy, []Diagnostic) {
	l := loader{reader: reader{file: file}, p: &Policy{file: file, src: src, zone: time.UTC, maxCall: 30 * time.Minute}}
	l.p.hash = sha256.Sum256(append([]byte("ringfence/policy/v1\x00"), src...))
	if root := l.document(src); root != nil && len(l.ds) == 0 {
		l.policy(root)
	}
	slices.SortStableFunc(l.ds, func(a, b Diagnostic) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	if Failed(l.ds) {
		return nil, l.ds
	}
	return l.p, l.ds
}

type loader struct {
	reader
	p *Policy
}

func (l *loader) policy(root *yaml.Node) {
	k := l.keys(root, "a policy", "policy", "base_currency", "timezone", "max_call",
		"subjects", "actions", "speak", "connect", "callback", "waivers")
	if n := k["policy"]; n != nil {
		l.p.name, _ = l.text(n, "policy")
	} else {
		l.add(root, CodeKey, "the policy has no name", "begin with policy: NAME")
	}
	if n := k["base_currency"]; n == nil {
		l.add(root, CodeKey, "base_currency is missing", "such as base_currency: GBP")
	} else if l.p.base, _ = l.text(n, "base_currency"); !validCurrency(l.p.base) {
		l.add(n, CodeRange, fmt.Sprintf("%q is no currency", l.p.base), "three capital letters of ISO 4217")
	}
	if n := k["timezone"]; n != nil {
		name, _ := l.text(n, "timezone")
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" || name == "Local" {
			l.add(n, CodeRange, fmt.Sprintf("%q is no time zone", name), "such as Europe/London")
		} else {
			l.p.zone = zone
		}
	}
	if n := k["max_call"]; n != nil {
		l.p.maxCall = l.duration(n, "max_call", time.Minute, 4*time.Hour)
	}
	if n := k["callback"]; n != nil {
		if age := l.keys(n, "callback", "numbers_older_than")["numbers_older_than"]; age != nil {
			l.p.callback.NumbersOlderThan = l.duration(age, "numbers_older_than", 12*time.Hour, 365*day)
		}
	}
	if n := k["subjects"]; n != nil {
		for _, p := range l.pairs(n, "subjects") {
			l.subject(p)
		}
	}
	// Waivers come before what they let through.
	if n := k["waivers"]; n != nil {
		for _, w := range l.list(n, "waivers") {
			l.waiver(w)
		}
	}
	if n := k["actions"]; n != nil {
		for _, p := range l.pairs(n, "actions") {
			l.action(p)
		}
		l.undoes(n)
	}
	if n := k["speak"]; n != nil {
		for _, p := range l.pairs(n, "speak") {
			l.spoken(p)
		}
	}
	if n := k["connect"]; n != nil {
		for _, p := range l.pairs(n, "connect") {
			l.word(p.key, "queue")
			if g := l.guard(p, ringfence.C0); g != nil {
				l.p.queues = append(l.p.queues, g)
			}
		}
	}
	for _, w := range l.p.waivers {
		if _, ok := l.p.Action(w.Action); w.Action != "" && !ok {
			l.add(&yaml.Node{Line: w.Line, Column: 1}, CodeWaiver, fmt.Sprintf("waiver of unknown action %q", w.Action), "")
		}
	}
}

func (l *loader) fieldType(n *yaml.Node, name string) Type {
	s, ok := l.text(n, "the type of "+name)
	if !ok {
		return Type{}
	}
	t, err := ParseType(s)
	if err != nil {
		l.add(n, CodeType, err.Error(), "digits N, number, money, iban, account, name, date, text, tn, email or one of [a, b]")
	}
	if t.Base == BaseMoney {
		t.Currency = l.p.base
	}
	return t
}

func (l *loader) subject(p pair) {
	k := Kind{Name: ringfence.SubjectKind(l.word(p.key, "subject kind"))}
	var identified *yaml.Node
	for _, f := range l.pairs(p.value, "a subject kind") {
		switch f.key.Value {
		case "kind":
			switch s, _ := l.text(f.value, "kind"); s {
			case "person":
			case "counterparty":
				k.Counterparty = true
			default:
				l.add(f.value, CodeName, fmt.Sprintf("unknown kind %q", s), "person or counterparty")
			}
		case "identified_by":
			identified = f.value
		default:
			name := l.word(f.key, "field")
			k.Fields = append(k.Fields, Field{Name: name, Type: l.fieldType(f.value, name)})
		}
	}
	if identified != nil {
		for _, n := range l.list(identified, "identified_by") {
			name, _ := l.text(n, "identified_by")
			if _, ok := k.Field(name); !ok {
				l.add(n, CodeName, fmt.Sprintf("%s has no field %q", k.Name, name), "")
			}
			k.IdentifiedBy = append(k.IdentifiedBy, name)
		}
	}
	l.p.kinds = append(l.p.kinds, k)
}

func (l *loader) class(n *yaml.Node, otherwise ringfence.Class) ringfence.Class {
	if n == nil {
		return otherwise
	}
	var c ringfence.Class
	s, _ := l.text(n, "class")
	if err := c.UnmarshalText([]byte(s)); err != nil {
		l.add(n, CodeRange, err.Error(), "")
		return ringfence.C5
	}
	return c
}

func (l *loader) needs(n *yaml.Node) []Need {
	var out []Need
	for _, line := range l.list(n, "needs") {
		s, ok := l.text(line, "a line of needs")
		if !ok {
			continue
		}
		need, err := parseNeed(s)
		if err != nil {
			l.add(line, CodeName, err.Error(), "such as pin, otp or passkey, passkey or (totp and approved)")
			continue
		}
		out = append(out, need)
	}
	return out
}

func (l *loader) approvals(n *yaml.Node) Approvals {
	k := l.keys(n, "approvals", "group", "count")
	a := Approvals{Count: 1}
	if k["group"] != nil {
		a.Group = l.word(k["group"], "group")
	}
	if k["count"] != nil {
		a.Count = int(l.count(k["count"], "count", 1, 5))
	}
	return a
}

// guard reads `[facts]` or `{class, needs}` and checks the class's floor.
func (l *loader) guard(p pair, class ringfence.Class) *Guard {
	g := &Guard{Name: p.key.Value, Class: class, Line: p.key.Line}
	needs := p.value
	if p.value.Kind == yaml.MappingNode {
		k := l.keys(p.value, g.Name, "class", "needs")
		g.Class = l.class(k["class"], class)
		if needs = k["needs"]; needs == nil {
			l.add(p.value, CodeKey, g.Name+" has no needs", "write needs: []")
			return nil
		}
	}
	before := len(l.ds)
	g.Needs = l.needs(needs)
	ways, ok := expand(g.Needs)
	if !ok {
		l.add(needs, CodeRange, "needs can be met in more than 512 ways", "split it")
		return nil
	}
	if len(l.ds) > before {
		return nil
	}
	for _, w := range ways {
		if w.Has(ringfence.FactApproved) {
			l.add(needs, CodeName, "an approval belongs to an action; it cannot stand here", "")
			return nil
		}
		if !admits(g.Class, rows{}, w, 0) {
			l.add(needs, CodeFloor, fmt.Sprintf("%s is %s, and %s would be enough for it", g.Name, g.Class, w), floorHint(g.Class, rows{}))
			return nil
		}
	}
	return g
}

func floorHint(c ringfence.Class, whose rows) string {
	var words []string
	for _, s := range floorWays(c, rowsFor(whose)) {
		words = append(words, s.String())
	}
	return c.String() + " needs one of: " + strings.Join(words, "; ")
}

func (l *loader) spoken(p pair) {
	owner, field, _ := strings.Cut(p.key.Value, ".")
	var t Type
	var ok bool
	if k, known := l.p.Kind(ringfence.SubjectKind(owner)); known {
		t, ok = k.Field(field)
	} else if a, known := l.p.Action(owner); known {
		t, ok = a.Field(field)
	}
	switch {
	case !ok:
		l.add(p.key, CodeName, fmt.Sprintf("%q is no field of a subject kind or an action", p.key.Value), "")
		return
	case t.Secret:
		l.add(p.key, CodeType, fmt.Sprintf("%s is secret and is never spoken", p.key.Value), "")
		return
	}
	g := l.guard(p, ringfence.C2)
	if g == nil {
		return
	}
	if g.Class < ringfence.C1 {
		l.add(p.key, CodeFloor, fmt.Sprintf("%s tells something about a person: C1 at least", g.Name), "")
	}
	l.p.spoken = append(l.p.spoken, g)
}
