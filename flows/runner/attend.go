package runner

import (
	"cmp"
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// MomentKind is what a Moment tells.
type MomentKind uint8

// The moments of a call. The zero value tells nothing.
const (
	MomentAnswered MomentKind = 1 // the caller was answered and has heard the line's notice, if there is one
	MomentJoined   MomentKind = 2 // caller and agent hear each other from now on
	MomentEnded    MomentKind = 3 // the traversal is over
	MomentHeld     MomentKind = 4 // caller or agent put the other on media hold, or took them back
)

// Moment tells who hears whom in a call from now on, for those who attend it:
// a recorder, a fork, a record of its quality.
type Moment struct {
	Kind      MomentKind
	Tenant    ringfence.TenantID
	Traversal ringfence.TraversalID
	Reference string
	Line      Line
	// Caller is the leg that called us. Agent and Person are set with
	// MomentJoined and MomentHeld; Person is empty for a queue that is one
	// address.
	Caller, Agent Leg
	Person        ringfence.PersonID
	// CallerHolds and AgentHolds say whose far end has us on media hold: it does
	// not listen. They are set with MomentJoined and MomentHeld.
	CallerHolds, AgentHolds bool
	// Legs are those that this process had in the call, with MomentEnded.
	Legs []ringfence.LegID
	// Consented says that the line's notice was heard to its end and not
	// declined. Without a notice it is false.
	Consented bool
	// Call is the call as the console shows it at this moment.
	Call ringfence.LiveCall
}

// attend tells of a moment.
func (t *traversal) attend(m Moment) {
	if t.r.cfg.Attend == nil {
		return
	}
	m.Tenant, m.Traversal, m.Reference, m.Line, m.Consented = t.tenant, t.id, t.live.Reference, t.line, t.consented
	m.Call = t.view()
	if s := t.slots[0]; s != nil && m.Caller == nil {
		m.Caller = s.leg
	}
	t.r.cfg.Attend(m)
}

// attendAgent tells of a moment of caller and agent.
func (t *traversal) attendAgent(kind MomentKind) {
	s := t.slots[0]
	t.attend(Moment{Kind: kind, Agent: t.agent.leg, Person: t.agent.place.Person, CallerHolds: s != nil && s.held, AgentHolds: t.agent.held})
}

// notice is what a line tells its callers before anything else: that the call
// is recorded. A key may decline it.
type notice struct {
	u        *utterance
	declined bool
	then     func()
}

// noticeSession is no session's number.
const noticeSession = -2

// announce speaks the line's notice, if it has one, and then goes on. Only who
// has heard it to its end and did not decline has consented.
func (t *traversal) announce(ctx context.Context, then func()) {
	if t.line.Notice == "" {
		t.attend(Moment{Kind: MomentAnswered})
		then()
		return
	}
	s := t.slots[0]
	u := &utterance{session: noticeSession}
	s.queue = append(s.queue, u)
	t.notice = &notice{u: u, then: then}
	speech := ringfence.Speech{Language: cmp.Or(t.line.NoticeIn, t.language()), Source: t.line.Notice, Parts: []ringfence.SpeechPart{{Text: t.line.Notice}}}
	t.render(ctx, u, speech, s.next)
}

// noticed takes the end of the notice.
func (t *traversal) noticed(whole bool) {
	n := t.notice
	t.notice = nil
	t.consented = whole && !n.declined
	switch {
	case n.declined:
		t.note("the caller declined to be recorded", false)
	case !whole:
		t.note("the notice of the line was not spoken", true)
	}
	t.attend(Moment{Kind: MomentAnswered})
	n.then()
}

// declines takes a key that was pressed during the notice.
func (n *notice) declines(key, d byte) {
	if key != 0 && d == key {
		n.declined = true
	}
}

// Ends are the two legs of a call that speak with each other.
type Ends struct {
	Caller, Agent ringfence.LegID
	Owner         ringfence.PersonID
}

// Ends returns the legs of a call in which an agent speaks, for a supervisor.
// ErrBusy means that nobody speaks with the caller now.
func (r *Runner) Ends(ctx context.Context, who Act) (Ends, error) {
	var e Ends
	err := r.do(ctx, who.Tenant, who.Traversal, func(_ context.Context, t *traversal) error {
		switch s := t.slots[0]; {
		case !who.Supervisor || t.live.Owner == who.By:
			return ErrNoCall
		case s == nil || !s.up || t.agent == nil || !t.agent.up:
			return ErrBusy
		default:
			e = Ends{Caller: s.leg.ID(), Agent: t.agent.leg.ID(), Owner: t.live.Owner}
			return nil
		}
	})
	return e, err
}

// Attended writes down what a supervisor does in a call: listen, whisper,
// barge or left. shown lets the agent see it.
func (r *Runner) Attended(ctx context.Context, who Act, how string, shown bool) error {
	return r.do(ctx, who.Tenant, who.Traversal, func(ctx context.Context, t *traversal) error {
		if !who.Supervisor {
			return ErrNoCall
		}
		if err := r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
			_, err := tx.Append(ctx, ledger.Entry{Event: "traversal.supervised", Traversal: t.id, Person: who.By, Data: map[string]string{"how": how}})
			return err
		}); err != nil {
			return err
		}
		if shown {
			t.live.Supervised = how
			if how == "left" {
				t.live.Supervised = ""
			}
			t.note("a supervisor: "+how, false)
		}
		return nil
	})
}
