package policy

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// index is the place of a fact in the arrays of a judge.
func index(f ringfence.Fact) int { return bits.TrailingZeros16(uint16(bit(f))) }

// signals applies the action's own rules and the row's: a bad value refuses,
// an unknown one adds what `unknown:` says, or refuses when it says nothing.
func (j *judge) signals() (refused []Reason) {
	for _, s := range j.a.Signals {
		switch j.c.Signals[s.Name] {
		case s.Want:
		case ringfence.Unknown:
			if j.a.Unknown.Zero() {
				refused = append(refused, ReasonRaised)
				continue
			}
			j.addExtra(Extra{Demand: j.a.Unknown})
			j.raised = true
		default:
			refused = append(refused, ReasonRaised)
		}
	}
	if j.class >= ringfence.C4 && (j.swap == ringfence.Yes || j.diversion == ringfence.Yes) {
		refused = append(refused, ReasonRaised)
	}
	return refused
}

func (j *judge) addExtra(e Extra) { j.extras = append(j.extras, e) }

// collectExtras adds every extra whose condition holds on the fields, on the
// sums of the window, or cannot be judged.
func (j *judge) collectExtras() {
	prefix := len(j.a.Name) + 1
	for _, e := range j.a.Extra {
		on, err := e.When.Eval(func(name string) any { return field(j.c.Fields, name[prefix:]) })
		if err != nil || on {
			j.addExtra(e)
			continue
		}
		if len(j.c.Sums) == 0 {
			continue
		}
		on, err = e.When.Eval(func(name string) any {
			if s, ok := j.c.Sums[name[prefix:]]; ok {
				return s
			}
			return field(j.c.Fields, name[prefix:])
		})
		if err != nil || on {
			j.addExtra(e)
			j.raised = true
		}
	}
}

func field(fields map[string]string, name string) any {
	if v, ok := fields[name]; ok {
		return v
	}
	return nil
}

// count adds one proof to what counts, or remembers why it does not.
func (j *judge) count(i int) {
	p := &j.c.Proofs[i]
	f := p.Evidence.Fact
	if !KnownFact(f) || f == ringfence.FactApproved {
		return
	}
	at := index(f)
	if why := j.refuses(p); why != "" {
		if j.dropped[at] == "" {
			j.dropped[at] = why
		}
		return
	}
	if p.Lane != "" && p.Lane != laneOf(f) && laneOf(f) == LaneHandset {
		j.elsewhere = append(j.elsewhere, i)
	}
	old := j.best[at]
	if old == 0 || better(p, &j.c.Proofs[old-1]) {
		j.best[at] = i + 1
	}
	j.have = j.have.With(f)
}

// separate takes a code on another contact point than the call-back's, when
// there is one.
func (j *judge) separate() {
	otp, cb := j.best[index(ringfence.FactOTP)], j.best[index(ringfence.FactCallback)]
	if otp == 0 || cb == 0 {
		return
	}
	on := func(i int) ringfence.ContactPointID { return j.c.Proofs[i-1].Evidence.ContactPoint }
	for i := range j.c.Proofs {
		p := &j.c.Proofs[i]
		if on(otp) == on(cb) && p.Evidence.Fact == ringfence.FactOTP && on(i+1) != on(cb) && j.refuses(p) == "" {
			j.best[index(ringfence.FactOTP)], otp = i+1, i+1
		}
	}
	for i := range j.c.Proofs {
		p := &j.c.Proofs[i]
		if on(otp) == on(cb) && p.Evidence.Fact == ringfence.FactCallback && on(i+1) != on(otp) && j.refuses(p) == "" {
			j.best[index(ringfence.FactCallback)], cb = i+1, i+1
		}
	}
}

// better prefers a proof that presented the action, then the newer, then the
// lower id, so that the frozen set does not depend on the order of rows.
func better(a, b *Proof) bool {
	switch {
	case a.Evidence.Presented != b.Evidence.Presented:
		return a.Evidence.Presented
	case !a.Evidence.At.Equal(b.Evidence.At):
		return a.Evidence.At.After(b.Evidence.At)
	default:
		return a.Evidence.ID < b.Evidence.ID
	}
}

