package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/stirshaken"
)

// metrics counts for monitoring. Every label comes from a closed set: no
// number, name or id of a person or a call is one.
type metrics struct {
	reg     *prometheus.Registry
	checks  *prometheus.CounterVec   // status, reason
	cache   *prometheus.CounterVec   // result: hit, miss
	fetches *prometheus.HistogramVec // reason
	entries *prometheus.CounterVec   // event
	*mediaMetrics
}

// newMetrics makes the counters; calls tells how many calls are live.
func newMetrics(calls func() int) *metrics {
	m := &metrics{
		reg: prometheus.NewRegistry(),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_stir_checks_total",
			Help: "Calls whose STIR/SHAKEN signatures were checked, by outcome."}, []string{"status", "reason"}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_stir_certificate_lookups_total",
			Help: "Certificates that were needed, by whether they were at hand."}, []string{"result"}),
		fetches: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ringfence_stir_fetch_seconds",
			Help: "How long certificates took to fetch and judge, by outcome.", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2, 4}}, []string{"reason"}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_events_total",
			Help: "Entries of the ledger since the start, by event: releases and challenges by what became of them, among others."}, []string{"event"}),
	}
	m.mediaMetrics = newMediaMetrics(m.reg)
	m.reg.MustRegister(m.checks, m.cache, m.fetches, m.entries,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ringfence_calls_live", Help: "Calls in progress."},
			func() float64 { return float64(calls()) }))
	return m
}

// Checked implements stirshaken.Observer.
func (m *metrics) Checked(status stirshaken.Status, reason stirshaken.Reason) {
	m.checks.WithLabelValues(string(status), string(reason)).Inc()
}

// CacheLookup implements stirshaken.Observer.
func (m *metrics) CacheLookup(hit bool) {
	result := "miss"
	if hit {
		result = "hit"
	}
	m.cache.WithLabelValues(result).Inc()
}

// Fetched implements stirshaken.Observer.
func (m *metrics) Fetched(reason stirshaken.Reason, took time.Duration) {
	m.fetches.WithLabelValues(string(reason)).Observe(took.Seconds())
}

// countEvery is how often new entries are counted.
const countEvery = 2 * time.Second

// count counts a tenant's entries from the one with this index on and returns
// the index of the next.
func (m *metrics) count(ctx context.Context, store ledger.Store, tenant ringfence.TenantID, from int64) (int64, error) {
	for {
		var page []ledger.Entry
		err := store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
			page, err = tx.Entries(ctx, ledger.EntryQuery{From: from, Limit: ledger.MaxPage})
			return err
		})
		if err != nil || len(page) == 0 {
			return from, err
		}
		for _, e := range page {
			if e.Event.Valid() {
				m.entries.WithLabelValues(string(e.Event)).Inc()
			}
			from = e.Index + 1
		}
	}
}

// run counts a tenant's entries that are new since it began.
func (m *metrics) run(ctx context.Context, a *app, tenant ringfence.TenantID) {
	var from int64
	if err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		from, err = tx.Size(ctx)
		return err
	}); err != nil {
		a.log.Error("events not counted", "tenant", string(tenant), "err", err)
		return
	}
	every := time.NewTicker(countEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		next, err := m.count(ctx, a.store, tenant, from)
		if err != nil && ctx.Err() == nil {
			a.log.Error("events not counted", "tenant", string(tenant), "err", err)
		}
		from = next
	}
}

// listen binds web.metrics, if it is set: loopback only, which the check of
// the configuration has seen to and is seen to here again.
func (m *metrics) listen(addr string) (net.Listener, *http.Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	if at, ok := ln.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		_ = ln.Close()
		return nil, nil, fmt.Errorf("%s is not on loopback", addr)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return ln, &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}, nil
}
