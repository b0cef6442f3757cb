package gate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// modelSteps is how many random events TestModel plays in all: 60,000 take
// about 10 s of processor time; `make test` asks for 200,000 and `make chaos`
// for a million.
var modelSteps = flag.Int("gate.steps", 200_000, "random events that TestModel plays")

const stepsOfOneWorld = 250

// seen is what the reference model knows of one release. It is written from
// the sentences of the design, not from the code.
type seen struct {
	typ       string
	subject   ringfence.SubjectID
	state     State
	asked     bool
	proofs    map[ringfence.Fact]time.Time
	approvers map[ringfence.PersonID]time.Time
	froze     time.Time
	cooled    time.Time
	stopped   bool // rejected, and nobody lifted it
	duress    bool
	changed   bool // a contact point changed after it was opened
	redeemed  int
}

// refused is one "it was not me", about the release it was said of.
type refused struct {
	of *seen
	at time.Time
}

type minted struct {
	token string
	id    ringfence.ReleaseID
	until time.Time
	spent bool
}

type model struct {
	*world
	rt       *rapid.T
	releases map[ringfence.ReleaseID]*seen
	order    []ringfence.ReleaseID
	pin      time.Time // of ann, on the one traversal
	rejects  map[ringfence.SubjectID][]refused
	permits  []*minted
	steps    int
}

var freshOf = map[string]time.Duration{"bank_change": 15 * time.Minute, "payment": 5 * time.Minute, "invoice": 5 * time.Minute}

// complete is the sentence of the policy: which proofs are enough.
func (m *model) complete(s *seen) bool {
	has := func(f ringfence.Fact) bool {
		at := s.proofs[f]
		if f == "pin" {
			at = m.pin
		}
		return !at.IsZero() && m.now.Sub(at) <= freshOf[s.typ]
	}
	switch s.typ {
	case "bank_change": // ann has a passkey, so nothing weaker counts
		return has("pin") && has("callback") && has("confirmed") && has("passkey")
	case "payment":
		return has("callback") && has("confirmed") && (has("passkey") || has("totp"))
	default:
		return has("callback") && has("confirmed")
	}
}

func (m *model) approved(s *seen) bool {
	n := 0
	for _, at := range s.approvers {
		if m.now.Sub(at) < approvalLife {
			n++
		}
	}
	return s.typ != "invoice" || n > 0
}

// stop reports that nothing of this release may go on now.
func (m *model) stop(s *seen) bool {
	n := 0
	for _, r := range m.rejects[s.subject] {
		if r.of != s && m.now.Sub(r.at) <= sumWindow {
			n++
		}
	}
	return s.stopped || s.changed || n >= 2
}

func (m *model) pick() (ringfence.ReleaseID, *seen) {
	if len(m.order) == 0 {
		return "", nil
	}
	id := m.order[len(m.order)-1]
	if rapid.IntRange(0, 2).Draw(m.rt, "newest") == 0 {
		id = m.order[rapid.IntRange(0, len(m.order)-1).Draw(m.rt, "release")]
	}
	return id, m.releases[id]
}

var modelEvents = []string{"next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next", "next",
	"open", "open", "prove", "prove all", "release", "approve", "ask", "permit", "redeem", "redeem", "report", "reject", "late reject", "duress",
	"lift", "lift", "cancel", "second", "minutes", "hours", "strange proof", "signals", "restart", "fail", "contact"}

// next is what an honest passage would do now.
func (m *model) next(s *seen) string {
	switch s.state {
	case StatePendingEvidence:
		if m.complete(s) {
			return "release"
		}
		return "prove all"
	case StatePendingApproval:
		if m.approved(s) {
			return "release"
		}
		return "approve"
	case StateCooling:
		return "hours"
	case StateReady:
		return "permit"
	case StatePermitted:
		return "redeem"
	case StateRedeemed:
		return "report"
	case StateHeld:
		return "lift"
	default:
		return "open"
	}
}

