package web

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/stirshaken"
)

type found struct {
	Calls    []pastView
	People   []colleague
	Subjects []subjectView
	Names    map[ringfence.PersonID]string
	Next     string
}

// britain reads numbers as a company in the United Kingdom does.
func britain(c *Config) {
	c.Home = stirshaken.Home{Country: "44", International: "00", Trunk: "0"}
}

// ended keeps a call as cmd does when it is over.
func (d *desktop) ended(id ringfence.TraversalID, person ringfence.PersonID, with func(*ringfence.LiveCall)) {
	d.t.Helper()
	var c ringfence.LiveCall
	northwind(person)(&c)
	c.Traversal = id
	if with != nil {
		with(&c)
	}
	if err := d.PutPast(d.t.Context(), c, "", true); err != nil {
		d.t.Fatal(err)
	}
}

func TestCallsAreFound(t *testing.T) {
	d := newDesktop(t, britain)
	d.dana()
	priya, sue := d.person("Priya Shah", ringfence.RoleAgent), d.person("Sue", ringfence.RoleSupervisor)
	const other = ringfence.TraversalID("trv_00000000000000000000000002")
	rel := ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease)
	d.ended(trv, priya.ID, func(c *ringfence.LiveCall) {
		c.Releases = []ringfence.LiveRelease{{ID: rel, Type: "bank_change", Says: "change the bank account", Class: ringfence.C4, State: "held"}}
	})
	d.ended(other, sue.ID, func(c *ringfence.LiveCall) {
		c.Caller, c.Reference, c.Subject, c.Alert, c.Began = "+1 202 555 0143", "W4T8ZZ9K", "", "I did not ask for this.", time.Now().AddDate(0, 0, -40)
	})
	cookie := d.signIn(sue)
	for name, try := range map[string]struct {
		query string
		want  []ringfence.TraversalID
	}{
		"all, newest first":           {"", []ringfence.TraversalID{trv, other}},
		"half a number":               {"text=20794609", nil},
		"the end of a number":         {"text=0991", nil},
		"a number, as it came":        {"text=%2B44+20+7946+0991", []ringfence.TraversalID{trv}},
		"a number, as at home":        {"text=020+7946+0991", []ringfence.TraversalID{trv}},
		"a number, from abroad":       {"text=0044-20-7946-0991", []ringfence.TraversalID{trv}},
		"the subject's own number":    {"text=07700900917", nil}, // dana's contact point has no key of its value here
		"a reference":                 {"text=k7m2-p9qx", []ringfence.TraversalID{trv}},
		"a call":                      {"text=" + string(other), []ringfence.TraversalID{other}},
		"a release":                   {"text=" + string(rel), []ringfence.TraversalID{trv}},
		"a release of nobody":         {"text=rel_00000000000000000000000000", nil},
		"a subject":                   {"text=" + string(sub), []ringfence.TraversalID{trv}},
		"an identifying field":        {"text=10002000", []ringfence.TraversalID{trv}},
		"half an identifying field":   {"text=1000", nil},
		"a colleague":                 {"text=pri", []ringfence.TraversalID{trv}},
		"a kind of action":            {"action=bank_change", []ringfence.TraversalID{trv}},
		"another kind":                {"action=payment", nil},
		"alerts":                      {"alert=true", []ringfence.TraversalID{other}},
		"alerts of somebody":          {"alert=true&text=priya", nil},
		"since three days":            {"from=" + time.Now().AddDate(0, 0, -3).Format(time.DateOnly), []ringfence.TraversalID{trv}},
		"before last week":            {"to=" + time.Now().AddDate(0, 0, -7).Format(time.DateOnly), []ringfence.TraversalID{other}},
		"what is nothing":             {"text=" + url.QueryEscape("%_*' OR 1=1"), nil},
		"one character of a name":     {"text=p", nil},
		"another call of nobody":      {"text=trv_00000000000000000000000009", nil},
		"text of nothing but blanks":  {"text=++", []ringfence.TraversalID{trv, other}},
		"an alert and another action": {"alert=true&action=bank_change", nil},
	} {
		d.lookups = &limiter{every: time.Nanosecond, burst: 100}
		w := d.ask(cookie, "GET", "/v1/history?"+try.query, nil)
		got := decode[found](t, w)
		var ids []ringfence.TraversalID
		for _, c := range got.Calls {
			ids = append(ids, c.Traversal)
		}
		if w.Code != 200 || fmt.Sprint(ids) != fmt.Sprint(try.want) {
			t.Errorf("%s: %d, found %v, want %v", name, w.Code, ids, try.want)
		}
		if text := w.Body.String(); strings.Contains(text, "7946") || strings.Contains(text, "5550143") {
			t.Errorf("%s: shows a whole number: %s", name, text)
		}
	}
	for _, bad := range []string{"from=tomorrow", "before=x", "before=1.", "limit=0", "limit=201", "action=A%20B", "text=" + strings.Repeat("9", 81), "to=2026-02-31"} {
		if w := d.ask(cookie, "GET", "/v1/history?"+bad, nil); w.Code != 422 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	d.lookups = &limiter{every: time.Hour, burst: 1}
	d.ask(cookie, "GET", "/v1/history?text=1", nil)
	if w := d.ask(cookie, "GET", "/v1/history?text=1", nil); w.Code != 429 {
		t.Errorf("looking for one number after another: %d", w.Code)
	}
}

