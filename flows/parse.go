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

// Bounds of one flow.
const (
	maxScenes     = 400
	maxSceneLines = 100
	maxAtMost     = 9
)

// parser reads one flow file into an AST; names of other scenes and flows are
// resolved by link, once every file is read.
type parser struct {
	file string
	d    *diags
	flow *Flow
	res  resolver
	// conds are the conditions compiled so far: flows ask the same things again.
	conds map[string]*policy.Condition
}

func (p *parser) at(n *yaml.Node) Pos { return Pos{p.file, n.Line, n.Column} }

func (p *parser) bad(n *yaml.Node, code, hint, format string, args ...any) {
	p.d.add(p.at(n), code, hint, format, args...)
}

var headKeys = []string{"flow", "about", "starts", "subject", "actions", "language", "translations", "record",
	"vars", "otherwise", "scenes"}

// parseFlow reads a flow. It always returns one, so that other files can be
// judged too; whether it may run is decided when every diagnostic is in.
func parseFlow(file string, root *yaml.Node, pol *policy.Policy, d *diags) *Flow {
	f := &Flow{Pos: Pos{file, root.Line, root.Column}, Record: "after_connect", policy: pol,
		vars: map[string]*Var{}, scenes: map[string]*Scene{}, heads: map[string]Pos{}}
	p := &parser{file: file, d: d, flow: f, res: resolver{f, pol}}
	head := map[string]*yaml.Node{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, val := root.Content[i], root.Content[i+1]
		if !slices.Contains(headKeys, key.Value) {
			p.bad(key, "L4", meant(key.Value, headKeys), "%s is not a part of a flow", key.Value)
			continue
		}
		head[key.Value] = val
	}
	p.head(root, head)
	if n := head["vars"]; n != nil {
		p.vars(n)
	}
	if n := head["otherwise"]; n != nil {
		p.otherwise(n)
	}
	if n := head["scenes"]; n != nil {
		p.scenes(n)
	} else {
		p.bad(root, "L9", "scenes:", "the flow has no scenes")
	}
	return f
}

func (p *parser) head(root *yaml.Node, head map[string]*yaml.Node) {
	f := p.flow
	f.Name = p.word(head["flow"], flowWord, "the name of a flow")
	if head["flow"] != nil {
		f.Pos = p.at(head["flow"])
	}
	if n := head["about"]; n != nil {
		f.About = strings.TrimSpace(p.text(n))
	}
	starts := []string{"inbound", "console", "job", "callback"}
	if n := head["starts"]; n == nil {
		p.bad(root, "L9", "starts: inbound", "the flow does not say how it starts: %s", oneOf(starts))
	} else {
		f.nodes.starts = p.at(n)
		if !slices.Contains(starts, n.Value) {
			p.bad(n, "L9", meant(n.Value, starts), "starts is %s", oneOf(starts))
		}
		f.Starts = Starting(n.Value)
	}
	if n := head["subject"]; n != nil {
		f.Subject = ringfence.SubjectKind(n.Value)
		f.nodes.subject = p.at(n)
		if _, ok := p.res.pol.Kind(f.Subject); !ok && n.Value != Given {
			p.bad(n, "L7", meant(n.Value, kindWords(p.res.pol)), "the policy knows no subject %s", n.Value)
		}
	}
	f.Language = "en"
	if n := head["language"]; n != nil {
		f.Language = p.language(n)
		f.nodes.language = p.at(n)
	}
	for _, n := range p.list(head["translations"]) {
		tag := p.language(n)
		if tag == f.Language || slices.Contains(f.Translations, tag) {
			p.bad(n, "L9", "take it out", "%s stands there already", tag)
			continue
		}
		f.Translations = append(f.Translations, tag)
		f.heads[tag] = p.at(n)
	}
	if n := head["record"]; n != nil {
		words := []string{"never", "after_connect", "always"}
		if !slices.Contains(words, n.Value) {
			p.bad(n, "L9", meant(n.Value, words), "record is %s", oneOf(words))
		}
		f.Record = n.Value
	}
	p.actions(head["actions"])
}

func (p *parser) actions(list *yaml.Node) {
	for _, n := range p.list(list) {
		_, ok := p.res.pol.Action(n.Value)
		switch {
		case n.Value == Given && len(list.Content) > 1:
			p.bad(n, "L9", "actions: [given]", "given stands alone")
		case !ok && n.Value != Given:
			p.bad(n, "L7", meant(n.Value, actionWords(p.res.pol)), "the policy knows no action %s", n.Value)
			continue
		case slices.Contains(p.flow.Actions, n.Value):
			p.bad(n, "L9", "take it out", "%s stands there already", n.Value)
			continue
		}
		p.flow.Actions = append(p.flow.Actions, n.Value)
		p.flow.actionPos = append(p.flow.actionPos, p.at(n))
	}
}

func (p *parser) vars(n *yaml.Node) {
	for _, e := range p.pairs(n, "vars") {
		name := p.word(e.key, nameWord, "the name of a variable")
		if name == "" {
			continue
		}
		t, err := policy.ParseType(e.val.Value)
		if err != nil || e.val.Kind != yaml.ScalarNode {
			p.bad(e.val, "L8", "digits 8, number, money, date, text, name or one of [a, b]", "%s is not a type", strings.TrimSpace(e.val.Value))
			continue
		}
		if t.Base == policy.BaseMoney {
			t = p.res.money(t)
		}
		v := &Var{Pos: p.at(e.key), Name: name, Type: t, index: len(p.flow.Vars)}
		p.flow.Vars = append(p.flow.Vars, v)
		p.flow.vars[name] = v
	}
}