// strengthOf is what verify writes for a fact; a row that says otherwise is
// not believed.
func strengthOf(f ringfence.Fact) (ringfence.Strength, bool) {
	switch f {
	case ringfence.FactPIN:
		return ringfence.StrengthKnowledge, true
	case ringfence.FactOTP:
		return ringfence.StrengthPSTN, true
	case ringfence.FactTOTP:
		return ringfence.StrengthPossess, true
	case ringfence.FactPasskey:
		return ringfence.StrengthPasskey, true
	case ringfence.FactCallback:
		return ringfence.StrengthCallback, true
	case ringfence.FactProofed:
		return ringfence.StrengthProofed, true
	default:
		return "", false
	}
}

// refuses returns why a proof does not count, or "".
func (j *judge) refuses(p *Proof) Reason {
	e := &p.Evidence
	if want, has := strengthOf(e.Fact); has && e.Strength != want {
		return ReasonMissing
	}
	if e.ID == "" || e.Subject != j.c.Subject {
		return ReasonWrongSubject
	}
	if why := j.wrongAction(e); why != "" {
		return why
	}
	age := j.c.Now.Sub(e.At)
	fresh := j.a.Fresh
	if e.Fact == ringfence.FactProofed {
		fresh = proofedAge
	}
	if e.At.IsZero() || age < 0 || age > fresh && !j.c.Judged {
		return ReasonStale
	}
	return j.tooNew(p)
}

// wrongAction is invariant 7: from C2 on a bound fact counts only for the
// release and digest it was made for; a leg fact only on the release's own
// traversal; and a row that names a release counts for no other.
func (j *judge) wrongAction(e *ringfence.Evidence) Reason {
	bound := e.Release == j.c.Release && e.Digest == j.c.Digest
	switch {
	case e.Release != "" && !bound, e.Release == "" && !e.Digest.Zero():
		return ReasonWrongAction
	case e.Fact.Bound():
		if !bound && j.class >= ringfence.C2 {
			return ReasonWrongAction
		}
		if j.class >= ringfence.C4 && j.c.Traversal != "" && e.Traversal != "" && e.Traversal != j.c.Traversal {
			return ReasonWrongAction
		}
	case e.Fact != ringfence.FactProofed && (e.Traversal == "" || e.Traversal != j.c.Traversal):
		return ReasonWrongAction
	}
	return ""
}

// tooNew is invariant 15 and the row's 30 days for a call-back.
func (j *judge) tooNew(p *Proof) Reason {
	e := &p.Evidence
	cooling := defaultsOf(j.class).age
	number, authenticator := max(cooling, j.a.NumbersOlderThan), max(cooling, j.a.AuthenticatorsOlderThan)
	switch e.Fact {
	case ringfence.FactKnownNumber:
		if p.ContactAge < max(number, day) {
			return ReasonContactTooNew
		}
	case ringfence.FactOTP, ringfence.FactCallback:
		if e.Fact == ringfence.FactCallback {
			number = max(number, j.p.callback.NumbersOlderThan)
			if j.class >= ringfence.C4 {
				number = max(number, j.numberAge())
			}
		}
		if number > 0 && (e.ContactPoint == "" || p.ContactAge < number) {
			return ReasonContactTooNew
		}
	case ringfence.FactPIN, ringfence.FactTOTP, ringfence.FactPasskey:
		if authenticator > 0 && (e.Authenticator == "" || p.AuthenticatorAge < authenticator) {
			return ReasonAuthenticatorTooNew
		}
	}
	return ""
}

func (j *judge) numberAge() time.Duration {
	if w, ok := j.waiver(WaiveNumberAge); ok {
		return min(w.Duration(), numberAge)
	}
	return numberAge
}

// waiver finds one in effect and remembers it. C5 has none.
func (j *judge) waiver(rule string) (Waiver, bool) {
	if j.class >= ringfence.C5 {
		return Waiver{}, false
	}
	w, ok := j.p.Waived(j.a.Name, rule, j.c.Now)
	if ok && !slices.Contains(j.waivers, w) {
		j.waivers = append(j.waivers, w)
	}
	return w, ok
}