// step plays one random event and then judges every release.
func (m *model) step() {
	ctx := context.Background()
	id, s := m.pick() // the newest more often, so that something gets done
	by := Actor{Person: agent}
	event := rapid.SampledFrom(modelEvents).Draw(m.rt, "event")
	if s != nil && event == "next" {
		event = m.next(s)
	}
	if s == nil || event == "open" && len(m.order) < 12 {
		m.openOne()
		return
	}
	switch event {
	case "prove":
		f := rapid.SampledFrom([]ringfence.Fact{"pin", "totp", "passkey", "callback", "confirmed", "attested", "known_number"}).Draw(m.rt, "fact")
		m.proveOne(s, id, f)
	case "prove all":
		for _, f := range []ringfence.Fact{"pin", "passkey", "callback", "confirmed"} {
			if s.subject == ann || f == "callback" || f == "confirmed" {
				m.proveOne(s, id, f)
			}
		}
	case "strange proof":
		e := m.evidenceFor(m.look(id), "passkey")
		switch rapid.IntRange(0, 3).Draw(m.rt, "how") {
		case 0:
			e.Subject = "sub_x"
		case 1:
			e.Digest[3] ^= 1
		case 2:
			e.Release = "rel_x"
		default:
			e.At = m.now.Add(time.Hour)
		}
		m.putEvidence(e)
	case "release", "ask":
		was := s.state
		r, _, err := m.g.ask(ctx, ten, id, by, event == "release")
		if err != nil {
			m.rt.Fatalf("%s: %v", event, err)
		}
		s.asked = s.asked || event == "release" && (was == StatePendingEvidence || was == StatePendingApproval || was == StateCooling)
		if was == StatePendingEvidence && m.complete(s) && !m.stop(s) && r.State == StatePendingEvidence {
			m.rt.Fatalf("%s %s: everything is proved and it does not move: %s %v", s.typ, id, r.Why, r.Missing)
		}
	case "approve":
		r := m.look(id)
		who := rapid.SampledFrom([]ringfence.PersonID{manager, manager2, agent, risk}).Draw(m.rt, "who")
		_, v, err := m.g.Approve(ctx, ten, approval(r, who))
		if err == nil && len(v.Reasons) == 0 || err == nil && v.Next != sentences["self_approval"] {
			if who == agent || who == risk || r.State != StatePendingApproval {
				m.rt.Fatalf("%s approved in %s", who, r.State)
			}
			s.approvers[who] = m.now
		}
	case "permit":
		was := s.state
		token, _, err := m.g.Permit(ctx, ten, id, executor)
		if token != "" && err == nil {
			if was != StateReady && was != StatePermitted || s.duress || m.stop(s) || !s.asked {
				m.rt.Fatalf("a permit of %s in %s: %+v", s.typ, was, s)
			}
			m.permits = append(m.permits, &minted{token: token, id: id, until: m.now.Add(permitLife)})
		}
	case "redeem":
		m.redeemOne()
	case "report":
		r := m.look(id)
		o := rapid.SampledFrom([]Outcome{OutcomeExecuted, OutcomeFailed, OutcomeUnknown}).Draw(m.rt, "outcome")
		if _, err := m.g.Report(ctx, ten, executor, r.Permit, o); err == nil && s.redeemed != 1 {
			m.rt.Fatalf("reported %s of %s redeemed %d times", o, id, s.redeemed)
		}
	case "reject":
		m.alarm(alarm{Kind: alarmRejected, Release: id, Traversal: trv, Subject: s.subject})
		m.rejects[s.subject] = append(m.rejects[s.subject], refused{s, m.now})
		s.stopped = s.stopped || s.redeemed == 0
	case "late reject":
		if _, err := m.g.Reject(ctx, ten, id, Actor{Client: "link"}); err == nil {
			s.stopped = true
		} else if !errors.Is(err, ErrConflict) {
			m.rt.Fatal(err)
		}
	case "duress":
		if rapid.IntRange(0, 9).Draw(m.rt, "rare") == 0 {
			m.alarm(alarm{Kind: alarmDuress, Release: id, Subject: s.subject})
			s.duress = true
		}
	case "lift":
		if _, err := m.g.Lift(ctx, ten, id, risk, "looked at"); err == nil {
			s.stopped = false
		}
		if _, err := m.g.Lift(ctx, ten, id, manager, "looked at"); err == nil {
			m.rt.Fatal("somebody without role risk lifted a hold")
		}
	case "cancel":
		if rapid.IntRange(0, 4).Draw(m.rt, "rare") == 0 {
			m.g.Cancel(ctx, ten, id, by, "mistake") // refused where it comes too late
		}
	case "second":
		m.tick(time.Second)
	case "minutes":
		m.tick(time.Duration(rapid.IntRange(1, 20).Draw(m.rt, "minutes")) * time.Minute)
	case "hours":
		m.tick(time.Duration(rapid.IntRange(1, 13).Draw(m.rt, "hours")) * time.Hour)
	case "signals":
		m.signals = map[string]ringfence.Tri{"sim_swap": rapid.SampledFrom([]ringfence.Tri{ringfence.Unknown, ringfence.No}).Draw(m.rt, "swap"), "diversion": ringfence.No}
	case "restart":
		m.g = m.open(m.store)
	case "fail":
		m.failOne(id)
	case "contact":
		if rapid.IntRange(0, 19).Draw(m.rt, "rare") == 0 {
			m.now = m.now.Add(time.Second)
			m.contact(ringfence.ContactPoint{ID: ringfence.ContactPointID(fmt.Sprint("cpt_new", m.steps)), Subject: s.subject, VerifiedAt: m.now, ChangedAt: m.now, StoredAt: m.now, Status: ringfence.StatusActive})
			for _, o := range m.releases {
				o.changed = o.changed || o.subject == s.subject
			}
		}
	}
}

