package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Fact is one redeemed release, as the log tells it.
type Fact struct {
	Release    ringfence.ReleaseID
	Permit     ringfence.PermitID
	Digest     ringfence.Digest
	Executor   string
	RedeemedAt time.Time
	Outcome    string // executed, failed, unknown, reconciled, or "" while nothing was reported
}

// Learn takes one entry of the log into facts.
func Learn(facts map[ringfence.ReleaseID]Fact, e ledger.Entry) {
	f := facts[e.Release]
	switch e.Event {
	case "release.redeemed":
		f = Fact{Release: e.Release, Permit: ringfence.PermitID(e.Data["permit"]), Executor: e.Data["executor"], RedeemedAt: e.At}
		_ = f.Digest.UnmarshalText([]byte(e.Data["digest"])) // a log of ours; no digest agrees with no line
	case "release.executed":
		f.Outcome = "executed"
	case "release.failed":
		f.Outcome = "failed"
	case "release.unknown":
		f.Outcome = "unknown"
	case "release.reconciled":
		f.Outcome = "reconciled"
	default:
		return
	}
	facts[e.Release] = f
}

// Grave says how grave a finding is.
type Grave string

// How grave findings are. Money moved that nobody released, or differently; a
// person has to find something out; both sides agree in the end.
const (
	Alarm  Grave = "alarm"
	Person Grave = "person"
	Note   Grave = "note"
)

// What a finding is.
const (
	NoRelease   = "change_without_release"
	NotRedeemed = "act_without_redemption"
	Another     = "another_action"
	Twice       = "twice"
	Elsewhere   = "another_executor"
	Contradicts = "outcomes_differ"
	Missing     = "redeemed_without_journal"
	Unreported  = "not_reported"
	InDoubt     = "unknown_outcome"
)

// Finding is one difference.
type Finding struct {
	What    string              `json:"what"`
	Grave   Grave               `json:"grave"`
	Release ringfence.ReleaseID `json:"release"`
	Permit  ringfence.PermitID  `json:"permit,omitempty"`
	Journal string              `json:"journal,omitempty"` // the outcome it names
	Says    string              `json:"says"`
}

// Report is the outcome of Compare.
type Report struct {
	Executor    string    `json:"executor"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Lines       int       `json:"lines"`
	Redemptions int       `json:"redemptions"` // in the window
	Agreed      int       `json:"agreed"`
	Findings    []Finding `json:"findings"`
}

// Alarms counts the gravest findings.
func (r Report) Alarms() (n int) {
	for _, f := range r.Findings {
		if f.Grave == Alarm {
			n++
		}
	}
	return n
}

// Window says what the journal covers: every act in [From, To).
type Window struct{ From, To time.Time }

// grace is how long after a redemption its act may still be on its way.
const grace = 5 * time.Minute

// Compare holds a journal against the facts, which must cover the window and
// every release that the journal names.
func Compare(executor string, w Window, lines []Line, facts map[ringfence.ReleaseID]Fact) Report {
	c := comparison{facts: facts, seen: map[ringfence.ReleaseID]Line{},
		Report: Report{Executor: executor, From: w.From, To: w.To, Lines: len(lines), Findings: []Finding{}}}
	for _, l := range lines {
		c.line(l)
	}
	for _, f := range facts {
		if f.Executor == executor && !f.RedeemedAt.Before(w.From) && f.RedeemedAt.Before(w.To) {
			c.Redemptions++
			if _, ok := c.seen[f.Release]; !ok && f.RedeemedAt.Before(w.To.Add(-grace)) {
				c.missing(f)
			}
		}
	}
	rank := map[Grave]int{Alarm: 0, Person: 1, Note: 2}
	slices.SortFunc(c.Findings, func(a, b Finding) int {
		return cmp.Or(rank[a.Grave]-rank[b.Grave], cmp.Compare(a.What, b.What), cmp.Compare(a.Release, b.Release))
	})
	return c.Report
}

type comparison struct {
	Report
	facts map[ringfence.ReleaseID]Fact
	seen  map[ringfence.ReleaseID]Line
}

func (c *comparison) find(grave Grave, what string, l Line, says string) {
	c.Findings = append(c.Findings, Finding{What: what, Grave: grave, Release: l.Release, Permit: l.Permit, Journal: l.Outcome, Says: says})
}

func (c *comparison) line(l Line) {
	f, known := c.facts[l.Release]
	before, again := c.seen[l.Release]
	c.seen[l.Release] = l
	did := l.Outcome != "failed"
	switch {
	case again && did && before.Outcome != "failed" && known:
		c.find(Alarm, Twice, l, "The journal has this release twice: it was, or may have been, done more than once.")
	case again && known && before == l:
		return // the same line twice: not done, said twice
	case !known && did:
		c.find(Alarm, NoRelease, l, "The executor changed something that no release stands behind.")
	case !known:
		c.find(Person, NoRelease, l, "The executor tried something that no release stands behind.")
	case f.RedeemedAt.IsZero() && did:
		c.find(Alarm, NotRedeemed, l, "The executor acted on a release that it never redeemed.")
	case f.Executor != c.Executor:
		c.find(Alarm, Elsewhere, l, "Another executor redeemed this release.")
	case l.Digest != f.Digest && did:
		c.find(Alarm, Another, l, "What was done is not what was released: the digests differ.")
	case l.Permit != "" && l.Permit != f.Permit && did:
		c.find(Alarm, NotRedeemed, l, "The permit in the journal is not the one that was redeemed.")
	default:
		c.outcome(l, f)
	}
}

// outcome compares what came of it.
func (c *comparison) outcome(l Line, f Fact) {
	switch {
	case f.Outcome == "reconciled", f.Outcome == l.Outcome && l.Outcome != "unknown":
		c.Agreed++
	case f.Outcome == "" && l.Outcome != "unknown":
		c.find(Note, Unreported, l, "The journal says "+l.Outcome+", and no report of it came.")
	case f.Outcome == "unknown" || l.Outcome == "unknown":
		c.find(Person, InDoubt, l, "The outcome is unknown: somebody finds out and settles it; it is never tried again.")
	default:
		c.find(Alarm, Contradicts, l, "The journal says "+l.Outcome+", and "+f.Outcome+" was reported.")
	}
}

func (c *comparison) missing(f Fact) {
	l := Line{Release: f.Release, Permit: f.Permit}
	switch f.Outcome {
	case "reconciled":
		c.Agreed++
	case "failed":
		c.Agreed++ // not done, and nothing to journal
	case "executed":
		c.find(Alarm, Missing, l, "It was reported as executed, and the journal does not have it.")
	default:
		c.find(Person, Missing, l, "It was redeemed, and the journal does not have it: its outcome is unknown until somebody finds out.")
	}
}
