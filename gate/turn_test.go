package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

func (w *world) last(event ledger.Event) (out ledger.Entry) {
	w.t.Helper()
	for _, e := range w.store.Entries(ten) {
		if e.Event == event {
			out = e
		}
	}
	if out.Event == "" {
		w.t.Fatalf("no entry of %s", event)
	}
	return out
}

// An entry of a move tells who, why, and on what it stands.
func TestEntriesTellWhyAndBy(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	q := request("payment")
	q.By = Actor{Flow: "pay"}
	r, _, err := w.g.Open(t.Context(), ten, q)
	w.must(r, err)
	if e := w.last("release.requested"); e.Data["flow"] != "pay" {
		t.Errorf("asked by a flow: %+v", e)
	}
	if r.Version != 1 {
		t.Errorf("opened as version %d", r.Version)
	}
	w.prove(r, "passkey", "callback", "confirmed")
	r, _ = w.released(r.ID)
	if stored := w.look(r.ID); stored.Version != r.Version || r.Version != 2 {
		t.Errorf("version %d, stored %d", r.Version, stored.Version)
	}
	asked := w.last("approval.asked")
	if _, flow := asked.Data["flow"]; flow || asked.Person != agent || !strings.Contains(asked.Data["signals"], "sim_swap=no") {
		t.Errorf("asked by a person: %+v", asked)
	}
	if _, waived := asked.Data["waivers"]; waived || asked.Data["why"] == "" {
		t.Errorf("nothing was waived: %+v", asked)
	}
	w.must(w.g.Cancel(t.Context(), ten, r.ID, Actor{Person: agent}, "a mistake"))
	if e := w.last("release.cancelled"); !strings.Contains(e.Data["why"], "a mistake") {
		t.Errorf("cancelled: %+v", e)
	}
}

// Without signals an entry tells of none.
func TestEntriesWithoutSignals(t *testing.T) {
	w := newWorld(t)
	w.g.cfg.Signals = nil
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	r, _ = w.released(r.ID)
	if _, told := w.last("approval.asked").Data["signals"]; told || len(r.Signals) != 0 {
		t.Errorf("signals: %+v", r.Signals)
	}
}

// Who asks for signals gets two seconds.
func TestSignalsAreAskedForWithinTwoSeconds(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.g.cfg.Signals = func(ctx context.Context, r Release) []ringfence.Signal {
		if until, ok := ctx.Deadline(); r.State != "" && (!ok || ctx.Err() != nil || time.Until(until) > 2*time.Second) {
			t.Errorf("until %v, %v", until, ctx.Err())
		}
		asked++
		return nil
	}
	r := w.opened("payment")
	w.released(r.ID)
	if asked < 2 {
		t.Errorf("asked %d times", asked)
	}
}

// Who watches a call is woken by each of its releases.
func TestWatchTraversal(t *testing.T) {
	w := newWorld(t)
	call, other := 0, 0
	stop := w.g.WatchTraversal(trv, func() { call++ })
	defer w.g.WatchTraversal("trv_2", func() { other++ })()
	w.opened("payment")
	if call != 1 || other != 0 {
		t.Errorf("woken %d, the other call %d", call, other)
	}
	stop()
	if w.opened("payment"); call != 1 {
		t.Error("woken after it was stopped")
	}
}

// Announce hears of what an executor may fetch, and of nothing else.
func TestAnnounce(t *testing.T) {
	for name, tt := range map[string]struct {
		executor string
		duress   bool
		want     int
	}{
		"an executor's": {executor, false, 1}, "nobody's": {"", false, 0}, "the gate's own": {Self, false, 0}, "under duress": {executor, true, 0},
	} {
		w := newWorld(t)
		w.g.cfg.Executor = func(ringfence.TenantID, string) string { return tt.executor }
		heard := map[ringfence.ReleaseID]bool{}
		w.g.cfg.Announce = func(ctx context.Context, tx ledger.Tx, r Release) error {
			if r.State != StateReady {
				t.Errorf("%s: told of %s", name, r.State)
			}
			heard[r.ID] = true
			return nil
		}
		w.knownPayee()
		r := w.opened("payment")
		if tt.duress {
			w.alarm(alarm{Kind: alarmDuress, Release: r.ID, Subject: ann})
		}
		w.prove(r, "passkey", "callback", "confirmed")
		if r, v := w.released(r.ID); r.State != StateReady || len(heard) != tt.want {
			t.Errorf("%s: %s, heard of %d, %+v", name, r.State, len(heard), v)
		}
	}
}

