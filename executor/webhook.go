package executor

import (
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
)

// Announcement is the body of a webhook: a release is ready. It is never the
// action itself; it only wakes.
type Announcement struct {
	Type string `json:"type"` // release.ready
	Data struct {
		Tenant   ringfence.TenantID  `json:"tenant"`
		Release  ringfence.ReleaseID `json:"release"`
		Executor string              `json:"executor"`
	} `json:"data"`
}

// AnnounceReady is the type of the one announcement there is.
const AnnounceReady = "release.ready"

// Webhook returns the handler of the address that ringfence announces to. It
// verifies the Standard Webhooks signature and wakes Run, which pulls what is
// ready; it takes nothing else from the body, and an announcement that comes
// again wakes nobody. secret is "whsec_" and base64.
func (c *Client) Webhook(secret ringfence.Secret) (http.Handler, error) {
	text, ok := strings.CutPrefix(string(secret), "whsec_")
	if raw, err := base64.StdEncoding.DecodeString(text); !ok || err != nil || len(raw) < 24 {
		return nil, errors.New("executor: the secret of a webhook is whsec_ and the base64 of at least 24 random bytes")
	}
	sign, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		return nil, errors.New("executor: the secret of the webhook cannot be used")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(c.announced(r, sign)) }), nil
}

// announced judges one request and returns the status it is answered with.
func (c *Client) announced(r *http.Request, sign *standardwebhooks.Webhook) int {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWebhookBytes+1))
	switch {
	case err != nil:
		return http.StatusBadRequest
	case len(body) > maxWebhookBytes:
		return http.StatusRequestEntityTooLarge
	}
	if err := sign.Verify(body, r.Header); err != nil {
		return http.StatusUnauthorized
	}
	var a Announcement
	if err := oneReading(body, &a); err != nil {
		return http.StatusBadRequest
	}
	if a.Type != AnnounceReady || a.Data.Tenant != c.cfg.Tenant || a.Data.Executor != c.cfg.Name {
		return http.StatusNoContent // not for us, and nothing to try again
	}
	if !c.heard.first(r.Header.Get(standardwebhooks.HeaderWebhookID), time.Now()) {
		return http.StatusNoContent // sent again, by ringfence or by who overheard it
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return http.StatusNoContent
}

const (
	// heardLife is how long a signature is taken (five minutes each way), doubled.
	heardLife = 20 * time.Minute
	// mostHeard bounds what is remembered; an executor hears of far fewer.
	mostHeard = 4096
)

// heard remembers the announcements of late, so that one that is replayed makes
// nobody ask ringfence again and again. The zero value is ready.
type heard struct {
	mu sync.Mutex
	at map[string]time.Time // guarded by mu
}

// first reports whether an announcement is new.
func (h *heard) first(id string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, known := h.at[id]; known && now.Sub(at) < heardLife {
		return false
	}
	maps.DeleteFunc(h.at, func(_ string, at time.Time) bool { return now.Sub(at) >= heardLife || len(h.at) >= mostHeard })
	if h.at == nil {
		h.at = map[string]time.Time{}
	}
	h.at[id] = now
	return true
}
