package web

import (
	"context"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/web/importer"
)

func withPINs(t testing.TB) func(*Config) {
	t.Helper()
	m, err := pin.New(ringfence.Secret(strings.Repeat("p", 32)), pin.Cost{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.PINs = m }
}

func file(data string) map[string]any {
	return map[string]any{"format": "csv", "source": "CRM export", "data": data}
}

func TestImportsAreRefused(t *testing.T) {
	s := newStaffed(t)
	s.dana()
	ops, agent := s.signIn(s.person("Omar", ringfence.RoleOps)), s.signIn(s.person("Priya", ringfence.RoleAgent))
	good := file("kind,account\ncustomer,10002009\n")
	if w := s.ask(agent, "POST", "/v1/imports", good); w.Code != 403 {
		t.Errorf("an agent imported: %d", w.Code)
	}
	if w := s.ask(ops, "POST", "/v1/imports", map[string]any{"format": "xml", "source": "x", "data": ""}); w.Code != 422 {
		t.Errorf("a made-up format: %d", w.Code)
	}
	if w := s.ask(ops, "POST", "/v1/imports", file(strings.Repeat(" ", maxImportBody))); w.Code != 413 {
		t.Errorf("a file that is too large: %d", w.Code)
	}
	if w := s.ask(ops, "POST", "/v1/imports", file("kind,account,pin\ncustomer,10002009,random\n")); w.Code != 503 {
		t.Errorf("a PIN where none can be made: %d %s", w.Code, w.Body)
	}
	type answer struct {
		ID     string
		Report importer.Report
	}
	for _, bad := range []string{"kind,account\ncustomer,x\n", "kind,account\ncustomer,10002000\n"} { // the second is Dana's
		got := decode[answer](t, s.ask(ops, "POST", "/v1/imports", file(bad)))
		if got.ID != "" || len(got.Report.Faults) != 1 || got.Report.Faults[0].Line != 2 {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if list := decode[struct{ Imports []importView }](t, s.ask(ops, "GET", "/v1/imports", nil)); len(list.Imports) != 0 {
		t.Errorf("a file with faults is kept: %+v", list)
	}
	kept := decode[answer](t, s.ask(ops, "POST", "/v1/imports", good))
	if kept.ID == "" {
		t.Fatalf("%+v", kept)
	}
	forged := map[string]any{"ceremony": strings.Repeat("0", 32), "response": map[string]any{}}
	if w := s.ask(ops, "POST", "/v1/imports/"+kept.ID+"/finish", forged); w.Code != 422 {
		t.Errorf("a made-up signature: %d %s", w.Code, w.Body)
	}
	if w := s.ask(agent, "POST", "/v1/imports/"+kept.ID+"/discard", nil); w.Code != 403 {
		t.Errorf("an agent dropped it: %d", w.Code)
	}
	if w := s.ask(ops, "POST", "/v1/imports/"+kept.ID+"/discard", nil); w.Code != 204 {
		t.Errorf("discard: %d", w.Code)
	}
	if w := s.ask(ops, "POST", "/v1/imports/"+kept.ID+"/begin", nil); w.Code != 404 {
		t.Errorf("a dropped import can be signed: %d", w.Code)
	}
}

// What waits is bounded, and so is how often a file is read.
func TestImportsThatWaitAreFew(t *testing.T) {
	d := newDesktop(t)
	ops := d.signIn(d.person("Omar", ringfence.RoleOps))
	d.loads = &limiter{every: 1, burst: 100}
	for i := range maxImports + 1 {
		w := d.ask(ops, "POST", "/v1/imports", file("kind,account\ncustomer,1000200"+string(rune('0'+i%10))+"\n"))
		if want := map[bool]int{true: 409, false: 200}[i == maxImports]; w.Code != want {
			t.Fatalf("import %d: %d %s", i, w.Code, w.Body)
		}
	}
	d.loads = &limiter{every: 1 << 40, burst: 1}
	d.ask(ops, "POST", "/v1/imports", file("kind\n"))
	if w := d.ask(ops, "POST", "/v1/imports", file("kind\n")); w.Code != 429 {
		t.Errorf("no limit: %d", w.Code)
	}
}

// A PIN that is made is never part of its subject's own numbers.
func TestFirstPINAvoidsOwnNumbers(t *testing.T) {
	d := newDesktop(t, withPINs(t))
	own := []string{"44770090091700011122233344455566677788899"}
	for range 20 {
		clear, record, err := d.firstPIN(t.Context(), own)
		if err != nil || pin.Judge(clear, own...) != "" || len(record) == 0 {
			t.Fatalf("%v", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.firstPIN(ended, own); err == nil {
		t.Error("made after the end")
	}
}
