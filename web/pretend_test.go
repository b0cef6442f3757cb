package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// pretended are the actions that the fake switchboard made up.
type pretended struct {
	release gate.Release
	verdict gate.Verdict
}

func (f *fakeCalls) Pretend(ctx context.Context, who Act, q gate.OpenRequest) (gate.Release, gate.Verdict, error) {
	var before []gate.Release
	for _, one := range f.made {
		before = append(before, one.release)
	}
	r, v, err := f.gate.Pretend(ctx, who.Tenant, q, before...)
	if err != nil {
		return r, v, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made == nil {
		f.made = map[ringfence.ReleaseID]*pretended{}
	}
	f.made[r.ID] = &pretended{r, v}
	for i := range f.live {
		if f.live[i].Traversal == who.Traversal {
			f.live[i].Releases = append(slices.Clone(f.live[i].Releases), ringfence.LiveRelease{ID: r.ID, Type: r.Type, Says: r.Says, Class: r.Class, State: string(r.State)})
			f.live[i].Version++
		}
	}
	f.wakeLocked()
	return r, v, nil
}

func (f *fakeCalls) Pretended(_ context.Context, who Act, id ringfence.ReleaseID, to gate.State) (gate.Release, gate.Verdict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.live, func(c ringfence.LiveCall) bool { return c.Traversal == who.Traversal && c.Owner == who.By })
	one := f.made[id]
	if i < 0 || one == nil {
		return gate.Release{}, gate.Verdict{}, gate.ErrNotFound
	}
	if to != "" {
		one.release.State = to
		f.live[i].Releases = slices.Clone(f.live[i].Releases)
		for j := range f.live[i].Releases {
			if f.live[i].Releases[j].ID == id {
				f.live[i].Releases[j].State = string(to)
			}
		}
		f.live[i].Version++
		f.wakeLocked()
	}
	return one.release, one.verdict, nil
}