func (p *parser) otherwise(n *yaml.Node) {
	for _, e := range p.pairs(n, "otherwise") {
		o, ok := ParseOutcome(e.key.Value)
		if !ok || o == OK {
			p.bad(e.key, "L5", meant(e.key.Value, outcomeNames[2:]), "%s is not an outcome", e.key.Value)
			continue
		}
		p.flow.otherwise[o] = p.target(e.val)
		p.flow.otherPos[o] = p.at(e.key)
	}
}

func (p *parser) scenes(n *yaml.Node) {
	list := p.pairs(n, "scenes")
	if len(list) == 0 {
		p.bad(n, "L9", "", "the flow has no scenes")
	}
	if len(list) > maxScenes {
		p.bad(n, "L9", "split the flow", "a flow has at most %d scenes", maxScenes)
		list = list[:maxScenes]
	}
	for _, e := range list {
		name := p.word(e.key, nameWord, "the name of a scene")
		s := &Scene{Pos: p.at(e.key), Name: name, Index: len(p.flow.Scenes), flow: p.flow}
		p.flow.Scenes = append(p.flow.Scenes, s)
		p.flow.scenes[name] = s
		if e.val.Kind != yaml.SequenceNode || len(e.val.Content) == 0 {
			p.bad(e.val, "L4", "- hangup", "the scene %s is not a list of lines", name)
			continue
		}
		if len(e.val.Content) > maxSceneLines {
			p.bad(e.val, "L9", "split the scene", "a scene has at most %d lines", maxSceneLines)
			continue
		}
		for _, ln := range e.val.Content {
			if l := p.line(ln); l != nil {
				l.Scene, l.Index = s, len(s.Lines)
				s.Lines = append(s.Lines, l)
			}
		}
	}
}

type pair struct{ key, val *yaml.Node }

func (p *parser) pairs(n *yaml.Node, what string) []pair {
	if n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.bad(n, "L4", "", "%s is not a list of keys and values", what)
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, pair{n.Content[i], n.Content[i+1]})
	}
	return out
}

// list reads [a, b]; a single word stands for a list of one.
func (p *parser) list(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil, n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	case n.Kind == yaml.ScalarNode:
		return []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		p.bad(n, "L4", "[a, b]", "this is not a list")
		return nil
	}
	return slices.DeleteFunc(slices.Clone(n.Content), func(c *yaml.Node) bool {
		if c.Kind != yaml.ScalarNode {
			p.bad(c, "L4", "[a, b]", "this is not a list of words")
		}
		return c.Kind != yaml.ScalarNode
	})
}

func (p *parser) word(n *yaml.Node, form interface{ MatchString(string) bool }, what string) string {
	if n == nil {
		p.d.add(p.flow.Pos, "L9", "flow: name", "%s is missing", what)
		return ""
	}
	if n.Kind != yaml.ScalarNode || !form.MatchString(n.Value) {
		p.bad(n, "L4", "small letters, digits and _", "%q cannot be %s", clip(n.Value), what)
		return ""
	}
	return n.Value
}

func (p *parser) language(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || !langTag.MatchString(n.Value) {
		p.bad(n, "L9", "en, de, fr-CA", "%q is not a language tag", clip(n.Value))
		return ""
	}
	return n.Value
}

// text reads what is spoken. A plain text cut short by # is Y1: YAML drops the
// rest without a word.
func (p *parser) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		hint := ""
		if n.Kind == yaml.MappingNode {
			hint = `quote it: "{customer.balance} is it"`
		}
		p.bad(n, "Y2", hint, "here a text must stand")
		return ""
	}
	if n.LineComment != "" && n.Style == 0 {
		p.bad(n, "Y1", quote(n.Value+" "+n.LineComment), "quote the text, # starts a comment")
	}
	return n.Value
}

func (p *parser) number(n *yaml.Node, what string, least, most int) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || v < least || v > most {
		p.bad(n, "L6", "", "%s is a number from %d to %d", what, least, most)
		return least
	}
	return v
}

func (p *parser) duration(n *yaml.Node, rule verbRule, usual time.Duration) time.Duration {
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || v < rule.least || v > rule.longest {
		p.bad(n, "L6", "wait: "+spell(usual), "wait is a time from %s to %s",
			spell(rule.least), spell(rule.longest))
		return rule.least
	}
	return v
}

func (p *parser) truth(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
		p.bad(n, "L4", what+": true", "%s is true or false", what)
	}
	return n.Value == "true"
}

// target reads a scene, or { go: scene, at_most: N, then: scene }.
func (p *parser) target(n *yaml.Node) *Target {
	t := &Target{Pos: p.at(n)}
	if n.Kind == yaml.ScalarNode {
		t.name = n.Value
		return t
	}
	for _, e := range p.pairs(n, "the target") {
		switch e.key.Value {
		case "go":
			t.name, t.Pos = e.val.Value, p.at(e.val)
		case "at_most":
			t.AtMost = p.number(e.val, "at_most", 1, maxAtMost)
		case "then":
			t.then = e.val.Value
		default:
			p.bad(e.key, "L4", "{ go: scene, at_most: 3, then: scene }", "%s has no place in a target", e.key.Value)
		}
	}
	if t.name == "" {
		p.bad(n, "L1", "{ go: scene, at_most: 3, then: scene }", "the target names no scene")
		return nil
	}
	return t
}

func kindWords(p *policy.Policy) []string {
	var out []string
	for _, k := range p.Kinds() {
		out = append(out, string(k.Name))
	}
	return out
}

func actionWords(p *policy.Policy) []string {
	var out []string
	for _, a := range p.Actions() {
		out = append(out, a.Name)
	}
	return out
}

// clip keeps a stranger's word short in a message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// spell writes a duration as scripts do: 90s, 2m, 1h.
func spell(d time.Duration) string {
	switch {
	case d%time.Hour == 0 && d > 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0 && d > 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	default:
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
}
