package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

type alertsBody struct {
	Alerts []Alert
	Open   int
	Next   string
}

// raise appends an alert to the ledger as another room would.
func (d *desktop) raise(data map[string]string) {
	d.t.Helper()
	if err := d.store.Update(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Append(d.t.Context(), ledger.Entry{Event: "alert.raised", Traversal: trv, Data: data})
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
}

// Whoever acts under pressure is known to supervisors and risk only: to others
// there is no such alert, by list, by count, by id or on the board.
func TestDuressIsNotForEverybody(t *testing.T) {
	d := newDesktop(t)
	d.raise(map[string]string{"alarm": "duress"})
	d.raise(map[string]string{"alarm": "spray"})
	for role, want := range map[ringfence.Role]int{ringfence.RoleSupervisor: 2, ringfence.RoleRisk: 2, ringfence.RoleOps: 1, ringfence.RoleAuditor: 1, ringfence.RoleAdmin: 1} {
		cookie := d.signIn(d.person(string(role), role))
		got := decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts", nil))
		if len(got.Alerts) != want || got.Open != want {
			t.Errorf("%s sees %d alerts, %d open, want %d", role, len(got.Alerts), got.Open, want)
		}
		if w := d.ask(cookie, "GET", "/v1/alerts?kind=duress", nil); strings.Contains(w.Body.String(), "pressure") != (want == 2) {
			t.Errorf("%s: %s", role, w.Body)
		}
		if role == ringfence.RoleAdmin {
			continue // has no board
		}
		board := decode[struct{ Alerts []ledger.Entry }](t, d.ask(cookie, "GET", "/v1/board", nil))
		if len(board.Alerts) != want {
			t.Errorf("%s sees %d alerts on the board, want %d", role, len(board.Alerts), want)
		}
	}
	ops := d.signIn(d.person("olga", ringfence.RoleOps))
	note := map[string]string{"note": "Looked at."}
	if w := d.ask(ops, "POST", "/v1/alerts/0/acknowledge", note); w.Code != http.StatusNotFound {
		t.Errorf("ops acknowledged what they may not see: %d %s", w.Code, w.Body)
	}
	if w := d.ask(d.signIn(d.person("axel", ringfence.RoleAuditor)), "POST", "/v1/alerts/1/acknowledge", note); w.Code != http.StatusForbidden {
		t.Errorf("an auditor acknowledged: %d", w.Code)
	}
}

func TestAlertIsAcknowledgedOnceWithANote(t *testing.T) {
	d := newDesktop(t)
	rita := d.person("Rita", ringfence.RoleRisk)
	cookie := d.signIn(rita)
	d.raise(map[string]string{"text": "reported by the agent: \u202eodd caller"})
	got := decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts", nil))
	if len(got.Alerts) != 1 || got.Alerts[0].Kind != AlertCall || got.Alerts[0].Text != "reported by the agent: odd caller" || got.Alerts[0].Traversal != trv || !got.Alerts[0].Grave {
		t.Fatalf("%+v", got)
	}
	path := "/v1/alerts/" + got.Alerts[0].ID + "/acknowledge"
	for note, says := range map[string]string{
		"": "expected length", "\u202e": "Say what you found", "rang +44 20 7946 0991 back": "Leave telephone", "account 1000-2000": "Leave telephone",
	} {
		if w := d.ask(cookie, "POST", path, map[string]string{"note": note}); w.Code != 422 || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q: %d %s", note, w.Code, w.Body)
		}
	}
	if w := d.ask(cookie, "POST", path, map[string]string{"note": "Rang back at 14:10, all well."}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := d.ask(cookie, "POST", path, map[string]string{"note": "Me too."}); w.Code != 409 || !strings.Contains(w.Body.String(), "Rita") {
		t.Errorf("twice: %d %s", w.Code, w.Body)
	}
	if got := decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts", nil)); len(got.Alerts) != 0 || got.Open != 0 {
		t.Errorf("still open: %+v", got)
	}
	done := decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts?state=done&kind=call", nil))
	if len(done.Alerts) != 1 || done.Alerts[0].Acknowledged.Note != "Rang back at 14:10, all well." || done.Alerts[0].Acknowledged.By != rita.ID {
		t.Errorf("%+v", done)
	}
	entries := d.entries("alert.acknowledged")
	if len(entries) != 1 || entries[0].Person != rita.ID || entries[0].Object != got.Alerts[0].ID || entries[0].Data["note"] == "" {
		t.Errorf("%+v", entries)
	}
}

