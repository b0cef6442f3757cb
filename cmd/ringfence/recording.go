package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/record"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// joinRecorder opens the folder of recordings. Nothing is recorded unless a
// line says so.
func (a *app) joinRecorder() error {
	r := a.cfg.Media.Recording
	dir, err := record.NewDir(cmp.Or(r.Folder, filepath.Join(a.cfg.Data, "recordings")), r.KeepFreeMiB<<20)
	if err != nil {
		return err
	}
	a.recorder, err = record.New(record.Config{Store: a.store, Keys: recordKeys{a}, Folder: dir, Retention: r.Retention(), Log: a.log})
	return err
}

// kindRecordingKey holds a tenant's key for the keys of its recordings, wrapped
// by the master.
const kindRecordingKey ledger.Kind = "recording_key"

func recordingOwner(tenant ringfence.TenantID) string { return "recordings/" + string(tenant) }

// rewrapRecordings wraps a tenant's key of recordings anew, after the master
// was rotated.
func rewrapRecordings(ctx context.Context, s ledger.Store, master *seal.Master, tenant ringfence.TenantID) error {
	return s.Update(ctx, tenant, func(tx ledger.Tx) error {
		wrapped, version, err := ledger.Read[[]byte](ctx, tx, kindRecordingKey, "1")
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if wrapped, err = master.Rewrap(wrapped, recordingOwner(tenant)); err != nil {
			return err
		}
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindRecordingKey, ID: "1", Version: version}, wrapped)
	})
}

// recordKeys is the hierarchy of keys: the master wraps one key a tenant, that
// wraps one key a recording.
type recordKeys struct{ a *app }

func recordingRow(tenant ringfence.TenantID, id string) seal.Row {
	return seal.Row{Tenant: string(tenant), Kind: string(record.KindRecording), ID: id, Version: 1}
}

// box opens the tenant's key, and makes it where make is set and there is none.
func (k recordKeys) box(ctx context.Context, tenant ringfence.TenantID, make bool) (*seal.Box, error) {
	owner := recordingOwner(tenant)
	var wrapped []byte
	read := func(tx ledger.Tx) (err error) {
		wrapped, _, err = ledger.Read[[]byte](ctx, tx, kindRecordingKey, "1")
		return err
	}
	err := k.a.store.View(ctx, tenant, read)
	if errors.Is(err, ledger.ErrNotFound) && make {
		err = k.a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
			if err := read(tx); !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			if wrapped, err = k.a.keys.master.NewBoxKey(owner); err != nil {
				return err
			}
			return ledger.Write(ctx, tx, &ledger.Record{Kind: kindRecordingKey, ID: "1"}, wrapped)
		})
	}
	if err != nil {
		return nil, err
	}
	return k.a.keys.master.Box(wrapped, owner)
}

// New implements record.Keys.
func (k recordKeys) New(ctx context.Context, tenant ringfence.TenantID, id string) ([]byte, record.Cipher, error) {
	box, err := k.box(ctx, tenant, true)
	if err != nil {
		return nil, nil, err
	}
	return box.NewStream(recordingRow(tenant, id))
}

// Open implements record.Keys.
func (k recordKeys) Open(ctx context.Context, tenant ringfence.TenantID, id string, wrapped []byte) (record.Cipher, error) {
	box, err := k.box(ctx, tenant, false)
	if err != nil {
		return nil, err
	}
	return box.OpenStream(wrapped, recordingRow(tenant, id))
}

// sweepEvery is how often recordings that are due are looked for.
const sweepEvery = 10 * time.Minute

// keepRecordings concludes what an earlier process left and deletes what is
// due, until ctx ends.
func (a *app) keepRecordings(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(sweepEvery)
	defer every.Stop()
	for {
		now := time.Now()
		n, err := a.recorder.Sweep(ctx, tenant, now)
		if err = errors.Join(err, a.recorder.SweepAccess(ctx, tenant, now), a.sweepTraces(ctx, tenant, now), a.web.SweepPast(ctx, tenant, now)); err != nil && ctx.Err() == nil {
			a.log.Error("recordings not swept", "tenant", string(tenant), "err", err)
		}
		if n > 0 {
			a.log.Info("recordings deleted after their time", "tenant", string(tenant), "recordings", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// recordings lets the web reach recordings.
type recordings struct{ r *record.Recorder }

var _ web.Recordings = recordings{}

var recordingErrors = map[error]error{record.ErrHeld: web.ErrOnHold, record.ErrLive: web.ErrStillRecording, record.ErrDeleted: web.ErrErased, record.ErrForged: web.ErrDamaged}

func recordingForWeb(err error) error {
	for from, to := range recordingErrors {
		if errors.Is(err, from) {
			return to
		}
	}
	return err
}

func viewRecording(r record.Recording) web.Recording {
	v := web.Recording{ID: r.ID, Traversal: r.Traversal, Reference: r.Reference, Line: r.Line, People: r.People, Class: r.Class, Consent: r.Consent,
		State: string(r.State), Why: r.Why, Began: r.Began, Millis: r.Length().Milliseconds(), SHA256: r.SHA256, Until: r.Until, DeletedAt: r.DeletedAt, Gaps: []web.RecordingGap{}}
	for _, g := range r.Gaps {
		v.Gaps = append(v.Gaps, web.RecordingGap{FromMillis: g.FromMillis, Millis: g.Millis, Why: g.Why})
	}
	if r.Hold != nil {
		v.Hold = r.Hold.Reason
	}
	return v
}

// List implements web.Recordings.
func (c recordings) List(ctx context.Context, tenant ringfence.TenantID, q web.RecordingQuery) ([]web.Recording, error) {
	rows, err := c.r.List(ctx, tenant, q.Traversal, q.Before, q.BeforeID, q.Limit)
	var out []web.Recording
	for _, r := range rows {
		out = append(out, viewRecording(r))
	}
	return out, err
}

// Grant implements web.Recordings.
func (c recordings) Grant(ctx context.Context, q web.RecordingAccess) (web.Recording, string, error) {
	row, pass, err := c.r.Grant(ctx, record.Access{Tenant: q.Tenant, Recording: q.Recording, By: q.By, Role: string(q.Role), Reason: q.Reason, Export: q.Export})
	return viewRecording(row), pass, recordingForWeb(err)
}

// Audio implements web.Recordings.
func (c recordings) Audio(ctx context.Context, tenant ringfence.TenantID, pass string, by ringfence.PersonID) (web.Audio, web.Recording, error) {
	audio, row, err := c.r.Open(ctx, tenant, pass, by)
	if err != nil {
		return nil, web.Recording{}, recordingForWeb(err)
	}
	return audio, viewRecording(row), nil
}

// Hold implements web.Recordings.
func (c recordings) Hold(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return recordingForWeb(c.r.PlaceHold(ctx, tenant, id, by, reason))
}

// Lift implements web.Recordings.
func (c recordings) Lift(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return recordingForWeb(c.r.Lift(ctx, tenant, id, by, reason))
}

// Delete implements web.Recordings.
func (c recordings) Delete(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID, reason string) error {
	return recordingForWeb(c.r.Delete(ctx, tenant, id, by, reason))
}
