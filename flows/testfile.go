package flows

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Test is one flow test: a world, what people do, what must come of it.
type Test struct {
	Pos
	Name    string
	Flow    string
	World   World
	Scripts []Script
	Expect  Expect
}

// Script is what one person does: the caller, or whoever answers a call-back.
type Script struct {
	Leg   string // "call" or "callback to mobile"
	Beats []Beat
}

// Beat is one thing heard, and what the person does then.
type Beat struct {
	Pos
	Hears    string
	Keys     string
	Silence  time.Duration
	HangsUp  bool
	Moved    bool // the far end is somebody else now
	Page     string
	Approves string
	Refuses  string
	Early    bool   // acts while it is still being spoken
	Rejects  string // otp, passkey: "I did not ask for this", by the message or the page
}

func (b Beat) does() bool {
	return b.Keys != "" || b.Silence > 0 || b.HangsUp || b.Moved || b.Page != "" || b.Approves != "" || b.Refuses != "" || b.Rejects != ""
}

// Expect is what must have come of a call. Nil lists are not looked at.
type Expect struct {
	Pos
	Accepted, Released, Proved, Alerts, Tells []string
	Ends                                      string
	Within                                    time.Duration
	After                                     time.Duration // released is looked at so long after
}

// Result is how a test went. Problems is empty when it passed.
type Result struct {
	Test     *Test
	Problems []Diagnostic
	Trace    []string
	Took     time.Duration // virtual
	Cover    map[CoverKey]int
	Recorded Trace // as a call like it would be kept
}

// LoadTests reads tests/*.yaml.
func LoadTests(b *Bundle, fsys fs.FS) ([]*Test, []Diagnostic) {
	d := &diags{}
	names, err := fs.Glob(fsys, "tests/*.yaml")
	if err != nil {
		d.add(Pos{"tests", 1, 1}, "Y3", "", "%v", err)
	}
	var files []File
	for _, name := range names {
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			d.add(Pos{name, 1, 1}, "Y3", "", "cannot be read: %v", err)
			continue
		}
		files = append(files, File{Path: name, Data: src})
	}
	return readTests(b, files, d)
}

