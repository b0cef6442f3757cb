package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/web"
)

// TestWatchFromAnotherMachine follows a running log, rolls the store back
// under it, and wants the alarm.
func TestWatchFromAnotherMachine(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	g := newGateway(t, settings{})
	d := g.seed(ctx)
	auditor := g.newClient("", web.ScopeLedger)
	g.addClient(ctx, auditor.account)
	g.write("auditor.credential", []byte(auditor.credential))
	g.start(ctx)
	key, code := g.run("ledger", "key")
	if code != 0 {
		t.Fatal(key)
	}
	g.write("auditor.key", []byte(key))
	look := func() (string, int) {
		return g.run("ledger", "watch", "--once", "--url", g.staff(), "--key", "auditor.key", "--credential", "auditor.credential", "--state", "seen",
			"--cosign", "witness.pem", "--cosigned", "cosigned")
	}
	id := d.ready(ctx, t, "first")
	until(ctx, t, "a checkpoint", func() bool { _, err := os.Stat(g.path("outside/default.checkpoint")); return err == nil })
	if out, code := look(); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if cosigned, err := os.ReadFile(g.path("cosigned")); err != nil || !strings.Contains(string(cosigned), "— witness ") {
		t.Errorf("no cosignature: %v\n%s", err, cosigned)
	}
	g.stop(ctx)
	old, size := copyFolder(t, g.path("data")), len(g.entries(ctx))
	g.start(ctx)
	d.ready(ctx, t, "second")
	until(ctx, t, "the log to be seen growing", func() bool {
		out, code := look()
		if code != 0 {
			t.Fatalf("exit %d\n%s", code, out)
		}
		now, err := os.ReadFile(g.path("seen"))
		must(t, err)
		n, err := strconv.Atoi(strings.Split(string(now), "\n")[1])
		must(t, err)
		return n > size
	})
	g.stop(ctx)

	bundle, code := g.run("ledger", "export", "data", "log.jsonl")
	if code != 0 {
		t.Fatal(bundle)
	}
	if out, code := g.run("ledger", "verify", "--key", "auditor.key", "--checkpoint", "seen", "log.jsonl"); code != 0 {
		t.Errorf("the exported log: exit %d\n%s", code, out)
	}
	proof, code := g.run("ledger", "prove", "log.jsonl", "--key", "auditor.key", "--release", string(id))
	if code != 0 || strings.Count(proof, "\n") < 3 {
		t.Fatalf("exit %d\n%s", code, proof)
	}
	g.write("proof", []byte(proof))
	if out, code := g.run("ledger", "prove", "--check", "proof", "--key", "auditor.key"); code != 0 {
		t.Errorf("the proof: exit %d\n%s", code, out)
	}
	g.write("forged", []byte(strings.Replace(proof, `release.ready`, `release.denied`, 1)))
	if out, code := g.run("ledger", "prove", "--check", "forged", "--key", "auditor.key"); code != 1 {
		t.Errorf("a forged entry is proved: exit %d\n%s", code, out)
	}

	// The store is rolled back, with the copy of the checkpoint that the
	// gateway itself would have noticed it by.
	must(t, os.RemoveAll(g.path("data")))
	must(t, os.Rename(old, g.path("data")))
	must(t, os.RemoveAll(g.path("outside")))
	g.start(ctx)
	if out, code := look(); code != 1 || !strings.Contains(out, "ALARM") {
		t.Errorf("a rolled-back store: exit %d\n%s", code, out)
	}
	g.stop(ctx)
	if out, code := look(); code != 3 {
		t.Errorf("nobody there: exit %d\n%s", code, out)
	}
}
