package flows

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Session plays a flow in a terminal: it prints what is heard and takes what
// the people on the line do. Time is virtual and stands still while one types.
type Session struct {
	m        *Simulator
	out      io.Writer
	at       LegSlot
	pause    bool
	flow     string
	settings []string
	scripts  map[string][]Beat
	order    []string
	said     map[string]string // what each leg heard last

	// Save writes what /save FILE asks for; nil refuses it.
	Save func(file, test string) error
}

// NewSession prepares a flow in a world of settings: "passkey=none",
// "mobile=busy", "call.attestation=C", "queue.fraud_desk=closed", "down=otp",
// "have=pin", "language=de".
func NewSession(b *Bundle, flow string, settings []string, out io.Writer) (*Session, error) {
	w, err := WorldOf(b, flow, settings)
	if err != nil {
		return nil, err
	}
	m, err := NewSimulator(b, flow, w)
	if err != nil {
		return nil, err
	}
	s := &Session{m: m, out: out, flow: flow, settings: settings, scripts: map[string][]Beat{}, said: map[string]string{}}
	m.Trace = func(at time.Duration, leg, what string) {
		if text, ok := strings.CutPrefix(what, "hears: "); ok {
			s.said[leg] = text
		}
		fmt.Fprintf(out, "%6.1fs  %-24s %s\n", at.Seconds(), leg, what)
	}
	m.heard = func(leg *simLeg) {
		if len(leg.queue) > 0 {
			return
		}
		switch m.state.Wait.Phase {
		case waitPrompt, waitKeys, waitSecret, waitPage, waitResult:
			s.pause = m.approving != nil || m.state.Wait.Phase != waitResult
		}
		if s.pause && leg.up {
			s.at = leg.slot
		}
	}
	return s, nil
}

// WorldOf makes the world of a flow from settings.
func WorldOf(b *Bundle, flow string, settings []string) (World, error) {
	f, ok := b.Flow(flow)
	if !ok {
		return World{}, fmt.Errorf("there is no flow %s%s", clip(flow), prefixed(" (", meant(flow, keysOf(b.flows)), ")"))
	}
	top := map[string]any{}
	under := func(key string) map[string]any {
		m, _ := top[key].(map[string]any)
		if m == nil {
			m = map[string]any{}
			top[key] = m
		}
		return m
	}
	for _, one := range settings {
		key, value, ok := strings.Cut(one, "=")
		if !ok {
			return World{}, fmt.Errorf("%q: write it as passkey=none", one)
		}
		owner, field, dotted := strings.Cut(key, ".")
		switch {
		case dotted && owner == "queue":
			under("queues")[field] = value
		case dotted:
			under(owner)[field] = value
		case key == "down" || key == "have":
			list, _ := top[key].([]string)
			top[key] = append(list, strings.Split(value, ",")...)
		case key == "language" || key == "gate" || key == "action":
			top[key] = value
		default:
			under(string(DefaultWorld(b, f).Kind))[key] = value
		}
	}
	raw, err := yaml.Marshal(top)
	if err != nil {
		return World{}, err
	}
	d := &diags{}
	root := document("world", raw, d)
	w := DefaultWorld(b, f)
	if root != nil {
		w = (&parser{file: "world", d: d, flow: &Flow{}}).world(b, f, root)
	}
	if len(d.list) > 0 {
		return World{}, fmt.Errorf("%s%s", d.list[0].Message, prefixed(" [", d.list[0].Hint, "]"))
	}
	return w, nil
}

func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

const sessionHelp = `keys: 1234#   the code   the fresh digits and the code   yes   no   star   a wrong code
empty line     wait until something happens
/wait 20s      stay silent        /hang          hang up
/page approves the passkey page: approves, refuses, wrong
/approve       a colleague agrees /refuse        a colleague refuses
/moved         somebody else has the phone now
/save FILE     write what was played so far as a flow test
/quit
`

// Play runs the session until the flow has ended or in is at its end.
func (s *Session) Play(in io.Reader) error {
	fmt.Fprint(s.out, sessionHelp+"\n")
	if err := s.m.start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for {
		s.run()
		if s.m.ended() {
			return nil
		}
		leg := s.m.legs[s.at]
		fmt.Fprintf(s.out, "%s> ", leg.name)
		if !lines.Scan() {
			fmt.Fprintln(s.out)
			return lines.Err()
		}
		if quit := s.do(leg, strings.TrimSpace(lines.Text())); quit {
			return nil
		}
	}
}

// run lets things happen until a person may act.
func (s *Session) run() {
	for s.pause = false; !s.pause && s.m.next(); {
	}
}

func (s *Session) beat(leg *simLeg, b Beat) {
	b.Hears = landmark(s.said[leg.name])
	s.said[leg.name] = ""
	if s.scripts[leg.name] == nil {
		s.order = append(s.order, leg.name)
	}
	s.scripts[leg.name] = append(s.scripts[leg.name], b)
}

// landmark picks the words of a text by which a test knows it again.
func landmark(text string) string {
	best := ""
	for _, part := range strings.Split(text, "****") {
		part = strings.Trim(part, " .,;:!?")
		if len(part) > len(best) {
			best = part
		}
	}
	if len(best) > 48 {
		if at := strings.LastIndexByte(best[:48], ' '); at > 0 {
			best = best[:at]
		}
	}
	return best
}

