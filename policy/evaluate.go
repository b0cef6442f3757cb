package policy

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// Reason is why something is refused. The set is closed and shared by gate,
// API, console and metrics.
type Reason string

// The reasons.
const (
	ReasonMissing             Reason = "missing"      // the policy without modifiers is not satisfied
	ReasonStale               Reason = "stale"        // proved too long ago
	ReasonRaised              Reason = "raised"       // something known only at run time asks for more
	ReasonWrongAction         Reason = "wrong_action" // proved for another action, or for none
	ReasonWrongSubject        Reason = "wrong_subject"
	ReasonHeld                Reason = "held"
	ReasonDuress              Reason = "duress" // shown to role risk only
	ReasonCap                 Reason = "cap"
	ReasonVelocity            Reason = "velocity"
	ReasonContactTooNew       Reason = "contact_too_new"
	ReasonAuthenticatorTooNew Reason = "authenticator_too_new"
	ReasonMandate             Reason = "mandate"
	ReasonSelfApproval        Reason = "self_approval"
	ReasonPolicy              Reason = "policy" // the action is not in the policy, or not of that shape
	ReasonClock               Reason = "clock"
	ReasonStore               Reason = "store"
)

// Proof is one piece of evidence with what is known about where it came from.
type Proof struct {
	Evidence ringfence.Evidence
	Lane     string // "" = the fact's own; else where the authenticator is known to live
	// ContactAge and AuthenticatorAge are how long the contact point or
	// authenticator it names has been on file and active; zero or negative
	// means unknown or not active, which counts as brand-new.
	ContactAge, AuthenticatorAge time.Duration
}

// Approval is one valid approval: signature, bindings, expiry and separation
// of duties were judged by the gate before it stands here.
type Approval struct {
	ID     ringfence.ApprovalID
	Person ringfence.PersonID
	Groups []string
}

// Total is what came before this release within a window.
type Total struct {
	Within time.Duration
	Amount int64 // whole units of the base currency, this release not included
	Count  int   // releases, this one not included
}

// Case is everything that an answer depends on. The zero Case is refused.
type Case struct {
	Action    string
	Release   ringfence.ReleaseID
	Digest    ringfence.Digest
	Traversal ringfence.TraversalID
	Subject   ringfence.SubjectID
	Kind      ringfence.SubjectKind
	Fields    map[string]string // canonical text; money as "1250 GBP" in minor units
	// Sums are the money fields of the last 24 hours added up, this release
	// included; conditions are judged on both, and either is enough to add.
	Sums map[string]string
	// Class is the class after the gate's modifiers; it only ever raises.
	Class     ringfence.Class
	Proofs    []Proof
	Approvals []Approval
	Signals   map[string]ringfence.Tri
	Totals    []Total // one for each of the action's limits
	// HadPasskey: the subject has a passkey, or had one within 30 days.
	HadPasskey bool
	// HasAuthenticator: the subject has one of any kind, or had within 30 days;
	// the row for a first one is closed to them. One that only waits to be
	// enrolled does not count.
	HasAuthenticator bool
	// FirstPayment: the payment goes to an account that is not known, and was
	// asked for by the person themselves.
	FirstPayment bool
	// Judged: freshness was judged when the release left pending_evidence, and
	// Proofs are the set frozen then.
	Judged bool
	Now    time.Time
}

// Answer is what the policy says to a case. The zero value refuses.
type Answer struct {
	// Satisfied: needs, extras, floors, lanes, approvals, signals and limits
	// are all met. Only holds are left.
	Satisfied bool
	// EvidenceComplete: nothing but approvals is missing.
	EvidenceComplete bool
	Class            ringfence.Class
	Missing          []ringfence.Fact   // of the cheapest way on
	Ways             [][]ringfence.Fact // every minimal way on, as what is missing of it, cheapest first; at most 8
	Approvals        Approvals          // who must agree on the way taken; zero Count = nobody
	Hold             time.Duration      // cooling-off counted from the request for release
	Used             []ringfence.EvidenceID
	Reasons          []Reason // none when Satisfied
	Waivers          []Waiver // that made a difference
}

// Evaluate judges a case. It is pure and safe for concurrent use.
func (p *Policy) Evaluate(c Case) Answer {
	if p == nil {
		return Answer{Reasons: []Reason{ReasonPolicy}, Class: ringfence.C5}
	}
	a, ok := p.Action(c.Action)
	if !ok || c.Subject == "" || c.Release == "" || c.Digest.Zero() || c.Now.IsZero() || a.About != c.Kind {
		return Answer{Reasons: []Reason{ReasonPolicy}, Class: ringfence.C5}
	}
	kind, _ := p.Kind(a.About)
	j := judge{p: p, a: a, c: &c, base: a.Class.Effective(), counterparty: kind.Counterparty}
	j.class = j.base
	if c.Class != ringfence.ClassUnset {
		j.class = max(j.base, c.Class.Effective())
	}
	return j.answer()
}

// judge is the working state of one evaluation.
type judge struct {
	p            *Policy
	a            *Action
	c            *Case
	base, class  ringfence.Class
	counterparty bool

	have      FactSet // what counts, approved aside
	best      [11]int // index of the best proof by fact, 1-based
	dropped   [11]Reason
	elsewhere []int // proofs that count and live on a lane of their own
	extras    []Extra
	raised    bool // something known only at run time adds to the needs
	swap      ringfence.Tri
	diversion ringfence.Tri
	waivers   []Waiver
}

func (j *judge) answer() Answer {
	ans := Answer{Class: j.class}
	j.swap, j.diversion = j.c.Signals["sim_swap"], j.c.Signals["diversion"]
	j.raised = j.class > j.base
	refused := j.signals()
	j.collectExtras()
	for i := range j.c.Proofs {
		j.count(i)
	}
	j.separate()
	ways := j.ways()
	way, missing, ok := j.choose(ways)
	if !ok {
		refused = append(refused, ReasonPolicy)
	}
	ans.Used, missing = j.used(way, missing)
	ans.Missing = missing.Facts()
	ans.Ways = j.waysOn(ways, missing)
	if (way | missing).Has(ringfence.FactApproved) {
		ans.Approvals = j.approvals(way)
		if ans.Approvals.Group == "" {
			refused = append(refused, ReasonPolicy)
		}
	}
	ans.Hold = j.hold(way)
	refused = append(refused, j.limits()...)
	if missing != 0 {
		ans.Reasons = j.reasons(missing)
	}
	for _, r := range refused {
		if !slices.Contains(ans.Reasons, r) {
			ans.Reasons = append(ans.Reasons, r)
		}
	}
	ans.EvidenceComplete = len(refused) == 0 && missing.Minus(NewFactSet(ringfence.FactApproved)) == 0
	ans.Satisfied = len(refused) == 0 && missing == 0
	ans.Waivers = j.waivers
	return ans
}