var (
	aTime  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
	aDay   = regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`)
	aName  = regexp.MustCompile(`\b[a-z]{3}_[0-9a-z]{26}\b|\b[0-9a-f]{64}\b`)
	ending = regexp.MustCompile(`…\d\d|"ending":"\d\d"`)
)

func blank(text string) string {
	return ending.ReplaceAllString(aName.ReplaceAllString(aDay.ReplaceAllString(aTime.ReplaceAllString(text, `"T"`), "D"), "#"), "…")
}

// Invariant 23, in a console: whatever an agent asks about the person on their
// line, somebody who is not on file answers like somebody who is and has proved
// nothing. A service account, which is a system of the firm, is told.
func TestNobodyAnswersLikeSomebody(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Language = func(ringfence.TenantID) string { return "en" } })
	old := time.Now().Add(-3000 * time.Hour)
	d.put(ringfence.DefaultTenant, ledger.KindSubject, string(sub), map[string]string{"customer:account": "10002000", "kind": "customer"},
		ringfence.Subject{ID: sub, Tenant: ringfence.DefaultTenant, Kind: "customer", Language: "en", Status: ringfence.StatusActive, Record: map[string]string{"account": "10002000"}, StoredAt: old})
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_00000000000000000000000001", map[string]string{"subject": string(sub)}, ringfence.ContactPoint{
		ID: "cpt_00000000000000000000000001", Tenant: ringfence.DefaultTenant, Subject: sub, Type: ringfence.ContactMobile, Value: "447700900917",
		VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
	d.put(ringfence.DefaultTenant, ledger.KindAuthenticator, "aut_00000000000000000000000001", map[string]string{"subject": string(sub)}, ringfence.Authenticator{
		ID: "aut_00000000000000000000000001", Tenant: ringfence.DefaultTenant, Subject: sub, Type: ringfence.AuthPIN, Lane: "memory", BoundAt: old, StoredAt: old, Status: ringfence.StatusActive})
	priya := d.person("Priya", ringfence.RoleAgent)
	cookie := d.signIn(priya)
	nobody := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	story := func(subject ringfence.SubjectID) (said []string) {
		d.calls.change(trv, func(c *ringfence.LiveCall) {
			northwind(priya.ID)(c)
			if c.Subject = subject; subject == nobody {
				c.Named = map[string]string{"account": "10002000"}
			}
		})
		ask := func(method, path string, body any) []byte {
			w := d.ask(cookie, method, path, body, "Idempotency-Key", fmt.Sprint("story-", subject, len(said)))
			said = append(said, fmt.Sprintf("%s %s: %d %s", method, blank(path), w.Code, blank(w.Body.String())))
			return w.Body.Bytes()
		}
		var file struct {
			Points []struct{ ID string } `json:"contact_points"`
			Keys   []struct{ ID string } `json:"authenticators"`
		}
		if err := json.Unmarshal(ask("GET", "/v1/subjects/"+string(subject), nil), &file); err != nil || len(file.Points) != 1 || len(file.Keys) != 1 {
			t.Fatal(said, err)
		}
		ask("GET", "/v1/contact-points?subject="+string(subject), nil)
		for _, body := range []map[string]any{
			{"type": "payment", "fields": map[string]string{"payee": "Hart Plumbing", "amount": "12500 GBP", "account": "12345678"}},
			{"type": "payment", "fields": map[string]string{"payee": "Hart Plumbing", "amount": "many", "account": "12345678"}},
			{"type": "payment", "asked_by": "email", "fields": map[string]string{"payee": "Hart Plumbing", "amount": "900000000 GBP", "account": "12345678"}},
			{"type": "statement", "fields": map[string]string{"from_date": "2026-01-01", "copies": "1"}},
			{"type": "no_such", "fields": map[string]string{}},
		} {
			body["traversal"] = trv
			var r struct{ ID, Digest string }
			if json.Unmarshal(ask("POST", "/v1/actions", body), &r); r.ID == "" {
				continue
			}
			ask("GET", "/v1/releases/"+r.ID, nil)
			ask("POST", "/v1/releases/"+r.ID+"/release", map[string]any{"digest": r.Digest})
			ask("POST", "/v1/releases/"+r.ID+"/release", map[string]any{"digest": "00"})
			ask("GET", "/v1/approvals/"+r.ID, nil)
			ask("GET", "/v1/subjects/"+string(subject), nil)
			ask("POST", "/v1/releases/"+r.ID+"/cancel", map[string]any{})
		}
		for _, target := range []string{file.Points[0].ID, file.Keys[0].ID, "cpt_00000000000000000000000009"} {
			ask("POST", "/v1/subjects/"+string(subject)+"/changes", map[string]any{"action": "remove_number", "target": target, "traversal": trv})
		}
		ask("POST", "/v1/subjects/"+string(subject)+"/changes", map[string]any{"action": "new_number", "fields": map[string]string{"type": "mobile", "new_number": "447700900123"}, "traversal": trv})
		return said
	}
	somebody, none := story(sub), story(nobody)
	if len(somebody) != len(none) {
		t.Fatalf("%d answers, and %d", len(somebody), len(none))
	}
	for i := range somebody {
		if somebody[i] != none[i] {
			t.Errorf("answer %d tells who is a customer:\n%s\n%s", i, somebody[i], none[i])
		}
	}
	_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, Client{Name: "crm", Scopes: []Scope{ScopeActions}}, "")
	if err != nil {
		t.Fatal(err)
	}
	crm := []string{"Authorization", "Bearer " + string([]byte(secret))}
	w := d.ask(nil, "POST", "/v1/actions", map[string]any{"type": "statement", "subject": nobody, "fields": map[string]string{"from_date": "2026-01-01", "copies": "1"}}, append(crm, "Idempotency-Key", "crm-asks-1")...)
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a service account is told %d %s", w.Code, w.Body)
	}
}
