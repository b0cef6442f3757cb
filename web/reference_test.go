package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
)

// Every operation shows what it takes and what it answers, and what is shown
// keeps to the operation's own schema.
func TestOpenAPIHasExamples(t *testing.T) {
	doc := newDesktop(t).routes.doc
	if missing := illustrate(doc); len(missing) > 0 {
		t.Errorf("examples.json has no value for %v", missing)
	}
	check := func(t *testing.T, what string, mode huma.ValidateMode, content map[string]*huma.MediaType) {
		for kind, media := range content {
			if kind == "audio/wav" || kind == "application/vnd.tcpdump.pcap" {
				continue // bytes
			}
			if text := exampleJSON(media.Example); text == "" || text == "{}" {
				t.Errorf("%s has no example in %s", what, kind)
			} else if kind == "application/json" {
				keepsTo(t, what, doc.Components.Schemas, media.Schema, mode, text)
			}
		}
	}
	count := 0
	for path, item := range doc.Paths {
		for _, op := range operations(item) {
			count++
			t.Run(op.Method+" "+path, func(t *testing.T) {
				if op.RequestBody != nil {
					check(t, "the request", huma.ModeWriteToServer, op.RequestBody.Content)
				}
				for status, answer := range op.Responses {
					check(t, "answer "+status, huma.ModeReadFromServer, answer.Content)
				}
			})
		}
	}
	if count < 100 {
		t.Errorf("%d operations only", count)
	}
}

func keepsTo(t *testing.T, what string, schemas huma.Registry, s *huma.Schema, mode huma.ValidateMode, text string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	var found huma.ValidateResult
	huma.Validate(schemas, s, huma.NewPathBuffer(nil, 0), mode, v, &found)
	for _, err := range found.Errors {
		t.Errorf("%s: %v", what, err)
	}
}

// A member for which nobody wrote an example down is named.
func TestOpenAPINamesWhatHasNoExample(t *testing.T) {
	doc := &huma.OpenAPI{Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)}, Paths: map[string]*huma.PathItem{}}
	s := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"no_such_member": {Type: huma.TypeString}}}
	doc.Paths["/v1/x"] = &huma.PathItem{Get: &huma.Operation{Path: "/v1/x", Responses: map[string]*huma.Response{"200": {Content: map[string]*huma.MediaType{"application/json": {Schema: s}}}}}}
	if got := illustrate(doc); len(got) != 1 {
		t.Errorf("missing %v", got)
	}
}

// The reference is for whoever has signed in, has no script, loads nothing from
// elsewhere, and shows every operation, scope, problem and schema; its own links lead somewhere.
func TestReferenceShowsTheDescription(t *testing.T) {
	d := newDesktop(t)
	if w := d.ask(nil, "GET", "/reference", nil); w.Code != http.StatusSeeOther {
		t.Errorf("answered %d to nobody", w.Code)
	}
	w := d.ask(d.signIn(d.person("Ada", ringfence.RoleAuditor)), "GET", "/reference", nil)
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if w.Code != 200 || !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "script-src") {
		t.Fatalf("answered %d with the policy %q", w.Code, policy)
	}
	for _, no := range []string{"<script", "style=", "http://", "//cdn", "<no value>", "ZgotmplZ"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	want := []string{"urn:ringfence:problem:held"}
	for _, r := range access {
		if method, path, _ := strings.Cut(r.pattern, " "); strings.HasPrefix(path, "/v1/") && path != "/v1/openapi.json" {
			want = append(want, `<span class="method">`+method+`</span> <code>`+path+`</code>`)
		}
	}
	for _, scope := range scopes {
		want = append(want, "the scope <code>"+string(scope)+"</code>")
	}
	for _, part := range want {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	for _, part := range strings.Split(page, `href="#`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		if strings.Count(page, `id="`+id+`"`) != 1 {
			t.Errorf("#%s leads to %d places", id, strings.Count(page, `id="`+id+`"`))
		}
	}
}
