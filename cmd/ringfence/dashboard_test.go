package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence/b2bua/record"
	"github.com/ringfence/ringfence/ledger"
)

// series are the names under which the program's metrics are scraped.
func series(t *testing.T) map[string]bool {
	t.Helper()
	m := newMetrics(func() int { return 0 })
	m.attending(func() record.Counts { return record.Counts{} }, nil)
	described := make(chan *prometheus.Desc, 1000)
	m.reg.Describe(described)
	close(described)
	named := regexp.MustCompile(`fqName: "([^"]+)"`)
	out := map[string]bool{}
	for d := range described {
		name := named.FindStringSubmatch(d.String())[1]
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			out[name+suffix] = true
		}
	}
	if len(out) < 40 {
		t.Fatalf("only %d series are known", len(out))
	}
	return out
}

var (
	metricName = regexp.MustCompile(`\bringfence_[a-z0-9_]+`)
	eventName  = regexp.MustCompile(`event="([a-z_.]+)"`)
)

// judge reports names in an expression that nothing gives.
func judgeExpr(t *testing.T, where, expr string, have map[string]bool) {
	t.Helper()
	names := metricName.FindAllString(expr, -1)
	if len(names) == 0 {
		t.Errorf("%s: %q names no metric", where, expr)
	}
	for _, n := range names {
		if !have[n] {
			t.Errorf("%s: there is no metric %s", where, n)
		}
	}
	for _, m := range eventName.FindAllStringSubmatch(expr, -1) {
		if !ledger.Event(m[1]).Valid() {
			t.Errorf("%s: there is no event %s", where, m[1])
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		t.Errorf("%s: brackets of %q", where, expr)
	}
}

func TestTheDashboardShowsMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/grafana/ringfence.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	have, ids, shown := series(t), map[int]bool{}, ""
	for _, p := range board.Panels {
		if ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("panel %q has no id of its own or shows nothing", p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			judgeExpr(t, p.Title, target.Expr, have)
			shown += target.Expr
		}
	}
	if board.UID == "" || len(board.Panels) < 10 {
		t.Errorf("%d panels", len(board.Panels))
	}
	for name := range have { // nothing that is measured is kept from people
		if !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") &&
			strings.HasPrefix(name, "ringfence_leg_") && !strings.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestAlertsAskForMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/prometheus/ringfence.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	have, seen := series(t), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			judgeExpr(t, r.Alert, r.Expr, have)
			if r.Alert == "" || seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("rule %+v", r)
			}
			seen[r.Alert] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts", len(seen))
	}
}
