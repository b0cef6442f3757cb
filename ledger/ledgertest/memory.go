// Package ledgertest is a store in memory for tests of the rooms above the
// ledger. It keeps the contract of ledger.Store (serializable, compare-and-set,
// nothing kept of a failed transaction) and nothing else: no file, no key.
package ledgertest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Memory is a ledger.Store in memory. The zero value is ready. Clock, when
// set, gives the time of transactions; else package time does, so that
// testing/synctest rules it.
type Memory struct {
	Clock func() time.Time
	// Fail, when set, is asked before each commit; its error fails the
	// transaction and nothing of it is kept.
	Fail func() error

	mu      sync.Mutex
	tenants map[ringfence.TenantID]*state
}

type rowKey struct {
	kind ledger.Kind
	id   string
}

type state struct {
	rows    map[rowKey]ledger.Record
	entries []ledger.Entry
	hashes  []tlog.Hash
}

func (s *state) clone() *state {
	return &state{rows: maps.Clone(s.rows), entries: slices.Clip(s.entries), hashes: slices.Clip(s.hashes)}
}

// Update implements ledger.Store.
func (m *Memory) Update(_ context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	tx, err := m.commit(tenant, f)
	if err != nil {
		return err
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

func (m *Memory) commit(tenant ringfence.TenantID, f func(ledger.Tx) error) (*tx, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tx := m.begin(tenant)
	if err := f(tx); err != nil {
		return nil, err
	}
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return nil, err
		}
	}
	m.tenants[tenant] = tx.state
	return tx, nil
}

// View implements ledger.Store.
func (m *Memory) View(_ context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	m.mu.Lock()
	tx := m.begin(tenant)
	m.mu.Unlock()
	tx.readOnly = true
	return f(tx)
}

// Entries returns a tenant's log.
func (m *Memory) Entries(tenant ringfence.TenantID) []ledger.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begin(tenant).state.entries
}

// begin returns a transaction over a copy of the tenant's state.
func (m *Memory) begin(tenant ringfence.TenantID) *tx {
	if m.tenants == nil {
		m.tenants = map[ringfence.TenantID]*state{}
	}
	if m.tenants[tenant] == nil {
		m.tenants[tenant] = &state{rows: map[rowKey]ledger.Record{}}
	}
	now := time.Now
	if m.Clock != nil {
		now = m.Clock
	}
	return &tx{state: m.tenants[tenant].clone(), tenant: tenant, now: now()}
}

type tx struct {
	state    *state
	tenant   ringfence.TenantID
	now      time.Time
	readOnly bool
	after    []func()
}

func (t *tx) Now() time.Time { return t.now }

func (t *tx) OnCommit(f func()) { t.after = append(t.after, f) }

func (t *tx) Append(_ context.Context, e ledger.Entry) (int64, error) {
	if t.readOnly {
		return 0, ledger.ErrReadOnly
	}
	if !e.Event.Valid() {
		return 0, fmt.Errorf("append: %q is no event of the ledger", e.Event)
	}
	e.Index, e.Tenant = int64(len(t.state.entries)), t.tenant
	if e.At.IsZero() {
		e.At = t.now
	}
	leaf, err := e.Leaf()
	if err != nil {
		return 0, fmt.Errorf("append: %v", err)
	}
	hashes, err := tlog.StoredHashes(e.Index, leaf, t)
	if err != nil {
		return 0, fmt.Errorf("append: %v", err)
	}
	t.state.entries = append(t.state.entries, e)
	t.state.hashes = append(t.state.hashes, hashes...)
	return e.Index, nil
}

func (t *tx) Get(_ context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	r, ok := t.state.rows[rowKey{kind, id}]
	if !ok {
		return ledger.Record{}, ledger.ErrNotFound
	}
	return copied(r), nil
}

func (t *tx) Put(_ context.Context, r *ledger.Record) error {
	if t.readOnly {
		return ledger.ErrReadOnly
	}
	at := rowKey{r.Kind, r.ID}
	if t.state.rows[at].Version != r.Version {
		return ledger.ErrConflict
	}
	r.Version++
	t.state.rows[at] = copied(*r)
	return nil
}

func (t *tx) Delete(_ context.Context, kind ledger.Kind, id string, version int64) error {
	if t.readOnly {
		return ledger.ErrReadOnly
	}
	at := rowKey{kind, id}
	r, ok := t.state.rows[at]
	switch {
	case !ok:
		return ledger.ErrNotFound
	case r.Version != version:
		return ledger.ErrConflict
	}
	delete(t.state.rows, at)
	return nil
}

func (t *tx) EraseSubject(_ context.Context, id ringfence.SubjectID) error {
	if t.readOnly {
		return ledger.ErrReadOnly
	}
	maps.DeleteFunc(t.state.rows, func(_ rowKey, r ledger.Record) bool { return r.Subject == id })
	return nil
}

func (t *tx) Size(context.Context) (int64, error) { return int64(len(t.state.entries)), nil }

func (t *tx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(t.state.hashes)) {
			return nil, fmt.Errorf("no hash %d in a log of %d", at, len(t.state.hashes))
		}
		out[i] = t.state.hashes[at]
	}
	return out, nil
}

func (t *tx) Entries(_ context.Context, q ledger.EntryQuery) ([]ledger.Entry, error) {
	limit := q.Limit
	if limit == 0 {
		limit = 200
	}
	if limit < 0 || limit > ledger.MaxPage {
		return nil, fmt.Errorf("entries: limit %d is not within 1 to 1000", q.Limit)
	}
	var out []ledger.Entry
	for i := range t.state.entries {
		e := t.state.entries[i]
		if q.Desc {
			e = t.state.entries[len(t.state.entries)-1-i]
		}
		if !q.Matches(e) {
			continue
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out, nil
}

func (t *tx) List(_ context.Context, kind ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	limit := q.Limit
	if limit == 0 {
		limit = 200
	}
	if limit < 0 || limit > ledger.MaxPage {
		return nil, fmt.Errorf("list: limit %d is not within 1 to 1000", q.Limit)
	}
	order := func(a, b ledger.Record) int {
		c := cmp.Or(cmp.Compare(a.Sort, b.Sort), cmp.Compare(a.ID, b.ID))
		if q.Desc {
			return -c
		}
		return c
	}
	var out []ledger.Record
	for at, r := range t.state.rows {
		if at.kind != kind || q.From != 0 && r.Sort < q.From || q.To != 0 && r.Sort >= q.To {
			continue
		}
		if q.Key != "" {
			if v, ok := r.Keys[q.Key]; !ok || v != q.Value {
				continue
			}
		}
		if q.AfterID != "" && order(r, ledger.Record{Sort: q.After, ID: q.AfterID}) <= 0 {
			continue
		}
		out = append(out, copied(r))
	}
	slices.SortFunc(out, order)
	return out[:min(limit, len(out))], nil
}

func copied(r ledger.Record) ledger.Record {
	r.Body = slices.Clone(r.Body)
	r.Keys = maps.Clone(r.Keys)
	return r
}
