package conformance_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
	"github.com/ringfence/ringfence/executor/conformance"
)

const name = "corebank"

var (
	credential = ringfence.Secret("default.cli_00000000000000000000000000.a-secret-for-tests-only")
	secret     = ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("twenty-four bytes or more")))
	fields     = map[string]string{"payee": "Nova", "amount": "25000 GBP", "account": "11223344"}
	failing    = map[string]string{"payee": "Nova", "amount": "25000 GBP", "account": "00000000"}
	doubtful   = map[string]string{"payee": "Nova", "amount": "25000 GBP", "account": "99999999"}
)

// ours is the project's own client behind a webhook, with a system that books.
type ours struct {
	t       *testing.T
	base    string // of the gateway
	journal string
	key     *ecdsa.PrivateKey

	mu      sync.Mutex // guards what follows
	handler http.Handler
	stop    func()
}

func (o *ours) Perform(_ context.Context, a executor.Action) (executor.Outcome, error) {
	switch a.Fields["account"] {
	case failing["account"]:
		return executor.Failed, nil
	case doubtful["account"]:
		return executor.Unknown, nil
	}
	return executor.Executed, nil
}

func (o *ours) Performed(context.Context, executor.Action) (executor.Outcome, error) {
	return executor.Unknown, nil
}

// start opens the journal and runs, as the process would after a boot.
func (o *ours) start() error {
	journal, err := executor.OpenJournal(o.journal)
	if err != nil {
		return err
	}
	client, err := executor.New(executor.Config{URL: o.base, Name: name, Credential: credential, Key: o.key, Journal: journal, Poll: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	hook, err := client.Webhook(secret)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = client.Run(ctx, o) }() // it ends with stop
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handler = hook
	o.stop = func() { cancel(); <-done; client.Close(); journal.Close() }
	return nil
}

func (o *ours) restart(context.Context) error {
	o.mu.Lock()
	stop := o.stop
	o.handler = http.NotFoundHandler()
	o.mu.Unlock()
	// The kit asks from inside an answer that the client waits for: cut off
	// first, as a crash is, then boot.
	go func() {
		stop()
		if err := o.start(); err != nil {
			o.t.Error(err)
		}
	}()
	return nil
}

func (o *ours) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	h := o.handler
	o.mu.Unlock()
	h.ServeHTTP(w, r)
}

// TestOurClientPasses asks the project's own client everything.
func TestOurClientPasses(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := &ours{t: t, key: key, journal: filepath.Join(t.TempDir(), "journal"), handler: http.NotFoundHandler()}
	hook := httptest.NewServer(o)
	defer hook.Close()
	kit, err := conformance.New(conformance.Target{Name: name, Credential: credential, Webhook: hook.URL, Secret: secret, Type: "payment", Fields: fields,
		Fails: failing, Doubts: doubtful, Journal: conformance.JournalAt(o.journal), Restart: o.restart, Patience: time.Minute, Settle: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(kit.Gateway())
	defer gateway.Close()
	o.base = gateway.URL
	if err := o.start(); err != nil {
		t.Fatal(err)
	}
	defer func() { o.stop() }()
	results := kit.Run(t.Context(), nil, nil)
	if len(results) != len(conformance.Cases()) || len(results) < 25 {
		t.Errorf("%d of %d cases were asked", len(results), len(conformance.Cases()))
	}
	for _, r := range results {
		if r.Outcome != conformance.Passed {
			t.Errorf("%s: %s: %s", r.Case, r.Outcome, r.Says)
		}
	}
}
