package announce_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

var (
	secret = ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("twenty-four bytes or more")))
	home   = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	rel    = ringfence.ReleaseID("rel_00000000000000000000000001")
)

const tenant = ringfence.DefaultTenant

func sender(t *testing.T, store ledger.Store, e announce.Endpoint) *announce.Sender {
	t.Helper()
	s, err := announce.New(announce.Config{Store: store, Endpoints: []announce.Endpoint{e}, Look: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func owe(t *testing.T, store ledger.Store, s *announce.Sender, executor string) {
	t.Helper()
	if err := store.Update(t.Context(), tenant, func(tx ledger.Tx) error {
		return s.Owe(t.Context(), tx, announce.Ready{Tenant: tenant, Release: rel, Executor: executor, Until: time.Now().Add(time.Hour)})
	}); err != nil {
		t.Fatal(err)
	}
}

// run works until the one delivery stands as wanted, and returns it.
func run(t *testing.T, s *announce.Sender, want func(announce.Delivery) bool) announce.Delivery {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx, tenant) }()
	defer func() { stop(); <-done }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := s.Deliveries(ctx, tenant, announce.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && want(all[0]) {
			return all[0]
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it did not come to that: %+v", all)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := announce.Endpoint{Executor: "bank", URL: "https://core.example.com/hook", Secret: secret}
	for name, spoil := range map[string]func(*announce.Endpoint){
		"http off loopback": func(e *announce.Endpoint) { e.URL = "http://core.example.com/hook" },
		"no address":        func(e *announce.Endpoint) { e.URL = "" },
		"a user":            func(e *announce.Endpoint) { e.URL = "https://u:p@core.example.com/hook" },
		"a file":            func(e *announce.Endpoint) { e.URL = "file:///etc/passwd" },
		"no secret":         func(e *announce.Endpoint) { e.Secret = nil },
		"a short secret":    func(e *announce.Endpoint) { e.Secret = ringfence.Secret("whsec_c2hvcnQ=") },
	} {
		e := good
		spoil(&e)
		if _, err := announce.New(announce.Config{Endpoints: []announce.Endpoint{e}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestDelivered refuses twice before it answers: the same announcement comes
// again, signed each time, until it is taken.
func TestDelivered(t *testing.T) {
	sign, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	ids, bodies := make(chan string, 10), make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := sign.Verify(body, r.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
		ids <- r.Header.Get("webhook-id")
		bodies <- string(body)
		if calls.Add(1) < 2 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer s.Close()
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: s.URL, Secret: secret, Networks: home})
	owe(t, store, a, "shop") // has no endpoint
	owe(t, store, a, "bank")
	d := run(t, a, func(d announce.Delivery) bool { return d.State == announce.StateDelivered })
	if d.Tries != 2 || d.Attempts[0].Status != 502 || d.Attempts[1].Status != 200 || d.Release != rel {
		t.Errorf("have %+v", d)
	}
	if id := <-ids; id != d.ID || id != <-ids {
		t.Error("the second attempt has another id")
	}
	if body := <-bodies; body != <-bodies {
		t.Error("the second attempt has another body")
	}
	if _, err := a.Again(t.Context(), tenant, d.ID, "per_1"); err != nil {
		t.Error(err)
	}
	run(t, a, func(d announce.Delivery) bool { return d.Tries == 3 && d.State == announce.StateDelivered })
}

func TestAddressesThatAreNotPublicAreNotDialled(t *testing.T) {
	var reached atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer s.Close()
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: s.URL, Secret: secret})
	owe(t, store, a, "bank")
	d := run(t, a, func(d announce.Delivery) bool { return d.Tries > 0 })
	if reached.Load() || d.Attempts[0].Status != 0 || d.Attempts[0].Says == "" || d.State != announce.StatePending {
		t.Errorf("have %+v, reached %v; want no dial", d, reached.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Bool
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer trap.Close()
	s := httptest.NewServer(http.RedirectHandler(trap.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: s.URL, Secret: secret, Networks: home})
	owe(t, store, a, "bank")
	if d := run(t, a, func(d announce.Delivery) bool { return d.Tries > 0 }); reached.Load() || d.Attempts[0].Status != 307 {
		t.Errorf("have %+v, reached %v", d, reached.Load())
	}
}

func TestGoneIsTheEnd(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer s.Close()
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: s.URL, Secret: secret, Networks: home})
	owe(t, store, a, "bank")
	if d := run(t, a, func(d announce.Delivery) bool { return d.Tries > 0 }); d.State != announce.StateFailed {
		t.Errorf("have %+v, want failed", d)
	}
}

// TestNothingIsOwedByWhatDidNotHappen rolls the transaction back.
func TestNothingIsOwedByWhatDidNotHappen(t *testing.T) {
	store := &ledgertest.Memory{}
	a := sender(t, store, announce.Endpoint{Executor: "bank", URL: "https://core.example.com", Secret: secret})
	no := errors.New("no")
	err := store.Update(t.Context(), tenant, func(tx ledger.Tx) error {
		return errors.Join(a.Owe(t.Context(), tx, announce.Ready{Tenant: tenant, Release: rel, Executor: "bank", Until: time.Now().Add(time.Hour)}), no)
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if all, err := a.Deliveries(t.Context(), tenant, announce.Query{State: announce.StatePending}); err != nil || len(all) != 0 {
		t.Errorf("have %+v, %v; want nothing owed", all, err)
	}
}