// entries returns a tenant's entries of one event.
func (d *desktop) entries(event ledger.Event) (out []ledger.Entry) {
	d.t.Helper()
	if err := d.store.View(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) (err error) {
		out, err = tx.Entries(d.t.Context(), ledger.EntryQuery{Event: event})
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// A line that comes and goes is one alert; after somebody acknowledged it, and
// it was well again, the next time is a new one.
func TestConditionIsRaisedOnce(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("Olga", ringfence.RoleOps))
	of := []AlertKind{AlertTrunk}
	down := []Condition{{AlertTrunk, "carrier", "carrier does not answer."}}
	set := func(now []Condition) {
		t.Helper()
		if err := d.SetConditions(t.Context(), ringfence.DefaultTenant, of, now); err != nil {
			t.Fatal(err)
		}
	}
	list := func() []Alert {
		t.Helper()
		return decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts?state=all", nil)).Alerts
	}
	set(down)
	set(down)
	if got := list(); len(got) != 1 || !got[0].Over.IsZero() || got[0].Times != 1 || len(d.entries("alert.raised")) != 1 {
		t.Fatalf("begun: %+v", got)
	}
	if err := d.SetConditions(t.Context(), ringfence.DefaultTenant, []AlertKind{AlertClock}, nil); err != nil || !list()[0].Over.IsZero() {
		t.Error("a look at other kinds ended it")
	}
	set(nil)
	if got := list(); len(got) != 1 || got[0].Over.IsZero() || got[0].Acknowledged != nil {
		t.Fatalf("over: %+v", got)
	}
	set(down)
	if got := list(); len(got) != 1 || !got[0].Over.IsZero() || got[0].Times != 2 || len(d.entries("alert.raised")) != 1 {
		t.Fatalf("again: %+v", got)
	}
	if w := d.ask(cookie, "POST", "/v1/alerts/"+list()[0].ID+"/acknowledge", map[string]string{"note": "Carrier told."}); w.Code != 200 {
		t.Fatal(w.Body)
	}
	set(down)
	if got := list(); len(got) != 1 {
		t.Fatalf("acknowledged and still down: %+v", got)
	}
	set(nil)
	set(down)
	if got := list(); len(got) != 2 || len(d.entries("alert.raised")) != 2 {
		t.Fatalf("down once more: %+v", got)
	}
}

// Who rings a thousand times and has the same alert raised each time does not
// push what counts out of sight. What people report stands by itself.
func TestAFloodOfAlertsIsOne(t *testing.T) {
	d := newDesktop(t)
	d.raise(map[string]string{"alarm": "rejected"})
	for range 100 {
		d.raise(map[string]string{"text": "too many wrong entries"})
		d.raise(map[string]string{"text": "a second proof was refused"})
	}
	rita := d.signIn(d.person("Rita", ringfence.RoleRisk))
	got := decode[alertsBody](t, d.ask(rita, "GET", "/v1/alerts?limit=200", nil))
	times, rejected := 0, false
	for _, a := range got.Alerts {
		rejected = rejected || a.Kind == AlertRejected
		if a.Kind == AlertCall {
			times += a.Times
		}
	}
	if len(got.Alerts) != alertCrowd+1 || got.Open != alertCrowd+1 || times != 200 || !rejected {
		t.Errorf("%d alerts, %d open, of %d calls; the one that counts is there: %v", len(got.Alerts), got.Open, times, rejected)
	}
	d.raise(map[string]string{"text": "something else"})
	if got := decode[alertsBody](t, d.ask(rita, "GET", "/v1/alerts?limit=200", nil)); got.Open != alertCrowd+2 {
		t.Errorf("other words are lost in the flood: %d open", got.Open)
	}
	if w := d.ask(rita, "POST", "/v1/alerts/"+got.Alerts[0].ID+"/acknowledge", map[string]string{"note": "Looked at."}); w.Code >= 300 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := decode[alertsBody](t, d.ask(rita, "GET", "/v1/alerts?limit=200", nil)); got.Open != alertCrowd+1 {
		t.Errorf("after one was acknowledged: %d open", got.Open)
	}
}

func TestAlertsComeInPages(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("Olga", ringfence.RoleOps))
	for range 7 {
		d.raise(map[string]string{"alarm": "duress"})
		d.raise(map[string]string{"alarm": "rejected"})
	}
	seen, before := map[string]bool{}, ""
	for range 4 {
		got := decode[alertsBody](t, d.ask(cookie, "GET", "/v1/alerts?limit=2&state=all"+before, nil))
		for _, a := range got.Alerts {
			if seen[a.ID] || a.Kind == AlertDuress {
				t.Errorf("%+v", a)
			}
			seen[a.ID] = true
		}
		if got.Next == "" {
			break
		}
		before = "&before=" + got.Next
	}
	if len(seen) != 7 {
		t.Errorf("%d alerts in all pages", len(seen))
	}
}