// approvals returns the group and the count of approvers that a way asks for.
func (j *judge) approvals(way FactSet) Approvals {
	out := j.a.Approvals
	for _, e := range j.extras {
		out.Count = max(out.Count, e.Approvals.Count)
	}
	out.Count = max(out.Count, approversOf(j.class, j.counterparty))
	if way.Has(ringfence.FactProofed) {
		out.Count = max(out.Count, proofedFloor.approvals)
	}
	return out
}

// approved reports whether the approvals that a way asks for are there.
func (j *judge) approved(way FactSet) bool {
	want := j.approvals(way)
	return want.Group != "" && want.Count > 0 && j.approvers(want.Group) >= want.Count
}

// missing returns what a way still lacks.
func (j *judge) missing(way FactSet) FactSet {
	m := way.Minus(j.have)
	if m.Has(ringfence.FactApproved) && j.approved(way) {
		m = m.Minus(NewFactSet(ringfence.FactApproved))
	}
	if m.Minus(NewFactSet(ringfence.FactApproved)) == 0 && !j.presented() {
		m |= presenting(way)
	}
	return m
}

func (j *judge) approvers(group string) int {
	var seen []ringfence.PersonID
	for _, a := range j.c.Approvals {
		if a.Person != "" && slices.Contains(a.Groups, group) && !slices.Contains(seen, a.Person) {
			seen = append(seen, a.Person)
		}
	}
	return len(seen)
}

// ways returns the minimal sets that meet needs, extras and those rows of the
// class that may be used in this case.
func (j *judge) ways() []FactSet {
	row := floors[j.class]
	all := rowsFor(rows{counterparty: j.counterparty, first: j.a.Like == LikeFirstAuthenticator})
	if !slices.ContainsFunc(row, func(f floor) bool { return all(f) && !j.usable(f) }) {
		return withExtras(j.a.ways[j.class], j.extras)
	}
	return withExtras(join(j.a.plain, floorWays(j.class, j.usable)), j.extras)
}

// usable judges the conditions of a row that are not proofs.
func (j *judge) usable(f floor) bool {
	switch {
	case f.counterparty && !j.counterparty:
		return false
	case f.first && (j.a.Like != LikeFirstAuthenticator || j.c.HasAuthenticator || j.c.HadPasskey):
		return false
	case f.facts.Has(ringfence.FactApproved) && j.a.Approvals.Group == "":
		return false // nobody could approve
	case f.simSwapNo && j.swap != ringfence.No:
		return false
	case f.otherContact && !j.otherContact():
		return false
	case j.class >= ringfence.C4 && j.c.HadPasskey:
		return f.facts.Has(ringfence.FactPasskey) || f.facts.Has(ringfence.FactProofed)
	default:
		return true
	}
}

// otherContact reports whether the code and the call-back went, or may still
// go, to two different contact points.
func (j *judge) otherContact() bool {
	otp, cb := j.best[index(ringfence.FactOTP)], j.best[index(ringfence.FactCallback)]
	return otp == 0 || cb == 0 || j.c.Proofs[otp-1].Evidence.ContactPoint != j.c.Proofs[cb-1].Evidence.ContactPoint
}

// cost orders facts by how long a caller takes to give them.
func cost(s FactSet) int {
	total := 0
	for _, f := range s.Facts() {
		switch f {
		case ringfence.FactConfirmed:
			total += 2
		case ringfence.FactPIN:
			total += 2
		case ringfence.FactTOTP:
			total += 3
		case ringfence.FactPasskey:
			total += 4
		case ringfence.FactOTP:
			total += 5
		case ringfence.FactCallback:
			total += 8
		case ringfence.FactApproved:
			total += 16
		default: // what nobody can give on this call
			total += 100
		}
	}
	return total
}

// choose returns the way of which least is missing, and what that is. A way
// that lacks only approvals comes before one that asks the caller again.
func (j *judge) choose(ways []FactSet) (way, missing FactSet, ok bool) {
	least := 0
	for _, w := range ways {
		m := j.missing(w)
		c := cost(m)
		if m == NewFactSet(ringfence.FactApproved) {
			c = 1
		}
		if !ok || c < least {
			way, missing, least, ok = w, m, c, true
		}
	}
	return way, missing, ok
}