func (s *Session) do(leg *simLeg, typed string) (quit bool) {
	verb, arg, _ := strings.Cut(typed, " ")
	switch verb {
	case "":
	case "/quit", "/q":
		return true
	case "/help":
		fmt.Fprint(s.out, sessionHelp)
		s.pause = true
	case "/hang":
		s.beat(leg, Beat{HangsUp: true})
		s.m.hangUp(leg)
	case "/moved":
		s.beat(leg, Beat{Moved: true})
		s.m.input(Input{Kind: InChanged, On: leg.slot})
	case "/wait":
		d, err := time.ParseDuration(arg)
		if err != nil || d <= 0 || d > time.Hour {
			fmt.Fprintln(s.out, "/wait 20s")
			return false
		}
		s.beat(leg, Beat{Silence: d})
		until := s.m.now + d
		for !s.m.ended() && len(s.m.events) > 0 && s.m.events[0].at <= until {
			s.m.next()
		}
		s.m.now = max(s.m.now, until)
	case "/page":
		o, ok := map[string]Outcome{"approves": OK, "refuses": Refused, "wrong": Wrong}[arg]
		if !ok {
			fmt.Fprintln(s.out, "/page approves, refuses or wrong")
			return false
		}
		s.beat(leg, Beat{Page: arg})
		if !s.m.page(o) {
			fmt.Fprintln(s.out, "no page is open")
		}
	case "/approve", "/refuse":
		if s.m.approving == nil {
			fmt.Fprintln(s.out, "nobody was asked")
			return false
		}
		b := Beat{Approves: s.m.approving.Group}
		if verb == "/refuse" {
			b = Beat{Refuses: s.m.approving.Group}
		}
		s.beat(leg, b)
		s.m.approve(verb == "/approve")
	case "/save":
		s.save(arg)
	default:
		s.keys(leg, typed)
	}
	return false
}

func (s *Session) keys(leg *simLeg, typed string) {
	keys, ok := keysMeant(typed)
	if !ok {
		fmt.Fprintln(s.out, "these are no keys; /help says what can be typed")
		return
	}
	s.beat(leg, Beat{Keys: typed})
	if keys == "the code" {
		keys = worldCarry
		if leg.collect != nil && s.m.challenges[leg.collect.Challenge] != nil {
			keys = s.m.right(s.m.challenges[leg.collect.Challenge])
		}
	}
	for i := range len(keys) {
		s.m.key(leg, keys[i])
		s.m.now += 300 * time.Millisecond
	}
}

func (s *Session) save(file string) {
	if s.Save == nil || file == "" {
		fmt.Fprintln(s.out, "/save tests/mine.yaml")
		return
	}
	if err := s.Save(file, s.Test("what this shows")); err != nil {
		fmt.Fprintln(s.out, err)
	}
}

// Test writes what was played so far as a flow test.
func (s *Session) Test(name string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "test: %s\nflow: %s\n", quoteIf(name), s.flow)
	if len(s.settings) > 0 {
		out.WriteString("world:\n")
		groups := map[string][]string{}
		for _, one := range s.settings {
			key, value, _ := strings.Cut(one, "=")
			owner, field, dotted := strings.Cut(key, ".")
			switch {
			case dotted && owner == "queue":
				groups["queues"] = append(groups["queues"], field+": "+quoteIf(value))
			case dotted:
				groups[owner] = append(groups[owner], field+": "+quote(value))
			case key == "down", key == "have":
				fmt.Fprintf(&out, "  %s: [%s]\n", key, value)
			case key == "language", key == "gate", key == "action":
				fmt.Fprintf(&out, "  %s: %s\n", key, value)
			default:
				kind := string(s.m.world.Kind)
				groups[kind] = append(groups[kind], key+": "+quote(value))
			}
		}
		for _, owner := range slices.Sorted(maps.Keys(groups)) {
			fmt.Fprintf(&out, "  %s: { %s }\n", owner, strings.Join(groups[owner], ", "))
		}
	}
	for _, leg := range s.order {
		fmt.Fprintf(&out, "%s:\n", leg)
		for _, b := range s.scripts[leg] {
			out.WriteString(b.yaml())
		}
	}
	words := func(list []string) string {
		for i, w := range list {
			list[i] = quoteIf(w)
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	fmt.Fprintf(&out, "expect:\n  accepted: %s\n  proved: %s\n", words(slices.Clone(s.m.accepted)),
		words(slices.DeleteFunc(s.m.proved(), func(f string) bool { return f == "identified" })))
	if s.m.ends != "" {
		fmt.Fprintf(&out, "  ends: %s\n", s.m.ends)
	}
	return out.String()
}

// yaml writes a beat as a step of a test.
func (b Beat) yaml() string {
	var keys []string
	if b.Hears != "" {
		keys = append(keys, "hears: "+quoteIf(b.Hears))
	}
	switch {
	case b.Keys != "" && keyIndex(b.Keys[0]) >= 0:
		keys = append(keys, "keys: "+quote(b.Keys))
	case b.Keys != "":
		keys = append(keys, "keys: "+b.Keys)
	case b.Silence > 0:
		keys = append(keys, "silence: "+spell(b.Silence))
	case b.HangsUp:
		keys = append(keys, "hangs_up: true")
	case b.Moved:
		keys = append(keys, "moved: true")
	case b.Page != "":
		keys = append(keys, "page: "+b.Page)
	case b.Approves != "":
		keys = append(keys, "approves: "+b.Approves)
	case b.Refuses != "":
		keys = append(keys, "refuses: "+b.Refuses)
	}
	return "  - " + strings.Join(keys, "\n    ") + "\n"
}
