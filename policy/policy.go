package policy

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// Policy is one loaded, immutable policy. The zero value allows nothing.
type Policy struct {
	file     string // as it was named to Load
	src      []byte // never changed
	name     string
	hash     [32]byte
	base     string
	zone     *time.Location
	maxCall  time.Duration
	kinds    []Kind
	actions  []*Action
	spoken   []*Guard
	queues   []*Guard
	callback Callback
	waivers  []Waiver
}

// Kind is one kind of subject.
type Kind struct {
	Name         ringfence.SubjectKind
	Counterparty bool     // reached through a company number; cannot hold an authenticator with us
	IdentifiedBy []string // the fields by which a caller may say who they are
	Fields       []Field  // of the record, in file order
}

// Field is one named, typed field.
type Field struct {
	Name string
	Type Type
}

// Field returns the type of a record's field.
func (k Kind) Field(name string) (Type, bool) { return fieldOf(k.Fields, name) }

func fieldOf(fields []Field, name string) (Type, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Type, true
		}
	}
	return Type{}, false
}

// Like ties an action to the shape that windows and class rules know.
type Like string

// The shapes an action may have; the empty value is LikeOther.
const (
	LikePayment            Like = "payment"
	LikePayeeChange        Like = "payee_change"
	LikeContactChange      Like = "contact_change"
	LikeAuthenticatorReset Like = "authenticator_reset"
	LikeFirstAuthenticator Like = "first_authenticator" // of a subject who has none: a call-back to an old number and a colleague are enough
	LikeMandateChange      Like = "mandate_change"      // who may act for whom
	LikeDisclosure         Like = "disclosure"
	LikeFreeze             Like = "freeze"   // risk-reducing: one class lower, its undo one higher
	LikeUnfreeze           Like = "unfreeze" // takes a freeze back
	LikeOther              Like = "other"
)

// Action is what one type of action needs. It is immutable.
type Action struct {
	Name    string
	Class   ringfence.Class
	Says    string // how it is named aloud: "change the bank account we pay you on"
	About   ringfence.SubjectKind
	Like    Like
	Carries []Field // in file order
	Needs   []Need  // all must hold
	Extra   []Extra
	Fresh   time.Duration // greatest age of a proof at the move out of pending_evidence
	Lanes   int           // least number of different lanes
	// Approvals apply when approved is among the proofs used. Count 0 with a
	// group means 1; no group means that nobody can approve.
	Approvals Approvals
	Hold      time.Duration // cooling-off with a cancel link; zero = none beyond the class's floor
	// SmallFirst is the most, in whole units of the base currency and with
	// everything of the day, that a first payment may be to go without the hold
	// of its class when the payee's bank says that the account is theirs (signal
	// name_check). Zero = none.
	SmallFirst int64
	// Undoes names the risk-reducing action that this one takes back.
	Undoes string
	// OutlivesCall keeps a release in pending_evidence when its traversal ends.
	OutlivesCall            bool
	NumbersOlderThan        time.Duration // zero = the class's cooling-off
	AuthenticatorsOlderThan time.Duration
	Signals                 []SignalRule
	Unknown                 Demand // added when a signal of Signals is unknown; zero = refuse
	Limits                  []Limit
	Line                    int // in the file

	plain []FactSet    // minimal sets that meet Needs
	ways  [7][]FactSet // by class: with the class's row as well
}

// Field returns the type of a field that the action carries.
func (a *Action) Field(name string) (Type, bool) { return fieldOf(a.Carries, name) }

// Need is one line of `needs`: alternatives, each a conjunction of facts. It
// holds when every fact of one alternative is there. No alternative = never.
type Need struct {
	AnyOf [][]ringfence.Fact
}

// Holds reports whether have is enough for n.
func (n Need) Holds(have FactSet) bool {
	return slices.ContainsFunc(n.AnyOf, func(all []ringfence.Fact) bool {
		return len(all) > 0 && !slices.ContainsFunc(all, func(f ringfence.Fact) bool { return !have.Has(f) })
	})
}

// String returns the line as the file writes it.
func (n Need) String() string {
	s := ""
	for i, all := range n.AnyOf {
		if i > 0 {
			s += " or "
		}
		s += conjunction(all)
	}
	return s
}

func conjunction(all []ringfence.Fact) string {
	s := ""
	for i, f := range all {
		if i > 0 {
			s += " and "
		}
		s += string(f)
	}
	if len(all) > 1 {
		return "(" + s + ")"
	}
	return s
}

// Demand is what a condition or an unknown signal adds.
type Demand struct {
	Needs     []Need
	Approvals Approvals
	Hold      time.Duration
}

// Zero reports whether nothing is demanded.
func (d Demand) Zero() bool { return len(d.Needs) == 0 && d.Approvals == Approvals{} && d.Hold == 0 }

