package flows

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// ProverVersion names what a proof was made by. It changes with every change
// of what is proved, or of what the engine does with a line.
const ProverVersion = "ringfence flows 1, prover 1"

// Properties are what Prove proves, by code.
var Properties = []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10"}

// Finding is one property that does not hold, with a call that breaks it.
type Finding struct {
	Diagnostic
	// Call is the counter-example. It is nil where no call breaks the property
	// but the lack of one (P7, P8), or the text itself does.
	Call *Counterexample
}

// Report is what Prove found.
type Report struct {
	Findings []Finding
	// States is how many abstract states were explored, Roots how many starts.
	States int
	Roots  int
	Lines  int
	// Longest is a bound of how long the calls of each root flow last.
	Longest []Longest
	// Weakest is, for each release, the least convincing caller who comes to it.
	Weakest []Weakest

	bundle [32]byte
}

// Clean reports whether every property holds. The zero Report is not clean.
func (r Report) Clean() bool { return r.Roots > 0 && !policy.Failed(r.Diagnostics()) }

// Diagnostics lists the findings as the loader lists its own.
func (r Report) Diagnostics() []Diagnostic {
	out := make([]Diagnostic, 0, len(r.Findings))
	for _, f := range r.Findings {
		out = append(out, f.Diagnostic)
	}
	return out
}

// Certificate is what stands in a bundle about its proof. Who loads the bundle
// proves it again: a certificate convinces nobody, it tells what to expect.
type Certificate struct {
	Engine     string   `json:"engine"`
	Properties []string `json:"properties"`
	States     int      `json:"states"`
	Result     string   `json:"result"` // proved, or refuted by n findings
	Bundle     string   `json:"bundle"` // SHA-256 of its canonical form
}

// Certificate sums the report up.
func (r Report) Certificate() Certificate {
	result := ResultProved
	if !r.Clean() {
		result = fmt.Sprintf("refuted by %d findings", len(r.Findings))
	}
	return Certificate{Engine: ProverVersion, Properties: slices.Clone(Properties), States: r.States, Result: result, Bundle: hex.EncodeToString(r.bundle[:])}
}

// ResultProved is the Result of a certificate of a clean proof.
const ResultProved = "proved"

// ReadCertificate reads what Canonical wrote, and nothing else.
func ReadCertificate(raw []byte) (Certificate, error) {
	var c Certificate
	if len(raw) > 4096 || json.Unmarshal(raw, &c) != nil || !bytes.Equal(c.Canonical(), raw) {
		return Certificate{}, errors.New("this is no certificate of a proof")
	}
	return c, nil
}

// Canonical returns the one JSON form of the certificate.
func (c Certificate) Canonical() []byte {
	raw, err := json.Marshal(c)
	if err != nil { // strings and a number only
		panic("flows: certificate: " + err.Error())
	}
	return raw
}

// Prove explores every call that the flows of a bundle can become and reports
// each that breaks what the policy asks, what no call can reach, and what takes
// too long. It is pure; a proof of the shipped scripts takes milliseconds. A
// nil bundle is not clean.
func Prove(b *Bundle) Report {
	if b == nil || b.pol == nil {
		return Report{}
	}
	p := newProof(b)
	for _, r := range p.roots() {
		p.prove(r)
	}
	p.static()
	longest := p.times()
	return Report{Findings: p.sorted(), States: p.states, Roots: p.rootCount, Lines: p.lines(), Longest: longest, Weakest: p.weakest(), bundle: b.hash}
}

// proof is what one run of Prove collects.
type proof struct {
	b         *Bundle
	pol       *policy.Policy
	found     map[string]int
	findings  []Finding
	seen      map[*Line]bool
	released  map[string]bool
	states    int
	rootCount int
	wayCache  map[wayKey]wayList
	asked     map[string]policy.FactSet
	arrivals  map[releasePlace]arrival
}

type wayKey struct {
	action string
	on     string
	strict bool
}

func newProof(b *Bundle) *proof {
	return &proof{b: b, pol: b.pol, found: map[string]int{}, seen: map[*Line]bool{}, released: map[string]bool{},
		wayCache: map[wayKey]wayList{}, asked: map[string]policy.FactSet{}, arrivals: map[releasePlace]arrival{}}
}

// root is one start: a flow, and the action that it is started for.
type root struct {
	flow  *Flow
	given string
}

