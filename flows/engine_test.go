package flows

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

func shipped(t testing.TB) *Bundle {
	t.Helper()
	b, list := LoadDir(os.DirFS("../scripts"))
	if b == nil {
		t.Fatalf("scripts: %v", list)
	}
	return b
}

func startFacts(b *Bundle, f *Flow) Facts {
	w := DefaultWorld(b, f)
	return Facts{Start: f.Starts, Call: w.Call, Subject: w.Kind, Record: w.Record, Action: w.Action, Payload: w.Payload}
}

// driver feeds random inputs: likely answers, late ones, doubled ones, and
// nonsense. It checks what must hold after every step.
type driver struct {
	t      *testing.T
	rand   *rand.Rand
	s      *State
	b      *Bundle
	refs   []Ref
	steps  int
	faults []string
}

func (d *driver) feed(effects []Effect) {
	for i, e := range effects {
		if e.Ref != 0 {
			d.refs = append(d.refs, e.Ref)
		}
		if e.Kind == EffFault && !strings.HasPrefix(e.Text, `say ended as "down"`) { // an InFault on a say
			d.faults = append(d.faults, e.Text)
		}
		if e.Kind == EffEnd && i != len(effects)-1 {
			d.t.Fatalf("an effect follows the end: %v", effects[i+1].Kind)
		}
		if e.Kind == EffCollect {
			for _, other := range effects {
				if other.Kind == EffSpeak && other.Speech.Language == "" {
					d.t.Fatalf("speech without a language at %v", other.At)
				}
			}
		}
	}
	if len(d.refs) > 12 {
		d.refs = d.refs[len(d.refs)-12:]
	}
}

func (d *driver) input() Input {
	r := d.rand
	ref := Ref(r.IntN(40))
	if len(d.refs) > 0 && r.IntN(8) > 0 {
		ref = d.refs[r.IntN(len(d.refs))]
	}
	if r.IntN(6) > 0 { // what is really waited for
		for _, c := range []Ref{d.s.Wait.Play, d.s.Wait.Timer, d.s.Wait.Ref, d.s.Wait.Dial} {
			if c != 0 && r.IntN(3) == 0 {
				ref = c
			}
		}
	}
	in := Input{Ref: ref, On: LegSlot(r.IntN(3) / 2)}
	switch n := r.IntN(100); {
	case n < 30:
		in.Kind, in.Digit, in.On = InDigit, "0123456789*#"[r.IntN(12)], d.s.slot()
	case n < 45:
		in.Kind = InPlayed
	case n < 55:
		in.Kind = InTimer
	case n < 65:
		in.Kind = InReady
	case n < 70:
		in.Kind = InAnswered
	case n < 96:
		in.Kind, in.Outcome, in.Again, in.Good = InOutcome, OK, r.IntN(2) == 0, r.IntN(2) == 0
		if r.IntN(2) == 0 {
			in.Outcome = Outcome(r.IntN(int(outcomeCount) + 2))
		}
		in.Record = map[string]string{"balance_band": "low"}
	case n < 97:
		in.Kind = InChanged
	case n < 98:
		in.Kind = InFault
	default:
		in.Kind = []InputKind{InProved, InHungUp, NoInput, InputKind(99)}[r.IntN(4)]
	}
	return in
}