// An alarm without a release is about those of its call that are of its subject,
// and an alarm stops once.
func TestAlarmsOfACall(t *testing.T) {
	for name, tt := range map[string]struct {
		a    alarm
		want int
	}{
		"of the call":             {alarm{Kind: alarmRejected, Traversal: trv}, 1},
		"of the subject":          {alarm{Kind: alarmRejected, Traversal: trv, Subject: ann}, 1},
		"of somebody else":        {alarm{Kind: alarmRejected, Traversal: trv, Subject: acme}, 0},
		"of another call":         {alarm{Kind: alarmRejected, Traversal: "trv_2", Subject: ann}, 0},
		"of the release and call": {alarm{Kind: alarmRejected, Traversal: trv, Release: "it"}, 1},
		"of another release":      {alarm{Kind: alarmRejected, Traversal: trv, Release: "rel_other", Subject: ann}, 0},
	} {
		w := newWorld(t)
		r := w.opened("payment")
		if tt.a.Release == "it" {
			tt.a.Release = r.ID
		}
		w.alarm(tt.a)
		r, _ = w.released(r.ID)
		if len(r.Holds) != tt.want {
			t.Errorf("%s: %d holds", name, len(r.Holds))
		}
	}
	w := newWorld(t) // who acts for the subject on the call says no
	w.knownPayee()
	w.put(KindMandate, "man_1", ann, map[string]string{"subject": string(ann)}, Mandate{ID: "man_1", Person: acme, Subject: ann,
		Types: []string{"payment"}, Limit: 1_000_000, Until: w.now.Add(year), Since: w.now.Add(-mandateWait), Status: ringfence.StatusActive})
	q := request("payment")
	q.Represents = acme
	r, v, err := w.g.Open(t.Context(), ten, q)
	w.must(r, err)
	if r.State != StatePendingEvidence {
		t.Fatalf("a mandate of a day: %s %+v", r.State, v)
	}
	w.alarm(alarm{Kind: alarmRejected, Traversal: trv, Subject: acme})
	if r, _ = w.released(r.ID); len(r.Holds) != 1 {
		t.Errorf("of who acts for the subject: %d holds", len(r.Holds))
	}
}

// Who stands on the second page of a long call took part in it.
func TestLongCallsAreReadToTheEnd(t *testing.T) {
	for _, entries := range []int{0, 990, 1010} {
		w := newWorld(t)
		w.knownPayee()
		r := w.opened("invoice")
		w.prove(r, "callback", "confirmed")
		err := w.store.Update(t.Context(), ten, func(tx ledger.Tx) error {
			for i := range entries {
				if _, err := tx.Append(t.Context(), ledger.Entry{Event: "leg.placed", Traversal: trv, Person: ringfence.PersonID(fmt.Sprint("per_", i))}); err != nil {
					return err
				}
			}
			_, err := tx.Append(t.Context(), ledger.Entry{Event: "traversal.transferred", Traversal: trv, Person: manager2})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r, _ = w.released(r.ID)
		if r.State != StatePendingApproval {
			t.Fatalf("have %s", r.State)
		}
		if _, v, err := w.g.Approve(t.Context(), ten, approval(r, manager2)); err != nil || !slices.Contains(v.Reasons, policy.ReasonSelfApproval) {
			t.Errorf("%d entries before: %+v, %v", entries, v, err)
		}
		if r, _, err := w.g.Approve(t.Context(), ten, approval(r, manager)); err != nil || r.State != StateReady {
			t.Errorf("%d entries before, a colleague who took no part: %s, %v", entries, r.State, err)
		}
	}
}

// What is odd about the time of a request is judged to the hour.
func TestOutOfHours(t *testing.T) {
	w := newWorld(t)
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, zone) }
	for _, tt := range []struct {
		at   time.Time
		want ringfence.Tri
	}{
		{at(23, 6, 59), ringfence.Yes}, {at(23, 7, 0), ringfence.No}, {at(23, 19, 59), ringfence.No}, {at(23, 20, 0), ringfence.Yes},
		{at(20, 12, 0), ringfence.No}, {at(21, 12, 0), ringfence.Yes}, {at(22, 12, 0), ringfence.Yes},
	} {
		tn := &turn{g: w.g, r: &row{Release: Release{Tenant: ten, Policy: w.policies.current.Hash(), RequestedAt: tt.at}}}
		if have := tn.outOfHours().Value; have != tt.want {
			t.Errorf("%s: %s", tt.at, have)
		}
	}
}

// Four others within a day, a month since a change, three refusals: the numbers
// are counted to the one.
func TestRiskNumbers(t *testing.T) {
	for n, want := range map[int]ringfence.Tri{0: ringfence.No, 3: ringfence.No, 4: ringfence.Yes, 5: ringfence.Yes} {
		r := velocity(make([]row, n))
		if r.Value != want || !strings.HasPrefix(r.Says, fmt.Sprint(n+1, " actions")) {
			t.Errorf("%d others: %+v", n, r)
		}
	}
	rows := []row{{Release: Release{State: StateDenied}}, {Release: Release{State: StateHeld}}, {Release: Release{State: StateExecuted}}}
	for rejects, want := range map[int]string{0: "2 requests", 1: "3 requests", 2: "4 requests"} {
		r := refusals(Case{Rejects: rejects}, rows)
		if !strings.HasPrefix(r.Says, want) || (r.Value == ringfence.Yes) != (rejects >= 1) {
			t.Errorf("%d rejects: %+v", rejects, r)
		}
	}
	tn := &turn{now: epoch}
	day := 24 * time.Hour
	for _, tt := range []struct {
		changed, removed time.Time
		want             ringfence.Tri
		says             string
	}{
		{epoch.Add(-30 * day), time.Time{}, ringfence.No, ""},
		{epoch.Add(-30*day + 1), time.Time{}, ringfence.Yes, "changed 29 days ago"},
		{epoch.Add(-5 * day), time.Time{}, ringfence.Yes, "changed 5 days ago"},
		{epoch.Add(-300 * day), epoch.Add(-2 * day), ringfence.Yes, "changed 2 days ago"},
		{epoch.Add(-2 * day), epoch.Add(-300 * day), ringfence.Yes, "changed 2 days ago"},
		{epoch.Add(day), time.Time{}, ringfence.Yes, "changed 0 days ago"},
		{time.Time{}, time.Time{}, ringfence.Yes, "changed"},
	} {
		r := tn.changedContact([]ringfence.ContactPoint{{ChangedAt: tt.changed, RemovedAt: tt.removed}})
		if r.Value != tt.want || !strings.Contains(r.Says, tt.says) {
			t.Errorf("changed %s, removed %s: %+v", tt.changed, tt.removed, r)
		}
	}
}

