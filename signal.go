package ringfence

// goodIsYes names the signals whose good value is yes; of every other one it
// is no.
var goodIsYes = map[string]bool{"attestation": true, "line_type": true, "number_match": true, "name_check": true, "voice_match": true}

// GoodSignal returns the value of a signal that lets things go as usual: no
// for signs of fraud, yes for what should be there.
func GoodSignal(name string) Tri {
	if goodIsYes[name] {
		return Yes
	}
	return No
}

// JoinSignals returns what two answers about different things (two numbers,
// two services) come to: the bad value wins, then unknown, and only two good
// ones are good (invariant 10).
func JoinSignals(name string, a, b Tri) Tri {
	good := GoodSignal(name)
	switch {
	case a == good:
		return b
	case b == good || b == Unknown:
		return a
	default:
		return b
	}
}
