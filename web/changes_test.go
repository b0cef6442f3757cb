package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// A change of what is on file is an action of the gate, whoever asks; nothing
// else comes in by this door.
func TestChangesAreActions(t *testing.T) {
	d := newDesktop(t)
	d.onFile(ringfence.DefaultTenant)
	path := "/v1/subjects/" + string(fileSubject) + "/changes"
	boss := d.signIn(d.person("boss", ringfence.RoleSupervisor))
	agent := d.person("agent", ringfence.RoleAgent)
	body := func(with ...string) map[string]any {
		out := map[string]any{"action": "remove_number", "target": "cpt_00000000000000000000000001"}
		for i := 0; i+1 < len(with); i += 2 {
			out[with[i]] = with[i+1]
		}
		return out
	}
	d.calls.change("trv_1", func(c *ringfence.LiveCall) { c.Owner, c.Subject, c.State = agent.ID, fileSubject, "talking" })
	d.calls.change("trv_2", func(c *ringfence.LiveCall) { c.Owner, c.Subject, c.State = agent.ID, "sub_other", "talking" })
	for name, one := range map[string]struct {
		who  *http.Cookie
		path string
		body map[string]any
		want int
	}{
		"an agent without a call":       {d.signIn(agent), path, body(), 403},
		"a call about somebody else":    {d.signIn(agent), path, body("traversal", "trv_2"), 422},
		"an agent who has no such call": {d.signIn(d.person("other", ringfence.RoleAgent)), path, body("traversal", "trv_1"), 404},
		"nobody's file":                 {boss, "/v1/subjects/sub_00000000000000000000000009/changes", body(), 404},
		"no such target":                {boss, path, body("target", "cpt_00000000000000000000000009"), 404},
		"what is removed":               {boss, path, body("target", "cpt_00000000000000000000000002"), 404},
		"another sort of thing":         {boss, path, body("target", "aut_00000000000000000000000001"), 422},
		"an action that is no change":   {boss, path, body("action", "payment"), 422},
		"no such action":                {boss, path, body("action", "fly"), 422},
		"nothing named":                 {boss, path, map[string]any{"action": "remove_number"}, 422},
	} {
		if w := d.ask(one.who, "POST", one.path, one.body); w.Code != one.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, one.want)
		}
	}
	for name, w := range map[string]struct {
		who  *http.Cookie
		body map[string]any
	}{"a supervisor": {boss, body()}, "an agent on the call": {d.signIn(agent), body("traversal", "trv_1")}} {
		got := d.ask(w.who, "POST", path, w.body)
		if got.Code != http.StatusCreated || !strings.Contains(got.Body.String(), `"class":"C4"`) || !strings.Contains(got.Body.String(), `"state":"pending_evidence"`) {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	file := decode[struct {
		ContactPoints []struct{ Status string } `json:"contact_points"`
		Open          []struct{ Type string }
		Changes       []struct {
			Action string
			Does   []string
		}
	}](t, d.ask(boss, "GET", "/v1/subjects/"+string(fileSubject), nil))
	if len(file.Open) != 2 || file.ContactPoints[0].Status != "active" || len(file.Changes) < 2 || file.Changes[0].Does[0] != "removes_contact" {
		t.Errorf("%+v", file)
	}
}
