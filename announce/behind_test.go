package announce_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

// As many announcements as one look sends are refused and wait for another try:
// the one behind them is sent all the same.
func TestWhatIsRetriedHoldsUpNobody(t *testing.T) {
	const before = 100
	last := fmt.Sprintf("rel_%026d", before)
	arrived := make(chan struct{}, 1)
	var refused atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), last) {
			refused.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		select {
		case arrived <- struct{}{}:
		default:
		}
	}))
	defer s.Close()
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: s.URL, Secret: secret, Networks: home})
	owed := func(from, to int) {
		t.Helper()
		err := store.Update(t.Context(), tenant, func(tx ledger.Tx) error {
			for i := from; i < to; i++ {
				r := announce.Ready{Tenant: tenant, Release: ringfence.ReleaseID(fmt.Sprintf("rel_%026d", i)), Executor: "bank", Until: time.Now().Add(time.Hour)}
				if err := a.Owe(t.Context(), tx, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	owed(0, before)
	owed(before, before+1)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx, tenant) }()
	defer func() { stop(); <-done }()
	select {
	case <-arrived:
	case <-ctx.Done():
		t.Fatalf("it was never sent; %d others were", refused.Load())
	}
}
