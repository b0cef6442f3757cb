package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// ready opens a harmless action and asks for it, so that an executor has
// something to do.
func (d directory) ready(ctx context.Context, t testing.TB, title string) ringfence.ReleaseID {
	t.Helper()
	var out struct {
		ID     ringfence.ReleaseID
		Digest string
	}
	must(t, d.opener.do(ctx, "POST", "/v1/actions", "open "+title, map[string]any{"type": "brochure", "subject": d.subject, "fields": map[string]string{"title": title}}, &out))
	must(t, d.opener.do(ctx, "POST", "/v1/releases/"+string(out.ID)+"/release", "release "+title, map[string]any{"digest": out.Digest}, nil))
	return out.ID
}

// addClient stores one more service account while the program does not run.
func (g *gateway) addClient(ctx context.Context, c web.Client) {
	g.t.Helper()
	g.allow(ctx, func(store ledger.Store) {
		must(g.t, store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
			return ledger.Write(ctx, tx, &ledger.Record{Kind: "client", ID: c.ID, Sort: time.Now().UnixNano()}, c)
		}))
	})
}

// TestIntegrateWithCurl runs the commands of docs/integrate.md as they stand
// there, against the real program.
func TestIntegrateWithCurl(t *testing.T) {
	t.Parallel()
	needs(t, "curl", "curl")
	needs(t, "openssl", "openssl")
	ctx := within(t, 2*time.Minute)
	doc, err := os.ReadFile("../../docs/integrate.md")
	must(t, err)
	_, part, _ := strings.Cut(string(doc), "## With curl")
	_, script, _ := strings.Cut(part, "```sh\n")
	script, _, ok := strings.Cut(script, "```")
	if !ok {
		t.Fatal("docs/integrate.md has no commands")
	}
	g := newGateway(t, settings{})
	d := g.seed(ctx)
	thumb, code := g.run("executor", "key", "bank.pem")
	if code != 0 {
		t.Fatal(thumb)
	}
	c := g.newClient("bank", web.ScopeExecute, web.ScopeReleases)
	c.account.Key = strings.TrimSpace(thumb)
	g.addClient(ctx, c.account)
	g.start(ctx)
	id := d.ready(ctx, t, "by curl")
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = g.set.Dir
	cmd.Env = append(os.Environ(), "RINGFENCE="+g.staff(), "CREDENTIAL="+c.credential)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `by curl`) {
		t.Errorf("%v\n%s", err, out)
	}
	g.stop(ctx)
	for _, e := range g.entries(ctx) {
		if e.Release == id && e.Event == "release.executed" {
			return
		}
	}
	t.Error("the commands ran, and the release was not executed")
}

// hookSecret signs announcements to the bank.
const hookSecret = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb3IgbW9yZQ=="

// booking is a system that does everything.
type booking struct{ done chan executor.Action }

func (b booking) Perform(_ context.Context, a executor.Action) (executor.Outcome, error) {
	b.done <- a
	return executor.Executed, nil
}

func (b booking) Performed(context.Context, executor.Action) (executor.Outcome, error) {
	return executor.Unknown, nil
}

// TestOurExecutor runs the library against the real program.
func TestOurExecutor(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	var hook atomic.Pointer[http.Handler]
	announced := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := hook.Load(); h != nil {
			(*h).ServeHTTP(w, r)
		}
	}))
	defer announced.Close()
	g := newGateway(t, settings{Hook: announced.URL})
	d := g.seed(ctx)
	g.start(ctx)
	journal, err := executor.OpenJournal(g.path("journal.jsonl"))
	must(t, err)
	defer journal.Close()
	client, err := executor.New(executor.Config{URL: g.staff(), Name: "bank", Issuer: "e2e", Credential: ringfence.Secret(d.bank.credential), Key: d.bank.key,
		Journal: journal, Poll: time.Hour}) // only the webhook wakes it
	must(t, err)
	defer client.Close()
	h, err := client.Webhook(ringfence.Secret(hookSecret))
	must(t, err)
	hook.Store(&h)
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	b := booking{done: make(chan executor.Action, 10)}
	go func() { ended <- client.Run(run, b) }()
	id := d.ready(ctx, t, "by the library")
	select {
	case a := <-b.done:
		if a.Release != id || a.Fields["title"] != "by the library" {
			t.Errorf("have %+v, want release %s", a, id)
		}
	case <-ctx.Done():
		t.Fatal(context.Cause(ctx))
	}
	until(ctx, t, "the report", func() bool {
		var r struct{ State string }
		must(t, d.opener.do(ctx, http.MethodGet, "/v1/releases/"+string(id), "", nil, &r))
		return r.State == "executed"
	})
	stop()
	if err := <-ended; run.Err() == nil {
		t.Errorf("Run ended by itself: %v", err)
	}
	g.stop(ctx)
	if out, code := g.run("reconcile", "journal.jsonl", "data", "--executor", "bank"); code != 0 {
		t.Errorf("the journal does not agree: exit %d\n%s", code, out)
	}
}

// TestReconcile redeems and tells nobody what came of it, and brings a journal
// with an act that nobody released.
func TestReconcile(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	g := newGateway(t, settings{})
	d := g.seed(ctx)
	g.start(ctx)
	id := d.ready(ctx, t, "redeemed and forgotten")
	var p struct{ Permit string }
	must(t, d.bank.do(ctx, "POST", "/v1/releases/"+string(id)+"/permit", "permit of it", map[string]any{}, &p))
	must(t, d.bank.do(ctx, "POST", "/v1/permits/redeem", "redeem it", map[string]any{"permit": p.Permit}, nil))
	line := map[string]any{"release": "none", "permit": "", "digest": "", "outcome": "executed", "at": time.Now().UTC()}
	journal := map[string]any{"from": time.Now().Add(-time.Hour).UTC(), "to": time.Now().Add(time.Hour).UTC(), "lines": []any{line}}
	var report struct {
		Findings []struct{ What, Grave, Release string }
	}
	must(t, d.bank.do(ctx, "POST", "/v1/reconciliations", "the journal of today", journal, &report))
	if len(report.Findings) != 2 || report.Findings[0].What != "change_without_release" || report.Findings[1].What != "redeemed_without_journal" || report.Findings[1].Release != string(id) {
		t.Errorf("have %+v", report)
	}
	var r struct{ State string }
	must(t, d.opener.do(ctx, http.MethodGet, "/v1/releases/"+string(id), "", nil, &r))
	if r.State != "exec_unknown" {
		t.Errorf("the release stands at %s, want exec_unknown", r.State)
	}
	var again struct{ Permit string }
	if err := d.bank.do(ctx, "POST", "/v1/releases/"+string(id)+"/permit", "another key", map[string]any{}, &again); err == nil {
		t.Error("a release of unknown outcome got another permit")
	}
	g.stop(ctx)
	if g.count(ctx, "alert.raised") != 1 {
		t.Errorf("%d alerts, want one for the change without a release", g.count(ctx, "alert.raised"))
	}
	g.write("empty.jsonl", nil)
	if out, code := g.run("reconcile", "empty.jsonl", "data", "--executor", "bank", "--to", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); code != 1 || !strings.Contains(out, "redeemed_without_journal") {
		t.Errorf("offline: exit %d\n%s", code, out)
	}
}
