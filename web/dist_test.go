package web

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// build bundles the sources in memory, with the options that go generate
// uses.
func build(t testing.TB) map[string][]byte {
	t.Helper()
	const third, code = "./third_party/preact.js", "./third_party/codemirror.js"
	got := api.Build(api.BuildOptions{
		EntryPoints: []string{"src/console.tsx", "src/board.tsx", "src/history.tsx", "src/flows.tsx", "src/admin.tsx", "src/login.ts", "src/caller.ts", "src/softphone.ts", "src/console.css", "src/board.css", "src/history.css", "src/flows.css", "src/admin.css", "src/page.css", "src/reference.css"},
		Bundle:      true, External: []string{"/assets/*"}, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		LegalComments: api.LegalCommentsNone, Format: api.FormatESModule, Target: api.ES2022,
		JSX: api.JSXAutomatic, JSXImportSource: "preact",
		Alias: map[string]string{"preact": third, "preact/hooks": third, "preact/jsx-runtime": third, "@preact/signals": third,
			"@codemirror/state": code, "@codemirror/view": code, "@codemirror/commands": code, "@codemirror/language": code, "@codemirror/lang-yaml": code,
			"@codemirror/search": code, "@codemirror/autocomplete": code, "@lezer/highlight": code},
		Outdir: "dist", Write: false,
	})
	for _, m := range got.Errors {
		t.Errorf("esbuild: %s", m.Text)
	}
	out := map[string][]byte{}
	for _, f := range got.OutputFiles {
		out[filepath.Base(f.Path)] = f.Contents
	}
	return out
}

func TestDistIsFresh(t *testing.T) {
	for name, want := range build(t) {
		have, err := os.ReadFile(filepath.Join("dist", name))
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("dist/%s is stale: run go generate ./web", name)
		}
	}
}

// The pages are looked at on the telephone's own clock; they stay small.
func TestConsoleStaysInItsBudget(t *testing.T) {
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	for name, limit := range map[string]int{"console.js": 25 << 10, "board.js": 25 << 10, "history.js": 25 << 10, "login.js": 4 << 10, "caller.js": 5 << 10, "flows.js": 170 << 10, "softphone.js": 6 << 10, "admin.js": 30 << 10} {
		if n := len(a.files[name].zipped); n > limit {
			t.Errorf("%s is %d bytes gzipped, the budget is %d", name, n, limit)
		} else {
			t.Logf("%s: %d bytes gzipped", name, n)
		}
	}
}

// Every third-party file stands in SOURCES with its hash.
func TestThirdPartyIsWhatSourcesSays(t *testing.T) {
	list, err := os.ReadFile("third_party/SOURCES")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"preact.js", "codemirror.js", "axe.min.js"} {
		body, err := os.ReadFile(filepath.Join("third_party", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(list), hashSecret(string(body))) {
			t.Errorf("third_party/%s is not the file that SOURCES describes", name)
		}
	}
}
