package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/web/problem"
)

// referencePolicy is stricter than that of the other pages: the reference has
// no script.
const referencePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp-report"

type (
	// apiReference is the API's description as the page shows it.
	apiReference struct {
		About    string
		Groups   []refGroup
		Schemas  []refSchema
		Problems []problem.Row
	}
	refGroup struct {
		Name       string
		Operations []refOperation
	}
	refOperation struct {
		ID, Method, Path, Summary, About string
		Person                           bool
		Scope                            string
		Parameters                       []refMember
		Bodies                           []refBody
	}
	// refBody is a request or one answer.
	refBody struct {
		What, About, Kind string
		Type              refType
		Example           string
	}
	refSchema struct {
		Name    string
		Members []refMember
	}
	refMember struct {
		Name, In, About, Bounds string
		Required                bool
		Type                    refType
	}
	// refType is a type; Link names the schema at its end, if it has one.
	refType struct{ Text, Link string }
)

// newReference reads the description.
func newReference(doc *huma.OpenAPI) apiReference {
	out := apiReference{About: doc.Info.Description, Problems: problem.Table[:]}
	groups := map[string][]refOperation{}
	for _, at := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, op := range operations(doc.Paths[at]) {
			groups[op.Tags[0]] = append(groups[op.Tags[0]], refer(op))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		out.Groups = append(out.Groups, refGroup{name, groups[name]})
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		one := refSchema{Name: name}
		for _, member := range slices.Sorted(maps.Keys(schemas[name].Properties)) {
			s := schemas[name].Properties[member]
			one.Members = append(one.Members, refMember{Name: member, About: s.Description, Bounds: bounds(s),
				Required: slices.Contains(schemas[name].Required, member), Type: typeName(s)})
		}
		out.Schemas = append(out.Schemas, one)
	}
	return out
}

func refer(op *huma.Operation) refOperation {
	out := refOperation{ID: cmp.Or(op.OperationID, op.Method+op.Path), Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description}
	for _, way := range op.Security {
		if scopes, ok := way["client"]; ok {
			out.Scope = strings.Join(scopes, ", ")
		}
		_, person := way["session"]
		out.Person = out.Person || person
	}
	for _, p := range op.Parameters {
		m := refMember{Name: p.Name, In: p.In, About: p.Description, Required: p.Required}
		if p.Schema != nil {
			m.Type, m.Bounds = typeName(p.Schema), bounds(p.Schema)
			m.About = cmp.Or(m.About, p.Schema.Description)
		}
		out.Parameters = append(out.Parameters, m)
	}
	if op.RequestBody != nil {
		out.Bodies = append(out.Bodies, bodies("Request", op.RequestBody.Description, op.RequestBody.Content)...)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		if status != "default" { // the problems stand once, at the end of the page
			out.Bodies = append(out.Bodies, bodies("Answer "+status, op.Responses[status].Description, op.Responses[status].Content)...)
		}
	}
	return out
}

func bodies(what, about string, content map[string]*huma.MediaType) []refBody {
	if len(content) == 0 {
		return []refBody{{What: what, About: about}}
	}
	var out []refBody
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		b := refBody{What: what, About: about, Kind: kind, Example: exampleJSON(content[kind].Example)}
		if content[kind].Schema != nil {
			b.Type = typeName(content[kind].Schema)
		}
		out = append(out, b)
	}
	return out
}

// exampleJSON writes an example as it travels; text is itself.
func exampleJSON(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("web: " + err.Error()) // made of JSON
	}
	return string(raw)
}

func typeName(s *huma.Schema) refType {
	switch {
	case s.Ref != "":
		return refType{Link: path.Base(s.Ref)}
	case s.Type == huma.TypeArray && s.Items != nil:
		of := typeName(s.Items)
		return refType{"array of " + of.Text, of.Link}
	}
	if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
		value := typeName(of)
		return refType{"object of " + value.Text, value.Link}
	}
	return refType{Text: cmp.Or(s.Format, s.Type, "any JSON")}
}

// bounds says in words what a value must keep to.
func bounds(s *huma.Schema) string {
	var out []string
	say := func(format string, v any) { out = append(out, fmt.Sprintf(format, v)) }
	for _, one := range s.Enum {
		say("%v", one)
	}
	if s.Pattern != "" {
		say("pattern %s", s.Pattern)
	}
	for format, n := range map[string]*int{"at least %d characters": s.MinLength, "at most %d characters": s.MaxLength, "at most %d items": s.MaxItems} {
		if n != nil {
			say(format, *n)
		}
	}
	if s.Minimum != nil {
		say("at least %v", *s.Minimum)
	}
	if s.Maximum != nil {
		say("at most %v", *s.Maximum)
	}
	if s.Enum == nil {
		slices.Sort(out)
	}
	return strings.Join(out, ", ")
}

// refList is a table of members under a name, for the template.
type refList struct {
	Of   string
	List []refMember
}

func listOf(name string, list []refMember) refList { return refList{name, list} }

// show answers with the page.
func (ref apiReference) show(s *Server) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", referencePolicy)
		s.page(w, r, "reference.html.tmpl", ref)
	}
}
