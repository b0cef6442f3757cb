package web

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func TestChartsCountTheLog(t *testing.T) {
	d := newDesktop(t)
	now := time.Now()
	at := func(ago time.Duration, e ledger.Entry) ledger.Entry { e.At = now.Add(-ago); return e }
	chl := func(event ledger.Event, id string) ledger.Entry {
		return ledger.Entry{Event: event, Challenge: ringfence.ChallengeID("chl_" + id), Data: map[string]string{"method": "callback"}}
	}
	const day = 24 * time.Hour
	d.log(at(40*day, ledger.Entry{Event: "release.executed"}), at(39*day, chl("challenge.created", "old")),
		at(5*day, ledger.Entry{Event: "release.held"}), at(5*day, ledger.Entry{Event: "release.executed"}),
		at(300*time.Second, chl("challenge.created", "a")), at(300*time.Second, chl("challenge.created", "b")), at(300*time.Second, chl("challenge.created", "c")),
		at(260*time.Second, chl("challenge.satisfied", "a")), at(250*time.Second, chl("challenge.rejected", "b")), at(200*time.Second, chl("challenge.expired", "c")),
		at(100*time.Second, chl("challenge.satisfied", "before-our-time")))
	for _, data := range []map[string]string{{"attest": "A", "valid": "yes"}, {"attest": "A", "valid": "no"}, {"attest": "A", "valid": "unknown"}, {"valid": "yes"}, {"attest": "B", "valid": "yes"}} {
		d.log(ledger.Entry{Event: "stir.verified", Data: data})
	}
	cookie := d.signIn(d.person("Sue", ringfence.RoleSupervisor))
	read := func(span string) chartsBody {
		return decode[chartsBody](t, d.ask(cookie, "GET", "/v1/board/charts?span="+span, nil))
	}
	month := read("month")
	var sum chartPoint
	for _, p := range month.Points {
		sum.Released, sum.Held, sum.Stopped = sum.Released+p.Released, sum.Held+p.Held, sum.Stopped+p.Stopped
	}
	if len(month.Points) != 30 || month.Read != 1 || sum.Released != 1 || sum.Held != 1 || sum.Stopped != 1 {
		t.Errorf("month: %d points, %+v, read %v", len(month.Points), sum, month.Read)
	}
	if len(month.Methods) != 1 {
		t.Fatalf("methods %+v", month.Methods)
	}
	if m := month.Methods[0]; m.Asked != 3 || m.Proved != 2 || m.Refused != 1 || m.Silent != 1 || m.Median < 40 || m.Median > 50 {
		t.Errorf("%+v", m)
	}
	want := map[string]int{"A": 1, "B": 1, "C": 0, "none": 2, "failed": 1}
	for _, a := range month.Attest {
		if a.Calls != want[a.Letter] {
			t.Errorf("signature %s: %d, want %d", a.Letter, a.Calls, want[a.Letter])
		}
	}
	if len(read("day").Points) != 24 || len(read("week").Points) != 7 {
		t.Error("a day has 24 points, a week 7")
	}
	if w := d.ask(cookie, "GET", "/v1/board/charts?span=year", nil); w.Code != 422 {
		t.Errorf("span year: %d", w.Code)
	}
}

// An answer may be a little old; what came since is read after that, each entry
// once, and a log that became shorter is read anew.
func TestChartsGoOnFromWhereTheyWere(t *testing.T) {
	d := newDesktop(t)
	d.log(ledger.Entry{Event: "release.held"})
	c := d.charts.of(ringfence.DefaultTenant)
	count := func() (n int) {
		c.read = time.Time{} // the pause is over
		now, err := c.catchUp(t.Context(), d.store, ringfence.DefaultTenant)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.view("day", now.UTC()).Points {
			n += p.Held
		}
		return n
	}
	for range 2 { // asked again, nothing is counted twice
		if n := count(); n != 1 {
			t.Errorf("one hold is counted as %d", n)
		}
	}
	d.log(ledger.Entry{Event: "release.held"}, ledger.Entry{Event: "release.held"})
	if n := count(); n != 3 {
		t.Errorf("%d holds, want 3", n)
	}
	c.size, c.next = 1000, 1000
	if n := count(); n != 3 {
		t.Errorf("after a restored copy: %d holds, want 3", n)
	}
}