// shows are the facts whose proof may have put the action before the person
// reached: on a leg that we placed, on the passkey page, or face to face.
var shows = presents.With(ringfence.FactCallback)

// presented is invariant 31: from C3 on some proof showed or spoke every
// material field to the person reached.
func (j *judge) presented() bool { return j.class < ringfence.C3 || j.presentedBy(j.have) }

// presenting is what to ask for when nothing presented the action yet.
func presenting(way FactSet) FactSet {
	if way.Has(ringfence.FactPasskey) && !way.Has(ringfence.FactConfirmed) {
		return NewFactSet(ringfence.FactPasskey)
	}
	return NewFactSet(ringfence.FactConfirmed)
}

// used lists the evidence that the way stands on, with what brings further
// lanes or presents the action, and adds to missing what lanes still need.
func (j *judge) used(way, missing FactSet) ([]ringfence.EvidenceID, FactSet) {
	use := way & j.have
	lanes := map[string]bool{}
	var ids []ringfence.EvidenceID
	take := func(i int) {
		if id := j.c.Proofs[i].Evidence.ID; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, f := range (way | missing).Facts() {
		lanes[j.lane(f)] = true // what is missing will ride on its own lane
	}
	delete(lanes, "")
	want := j.lanes()
	for _, f := range j.have.Minus(use).Facts() {
		lane := j.lane(f)
		switch {
		case len(lanes) < want && lane != "" && !lanes[lane]:
			use, lanes[lane] = use.With(f), true
		case j.class >= ringfence.C3 && j.presentedBy(NewFactSet(f)) && !j.presentedBy(use):
			use = use.With(f)
		}
	}
	for _, i := range j.elsewhere {
		if lane := j.c.Proofs[i].Lane; len(lanes) < want && !lanes[lane] {
			lanes[lane] = true
			take(i)
		}
	}
	if len(lanes) < want && !lanes[LaneColleague] && j.approved(way) {
		lanes[LaneColleague] = true
	}
	if len(lanes) < want {
		for _, f := range []ringfence.Fact{ringfence.FactPIN, ringfence.FactPasskey, ringfence.FactApproved} {
			if !lanes[laneOf(f)] {
				missing = missing.With(f)
				break
			}
		}
	}
	for _, f := range use.Facts() {
		if b := j.best[index(f)]; b != 0 {
			take(b - 1)
		}
	}
	slices.Sort(ids)
	return ids, missing
}

func (j *judge) presentedBy(s FactSet) bool {
	for _, f := range (s & shows).Facts() {
		if b := j.best[index(f)]; b != 0 && j.c.Proofs[b-1].Evidence.Presented {
			return true
		}
	}
	return false
}

func (j *judge) lanes() int {
	want := max(j.a.Lanes, defaultsOf(j.class).lanes)
	if want > 1 {
		if _, ok := j.waiver(WaiveLanes); ok {
			return 1
		}
	}
	return want
}

func (j *judge) lane(f ringfence.Fact) string {
	if b := j.best[index(f)]; b != 0 && laneOf(f) == LaneHandset && j.c.Proofs[b-1].Lane != "" {
		return j.c.Proofs[b-1].Lane
	}
	return laneOf(f)
}

// waysOn lists what is missing of each way, cheapest first.
func (j *judge) waysOn(ways []FactSet, missing FactSet) [][]ringfence.Fact {
	if missing == 0 {
		return nil
	}
	rest := []FactSet{missing}
	for _, w := range ways {
		if m := j.missing(w); m != 0 {
			rest = append(rest, m)
		}
	}
	rest = minimal(rest)
	slices.SortStableFunc(rest, func(a, b FactSet) int { return cmp.Compare(cost(a), cost(b)) })
	var out [][]ringfence.Fact
	for _, m := range rest[:min(len(rest), 8)] {
		out = append(out, m.Facts())
	}
	return out
}

// hold is the longest cooling-off that anything asks for, shortened by a
// waiver; but unknown signals are never waived: they hold a day unless a
// colleague approved.
func (j *judge) hold(way FactSet) time.Duration {
	d := max(j.a.Hold, defaultsOf(j.class).hold)
	if j.smallFirst() {
		d = j.a.Hold
	}
	for _, e := range j.extras {
		d = max(d, e.Hold)
	}
	if j.class >= ringfence.C4 && j.counterparty {
		d = max(d, 24*time.Hour)
	}
	if j.class >= ringfence.C4 && way.Has(ringfence.FactProofed) {
		d = max(d, proofedFloor.hold)
	}
	if w, ok := j.waiver(WaiveHold); ok {
		d = min(d, w.Duration())
	}
	unknown := j.swap == ringfence.Unknown || j.diversion == ringfence.Unknown
	if j.class >= ringfence.C4 && unknown && !j.anyApproval() {
		d = max(d, holdUnknown)
	}
	return d
}

// smallFirst reports a first payment under the policy's small cap to an account
// whose name check says yes: it needs the proofs of its class and no hold.
func (j *judge) smallFirst() bool {
	if j.a.SmallFirst == 0 || j.a.Like != LikePayment || !j.c.FirstPayment || j.class > ringfence.C4 || j.c.Signals["name_check"] != ringfence.Yes {
		return false
	}
	paid := int64(0)
	for _, f := range j.a.Carries {
		if f.Type.Base != BaseMoney {
			continue
		}
		for _, text := range []string{j.c.Fields[f.Name], j.c.Sums[f.Name]} {
			m, ok := ParseMoney(text)
			if !ok {
				return false
			}
			paid = max(paid, WholeUnits(m, j.p.base))
		}
	}
	return paid > 0 && paid <= j.a.SmallFirst
}

// anyApproval reports whether a colleague of the action's group approved,
// asked or not.
func (j *judge) anyApproval() bool {
	return j.a.Approvals.Group != "" && j.approvers(j.a.Approvals.Group) > 0
}

// limits judges the cumulative windows.
func (j *judge) limits() []Reason {
	if len(j.a.Limits) == 0 {
		return nil
	}
	var amount int64
	for _, f := range j.a.Carries {
		if f.Type.Base != BaseMoney {
			continue
		}
		whole := int64(OverEvery)
		if m, ok := ParseMoney(j.c.Fields[f.Name]); ok {
			whole = WholeUnits(m, j.p.base)
		}
		amount = addUp(amount, whole)
	}
	for _, lim := range j.a.Limits {
		i := slices.IndexFunc(j.c.Totals, func(t Total) bool { return t.Within == lim.Within })
		if i < 0 {
			return []Reason{ReasonCap} // nobody counted: not finding out means no
		}
		t := j.c.Totals[i]
		if lim.Amount > 0 && addUp(t.Amount, amount) > lim.Amount {
			return []Reason{ReasonCap}
		}
		if lim.Count > 0 && t.Count+1 > lim.Count {
			return []Reason{ReasonVelocity}
		}
	}
	return nil
}

func addUp(a, b int64) int64 {
	if a < 0 || b < 0 || a > OverEvery-b {
		return OverEvery
	}
	return a + b
}

// reasons says why the missing facts are missing: why a proof that exists was
// dropped, else raised when the action's own needs are met, else missing.
func (j *judge) reasons(missing FactSet) []Reason {
	var out []Reason
	for _, f := range missing.Facts() {
		r := ReasonMissing
		if d := j.dropped[index(f)]; d != "" {
			r = d
		} else if j.raised && j.plainMet() {
			r = ReasonRaised
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// plainMet reports whether the action's own needs, without what run time
// added, are met by evidence and enough approvals.
func (j *judge) plainMet() bool {
	have := j.have
	if g := j.a.Approvals.Group; g != "" && j.approvers(g) >= max(j.a.Approvals.Count, 1) {
		have = have.With(ringfence.FactApproved)
	}
	return !slices.ContainsFunc(j.a.Needs, func(n Need) bool { return !n.Holds(have) })
}
