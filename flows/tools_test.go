package flows

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestReadAndMapOfShippedFlows(t *testing.T) {
	b := shipped(t)
	for _, f := range b.Flows() {
		golden(t, "testdata/read/"+f.Name+".txt", f.Read())
		golden(t, "testdata/map/"+f.Name+".mmd", f.Mermaid(MapOptions{}))
		svg := f.SVG(MapOptions{Cover: NewCoverage(b)})
		dec := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		}
		g := arrange(f)
		for i, a := range g.nodes { // no two boxes overlap
			for _, o := range g.nodes[i+1:] {
				if a.scene >= 0 && o.scene >= 0 && a.x < o.x+o.w && o.x < a.x+a.w && a.y < o.y+o.h && o.y < a.y+a.h {
					t.Errorf("%s: boxes %d and %d overlap", f.Name, a.scene, o.scene)
				}
			}
		}
	}
	f, _ := b.Flow("customer-line")
	golden(t, "testdata/map/customer-line.svg", f.SVG(MapOptions{}))
}

func TestFormat(t *testing.T) {
	tests := []struct{ name, have, want string }{
		{"colon", "- say: Note: this", "- say: \"Note: this\"\n"},
		{"hash", "    - ask: Press # now", "    - ask: \"Press # now\"\n"},
		{"brace", "- say: {customer.balance} is it", "- say: \"{customer.balance} is it\"\n"},
		{"not", "- if: !got.pin", "- if: \"!got.pin\"\n"},
		{"star", "      *: b", "      \"*\": b\n"},
		{"good stays", "- say: Welcome. It's \"here\".", "- say: Welcome. It's \"here\".\n"},
		{"quoted stays", "- say: \"a: b\"   ", "- say: \"a: b\"\n"},
		{"comment of a setting stays", "      silent: to_agent           # why", "      silent: to_agent           # why\n"},
		{"block stays", "about: >\n  a: b # c\nflow: x", "about: >\n  a: b # c\nflow: x\n"},
		{"continued text stays", "- say: one: two\n    three", "- say: one: two\n    three\n"},
		{"tabs and blanks", "\t- hangup  \r\n\n\n\n", "  - hangup\n"},
		{"both quotes", `- say: he said: "it's"`, "- say: 'he said: \"it''s\"'\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(Format([]byte(tt.have)))
			if got != tt.want {
				t.Errorf("have %q\nwant %q", got, tt.want)
			}
			if again := string(Format([]byte(got))); again != got {
				t.Errorf("a second time changes it: %q", again)
			}
		})
	}
}

// Shipped scripts are formatted, and a formatted script means the same.
func TestShippedScriptsAreFormatted(t *testing.T) {
	for _, f := range shipped(t).Files() {
		if f.Data != nil && !bytes.Equal(Format(f.Data), f.Data) {
			t.Errorf("%s: run ringfence flow fmt", f.Path)
		}
	}
}

func TestCanonicalBundle(t *testing.T) {
	b := shipped(t)
	raw := b.Canonical()
	again, list := ReadBundle(raw)
	if again == nil {
		t.Fatal(list)
	}
	if again.Hash() != b.Hash() || !bytes.Equal(again.Canonical(), raw) {
		t.Error("a bundle read back has another name")
	}
	for name, bad := range map[string][]byte{
		"empty":     nil,
		"cut":       raw[:len(raw)-1],
		"more":      append(bytes.Clone(raw), 0),
		"no magic":  raw[1:],
		"long name": append([]byte(bundleMagic), 0xff, 0xff, 0xff, 0xff),
	} {
		if got, list := ReadBundle(bad); got != nil || len(list) == 0 {
			t.Errorf("%s: a bundle that is none was read", name)
		}
	}
}

func TestLoadFilesRefuses(t *testing.T) {
	files := shipped(t).Files()
	if b, list := LoadFiles(files); b == nil || b.Hash() != shipped(t).Hash() {
		t.Errorf("the same files are another bundle: %v", list)
	}
	for name, bad := range map[string]File{
		"a stranger":  {Path: "x.txt", Data: []byte("x")},
		"no content":  {Path: "x.yaml"},
		"a parent":    {Path: "../x.yaml", Data: []byte("flow: x\n")},
		"twice there": files[len(files)-1],
	} {
		if b, list := LoadFiles(append(files[:len(files):len(files)], bad)); b != nil || len(list) == 0 {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestSkeletonKeepsTranslations(t *testing.T) {
	files := shipped(t).Files()
	for i, f := range files {
		if f.Path == "accounts-line.yaml" {
			files[i].Data = bytes.Replace(f.Data, []byte("Acme accounts. I will"), []byte("Acme. I will"), 1)
		}
	}
	have, list := Skeleton(files, "de")
	if len(list) != 0 {
		t.Error(list)
	}
	for _, want := range []string{"- text: Goodbye.\n  de: Auf Wiederhören.\n", "# customer-line\n", "- text: Welcome to Acme. I will put you through.\n  de: \"\"\n"} {
		if !strings.Contains(have, want) {
			t.Errorf("the skeleton lacks %q", want)
		}
	}
}
