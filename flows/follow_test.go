package flows

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/policy"
)

// beside plays a test with a draft that follows the live call.
func beside(b, draft *Bundle, ft *Test) (Result, Followed) {
	var w *Follower
	r := ft.run(b, func(m *Simulator) {
		m.prepare = func(f Facts) {
			w = NewShadow(draft, b.HashText(), ft.Flow, f)
			m.tape.Follow(w)
		}
	})
	return r, w.Done()
}

func shippedTests(t testing.TB, b *Bundle) []*Test {
	t.Helper()
	tests, list := LoadTests(b, os.DirFS("../scripts"))
	if len(list) > 0 || len(tests) == 0 {
		t.Fatal(list)
	}
	return tests
}

// A bundle that follows itself never differs, on a live call and on a recorded
// one: every way out of every shipped line is on some of these calls.
func TestFollowsItself(t *testing.T) {
	b := shipped(t)
	asked := 0
	for _, ft := range shippedTests(t, b) {
		r, live := beside(b, b, ft)
		if live.Result != FollowedSame {
			t.Errorf("%s: live: %s %v", ft.Name, live.Result, live.Differences)
		}
		asked += live.Asked
		raw, err := json.Marshal(r.Recorded)
		if err != nil {
			t.Fatal(err)
		}
		var again Trace
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		got, err := Replay(b, again)
		if err != nil || got.Result != FollowedSame {
			t.Errorf("%s: recorded: %s %v %v", ft.Name, got.Result, got.Differences, err)
		}
		if len(r.Recorded.Steps) < 2 || len(got.Steps) < 2 {
			t.Errorf("%s: %d steps recorded, %d replayed", ft.Name, len(r.Recorded.Steps), len(got.Steps))
		}
	}
	if asked < 200 {
		t.Errorf("only %d questions were followed", asked)
	}
}

// What is recorded and reported holds no value: none of the numbers, names and
// codes of the test worlds.
func TestTraceHoldsNoValue(t *testing.T) {
	b := shipped(t)
	draft := changedLoose(t, "customer-line.yaml", "For your balance", "For the balance of your account")
	for _, ft := range shippedTests(t, b) {
		r, rep := beside(b, draft, ft)
		var values []string
		for name, v := range ft.World.Payload {
			a, _ := b.Policy().Action(ft.World.Action)
			if typ, _ := a.Field(name); typ.Base != policy.BaseOneOf { // whose values are words of the policy
				values = append(values, v)
			}
		}
		for _, v := range ft.World.Record {
			values = append(values, v)
		}
		for _, s := range ft.Scripts {
			for _, beat := range s.Beats {
				values = append(values, strings.TrimSuffix(beat.Keys, "#"))
			}
		}
		values = append(values, ft.World.PIN, worldCarry, worldTOTP, worldOTP)
		raw, err := json.Marshal([]any{r.Recorded, rep})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if len(v) >= 4 && !strings.Contains(v, " code") && v != "star" && bytes.Contains(raw, []byte(v)) {
				t.Errorf("%s: %q stands in %s", ft.Name, v, raw)
			}
		}
	}
}

func TestFollowTellsDifferences(t *testing.T) {
	b := shipped(t)
	tests := []struct {
		name, file, from, to, test string
		result, kind, says         string
	}{
		{"other words", "customer-line.yaml", "Welcome to Acme.", "Good day, this is Acme.", "", FollowedWords, "words", "Good day, this is Acme."},
		{"another proof", "customer-line.yaml", "    - verify: passkey\n", "    - verify: otp\n", "passkey", FollowedDiffers, "asks", "verify passkey for bank_change"},
		{"a key is gone", "customer-line.yaml", "      2: bank_change\n", "      3: bank_change\n", "bank change", FollowedDiffers, "takes", "offers no 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			draft := changedLoose(t, tt.file, tt.from, tt.to)
			found := false
			for _, ft := range shippedTests(t, b) {
				if ft.Flow != "customer-line" || !strings.Contains(ft.Name, tt.test) {
					continue
				}
				r, live := beside(b, draft, ft)
				got, err := Replay(draft, r.Recorded)
				if err != nil {
					t.Fatal(err)
				}
				for _, rep := range []Followed{live, got} {
					if rep.Result != tt.result {
						continue
					}
					for _, d := range rep.Differences {
						found = found || d.Kind == tt.kind && strings.Contains(d.String(), tt.says)
					}
				}
				if live.Result != got.Result {
					t.Errorf("%s: live %s %v, recorded %s %v", ft.Name, live.Result, live.Differences, got.Result, got.Differences)
				}
			}
			if !found {
				t.Errorf("no call showed it")
			}
		})
	}
}

// changedLoose is changedSet for drafts of which a translation or a setting no
// longer fits; only the flow itself has to load.
func changedLoose(t testing.TB, file, from, to string) *Bundle {
	t.Helper()
	otps := strings.Count(to, "verify: otp")
	files := shipped(t).Files()
	for i, f := range files {
		if f.Path == file {
			text := strings.Replace(string(f.Data), from, to, 1)
			if text == string(f.Data) {
				t.Fatalf("%s does not hold %q", file, from)
			}
			text = strings.Replace(text, "say: We have sent a link to your phone. Open it, enter {code}, ", "say: We have sent you a code, ", otps)
			files[i].Data = []byte(strings.Replace(text, "translations: [de]\n", "", 1))
		}
	}
	b, list := LoadFiles(files)
	if b == nil {
		t.Fatal(list)
	}
	return b
}
