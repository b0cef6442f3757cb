package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/test/pgcluster"
)

const tenant ringfence.TenantID = "default"

// pair is a primary and a synchronous standby that streams.
func pair(t *testing.T) (primary, standby *pgcluster.Server) {
	t.Helper()
	primary = pgcluster.Start(t)
	standby = primary.Standby("second")
	primary.Ask("ALTER SYSTEM SET synchronous_standby_names = 'second'")
	primary.Ask("SELECT pg_reload_conf()")
	streams(t, primary)
	return primary, standby
}

// streams waits for the standby to be synchronous.
func streams(t *testing.T, primary *pgcluster.Server) {
	t.Helper()
	eventually(t, "the standby is synchronous", func() bool {
		return primary.Ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'") == "1"
	})
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !f() {
		select {
		case <-late:
			t.Fatalf("waited for a minute: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// crowd writes from several nodes and remembers what each was told.
type crowd struct {
	n       atomic.Int64
	mu      sync.Mutex
	acked   []string // guarded by mu, as the next two
	doubted []string
	refused []string
}

// write is one transaction: a record, an entry and a counter.
func (c *crowd) write(ctx context.Context, s *Store) error {
	id := fmt.Sprintf("w%06d", c.n.Add(1))
	err := s.Update(ctx, tenant, func(tx ledger.Tx) error {
		n, version, err := ledger.Read[int](ctx, tx, "count", "all")
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err := ledger.Write(ctx, tx, &ledger.Record{Kind: "count", ID: "all", Version: version}, n+1); err != nil {
			return err
		}
		if err := tx.Put(ctx, &ledger.Record{Kind: "k", ID: id, Body: []byte(`{}`), Keys: map[string]string{"all": "yes"}}); err != nil {
			return err
		}
		_, err = tx.Append(ctx, ledger.Entry{Event: "key.used", Object: id})
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.acked = append(c.acked, id)
	case errors.Is(err, ledger.ErrInDoubt):
		c.doubted = append(c.doubted, id)
	default:
		c.refused = append(c.refused, id)
	}
	return err
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acked)
}

// run writes with four hands on each node until stop is closed; who is refused
// takes a breath.
func (c *crowd) run(t *testing.T, stop chan struct{}, nodes ...*Store) *sync.WaitGroup {
	var hands sync.WaitGroup
	for _, s := range nodes {
		for range 4 {
			hands.Go(func() {
				for {
					breath := time.Duration(0)
					if c.write(t.Context(), s) != nil {
						breath = 20 * time.Millisecond
					}
					select {
					case <-stop:
						return
					case <-time.After(breath):
					}
				}
			})
		}
	}
	return &hands
}

// hold compares what was told with what is there, record by record and entry
// by entry, and proves every entry.
func (c *crowd) hold(t *testing.T, s *Store) {
	t.Helper()
	entries := map[string]int{}
	var size, counted int64
	err := s.View(t.Context(), tenant, func(tx ledger.Tx) error {
		head, err := ledger.HeadOf(t.Context(), tx)
		if err != nil {
			return err
		}
		size = head.Size
		n, _, err := ledger.Read[int](t.Context(), tx, "count", "all")
		counted = int64(n)
		for from := int64(0); err == nil && from < size; from += 1000 {
			var page []ledger.Entry
			page, err = tx.Entries(t.Context(), ledger.EntryQuery{From: from, Limit: 1000})
			for i, e := range page {
				if e.Index != from+int64(i) {
					return fmt.Errorf("entry %d stands at %d", e.Index, from+int64(i))
				}
				entries[e.Object]++
				leaf, err := e.Leaf()
				if err != nil {
					return err
				}
				proof, err := tlog.ProveRecord(size, e.Index, tx)
				if err != nil {
					return err
				}
				if err := tlog.CheckRecord(proof, size, head.Root, e.Index, tlog.RecordHash(leaf)); err != nil {
					return fmt.Errorf("entry %d: %w", e.Index, err)
				}
			}
		}
		for id, n := range entries {
			if _, got := tx.Get(t.Context(), "k", id); got != nil || n != 1 {
				t.Errorf("%s has %d entries and its record answers %v", id, n, got)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if counted != size || size != int64(len(entries)) {
		t.Errorf("counted %d in %d entries of %d writes", counted, size, len(entries))
	}
	for _, id := range c.acked {
		if entries[id] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", id, entries[id])
		}
	}
	for _, id := range c.refused {
		if entries[id] != 0 {
			t.Errorf("%s was refused and is there", id)
		}
	}
	t.Logf("%d acknowledged, %d in doubt, %d refused; %d entries", len(c.acked), len(c.doubted), len(c.refused), size)
}

// TestFailover kills the primary under two nodes that write, and promotes the
// synchronous standby: nothing that was acknowledged is lost, nothing is there
// twice, and what was refused is not there. The nodes find the new primary by
// themselves.
func TestFailover(t *testing.T) {
	primary, standby := pair(t)
	at := pgcluster.URL("postgres", primary, standby)
	m := newMaster(t)
	nodes := []*Store{open(t, Config{URL: at, Master: m}), open(t, Config{URL: at, Master: m})}
	for _, s := range nodes {
		if err := s.look(t.Context()); err != nil || s.Frozen(tenant) != "" {
			t.Fatalf("two nodes and a standby: frozen %q, %v", s.Frozen(tenant), s.Fit())
		}
	}
	c, stop := &crowd{}, make(chan struct{})
	hands := c.run(t, stop, nodes...)
	eventually(t, "many writes", func() bool { return c.count() > 100 })
	primary.Kill() // in the middle of COMMITs
	before := c.count()
	standby.Ask("ALTER SYSTEM SET synchronous_standby_names = ''") // as whoever fails over does, until there is a new one
	standby.Ask("SELECT pg_reload_conf()")
	standby.Promote()
	eventually(t, "the nodes go on", func() bool { return c.count() > before+100 })
	close(stop)
	hands.Wait()
	for _, s := range nodes {
		// A connection of the dead primary may still be at hand for the first look.
		eventually(t, "two nodes on one machine are frozen", func() bool { return s.look(t.Context()) == nil && s.Frozen(tenant) == policy.ReasonStore })
		c.hold(t, s)
	}
	if len(c.doubted)+len(c.refused) == 0 {
		t.Error("nobody noticed that the primary died")
	}
	third := standby.Standby("third")
	standby.Ask("ALTER SYSTEM SET synchronous_standby_names = 'third'")
	standby.Ask("SELECT pg_reload_conf()")
	streams(t, standby)
	eventually(t, "with a new standby they go on", func() bool { return nodes[0].look(t.Context()) == nil && nodes[0].Frozen(tenant) == "" })
	third.Kill()
	eventually(t, "C2 and above are refused without the standby", func() bool {
		return nodes[0].look(t.Context()) == nil && nodes[0].Frozen(tenant) == policy.ReasonStore
	})
}

// TestStandbyAway freezes the standby: nobody is told yes before it has the
// transaction, and who waits too long is told that it is in doubt. When the
// standby comes back all of it is there, once.
func TestStandbyAway(t *testing.T) {
	primary, standby := pair(t)
	brief := inPractice
	brief.patience = 500 * time.Millisecond
	m := newMaster(t)
	patient := open(t, Config{URL: primary.URL("postgres"), Master: m})
	hasty := open(t, Config{URL: primary.URL("postgres"), Master: m, times: brief})
	c := &crowd{}
	if err := c.write(t.Context(), hasty); err != nil {
		t.Fatal(err)
	}
	standby.Stop()
	if err := c.write(t.Context(), hasty); !errors.Is(err, ledger.ErrInDoubt) {
		t.Errorf("a write that no standby has: %v, want ErrInDoubt", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- c.write(t.Context(), patient) }() // behind the lock of the one in doubt
	select {
	case err := <-waits:
		t.Errorf("told %v while the standby stood still", err)
	case <-time.After(time.Second):
	}
	standby.Go()
	if err := <-waits; err != nil {
		t.Errorf("after the standby came back: %v", err)
	}
	c.hold(t, patient)
	if len(c.acked) != 2 || len(c.doubted) != 1 || size(t, patient) != 3 {
		t.Errorf("%d acknowledged, %d in doubt, %d entries; want 2, 1, 3", len(c.acked), len(c.doubted), size(t, patient))
	}
}

// TestPrimaryStandsStill freezes the database for longer than callers wait and
// a node trusts what it last saw: it releases nothing meanwhile, and all who
// are told nothing better are in doubt or refused; afterwards it goes on.
func TestPrimaryStandsStill(t *testing.T) {
	primary := pgcluster.Start(t)
	brief := inPractice
	brief.patience, brief.tx = 300*time.Millisecond, 2*time.Second
	s := open(t, Config{URL: primary.URL("postgres"), Master: newMaster(t), times: brief})
	c, stop := &crowd{}, make(chan struct{})
	hands := c.run(t, stop, s)
	eventually(t, "many writes", func() bool { return c.count() > 100 })
	primary.Stop()
	asked, cancel := context.WithTimeout(t.Context(), time.Second)
	if err := s.look(asked); err == nil {
		t.Error("a database that stands still was looked at")
	}
	cancel()
	eventually(t, "somebody is told", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.doubted)+len(c.refused) > 0
	})
	primary.Go()
	before := c.count()
	eventually(t, "the node goes on", func() bool { return c.count() > before+100 })
	close(stop)
	hands.Wait()
	c.hold(t, s)
}

// TestNodeStandsStill lets a node fall asleep inside a transaction that holds
// the tenant's lock: the other node gets it, and the sleeper, when it wakes,
// finds its transaction gone and runs it anew on what is there now.
func TestNodeStandsStill(t *testing.T) {
	at, m := database(t), newMaster(t)
	brief := inPractice
	brief.stalled = 300 * time.Millisecond
	sleeper, awake := open(t, Config{URL: at, Master: m, times: brief}), open(t, Config{URL: at, Master: m})
	asleep, wake, told := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var saw []int64
	go func() {
		told <- sleeper.Update(t.Context(), tenant, func(tx ledger.Tx) error {
			n, err := tx.Size(t.Context())
			if saw = append(saw, n); len(saw) == 1 {
				close(asleep)
				<-wake
			}
			if err == nil {
				_, err = tx.Append(t.Context(), ledger.Entry{Event: "key.used", Object: "sleeper"})
			}
			return err
		})
	}()
	<-asleep
	if err := awake.Update(t.Context(), tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(t.Context(), ledger.Entry{Event: "key.used", Object: "awake"})
		return err
	}); err != nil {
		t.Errorf("the node that is awake: %v", err)
	}
	close(wake)
	if err := <-told; err != nil || len(saw) != 2 || saw[1] != 1 {
		t.Errorf("the sleeper was told %v and saw logs of %v entries; want 0, then 1", err, saw)
	}
	if n := size(t, awake); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

// TestWhatTheDatabaseBreaksOff lets the database end transactions with one
// code, some times or always. What passes runs again, whole, and counts once;
// what does not is refused at once.
func TestWhatTheDatabaseBreaksOff(t *testing.T) {
	for name, c := range map[string]struct {
		code        string
		times, runs int
		good        bool
	}{
		"serialization failure, twice": {"40001", 2, 3, true},
		"deadlock, once":               {"40P01", 1, 2, true},
		"deadlock, always":             {"40P01", 1000, attempts, false},
		"the server goes, once":        {"57P01", 1, 2, true},
		"disk full":                    {"53100", 1, 1, false},
		"a constraint":                 {"23514", 1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := database(t)
			s := open(t, Config{URL: at, Master: newMaster(t)})
			run(t, at, `CREATE SEQUENCE met`, fmt.Sprintf(`CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('met') <= %d THEN RAISE EXCEPTION 'planted' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$`, c.times, c.code),
				`CREATE TRIGGER breaks BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION breaks()`)
			ran, after := 0, 0
			err := s.Update(t.Context(), tenant, func(tx ledger.Tx) error {
				ran++
				tx.OnCommit(func() { after++ })
				if err := tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: "a", Body: []byte(`{}`)}); err != nil {
					return err
				}
				_, err := tx.Append(t.Context(), ledger.Entry{Event: "key.used"})
				return err
			})
			want := int64(0)
			if c.good {
				want = 1
			}
			if !c.good && errors.Is(err, ledger.ErrUnavailable) != (c.runs == attempts) {
				t.Errorf("%v: only what passes may be asked again", err)
			}
			if (err == nil) != c.good || errors.Is(err, ledger.ErrInDoubt) || ran != c.runs || int64(after) != want {
				t.Errorf("%v after %d runs, %d acknowledged; want good %v after %d", err, ran, after, c.good, c.runs)
			}
			if n := size(t, s); n != want {
				t.Errorf("%d entries, want %d", n, want)
			}
			var records int64
			if err := s.View(t.Context(), tenant, func(tx ledger.Tx) error {
				found, err := tx.List(t.Context(), "k", ledger.Query{})
				records = int64(len(found))
				return err
			}); err != nil || records != want {
				t.Errorf("%d records, %v; want %d", records, err, want)
			}
		})
	}
}

// TestRealDeadlock crosses the store with a session that takes the same rows
// the other way round.
func TestRealDeadlock(t *testing.T) {
	at := database(t)
	s := open(t, Config{URL: at, Master: newMaster(t)})
	put := func(tx ledger.Tx, id string) error {
		r, err := tx.Get(t.Context(), "k", id)
		if errors.Is(err, ledger.ErrNotFound) {
			r, err = ledger.Record{Kind: "k", ID: id}, nil
		}
		if err != nil {
			return err
		}
		r.Body = json.RawMessage(`{"n":1}`)
		return tx.Put(t.Context(), &r)
	}
	if err := s.Update(t.Context(), tenant, func(tx ledger.Tx) error { return errors.Join(put(tx, "a"), put(tx, "b")) }); err != nil {
		t.Fatal(err)
	}
	other := connect(t, at, "SET deadlock_timeout = '1h'", "BEGIN", "UPDATE records SET sort = sort WHERE id = 'a'")
	crossed := make(chan error, 1)
	ran := 0
	err := s.Update(t.Context(), tenant, func(tx ledger.Tx) error {
		ran++
		if err := put(tx, "b"); err != nil {
			return err
		}
		if _, err := tx.Get(t.Context(), "none", "none"); !errors.Is(err, ledger.ErrNotFound) { // sends what waits
			return err
		}
		if ran == 1 {
			go func() {
				_, err := other.Exec(t.Context(), "UPDATE records SET sort = sort WHERE id = 'b'")
				_, end := other.Exec(t.Context(), "ROLLBACK")
				crossed <- errors.Join(err, end)
			}()
			eventually(t, "the other session waits", func() bool {
				return ask(t, at, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
			})
		}
		return put(tx, "a")
	})
	if err != nil || ran != 2 {
		t.Errorf("%v after %d runs, want none after 2", err, ran)
	}
	if err := <-crossed; err != nil {
		t.Errorf("the other session: %v", err)
	}
}
