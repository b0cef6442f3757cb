package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

// TestCommitInDoubt breaks the connection around a COMMIT. Whatever became of
// it, the caller is told that it is in doubt, it is not run again, and the
// next reader sees either all of it or nothing.
func TestCommitInDoubt(t *testing.T) {
	at := database(t)
	p, through := between(t, at)
	master := newMaster(t)
	s := open(t, Config{URL: through, Master: master})
	other := open(t, Config{URL: at, Master: master})
	for name, c := range map[string]struct {
		do   func(client, server net.Conn, msg []byte)
		kept bool
	}{
		"never sent": {do: func(client, server net.Conn, _ []byte) { client.Close(); server.Close() }},
		"sent, no answer": {kept: true, do: func(client, server net.Conn, msg []byte) {
			server.Write(msg)
			client.Close()
		}},
		"answered with a warning": {kept: true, do: func(client, server net.Conn, msg []byte) {
			client.Write(warningOf("canceling wait for synchronous replication due to user request"))
			server.Write(msg)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ran := 0
			before := size(t, other)
			p.atCommit(c.do)
			err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
				ran++
				tx.OnCommit(func() { t.Error("ran what is for a durable transaction only") })
				_, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"})
				return err
			})
			if !errors.Is(err, ledger.ErrInDoubt) {
				t.Fatalf("update: %v, want ErrInDoubt", err)
			}
			if ran != 1 {
				t.Errorf("ran %d times, want once", ran)
			}
			settled(t, other)
			want := before
			if c.kept {
				want++
			}
			if got := size(t, other); got != want {
				t.Errorf("the log has %d entries, want %d", got, want)
			}
			if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
				got, err := tx.Size(t.Context())
				if err == nil && got != want {
					t.Errorf("the next transaction sees %d entries, want %d", got, want)
				}
				return err
			}); err != nil {
				t.Errorf("the store does not go on: %v", err)
			}
		})
	}
}

// TestEveryCutIsNamed cuts the connection at each message of a reader and of a
// writer in turn. Whoever asked is told that the store is not there, or that
// the end is unknown, or all went well: never something that they cannot act on.
func TestEveryCutIsNamed(t *testing.T) {
	p, through := between(t, database(t))
	s := open(t, Config{URL: through, Master: newMaster(t)})
	settled(t, s)
	view := func() error {
		return s.View(t.Context(), "default", func(tx ledger.Tx) error {
			if _, err := tx.List(t.Context(), "k", ledger.Query{}); err != nil {
				return err
			}
			_, err := tx.Entries(t.Context(), ledger.EntryQuery{Limit: 10})
			return err
		})
	}
	update := func() error {
		return s.Update(t.Context(), "default", func(tx ledger.Tx) error {
			if _, err := tx.List(t.Context(), "k", ledger.Query{}); err != nil {
				return err
			}
			_, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"})
			return err
		})
	}
	cut := 0
	for name, do := range map[string]func() error{"view": view, "update": update} {
		for n := 1; n <= 10; n++ {
			p.cutAt(n)
			err := do()
			p.cutAt(0)
			if err != nil {
				cut++
			}
			if err != nil && !errors.Is(err, ledger.ErrUnavailable) && !errors.Is(err, ledger.ErrInDoubt) {
				t.Errorf("%s, cut at message %d: %v", name, n, err)
			}
		}
	}
	if cut == 0 {
		t.Error("nothing was cut")
	}
}

// settled waits until no transaction that was cut off is under way: a new one
// has to get the tenant's lock behind it.
func settled(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Update(t.Context(), "default", func(ledger.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, s *Store) (n int64) {
	t.Helper()
	if err := s.View(t.Context(), "default", func(tx ledger.Tx) (err error) { n, err = tx.Size(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	return n
}

// warningOf is a NoticeResponse as PostgreSQL sends it (protocol 3.0, 55.7).
func warningOf(text string) []byte {
	var body []byte
	for _, field := range []string{"SWARNING", "VWARNING", "C01000", "M" + text} {
		body = append(append(body, field...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32([]byte{'N'}, uint32(len(body)+4)), body...)
}

// TestBrokenOffBeforeCommitRunsAgain ends the session inside a transaction, as
// a failover does: nothing was committed, so it runs again, and once counts.
func TestBrokenOffBeforeCommitRunsAgain(t *testing.T) {
	at := database(t)
	s := open(t, Config{URL: at, Master: newMaster(t)})
	ran := 0
	err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
		if ran++; ran == 1 {
			run(t, at, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
		}
		if err := tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: "a", Subject: "sub_a", Body: []byte(`{}`)}); err != nil {
			return err
		}
		_, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"})
		return err
	})
	if err != nil || ran != 2 {
		t.Fatalf("ran %d times, %v; want twice and no error", ran, err)
	}
	if n := size(t, s); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if err := s.View(t.Context(), "default", func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), "k", "a"); return err }); err != nil {
		t.Errorf("the row: %v", err)
	}
}

// TestCallerWhoLeavesCutsNobodyOff cancels one caller's context inside its
// transaction; the connection and the others of the batch stay.
func TestCallerWhoLeavesCutsNobodyOff(t *testing.T) {
	s := open(t, Config{URL: database(t), Master: newMaster(t)})
	ctx, leave := context.WithCancel(t.Context())
	if err := s.Update(ctx, "default", func(tx ledger.Tx) error {
		leave()
		if _, err := tx.Get(ctx, "k", "a"); !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised"})
		return err
	}); err != nil {
		t.Errorf("update: %v", err)
	}
	if n := size(t, s); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if err := s.Update(ctx, "default", func(ledger.Tx) error { t.Error("ran for a caller who had gone"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("update for a caller who had gone: %v", err)
	}
}
