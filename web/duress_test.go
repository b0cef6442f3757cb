package web

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// In the log, too, duress is for supervisors and risk: to others its entry is
// bare where indexes would be missing without it, and absent where they asked
// about a call. No index is missing, in a list or a stream.
func TestDuressIsBareInTheLog(t *testing.T) {
	d := newDesktop(t)
	d.log(ledger.Entry{Event: "traversal.began", Traversal: trv},
		ledger.Entry{Event: "alert.raised", Traversal: trv, Data: map[string]string{"alarm": "duress"}},
		ledger.Entry{Event: "hold.placed", Traversal: trv, Data: map[string]string{"why": "duress"}},
		ledger.Entry{Event: "alert.raised", Traversal: trv, Data: map[string]string{"alarm": "rejected"}},
		ledger.Entry{Event: "traversal.ended", Traversal: trv})
	type list struct{ Entries []ledger.Entry }
	for role, watches := range map[ringfence.Role]bool{ringfence.RoleSupervisor: true, ringfence.RoleRisk: true, ringfence.RoleAuditor: false} {
		cookie := d.signIn(d.person(string(role), role))
		read := func(query string) (list, string) {
			w := d.ask(cookie, "GET", "/v1/ledger/entries"+query, nil)
			text := w.Body.String()
			return decode[list](t, w), text
		}
		all, text := read("")
		for i, e := range all.Entries {
			bare := e.Traversal == "" && e.Data == nil
			if e.Index != int64(i) || i < 5 && bare != (!watches && (i == 1 || i == 2)) {
				t.Errorf("%s: entry %d is %+v", role, i, e)
			}
		}
		call, ofCall := read("?traversal=" + string(trv))
		if want := map[bool]int{true: 5, false: 3}[watches]; len(call.Entries) != want {
			t.Errorf("%s sees %d entries of the call, want %d", role, len(call.Entries), want)
		}
		if strings.Contains(text+ofCall, "duress") != watches {
			t.Errorf("%s reads of duress: %v", role, !watches)
		}
		first, _ := read("?limit=2&traversal=" + string(trv))
		if more := map[bool]int{true: 2, false: 1}[watches]; len(first.Entries) != more {
			t.Errorf("%s: a page of two holds %d, want %d", role, len(first.Entries), more)
		}
	}
	service := principal{client: Client{ID: "cli_1"}}
	e := ledger.Entry{Index: 7, Event: "alert.raised", Traversal: trv, Data: map[string]string{"alarm": "duress"}}
	if got := service.shown(e); got.Index != 7 || got.Traversal != "" || got.Data != nil {
		t.Errorf("a service account's stream has %+v", got)
	}
}

// The stream of somebody who may not know of duress says nothing when such an
// alert is raised: neither a count nor that something turned.
func TestDuressIsSilentInTheStream(t *testing.T) {
	d := newDesktop(t)
	told := func(p principal, sent string) (text, now string) {
		t.Helper()
		if err := d.TakeAlerts(t.Context(), ringfence.DefaultTenant); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		out := &stream{w: w}
		now = d.sendAlerts(t.Context(), out, p, sent)
		return w.Body.String(), now
	}
	ops, risk := d.principal(ringfence.RoleOps), d.principal(ringfence.RoleRisk)
	_, opsKnow := told(ops, "")
	_, riskKnows := told(risk, "")
	d.raise(map[string]string{"alarm": "duress"})
	if text, now := told(ops, opsKnow); text != "" || now != opsKnow {
		t.Errorf("ops were told %q", text)
	}
	if text, _ := told(risk, riskKnows); !strings.Contains(text, `"open":1`) {
		t.Errorf("risk was told %q", text)
	}
	d.raise(map[string]string{"alarm": "spray"})
	if text, _ := told(ops, opsKnow); !strings.Contains(text, `"open":1`) {
		t.Errorf("ops were told %q of an alert that is theirs", text)
	}
}

// principal is somebody with a role who has signed in.
func (d *desktop) principal(role ringfence.Role) principal {
	p := d.person("stream "+string(role), role)
	return principal{tenant: ringfence.DefaultTenant, person: p, at: p.StoredAt}
}
