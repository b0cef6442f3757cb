package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/b2bua"
)

// joinIntake lets the edge know when the store is late, and shows how many calls
// it takes.
func (a *app) joinIntake(edge *b2bua.Config) {
	edge.Late = func() time.Duration { return a.runner.Lag() }
	a.metrics.reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ringfence_sip_setups_most",
			Help: "How many calls may be set up at once now; it falls while the process is late."}, func() float64 {
			most, _ := a.ua.Setups()
			return float64(most)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ringfence_sip_setups_refused_total",
			Help: "Calls that got 503 because as many as could be were being set up."}, func() float64 {
			_, refused := a.ua.Setups()
			return float64(refused)
		}), callsRefused{a})
}

// callsRefused shows how many calls met a cap on calls in progress.
type callsRefused struct{ a *app }

var callsRefusedDesc = prometheus.NewDesc("ringfence_sip_calls_refused_total",
	"Calls that were refused because as many as a cap allows were in progress, by the cap.", []string{"cap"}, nil)

func (callsRefused) Describe(ch chan<- *prometheus.Desc) { ch <- callsRefusedDesc }

func (c callsRefused) Collect(ch chan<- prometheus.Metric) {
	refused := c.a.ua.Refused()
	for _, of := range []b2bua.Cap{b2bua.CapAll, b2bua.CapTrunk, b2bua.CapSource, b2bua.CapTenant} {
		ch <- prometheus.MustNewConstMetric(callsRefusedDesc, prometheus.CounterValue, float64(refused[of]), string(of))
	}
}
