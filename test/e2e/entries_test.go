package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// entries reads the whole log of a folder, without its keys, as an auditor does.
func (g *gateway) entries(ctx context.Context) []ledger.Entry {
	g.t.Helper()
	if g.set.Postgres != "" {
		return g.entriesOfStore(ctx)
	}
	audit, err := sqlite.OpenAudit(g.path("data"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer audit.Close()
	var out []ledger.Entry
	for {
		page, err := audit.Log(ringfence.DefaultTenant).Stored(ctx, int64(len(out)), 1000)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, s := range page {
			var e ledger.Entry
			if err := json.Unmarshal(s.Leaf, &e); err != nil {
				g.t.Fatal(err)
			}
			out = append(out, e)
		}
		if len(page) == 0 {
			return out
		}
	}
}

// entriesOfStore is entries for a store that is no file.
func (g *gateway) entriesOfStore(ctx context.Context) (out []ledger.Entry) {
	g.t.Helper()
	g.allow(ctx, func(store ledger.Store) {
		must(g.t, store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
			for {
				page, err := tx.Entries(ctx, ledger.EntryQuery{From: int64(len(out)), Limit: 1000})
				if err != nil || len(page) == 0 {
					return err
				}
				out = append(out, page...)
			}
		}))
	})
	return out
}

// lastEntries is the end of the log as text, for a test that failed.
func (g *gateway) lastEntries(n int) string {
	all := g.entries(context.Background())
	var b strings.Builder
	for _, e := range all[max(0, len(all)-n):] {
		fmt.Fprintf(&b, "%s %s %s %v\n", e.At.Format("15:04:05.000"), e.Event, e.Leg, e.Data)
	}
	return b.String()
}

// count is how many entries of an event the log has.
func (g *gateway) count(ctx context.Context, event string) int {
	g.t.Helper()
	n := 0
	for _, e := range g.entries(ctx) {
		if string(e.Event) == event {
			n++
		}
	}
	return n
}

// contains reports whether any line has the text.
func (l *logLines) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.lines, "\n"), text)
}
