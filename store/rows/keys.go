package rows

import (
	"context"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// owner names a box key; an empty subject is the tenant itself.
type owner struct {
	tenant  ringfence.TenantID
	subject ringfence.SubjectID
}

func (o owner) aad() string {
	return "ringfence/box/v1 " + string(o.tenant) + " " + string(o.subject)
}

// maxCachedBoxes bounds the opened keys held in memory.
const maxCachedBoxes = 100_000

// Keys holds opened box keys of all tenants, as they were at a turn of the
// tenant's keys: an erasure and a rotation turn them, whichever process does
// it. It is safe for concurrent use.
type Keys struct {
	master *seal.Master
	mu     sync.Mutex
	boxes  map[owner]turned
}

type turned struct {
	box  *seal.Box
	turn int64
}

// NewKeys opens keys with master.
func NewKeys(master *seal.Master) *Keys {
	return &Keys{master: master, boxes: map[owner]turned{}}
}

// Forget drops every opened key, after a transaction whose end is not known.
func (k *Keys) Forget() {
	k.mu.Lock()
	clear(k.boxes)
	k.mu.Unlock()
}

func (k *Keys) cached(o owner, turn int64) *seal.Box {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.boxes[o]; b.turn == turn {
		return b.box
	}
	return nil
}

func (k *Keys) keep(o owner, b *seal.Box, turn int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.boxes[o].turn > turn {
		return // read from an older snapshot
	}
	if len(k.boxes) >= maxCachedBoxes {
		clear(k.boxes)
	}
	k.boxes[o] = turned{b, turn}
}

// box returns the key of a subject or, with subject empty, of the tenant;
// with create it is made when there is none. A key that is not there means
// that what it sealed is gone: ErrNotFound.
func (t *Tx) box(ctx context.Context, subject ringfence.SubjectID, create bool) (*seal.Box, error) {
	if err := t.edge(ctx); err != nil {
		return nil, err
	}
	o := owner{t.cfg.Tenant, subject}
	if b := t.boxes[o]; b != nil {
		return b, nil
	}
	if b := t.cfg.Keys.cached(o, t.turn); b != nil {
		return b, nil
	}
	wrapped, err := t.wrapped(ctx, o)
	if err != nil {
		return nil, err
	}
	if wrapped == nil {
		if !create {
			return nil, ledger.ErrNotFound
		}
		if wrapped, err = t.newKey(ctx, o); err != nil {
			return nil, t.broke("new key", err)
		}
	}
	b, err := t.cfg.Keys.master.Box(wrapped, o.aad())
	if err != nil {
		return nil, t.broke("open key", err)
	}
	t.boxes[o] = b
	return b, nil
}

func (t *Tx) newKey(ctx context.Context, o owner) ([]byte, error) {
	wrapped, err := t.cfg.Keys.master.NewBoxKey(o.aad())
	if err != nil {
		return nil, err
	}
	if t.wrote != nil {
		t.wrote.owners[o] = true
	}
	return wrapped, t.cfg.DB.Exec(ctx, 1, `INSERT INTO box_keys (tenant_id, subject, wrapped) VALUES (?, ?, ?)`, o.tenant, o.subject, wrapped)
}

const readKey = `SELECT wrapped FROM box_keys WHERE tenant_id = ? AND subject = ?`

// wrapped reads a wrapped key; nil when there is none.
func (t *Tx) wrapped(ctx context.Context, o owner) (key []byte, err error) {
	err = t.ask(ctx, func(f *Flight) bool { return f.owners[o] }, readKey, func(s Scanner) error { return s.Scan(&key) }, o.tenant, o.subject)
	if err != nil {
		return nil, t.broke("key", err)
	}
	return key, nil
}

// turnKeys tells every process that opened keys of the tenant are out of date.
func (t *Tx) turnKeys(ctx context.Context) error {
	t.settled()
	if err := t.edge(ctx); err != nil {
		return err
	}
	clear(t.boxes)
	clear(t.cfg.Recent.records)
	clear(t.cfg.Recent.lists)
	t.turn++
	if err := t.cfg.DB.Exec(ctx, 1, `INSERT INTO key_turns (tenant_id, turn) VALUES (?, ?) ON CONFLICT (tenant_id) DO UPDATE SET turn = excluded.turn`, t.cfg.Tenant, t.turn); err != nil {
		return t.broke("turn keys", err)
	}
	return nil
}