// Extra adds a demand when its condition holds, or cannot be judged.
type Extra struct {
	When *Condition
	Demand
}

// Approvals says who must agree, and how many different persons of them.
type Approvals struct {
	Group string `json:"group,omitempty"`
	Count int    `json:"count,omitempty"`
}

// SignalRule demands a value of a passive observation.
type SignalRule struct {
	Name string
	Want ringfence.Tri // yes or no
}

// Limit is one cumulative window over the executed and open releases of the
// same type and subject, this one included.
type Limit struct {
	Within time.Duration
	Amount int64 // whole units of the base currency; zero = not limited by amount
	Count  int   // zero = not limited by count
}

// Guard is what a spoken field or a queue needs.
type Guard struct {
	Name  string // "customer.balance", or a queue
	Class ringfence.Class
	Needs []Need
	Line  int
}

// Holds reports whether have is enough. The nil Guard never holds.
func (g *Guard) Holds(have FactSet) bool {
	return g != nil && !slices.ContainsFunc(g.Needs, func(n Need) bool { return !n.Holds(have) })
}

// Callback is what holds for every call-back.
type Callback struct {
	NumbersOlderThan time.Duration // zero = the class's cooling-off
}

// Waiver lets one rule be less safe than its shipped default, for a reason
// and a time. It is in effect only while now < Until and Until is at most 90
// days away, so a waiver written for longer never begins to count.
type Waiver struct {
	Action string // empty = every action
	Rule   string // one of the Waive constants
	Value  string
	Reason string
	Until  time.Time
	Line   int
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.name }

// Hash returns SHA-256("ringfence/policy/v1" ‖ 0x00 ‖ file).
func (p *Policy) Hash() [32]byte { return p.hash }

// BaseCurrency returns the ISO 4217 currency of conditions and limits.
func (p *Policy) BaseCurrency() string { return p.base }

// Zone is where the days of the policy's dates begin.
func (p *Policy) Zone() *time.Location { return p.zone }

// Timezone returns the zone of hour and weekday; UTC when the file has none.
func (p *Policy) Timezone() *time.Location { return p.zone }

// MaxCall returns the longest a call may last; 30 minutes by default.
func (p *Policy) MaxCall() time.Duration { return p.maxCall }

// Kinds lists the kinds of subjects in file order.
func (p *Policy) Kinds() []Kind { return slices.Clone(p.kinds) }

// Kind returns one kind of subject.
func (p *Policy) Kind(name ringfence.SubjectKind) (Kind, bool) {
	for _, k := range p.kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Actions lists the actions in file order.
func (p *Policy) Actions() []*Action { return slices.Clone(p.actions) }

// Action returns one action; an unlisted one is not allowed, and the nil
// Policy lists none.
func (p *Policy) Action(name string) (*Action, bool) {
	if p == nil {
		return nil, false
	}
	for _, a := range p.actions {
		if a.Name == name {
			return a, true
		}
	}
	return nil, false
}

// Spoken returns what a field needs to be spoken, "customer.balance" or
// "payment.payee"; an unlisted one may not be spoken.
func (p *Policy) Spoken(field string) (*Guard, bool) {
	if p == nil {
		return nil, false
	}
	return guardOf(p.spoken, field)
}

// Queue returns what a queue needs; an unlisted one may not be connected.
func (p *Policy) Queue(name string) (*Guard, bool) {
	if p == nil {
		return nil, false
	}
	return guardOf(p.queues, name)
}

// SpokenFields lists the guards of spoken fields in file order.
func (p *Policy) SpokenFields() []*Guard { return slices.Clone(p.spoken) }

// Queues lists the guards of queues in file order.
func (p *Policy) Queues() []*Guard { return slices.Clone(p.queues) }

// Callback returns what holds for every call-back.
func (p *Policy) Callback() Callback { return p.callback }

// Waivers lists the waivers as written, in effect or not.
func (p *Policy) Waivers() []Waiver { return slices.Clone(p.waivers) }

func guardOf(gs []*Guard, name string) (*Guard, bool) {
	for _, g := range gs {
		if g.Name == name {
			return g, true
		}
	}
	return nil, false
}

// MaySpeak reports whether a field may be spoken after the given facts. The
// caller puts into have only facts that count on the leg that would hear it,
// and otp for C2 and above only with a SIM-swap signal of no.
func (p *Policy) MaySpeak(field string, have FactSet) bool {
	g, ok := p.Spoken(field)
	return ok && g.Holds(have)
}

// MayConnect reports whether a queue may be connected after the given facts.
func (p *Policy) MayConnect(queue string, have FactSet) bool {
	g, ok := p.Queue(queue)
	return ok && g.Holds(have)
}
