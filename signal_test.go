package ringfence

import "testing"

// Joined, nothing gets better than it was: bad wins, then unknown.
func TestJoinSignals(t *testing.T) {
	for _, name := range []string{"sim_swap", "line_type", "name_check", "anything"} {
		good := GoodSignal(name)
		if good == Unknown {
			t.Fatalf("%s: unknown is the good value", name)
		}
		rank := func(v Tri) int {
			switch v {
			case good:
				return 0
			case Unknown:
				return 1
			default:
				return 2
			}
		}
		for _, a := range []Tri{Unknown, Yes, No} {
			for _, b := range []Tri{Unknown, Yes, No} {
				got := JoinSignals(name, a, b)
				if rank(got) != max(rank(a), rank(b)) || got != JoinSignals(name, b, a) {
					t.Errorf("%s: %v and %v are %v", name, a, b, got)
				}
			}
		}
	}
}
