package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// tx is one transaction. A failed statement makes it fail as a whole, also
// when the callback overlooks the error.
type tx struct {
	store    *Store
	ctx      context.Context // for ReadHashes, whose interface takes none; ends with the callback
	conn     *conn
	tenant   ringfence.TenantID
	now      time.Time
	readOnly bool
	over     bool
	madeKey  bool
	err      error
	after    []func()
	recent   *recent // nil in a View
	touched  []recordPlace
}

func (t *tx) Now() time.Time { return t.now }

func (t *tx) OnCommit(f func()) { t.after = append(t.after, f) }

// usable refuses writes in a View and any use after the callback returned.
func (t *tx) usable(write bool) error {
	switch {
	case t.over:
		return errors.New("transaction used after its end")
	case write && t.readOnly:
		return ledger.ErrReadOnly
	default:
		return nil
	}
}

// broke remembers a failure of the store, as against an answer.
func (t *tx) broke(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if t.err == nil {
		t.err = err
	}
	return err
}

func (t *tx) row(kind ledger.Kind, id string, version int64) seal.Row {
	return seal.Row{Tenant: string(t.tenant), Kind: string(kind), ID: id, Version: version}
}

func (t *tx) Get(ctx context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	r := ledger.Record{Kind: kind, ID: id}
	if err := t.usable(false); err != nil {
		return r, err
	}
	if known, ok := t.recent.record(t.place(kind, id)); ok {
		return known, nil
	}
	stmt, err := t.conn.prepare(ctx, `SELECT version, subject, sort, sealed FROM records WHERE tenant_id = ? AND kind = ? AND id = ?`)
	if err != nil {
		return r, t.broke("get", err)
	}
	var sealed []byte
	err = stmt.QueryRowContext(ctx, t.tenant, kind, id).Scan(&r.Version, &r.Subject, &r.Sort, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.Record{}, ledger.ErrNotFound
	}
	if err != nil {
		return ledger.Record{}, t.broke("get", err)
	}
	return t.open(ctx, r, sealed)
}

// content is what is sealed of a record: its body and its keys in clear, so
// that they are authenticated too.
type content struct {
	Body json.RawMessage   `json:"b"`
	Keys map[string]string `json:"k,omitempty"`
	Sub  string            `json:"s,omitempty"`
	Sort int64             `json:"o,omitempty"`
}

func (t *tx) open(ctx context.Context, r ledger.Record, sealed []byte) (ledger.Record, error) {
	box, err := t.store.keys.box(ctx, t, r.Subject, false)
	if err != nil {
		return ledger.Record{}, err
	}
	raw, err := box.Open(sealed, t.row(r.Kind, r.ID, r.Version))
	if err != nil {
		return ledger.Record{}, ledger.ErrTampered
	}
	var c content
	if err := json.Unmarshal(raw, &c); err != nil || c.Sort != r.Sort || c.Sub != string(r.Subject) {
		return ledger.Record{}, ledger.ErrTampered
	}
	r.Body, r.Keys = c.Body, c.Keys
	t.recent.keep(t.place(r.Kind, r.ID), r)
	return r, nil
}

func (t *tx) place(kind ledger.Kind, id string) recordPlace { return recordPlace{t.tenant, kind, id} }

func (t *tx) Put(ctx context.Context, r *ledger.Record) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if r.Kind == "" || r.ID == "" || !json.Valid(r.Body) {
		return fmt.Errorf("put %s %s: want a kind, an id and a JSON body", r.Kind, r.ID)
	}
	box, err := t.store.keys.box(ctx, t, r.Subject, true)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(content{Body: r.Body, Keys: r.Keys, Sub: string(r.Subject), Sort: r.Sort})
	if err != nil {
		return fmt.Errorf("put: %v", err)
	}
	sealed := box.Seal(raw, t.row(r.Kind, r.ID, r.Version+1))
	place := t.place(r.Kind, r.ID)
	t.touched = append(t.touched, place)
	n, err := t.put(ctx, r, sealed)
	if err != nil {
		return t.broke("put", err)
	}
	if n != 1 {
		return ledger.ErrConflict
	}
	if err := t.putKeys(ctx, r); err != nil {
		return t.broke("put keys", err)
	}
	r.Version++
	t.recent.keep(place, *r)
	return nil
}

