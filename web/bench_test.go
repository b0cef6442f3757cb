package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

// BenchmarkEventToScreen changes one of 200 live calls and waits until 50
// consoles of supervisors have been sent it; it reports the slowest console's
// median and 95th percentile.
func BenchmarkEventToScreen(b *testing.B) {
	calls := &fakeCalls{}
	for i := range 200 {
		id := ringfence.TraversalID(fmt.Sprintf("trv_%026d", i))
		calls.change(id, func(c *ringfence.LiveCall) { northwind("per_x")(c); c.Traversal = id })
	}
	store := &ledgertest.Memory{}
	s := &Server{cfg: Config{Calls: calls, Store: store}, boards: boards{calls: calls}}
	boss := ringfence.Person{ID: "per_00000000000000000000000001", Roles: []ringfence.Role{ringfence.RoleSupervisor}, Status: ringfence.StatusActive}
	if err := store.Update(b.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		rec := ledger.Record{Kind: ledger.KindPerson, ID: string(boss.ID)}
		return ledger.Write(b.Context(), tx, &rec, boss)
	}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var consoles sync.WaitGroup
	const n = 50
	arrived := make(chan time.Time, n)
	ready := make(chan struct{}, n)
	for range n {
		w := &screen{ResponseRecorder: httptest.NewRecorder(), ready: ready, arrived: arrived}
		consoles.Go(func() {
			p := principal{tenant: ringfence.DefaultTenant, person: boss, at: time.Now(), session: sessionRow{ID: "x"}}
			s.streamCalls(ctx, &stream{w: w, ctl: http.NewResponseController(w)}, p)
		})
	}
	for range n {
		<-ready
	}
	var slowest []time.Duration
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		calls.change(ringfence.TraversalID(fmt.Sprintf("trv_%026d", i%200)), func(c *ringfence.LiveCall) { c.Playing = fmt.Sprintf("mark %d", i) })
		var last time.Time
		for range n {
			last = <-arrived
		}
		slowest = append(slowest, last.Sub(began))
	}
	b.StopTimer()
	cancel()
	consoles.Wait()
	slices.Sort(slowest)
	b.ReportMetric(float64(slowest[len(slowest)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(slowest[len(slowest)*95/100].Microseconds())/1000, "p95-ms")
}

// screen is a console that tells when a marked call was flushed to it.
type screen struct {
	*httptest.ResponseRecorder
	ready   chan struct{}
	arrived chan time.Time
	marked  int
}

func (s *screen) Write(b []byte) (int, error) {
	text := string(b)
	if strings.HasPrefix(text, "event: ready") {
		s.ready <- struct{}{}
	}
	if strings.Contains(text, `"playing":"mark`) {
		s.marked++
	}
	return len(b), nil
}

func (s *screen) Flush() {
	for ; s.marked > 0; s.marked-- {
		s.arrived <- time.Now()
	}
}
