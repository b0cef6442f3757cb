package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

// fakePhones is an edge beside the tests.
type fakePhones struct {
	mu      sync.Mutex
	calls   map[ringfence.PersonID][]PhoneCall
	bell    chan struct{}
	told    []string
	refuses error
	heard   chan struct{} // closed when told grows
}

func newFakePhones() *fakePhones {
	return &fakePhones{calls: map[ringfence.PersonID][]PhoneCall{}, bell: make(chan struct{})}
}

func (f *fakePhones) set(who ringfence.PersonID, calls ...PhoneCall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[who] = calls
	close(f.bell)
	f.bell = make(chan struct{})
}

func (f *fakePhones) Calls(tenant ringfence.TenantID, who ringfence.PersonID) []PhoneCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tenant != ringfence.DefaultTenant {
		return nil
	}
	return slices.Clone(f.calls[who])
}

func (f *fakePhones) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bell
}

func (f *fakePhones) do(tenant ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID, what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tenant != ringfence.DefaultTenant || !slices.ContainsFunc(f.calls[who], func(c PhoneCall) bool { return c.Leg == leg }) {
		return ErrNoCall
	}
	f.told = append(f.told, what)
	close(f.toldBell())
	f.heard = nil
	return f.refuses
}

// toldBell is closed when the edge is told something. mu is held.
func (f *fakePhones) toldBell() chan struct{} {
	if f.heard == nil {
		f.heard = make(chan struct{})
	}
	return f.heard
}

func (f *fakePhones) Link(t ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID, offer string) (string, error) {
	return "the answer", f.do(t, who, leg, "link "+offer)
}

func (f *fakePhones) HangUp(t ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID) error {
	return f.do(t, who, leg, "hang up")
}

func (f *fakePhones) Hold(t ringfence.TenantID, who ringfence.PersonID, leg ringfence.LegID, on bool) error {
	return f.do(t, who, leg, map[bool]string{true: "hold", false: "back"}[on])
}

const ringingLeg = ringfence.LegID("leg_00000000000000000000000001")

// phoneDesk is a desktop with softphones, and a call that rings for Priya.
func phoneDesk(t testing.TB) (*desktop, *fakePhones, ringfence.Person) {
	t.Helper()
	f := newFakePhones()
	d := newDesktop(t, func(c *Config) { c.Softphones = f })
	priya := d.person("Priya", ringfence.RoleAgent)
	f.set(priya.ID, PhoneCall{Leg: ringingLeg, From: "442079460991", Reference: "K7M2P9QX", Since: time.Now()})
	return d, f, priya
}

// listen holds a stream of events open until the test ends, and gives the
// newest phone event.
func (d *desktop) listen(cookie *http.Cookie) (next func() phoneView, hangUp func()) {
	d.t.Helper()
	srv := httptest.NewServer(d.Staff())
	d.t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(d.t.Context())
	d.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/v1/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.AddCookie(cookie)
	answer, err := srv.Client().Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	lines := bufio.NewScanner(answer.Body)
	return func() phoneView {
		d.t.Helper()
		for name := ""; lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = rest
			}
			if rest, ok := strings.CutPrefix(lines.Text(), "data: "); ok && name == "phone" {
				var v phoneView
				if err := json.Unmarshal([]byte(rest), &v); err != nil {
					d.t.Fatal(err)
				}
				return v
			}
		}
		d.t.Fatal("the stream ended")
		return phoneView{}
	}, cancel
}

