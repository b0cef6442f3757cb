package gate

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// signalAge is how old a good sign may be. A bad one is never too old.
const signalAge = 10 * time.Minute

const (
	signalSwap     = "sim_swap"
	signalDiverted = "diversion"
	maxSignals     = 32 // kept with a release
)

// mergeSignals puts what was said into one value a name, keeps it with the
// release, and keeps what was once bad bad, for this release.
func (t *turn) mergeSignals() map[string]ringfence.Tri {
	out := map[string]ringfence.Tri{}
	for _, s := range t.signals {
		v := t.fresh(s)
		if old, twice := out[s.Name]; twice {
			v = ringfence.JoinSignals(s.Name, old, v)
		}
		out[s.Name] = v
	}
	for _, name := range []string{signalSwap, signalDiverted} {
		if out[name] == ringfence.Yes {
			if t.r.Bad == nil {
				t.r.Bad = map[string]bool{}
			}
			t.r.Bad[name] = true
		}
	}
	for name := range t.r.Bad {
		out[name] = ringfence.Yes
	}
	if len(t.signals) > 0 {
		t.r.Signals = slices.Clone(t.signals[:min(len(t.signals), maxSignals)])
	}
	return out
}

// fresh is the value of a signal now: a good one that is old, or of a time to
// come, says nothing any more.
func (t *turn) fresh(s ringfence.Signal) ringfence.Tri {
	age := t.now.Sub(s.At)
	if s.Value == ringfence.GoodSignal(s.Name) && (s.At.IsZero() || age > signalAge || age < -time.Minute) {
		return ringfence.Unknown
	}
	return s.Value
}

// signalWords are signals as an entry tells them, in a fixed order:
// "sim_swap=no (twilio lookup sim_swap, 2026-11-22T10:00:00Z)".
func signalWords(list []ringfence.Signal) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = s.Name + "=" + s.Value.String() + " (" + s.Source + ", " + s.At.UTC().Format(time.RFC3339) + ")"
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
}

// lineSigns are what services say about a number on file and an account, in
// words for unknown, yes and no.
var lineSigns = map[string][3]string{
	signalSwap: {"Nobody can say whether the SIM of the number on file was changed lately.",
		"The SIM of a number on file was changed in the last days.", "The SIM of the number on file was not changed lately."},
	signalDiverted: {"Nobody can say whether calls to the number on file are forwarded.",
		"Calls to a number on file are forwarded elsewhere.", "Calls to the number on file are not forwarded."},
	"line_type": {"Nobody can say what kind of line the number on file is.", "The number on file is bound to a SIM or a place.",
		"The number on file is bound to no SIM and no place."},
	"prepaid": {"Nobody can say whether the number on file is a prepaid one.", "A number on file is prepaid: nobody had to show papers for it.",
		"The number on file is on a contract."},
	"number_match": {"Nobody can say whether the number on file belongs to the person on file.", "The number on file belongs to the person on file.",
		"A number on file belongs to somebody else than the person on file."},
	"name_check": {"Nobody can say whether the account belongs to the payee named.", "The account belongs to the payee named.",
		"The account belongs to somebody else than the payee named."},
	"synthetic_voice": {"A service that listens cannot say whether the voice is a person's.", "A service that listens takes the voice for a made one.",
		"A service that listens takes the voice for a person's."},
	"voice_match": {"A service that listens cannot say whose voice it is.", "A service that listens takes the voice for the one on file.",
		"A service that listens takes the voice for somebody else's."},
}

// closeName is what is told of an account whose name is nearly the payee's.
const closeName = "The name of the account is close to the payee named, and not the same: ask for the exact name."

// told are the signals in sentences, with who said so. The two that class C4
// looks at are always told.
func (t *turn) told(values map[string]ringfence.Tri) []Risk {
	var out []Risk
	for _, name := range slices.Sorted(maps.Keys(lineSigns)) {
		value, asked := values[name]
		if !asked && name != signalSwap && name != signalDiverted || value > ringfence.No {
			continue
		}
		r := Risk{Name: name, Value: value, Says: lineSigns[name][value]}
		for _, s := range t.signals {
			if s.Name == name && (r.Source == "" || s.Value == value) {
				r.Source, r.At = s.Source, s.At
			}
			if s.Name == name && name == "name_check" && value == ringfence.Unknown && s.Detail == "close" {
				r.Says = closeName
			}
		}
		out = append(out, r)
	}
	return out
}
