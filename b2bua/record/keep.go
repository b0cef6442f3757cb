package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// schedule puts a recording on the list of what is to be deleted, by time.
func (r *Recorder) schedule(ctx context.Context, tx ledger.Tx, row Recording) error {
	return ledger.Write(ctx, tx, &ledger.Record{Kind: kindDue, ID: row.ID, Sort: row.Until.UnixNano()}, row.ID)
}

// Sweep deletes what is due: first, in one transaction each, the key and an
// entry that says so; then the file. It returns how many it deleted.
func (r *Recorder) Sweep(ctx context.Context, tenant ringfence.TenantID, now time.Time) (int, error) {
	n := 0
	for {
		var due []string
		if err := r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
			due = nil
			rows, err := tx.List(ctx, kindDue, ledger.Query{To: now.UnixNano(), Limit: page})
			for _, row := range rows {
				due = append(due, row.ID)
			}
			return err
		}); err != nil || len(due) == 0 {
			return n, err
		}
		for _, id := range due {
			if err := r.delete(ctx, tenant, id, "", "retention"); err != nil {
				return n, err
			}
			n++
		}
	}
}

// Delete deletes a recording before its time. It returns ErrHeld, ErrLive and
// ErrDeleted, and ledger.ErrNotFound.
func (r *Recorder) Delete(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return r.delete(ctx, tenant, id, by, reason)
}

func (r *Recorder) delete(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	err := r.change(ctx, tenant, id, func(tx ledger.Tx, row *Recording) error {
		if err := row.playable(); err != nil {
			return err
		}
		if row.Hold != nil {
			return ErrHeld
		}
		row.State, row.Why, row.Key, row.DeletedAt = StateDeleted, reason, nil, tx.Now()
		if err := drop(ctx, tx, kindDue, id); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "recording.deleted", Traversal: row.Traversal, Leg: row.Leg, Person: by, Object: id,
			Data: map[string]string{"why": reason, "class": row.Class, "sha256": row.SHA256}})
		return err
	})
	if err != nil {
		return err
	}
	return r.cfg.Folder.Remove(id) // without its key it is noise, should this fail
}

// change changes an index row in one transaction.
func (r *Recorder) change(ctx context.Context, tenant ringfence.TenantID, id string, f func(ledger.Tx, *Recording) error) error {
	return r.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		row, version, err := ledger.Read[Recording](ctx, tx, KindRecording, id)
		if err != nil {
			return err
		}
		if err := f(tx, &row); err != nil {
			return err
		}
		return putRow(ctx, tx, row, version)
	})
}

// PlaceHold puts a legal hold on a recording: nothing deletes it until Lift.
// A second hold is ErrHeld.
func (r *Recorder) PlaceHold(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return r.change(ctx, tenant, id, func(tx ledger.Tx, row *Recording) error {
		switch {
		case row.State == StateDeleted:
			return ErrDeleted
		case row.Hold != nil:
			return ErrHeld
		}
		row.Hold = &Hold{By: by, At: tx.Now(), Reason: reason}
		if err := drop(ctx, tx, kindDue, id); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "hold.placed", Traversal: row.Traversal, Person: by, Object: id, Data: map[string]string{"what": "recording", "reason": reason}})
		return err
	})
}

// Lift ends a legal hold; retention counts again. Without one it is
// ledger.ErrNotFound.
func (r *Recorder) Lift(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return r.change(ctx, tenant, id, func(tx ledger.Tx, row *Recording) error {
		if row.Hold == nil {
			return ledger.ErrNotFound
		}
		row.Hold = nil
		if row.State != StateLive {
			if err := r.schedule(ctx, tx, *row); err != nil {
				return err
			}
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "hold.lifted", Traversal: row.Traversal, Person: by, Object: id, Data: map[string]string{"what": "recording", "reason": reason}})
		return err
	})
}

// Recover concludes what an earlier process left unfinished in this folder, as
// far as it can be read. Call it once, before the first Start.
func (r *Recorder) Recover(ctx context.Context, tenant ringfence.TenantID) error {
	var open []Recording
	if err := r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		open = nil
		for row, err := range ledger.All(ctx, tx, kindOpen, ledger.Query{}) {
			if err != nil {
				return err
			}
			rec, _, err := ledger.Read[Recording](ctx, tx, KindRecording, row.ID)
			if err != nil {
				return err
			}
			open = append(open, rec)
		}
		return nil
	}); err != nil {
		return err
	}
	var failed []error
	for _, rec := range open {
		failed = append(failed, r.recover(ctx, rec))
	}
	return errors.Join(failed...)
}

func (r *Recorder) recover(ctx context.Context, rec Recording) error {
	f, err := r.cfg.Folder.Open(rec.ID)
	if err != nil {
		return nil // another node writes it, into another folder
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	e := ending{state: StatePartial, why: "process", bytes: n, sum: hex.EncodeToString(sum.Sum(nil))}
	if c, err := r.cfg.Keys.Open(ctx, rec.Tenant, rec.ID, rec.Key); err == nil {
		e.blocks, e.gaps = readable(c, f)
	}
	return r.conclude(ctx, rec.Tenant, rec.ID, e)
}

// readable counts the blocks that can be read, and their gaps.
func readable(c Cipher, f io.ReadSeeker) (int64, []Gap) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, nil
	}
	plain, err := c.Reader(f)
	if err != nil {
		return 0, nil
	}
	var g gaps
	var b block
	for {
		if _, err := io.ReadFull(plain, b[:]); err != nil {
			return g.blocks, g.list
		}
		g.count(mark(b[0]), 1)
	}
}
