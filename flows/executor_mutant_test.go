package flows

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var executorMutants = flag.Int("executor.mutants", 150, "random changes of the shipped scripts in TestMutants")

// script is a flow file cut into the lines of its scenes, so that they can be
// moved about.
type script struct {
	head   string
	scenes []mutableScene
}

type mutableScene struct {
	name   string
	blocks []string
}

var (
	sceneHead   = regexp.MustCompile(`^  ([a-z_]+):\s*$`)
	targetLine  = regexp.MustCompile(`(?m)^(      (?:wrong|silent|missing|refused|denied|busy|diverted|down|later|closed|full|then|[0-9]): |    - go: )[a-z_]+.*$`)
	gotFact     = regexp.MustCompile(`got\.[a-z_]+`)
	forLine     = regexp.MustCompile(`(?m)^      for: .*\n`)
	returnLine  = regexp.MustCompile(`(?m)^    - return: [a-z]+`)
	neededFacts = regexp.MustCompile(`needs: \[[^\]]*\]`)
)

func cutScript(src string) *script {
	head, body, _ := strings.Cut(src, "\nscenes:\n")
	s := &script{head: head + "\nscenes:\n"}
	for _, line := range strings.SplitAfter(body, "\n") {
		m := sceneHead.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case m != nil:
			s.scenes = append(s.scenes, mutableScene{name: m[1]})
		case strings.TrimSpace(line) == "" || len(s.scenes) == 0:
		case strings.HasPrefix(line, "    - "):
			sc := &s.scenes[len(s.scenes)-1]
			sc.blocks = append(sc.blocks, line)
		default:
			if sc := &s.scenes[len(s.scenes)-1]; len(sc.blocks) > 0 {
				sc.blocks[len(sc.blocks)-1] += line
			}
		}
	}
	return s
}

func (s *script) String() string {
	var out strings.Builder
	out.WriteString(s.head)
	for _, sc := range s.scenes {
		out.WriteString("  " + sc.name + ":\n" + strings.Join(sc.blocks, "") + "\n")
	}
	return out.String()
}

// mutate changes one thing; it may leave a script that does not load.
func mutate(r *rand.Rand, src string) string {
	s := cutScript(src)
	if len(s.scenes) == 0 {
		return src
	}
	at := r.IntN(len(s.scenes))
	sc := &s.scenes[at]
	later := s.scenes[min(at+1+r.IntN(len(s.scenes)), len(s.scenes)-1)].name
	if len(sc.blocks) == 0 {
		return src
	}
	i := r.IntN(len(sc.blocks))
	switch r.IntN(9) {
	case 0:
		sc.blocks = slices.Delete(sc.blocks, i, i+1)
	case 1:
		if i > 0 {
			sc.blocks[i], sc.blocks[i-1] = sc.blocks[i-1], sc.blocks[i]
		}
	case 2, 3:
		sc.blocks[i] = replaceOne(r, targetLine, sc.blocks[i], func(m string) string {
			return m[:strings.LastIndex(m, ": ")+2] + later
		})
	case 4:
		fact := pick(r, "pin", "passkey", "totp", "attested", "known_number", "callback", "confirmed")
		sc.blocks[i] = gotFact.ReplaceAllString(sc.blocks[i], "got."+fact)
	case 5:
		sc.blocks[i] = forLine.ReplaceAllString(sc.blocks[i], "")
	case 6:
		sc.blocks[i] = returnLine.ReplaceAllString(sc.blocks[i], "    - return: "+pick(r, "ok", "refused", "silent", "wrong"))
	case 7:
		from := s.scenes[r.IntN(len(s.scenes))]
		if len(from.blocks) > 0 {
			sc.blocks = slices.Insert(sc.blocks, i, from.blocks[r.IntN(len(from.blocks))])
		}
	default:
		more := []string{"    - check: attestation\n", "    - check: number\n", "    - say: Good day.\n",
			"    - if: got.passkey\n      then: " + later + "\n", "    - if: got.pin && call.open\n      then: " + later + "\n",
			"    - if: call.hour > 12\n      then: " + later + "\n", "    - tell: clerk\n      say: Well.\n",
			"    - verify: pin\n      say: Your PIN.\n      wrong: " + later + "\n      silent: " + later + "\n      down: " + later + "\n",
			"    - if: got.attested || got.totp\n      then: " + later + "\n"}
		sc.blocks = slices.Insert(sc.blocks, i, more[r.IntN(len(more))])
	}
	return s.String()
}

