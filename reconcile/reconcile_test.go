package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/reconcile"
)

const (
	rel    = ringfence.ReleaseID("rel_00000000000000000000000001")
	other  = ringfence.ReleaseID("rel_00000000000000000000000002")
	permit = ringfence.PermitID("prm_00000000000000000000000001")
)

var (
	at     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	window = reconcile.Window{From: at.Add(-time.Hour), To: at.Add(23 * time.Hour)}
	digest = ringfence.Digest{1}
)

// history is the log of one release that was redeemed and came to an end.
func history(events ...ledger.Event) map[ringfence.ReleaseID]reconcile.Fact {
	facts := map[ringfence.ReleaseID]reconcile.Fact{}
	for _, e := range events {
		reconcile.Learn(facts, ledger.Entry{Event: e, Release: rel, At: at,
			Data: map[string]string{"permit": string(permit), "executor": "bank", "digest": digest.String()}})
	}
	return facts
}

func line(outcome string) reconcile.Line {
	return reconcile.Line{Release: rel, Permit: permit, Digest: digest, Outcome: outcome, At: at}
}

func TestCompare(t *testing.T) {
	foreign := line("executed")
	foreign.Release = other
	altered := line("executed")
	altered.Digest = ringfence.Digest{2}
	forged := line("executed")
	forged.Permit = "prm_00000000000000000000000009"
	later := line("executed")
	later.At = at.Add(time.Hour)
	none := line("executed")
	none.Release = "none"
	for _, c := range []struct {
		name  string
		facts map[ringfence.ReleaseID]reconcile.Fact
		lines []reconcile.Line
		who   string
		want  string // grave and what, "" for agreement
	}{
		{name: "agreement", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{line("executed")}},
		{name: "agreement on failure", facts: history("release.redeemed", "release.failed"), lines: []reconcile.Line{line("failed")}},
		{name: "a failure that is not journalled", facts: history("release.redeemed", "release.failed")},
		{name: "settled by a person", facts: history("release.redeemed", "release.unknown", "release.reconciled"), lines: []reconcile.Line{line("unknown")}},
		{name: "a change without a release", facts: history(), lines: []reconcile.Line{foreign}, want: "alarm change_without_release"},
		{name: "a change that names none", facts: history(), lines: []reconcile.Line{none}, want: "alarm change_without_release"},
		{name: "never redeemed", facts: history("release.executed"), lines: []reconcile.Line{line("executed")}, want: "alarm act_without_redemption"},
		{name: "another permit", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{forged}, want: "alarm act_without_redemption"},
		{name: "another action", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{altered}, want: "alarm another_action"},
		{name: "twice", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{line("executed"), later}, want: "alarm twice"},
		{name: "the very same line twice", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{line("executed"), line("executed")}, want: "alarm twice"},
		{name: "another executor", facts: history("release.redeemed", "release.executed"), lines: []reconcile.Line{line("executed")}, who: "shop", want: "alarm another_executor"},
		{name: "reported failed, journalled executed", facts: history("release.redeemed", "release.failed"), lines: []reconcile.Line{line("executed")}, want: "alarm outcomes_differ"},
		{name: "reported executed, not in the journal", facts: history("release.redeemed", "release.executed"), want: "alarm redeemed_without_journal"},
		{name: "redeemed, not in the journal", facts: history("release.redeemed"), want: "person redeemed_without_journal"},
		{name: "unknown, journalled executed", facts: history("release.redeemed", "release.unknown"), lines: []reconcile.Line{line("executed")}, want: "person unknown_outcome"},
		{name: "unknown on both sides", facts: history("release.redeemed", "release.unknown"), lines: []reconcile.Line{line("unknown")}, want: "person unknown_outcome"},
		{name: "not reported", facts: history("release.redeemed"), lines: []reconcile.Line{line("executed")}, want: "note not_reported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.who == "" {
				c.who = "bank"
			}
			r := reconcile.Compare(c.who, window, c.lines, c.facts)
			got := ""
			if len(r.Findings) > 0 {
				got = string(r.Findings[0].Grave) + " " + r.Findings[0].What
			}
			if got != c.want {
				t.Errorf("have %q (%+v), want %q", got, r.Findings, c.want)
			}
			if (r.Alarms() > 0) != strings.HasPrefix(c.want, "alarm") {
				t.Errorf("%d alarms", r.Alarms())
			}
		})
	}
}

func TestWhatIsOnItsWayIsNotMissing(t *testing.T) {
	facts := history("release.redeemed")
	for _, c := range []struct {
		to   time.Time
		want int
	}{{at.Add(time.Minute), 0}, {at.Add(time.Hour), 1}, {at, 0}} {
		if r := reconcile.Compare("bank", reconcile.Window{From: window.From, To: c.to}, nil, facts); len(r.Findings) != c.want {
			t.Errorf("to %v: %+v, want %d findings", c.to, r.Findings, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := `{"release":"` + string(rel) + `","permit":"","digest":"","outcome":"executed","at":"2026-03-01T12:00:00Z"}`
	if lines, err := reconcile.Read(strings.NewReader(good + "\n\n" + good)); err != nil || len(lines) != 2 {
		t.Fatalf("have %d, %v; want two lines", len(lines), err)
	}
	for _, bad := range []string{
		"release,outcome", `{"release":"rel_1","outcome":"executed","at":"2026-03-01T12:00:00Z"}`, `{"outcome":"executed","at":"2026-03-01T12:00:00Z"}`,
		strings.Replace(good, "executed", "done", 1), strings.Replace(good, `"at":"2026-03-01T12:00:00Z"`, `"x":1`, 1),
		strings.Replace(good, `"permit"`, `"release":"`+string(other)+`","permit"`, 1), `{"release":"` + strings.Repeat("x", 100_000) + `"}`,
	} {
		if _, err := reconcile.Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60s is taken", bad)
		}
	}
}

// FuzzRead wants every line that is taken to be without fault.
func FuzzRead(f *testing.F) {
	f.Add(`{"release":"rel_00000000000000000000000001","outcome":"executed","at":"2026-03-01T12:00:00Z"}`)
	f.Add(`{"step":"acting","release":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := reconcile.Read(strings.NewReader(text))
		for _, l := range lines {
			if says := l.Fault(); err == nil && says != "" {
				t.Errorf("%+v: %s", l, says)
			}
		}
	})
}
