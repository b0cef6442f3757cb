package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

func TestOpenRefuses(t *testing.T) {
	m := newMaster(t)
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"no database":         {Config{Master: m}, "address of a database"},
		"no key":              {Config{URL: "postgres://a@127.0.0.1/b"}, "master key"},
		"too many":            {Config{URL: "postgres://a@127.0.0.1/b", Master: m, Conns: 101}, "1 to 100"},
		"no address":          {Config{URL: "postgres://a:planted@127.0.0.1:x/b", Master: m}, "malformed"},
		"no TLS":              {Config{URL: "postgres://a@db.example.com/b?sslmode=disable", Master: m}, "sslmode=verify-full"},
		"TLS if it likes":     {Config{URL: "postgres://a@db.example.com/b?sslmode=prefer", Master: m}, "sslmode=verify-full"},
		"TLS with anybody":    {Config{URL: "postgres://a@db.example.com/b?sslmode=require", Master: m}, "sslmode=verify-full"},
		"a second host bare":  {Config{URL: "postgres://a@127.0.0.1,db.example.com/b?sslmode=disable", Master: m}, "db.example.com"},
		"nobody who listens":  {Config{URL: "postgres://a:planted@127.0.0.1:1/b?sslmode=disable", Master: m}, "cannot be reached"},
		"a password in clear": {Config{URL: "postgres://a@127.0.0.1:1/b?sslmode=disable", Password: "planted", Master: m}, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), c.cfg)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want a word about %q", err, c.says)
			}
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("the password stands in %v", err)
			}
		})
	}
}

// TestUnsafeSettingsRefuse opens databases that would acknowledge what they
// may lose.
func TestUnsafeSettingsRefuse(t *testing.T) {
	at := database(t)
	run(t, at, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	if s, err := Open(t.Context(), Config{URL: at, Master: newMaster(t)}); err == nil || !strings.Contains(err.Error(), "synchronous_commit = on") {
		if err == nil {
			s.Close()
		}
		t.Errorf("synchronous_commit off: %v, want a refusal that says what to set", err)
	}
	for _, c := range [][3]string{{"off", "on", "on"}, {"on", "off", "on"}, {"on", "on", "off"}, {"on", "on", "local"}, {"on", "on", "remote_write"}, {"", "", ""}} {
		if settings(c[0], c[1], c[2]) == nil {
			t.Errorf("fsync, full_page_writes, synchronous_commit %v were accepted", c)
		}
	}
	for _, commit := range []string{"on", "remote_apply"} {
		if err := settings("on", "on", commit); err != nil {
			t.Errorf("synchronous_commit %s: %v", commit, err)
		}
	}
}

func TestFrozen(t *testing.T) {
	fresh := func(h Health) Health { h.At = time.Now(); return h }
	for name, c := range map[string]struct {
		have   Health
		waived bool
		want   policy.Reason
	}{
		"never looked":                        {have: Health{}, want: policy.ReasonStore},
		"alone":                               {have: fresh(Health{Nodes: 1})},
		"looked long ago":                     {have: Health{At: time.Now().Add(-time.Minute), Nodes: 1}, want: policy.ReasonStore},
		"database gone":                       {have: fresh(Health{Err: errors.New("gone")}), want: policy.ReasonStore},
		"fsync off":                           {have: fresh(Health{Settings: errors.New("fsync")}), want: policy.ReasonStore},
		"two nodes, no standby":               {have: fresh(Health{Nodes: 2}), want: policy.ReasonStore},
		"two nodes, no standby, waived":       {have: fresh(Health{Nodes: 2}), waived: true},
		"two nodes, a standby":                {have: fresh(Health{Nodes: 2, Standbys: 1})},
		"clock two seconds off":               {have: fresh(Health{Nodes: 1, Offset: 2 * time.Second})},
		"clock more than two seconds ahead":   {have: fresh(Health{Nodes: 1, Offset: 2*time.Second + 1}), want: policy.ReasonClock},
		"clock more than two seconds behind":  {have: fresh(Health{Nodes: 1, Offset: -2*time.Second - 1}), want: policy.ReasonClock},
		"clock off, and the standby has gone": {have: fresh(Health{Nodes: 2, Offset: time.Hour}), want: policy.ReasonClock},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Store{cfg: Config{NoStandby: c.waived}}
			s.state.set(c.have)
			if got := s.Frozen("default"); got != c.want {
				t.Errorf("frozen %q, want %q (%v)", got, c.want, s.Fit())
			}
		})
	}
}