func (m *model) openOne() {
	typ := rapid.SampledFrom([]string{"bank_change", "payment", "invoice"}).Draw(m.rt, "type")
	q := request(typ)
	if q.Fields["amount"] != "" {
		q.Fields["amount"] = "100 GBP"
	}
	r, _, err := m.g.Open(context.Background(), ten, q)
	if err != nil {
		m.rt.Fatal(err)
	}
	m.releases[r.ID] = &seen{typ: typ, subject: r.Subject, state: r.State, proofs: map[ringfence.Fact]time.Time{}, approvers: map[ringfence.PersonID]time.Time{}}
	m.order = append(m.order, r.ID)
}

func (m *model) proveOne(s *seen, id ringfence.ReleaseID, f ringfence.Fact) {
	if s.subject != ann && (f == "pin" || f == "totp" || f == "passkey") {
		return
	}
	m.prove(m.look(id), f)
	if s.proofs[f] = m.now; f == "pin" {
		m.pin = m.now
	}
}

func (m *model) redeemOne() {
	if len(m.permits) == 0 {
		return
	}
	p := m.permits[rapid.IntRange(0, len(m.permits)-1).Draw(m.rt, "permit")]
	if rapid.Bool().Draw(m.rt, "newest") {
		p = m.permits[len(m.permits)-1]
	}
	s := m.releases[p.id]
	who := rapid.SampledFrom([]string{executor, executor, executor, "other"}).Draw(m.rt, "executor")
	red, err := m.g.Redeem(context.Background(), ten, who, p.token, Key{})
	if err != nil {
		if len(red.Canonical) > 0 {
			m.rt.Fatal("an action came with a refusal")
		}
		return
	}
	if who != executor || p.spent || !m.now.Before(p.until) || s.duress || s.stopped || s.redeemed > 0 {
		m.rt.Fatalf("redeemed by %s: %+v %+v", who, p, s)
	}
	p.spent = true
	s.redeemed++
}

// failOne makes the store refuse one commit: nothing may have happened.
func (m *model) failOne(id ringfence.ReleaseID) {
	before, n := m.look(id), len(m.store.Entries(ten))
	m.store.Fail = func() error { return errors.New("disk full") }
	token, _, err := m.g.Permit(context.Background(), ten, id, executor)
	if token != "" {
		m.rt.Fatalf("a permit left, and its transaction failed: %v", err)
	}
	m.g.Release(context.Background(), ten, id, Actor{Person: agent})
	m.store.Fail = nil
	if after := m.look(id); after.Version != before.Version || len(m.store.Entries(ten)) != n {
		m.rt.Fatalf("a failed transaction left something: %+v", after)
	}
}

func (m *model) tick(d time.Duration) {
	m.now = m.now.Add(d)
	if err := m.g.Tick(context.Background(), ten); err != nil {
		m.rt.Fatal(err)
	}
}

