package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// Result is how one case went.
type Result struct {
	Case    string `json:"case"`
	What    string `json:"what"`
	Outcome string `json:"outcome"` // passed, failed, not run
	Says    string `json:"says,omitempty"`
}

// The outcomes of a case.
const (
	Passed = "passed"
	Broken = "failed"
	NotRun = "not run"
)

// Kit runs the cases against one target.
type Kit struct {
	target Target
	gate   *Gateway
	client *http.Client
}

// New returns a kit, or says what of the target is missing. Serve the Gateway
// at the address that the executor is pointed to, then Run.
func New(t Target) (*Kit, error) {
	if err := t.complete(); err != nil {
		return nil, err
	}
	k := &Kit{target: t, client: &http.Client{Timeout: 15 * time.Second}}
	k.gate = newGateway(&k.target)
	return k, nil
}

// Gateway is the ringfence that the kit plays.
func (k *Kit) Gateway() *Gateway { return k.gate }

// Cases lists the cases by name, in order.
func Cases() []string {
	var names []string
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}

// Run asks every question whose name only admits (all of them for nil), and
// tells each answer as it comes. An executor that does not do a good release
// to begin with is asked nothing more.
func (k *Kit) Run(ctx context.Context, only func(name string) bool, told func(Result)) []Result {
	var out []Result
	tell := func(r Result) {
		out = append(out, r)
		if told != nil {
			told(r)
		}
	}
	for i, c := range cases() {
		if only != nil && !only(c.name) && i > 0 {
			continue
		}
		r := Result{Case: c.name, What: c.what, Outcome: Passed}
		if missing := c.needs.missing(&k.target); missing != "" {
			r.Outcome, r.Says = NotRun, missing
		} else if err := c.run(ctx, k); err != nil {
			r.Outcome, r.Says = Broken, err.Error()
		}
		tell(r)
		if i == 0 && r.Outcome == Broken || ctx.Err() != nil {
			break
		}
	}
	return out
}

// need is what a case cannot be asked without.
type need int

const (
	nothing need = iota
	aWebhook
	aRestart
	aFailure
	aDoubt
)

func (n need) missing(t *Target) string {
	switch {
	case n == aWebhook && t.Webhook == "":
		return "no webhook was named"
	case n == aRestart && t.Restart == nil:
		return "no way to restart the executor was named"
	case n == aFailure && t.Fails == nil:
		return "no action that fails was named"
	case n == aDoubt && t.Doubts == nil:
		return "no action of unknown outcome was named"
	default:
		return ""
	}
}

// good makes a release that has nothing wrong.
func (k *Kit) good() *release { return newRelease(&k.target, k.target.Fields) }

// wait returns when yes does, or says after the patience what did not happen.
func (k *Kit) wait(ctx context.Context, what string, yes func() bool) error {
	ctx, stop := context.WithTimeout(ctx, k.target.Patience)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-k.gate.bell:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not happen within %s", what, k.target.Patience)
		}
	}
	return nil
}

// pause waits, for acts that must not come.
func (k *Kit) pause(ctx context.Context) {
	t := time.NewTimer(k.target.Settle)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// acts are the lines of the executor's journal about a release.
func (k *Kit) acts(ctx context.Context, id ringfence.ReleaseID) ([]Act, error) {
	all, err := k.target.Journal(ctx)
	if err != nil {
		return nil, fmt.Errorf("the journal cannot be read: %w", err)
	}
	return slices.DeleteFunc(all, func(l Act) bool { return l.Release != id }), nil
}

// offer makes a release ready and announces it.
func (k *Kit) offer(ctx context.Context, r *release) error {
	k.gate.offer(r)
	return k.announce(ctx, r)
}

// announce sends release.ready, and expects to be heard.
func (k *Kit) announce(ctx context.Context, r *release) error {
	if k.target.Webhook == "" {
		return nil
	}
	status, err := k.send(ctx, k.hook(r))
	if err != nil {
		return fmt.Errorf("the webhook cannot be reached: %w", err)
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("the webhook answers %d to a good announcement", status)
	}
	return nil
}

// hook is one announcement, before it is signed.
type hook struct {
	id     string
	at     time.Time
	body   []byte
	secret ringfence.Secret
	alter  func(*http.Request)
}

func (k *Kit) hook(r *release) hook {
	body, err := json.Marshal(map[string]any{"type": "release.ready", "timestamp": time.Now().UTC(),
		"data": map[string]any{"tenant": k.target.Tenant, "release": r.id, "executor": k.target.Name}})
	if err != nil {
		panic("conformance: " + err.Error()) // strings only
	}
	return hook{id: ringfence.NewID[string](ringfence.PrefixEvent), at: time.Now(), body: body, secret: k.target.Secret}
}

func (k *Kit) send(ctx context.Context, h hook) (int, error) {
	sign, err := standardwebhooks.NewWebhook(string(h.secret))
	if err != nil {
		return 0, err
	}
	signature, err := sign.Sign(h.id, h.at, h.body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.target.Webhook, bytes.NewReader(h.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, h.id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(h.at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if h.alter != nil {
		h.alter(req)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// done waits for the report of a release and wants exactly one act with the
// digest that was permitted.
func (k *Kit) done(ctx context.Context, r *release, want executor.Outcome) error {
	if err := k.wait(ctx, "the report of the release", func() bool { return len(r.seen().reports) > 0 }); err != nil {
		return errors.Join(err, k.faults())
	}
	s := r.seen()
	if got := s.reports[len(s.reports)-1]; got != want {
		return fmt.Errorf("it reports %q, want %q", got, want)
	}
	return k.once(ctx, r, want)
}

// once wants exactly one act.
func (k *Kit) once(ctx context.Context, r *release, want executor.Outcome) error {
	acts, err := k.acts(ctx, r.id)
	if err != nil {
		return err
	}
	switch {
	case len(acts) != 1:
		return fmt.Errorf("its journal has %d acts for this release, want one", len(acts))
	case acts[0].Digest != r.digest:
		return errors.New("its journal has another digest: it did not do what was released")
	case acts[0].Fields != nil && !maps.Equal(acts[0].Fields, r.fields):
		return errors.New("its journal has other fields than those that were released")
	case acts[0].Outcome != want:
		return fmt.Errorf("its journal says %q, want %q", acts[0].Outcome, want)
	default:
		return nil
	}
}

// ordinary does a good release from beginning to end.
func (k *Kit) ordinary(ctx context.Context) error {
	r := k.good()
	if err := k.offer(ctx, r); err != nil {
		return err
	}
	return k.done(ctx, r, executor.Executed)
}

// nothingDone wants no act and no report of one for r, after the executor has
// had time and did a good release beside it.
func (k *Kit) nothingDone(ctx context.Context, r *release) error {
	if err := k.ordinary(ctx); err != nil {
		return fmt.Errorf("a good release after it: %w", err)
	}
	k.pause(ctx)
	k.gate.withdraw(r)
	acts, err := k.acts(ctx, r.id)
	if err != nil {
		return err
	}
	for _, a := range acts {
		if a.Outcome != executor.Failed {
			return fmt.Errorf("it acted: its journal says %q", a.Outcome)
		}
	}
	if s := r.seen(); slices.Contains(s.reports, executor.Executed) {
		return errors.New("it reports that it acted")
	}
	return nil
}

// faults are the requests so far that a real ringfence would not have taken.
func (k *Kit) faults() error {
	k.gate.mu.Lock()
	defer k.gate.mu.Unlock()
	if len(k.gate.faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d requests would have been refused, the first: %s", len(k.gate.faults), k.gate.faults[0])
}
