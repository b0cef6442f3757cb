package executor

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
)

var hookKey = ringfence.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))

func hooked(t *testing.T) (*Client, http.Handler) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := OpenJournal(t.TempDir() + "/j")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	c, err := New(Config{URL: "http://127.0.0.1:1", Name: "bank", Credential: ringfence.Secret("x"), Key: key, Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Webhook(hookKey)
	if err != nil {
		t.Fatal(err)
	}
	return c, h
}

func announcement(tenant ringfence.TenantID, name, typ string) string {
	return fmt.Sprintf(`{"type":%q,"data":{"tenant":%q,"release":"rel_00000000000000000000000000","executor":%q}}`, typ, tenant, name)
}

// announces sends a signed announcement and reports its status and whether Run
// was woken by it. tamper changes the request once it is signed.
func announces(t *testing.T, c *Client, h http.Handler, id string, at time.Time, body string, tamper func(*http.Request)) (status int, woken bool) {
	t.Helper()
	sign, err := standardwebhooks.NewWebhook(string(hookKey))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sign.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	r.Header.Set("webhook-signature", signature)
	if tamper != nil {
		tamper(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	select {
	case <-c.wake:
		woken = true
	default:
	}
	return w.Code, woken
}

func TestWebhookRefuses(t *testing.T) {
	c, h := hooked(t)
	now := time.Now()
	good := announcement(c.cfg.Tenant, "bank", AnnounceReady)
	if status, woken := announces(t, c, h, "msg_good", now, good, nil); status != 204 || !woken {
		t.Fatalf("a good one: %d, woken %v", status, woken)
	}
	for name, k := range map[string]struct {
		at     time.Time
		body   string
		tamper func(*http.Request)
		want   int
	}{
		"an old one":          {at: now.Add(-6 * time.Minute), want: 401},
		"one of the future":   {at: now.Add(6 * time.Minute), want: 401},
		"of another id":       {tamper: func(r *http.Request) { r.Header.Set("webhook-id", "msg_other") }, want: 401},
		"of another time":     {tamper: func(r *http.Request) { r.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()-60)) }, want: 401},
		"without an id":       {tamper: func(r *http.Request) { r.Header.Del("webhook-id") }, want: 401},
		"without a time":      {tamper: func(r *http.Request) { r.Header.Del("webhook-timestamp") }, want: 401},
		"without a signature": {tamper: func(r *http.Request) { r.Header.Del("webhook-signature") }, want: 401},
		"an empty signature":  {tamper: func(r *http.Request) { r.Header.Set("webhook-signature", "v1,") }, want: 401},
		"another version": {tamper: func(r *http.Request) {
			r.Header.Set("webhook-signature", strings.Replace(r.Header.Get("webhook-signature"), "v1,", "v2,", 1))
		}, want: 401},
		"another body":         {tamper: func(r *http.Request) { r.Body = http.NoBody }, want: 401},
		"a GET":                {tamper: func(r *http.Request) { r.Method = http.MethodGet }, want: 405},
		"another tenant's":     {body: announcement("ten_other", "bank", AnnounceReady), want: 204},
		"another executor's":   {body: announcement(c.cfg.Tenant, "mirror", AnnounceReady), want: 204},
		"of another type":      {body: announcement(c.cfg.Tenant, "bank", "release.executed"), want: 204},
		"with two readings":    {body: strings.Replace(good, `"type"`, `"type":"x","type"`, 1), want: 400},
		"with something after": {body: good + "{}", want: 400},
		"no JSON":              {body: "release.ready", want: 400},
		"a megabyte":           {body: good + strings.Repeat(" ", 1<<20), want: 413},
	} {
		t.Run(name, func(t *testing.T) {
			if k.at.IsZero() {
				k.at = now
			}
			if k.body == "" {
				k.body = good
			}
			if status, woken := announces(t, c, h, "msg_"+name, k.at, k.body, k.tamper); status != k.want || woken {
				t.Errorf("answered %d, woken %v; want %d and asleep", status, woken, k.want)
			}
		})
	}
}

// Who overhears an announcement and sends it again, in whatever order, makes
// nobody ask ringfence for anything.
func TestReplayedWebhookWakesNobody(t *testing.T) {
	c, h := hooked(t)
	now, body := time.Now(), announcement(c.cfg.Tenant, "bank", AnnounceReady)
	for i, want := range []struct {
		id    string
		woken bool
	}{{"msg_1", true}, {"msg_1", false}, {"msg_2", true}, {"msg_1", false}, {"msg_2", false}, {"msg_3", true}, {"msg_1", false}} {
		if status, woken := announces(t, c, h, want.id, now, body, nil); status != 204 || woken != want.woken {
			t.Errorf("%d, %s: answered %d, woken %v", i, want.id, status, woken)
		}
	}
}

func TestHeardForgets(t *testing.T) {
	var h heard
	now := time.Now()
	if !h.first("a", now) || h.first("a", now.Add(heardLife-1)) || !h.first("a", now.Add(heardLife)) {
		t.Error("an announcement is not remembered for its life, or for longer")
	}
	for i := range 3 * mostHeard {
		if !h.first(fmt.Sprint(i), now) || len(h.at) > mostHeard {
			t.Fatalf("%d: %d are remembered", i, len(h.at))
		}
	}
}
