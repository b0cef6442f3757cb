package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
	"github.com/ringfence/ringfence/web"
)

// ready opens a harmless action and asks for it, so that an executor has
// something to do.
func (d directory) ready(ctx context.Context, t *testing.T, title string) ringfence.ReleaseID {
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
	g.allow(ctx, func(store *sqlite.Store) {
		must(g.t, store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
			return ledger.Write(ctx, tx, &ledger.Record{Kind: "client", ID: c.ID, Sort: time.Now().UnixNano()}, c)
		}))
	})
}

// TestIntegrateWithCurl runs the commands of docs/integrate.md as they stand
// there, against the real program.
func TestIntegrateWithCurl(t *testing.T) {
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
	ctx := within(t, 2*time.Minute)
	g := newGateway(t, settings{})
	d := g.seed(ctx)
	g.start(ctx)
	journal, err := executor.OpenJournal(g.path("journal.jsonl"))
	must(t, err)
	defer journal.Close()
	client, err := executor.New(executor.Config{URL: g.staff(), Name: "bank", Issuer: "e2e", Credential: ringfence.Secret(d.bank.credential), Key: d.bank.key,
		Journal: journal, Poll: 50 * time.Millisecond})
	must(t, err)
	defer client.Close()
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
}
