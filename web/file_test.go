package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

const fileSubject = ringfence.SubjectID("sub_00000000000000000000000001")

// onFile puts a subject with one of everything on file.
func (d *desktop) onFile(tenant ringfence.TenantID) {
	key := map[string]string{"subject": string(fileSubject)}
	long := time.Now().AddDate(-1, 0, 0).UTC()
	d.put(tenant, ledger.KindSubject, string(fileSubject), map[string]string{"kind": "customer", "customer:account": "20481516"},
		ringfence.Subject{ID: fileSubject, Tenant: tenant, Kind: "customer", Record: map[string]string{"account": "20481516", "first_name": "Marisol"}, Status: ringfence.StatusActive, StoredAt: long})
	d.put(tenant, ledger.KindContactPoint, "cpt_00000000000000000000000001", key, ringfence.ContactPoint{ID: "cpt_00000000000000000000000001", Tenant: tenant, Subject: fileSubject,
		Type: ringfence.ContactMobile, Value: "447700900123", VerifiedAt: long, ChangedAt: long, StoredAt: long, Status: ringfence.StatusActive})
	d.put(tenant, ledger.KindContactPoint, "cpt_00000000000000000000000002", key, ringfence.ContactPoint{ID: "cpt_00000000000000000000000002", Tenant: tenant, Subject: fileSubject,
		Type: ringfence.ContactEmail, Value: "marisol@example.com", VerifiedAt: long, ChangedAt: long, StoredAt: long, RemovedAt: time.Now(), Status: ringfence.StatusRemoved})
	for id, a := range map[ringfence.AuthenticatorID]ringfence.Authenticator{
		"aut_00000000000000000000000001": {Type: ringfence.AuthPasskey, Secret: ringfence.Secret(`{"publicKey":"hush","flags":{"backupEligible":true}}`), Status: ringfence.StatusActive},
		"aut_00000000000000000000000002": {Type: ringfence.AuthTOTP, Secret: ringfence.Secret("seedseedseed"), Status: ringfence.StatusPending},
		"aut_00000000000000000000000003": {Type: ringfence.AuthDuressPIN, Secret: ringfence.Secret("duress record"), Status: ringfence.StatusActive},
	} {
		a.ID, a.Tenant, a.Subject, a.BoundAt, a.StoredAt = id, tenant, fileSubject, long, long
		d.put(tenant, ledger.KindAuthenticator, string(id), key, a)
	}
	d.put(tenant, gate.KindMandate, "mdt_1", key, gate.Mandate{ID: "mdt_1", Person: "sub_other", Subject: fileSubject, Types: []string{"payment"}, Limit: 500, Since: long, Until: long.AddDate(3, 0, 0), Status: ringfence.StatusActive})
	d.put(tenant, gate.KindPayee, "payee", key, gate.Payee{Subject: fileSubject, Account: "/88112233", Source: "import", Since: long})
}

type fileSeen struct {
	Kind           string                        `json:"kind"`
	ContactPoints  []struct{ ID, Status string } `json:"contact_points"`
	Authenticators []struct {
		ID, Type, Status, Check string
		Synced                  bool
	} `json:"authenticators"`
	Mandates []struct{ ID string }     `json:"mandates"`
	Payees   []struct{ Known bool }    `json:"payees"`
	Changes  []struct{ Action string } `json:"changes"`
}

// What is on file is shown with its ages, and no secret, whole number, field of
// the record, or duress PIN.
func TestFileOfASubject(t *testing.T) {
	d := newDesktop(t)
	d.onFile(ringfence.DefaultTenant)
	path := "/v1/subjects/" + string(fileSubject)
	for _, role := range []ringfence.Role{ringfence.RoleSupervisor, ringfence.RoleRisk, ringfence.RoleAuditor, ringfence.RoleAdmin} {
		w := d.ask(d.signIn(d.person(string(role), role)), "GET", path, nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", role, w.Code, w.Body)
		}
		got, text := decode[fileSeen](t, w), w.Body.String()
		if got.Kind != "customer" || len(got.ContactPoints) != 2 || len(got.Authenticators) != 2 || len(got.Mandates) != 1 || len(got.Payees) != 1 || !got.Payees[0].Known {
			t.Errorf("%s sees %s", role, text)
		}
		for _, secret := range []string{"hush", "seedseed", "duress", "447700900123", "marisol@", "Marisol", "20481516", "88112233"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s stands in %s", secret, text)
			}
		}
		for _, one := range got.Authenticators {
			if one.Type == "passkey" && !one.Synced || one.Type == "totp" && one.Check != gate.CheckDigits(gate.Fingerprint(ringfence.Secret("seedseedseed"))) {
				t.Errorf("%+v", one)
			}
		}
	}
}

// An agent sees the file of whom their call is about, and nobody else's; another
// tenant has no such subject.
func TestFileOfSomebodyElse(t *testing.T) {
	d := newDesktop(t)
	d.onFile("ten_00000000000000000000000001")
	path := "/v1/subjects/" + string(fileSubject)
	agent, risk := d.person("agent", ringfence.RoleAgent), d.signIn(d.person("risk", ringfence.RoleRisk))
	cookie := d.signIn(agent)
	if w := d.ask(risk, "GET", path, nil); w.Code != http.StatusNotFound {
		t.Errorf("another tenant's: %d", w.Code)
	}
	d.onFile(ringfence.DefaultTenant)
	if w := d.ask(cookie, "GET", path, nil); w.Code != http.StatusNotFound {
		t.Errorf("an agent without a call: %d", w.Code)
	}
	d.calls.change("trv_1", func(c *ringfence.LiveCall) { c.Owner, c.Subject = agent.ID, fileSubject })
	if w := d.ask(cookie, "GET", path, nil); w.Code != http.StatusOK {
		t.Errorf("an agent on the call: %d %s", w.Code, w.Body)
	}
	d.calls.change("trv_1", func(c *ringfence.LiveCall) { c.Owner = "per_other" })
	if w := d.ask(cookie, "GET", path, nil); w.Code != http.StatusNotFound {
		t.Errorf("an agent whose call it is no more: %d", w.Code)
	}
}
