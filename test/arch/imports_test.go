package arch

import (
	"strings"
	"testing"
)

// A direction says which rooms the rooms of one pattern may import.
type direction struct {
	rooms string
	may   []string
}

// above are the rooms that decide; the edges below them may use any.
var above = []string{".", "policy", "flows", "ledger/...", "stirshaken/...", "verify", "verify/otp", "verify/passkey", "verify/pin", "verify/callback", "verify/approve", "verify/proofing", "verify/recovery", "verify/signals", "gate", "announce", "reconcile", "scripts"}

// directions is the table of docs/architecture.md. The first pattern that
// fits a room holds; a room that none fits is an error.
var directions = []direction{
	{".", nil},
	{"policy", []string{"."}},
	{"ledger/...", []string{".", "ledger"}},
	{"stirshaken/...", []string{".", "stirshaken"}},
	{"flows/runner", []string{".", "policy", "flows", "verify", "verify/callback", "gate", "ledger"}},
	{"flows/shelf", []string{".", "policy", "flows", "ledger"}},
	{"flows", []string{".", "policy"}},
	{"verify/deliver/...", append([]string{"verify/deliver/..."}, above...)},
	{"verify/verifytest", []string{".", "ledger/...", "verify"}},
	{"verify/passkey/passkeytest", []string{"."}},
	{"verify", []string{".", "ledger"}},
	{"verify/...", []string{".", "verify"}},
	{"gate", []string{".", "policy", "ledger"}},
	{"announce", []string{".", "ledger", "internal/failpoint"}},
	{"reconcile", []string{".", "ledger"}},
	{"executor", []string{"."}},
	{"executor/conformance", []string{".", "executor"}},
	{"b2bua/...", append([]string{"b2bua/..."}, above...)},
	{"web/...", append([]string{"web/...", "internal/failpoint"}, above...)},
	{"store/storetest", above},
	{"store/rows", append([]string{"internal/seal"}, above...)},
	{"store/...", append([]string{"internal/seal", "internal/failpoint", "store/rows"}, above...)},
	{"scripts/audio/gen", []string{".", "b2bua/voice", "flows", "policy", "scripts"}},
	{"scripts", nil},
	{"internal/lab", []string{".", "b2bua/peer", "b2bua/rtp", "b2bua/voice", "stirshaken/...", "verify/passkey/passkeytest"}},
	{"internal/...", nil},
	{"cmd/...", []string{"./..."}},
	{"test/...", []string{"./..."}},
}

func TestImportsKeepTheirDirection(t *testing.T) {
	for _, s := range tree(t) {
		if s.test {
			continue // a test may set up the rooms below it; TestLibrariesStayInTheirRooms holds for it too
		}
		d, ok := directionOf(s.room)
		if !ok {
			t.Errorf("%s: no direction is written down for room %s", s.path, s.room)
			continue
		}
		for _, p := range s.imports {
			if to, ours := roomOf(p); ours && to != s.room && !allowed(to, d.may) {
				t.Errorf("%s imports %s: %s may import only %v", s.path, to, s.room, d.may)
			}
		}
	}
}

func TestDirectionsRefuse(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{".", "policy"}, {"policy", "flows"}, {"flows", "gate"}, {"gate", "verify"}, {"verify", "gate"}, {"verify/otp", "ledger"},
		{"flows/runner", "stirshaken"}, {"flows/runner", "b2bua"}, {"flows/shelf", "gate"}, {"flows/runner", "flows/shelf"}, {"b2bua", "flows/runner"}, {"b2bua/rtp", "web"}, {"web", "b2bua"},
		{"web", "internal/config"}, {"store/sqlite", "store/postgres"}, {"internal/config", "."}, {"internal/seal", "ledger"}, {"stirshaken", "ledger"},
		{"executor", "gate"}, {"executor", "ledger"}, {"executor/conformance", "gate"},
	} {
		d, ok := directionOf(c.from)
		if !ok || allowed(c.to, d.may) {
			t.Errorf("%s may import %s, want a refusal", c.from, c.to)
		}
	}
}

// Lab peers and test helpers never become part of the product.
func TestHelpersOfTestsStayInTests(t *testing.T) {
	for _, s := range tree(t) {
		if s.test || in(s.room, "cmd/...", "test/...", "internal/lab/...") || strings.HasSuffix(s.room, "test") {
			continue
		}
		for _, p := range s.imports {
			to, ours := roomOf(p)
			if p == "testing" || ours && (strings.HasSuffix(to, "test") && !in(to, "test/...") || in(to, "internal/lab/...", "test/...", "b2bua/peer")) {
				t.Errorf("%s imports %s, which is for tests and the demo", s.path, p)
			}
		}
	}
}

func directionOf(room string) (direction, bool) {
	for _, d := range directions {
		if in(room, d.rooms) {
			return d, true
		}
	}
	return direction{}, false
}

func roomOf(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func allowed(to string, may []string) bool {
	for _, p := range may {
		if p == "./..." || in(to, p) {
			return true
		}
	}
	return false
}
