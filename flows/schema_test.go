package flows

import (
	"bytes"

	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("flow.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("flow.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShippedSchemaIsFresh(t *testing.T) {
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../scripts/schema/flow.json", string(raw))
}

// What the loader accepts the schema accepts; what the loader refuses for its
// form (L4) the schema refuses too, but for the files named here.
func TestSchemaAgreesWithLoader(t *testing.T) {
	s := compiledSchema(t)
	valid := func(src []byte) (error, bool) {
		var v any
		if err := yaml.Unmarshal(src, &v); err != nil {
			return err, false
		}
		return s.Validate(jsonNumbers(v)), true
	}
	for _, f := range shipped(t).Files() {
		if f.Data == nil || f.Path == "policy.yaml" || strings.HasPrefix(f.Path, "prompts/") {
			continue
		}
		if err, _ := valid(f.Data); err != nil {
			t.Errorf("%s: the loader accepts it, the schema says %v", f.Path, err)
		}
	}
	cases, _ := filepath.Glob("testdata/lint/*.yaml")
	checked := 0
	// The form a schema cannot see: which key stands first, that choose offers
	// a key, and that a read-back has a text (confirm: given has none).
	blind := []string{"l8-confirm-none"}
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		fsys := caseFS(t, file)
		_, list := LoadDir(fsys)
		for path, f := range fsys {
			if path == "policy.yaml" || strings.HasPrefix(path, "prompts/") {
				continue
			}
			err, readable := valid(f.Data)
			if !readable {
				continue
			}
			form := slices.ContainsFunc(list, func(d Diagnostic) bool { return d.File == path && d.Code == "L4" })
			clean := !slices.ContainsFunc(list, func(d Diagnostic) bool { return d.File == path })
			switch {
			case form && err == nil && !slices.Contains(blind, name):
				t.Errorf("%s %s: the loader refuses its form, the schema accepts it", name, path)
			case clean && err != nil:
				t.Errorf("%s %s: the loader finds nothing, the schema says %v", name, path, err)
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("only %d files were compared", checked)
	}
}

// jsonNumbers turns what YAML decodes to into what JSON has: keys are strings.
func jsonNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = jsonNumbers(e)
		}
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			raw, _ := yaml.Marshal(k)
			out[strings.Trim(strings.TrimSpace(string(raw)), `"'`)] = jsonNumbers(e)
		}
		return out
	case []any:
		for i, e := range v {
			v[i] = jsonNumbers(e)
		}
	}
	return v
}