// roots lists every flow by its start; a console flow about given once for
// every action of the policy. Callback flows are proved in the context of those
// that call them.
func (p *proof) roots() []root {
	var out []root
	for _, f := range p.b.order {
		switch {
		case f.Starts == StartsInbound:
			out = append(out, root{f, ""})
		case f.Starts != StartsConsole && f.Starts != StartsJob:
		case f.Subject == Given:
			for _, a := range p.pol.Actions() {
				out = append(out, root{f, a.Name})
			}
		case len(f.Actions) > 0 && f.Subject != "":
			for _, a := range f.Actions {
				out = append(out, root{f, a})
			}
		default:
			out = append(out, root{f, ""})
		}
	}
	return out
}

// prove explores one root. Where a counter-example leaves a loop before its
// count is used up, the root is explored again with the counts kept: what then
// holds was a false alarm.
func (p *proof) prove(r root) {
	p.rootCount++
	before := len(p.findings)
	w := newWalk(p, r.flow, r.given)
	w.limit = min(maxStates, 4*maxStates-p.states)
	w.run()
	p.states += w.states
	if w.gaveUp {
		p.tooBig(r.flow)
		return
	}
	if !slices.ContainsFunc(p.findings[before:], func(f Finding) bool { return f.Call != nil && f.Call.early }) {
		return
	}
	exact := newProof(p.b)
	again := newWalk(exact, r.flow, r.given)
	again.counting, again.limit = true, maxStates/5
	again.run()
	if again.gaveUp {
		return
	}
	kept := p.findings[:before]
	for _, f := range p.findings[before:] {
		key := findingKey(f.Diagnostic)
		if i, ok := exact.found[key]; ok {
			if f.Call.early {
				f.Call = exact.findings[i].Call
			}
			kept = append(kept, f)
			continue
		}
		delete(p.found, key)
	}
	p.findings = kept
}

func (p *proof) tooBig(f *Flow) {
	p.put(Finding{Diagnostic: diagnose(f.Pos, "P0", "split the flow, or compare fewer names",
		"%s is too big to be proved: more than %d states, %d facts or %d combinations of values", f.Name, maxStates, maxBits, maxCombinations)})
}

func diagnose(at Pos, code, hint, format string, args ...any) Diagnostic {
	return Diagnostic{File: at.File, Line: at.Line, Col: at.Col, Code: code, Hint: hint, Severity: policy.SeverityError,
		Message: fmt.Sprintf(format, args...)}
}

// findingKey tells findings apart: one of a kind for each place, the first and
// therefore the one with the shortest call.
func findingKey(d Diagnostic) string {
	about := d.Message
	if d.Code == "P1" {
		about, _, _ = strings.Cut(about, " without")
	}
	if d.Code == "P2" {
		about, _, _ = strings.Cut(about, " is spoken")
	}
	return fmt.Sprint(d.File, d.Line, d.Col, d.Code, about)
}

// find reports what a state of a walk breaks.
func (p *proof) find(w *walk, st *walkState, code string, at Pos, hint, format string, args ...any) {
	if w.most {
		return
	}
	f := Finding{Diagnostic: diagnose(at, code, hint, format, args...)}
	if _, ok := p.found[findingKey(f.Diagnostic)]; ok || len(p.findings) >= maxDiagnostics {
		return
	}
	f.Call = w.counterexample(st)
	p.put(f)
}

func (p *proof) put(f Finding) {
	key := findingKey(f.Diagnostic)
	if _, ok := p.found[key]; ok {
		return
	}
	p.found[key] = len(p.findings)
	p.findings = append(p.findings, f)
}

func (p *proof) visited(w *walk, l *Line) { p.seen[l] = true }
func (p *proof) releases(action string)   { p.released[action] = true }

// ways returns the least sets of proofs that release an action with some of its
// extras; strict only those that a subject with a passkey may use.
func (p *proof) ways(a *policy.Action, on []int, strict bool) wayList {
	key := wayKey{a.Name, fmt.Sprint(on), strict}
	if got, ok := p.wayCache[key]; ok {
		return got
	}
	var extras []policy.Extra
	for _, i := range on {
		extras = append(extras, a.Extra[i])
	}
	ways := slices.Clone(a.Ways(a.Class, extras...))
	if strict {
		for i, w := range ways {
			if !w.Has(ringfence.FactProofed) {
				ways[i] = w.With(ringfence.FactPasskey)
			}
		}
	}
	p.wayCache[key] = ways
	return ways
}

// asks reports whether some way of an action asks for a fact.
func (p *proof) asks(action string, f ringfence.Fact) bool {
	all, ok := p.asked[action]
	if a, known := p.pol.Action(action); !ok && known {
		on := make([]int, len(a.Extra))
		for i := range on {
			on[i] = i
		}
		for _, w := range p.ways(a, on, false) {
			all |= w
		}
		p.asked[action] = all
	}
	return all.Has(f)
}