// A number of record leads to whose it is, and to their calls.
func TestNumbersOfRecordAreFound(t *testing.T) {
	d := newDesktop(t, britain)
	d.dana()
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_00000000000000000000000002", map[string]string{"value": "447700900955"},
		ringfence.ContactPoint{ID: "cpt_00000000000000000000000002", Subject: sub, Value: "447700900955"})
	d.ended(trv, "", nil)
	sue := d.signIn(d.person("Sue", ringfence.RoleAuditor))
	got := decode[found](t, d.ask(sue, "GET", "/v1/history?text=07700+900955", nil))
	if len(got.Calls) != 1 || len(got.Subjects) != 1 || got.Subjects[0].ID != sub {
		t.Errorf("%+v", got)
	}
}

func TestCallsArePaged(t *testing.T) {
	d := newDesktop(t)
	now := time.Now()
	for i := range 12 {
		d.ended(ringfence.TraversalID(fmt.Sprintf("trv_%026d", i)), "", func(c *ringfence.LiveCall) {
			c.Began = now.Add(-time.Duration(i/2) * time.Minute) // pairs of one instant
			c.Releases = []ringfence.LiveRelease{{ID: ringfence.NewID[ringfence.ReleaseID]("rel"), Type: "payment"}}
			if i%3 == 0 {
				c.Alert = "odd"
			}
		})
	}
	cookie := d.signIn(d.person("Sue", ringfence.RoleSupervisor))
	for query, want := range map[string]int{"": 12, "action=payment": 12, "alert=true&action=payment": 4} {
		seen := map[ringfence.TraversalID]bool{}
		next, last := "", now.Add(time.Hour)
		for pages := 0; ; pages++ {
			got := decode[found](t, d.ask(cookie, "GET", "/v1/history?limit=5&"+query+"&before="+next, nil))
			for _, c := range got.Calls {
				if seen[c.Traversal] || c.Began.After(last) {
					t.Errorf("%q: %s comes twice or late", query, c.Traversal)
				}
				seen[c.Traversal], last = true, c.Began
			}
			if next = got.Next; next == "" || pages > 10 {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("%q: %d calls, want %d", query, len(seen), want)
		}
	}
}

// What was kept at the end of a call stays, whatever is written late; and calls
// are forgotten after their time.
func TestTheEndOfACallStays(t *testing.T) {
	d := newDesktop(t)
	priya, sue := d.person("Priya", ringfence.RoleAgent), d.person("Sue", ringfence.RoleSupervisor)
	var c ringfence.LiveCall
	northwind(priya.ID)(&c)
	hostile := "<img src=x onerror=alert(1)>\u202e" + strings.Repeat("W", 400)
	c.Alert = hostile
	for _, step := range []struct {
		person ringfence.PersonID
		ended  bool
	}{{"", false}, {sue.ID, true}, {"per_00000000000000000000000009", false}} {
		if err := d.PutPast(t.Context(), c, step.person, step.ended); err != nil {
			t.Fatal(err)
		}
	}
	cookie := d.signIn(sue)
	got := decode[struct {
		Call  pastView
		Names map[ringfence.PersonID]string
	}](t, d.ask(cookie, "GET", "/v1/history/"+string(trv), nil))
	if len(got.Call.People) != 2 || got.Call.Ended.IsZero() || got.Names[priya.ID] != "Priya" || got.Names[sue.ID] != "Sue" {
		t.Errorf("%+v", got)
	}
	if strings.ContainsRune(got.Call.Alert, '\u202e') || len(got.Call.Alert) > longest+8 {
		t.Errorf("alert %q", got.Call.Alert)
	}
	if err := d.SweepPast(t.Context(), ringfence.DefaultTenant, time.Now().Add(pastLife-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if w := d.ask(cookie, "GET", "/v1/history/"+string(trv), nil); w.Code != 200 {
		t.Errorf("swept too early: %d", w.Code)
	}
	if err := d.SweepPast(t.Context(), ringfence.DefaultTenant, time.Now().Add(pastLife+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if w := d.ask(cookie, "GET", "/v1/history/"+string(trv), nil); w.Code != 404 {
		t.Errorf("not swept: %d", w.Code)
	}
}

func (d *desktop) log(entries ...ledger.Entry) {
	d.t.Helper()
	err := d.store.Update(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, e := range entries {
			if _, err := tx.Append(d.t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestOneCallIsShown(t *testing.T) {
	d := newDesktop(t, withFlows(t), func(c *Config) { c.Replays = &testReplays{} })
	d.dana()
	sue := d.signIn(d.person("Sue", ringfence.RoleAuditor))
	for _, path := range []string{"/v1/history/" + string(trv), "/v1/history/nothing"} {
		if w := d.ask(sue, "GET", path, nil); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	d.log(ledger.Entry{Event: "traversal.began", Traversal: trv, Data: map[string]string{"line": "main", "reference": "K7M2P9QX"}},
		ledger.Entry{Event: "stir.verified", Traversal: trv, Data: map[string]string{"attest": "B", "valid": "yes"}})
	type detail struct {
		Call     pastView
		Evidence []pastEvidence
	}
	if got := decode[detail](t, d.ask(sue, "GET", "/v1/history/"+string(trv), nil)); got.Call.Reference != "K7M2P9QX" || got.Call.Attest != "B" || got.Call.Stir != ringfence.Yes {
		t.Errorf("from the log alone: %+v", got)
	}
	d.ended(trv, "", nil)
	d.prove("rel_00000000000000000000000001", ringfence.Digest{1}, ringfence.FactCallback, ringfence.StrengthCallback)
	got := decode[detail](t, d.ask(sue, "GET", "/v1/history/"+string(trv), nil))
	if len(got.Evidence) != 1 || got.Evidence[0].Source == nil || got.Evidence[0].Source.Masked != "…17" || time.Since(got.Evidence[0].Source.Since) < 1999*time.Hour {
		t.Errorf("%+v", got.Evidence)
	}
	flow := decode[struct{ Runs []pastRun }](t, d.ask(sue, "GET", "/v1/history/"+string(trv)+"/flow", nil))
	if len(flow.Runs) != 1 || flow.Runs[0].Map == nil || flow.Runs[0].File != "customer-line.yaml" || flow.Runs[0].Steps[0].Line != 20 {
		t.Errorf("%+v", flow)
	}
	if none := decode[struct{ Runs []pastRun }](t, d.ask(sue, "GET", "/v1/history/trv_x/flow", nil)); len(none.Runs) != 0 {
		t.Errorf("%+v", none)
	}
}

// The proofs of a call are checked with the public key alone, and fail for
// anything that was changed.
func TestProofsOfACallAreChecked(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner("test", key)
	if err != nil {
		t.Fatal(err)
	}
	var signed []byte
	d := newDesktop(t, func(c *Config) {
		c.Checkpoint = func(context.Context, ringfence.TenantID) ([]byte, error) { return signed, nil }
	})
	sue := d.signIn(d.person("Sue", ringfence.RoleAuditor))
	d.log(ledger.Entry{Event: "traversal.began", Traversal: trv}, ledger.Entry{Event: "alert.raised"}, ledger.Entry{Event: "traversal.ended", Traversal: trv, Data: map[string]string{"x": "<&>"}})
	if w := d.ask(sue, "GET", "/v1/ledger/proofs?traversal="+string(trv), nil); w.Code != 503 {
		t.Errorf("before the first checkpoint: %d", w.Code)
	}
	if err := d.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		head, err := ledger.HeadOf(t.Context(), tx)
		if err == nil {
			signed, err = signer.Sign(ringfence.DefaultTenant, head)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d.log(ledger.Entry{Event: "recording.played", Traversal: trv}) // newer than the checkpoint
	for _, bad := range []string{"", "?traversal=a&release=b"} {
		if w := d.ask(sue, "GET", "/v1/ledger/proofs"+bad, nil); w.Code != 422 {
			t.Errorf("%q: %d", bad, w.Code)
		}
	}
	if w := d.ask(sue, "GET", "/v1/ledger/proofs?traversal=trv_x", nil); w.Code != 404 {
		t.Errorf("of no call: %d", w.Code)
	}
	vkey, err := signer.VerifierKey(ringfence.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	body := d.ask(sue, "GET", "/v1/ledger/proofs?traversal="+string(trv), nil).Body.Bytes()
	n := 0
	for line := range bytes.Lines(body) {
		var p provenEntry
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		proof, err := ledger.ReadProof([]byte(p.Proof))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Check(p.Entry, v); err != nil {
			t.Errorf("entry %s: %v", p.Entry, err)
		}
		if _, err := proof.Check(bytes.Replace(p.Entry, []byte("traversal"), []byte("Traversal"), 1), v); err == nil {
			t.Error("a changed entry checks")
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d entries, want those two that the checkpoint covers", n)
	}
}
