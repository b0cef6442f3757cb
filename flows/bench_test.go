package flows

import (
	"os"
	"strings"
	"testing"
)

// BenchmarkStep plays the menu of the customer line: a key stops the prompt
// and chooses, an if decides, a text is spoken, and back to the menu.
func BenchmarkStep(b *testing.B) {
	bundle := shipped(b)
	flow, _ := bundle.Flow("customer-line")
	b.ReportAllocs()
	steps := 0
	var s *State
	reset := func() {
		var err error
		s, _, err = Start(bundle, "customer-line", Facts{Start: StartsInbound, Record: map[string]string{"balance_band": "low"}})
		if err != nil {
			b.Fatal(err)
		}
		s.prove("attested", "")
		s.prove("known_number", "")
		s.Subject = flow.Subject
	}
	reset()
	b.ResetTimer()
	for range b.N {
		s.top().Scene, s.top().Line = 1, 0
		clear(s.top().Counts)
		s.Wait, s.out = wait{}, s.out[:0]
		s.play()
		for range 3 {
			Step(bundle, s, Input{Kind: InDigit, Digit: '1'})
			Step(bundle, s, Input{Kind: InPlayed, Ref: s.Wait.Play})
			steps += 2
		}
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}

func BenchmarkLoadShipped(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		if bundle, list := LoadDir(os.DirFS("../scripts")); bundle == nil {
			b.Fatal(list)
		}
	}
}

// BenchmarkLintShipped is what an editor does on every pause in typing: the
// whole shipped set, files in memory.
func BenchmarkLintShipped(b *testing.B) {
	files := shipped(b).Files()
	b.ReportAllocs()
	for b.Loop() {
		if bundle, list := LoadFiles(files); bundle == nil {
			b.Fatal(list)
		}
	}
}

// BenchmarkBombs are files of one megabyte that must be refused in less than
// 100 ms each.
func BenchmarkBombs(b *testing.B) {
	const mb = 1 << 20
	for name, src := range map[string]string{
		"long":     strings.Repeat("- a\n", mb/4),
		"deep":     strings.Repeat("[", mb),
		"within":   "flow: x\nscenes:\n" + strings.Repeat("  - ", maxFileBytes/4-8),
		"brackets": strings.Repeat("[", maxFileBytes),
		"aliases":  "a: &a [x,x,x,x,x,x,x,x]\n" + strings.Repeat("b: [*a,*a,*a,*a,*a,*a,*a]\n", maxFileBytes/26),
		"scenes":   "flow: x\nscenes:\n" + strings.Repeat("  a: [hangup]\n", maxFileBytes/14-2),
		"lines":    "flow: x\nscenes:\n  a:\n" + strings.Repeat("    - hangup\n", maxFileBytes/13-2),
		"places":   "flow: x\nscenes:\n  a:\n    - say: \"" + strings.Repeat("{a}", maxFileBytes/3-20) + "\"\n",
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				d := &diags{}
				if root := document("bomb.yaml", []byte(src), d); root != nil {
					pol := shipped(b).pol
					parseFlow("bomb.yaml", root, pol, d)
				}
				if len(d.list) == 0 {
					b.Fatal("accepted")
				}
			}
		})
	}
}