// Whatever comes in whatever order, a call ends, no step panics, the state can
// be stored and read back at every point and goes on the same.
func TestRandomCallsEnd(t *testing.T) {
	b := shipped(t)
	ways := map[string]int{}
	for seed := range uint64(4000) {
		for _, f := range b.Flows() {
			if f.Starts == StartsCallback || seed%4 != 0 && f.Starts != StartsInbound {
				continue
			}
			r := rand.New(rand.NewPCG(seed, 7))
			s, effects, err := Start(b, f.Name, startFacts(b, f))
			if err != nil {
				t.Fatal(err)
			}
			d := &driver{t: t, rand: r, s: s, b: b}
			d.feed(effects)
			for d.steps = 0; !d.s.Ended; d.steps++ {
				if d.steps > 20000 {
					t.Fatalf("%s seed %d: the call does not end; at %v", f.Name, seed, d.s.Here())
				}
				in := d.input()
				if d.steps > 15000 {
					in = Input{Kind: InCancel}
				}
				if r.IntN(10) == 0 {
					d.restore(f.Name, seed, in)
				}
				d.feed(Step(b, d.s, in))
			}
			for _, fault := range d.faults {
				t.Errorf("%s seed %d: fault %s", f.Name, seed, fault)
			}
			ways[f.Name]++
			if again := Step(b, d.s, Input{Kind: InDigit, Digit: '1'}); again != nil {
				t.Fatalf("%s: a step after the end has effects", f.Name)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// restore replaces the state by what its JSON says. Digits of an unfinished
// entry and keys typed ahead are not stored, so both must be empty.
func (d *driver) restore(flow string, seed uint64, in Input) {
	if len(d.s.keys) > 0 || len(d.s.Wait.digits) > 0 {
		return
	}
	raw, err := json.Marshal(d.s)
	if err != nil {
		d.t.Fatal(err)
	}
	if strings.Contains(string(raw), "keys") {
		d.t.Fatalf("typed keys are stored: %s", raw)
	}
	again, err := Resume(d.b, raw)
	if err != nil {
		d.t.Fatalf("%s seed %d: %v", flow, seed, err)
	}
	twin, err := Resume(d.b, raw)
	if err != nil {
		d.t.Fatal(err)
	}
	one, two := Step(d.b, again, in), Step(d.b, twin, in)
	if !reflect.DeepEqual(one, two) {
		d.t.Fatalf("%s seed %d: the same state and input have two outcomes", flow, seed)
	}
	fresh, err := Resume(d.b, raw)
	if err != nil {
		d.t.Fatal(err)
	}
	d.s = fresh
}

func TestStartRefuses(t *testing.T) {
	b := shipped(t)
	tests := []struct {
		name, flow string
		facts      Facts
		want       string
	}{
		{"zero facts", "customer-line", Facts{}, "it starts by inbound, not by "},
		{"unknown flow", "nobody", Facts{Start: StartsInbound}, "there is no such flow"},
		{"callback by itself", "callback-bank-change", Facts{Start: StartsCallback}, "starts by callback"},
		{"job without a subject", "callback-payment", Facts{Start: StartsJob}, "about a customer, not about nobody"},
		{"job without an action", "callback-payment", Facts{Start: StartsJob, Subject: "customer"}, "needs the action"},
		{"job about another action", "callback-payment", Facts{Start: StartsJob, Subject: "customer", Action: "bank_change"}, "cannot be about"},
		{"given about another kind", "step-up-code", Facts{Start: StartsConsole, Subject: "contact", Action: "payment"}, "cannot be about"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, effects, err := Start(b, tt.flow, tt.facts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("have %v, want %q", err, tt.want)
			}
			if effects != nil {
				t.Errorf("a refused start has effects")
			}
		})
	}
	if Step(nil, nil, Input{Kind: InDigit}) != nil || Step(b, &State{}, Input{Kind: InDigit}) != nil {
		t.Error("the zero state moves")
	}
}

func TestResumeRefuses(t *testing.T) {
	b := shipped(t)
	s, _, err := Start(b, "customer-line", Facts{Start: StartsInbound})
	if err != nil {
		t.Fatal(err)
	}
	good, _ := json.Marshal(s)
	for name, change := range map[string][2]string{
		"another version": {`"version":1`, `"version":2`},
		"another bundle":  {`"bundle":"`, `"bundle":"00`},
		"no such scene":   {`"scene":0`, `"scene":99`},
		"no such line":    {`"line":0`, `"line":-1`},
		"no such flow":    {`"flow":"customer-line"`, `"flow":"other"`},
		"no frames":       {`"frames":[`, `"frames":[],"x":[`},
		"not JSON":        {`{`, `[`},
	} {
		raw := strings.Replace(string(good), change[0], change[1], 1)
		if raw == string(good) {
			t.Fatalf("%s: nothing changed in %s", name, good)
		}
		if _, err := Resume(b, []byte(raw)); err == nil {
			t.Errorf("%s: resumed", name)
		}
	}
	if _, err := Resume(b, good); err != nil {
		t.Error(err)
	}
}

// The zero outcome and words that are none never lead on.
func TestUnknownOutcomesRefuse(t *testing.T) {
	b := shipped(t)
	for _, o := range []Outcome{NoOutcome, outcomeCount, outcomeCount + 7, NotFound, Closed} {
		s, _, err := Start(b, "callback-payment", Facts{Start: StartsJob, Subject: "customer", Action: "payment", Payload: map[string]string{"payee": "A", "amount": "100 GBP", "account": "123456"}})
		if err != nil {
			t.Fatal(err)
		}
		Step(b, s, Input{Kind: InReady, Ref: s.Wait.Ref})
		Step(b, s, Input{Kind: InOutcome, Ref: s.Wait.Ref, Outcome: o})
		if s.Has(ringfence.FactCallback) || s.Ended == false && s.Here().Scene == "pick_up" {
			t.Errorf("outcome %d led on to %v", o, s.Here())
		}
	}
}