// judge compares every release with what the model allows it to be.
func (m *model) judge() {
	all := m.world.changed
	m.world.changed = nil
	for _, r := range all {
		id, s := r.ID, m.releases[r.ID]
		if r.State == s.state {
			continue
		}
		left := s.state == StatePendingEvidence && (r.State == StatePendingApproval || r.State == StateCooling || r.State == StateReady)
		if left && (!m.complete(s) || m.stop(s)) {
			m.rt.Fatalf("%s left pending_evidence without its proofs: %+v at %s", s.typ, s, m.now)
		}
		if left {
			s.froze, s.cooled = m.now, time.Time{}
		}
		if going := r.State == StateCooling || r.State == StateReady; going && s.cooled.IsZero() {
			if !s.asked || !m.approved(s) || m.stop(s) {
				m.rt.Fatalf("%s went on to %s: %+v", s.typ, r.State, s)
			}
			s.cooled = m.now
		}
		if r.State == StateReady && s.typ == "bank_change" && m.now.Sub(s.cooled) < 12*time.Hour {
			m.rt.Fatalf("a bank change is ready after %s", m.now.Sub(s.cooled))
		}
		if s.state.Final() {
			m.rt.Fatalf("%s went from %s to %s", id, s.state, r.State)
		}
		if r.State == StateRedeemed && s.redeemed != 1 && !s.duress { // under duress it only seems so
			m.rt.Fatalf("redeemed, and the model saw %d", s.redeemed)
		}
		switch r.State {
		case StatePendingEvidence:
			clear(s.approvers)
			s.cooled = time.Time{}
		case StatePendingApproval:
			s.cooled = time.Time{}
		}
		s.state = r.State
	}
}

// chains reads the log: every release's moves hang together.
func (m *model) chains() {
	at := map[ringfence.ReleaseID]State{}
	redeemed := map[ringfence.ReleaseID]int{}
	for _, e := range m.store.Entries(ten) {
		to, ok := e.Data["to"]
		if !ok {
			continue
		}
		if State(e.Data["from"]) != at[e.Release] || events[State(to)] != e.Event {
			m.rt.Fatalf("entry %d tells %s from %s, after %s", e.Index, to, e.Data["from"], at[e.Release])
		}
		at[e.Release] = State(to)
		if State(to) == StateRedeemed {
			redeemed[e.Release]++
		}
	}
	under, err := m.g.Duress(context.Background(), ten, risk)
	if err != nil {
		m.rt.Fatal(err)
	}
	for _, r := range under { // the log tells the truth, and only risk reads it elsewhere
		if s := m.releases[r.ID]; at[r.ID] != r.State || redeemed[r.ID] != s.redeemed || redeemed[r.ID] > 1 {
			m.rt.Fatalf("the log says %s, redeemed %d; risk %s, %d", at[r.ID], redeemed[r.ID], r.State, s.redeemed)
		}
		at[r.ID] = m.releases[r.ID].state
	}
	for id, s := range m.releases {
		if r := m.look(id); r.State != s.state {
			m.rt.Fatalf("%s changed to %s and nobody was told", id, r.State)
		}
		if at[id] != s.state || redeemed[id] != s.redeemed || redeemed[id] > 1 {
			m.rt.Fatalf("the log says %s, redeemed %d; the release %s, %d", at[id], redeemed[id], s.state, s.redeemed)
		}
	}
}

// TestModel plays random events, clock steps, restarts and failed commits
// against the gate and the model beside it, in two halves for two cores.
func TestModel(t *testing.T) {
	steps := *modelSteps
	if testing.Short() {
		steps = min(steps, 5_000)
	}
	const halves = 2
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == "100" {
		f.Value.Set(fmt.Sprint(max(steps/stepsOfOneWorld/halves, 1)))
		t.Cleanup(func() { f.Value.Set("100") })
	}
	p := loadPolicy(t)
	for i := range halves {
		t.Run(fmt.Sprint("half ", i+1), func(t *testing.T) {
			t.Parallel()
			playModel(t, p)
		})
	}
}

func playModel(t *testing.T, p *policy.Policy) {
	total, redeemed := 0, 0
	states := map[State]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, now: epoch, policies: &policies{all: map[[32]byte]*policy.Policy{}}, signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
		w.store = newMemory(w)
		w.policies.set(p)
		w.g = w.open(w.store)
		w.seed()
		w.knownPayee()
		m := &model{world: w, rt: rt, releases: map[ringfence.ReleaseID]*seen{}, rejects: map[ringfence.SubjectID][]refused{}}
		for range stepsOfOneWorld {
			m.steps++
			m.step()
			m.judge()
			total++
		}
		m.chains()
		for _, s := range m.releases {
			redeemed += s.redeemed
			states[s.state]++
		}
	})
	t.Logf("%d steps, %d releases redeemed, ended as %v", total, redeemed, states)
	if !t.Failed() && redeemed == 0 {
		t.Error("nothing was ever released: the events test nothing")
	}
}
