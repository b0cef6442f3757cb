package flows

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

var keyNames = [12]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"}

// keyOrder is how people read a menu: 1 to 9, 0, *, #.
var keyOrder = [12]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 10, 11}

func keyIndex(digit byte) int {
	switch {
	case digit >= '0' && digit <= '9':
		return int(digit - '0')
	case digit == '*':
		return 10
	case digit == '#':
		return 11
	}
	return -1
}

func verbWords() []string {
	var out []string
	for v := Say; v < verbCount; v++ {
		out = append(out, verbs[v].word)
	}
	return out
}

// line reads one line: its first key is the verb.
func (p *parser) line(n *yaml.Node) *Line {
	if n.Kind == yaml.ScalarNode {
		v, ok := parseVerb(n.Value)
		if v == HangUp {
			return &Line{Pos: p.at(n), Verb: HangUp, ArgAt: p.at(n)}
		}
		if ok {
			p.bad(n, "L4", "- "+n.Value+": "+verbs[v].arg, "%s must say what: %s", n.Value, verbs[v].arg)
		} else {
			p.bad(n, "L4", meant(n.Value, verbWords()), "%q is not a line", clip(n.Value))
		}
		return nil
	}
	list := p.pairs(n, "a line")
	if len(list) == 0 {
		return nil
	}
	first := list[0]
	v, ok := parseVerb(first.key.Value)
	if !ok {
		for _, e := range list[1:] {
			if w, isVerb := parseVerb(e.key.Value); isVerb && w != Say {
				p.bad(first.key, "L4", "write "+e.key.Value+": first", "a line begins with its verb, not with %s", first.key.Value)
				return nil
			}
		}
		p.bad(first.key, "L4", meant(first.key.Value, verbWords()), "%q is not a verb", clip(first.key.Value))
		return nil
	}
	rule := verbs[v]
	l := &Line{Pos: p.at(first.key), Verb: v, ArgAt: p.at(first.val), Tries: rule.tries, Wait: rule.wait}
	p.argument(l, first.val)
	seen := map[string]bool{}
	for _, e := range list[1:] {
		seen[e.key.Value] = true
		p.setting(l, rule, e)
	}
	for _, need := range rule.needs {
		if !seen[need] {
			p.d.add(l.Pos, "L4", needHint(l, need), "%s needs %s", rule.word, need)
		}
	}
	p.finish(l)
	return l
}

func needHint(l *Line, need string) string {
	switch {
	case need == "say" && l.Verb == Callback:
		return "say: We will call you back. Please note this code. {code}."
	case need == "say":
		return "say: the text"
	case need == "into":
		return "into: a variable or action.field"
	case need == "then":
		return "then: scene"
	case need == "to":
		return "to: mobile, landline or number_on_file"
	case need == "with":
		return "with: the flow that talks to the person called"
	case need == "meanwhile":
		return "meanwhile: hold or hang_up"
	}
	return need + ": …"
}

func (p *parser) argument(l *Line, n *yaml.Node) {
	switch l.Verb {
	case Say, Ask, Choose, Reach, Alert:
		l.Arg = p.text(n)
		if l.Arg != "" || n.Kind == yaml.ScalarNode {
			l.Text = p.res.text(p.at(n), l.Arg, nil, p.d)
		}
		return
	}
	if n.Kind != yaml.ScalarNode {
		p.bad(n, "L4", "", "%s is followed by one word: %s", l.Verb, verbs[l.Verb].arg)
		return
	}
	l.Arg = n.Value
	if l.Arg == "" && l.Verb != HangUp {
		p.bad(n, "L4", "", "%s must say what: %s", l.Verb, verbs[l.Verb].arg)
	}
	switch l.Verb {
	case If:
		l.src = n.Value
		p.condition(l, n)
	case Go:
		l.Go = &Target{Pos: p.at(n), name: n.Value}
	case Return:
		o, ok := ParseOutcome(n.Value)
		if !ok {
			p.bad(n, "L5", meant(n.Value, outcomeNames[1:]), "%q is not an outcome", clip(n.Value))
		}
		l.Return = o
		if o != NoOutcome {
			p.flow.returns[o] = true
		}
	case Verify:
		if known := []string{"pin", "otp", "totp", "passkey"}; !slices.Contains(known, n.Value) {
			p.bad(n, "L7", meant(n.Value, known), "verify is %s", oneOf(known))
		}
		l.Wait = verifyWait(n.Value)
	case Check:
		if known := []string{"attestation", "number"}; !slices.Contains(known, n.Value) {
			p.bad(n, "L7", meant(n.Value, known), "check is %s", oneOf(known))
		}
	case Tell:
		if n.Value != "clerk" {
			p.bad(n, "L7", "tell: clerk", "only the clerk can be told")
		}
	}
}

func verifyWait(method string) time.Duration {
	switch method {
	case "otp":
		return time.Minute
	case "passkey":
		return 2 * time.Minute
	}
	return 15 * time.Second
}

// fact is what a verify or check line proves.
func (l *Line) fact() ringfence.Fact {
	switch {
	case l.Verb == Check && l.Arg == "attestation":
		return ringfence.FactAttested
	case l.Verb == Check && l.Arg == "number":
		return ringfence.FactKnownNumber
	}
	return ringfence.Fact(l.Arg)
}