// What the log tells is compared with what was usual.
func TestFiguresBecomeConditions(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 30, 0, 0, time.UTC)
	hour := now.Unix() / 3600
	make := func(signed, none, down int) *chart {
		c := &chart{hours: map[int64]*chartHour{}}
		c.hours[hour-30] = &chartHour{attest: map[string]int{"A": 80, "none": 20}, methods: map[string]*methodCount{}}
		c.hours[hour-1] = &chartHour{attest: map[string]int{"A": signed, "none": none}, methods: map[string]*methodCount{"otp": {asked: 20, down: down}, "pin": {asked: 2, down: 2}}}
		return c
	}
	for name, try := range map[string]struct {
		c    *chart
		want AlertKind
	}{
		"as usual":           {make(80, 20, 1), ""},
		"few calls":          {make(2, 8, 0), ""},
		"more unverified":    {make(50, 50, 0), AlertUnverified},
		"codes do not come":  {make(80, 20, 6), AlertDelivery},
		"nothing ever":       {&chart{hours: map[int64]*chartHour{}}, ""},
		"no usual yet":       {&chart{hours: map[int64]*chartHour{hour: {attest: map[string]int{"none": 90}}}}, ""},
		"a little more only": {make(65, 35, 0), ""},
	} {
		got := try.c.conditions(now)
		if len(got) > 1 || len(got) == 1 && got[0].Kind != try.want || len(got) == 0 && try.want != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// frozenClock is a clock that nobody trusts.
type frozenClock struct{ Clock }

func (frozenClock) Frozen(ringfence.TenantID) policy.Reason { return "clock" }

func TestFrozenClockIsAnAlert(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Clock = frozenClock{} })
	for range 2 {
		if err := d.WatchAlerts(t.Context(), ringfence.DefaultTenant, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.entries("alert.raised"); len(got) != 1 || got[0].Data["alarm"] != "clock" {
		t.Errorf("%+v", got)
	}
}

// A console is woken by what is new, and by nothing else.
func TestConsoleIsWokenByAnAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesktop(t)
		woken, stop := d.alarmed.watch(ringfence.DefaultTenant)
		defer stop()
		if err := d.WatchAlerts(t.Context(), ringfence.DefaultTenant, []AlertKind{AlertLedger}, []Condition{{AlertLedger, "checkpoint", "not signed"}}); err != nil {
			t.Fatal(err)
		}
		<-woken
		if err := d.WatchAlerts(t.Context(), ringfence.DefaultTenant, []AlertKind{AlertLedger}, []Condition{{AlertLedger, "checkpoint", "not signed"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-woken:
		default:
		}
		d.store.Fail = func() error { return errors.New("full") }
		if err := d.TakeAlerts(t.Context(), ringfence.DefaultTenant); err != nil {
			t.Errorf("nothing new, yet it wrote: %v", err)
		}
		select {
		case <-woken:
			t.Error("woken for nothing")
		default:
		}
	})
}
