package web

import (
	_ "embed"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/web/problem"
)

// examplesJSON holds one value for every member of the API's bodies, by its
// name, by "Schema.name" where the name means something else there, or by
// "Schema" where the members must fit each other.
//
//go:embed examples.json
var examplesJSON []byte

// The examples of what is not JSON, by media type.
var rawExamples = map[string]string{
	"text/plain":        "ringfence.example.com/default\n1204\nq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n\n— ringfence.example.com/default made+up\n",
	"application/jsonl": "{\"index\":0,\"event\":\"traversal.began\"}\n{\"index\":1,\"event\":\"release.requested\"}\n",
	"text/event-stream": "id: 1204\nevent: release.requested\ndata: {\"index\":1204,\"event\":\"release.requested\"}\n\n",
}

// exampleTime stands for every time in the examples.
const exampleTime = "2026-03-02T09:30:00Z"

// illustrator gives every body of the description an example.
type illustrator struct {
	known   map[string]any
	schemas huma.Registry
	missing []string
}

// illustrate puts the examples and the tags into the description, and returns
// the members for which examples.json has no value: a test wants none.
func illustrate(doc *huma.OpenAPI) []string {
	i := &illustrator{known: map[string]any{}, schemas: doc.Components.Schemas}
	if err := json.Unmarshal(examplesJSON, &i.known); err != nil {
		panic("web: examples.json: " + err.Error()) // our own file
	}
	for _, item := range doc.Paths {
		for _, op := range operations(item) {
			op.Tags = []string{strings.Split(op.Path, "/")[2]}
			if op.RequestBody != nil {
				i.content(op.RequestBody.Content, true)
			}
			for _, answer := range op.Responses {
				i.content(answer.Content, false)
			}
		}
	}
	slices.Sort(i.missing)
	return slices.Compact(i.missing)
}

// operations are those of one path, by the order in which they are shown.
func operations(item *huma.PathItem) []*huma.Operation {
	return slices.DeleteFunc([]*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete},
		func(op *huma.Operation) bool { return op == nil })
}

func (i *illustrator) content(all map[string]*huma.MediaType, request bool) {
	for kind, media := range all {
		switch raw, ok := rawExamples[kind]; {
		case ok:
			media.Example = raw
		case kind == "application/problem+json":
			media.Example = problem.New(problem.NotFound, "")
		case kind == "application/json" && media.Schema != nil:
			media.Example = i.of(media.Schema, place{request: request})
		}
	}
}

// place is where in a body an example is wanted.
type place struct {
	owner, name string // of the member; empty for the body itself
	request     bool
	above       []string // the schemas around it: none is shown inside itself
}

func (i *illustrator) of(s *huma.Schema, at place) any {
	switch {
	case s.Ref != "" && slices.Contains(at.above, s.Ref):
		return nil
	case s.Ref != "":
		at.owner, at.above = path.Base(s.Ref), append(slices.Clip(at.above), s.Ref)
		if whole, ok := i.known[at.owner]; ok {
			return whole
		}
		return i.of(i.schemas.SchemaFromRef(s.Ref), at)
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Format == "date-time":
		return exampleTime
	case len(s.Properties) > 0:
		return i.object(s, at)
	}
	return i.plain(s, at)
}

// object shows every member of an answer, and those of a request that must be
// there, if any must: the others may exclude each other.
func (i *illustrator) object(s *huma.Schema, at place) any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if at.request && len(s.Required) > 0 && !slices.Contains(s.Required, name) {
			continue
		}
		at.name = name
		if v := i.of(s.Properties[name], at); v != nil {
			out[name] = v
		}
	}
	return out
}

// plain is the example of a value, a list or a map. A member without
// a value is left out, and named.
func (i *illustrator) plain(s *huma.Schema, at place) any {
	if v := i.named(s, at); v != nil {
		return v
	}
	switch s.Type {
	case huma.TypeBoolean:
		return false
	case huma.TypeInteger, huma.TypeNumber:
		return 1.0
	case huma.TypeArray:
		if v := i.of(s.Items, at); v != nil {
			return []any{v}
		}
		return []any{}
	}
	i.missing = append(i.missing, at.owner+"."+at.name)
	return nil
}

// named looks the value up that has the schema's type; of a list, one value
// serves as well.
func (i *illustrator) named(s *huma.Schema, at place) any {
	if s.Items != nil && s.Items.Ref != "" {
		return nil
	}
	for _, key := range []string{at.owner + "." + at.name, at.name} {
		v, ok := i.known[key]
		if list, is := v.([]any); is && s.Type == huma.TypeString && len(list) > 0 {
			v = list[0]
		}
		if ok && (s.Type == "" || s.Type == typeOf(v)) || s.Type == huma.TypeInteger && typeOf(v) == huma.TypeNumber {
			return v
		}
	}
	return nil
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return huma.TypeString
	case float64:
		return huma.TypeNumber
	case bool:
		return huma.TypeBoolean
	case []any:
		return huma.TypeArray
	}
	return huma.TypeObject
}