func (p *parser) condition(l *Line, n *yaml.Node) {
	cond, wrong := p.conds[n.Value], (*policy.Diagnostic)(nil)
	if cond == nil {
		cond, wrong = policy.CompileCondition(n.Value, p.res.types())
	}
	if wrong != nil {
		d := *wrong
		d.File, d.Line = p.file, n.Line
		d.Col += n.Column - 1
		if n.Style != 0 {
			d.Col++ // the quote
		}
		switch d.Code {
		case policy.CodeSubset:
		case policy.CodeName:
			d.Code = "L7"
			if word, ok := strings.CutPrefix(d.Message, "unknown name "); ok {
				_, d.Message, d.Hint = p.res.name(word)
			}
		default:
			d.Code = "L8"
		}
		p.d.put(d)
		return
	}
	if p.conds == nil {
		p.conds = map[string]*policy.Condition{}
	}
	l.Cond, p.conds[n.Value] = cond, cond
	for _, name := range cond.Names() {
		if v := p.flow.vars[name]; v != nil {
			v.read = true
		}
	}
}

// setting reads one key after the verb: a setting, an outcome, or a key of
// choose.
func (p *parser) setting(l *Line, rule verbRule, e pair) {
	key := e.key.Value
	if l.Verb == Choose {
		if i := slices.Index(keyNames[:], key); i >= 0 {
			l.Keys[i] = p.target(e.val)
			return
		}
	}
	if slices.Contains(rule.settings, key) {
		p.known(l, rule, key, e.val)
		return
	}
	if o, ok := ParseOutcome(key); ok && o != OK {
		l.edges[o], l.own[o] = p.target(e.val), true
		return
	}
	known := slices.Clone(rule.settings)
	for _, o := range l.Outcomes() {
		known = append(known, o.String())
	}
	switch {
	case key == "ok":
		p.bad(e.key, "L4", "write it as the next line", "ok is not written: it is the next line")
	case slices.Contains([]string{"yes", "no", "on", "off"}, key):
		p.bad(e.key, "Y4", "refused: scene", "%s is not a word of the language: an answer of no is refused", key)
	case key == "gone" || key == "hangup":
		p.bad(e.key, "L4", "take it out", "a hang-up is not handled by lines: the engine ends the flow")
	case len(known) == 0:
		p.bad(e.key, "L4", "take it out", "%s takes no %s", rule.word, clip(key))
	default:
		p.bad(e.key, "L4", meant(key, known), "%s takes no %s, only %s", rule.word, clip(key), oneOf(known))
	}
}

func (p *parser) known(l *Line, rule verbRule, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		p.bad(n, "L4", "", "%s is one word", key)
		return
	}
	switch key {
	case "whole":
		l.Whole = p.truth(n, key)
	case "tries":
		l.Tries = p.number(n, key, 1, 5)
	case "wait":
		l.Wait = p.duration(n, rule, l.Wait)
	case "into":
		p.into(l, n)
	case "by":
		l.By = n.Value
		l.ByVar = p.flow.vars[n.Value]
		if l.ByVar == nil {
			p.bad(n, "L7", meant(n.Value, keysOf(p.flow.vars)), "there is no variable %s in this flow", clip(n.Value))
		} else {
			l.ByVar.read = true
		}
	case "say":
		source := p.text(n)
		l.Text = p.res.text(p.at(n), source, codesOf(l), p.d)
	case "for":
		l.For, l.forPos = n.Value, p.at(n)
	case "to":
		l.To = Destination(n.Value)
		if known := []string{string(ToMobile), string(ToLandline), string(ToNumberOnFile)}; !slices.Contains(known, n.Value) {
			p.bad(n, "L7", "to: mobile", "to is %s; a number can never stand there", oneOf(known))
		}
	case "with":
		l.with = n.Value
	case "meanwhile":
		l.HangUp = n.Value == "hang_up"
		if known := []string{"hold", "hang_up"}; !slices.Contains(known, n.Value) {
			p.bad(n, "L4", meant(n.Value, known), "meanwhile is hold or hang_up")
		}
	case "lock":
		l.Lock = n.Value == "subject"
		if !l.Lock {
			p.bad(n, "L4", "lock: subject", "only the subject can be locked")
		}
	case "at_most":
		l.Go.AtMost = p.number(n, key, 1, maxAtMost)
	case "then":
		if l.Verb == If {
			l.Go = p.target(n)
		} else {
			l.Go.then = n.Value
		}
	}
}

// codesOf is the code places the text of a line may have.
func codesOf(l *Line) []string {
	switch {
	case l.Verb == Confirm:
		return []string{PlaceYes}
	case l.Verb == Callback, l.Verb == Verify && l.Arg == "passkey":
		return []string{PlaceCode}
	}
	return nil
}

func (p *parser) into(l *Line, n *yaml.Node) {
	name, wrong, hint := p.res.name(n.Value)
	switch {
	case wrong != "":
		p.bad(n, "L7", hint, "%s", wrong)
		return
	case name.Kind != NameVar && name.Kind != NamePayload:
		p.bad(n, "L8", "ask into a variable or action.field", "%s is not the caller's to give", n.Value)
		return
	case !keyable(name.Type):
		p.bad(n, "L8", "digits N, number, money, date, account or tn can be", "a %s cannot be keyed on a telephone", name.Type)
		return
	}
	if name.v != nil {
		name.v.set = true
	}
	l.Into = name
}

// keyable types are those a caller can enter with twelve keys.
func keyable(t policy.Type) bool {
	switch t.Base {
	case policy.BaseDigits, policy.BaseNumber, policy.BaseMoney, policy.BaseDate, policy.BaseAccount, policy.BaseTN:
		return true
	}
	return false
}

// finish fills in what the line leaves open.
func (p *parser) finish(l *Line) {
	switch l.Verb {
	case Confirm, Release:
		l.For, l.forPos = l.Arg, l.ArgAt
	}
	if l.Verb == Choose && !slices.ContainsFunc(l.Keys[:], func(t *Target) bool { return t != nil }) {
		p.d.add(l.Pos, "L4", "1: scene", "choose offers no key")
	}
}