// Whoever has no softphone in this very session takes no call with it: neither
// a colleague, nor another session of the same person, nor one that is off.
func TestSoftphoneRefusals(t *testing.T) {
	d, f, priya := phoneDesk(t)
	mine, second := d.signIn(priya), d.signIn(priya)
	omar := d.signIn(d.person("Omar", ringfence.RoleAgent))
	path := "/v1/softphone/calls/" + string(ringingLeg)
	offer := map[string]any{"offer": "v=0"}
	want := func(what string, got *httptest.ResponseRecorder, code int) {
		t.Helper()
		if got.Code != code {
			t.Errorf("%s answered %d %s, want %d", what, got.Code, got.Body, code)
		}
	}
	want("a phone that is off", d.ask(mine, "POST", path+"/link", offer), 409)
	next, _ := d.listen(mine)
	next()
	want("turned on", d.ask(mine, "POST", "/v1/softphone", map[string]any{"on": true}), 204)
	want("a second session", d.ask(second, "POST", "/v1/softphone", map[string]any{"on": true}), 409)
	want("a second session's link", d.ask(second, "POST", path+"/link", offer), 409)
	want("a second session hangs up", d.ask(second, "POST", path+"/hang-up", map[string]any{}), 409)
	d.listen(omar)
	want("Omar turns his on", d.ask(omar, "POST", "/v1/softphone", map[string]any{"on": true}), 204)
	want("Omar takes Priya's call", d.ask(omar, "POST", path+"/link", offer), 404)
	want("Omar ends Priya's call", d.ask(omar, "POST", path+"/hang-up", map[string]any{}), 404)
	want("Omar holds Priya's call", d.ask(omar, "POST", path+"/hold", map[string]any{"on": true}), 404)
	want("a leg of nobody", d.ask(mine, "POST", "/v1/softphone/calls/leg_0/link", offer), 404)
	want("an offer without end", d.ask(mine, "POST", path+"/link", map[string]any{"offer": strings.Repeat("a", 16385)}), 422)
	want("no offer", d.ask(mine, "POST", path+"/link", map[string]any{"offer": ""}), 422)
	if len(f.told) != 0 {
		t.Errorf("the edge was told %q", f.told)
	}
	f.refuses = ErrBadOffer
	want("an offer that cannot be answered", d.ask(mine, "POST", path+"/link", offer), 422)
	f.refuses = nil
	want("the link", d.ask(mine, "POST", path+"/link", offer), 200)
	want("hold", d.ask(mine, "POST", path+"/hold", map[string]any{"on": true}), 204)
	want("hang up", d.ask(mine, "POST", path+"/hang-up", map[string]any{}), 204)
	want("taken over", d.ask(second, "POST", "/v1/softphone", map[string]any{"on": true, "take": true}), 204)
	want("the first session's link after that", d.ask(mine, "POST", path+"/link", offer), 409)
}

// Without an edge that has softphones there is none.
func TestSoftphoneAbsent(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	if got := d.ask(d.signIn(priya), "POST", "/v1/softphone", map[string]any{"on": true}); got.Code != 404 {
		t.Errorf("answered %d", got.Code)
	}
	if d.Reachable(ringfence.DefaultTenant, priya.ID) {
		t.Error("reachable")
	}
}

// The console hears at once what rings; a session in whose browser the phone is
// not on hears no more than that.
func TestSoftphoneEvents(t *testing.T) {
	d, f, priya := phoneDesk(t)
	mine, second := d.signIn(priya), d.signIn(priya)
	here, _ := d.listen(mine)
	if v := here(); v.State != phoneOff || len(v.Calls) != 1 {
		t.Errorf("at first %+v", v)
	}
	if d.Reachable(ringfence.DefaultTenant, priya.ID) {
		t.Error("reachable while it is off")
	}
	d.ask(mine, "POST", "/v1/softphone", map[string]any{"on": true})
	if v := here(); v.State != phoneHere || len(v.Calls) != 1 || v.Calls[0].From != "442079460991" {
		t.Errorf("turned on %+v", v)
	}
	if !d.Reachable(ringfence.DefaultTenant, priya.ID) || d.Reachable("other", priya.ID) {
		t.Error("not reachable, or in another tenant")
	}
	there, _ := d.listen(second)
	if v := there(); v.State != phoneElsewhere || len(v.Calls) != 0 {
		t.Errorf("the other session %+v", v)
	}
	f.set(priya.ID, PhoneCall{Leg: ringingLeg, Live: true, From: "442079460991\u202e"})
	if v := here(); !v.Calls[0].Live || v.Calls[0].From != "442079460991" {
		t.Errorf("answered %+v", v)
	}
	f.set(priya.ID)
	if v := here(); len(v.Calls) != 0 {
		t.Errorf("ended %+v", v)
	}
	d.ask(mine, "POST", "/v1/softphone", map[string]any{"on": false})
	if v := there(); v.State != phoneOff {
		t.Errorf("turned off %+v", v)
	}
}

// A browser that went away keeps its phone for as long as a page takes to load
// again, and no longer.
func TestSoftphoneOutlivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps phones
		k := phoneKey{ringfence.DefaultTenant, "per_1"}
		leave := ps.come(k, "one")
		if !ps.set(k, "one", true, false, time.Now()) {
			t.Fatal("refused")
		}
		leave()
		time.Sleep(presenceGrace)
		if got := ps.state(k, "one", time.Now()); got != phoneHere {
			t.Errorf("while the page loads: %s", got)
		}
		if ps.set(k, "two", true, false, time.Now()) {
			t.Error("another session took it without saying so")
		}
		time.Sleep(time.Second)
		if got := ps.state(k, "one", time.Now()); got != phoneOff {
			t.Errorf("after it went: %s", got)
		}
		if !ps.set(k, "two", true, false, time.Now()) {
			t.Error("nobody has it and it was refused")
		}
	})
}
