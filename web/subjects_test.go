package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/stirshaken"
)

// customer puts a customer on file as the gate does, found by account, name
// and number.
func (d *desktop) customer(n int, name, number string) ringfence.SubjectID {
	d.t.Helper()
	id := ringfence.SubjectID(fmt.Sprintf("sub_%026d", n))
	account := fmt.Sprintf("3000%04d", n)
	keys := map[string]string{"kind": "customer", "customer:account": account}
	for _, w := range gate.NameWords(name) {
		keys[gate.NameKey(w)] = "customer"
	}
	d.put(ringfence.DefaultTenant, ledger.KindSubject, string(id), keys, ringfence.Subject{ID: id, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive,
		Record: map[string]string{"account": account, "first_name": name}, StoredAt: time.Now()})
	if number != "" {
		cpt := fmt.Sprintf("cpt_%026d", n)
		d.put(ringfence.DefaultTenant, ledger.KindContactPoint, cpt, map[string]string{"subject": string(id), "value": number}, ringfence.ContactPoint{ID: ringfence.ContactPointID(cpt),
			Tenant: ringfence.DefaultTenant, Subject: id, Type: ringfence.ContactMobile, Value: number, Status: ringfence.StatusActive, StoredAt: time.Now()})
	}
	return id
}

// A subject is found by whatever a person has of them; nothing of the record
// is shown but the ends of what identifies them, and nobody is found by a part.
func TestSubjectsAreFound(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Home = stirshaken.Home{Country: "44", International: "00", Trunk: "0"} })
	ana, bob := d.customer(1, "Ana-María O'Neil", "442079460991"), d.customer(2, "Ana", "447700900002")
	d.customer(3, "Zoë Ana Quist", "")
	cookie := d.signIn(d.person("Ada", ringfence.RoleAdmin))
	for text, want := range map[string][]ringfence.SubjectID{
		"020 7946 0991": {ana}, "+44 (0)20 7946 0991": {ana}, "0044 20 7946 0991": {ana}, "30000002": {bob}, "3000 0002": {bob}, "3000-0002": {bob}, string(bob): {bob},
		"maría": {ana}, "ANA-MARÍA o'neil": {ana}, "ana zoë": {"sub_00000000000000000000000003"}, "ana": {"sub_00000000000000000000000003", bob, ana},
		"An": {}, "3000": {}, "0991": {}, "sub_0": {}, "a": {}, "' OR 1=1 --": {}, "<b>": {}, "Bob": {},
	} {
		w := d.ask(cookie, "GET", "/v1/subjects?text="+url.QueryEscape(text), nil)
		got := decode[struct {
			Subjects []struct{ ID ringfence.SubjectID }
		}](t, w)
		ids := []ringfence.SubjectID{}
		for _, one := range got.Subjects {
			ids = append(ids, one.ID)
		}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("%q found %v, want %v", text, ids, want)
		}
		for _, secret := range []string{"30000001", "0991", "Mar", "Zo"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%q: the answer holds %q: %s", text, secret, w.Body)
			}
		}
	}
	if w := d.ask(cookie, "GET", "/v1/subjects?text="+string(ana), nil); !strings.Contains(w.Body.String(), `"by":{"account":"…01"}`) {
		t.Errorf("the end of the account is not shown: %s", w.Body)
	}
	for _, bad := range []string{"text=x&field=account&value=1&kind=customer", "field=account", "value=1", "field=account&value=1", "before=1", "before=x.y", "limit=201"} {
		if w := d.ask(cookie, "GET", "/v1/subjects?"+bad, nil); w.Code != 422 {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
}

// Every page goes on where the one before ended, for all and for one name.
func TestSubjectsComeInPages(t *testing.T) {
	d := newDesktop(t)
	for n := range 13 {
		d.customer(n+1, "Ana", "")
	}
	cookie := d.signIn(d.person("Ada", ringfence.RoleAdmin))
	for _, filter := range []string{"", "text=ana&", "kind=customer&"} {
		seen, before := map[string]bool{}, ""
		for range 5 {
			got := decode[struct {
				Subjects []struct{ ID string }
				Next     string
			}](t, d.ask(cookie, "GET", "/v1/subjects?"+filter+"limit=3"+before, nil))
			for _, one := range got.Subjects {
				if seen[one.ID] {
					t.Errorf("%s twice", one.ID)
				}
				seen[one.ID] = true
			}
			if got.Next == "" {
				break
			}
			before = "&before=" + got.Next
		}
		if len(seen) != 13 {
			t.Errorf("%q: %d subjects in all pages", filter, len(seen))
		}
	}
}

func FuzzSubjectsText(f *testing.F) {
	for _, s := range []string{"020 7946 0991", "ana", "a@b", "\x00", "\u202eana", strings.Repeat("ä", 80)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range gate.NameWords(text) {
			if again := gate.NameWords(w); len(again) != 1 || again[0] != w {
				t.Errorf("%q is cut into %q, and that into %q", text, w, again)
			}
		}
	})
}