// A good sign counts for ten minutes, and from a minute before its time.
func TestAgeOfSignals(t *testing.T) {
	tn := &turn{now: epoch}
	good := ringfence.GoodSignal("sim_swap")
	for age, want := range map[time.Duration]ringfence.Tri{0: good, signalAge: good, signalAge + 1: ringfence.Unknown, -time.Minute: good, -time.Minute - 1: ringfence.Unknown} {
		if have := tn.fresh(ringfence.Signal{Name: "sim_swap", Value: good, At: epoch.Add(-age)}); have != want {
			t.Errorf("%s old: %s", age, have)
		}
	}
	if have := tn.fresh(ringfence.Signal{Name: "sim_swap", Value: good}); have != ringfence.Unknown {
		t.Errorf("of no time: %s", have)
	}
	if have := tn.fresh(ringfence.Signal{Name: "sim_swap", Value: ringfence.Yes, At: epoch.Add(-year)}); have != ringfence.Yes {
		t.Errorf("a bad one of last year: %s", have)
	}
}

// Of several who were asked the one is named who said what counts.
func TestWhoSaidIt(t *testing.T) {
	tn := &turn{now: epoch, signals: []ringfence.Signal{
		{Name: "prepaid", Value: ringfence.No, Source: "one", At: epoch}, {Name: "sim_swap", Value: ringfence.Yes, Source: "other", At: epoch},
		{Name: "prepaid", Value: ringfence.Yes, Source: "two", At: epoch}, {Name: "prepaid", Value: ringfence.No, Source: "three", At: epoch}}}
	told := tn.told(map[string]ringfence.Tri{"prepaid": ringfence.Yes, "sim_swap": ringfence.Yes, "line_type": 7})
	by := map[string]string{}
	for _, r := range told {
		by[r.Name] = r.Source
	}
	if len(told) != 3 || by["prepaid"] != "two" || by["sim_swap"] != "other" || by["diversion"] != "" {
		t.Errorf("have %+v", told)
	}
	tn.r = &row{}
	tn.signals = nil
	tn.r.Signals = []ringfence.Signal{{Name: "kept"}}
	if tn.mergeSignals(); len(tn.r.Signals) != 1 {
		t.Error("what was said before is forgotten when nobody is asked")
	}
}

// A call-back over a landline is of the desk's lane, an authenticator of its own.
func TestLanes(t *testing.T) {
	tn := &turn{now: epoch}
	point := func(typ ringfence.ContactType) ringfence.ContactPoint {
		return ringfence.ContactPoint{ID: "cpt", Type: typ, Status: ringfence.StatusActive, VerifiedAt: epoch.Add(-year), ChangedAt: epoch.Add(-year)}
	}
	for name, tt := range map[string]struct {
		e     ringfence.Evidence
		point ringfence.ContactType
		own   string
		want  string
	}{
		"a call-back to a mobile": {ringfence.Evidence{Fact: "callback", ContactPoint: "cpt"}, ringfence.ContactMobile, "", ""},
		"to a landline":           {ringfence.Evidence{Fact: "callback", ContactPoint: "cpt"}, ringfence.ContactLandline, "", "desk"},
		"a call from a landline":  {ringfence.Evidence{Fact: "known_number", ContactPoint: "cpt"}, ringfence.ContactLandline, "", ""},
		"an app of its own lane":  {ringfence.Evidence{Fact: "totp", Authenticator: "aut"}, ringfence.ContactMobile, "token", "token"},
		"both":                    {ringfence.Evidence{Fact: "callback", ContactPoint: "cpt", Authenticator: "aut"}, ringfence.ContactLandline, "", "desk"},
	} {
		a := ringfence.Authenticator{ID: "aut", Status: ringfence.StatusActive, BoundAt: epoch.Add(-year), Lane: tt.own}
		p := tn.proof(tt.e, []ringfence.ContactPoint{point(tt.point)}, []ringfence.Authenticator{a})
		if string(p.Lane) != tt.want {
			t.Errorf("%s: %q", name, p.Lane)
		}
	}
}
