package executor_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// core is the system that moves money. A real one keeps its bookings in the
// database that it books in, under the release id.
type core struct {
	mu   sync.Mutex
	book map[ringfence.ReleaseID]string
}

// Perform books. Failed only when it is certain that nothing was done.
func (c *core) Perform(_ context.Context, a executor.Action) (executor.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Type != "payment" {
		return executor.Failed, nil
	}
	c.book[a.Release] = a.Fields["amount"] + " to " + a.Fields["account"]
	return executor.Executed, nil
}

// Performed looks up what became of a booking that a crash interrupted.
func (c *core) Performed(_ context.Context, a executor.Action) (executor.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.book[a.Release] != "" {
		return executor.Executed, nil
	}
	return executor.Failed, nil
}

// An executor: it does what was released, once, and reports it.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	block, _ := pem.Decode([]byte(os.Getenv("BANK_KEY"))) // openssl genpkey -algorithm ed25519
	if block == nil {
		return // nothing configured
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	journal, err := executor.OpenJournal("journal.jsonl")
	if err != nil {
		log.Fatal(err)
	}
	defer journal.Close()
	client, err := executor.New(executor.Config{URL: "https://ringfence.example.com", Name: "bank", Key: key.(ed25519.PrivateKey),
		Credential: ringfence.Secret(os.Getenv("BANK_CREDENTIAL")), Journal: journal})
	if err != nil {
		log.Fatal(err)
	}
	hook, err := client.Webhook(ringfence.Secret(os.Getenv("BANK_WEBHOOK_SECRET")))
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:9090", hook)) }() // behind your TLS
	log.Print(client.Run(ctx, &core{book: map[ringfence.ReleaseID]string{}}))
	// Output:
}