func (t *tx) put(ctx context.Context, r *ledger.Record, sealed []byte) (int64, error) {
	if r.Version == 0 {
		return t.conn.change(ctx, `INSERT INTO records (tenant_id, kind, id, version, subject, sort, sealed) VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING`,
			t.tenant, r.Kind, r.ID, r.Subject, r.Sort, sealed)
	}
	return t.conn.change(ctx, `UPDATE records SET version = version + 1, subject = ?, sort = ?, sealed = ? WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`,
		r.Subject, r.Sort, sealed, t.tenant, r.Kind, r.ID, r.Version)
}

// putKeys brings the keys of a record up to date. Mostly one changed, or none.
func (t *tx) putKeys(ctx context.Context, r *ledger.Record) error {
	was, known := t.recent.record(t.place(r.Kind, r.ID))
	switch {
	case r.Version == 0:
		was.Keys = nil
	case !known || was.Version != r.Version || was.Sort != r.Sort:
		if err := t.conn.exec(ctx, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND id = ?`, t.tenant, r.Kind, r.ID); err != nil {
			return err
		}
		t.forgetKind(r.Kind)
		was.Keys = nil
	}
	if len(was.Keys) == 0 && len(r.Keys) == 0 {
		return nil
	}
	box, err := t.store.keys.box(ctx, t, "", true)
	if err != nil {
		return err
	}
	for name, value := range was.Keys {
		if now, ok := r.Keys[name]; ok && now == value {
			continue
		}
		t.forgetKey(r.Kind, name, value)
		if err := t.conn.exec(ctx, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND blind = ? AND sort = ? AND id = ?`,
			t.tenant, r.Kind, box.Blind(string(r.Kind), name, value), was.Sort, r.ID); err != nil {
			return err
		}
	}
	for name, value := range r.Keys {
		if before, ok := was.Keys[name]; ok && before == value {
			continue
		}
		t.forgetKey(r.Kind, name, value)
		if err := t.conn.exec(ctx, `INSERT INTO record_keys (tenant_id, kind, blind, sort, id) VALUES (?, ?, ?, ?, ?)`,
			t.tenant, r.Kind, box.Blind(string(r.Kind), name, value), r.Sort, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Delete(ctx context.Context, kind ledger.Kind, id string, version int64) error {
	if err := t.usable(true); err != nil {
		return err
	}
	t.touched = append(t.touched, t.place(kind, id))
	t.recent.drop(t.place(kind, id))
	t.forgetKind(kind)
	n, err := t.conn.change(ctx, `DELETE FROM records WHERE tenant_id = ? AND kind = ? AND id = ? AND version = ?`, t.tenant, kind, id, version)
	if err != nil {
		return t.broke("delete", err)
	}
	if n == 1 {
		if err := t.conn.exec(ctx, `DELETE FROM record_keys WHERE tenant_id = ? AND kind = ? AND id = ?`, t.tenant, kind, id); err != nil {
			return t.broke("delete", err)
		}
		return nil
	}
	if _, err := t.Get(ctx, kind, id); err != nil {
		return err
	}
	return ledger.ErrConflict
}

func (t *tx) EraseSubject(ctx context.Context, id ringfence.SubjectID) error {
	if err := t.usable(true); err != nil {
		return err
	}
	if id == "" {
		return errors.New("erase: no subject named")
	}
	for _, q := range [...]string{
		`DELETE FROM record_keys WHERE tenant_id = ?1 AND EXISTS (SELECT 1 FROM records r WHERE r.tenant_id = ?1 AND r.subject = ?2 AND r.kind = record_keys.kind AND r.id = record_keys.id)`,
		`DELETE FROM records WHERE tenant_id = ?1 AND subject = ?2`,
		`DELETE FROM box_keys WHERE tenant_id = ?1 AND subject = ?2`,
	} {
		if err := t.conn.exec(ctx, q, t.tenant, id); err != nil {
			return t.broke("erase", err)
		}
	}
	t.recent.forget()
	t.store.keys.forget()
	t.OnCommit(t.store.keys.forget)
	return nil
}

// keyOwner names a box key; an empty subject is the tenant itself.
type keyOwner struct {
	tenant  ringfence.TenantID
	subject ringfence.SubjectID
}

func (o keyOwner) aad() string {
	return "ringfence/box/v1 " + string(o.tenant) + " " + string(o.subject)
}

// maxCachedBoxes bounds the opened keys held in memory.
const maxCachedBoxes = 100_000

// keyCache holds opened box keys. Keys made by a transaction that fails are
// forgotten with it.
type keyCache struct {
	master *seal.Master
	mu     sync.Mutex
	boxes  map[keyOwner]*seal.Box
}

func (k *keyCache) forget() {
	k.mu.Lock()
	clear(k.boxes)
	k.mu.Unlock()
}

func (k *keyCache) cached(o keyOwner) *seal.Box {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.boxes[o]
}

func (k *keyCache) keep(o keyOwner, b *seal.Box) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.boxes) >= maxCachedBoxes {
		clear(k.boxes)
	}
	k.boxes[o] = b
}

// box returns the key of a subject or, with subject empty, of the tenant;
// with create it is made when there is none. A key that is not there means
// that what it sealed is gone: ErrNotFound.
func (k *keyCache) box(ctx context.Context, t *tx, subject ringfence.SubjectID, create bool) (*seal.Box, error) {
	o := keyOwner{t.tenant, subject}
	if b := k.cached(o); b != nil {
		return b, nil
	}
	wrapped, err := t.wrappedKey(ctx, o)
	if errors.Is(err, ledger.ErrNotFound) && create {
		if wrapped, err = k.master.NewBoxKey(o.aad()); err == nil {
			err = t.conn.exec(ctx, `INSERT INTO box_keys (tenant_id, subject, wrapped) VALUES (?, ?, ?)`, o.tenant, o.subject, wrapped)
		}
		if err != nil {
			return nil, t.broke("new key", err)
		}
		t.madeKey = true
	}
	if err != nil {
		return nil, err
	}
	b, err := k.master.Box(wrapped, o.aad())
	if err != nil {
		return nil, t.broke("open key", err)
	}
	if !t.readOnly || !create {
		k.keep(o, b)
	}
	return b, nil
}

func (t *tx) wrappedKey(ctx context.Context, o keyOwner) ([]byte, error) {
	stmt, err := t.conn.prepare(ctx, `SELECT wrapped FROM box_keys WHERE tenant_id = ? AND subject = ?`)
	if err != nil {
		return nil, t.broke("key", err)
	}
	var wrapped []byte
	err = stmt.QueryRowContext(ctx, o.tenant, o.subject).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ledger.ErrNotFound
	}
	if err != nil {
		return nil, t.broke("key", err)
	}
	return wrapped, nil
}

// ReadHashes implements tlog.HashReader.
func (t *tx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	ctx := t.ctx
	out := make([]tlog.Hash, len(indexes))
	stmt, err := t.conn.prepare(ctx, `SELECT hash FROM hashes WHERE tenant_id = ? AND place = ?`)
	if err != nil {
		return nil, t.broke("hashes", err)
	}
	for i, at := range indexes {
		if t.recent != nil {
			if h, ok := t.recent.hashes[hashPlace{t.tenant, at}]; ok {
				out[i] = h
				continue
			}
		}
		var raw []byte
		if err := stmt.QueryRowContext(ctx, t.tenant, at).Scan(&raw); err != nil {
			return nil, t.broke(fmt.Sprintf("hash %d", at), err)
		}
		if len(raw) != tlog.HashSize {
			return nil, ledger.ErrTampered
		}
		out[i] = tlog.Hash(raw)
		t.recent.keepHash(t.tenant, at, out[i])
	}
	return out, nil
}