// LoadTestFiles is LoadTests for files in memory, as an editor has them. Only
// those under tests/ are looked at.
func LoadTestFiles(b *Bundle, files []File) ([]*Test, []Diagnostic) {
	d := &diags{}
	files = slices.DeleteFunc(slices.Clone(files), func(f File) bool { return !strings.HasPrefix(f.Path, "tests/") })
	slices.SortFunc(files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	return readTests(b, files, d)
}

func readTests(b *Bundle, files []File, d *diags) ([]*Test, []Diagnostic) {
	var out []*Test
	seen := map[string]Pos{}
	for _, f := range files {
		name := f.Path
		for _, part := range splitTests(f.Data) {
			if t := readTest(b, name, part, d); t != nil {
				if first, twice := seen[name+t.Name]; twice {
					d.add(t.Pos, "L9", "give one of them another name", "this test stands at %s too", first)
				}
				seen[name+t.Name] = t.Pos
				out = append(out, t)
			}
		}
	}
	return out, d.sorted()
}

// splitTests cuts a file of several tests, which --- separates, and keeps the
// line numbers. Flows have one file each; tests of one flow share one.
func splitTests(src []byte) [][]byte {
	var out [][]byte
	var part strings.Builder
	lines := strings.SplitAfter(string(src), "\n")
	for i, line := range lines {
		if strings.TrimRight(line, "\r\n ") == "---" {
			out = append(out, []byte(part.String()))
			part.Reset()
			part.WriteString(strings.Repeat("\n", i+1))
			continue
		}
		part.WriteString(line)
	}
	out = append(out, []byte(part.String()))
	return slices.DeleteFunc(out, func(p []byte) bool { return strings.TrimSpace(string(p)) == "" })
}

var calledBack = regexp.MustCompile(`^callback to (mobile|landline|number_on_file)$`)

func readTest(b *Bundle, file string, src []byte, d *diags) *Test {
	root := anyDocument(file, src, yaml.MappingNode, "a list of keys and values", "begin with test: what it shows", d)
	if root == nil {
		return nil
	}
	t := &Test{Pos: Pos{file, root.Line, root.Column}}
	in := &parser{file: file, d: d, flow: &Flow{}}
	var world *yaml.Node
	for _, e := range in.pairs(root, "the test") {
		switch key := e.key.Value; {
		case key == "test":
			t.Name = in.text(e.val)
		case key == "flow":
			t.Flow = e.val.Value
			if _, ok := b.Flow(t.Flow); !ok {
				in.bad(e.val, "L1", meant(t.Flow, keysOf(b.flows)), "there is no flow %s", clip(t.Flow))
				return nil
			}
		case key == "world":
			world = e.val
		case key == "call", calledBack.MatchString(key):
			t.Scripts = append(t.Scripts, Script{key, in.beats(e.val)})
		case key == "expect":
			t.Expect = in.expect(e.val)
		default:
			in.bad(e.key, "L4", "test, flow, world, call, callback to mobile, expect", "%s is not part of a test", clip(key))
		}
	}
	f, ok := b.Flow(t.Flow)
	if t.Name == "" || !ok {
		in.bad(root, "L4", "test: what it shows; flow: name", "a test has a name and a flow")
		return nil
	}
	t.World = in.world(b, f, world)
	return t
}

func (p *parser) beats(n *yaml.Node) []Beat {
	if n.Kind != yaml.SequenceNode {
		p.bad(n, "L4", "- hears: …", "what a person does is a list")
		return nil
	}
	var out []Beat
	for _, c := range n.Content {
		one := Beat{Pos: p.at(c)}
		if c.Kind == yaml.ScalarNode && c.Value == "hangs_up" {
			one.HangsUp = true
			out = append(out, one)
			continue
		}
		for _, e := range p.pairs(c, "a step") {
			v := e.val.Value
			switch e.key.Value {
			case "hears":
				one.Hears = p.text(e.val)
			case "keys":
				one.Keys = v
				if _, ok := keysMeant(v); !ok {
					p.bad(e.val, "L4", oneOf(keyWords()), "%q are no keys", clip(v))
				}
			case "silence":
				d, err := time.ParseDuration(v)
				if err != nil || d <= 0 || d > time.Hour {
					p.bad(e.val, "L6", "silence: 20s", "%q is no time", clip(v))
				}
				one.Silence = d
			case "hangs_up":
				one.HangsUp = p.truth(e.val, "hangs_up")
			case "moved":
				one.Moved = p.truth(e.val, "moved")
			case "page":
				one.Page = v
				if known := []string{"approves", "refuses", "wrong"}; !slices.Contains(known, v) {
					p.bad(e.val, "L4", meant(v, known), "the page %s", oneOf(known))
				}
			case "approves":
				one.Approves = v
			case "refuses":
				one.Refuses = v
			case "rejects":
				one.Rejects = v
			case "early":
				one.Early = p.truth(e.val, "early")
			default:
				p.bad(e.key, "L4", "hears, keys, silence, hangs_up, moved, page, approves, refuses, rejects, early", "%s is nothing a person does", clip(e.key.Value))
			}
		}
		out = append(out, one)
	}
	return out
}

func (p *parser) expect(n *yaml.Node) Expect {
	x := Expect{Pos: p.at(n)}
	words := func(n *yaml.Node) []string {
		out := []string{}
		for _, c := range p.list(n) {
			out = append(out, c.Value)
		}
		return out
	}
	for _, e := range p.pairs(n, "expect") {
		switch e.key.Value {
		case "accepted":
			x.Accepted = words(e.val)
		case "released":
			x.Released = words(e.val)
		case "proved":
			x.Proved = words(e.val)
		case "alerts":
			x.Alerts = words(e.val)
		case "tells":
			x.Tells = words(e.val)
		case "ends":
			x.Ends = e.val.Value
		case "within", "after":
			d, err := time.ParseDuration(e.val.Value)
			if err != nil || d <= 0 {
				p.bad(e.val, "L6", e.key.Value+": 6m", "%q is no time", clip(e.val.Value))
			}
			if e.key.Value == "within" {
				x.Within = d
			} else {
				x.After = d
			}
		default:
			p.bad(e.key, "L4", "accepted, released, proved, alerts, tells, ends, within, after", "%s cannot be expected", clip(e.key.Value))
		}
	}
	return x
}

// The words a person's keys may be given by: the code is whatever the line
// asks for just now.
var spokenKeys = map[string]string{
	"the code":                      "the code",
	"the fresh digits and the code": worldFresh + worldCarry,
	"the code alone":                worldCarry,
	"a wrong code":                  "000000",
	"yes":                           worldYes,
	"no":                            "2",
	"star":                          "*",
	"another key":                   "9",
}

func keyWords() []string { return append(keysOf(spokenKeys), `"1234#"`) }

func keysMeant(words string) (string, bool) {
	if k, ok := spokenKeys[words]; ok {
		return k, true
	}
	for i := range len(words) {
		if keyIndex(words[i]) < 0 {
			return "", false
		}
	}
	return words, words != ""
}

// Run plays the test in virtual time.
func (t *Test) Run(b *Bundle) Result {
	return t.run(b, func(*Simulator) {})
}

func (t *Test) run(b *Bundle, prepare func(*Simulator)) Result {
	r := Result{Test: t}
	m, err := NewSimulator(b, t.Flow, t.World)
	if err != nil {
		return r.fail(t.Pos, "%v", err)
	}
	prepare(m)
	m.Trace = func(at time.Duration, leg, what string) {
		r.Trace = append(r.Trace, fmt.Sprintf("%7.1fs %-8s %s", at.Seconds(), leg, what))
	}
	a := &actor{m: m, scripts: map[string][]Beat{}}
	for _, s := range t.Scripts {
		a.scripts[s.Leg] = append(a.scripts[s.Leg], s.Beats...)
	}
	m.heard = a.act
	if err := m.start(); err != nil {
		return r.fail(t.Pos, "%v", err)
	}
	limit := 2 * time.Hour
	for m.now < limit && m.next() {
	}
	r.Took, r.Cover, r.Recorded = m.now, m.Cover, m.tape.Trace()
	if !m.ended() {
		r = r.fail(t.Pos, "the flow does not end")
	}
	for _, f := range m.faults {
		r = r.fail(t.Pos, "%s", f)
	}
	for _, s := range t.Scripts {
		if left := a.scripts[s.Leg]; len(left) > 0 {
			r = r.fail(left[0].Pos, "%s: %s", s.Leg, notReached(left[0], m, s.Leg))
		}
	}
	return t.judge(m, r)
}

func notReached(beat Beat, m *Simulator, leg string) string {
	if beat.Hears == "" {
		return "this step was never reached"
	}
	for _, l := range m.legs {
		if l.name == leg && strings.TrimSpace(l.text) != "" {
			return fmt.Sprintf("nobody says %q; last heard: %s", beat.Hears, strings.TrimSpace(l.text))
		}
	}
	return fmt.Sprintf("nobody says %q", beat.Hears)
}

func (r Result) fail(at Pos, format string, args ...any) Result {
	r.Problems = append(r.Problems, Diagnostic{File: at.File, Line: at.Line, Col: at.Col, Code: "TEST",
		Message: fmt.Sprintf(format, args...), Severity: policy.SeverityError})
	return r
}

func (t *Test) judge(m *Simulator, r Result) Result {
	x := t.Expect
	if x.After > 0 {
		for _, action := range m.accepted {
			if rel := m.releases[action]; rel != nil && rel.hold <= x.After && !slices.Contains(m.released, action) {
				m.released = append(m.released, action)
			}
		}
	}
	same := func(what string, want, got []string) {
		if want != nil && sortedWords(want) != sortedWords(got) {
			r = r.fail(x.Pos, "%s: want %s, have %s", what, sortedWords(want), sortedWords(got))
		}
	}
	same("accepted", x.Accepted, m.accepted)
	same("released", x.Released, m.released)
	if x.Proved != nil {
		got := slices.DeleteFunc(m.proved(), func(f string) bool { return f == "identified" })
		same("proved", x.Proved, got)
	}
	same("alerts", x.Alerts, m.alerts)
	if x.Tells != nil {
		for _, want := range x.Tells {
			if !slices.ContainsFunc(m.tells, func(got string) bool { return strings.Contains(got, want) }) {
				r = r.fail(x.Pos, "the clerk is not told %q, but %s", want, sortedWords(m.tells))
			}
		}
		if len(x.Tells) == 0 && len(m.tells) > 0 {
			r = r.fail(x.Pos, "the clerk is told %s", sortedWords(m.tells))
		}
	}
	if x.Ends != "" && x.Ends != m.ends {
		r = r.fail(x.Pos, "ends: want %s, have %s", x.Ends, m.ends)
	}
	if x.Within > 0 && m.now > x.Within {
		r = r.fail(x.Pos, "within %s: it took %s", x.Within, m.now.Round(time.Second))
	}
	return r
}

// actor plays the people of a test.
type actor struct {
	m       *Simulator
	scripts map[string][]Beat
}

// act lets whoever is on the leg do what comes next, if they have heard it.
func (a *actor) act(leg *simLeg) {
	for !leg.blocked && !leg.robot {
		script := a.scripts[leg.name]
		if len(script) == 0 || a.m.ended() && script[0].does() {
			return
		}
		beat := script[0]
		if len(leg.queue) > 0 && !beat.Early {
			return
		}
		if beat.Hears != "" {
			at := strings.Index(strings.ToLower(leg.text), strings.ToLower(beat.Hears))
			if at < 0 {
				return
			}
			leg.text = leg.text[at+len(beat.Hears):]
			script[0].Hears = ""
		}
		if !a.do(leg, beat) {
			return
		}
		a.scripts[leg.name] = script[1:]
	}
}

// do performs a beat; false when it cannot be done yet.
func (a *actor) do(leg *simLeg, beat Beat) bool {
	m := a.m
	later := func(d time.Duration, do func()) {
		leg.blocked = true
		m.after(d, func() {
			leg.blocked = false
			do()
			a.act(leg)
		})
	}
	switch {
	case beat.Approves != "", beat.Refuses != "":
		if m.approving == nil {
			return false
		}
		if group := beat.Approves + beat.Refuses; m.approving.Group != group {
			m.faults = append(m.faults, "the group asked is "+m.approving.Group+", not "+group)
		}
		later(2*time.Second, func() { m.approve(beat.Approves != "") })
	case beat.Page != "":
		o := map[string]Outcome{"approves": OK, "refuses": Refused, "wrong": Wrong}[beat.Page]
		later(8*time.Second, func() {
			if !m.page(o) {
				m.faults = append(m.faults, "no passkey page is open")
			}
		})
	case beat.Rejects != "":
		later(2*time.Second, func() { m.reject(ringfence.Fact(beat.Rejects)) })
	case beat.Keys != "":
		a.keys(leg, beat, later)
	case beat.Silence > 0:
		later(beat.Silence, func() {})
	case beat.HangsUp:
		later(500*time.Millisecond, func() { m.hangUp(leg) })
	case beat.Moved:
		later(500*time.Millisecond, func() { m.input(Input{Kind: InChanged, On: leg.slot}) })
	}
	return true
}

// keys presses one key after the other.
func (a *actor) keys(leg *simLeg, beat Beat, later func(time.Duration, func())) {
	keys, _ := keysMeant(beat.Keys)
	if keys == "the code" {
		keys = worldCarry
		if leg.collect != nil {
			if ch := a.m.challenges[leg.collect.Challenge]; ch != nil {
				keys = a.m.right(ch)
			}
		}
	}
	a.m.trace(leg.slot, "keys: %s", shownKeys(leg, keys))
	var press func(i int)
	press = func(i int) {
		if i >= len(keys) {
			return
		}
		a.m.key(leg, keys[i])
		if i+1 < len(keys) {
			later(300*time.Millisecond, func() { press(i + 1) })
		}
	}
	later(700*time.Millisecond, func() { press(0) })
}

// shownKeys hides what is keyed on a private leg.
func shownKeys(leg *simLeg, keys string) string {
	if leg.private {
		return "****"
	}
	return keys
}

// testName is a test's file and name, for JUnit.
func (t *Test) suite() string { return strings.TrimSuffix(path.Base(t.File), ".yaml") }
