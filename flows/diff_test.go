package flows

import (
	"bytes"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	old := shipped(t)
	if same := Diff(old, shipped(t)); len(same) != 0 {
		t.Errorf("the same bundle differs: %v", same)
	}
	tests := []struct {
		name, file, from, to string
		want                 []string
	}{
		{"a text", "accounts-line.yaml", "Welcome to Acme accounts.", "Welcome.", []string{
			"accounts-line/welcome: now: Say: “Welcome. I will put you through.”",
			"accounts-line/welcome: no longer: Say: “Welcome to Acme accounts. I will put you through.”"}},
		{"an edge", "customer-line.yaml", "      silent: to_agent           # a silent passkey never opens a weaker way\n", "      silent: by_code\n",
			[]string{"If they stay silent 3 times, go to “By code”."}},
		{"a text that asks for a code", "is-this-you.yaml", "This is Acme accounts.", "This is the bank.", []string{
			"LOOSER is-this-you: a text that asks for a code or a yes is new in en: This is the bank."}},
		{"a translation of one", "prompts/de.yaml", "Hier ist Acme. Wir rufen Sie", "Guten Tag. Wir rufen Sie", []string{
			"LOOSER callback-bank-change: a text that asks for a code or a yes is spoken otherwise in de"}},
		{"a policy", "policy.yaml", "payments_desk: [pin]", "payments_desk: []", []string{"LOOSER policy ", "payments_desk"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := old.Files()
			for i, f := range files {
				if f.Path == tt.file {
					files[i].Data = bytes.Replace(f.Data, []byte(tt.from), []byte(tt.to), 1)
					if strings.Contains(tt.name, "a text") { // whose translation is stale now
						files[i].Data = bytes.Replace(files[i].Data, []byte("translations: [de]\n"), nil, 1)
					}
				}
			}
			next, list := LoadFiles(files)
			if next == nil {
				t.Fatal(list)
			}
			var have strings.Builder
			for _, c := range Diff(old, next) {
				have.WriteString(c.String() + "\n")
			}
			for _, want := range tt.want {
				if !strings.Contains(have.String(), want) {
					t.Errorf("have:\n%swant %q", have.String(), want)
				}
			}
		})
	}
}
