package ledger

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
)

// The errors that a caller of Tx branches on. Anything else means that the
// store could not find out, and so no (invariant 21).
var (
	// ErrNotFound is returned by Get for a record that is not there, or is
	// another tenant's.
	ErrNotFound = errors.New("ledger: no such record")
	// ErrConflict is returned by Put and by Update when the record has been
	// changed, or made, by somebody else since it was read.
	ErrConflict = errors.New("ledger: record changed meanwhile")
	// ErrTampered is returned by Get and List for a record whose content does
	// not verify under the store's key. The caller refuses and raises an alarm.
	ErrTampered = errors.New("ledger: record does not verify")
	// ErrReadOnly is returned by Put, Delete and Append inside View.
	ErrReadOnly = errors.New("ledger: read-only transaction")
	// ErrInDoubt is returned by Update when a commit was sent and its outcome is
	// not known. Nothing that rests on it may leave; it is re-read, never tried
	// again as new.
	ErrInDoubt = errors.New("ledger: the outcome is in doubt")
	// ErrUnavailable is returned by Update and View when the store cannot be
	// asked now and nothing was written: the same may be asked again later.
	ErrUnavailable = errors.New("ledger: the store is not available now")
)

// Kind names a table of records. Each room declares its own kinds as
// constants; a kind is stored and never renamed.
type Kind string

// Record is one versioned row. Body is the room's own JSON; at rest it is
// encrypted and authenticated with tenant, kind, id and version as associated
// data, under the key of Subject when that is set (so that erasing a subject
// is destroying its key), else under the tenant's.
type Record struct {
	Kind    Kind
	ID      string
	Version int64 // 0 = new; Put increments it
	Subject ringfence.SubjectID
	// Body is given to Put and taken from Get and List for good: nobody changes
	// its bytes, for a store may remember them.
	Body []byte
	// Keys are the record's look-up values by name, for Query. They are kept
	// only as keyed hashes, so equality is all one can ask for.
	Keys map[string]string
	// Sort orders lists; usually a time in Unix nanoseconds. It is kept in
	// clear and must tell nothing.
	Sort int64
}

// Query selects records of one kind. With Key empty it selects them all.
type Query struct {
	Key, Value string
	Desc       bool  // newest Sort first
	After      int64 // with AfterID: go on behind this place of an earlier page
	AfterID    string
	From, To   int64 // Sort within [From, To); zero = open
	Limit      int   // 0 means 200; at most MaxPage
}

// Appender writes entries inside a transaction.
type Appender interface {
	// Append adds an entry to the tenant's log and returns its index, counted
	// from 0. The entry's Index, Tenant and (when zero) At are filled in.
	Append(ctx context.Context, e Entry) (int64, error)
}

// Records is the rows of one tenant as a transaction sees them.
type Records interface {
	// Get returns the newest version, ErrNotFound or ErrTampered.
	Get(ctx context.Context, kind Kind, id string) (Record, error)
	// Put writes r if its Version is still the stored one (0: not there yet),
	// and sets r.Version to the new one; otherwise ErrConflict.
	Put(ctx context.Context, r *Record) error
	// Delete removes a record of exactly this version. Rows the gate trusts
	// are never deleted, only given a status.
	Delete(ctx context.Context, kind Kind, id string, version int64) error
	// List returns one page in Sort order, then by ID. It does not tell that
	// there is more: see All.
	List(ctx context.Context, kind Kind, q Query) ([]Record, error)
	// EraseSubject destroys the key of a subject: its records answer
	// ErrNotFound from then on, and the log still verifies.
	EraseSubject(ctx context.Context, id ringfence.SubjectID) error
}

// LogReader is the tenant's log as a transaction sees it, its own appended
// entries included. It is a tlog.HashReader, so proofs are made from it with
// tlog.ProveRecord and tlog.ProveTree.
type LogReader interface {
	// Size is the number of entries.
	Size(ctx context.Context) (int64, error)
	// Entries returns one page of the log; see AllEntries.
	Entries(ctx context.Context, q EntryQuery) ([]Entry, error)
	// ReadHashes returns stored hashes by their tlog index.
	ReadHashes(indexes []int64) ([]tlog.Hash, error)
}

// EntryQuery selects entries. Set at most one of Traversal, Release, Subject
// and Event; with none set it selects the whole log.
type EntryQuery struct {
	Traversal ringfence.TraversalID
	Release   ringfence.ReleaseID
	Subject   ringfence.SubjectID
	Event     Event
	From      int64 // smallest index; with Desc the greatest, zero meaning the newest
	Desc      bool
	Limit     int // 0 means 200; at most MaxPage
}

// Matches reports whether q selects e, its limit left aside.
func (q EntryQuery) Matches(e Entry) bool {
	switch {
	case !q.Desc && e.Index < q.From, q.Desc && q.From > 0 && e.Index > q.From:
		return false
	case q.Traversal != "":
		return e.Traversal == q.Traversal
	case q.Release != "":
		return e.Release == q.Release
	case q.Subject != "":
		return e.Subject == q.Subject
	case q.Event != "":
		return e.Event == q.Event
	default:
		return true
	}
}

// Tx is one transaction of one tenant. It is valid only inside the callback
// that received it and only on that goroutine. Isolation is serializable: no
// other Update of the tenant interleaves with it.
type Tx interface {
	Appender
	Records
	LogReader
	// Now is the time by which lifetimes are judged in this transaction.
	Now() time.Time
	// OnCommit registers a function that runs after the transaction is
	// durable, on the goroutine that called Update. It is not run when the
	// transaction fails.
	OnCommit(func())
}

// Store runs transactions. It is implemented by store/sqlite, store/postgres
// and, for tests, ledgertest.
type Store interface {
	// Update runs f in a read-write transaction and returns only after it is
	// durable. f may run more than once and so must be idempotent. When Update
	// returns an error other than f's own, the outcome may be in doubt: re-read
	// before trying again. One Update may share a commit with others.
	Update(ctx context.Context, tenant ringfence.TenantID, f func(Tx) error) error
	// View runs f in a read-only snapshot.
	View(ctx context.Context, tenant ringfence.TenantID, f func(Tx) error) error
}
