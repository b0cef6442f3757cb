package gate

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/postgres"
	"github.com/ringfence/ringfence/store/sqlite"
)

// place is a store that several processes open.
type place struct {
	Dir, URL, KeyFile string
}

func (p place) open(t testing.TB) ledger.Store {
	t.Helper()
	master, err := seal.Open(p.KeyFile, true)
	if err != nil {
		t.Fatal(err)
	}
	var s interface {
		ledger.Store
		Close() error
	}
	if p.URL != "" {
		s, err = postgres.Open(t.Context(), postgres.Config{URL: p.URL, Master: master})
	} else {
		s, err = sqlite.Open(t.Context(), sqlite.Config{Dir: p.Dir, Master: master, Volatile: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// places are an empty store of each kind.
func places(t *testing.T) map[string]place {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	out := map[string]place{"sqlite": {Dir: t.TempDir(), KeyFile: key}}
	at := os.Getenv("TEST_POSTGRES")
	switch {
	case at != "":
		out["postgres"] = place{URL: emptyDatabase(t, at), KeyFile: key}
	case os.Getenv("CI") != "":
		t.Fatal("no TEST_POSTGRES: run the tests through test/services.sh")
	default:
		t.Log("no TEST_POSTGRES, so only SQLite is tried: run the tests through test/services.sh")
	}
	return out
}

func emptyDatabase(t *testing.T, at string) string {
	t.Helper()
	raw := make([]byte, 8)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := "g" + hex.EncodeToString(raw)
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// race is what a process of its own does: with each permit, that many
// redemptions at once and, if asked, rejects of the release.
type race struct {
	Place   place
	Permits map[ringfence.ReleaseID]string
	Tries   int
	Rejects bool
}

// run counts the redemptions that succeeded, by release.
func (r race) run(g *Gate) (map[ringfence.ReleaseID]int64, error) {
	ctx := context.Background()
	won := map[ringfence.ReleaseID]*atomic.Int64{}
	var wg sync.WaitGroup
	var odd atomic.Value
	for id, token := range r.Permits {
		n := new(atomic.Int64)
		won[id] = n
		for i := range r.Tries {
			wg.Go(func() {
				if _, err := g.Redeem(ctx, ten, executor, token, Key{}); err == nil {
					n.Add(1)
				} else if !errors.Is(err, ErrConflict) && !(r.Rejects && errors.Is(err, ErrHeld)) {
					odd.Store(fmt.Errorf("a loser got %w", err))
				}
			})
			if r.Rejects && i%4 == 0 {
				wg.Go(func() { g.Reject(ctx, ten, id, Actor{Flow: "race"}) })
			}
		}
	}
	wg.Wait()
	out := map[ringfence.ReleaseID]int64{}
	for id, n := range won {
		out[id] = n.Load()
	}
	err, _ := odd.Load().(error)
	return out, err
}

// TestNodeProcess is the second process of the tests below; alone it does
// nothing.
func TestNodeProcess(t *testing.T) {
	job := os.Getenv("RINGFENCE_TEST_RACE")
	if job == "" {
		return
	}
	var r race
	if err := json.Unmarshal([]byte(job), &r); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, policies: &policies{}}
	g := w.open(r.Place.open(t))
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	won, err := r.run(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(won); err != nil {
		t.Fatal(err)
	}
}

// second runs a race in another process; go lets it begin, and the answer
// comes when it has ended.
func second(t *testing.T, r race) (begin func(), ended func() map[ringfence.ReleaseID]int64) {
	t.Helper()
	job, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNodeProcess$")
	cmd.Env = append(os.Environ(), "RINGFENCE_TEST_RACE="+string(job))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return func() { io.WriteString(in, "go\n") }, func() (won map[ringfence.ReleaseID]int64) {
		line, err := out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &won)
		}
		io.Copy(io.Discard, out)
		if err = errors.Join(err, cmd.Wait()); err != nil {
			t.Fatalf("the other process: %v: %s", err, line)
		}
		return won
	}
}

// TestTwoProcessesOnOneStore lets two processes fight for the same permits:
// 1,000 redemptions of one, and redemptions against rejects of others.
func TestTwoProcessesOnOneStore(t *testing.T) {
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) {
			w := worldOn(t, p.open(t))
			races := map[string]race{
				"a thousand redemptions":    {Place: p, Tries: 500, Permits: w.permits(1)},
				"redemption against reject": {Place: p, Tries: 12, Permits: w.permits(8), Rejects: true},
			}
			for _, name := range slices.Sorted(maps.Keys(races)) { // rejects last: they hold whatever else the subject has
				r := races[name]
				begin, ended := second(t, r)
				begin()
				here, err := r.run(w.g)
				if err != nil {
					t.Error(err)
				}
				there := ended()
				for id := range r.Permits {
					won, state := here[id]+there[id], w.look(id).State
					if won > 1 || (won == 1) != (state == StateRedeemed) || !r.Rejects && won != 1 {
						t.Errorf("%s: %d of the redemptions won and the release is %s", name, won, state)
					}
				}
			}
		})
	}
}

// permits opens releases and fetches the permit of each.
func (w *world) permits(n int) map[ringfence.ReleaseID]string {
	w.t.Helper()
	out := map[ringfence.ReleaseID]string{}
	for range n {
		r := w.proved()
		if r, v := w.released(r.ID); r.State != StateReady {
			w.t.Fatalf("%s %+v", r.State, v)
		}
		token, _, err := w.g.Permit(context.Background(), ten, r.ID, executor)
		if err != nil || token == "" {
			w.t.Fatal("no permit", err)
		}
		out[r.ID] = token
	}
	return out
}
