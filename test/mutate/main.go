// Command mutate changes the rooms in which a changed line could let money go,
// one operator at a time, and asks their tests to notice: mutation testing with
// the operators of go-gremlins. All changes of a package are compiled into one
// test binary behind switches, so that a mutant costs a run of the tests and no
// build. Results are kept as they come; a second run takes up where the first
// ended, as long as the source and its tests are the same.
//
//	go run ./test/mutate [-workers 1] [-every 1] [-results FILE] [room ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
)

// room is what is mutated, and by whose tests.
type room struct {
	name    string
	sources []string // packages whose source is changed
	tests   []string // packages whose tests have to notice
}

var rooms = []room{
	{"ledger", []string{"ledger"}, []string{"ledger", "ledger/ledgertest", "reconcile", "store/sqlite"}},
	{"gate", []string{"gate"}, []string{"gate"}},
	{"verify", verifyPackages, slices.Concat(verifyPackages, []string{"verify/verifytest"})},
}

var verifyPackages = []string{
	"verify", "verify/approve", "verify/callback", "verify/otp", "verify/passkey", "verify/pin", "verify/proofing", "verify/recovery",
	"verify/signals", "verify/deliver/outbox", "verify/deliver/smtp", "verify/deliver/twilio", "verify/deliver/webhook",
}

// options are how a run is done.
type options struct {
	workers, every int
	logical        bool
	least          float64
	results        string
}

func main() {
	var o options
	flag.IntVar(&o.workers, "workers", 1, "tests that run at a time")
	flag.IntVar(&o.every, "every", 1, "take every n-th mutant only")
	flag.BoolVar(&o.logical, "logical", false, "turn && into || and || into && as well")
	flag.Float64Var(&o.least, "least", 90, "percent of the mutants of a room that have to be killed")
	flag.StringVar(&o.results, "results", "bin/mutants.jsonl", "what is known of mutants, kept between runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok := true
	for _, r := range rooms {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), r.name) {
			continue
		}
		good, err := mutate(ctx, r, o)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			stop()
			os.Exit(2)
		}
		ok = ok && good
	}
	if !ok {
		os.Exit(1)
	}
}

// mutate runs one room and prints what came of it.
func mutate(ctx context.Context, r room, o options) (bool, error) {
	top, err := os.Getwd()
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(top, "go.mod")); err != nil {
		return false, fmt.Errorf("run it at the top of the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	l := &laboratory{top: top, dir: dir, room: r, src: map[string][]byte{}}
	if err := l.open(ctx); err != nil {
		return false, err
	}
	known, err := openResults(o.results, l)
	if err != nil {
		return false, err
	}
	defer known.close()
	if err := l.runAll(ctx, o, known); err != nil {
		return false, err
	}
	equivalent, err := readEquivalents(equivalentText)
	if err != nil {
		return false, err
	}
	return report(os.Stdout, r, l.chosen(o), known, fitting(os.Stdout, l.sites, equivalent), o.least), nil
}
