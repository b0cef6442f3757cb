package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// TestFollowWakesForOtherNodes writes an entry as another node would and reads
// on from where the log ended.
func TestFollowWakesForOtherNodes(t *testing.T) {
	a, err := newApp(t.Context(), testConfig(t, nil), appOptions{Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.store.Close()
	next, err := a.followed(t.Context(), ringfence.DefaultTenant, -1)
	if err != nil {
		t.Fatal(err)
	}
	woken, stop := a.gate.Watch("rel_of_another_node")
	defer stop()
	if err := a.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Append(t.Context(), ledger.Entry{Event: "release.ready", Release: "rel_of_another_node", Challenge: "chl_none"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if at, err := a.followed(t.Context(), ringfence.DefaultTenant, next); err != nil || at != next+1 {
		t.Errorf("goes on at %d, %v; want %d", at, err, next+1)
	}
	select {
	case <-woken:
	default:
		t.Error("nobody was woken")
	}
}

// unfit is a store that says no.
type unfit struct{ truth }

func (unfit) Fit() error { return http.ErrServerClosed }

func TestHealthSaysWhenTheNodeIsNotFit(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for name, c := range map[string]struct {
		store truth
		path  string
		want  int
	}{
		"unfit":          {unfit{}, "/healthz", http.StatusServiceUnavailable},
		"another page":   {unfit{}, "/", http.StatusOK},
		"nothing to say": {nil, "/healthz", http.StatusOK},
	} {
		w := httptest.NewRecorder()
		(&app{store: c.store}).whenFit(inner).ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}
