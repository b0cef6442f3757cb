package web

import (
	"strings"
	"testing"
)

// Every route of the API stands in its description, with a summary, and says
// who may use it.
func TestDescriptionIsComplete(t *testing.T) {
	d := newDesktop(t)
	w := d.ask(nil, "GET", "/v1/openapi.json", nil)
	doc := decode[struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary  string
			Security []map[string][]string
		}
	}](t, w)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	for _, r := range access {
		method, path, _ := strings.Cut(r.pattern, " ")
		if !strings.HasPrefix(path, "/v1/") || path == "/v1/openapi.json" {
			continue
		}
		op, ok := doc.Paths[path][strings.ToLower(method)]
		if !ok || op.Summary == "" {
			t.Errorf("%s is not described", r.pattern)
			continue
		}
		if r.open != (len(op.Security) == 0) {
			t.Errorf("%s: security %v", r.pattern, op.Security)
		}
	}
}
