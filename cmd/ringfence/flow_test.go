package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// told runs a command line and returns its exit status and standard output.
// Standard streams belong to the process, so these tests do not run side by
// side.
func told(t *testing.T, typed string, args ...string) (int, string) {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte(typed), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	oldIn, oldOut := os.Stdin, os.Stdout
	os.Stdin, os.Stdout = stdin, stdout
	code := run(args)
	os.Stdin, os.Stdout = oldIn, oldOut
	stdin.Close()
	stdout.Close()
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return code, string(raw)
}

func TestFlowCommands(t *testing.T) {
	dir := t.TempDir()
	pol, err := os.ReadFile("../../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad")
	os.MkdirAll(bad, 0o755)
	os.WriteFile(filepath.Join(bad, "policy.yaml"), pol, 0o644)
	os.WriteFile(filepath.Join(bad, "f.yaml"), []byte("flow: f\nstarts: inbound\nscenes:\n  a:\n    - say: Note: this\n"), 0o644)
	junit, svg, saved := filepath.Join(dir, "junit.xml"), filepath.Join(dir, "map.svg"), filepath.Join(dir, "saved.yaml")
	tests := []struct {
		name  string
		typed string
		args  []string
		code  int
		want  string
	}{
		{"lint of a bad set", "", []string{"lint", bad}, 1, "f.yaml:5:12 Y2 a text with a colon must be quoted [- say: \"Note: this\"]\n"},
		{"lint of a bad set as JSON", "", []string{"lint", "--json", bad}, 1, `"code": "Y2"`},
		{"lint of nothing", "", []string{"lint", filepath.Join(dir, "none")}, 2, ""},
		{"a bad set is not tested", "", []string{"test", bad}, 1, ""},
		{"an unknown flow", "", []string{"read", "nope"}, 2, ""},
		{"a misspelt world", "", []string{"sim", "customer-line", "--world", "pasky=none"}, 2, ""},
		{"fmt --check", "", []string{"fmt", "--check", bad}, 1, "f.yaml"},
		{"a misused flag", "", []string{"test", "--run", "("}, 2, ""},
		{"lint of the shipped set", "", []string{"lint"}, 0, ""},
		{"lint of the shipped set as JSON", "", []string{"lint", "--json"}, 0, `"ok": true`},
		{"tests", "", []string{"test", "--cover", "--junit", junit}, 0, " tests, 0 failed"},
		{"some tests", "", []string{"test", "--run", "star stops it", "-v"}, 0, "keys: ****"},
		{"tests as JSON", "", []string{"test", "--json", "--run", "star stops it"}, 0, `"passed": true`},
		{"read", "", []string{"read", "customer-line"}, 0, "On 0 go to “To agent”."},
		{"map", "", []string{"map", "customer-line", "--cover", "-o", svg}, 0, ""},
		{"mermaid", "", []string{"map", "customer-line", "--mermaid"}, 0, "flowchart TD"},
		{"strings", "", []string{"strings", "--lang", "fr"}, 0, "- text: Goodbye.\n  fr: \"\"\n"},
		{"strings as JSON", "", []string{"strings", "--json"}, 0, `"language": "de"`},
		{"diff of the same", "", []string{"diff", "--json", "../../scripts", "../../scripts"}, 0, "[]"},
		{"diff with a bad set", "", []string{"diff", "../../scripts", bad}, 1, ""},
		{"route without a configuration", "", []string{"route", "442079460000", "-c", filepath.Join(dir, "none.yaml")}, 2, ""},
		{"route", "", []string{"route", "+44 20 7946 0000", "-c", "ringfence.yaml", "../../scripts"}, 0, "flow:     customer-line"},
		{"route of a number of nobody", "", []string{"route", "123", "-c", "ringfence.yaml", "../../scripts"}, 1, "matches no line"},
		{"sim", "10002000\n482137\n0\n", []string{"sim", "customer-line", "--save", saved}, 0, "ends: connect customer_service"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := told(t, tt.typed, append([]string{"flow"}, tt.args...)...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit %d, want %d; said:\n%s\nwant %q", code, tt.code, out, tt.want)
			}
			if strings.Contains(strings.Join(tt.args, " "), "--json") && !json.Valid([]byte(out)) {
				t.Errorf("this is not JSON:\n%s", out)
			}
		})
	}
	for _, file := range []string{junit, svg, saved} {
		if raw, err := os.ReadFile(file); err != nil || len(raw) == 0 {
			t.Errorf("%s was not written: %v", file, err)
		}
	}
}

// A file of translations is written in place, and keeps what it holds.
func TestFlowStringsWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "prompts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"policy.yaml", "accounts-line.yaml"} {
		raw, err := os.ReadFile(filepath.Join("../../scripts", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "prompts", "de.yaml")
	if err := os.WriteFile(file, []byte("- text: Nobody can take your call now. Please call again later. Goodbye.\n  de: Niemand da.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out := told(t, "", "flow", "strings", dir, "--lang", "de", "--write"); code != 0 || out != "" {
		t.Fatalf("exit %d: %s", code, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(raw), "de: Niemand da.") || !strings.Contains(string(raw), "Welcome to Acme accounts. I will put you through.\n  de: \"\"") {
		t.Errorf("%v:\n%s", err, raw)
	}
	if code, out := told(t, "", "flow", "strings", dir, "--write"); code != 2 || out != "" {
		t.Errorf("without a language: exit %d: %s", code, out)
	}
	if code, out := told(t, "", "flow", "strings", dir, "--lang", "../x", "--write"); code != 1 || out != "" {
		t.Errorf("a language that is a path: exit %d: %s", code, out)
	}
}