func (p *proof) lines() int {
	n := 0
	for _, f := range p.b.order {
		for _, s := range f.Scenes {
			n += len(s.Lines)
		}
	}
	return n
}

func (p *proof) sorted() []Finding {
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return p.findings
}

func changesFile(a *policy.Action) bool {
	return a.Like == policy.LikeContactChange || a.Like == policy.LikeAuthenticatorReset || a.Like == policy.LikeMandateChange
}

// atDesk are the facts that an agent can have proved for any action at all, by
// the flows about given; the agent then asks for its release.
func (p *proof) atDesk() policy.FactSet {
	var have policy.FactSet
	add := func(f *Flow) {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				switch l.Verb {
				case Verify:
					have = have.With(ringfence.Fact(l.Arg))
				case Callback:
					have = have.With(ringfence.FactCallback)
				case Confirm:
					have = have.With(ringfence.FactConfirmed)
				case Approve:
					have = have.With(ringfence.FactApproved)
				}
			}
		}
	}
	for _, f := range p.b.order {
		if f.Subject == Given && (f.Starts == StartsConsole || f.Starts == StartsCallback) {
			add(f)
		}
	}
	return have
}

func meets(a *policy.Action, have policy.FactSet) bool {
	return len(a.Needs) > 0 && !slices.ContainsFunc(a.Needs, func(n policy.Need) bool { return !n.Holds(have) })
}

// static is P7, P8 and what P10 says of the place of reach.
func (p *proof) static() {
	if slices.ContainsFunc(p.findings, func(f Finding) bool { return f.Code == "P0" }) {
		return
	}
	rung := map[*Flow]bool{}
	for _, f := range p.b.order {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				if l.Verb == Callback && l.With != nil {
					rung[l.With] = true
				}
			}
		}
	}
	for _, f := range p.b.order {
		p.unreached(f)
		p.reachFirst(f, f.Starts == StartsJob || f.Starts == StartsCallback && rung[f])
	}
	desk := p.atDesk()
	for _, a := range p.pol.Actions() {
		// What needs no proof is asked for by systems, over the API; what needs
		// papers is never released on a call; a change of what is on file is asked
		// for by staff, who have it proved by the flows about given.
		if !p.released[a.Name] && a.Class > ringfence.C0 && a.Class < ringfence.C5 && !(changesFile(a) && meets(a, desk)) {
			p.put(Finding{Diagnostic: diagnose(Pos{"policy.yaml", a.Line, 3}, "P8", "- release: "+a.Name+" in some flow, or take it out of the policy", "no flow can release %s", a.Name)})
		}
	}
}

// unreached reports the first line of each stretch that no call comes to.
func (p *proof) unreached(f *Flow) {
	if first := f.first(); first != nil && !p.seen[first] {
		p.put(Finding{Diagnostic: diagnose(first.Pos, "P7", "", "no call ever comes into %s", f.Name)})
		return
	}
	for _, s := range f.Scenes {
		for i, l := range s.Lines {
			if p.seen[l] || i > 0 && !p.seen[s.Lines[i-1]] {
				continue
			}
			what := lineWords(l)
			if i == 0 {
				what = "the scene " + s.Name
			}
			p.put(Finding{Diagnostic: diagnose(l.Pos, "P7", "take it out, or lead to it", "no call ever comes to %s", what)})
		}
	}
}

// reachFirst is the first sentence of P10.
func (p *proof) reachFirst(f *Flow, must bool) {
	first := f.first()
	if first == nil {
		return
	}
	if must && first.Verb != Reach {
		p.put(Finding{Diagnostic: diagnose(first.Pos, "P10", "- reach: This is Acme. Please have ready the code we gave you.",
			"%s speaks on a leg that we placed: it must begin with reach", f.Name)})
	}
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			switch {
			case l.Verb != Reach:
			case !must:
				p.put(Finding{Diagnostic: diagnose(l.Pos, "P10", "take it out", "nobody was rung here: reach belongs at the start of job and callback flows")})
			case l != first:
				p.put(Finding{Diagnostic: diagnose(l.Pos, "P10", "take it out", "reach comes first in a flow, and once")})
			case len(l.Text.Names) > 0:
				p.put(Finding{Diagnostic: diagnose(l.Text.Pos, "P10", "take {"+l.Text.Names[0].Full+"} out", "{%s} is spoken before the person proved to be the one we gave the code to", l.Text.Names[0].Full)})
			}
		}
	}
}
