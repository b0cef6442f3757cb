package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// badHook makes a case of an announcement that must be refused with 4xx.
func badHook(name, what string, spoil func(k *Kit, h *hook)) testCase {
	return testCase{name, what, aWebhook, func(ctx context.Context, k *Kit) error {
		h := k.hook(k.good())
		spoil(k, &h)
		status, err := k.send(ctx, h)
		if err != nil {
			return nil // it hung up on it
		}
		if status < 400 || status > 499 {
			return fmt.Errorf("the webhook answers %d, want 4xx", status)
		}
		return k.ordinary(ctx)
	}}
}

func webhookCases() []testCase {
	stranger := ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret that nobody was ever given")))
	return []testCase{
		badHook("forged webhook signature", "refuses an announcement signed with another secret", func(_ *Kit, h *hook) { h.secret = stranger }),
		badHook("altered webhook", "refuses a body that was changed after it was signed", func(_ *Kit, h *hook) {
			h.alter = func(r *http.Request) { r.Header.Set(standardwebhooks.HeaderWebhookID, "evt_another") }
		}),
		badHook("unsigned webhook", "refuses an announcement without a signature", func(_ *Kit, h *hook) {
			h.alter = func(r *http.Request) { r.Header.Del(standardwebhooks.HeaderWebhookSignature) }
		}),
		badHook("old webhook", "refuses an announcement that is ten minutes old", func(_ *Kit, h *hook) { h.at = h.at.Add(-10 * time.Minute) }),
		badHook("webhook of the future", "refuses an announcement from ten minutes ahead", func(_ *Kit, h *hook) { h.at = h.at.Add(10 * time.Minute) }),
		badHook("oversize webhook", "refuses 1 MiB of announcement", func(_ *Kit, h *hook) {
			h.body = []byte(`{"type":"release.ready","data":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`)
		}),
		badHook("webhook that is no JSON", "refuses a body that is not JSON", func(_ *Kit, h *hook) { h.body = []byte("release.ready") }),
		{"webhook that carries an action", "never takes an action from a webhook", aWebhook, hookWithAction},
		{"webhook about another executor", "does not ask for what is not its own", aWebhook, hookForAnother},
		{"announcement without a release", "asks, is refused, and does nothing", aWebhook, hookTooEarly},
	}
}

// hookWithAction announces a release that is not ready, with everything that
// would be needed to do it.
func hookWithAction(ctx context.Context, k *Kit) error {
	r := k.good()
	k.gate.offer(r)
	k.gate.withdraw(r)
	h := k.hook(r)
	body, err := json.Marshal(map[string]any{"type": "release.ready", "data": map[string]any{"tenant": k.target.Tenant, "release": r.id, "executor": k.target.Name,
		"action": r.typ, "fields": r.fields, "canonical": r.canonical, "digest": r.digest, "state": "redeemed"}})
	if err != nil {
		return err
	}
	h.body = body
	if _, err := k.send(ctx, h); err != nil {
		return err
	}
	return k.nothingDone(ctx, r)
}

func hookForAnother(ctx context.Context, k *Kit) error {
	r := k.good()
	k.gate.offer(r)
	k.gate.withdraw(r)
	h := k.hook(r)
	h.body = []byte(strings.Replace(string(h.body), `"executor":"`+k.target.Name+`"`, `"executor":"another"`, 1))
	if _, err := k.send(ctx, h); err != nil {
		return err
	}
	if err := k.nothingDone(ctx, r); err != nil {
		return err
	}
	if r.seen().pulls > 0 {
		return errors.New("it asks for the permit of a release that was announced to another executor")
	}
	return nil
}

func hookTooEarly(ctx context.Context, k *Kit) error {
	r := k.good()
	k.gate.offer(r)
	k.gate.withdraw(r)
	if err := k.announce(ctx, r); err != nil {
		return err
	}
	return k.nothingDone(ctx, r)
}

func accessCases() []testCase {
	return []testCase{
		{"redirect", "does not carry its credential to wherever it is sent", nothing, redirected},
		{"works without a webhook", "finds what is ready by looking, when no announcement comes", nothing, func(ctx context.Context, k *Kit) error {
			r := k.good()
			k.gate.offer(r)
			return k.done(ctx, r, executor.Executed)
		}},
		{"proof of possession", "proves its own key, freshly, with every request of all cases", nothing, func(_ context.Context, k *Kit) error { return k.faults() }},
	}
}

// redirected answers a request for the permit by naming another address, and
// listens there.
func redirected(ctx context.Context, k *Kit) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var followed atomic.Bool
	trap := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Header.Get("DPoP") != "" {
			followed.Store(true)
		}
		http.NotFound(w, r)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = trap.Serve(ln) }() // ends with Close
	defer func() { trap.Close(); <-served }()
	r := k.good()
	r.pull = func(w http.ResponseWriter) bool {
		w.Header().Set("Location", "http://"+ln.Addr().String()+"/v1/releases/"+string(r.id)+"/permit")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	if err := k.wait(ctx, "a request for the permit", func() bool { return r.seen().pulls > 0 }); err != nil {
		return err
	}
	if err := k.nothingDone(ctx, r); err != nil {
		return err
	}
	if followed.Load() {
		return errors.New("it follows a redirect with its credential")
	}
	return nil
}
