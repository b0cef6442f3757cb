package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// tale is one action of the shipped policy, played from opening to execution
// and past it, and everything that somebody who may not know of duress could
// read meanwhile.
type tale struct {
	*world
	duress  bool
	said    []string                 // what was shown, step by step
	heard   []string                 // what whoever hears of entries was told
	entries int                      // of the log that were heard already
	held    string                   // the permit that the executor has
	after   map[ledger.Kind][]string // what is on file when all seems over
}

const (
	fresh    = ringfence.SubjectID("sub_fresh") // nothing with which to prove
	employee = ringfence.SubjectID("sub_employee")
	stopped  = "cpt_00000000000000000000000001"
)

func shipped(t testing.TB) *policy.Policy {
	t.Helper()
	src, err := os.ReadFile("../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, ds := policy.Load("policy.yaml", src)
	if p == nil {
		t.Fatal(ds)
	}
	return p
}

func newTale(t *testing.T, duress bool) *tale {
	w := newWorld(t)
	s := &tale{world: w, duress: duress}
	w.policies.set(shipped(t))
	w.g.cfg.Executor = func(_ ringfence.TenantID, action string) string {
		if a, _ := w.policies.Current(ten).Action(action); Performs(a) {
			return Self
		}
		return executor
	}
	w.g.cfg.Signals = func(context.Context, Release) []ringfence.Signal { // in one order
		return []ringfence.Signal{{Name: "sim_swap", Value: ringfence.No, Source: "test", At: w.now}, {Name: "diversion", Value: ringfence.No, Source: "test", At: w.now}}
	}
	w.g.cfg.Keep = func(_ context.Context, k Keeping) (Kept, error) {
		return Kept{Type: ringfence.AuthPIN, Secret: ringfence.Secret("kept of " + string(k.Values["new_pin"]))}, nil
	}
	w.g.cfg.Seems = func(_ context.Context, tx ledger.Tx, e ledger.Entry) error {
		tx.OnCommit(func() { s.heard = append(s.heard, fmt.Sprint(e.Event, " ", e.Subject, " ", e.Release, " ", e.At)) })
		return nil
	}
	old := w.now.Add(-year)
	for id, kind := range map[ringfence.SubjectID]ringfence.SubjectKind{fresh: "customer", employee: "employee"} {
		w.put(ledger.KindSubject, string(id), id, nil, ringfence.Subject{ID: id, Tenant: ten, Kind: kind, Status: ringfence.StatusActive, StoredAt: old})
	}
	for _, id := range []ringfence.SubjectID{ann, acme, fresh, employee} {
		for i, cp := range []string{"a", "b"} {
			w.contact(ringfence.ContactPoint{ID: ringfence.ContactPointID("cpt_" + cp + string(id)), Tenant: ten, Subject: id, Type: ringfence.ContactMobile,
				Value: fmt.Sprint("44770090012", i), VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
		}
	}
	w.authenticator(ringfence.Authenticator{ID: "aut_employee", Tenant: ten, Subject: employee, Type: ringfence.AuthPasskey, BoundAt: old, StoredAt: old, Status: ringfence.StatusActive})
	w.contact(ringfence.ContactPoint{ID: stopped, Tenant: ten, Subject: ann, Type: ringfence.ContactEmail, Value: "ann@example.org",
		VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusSuspended})
	for _, who := range []ringfence.SubjectID{ann, fresh} {
		w.authenticator(ringfence.Authenticator{ID: ringfence.AuthenticatorID("aut_pending" + who), Tenant: ten, Subject: who, Type: ringfence.AuthPasskey,
			Secret: ringfence.Secret("made on a link"), StoredAt: old, Status: ringfence.StatusPending})
	}
	for i := range 3 {
		w.person(ringfence.Person{ID: ringfence.PersonID(fmt.Sprint("per_colleague", i)), Team: fmt.Sprint(i), Roles: []ringfence.Role{ringfence.RoleSupervisor},
			Groups: []string{"payments_manager", "customer_care", "line_manager"}})
	}
	return s
}

// about is whom an action of the shipped policy is asked for, with its fields.
func (s *tale) about(a *policy.Action) (ringfence.SubjectID, map[string]string) {
	fp := Fingerprint(ringfence.Secret("made on a link"))
	since := epoch.Add(-year).Format(time.DateOnly)
	all := map[string]string{"new_account": "12345678", "payee": "Ann Example", "amount": "100 GBP", "account": "12345678", "company": "Acme Ltd",
		"user_number": "204816", "new_pin": "583920", "type": "passkey", "check": CheckDigits(fp), "fingerprint": fp, "new_number": "447700900155",
		"new_email": "ann.new@example.org", "kind": "mobile", "ending": "20", "contact": "cpt_asub_ann", "since": since}
	switch a.Name {
	case "remove_key":
		all["kind"], all["authenticator"] = "totp", "aut_totp"
	case "bring_back":
		all["kind"], all["resume"] = "email", stopped
	}
	fields := map[string]string{}
	for _, f := range a.Carries {
		fields[f.Name] = all[f.Name]
	}
	switch {
	case a.Like == policy.LikeFirstAuthenticator:
		return fresh, fields
	case a.About == "contact":
		return acme, fields
	case a.About == "employee":
		return employee, fields
	default:
		return ann, fields
	}
}

// plays brings one action to ready, and then lets ten seconds pass.
func (s *tale) plays(action string, on ringfence.TraversalID, duress bool) Release {
	s.t.Helper()
	a, _ := s.policies.Current(ten).Action(action)
	subject, fields := s.about(a)
	q := OpenRequest{Type: action, Subject: subject, Fields: fields, Traversal: on, By: Actor{Flow: "line"}, AskedBy: AskedPhone}
	r, _, err := s.g.Open(context.Background(), ten, q)
	s.must(r, err)
	s.shows(r.ID)
	for _, f := range []ringfence.Fact{"pin", "callback", "confirmed", "passkey", "proofed"} {
		e := s.evidenceFor(r, f)
		if f == "passkey" && subject == employee {
			e.Authenticator = "aut_employee"
		}
		s.putEvidence(e)
	}
	if duress {
		s.alarm(alarm{Kind: alarmDuress, Traversal: on, Subject: subject})
	}
	s.evidence++ // ids of later evidence are alike
	r, _ = s.released(r.ID)
	s.shows(r.ID)
	for i := 0; i < 3 && r.State == StatePendingApproval; i++ {
		r, _, err = s.g.Approve(context.Background(), ten, approval(r, ringfence.PersonID(fmt.Sprint("per_colleague", i))))
		s.must(r, err)
		s.shows(r.ID)
	}
	for i := 0; i < 3 && r.State == StateCooling; i++ {
		s.pass(r.HoldUntil.Sub(s.now))
		r = s.look(r.ID)
	}
	if r.State != StateReady && r.State != StateExecuted {
		s.t.Fatalf("%s is %s: %s", action, r.State, r.Why)
	}
	for second := range 10 {
		s.shows(r.ID)
		s.pass(time.Second)
		if !duress && r.Executor == executor {
			s.carriesOut(r.ID, second)
		}
	}
	s.shows(r.ID)
	return r
}

// carriesOut is an executor that takes two seconds to fetch a permit, one to
// redeem it and three to report.
func (s *tale) carriesOut(id ringfence.ReleaseID, second int) {
	s.t.Helper()
	ctx := context.Background()
	switch second {
	case 1:
		s.held = s.permit(id)
	case 2:
		if _, err := s.g.Redeem(ctx, ten, executor, s.held, Key{}); err != nil {
			s.t.Fatal(err)
		}
	case 5:
		s.must(s.g.Report(ctx, ten, executor, s.look(id).Permit, OutcomeExecuted))
	}
}

// told are the entries that people hear of by notices, streams and counts.
var told = []ledger.Event{"release.permitted", "release.redeemed", "release.executed", "release.failed", "contact_point.added", "contact_point.changed",
	"contact_point.removed", "contact_point.resumed", "authenticator.added", "authenticator.removed", "authenticator.changed", "mandate.added", "mandate.removed"}

// shows keeps what can be read now.
func (s *tale) shows(id ringfence.ReleaseID) {
	s.t.Helper()
	ctx := context.Background()
	keep := func(what string, v any, err error) {
		text, bad := json.Marshal(v)
		if bad != nil {
			s.t.Fatal(bad)
		}
		s.said = append(s.said, fmt.Sprintf("%s %s %v", what, text, err))
	}
	r, v, err := s.g.Evaluate(ctx, ten, id)
	keep("evaluate", []any{r, v}, err)
	one, err := s.g.Lookup(ctx, ten, id)
	keep("lookup", one, err)
	for _, f := range []Filter{{}, {Traversal: r.Traversal}, {Subject: r.Subject}, {State: StateReady}, {State: StatePermitted}, {State: StateRedeemed}, {State: StateExecuted}} {
		all, err := s.g.List(ctx, ten, f)
		keep(fmt.Sprintf("list %+v", f), all, err)
	}
	keep("on file", s.onFile(r.Subject, true), nil)
	keep("changed", s.changed, nil)
	s.changed = nil
	for _, e := range s.store.Entries(ten)[s.entries:] {
		if s.entries++; slices.Contains(told, e.Event) {
			s.heard = append(s.heard, fmt.Sprint(e.Event, " ", e.Subject, " ", e.Release, " ", e.At))
		}
	}
	keep("heard", s.heard, nil)
}

// onFile is the directory of a subject, in truth or as it is shown.
func (s *tale) onFile(subject ringfence.SubjectID, shown bool) map[ledger.Kind][]string {
	s.t.Helper()
	ctx, out := context.Background(), map[ledger.Kind][]string{}
	err := s.store.View(ctx, ten, func(tx ledger.Tx) (err error) {
		if shown {
			if tx, err = Shown(ctx, tx, subject); err != nil {
				return err
			}
		}
		for _, kind := range []ledger.Kind{ledger.KindContactPoint, ledger.KindAuthenticator, KindMandate, KindPayee} {
			recs, err := tx.List(ctx, kind, bySubject(subject))
			if err != nil {
				return err
			}
			for _, rec := range recs {
				one, err := tx.Get(ctx, kind, rec.ID)
				if err != nil || string(one.Body) != string(rec.Body) {
					s.t.Errorf("%s %s is one thing in a list and another alone: %v", kind, rec.ID, err)
				}
				out[kind] = append(out[kind], fmt.Sprint(rec.Version, " ", string(rec.Body)))
			}
			slices.Sort(out[kind])
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// tries is what somebody could ask to find out, when all is over.
func (s *tale) tries(id ringfence.ReleaseID) {
	ctx, by := context.Background(), Actor{Person: agent}
	r := s.look(id)
	s.after = s.onFile(ann, false)
	for i, f := range []func() (Release, error){
		func() (Release, error) { r, _, err := s.g.Release(ctx, ten, id, by); return r, err },
		func() (Release, error) { r, _, err := s.g.AskApproval(ctx, ten, id, by); return r, err },
		func() (Release, error) {
			r, _, err := s.g.Approve(ctx, ten, approval(r, "per_colleague2"))
			return r, err
		},
		func() (Release, error) { return s.g.Cancel(ctx, ten, id, by, "a mistake") },
		func() (Release, error) { return s.g.Invalidate(ctx, ten, id, by, "changed") },
		func() (Release, error) { _, _, err := s.g.Permit(ctx, ten, id, executor); return Release{}, err },
		func() (Release, error) { return s.g.Attach(ctx, ten, id, "trv_other", by) },
		func() (Release, error) { return s.g.Hold(ctx, ten, id, Actor{Person: risk}) },
		func() (Release, error) { return s.g.Lift(ctx, ten, id, risk, "looked at") },
		func() (Release, error) { return s.g.Reject(ctx, ten, id, Actor{Client: "stop link"}) },
	} {
		r, err := f()
		text, _ := json.Marshal([]any{r.State, r.Why})
		s.said = append(s.said, fmt.Sprintf("try %d: %s %v", i, text, err))
	}
	s.shows(id)
}

var (
	anID  = regexp.MustCompile(`\b[a-z]{3}_[0-9a-z]{26}\b`)
	aHash = regexp.MustCompile(`\b[0-9a-f]{32}([0-9a-f]{32})?\b`)
)

// alike replaces what is drawn at random by the order in which it came.
func alike(lines []string) []string {
	names := map[string]string{}
	name := func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprintf("#%d", len(names))
		}
		return names[id]
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = aHash.ReplaceAllStringFunc(anID.ReplaceAllStringFunc(l, name), name)
	}
	return out
}

// apart is where two texts part, with what stands before.
func apart(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	from := max(0, i-160)
	return "plain  …" + a[from:min(len(a), i+160)] + "\nduress …" + b[from:min(len(b), i+160)]
}

func (s *tale) whole(action string) Release {
	s.plays("payment", "trv_before", false) // so that the executor has a pace
	s.pass(72 * time.Hour)
	before := s.onFile(ann, false)
	r := s.plays(action, trv, s.duress)
	s.tries(r.ID)
	if s.duress {
		s.didNothing(r, before)
	}
	return r
}

// didNothing is the other half: what looks done is not.
func (s *tale) didNothing(r Release, before map[ledger.Kind][]string) {
	s.t.Helper()
	for _, e := range s.store.Entries(ten) {
		if e.Release == r.ID && slices.Contains([]ledger.Event{"release.permitted", "release.redeemed", "release.executed"}, e.Event) {
			s.t.Errorf("the log says %s", e.Event)
		}
		if strings.HasPrefix(string(e.Event), "contact_point") || strings.HasPrefix(string(e.Event), "authenticator") {
			s.t.Errorf("the log says %s", e.Event)
		}
	}
	counts := func(file map[ledger.Kind][]string) map[ledger.Kind][]string {
		for kind, all := range file { // a PIN that was keyed waits there, and counts for nothing
			file[kind] = slices.DeleteFunc(all, func(rec string) bool { return strings.Contains(rec, `"pending"`) })
		}
		return file
	}
	if r.Subject == ann && !maps.EqualFunc(counts(before), counts(s.after), slices.Equal) {
		s.t.Errorf("the directory changed from %v to %v", before, s.after)
	}
	for _, p := range s.records(KindPermit) {
		if strings.Contains(string(p.Body), string(r.ID)) {
			s.t.Error("a permit is stored")
		}
	}
	if all, err := s.g.Duress(context.Background(), ten, risk); err != nil || len(all) != 1 || all[0].State != StateReady || !slices.Contains(all[0].Reasons, policy.ReasonDuress) {
		s.t.Errorf("risk sees %+v, %v", all, err)
	}
	if _, err := s.g.Deny(context.Background(), ten, r.ID, risk, "looked at"); err != nil {
		s.t.Errorf("risk cannot end it: %v", err)
	}
	if got := s.look(r.ID); got.State != StateDenied {
		s.t.Errorf("after the review it shows %s", got.State)
	}
	if !maps.EqualFunc(s.onFile(r.Subject, true), s.onFile(r.Subject, false), slices.Equal) {
		s.t.Error("after the review the directory is not shown as it is")
	}
}

// Invariant 26, over every action that is shipped: the same story told twice,
// with and without duress, reads the same to whoever may not know, byte by byte
// and second by second, and under duress nothing is permitted, redeemed,
// executed or changed.
func TestInvariant26TheSameStoryTwice(t *testing.T) {
	for _, a := range shipped(t).Actions() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			plain, under := newTale(t, false), newTale(t, true)
			r := plain.whole(a.Name)
			if done := plain.look(r.ID); done.State != StateExecuted {
				t.Fatalf("the plain story ends %s: %s", done.State, done.Why)
			}
			under.whole(a.Name)
			have, want := alike(under.said), alike(plain.said)
			if len(have) != len(want) {
				t.Fatalf("%d things to read, and %d", len(have), len(want))
			}
			for i := range want {
				if have[i] != want[i] {
					t.Fatalf("line %d tells them apart:\n%s", i, apart(want[i], have[i]))
				}
			}
		})
	}
}

// An executor that holds a permit, or asks for one, when duress becomes known
// gets what it would get if another hand of its own had been faster, and the
// release looks as if it had.
func TestDuressAnswersAnExecutorLikeARace(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	w.alarm(alarm{Kind: alarmDuress, Release: r.ID, Subject: ann})
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrConflict) || w.look(r.ID).State != StateRedeemed {
		t.Errorf("redeemed under duress: %v, and it shows %s", err, w.look(r.ID).State)
	}
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrConflict) {
		t.Errorf("once more: %v", err)
	}
	if _, err := w.g.Report(ctx, ten, executor, r.Permit, OutcomeExecuted); err == nil {
		t.Error("what was never redeemed is reported")
	}
	if _, err := w.g.Report(ctx, ten, executor, w.look(r.ID).Permit, OutcomeExecuted); !errors.Is(err, ErrConflict) {
		t.Errorf("reported what only seems redeemed: %v", err)
	}
	if count(w, "release.redeemed")+count(w, "release.executed") != 0 {
		t.Error("the log says that it was redeemed")
	}
	q := w.opened("payment")
	w.prove(q, "passkey", "callback", "confirmed")
	w.alarm(alarm{Kind: alarmDuress, Release: q.ID, Subject: ann})
	if q, _ = w.released(q.ID); q.State != StateReady {
		t.Fatal(q.State, q.Why)
	}
	w.pass(10 * time.Second)
	if got := w.look(q.ID); got.State != StateReady {
		t.Errorf("an executor that never did anything seems to have done it: %s", got.State)
	}
	if _, _, err := w.g.Permit(ctx, ten, q.ID, executor); !errors.Is(err, ErrConflict) || w.look(q.ID).State != StatePermitted {
		t.Errorf("a permit under duress: %v, and it shows %s", err, w.look(q.ID).State)
	}
	for range 2 + permitTries {
		w.pass(permitLife + time.Second)
		w.g.Permit(ctx, ten, q.ID, executor)
	}
	if got := w.look(q.ID); got.State != StateExpired || count(w, "release.permitted") != 1 {
		t.Errorf("asked for again and again, it shows %s", got.State)
	}
}
