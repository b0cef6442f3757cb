package rows

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// Ahead lets transactions run before the ones that they follow are committed.
// What they write is put off as a whole, and what they ask the database for is
// answered by its last commit, unless one of those under way, or they
// themselves, changed it: then the callback is broken off, Later reports true,
// and it has to run again when all of that is committed.
type Ahead struct {
	// Reader answers with what is committed, one statement after the other.
	Reader DB
	// Open collects what the transactions of the next commit write; Flying is
	// what those of the running one wrote, nil when none runs.
	Open, Flying *Flight
}

// errLater breaks a callback off that ran ahead and cannot go on. It is thrown
// and not returned, so that no callback takes it for an answer of the store and
// logs or counts it.
var errLater = errors.New("rows: asked for what is not committed yet")

// Flight is what transactions wrote that are not committed: the records, the
// lists that these entered or left, keys made, what entries are about, and from
// which place on the log's hashes are new.
type Flight struct {
	records map[place]bool
	lists   map[keyPlace]bool
	owners  map[owner]bool
	about   map[string]bool
	place   int64 // -1 = no entry
	size    int64 // of the log before the first of them; -1 = it did not matter
	turn    int64
}

// NewFlight is of no transaction yet.
func NewFlight() *Flight {
	return &Flight{records: map[place]bool{}, lists: map[keyPlace]bool{}, owners: map[owner]bool{}, about: map[string]bool{}, place: -1, size: -1}
}

// Edge returns what ReadEdge has to answer inside the commit, if the
// transactions rest on it.
func (f *Flight) Edge() (size, turn int64, known bool) { return f.size, f.turn, f.size >= 0 }

// appended notes an entry.
func (f *Flight) appended(e ledger.Entry) {
	for _, id := range [...]string{string(e.Traversal), string(e.Release), string(e.Subject), string(e.Event)} {
		f.about[id] = true
	}
	if at := tlog.StoredHashIndex(0, e.Index); f.place < 0 || at < f.place {
		f.place = at
	}
}

// add takes over what one more transaction wrote.
func (f *Flight) add(o *Flight) {
	union(f.records, o.records)
	union(f.lists, o.lists)
	union(f.owners, o.owners)
	union(f.about, o.about)
	if f.place < 0 {
		f.place = o.place
	}
}

func union[K comparable](into, from map[K]bool) {
	for k := range from {
		into[k] = true
	}
}

// Later reports that the callback was broken off and has to run again when what
// is under way is committed.
func (t *Tx) Later() bool { return errors.Is(t.err, errLater) }

// ask hands the rows of a query to scan; touched reports whether a flight
// changed what it asks for.
func (t *Tx) ask(ctx context.Context, touched func(*Flight) bool, query string, scan func(Scanner) error, args ...any) error {
	a := t.cfg.Ahead
	if a == nil {
		return t.cfg.DB.Query(ctx, query, scan, args...)
	}
	for _, f := range [...]*Flight{t.wrote, a.Open, a.Flying} {
		if f != nil && touched(f) {
			panic(errLater)
		}
	}
	return a.Reader.Query(ctx, query, scan, args...)
}

// always is for what any transaction may have changed.
func always(*Flight) bool { return true }

// unchanged breaks off if one of the rows found has changed since its commit.
func (t *Tx) unchanged(found []sealedRecord) {
	a := t.cfg.Ahead
	if a == nil {
		return
	}
	for _, f := range [...]*Flight{t.wrote, a.Open, a.Flying} {
		if f != nil && slices.ContainsFunc(found, func(r sealedRecord) bool { return f.records[place{r.Kind, r.ID}] }) {
			panic(errLater)
		}
	}
}

// settled breaks off before what nothing may be computed upon until it is
// committed.
func (t *Tx) settled() {
	if t.cfg.Ahead != nil {
		panic(errLater)
	}
}