func replaceOne(r *rand.Rand, re *regexp.Regexp, src string, with func(string) string) string {
	all := re.FindAllStringIndex(src, -1)
	if len(all) == 0 {
		return src
	}
	at := all[r.IntN(len(all))]
	return src[:at[0]] + with(src[at[0]:at[1]]) + src[at[1]:]
}

// harden makes a line of the policy ask for more, or for something else.
func harden(r *rand.Rand, src string) string {
	switch r.IntN(3) {
	case 0:
		return replaceOne(r, neededFacts, src, func(m string) string {
			return strings.TrimSuffix(m, "]") + ", " + pick(r, "pin", "passkey", "callback", "confirmed", "passkey or pin") + "]"
		})
	case 1:
		return replaceOne(r, regexp.MustCompile(`(?m)^  [a-z_]+: \[\]$`), src, func(m string) string {
			return strings.TrimSuffix(m, "[]") + "[" + pick(r, "pin", "callback", "passkey or totp", "attested") + "]"
		})
	}
	return strings.Replace(src, "    needs: [passkey or totp, callback, confirmed]\n",
		fmt.Sprintf("    needs: [passkey or totp, callback, confirmed]\n    lanes: %d\n    approvals: { group: payments_manager, count: 1 }\n    extra:\n      - when: payment.amount > %d\n        needs: [%s]\n",
			1+r.IntN(2), 100*(1+r.IntN(100)), pick(r, "pin", "approved", "passkey", "confirmed")), 1)
}

// Random changes of the shipped scripts: where the proof has nothing against
// them, the judge has nothing against random calls; what the judge objects to,
// the proof has flagged at that line; every counter-example replays.
func TestMutants(t *testing.T) {
	clean := scriptsFS(t)
	names := keysOf(clean)
	loaded, flagged, judgedBad, replayed := 0, 0, 0, 0
	for n := range *executorMutants {
		r := rand.New(rand.NewPCG(uint64(n), 5))
		fsys := fstest.MapFS{}
		for name, file := range clean {
			fsys[name] = file
		}
		for range 1 + r.IntN(5) {
			name, change := names[r.IntN(len(names))], mutate
			if name == "policy.yaml" || r.IntN(4) == 0 {
				name, change = "policy.yaml", harden
			}
			fsys[name] = &fstest.MapFile{Data: []byte(change(r, string(fsys[name].Data)))}
		}
		b, _ := LoadDir(fsys)
		if b == nil {
			continue
		}
		loaded++
		p := Prove(b)
		lines := map[*Line]bool{}
		for _, one := range p.Findings {
			if one.Call == nil {
				continue
			}
			lines[one.Call.Steps[len(one.Call.Steps)-1].Line] = true
			if one.Call.early {
				continue
			}
			replayed++
			at, err := one.Call.Replay(b)
			if err != nil || at != one.Call.Steps[len(one.Call.Steps)-1].Line.Place() {
				t.Errorf("mutant %d: %s: replay comes to %v: %v\n%s", n, one.Diagnostic, at, err, one.Call.List())
			}
		}
		if len(lines) > 0 {
			flagged++
		}
		_, broken := exercise(t, b, 200, uint64(n))
		if len(broken) > 0 {
			judgedBad++
		}
		for _, x := range broken {
			if !lines[x.line] {
				t.Errorf("mutant %d: the judge objects at %s (%s: %s), the prover does not: %v", n, x.line.Pos, x.code, x.says, p.Diagnostics())
				break
			}
		}
	}
	t.Logf("%d mutants, %d load, %d are flagged by a call, the judge met %d, %d counter-examples replayed", *executorMutants, loaded, flagged, judgedBad, replayed)
}
