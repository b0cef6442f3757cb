package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/stirshaken"
)

func TestMetricsStayOnLoopback(t *testing.T) {
	m := newMetrics(func() int { return 0 })
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		if ln, _, err := m.listen(addr); err == nil {
			ln.Close()
			t.Errorf("metrics were served on %s", addr)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := newMetrics(func() int { return 3 })
	m.Checked(stirshaken.StatusFailed, stirshaken.ReasonStale)
	m.CacheLookup(true)
	m.CacheLookup(false)
	m.Fetched(stirshaken.ReasonValid, 30*time.Millisecond)
	store := &ledgertest.Memory{}
	ctx := t.Context()
	if err := store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, e := range []ledger.Event{"release.held", "challenge.satisfied", "challenge.satisfied"} {
			if _, err := tx.Append(ctx, ledger.Entry{Event: e, Data: map[string]string{"to": "somebody"}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	next, err := m.count(ctx, store, ringfence.DefaultTenant, 1)
	if err != nil || next != 3 {
		t.Fatalf("counted to %d, %v; want 3", next, err)
	}
	ln, srv, err := m.listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	defer srv.Close()
	get := func(path string) (int, string) {
		t.Helper()
		res, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, _ := get("/"); code != 404 {
		t.Errorf("/ answered %d", code)
	}
	_, text := get("/metrics")
	for _, want := range []string{`ringfence_calls_live 3`, `ringfence_stir_checks_total{reason="` + string(stirshaken.ReasonStale) + `",status="failed"} 1`,
		`ringfence_stir_certificate_lookups_total{result="hit"} 1`, `ringfence_stir_fetch_seconds_bucket{reason="` + string(stirshaken.ReasonValid) + `",le="0.05"} 1`,
		`ringfence_events_total{event="challenge.satisfied"} 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "release.held") || strings.Contains(text, "somebody") {
		t.Error("an entry before the start, or what an entry says, is shown")
	}
}
