package flows

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// cpu reports the processor time of an operation, which other work on the
// machine does not blur.
func cpu(b *testing.B) func() {
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	before := used()
	return func() { b.ReportMetric((used()-before)/float64(b.N), "cpu-ms/op") }
}

// BenchmarkProveShipped is lint and proof of the shipped set, with and without
// reading its recordings (their hashes are a part of the bundle).
func BenchmarkProveShipped(b *testing.B) {
	b.Run("with recordings", func(b *testing.B) { proveShipped(b, os.DirFS("../scripts")) })
	b.Run("scripts", func(b *testing.B) { proveShipped(b, scriptsFS(b)) })
}

func proveShipped(b *testing.B, fsys fs.FS) {
	b.ReportAllocs()
	defer cpu(b)()
	for range b.N {
		bundle, list := LoadDir(fsys)
		if bundle == nil {
			b.Fatal(list)
		}
		if r := Prove(bundle); !r.Clean() {
			b.Fatal(r.Diagnostics())
		}
	}
}

// BenchmarkProveOnly is the proof of the shipped set alone.
func BenchmarkProveOnly(b *testing.B) {
	bundle := shipped(b)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		Prove(bundle)
	}
}

// generatedFlow writes a flow of many menus with branches, conditions and
// bounded edges that run back.
func generatedFlow(menus, branches int) string {
	var out strings.Builder
	out.WriteString("flow: big\nstarts: inbound\nsubject: customer\nlanguage: en\nvars:\n  account: digits 8\nscenes:\n" +
		"  begin:\n    - check: attestation\n    - ask: Your number, please.\n      into: account\n      wrong: bye\n      silent: bye\n    - identify: customer\n      by: account\n" +
		"    - verify: pin\n      say: Your PIN, please.\n      wrong: bye\n      silent: bye\n      down: bye\n    - go: menu_0\n")
	for m := range menus {
		fmt.Fprintf(&out, "  menu_%d:\n    - choose: What is it?\n", m)
		for b := range branches {
			fmt.Fprintf(&out, "      %d: part_%d_%d\n", b+1, m, b)
		}
		out.WriteString("      wrong: bye\n      silent: bye\n")
		for b := range branches {
			next := fmt.Sprintf("menu_%d", m+1)
			if m+1 == menus {
				next = "bye"
			}
			fmt.Fprintf(&out, "  part_%d_%d:\n    - say: This is part %d.\n    - check: number\n", m, b, b)
			if b%2 == 0 {
				fmt.Fprintf(&out, "    - if: got.known_number && call.open\n      then: %s\n", next)
			}
			if b == 0 {
				fmt.Fprintf(&out, "    - go: %s\n", next)
			} else {
				fmt.Fprintf(&out, "    - go: menu_%d\n      at_most: 2\n      then: %s\n", m, next)
			}
		}
	}
	out.WriteString("  bye:\n    - say: Goodbye.\n    - hangup\n")
	return out.String()
}

func generatedFS(tb testing.TB, menus, branches int) fstest.MapFS {
	tb.Helper()
	pol, err := os.ReadFile("../scripts/policy.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	return fstest.MapFS{"policy.yaml": {Data: pol}, "big.yaml": {Data: []byte(generatedFlow(menus, branches))}}
}

// BenchmarkProveGenerated is lint and proof of one flow of some 2,500 lines of
// YAML.
func BenchmarkProveGenerated(b *testing.B) {
	fsys := generatedFS(b, 40, 8)
	b.Logf("%d lines of YAML", strings.Count(string(fsys["big.yaml"].Data), "\n"))
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		bundle, list := LoadDir(fsys)
		if bundle == nil {
			b.Fatal(list)
		}
		if r := Prove(bundle); r.States < 1000 {
			b.Fatal(r.Diagnostics())
		}
	}
}