func TestOffset(t *testing.T) {
	at := time.Now()
	for name, c := range map[string]struct {
		said time.Time
		want time.Duration
	}{
		"within the question": {at.Add(5 * time.Millisecond), 0},
		"we are ahead":        {at.Add(-3 * time.Second), 3 * time.Second},
		"we are behind":       {at.Add(10*time.Millisecond + 3*time.Second), -3 * time.Second},
	} {
		if got := offset(at, at.Add(10*time.Millisecond), c.said); got.Round(time.Microsecond) != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestTwoNodesAreSeen opens a second node and a tool on one database; the node
// freezes both for want of a standby, the tool counts for nothing.
func TestTwoNodesAreSeen(t *testing.T) {
	at, m := database(t), newMaster(t)
	a := open(t, Config{URL: at, Master: m})
	open(t, Config{URL: at, Master: m, Tool: true})
	if err := a.look(t.Context()); err != nil || a.Fit() != nil {
		t.Fatalf("alone: %v, %v", err, a.Fit())
	}
	b := open(t, Config{URL: at, Master: m})
	if err := a.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Store{"first": a, "second": b} {
		if s.Frozen("default") != policy.ReasonStore || s.Health().Nodes != 2 {
			t.Errorf("the %s node is not frozen: %+v", name, s.Health())
		}
	}
}

func TestTimeIsTheDatabases(t *testing.T) {
	at := database(t)
	s := open(t, Config{URL: at, Master: newMaster(t)})
	var before, now time.Time
	ask := func() (at time.Time) {
		if err := s.read.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	before = ask()
	if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error { now = tx.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	if after := ask(); now.Before(before) || now.After(after) {
		t.Errorf("the time %s is not between %s and %s", now, before, after)
	}
	if now.Location() != time.UTC {
		t.Errorf("the time is in %s, want UTC", now.Location())
	}
}

// TestTamperedRowsRefuse changes rows behind the store's back.
func TestTamperedRowsRefuse(t *testing.T) {
	for name, change := range map[string]string{
		"version":      `UPDATE records SET version = version + 1 WHERE id = 'a'`,
		"sort":         `UPDATE records SET sort = 99 WHERE id = 'a'`,
		"content":      `UPDATE records SET sealed = (SELECT sealed FROM records WHERE id = 'b') WHERE id = 'a'`,
		"another's id": `DELETE FROM records WHERE id = 'a'; UPDATE records SET id = 'a' WHERE id = 'b'`,
	} {
		t.Run(name, func(t *testing.T) {
			at := database(t)
			s := open(t, Config{URL: at, Master: newMaster(t)})
			for _, id := range []string{"a", "b"} {
				if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
					return tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: id, Subject: "sub_a", Body: []byte(`{"n":1}`), Sort: 5})
				}); err != nil {
					t.Fatal(err)
				}
			}
			run(t, at, change)
			if err := s.View(t.Context(), "default", func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), "k", "a"); return err }); !errors.Is(err, ledger.ErrTampered) {
				t.Errorf("get: %v, want ErrTampered", err)
			}
		})
	}
}

// TestWritersWhoIgnoreTheLockAreNoticed changes a row between a transaction's
// reading and its writing, as only somebody outside the protocol can.
func TestWritersWhoIgnoreTheLockAreNoticed(t *testing.T) {
	at := database(t)
	s := open(t, Config{URL: at, Master: newMaster(t)})
	put := func(ctx context.Context, tx ledger.Tx, r *ledger.Record) error { return tx.Put(ctx, r) }
	r := ledger.Record{Kind: "k", ID: "a", Body: []byte(`{}`)}
	if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error { return put(t.Context(), tx, &r) }); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
		got, err := tx.Get(t.Context(), "k", "a")
		if err != nil {
			return err
		}
		run(t, at, `UPDATE records SET version = 7 WHERE id = 'a'`)
		return put(t.Context(), tx, &got)
	})
	if err == nil {
		t.Error("wrote over a row that had changed")
	}
}
