package rows

import (
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// Bounds of what is remembered; at the bound it is forgotten, which costs
// reading it again. The edge of a log of a thousand million entries is thirty
// hashes.
const (
	maxRecentRecords = 20_000
	maxRecentHashes  = 4_096
)

// Recent is what a writer remembers of a tenant, so that it does not read and
// open again what it has just written or read: the size of the log, hashes
// near its right edge, how often the keys have turned, records and lists. It
// is right only while nobody else writes: the writer asks the database at the
// beginning of each transaction and calls Forget when somebody did. It belongs
// to the goroutine of the writer.
type Recent struct {
	size    int64
	turn    int64
	sure    bool // size and turn were read, or written, inside the open transaction
	hashes  map[int64]tlog.Hash
	records map[place]ledger.Record
	lists   map[keyPlace]keyed
}

// NewRecent remembers nothing.
func NewRecent() *Recent {
	return &Recent{hashes: map[int64]tlog.Hash{}, records: map[place]ledger.Record{}, lists: map[keyPlace]keyed{}}
}

// Stale says that a new database transaction begins: size and turn have to be
// read again.
func (c *Recent) Stale() { c.sure = false }

// Forget drops everything: somebody else wrote, or the end of a transaction is
// not known.
func (c *Recent) Forget() {
	c.size, c.turn, c.sure = 0, 0, false
	clear(c.hashes)
	clear(c.records)
	clear(c.lists)
}

// At says how many entries the log has and how often the keys have turned.
func (c *Recent) At(size, turn int64) {
	if size != c.size || turn != c.turn {
		c.Forget()
	}
	c.size, c.turn, c.sure = size, turn, true
}

func (c *Recent) record(p place) (ledger.Record, bool) {
	r, ok := c.records[p]
	if ok {
		r.Keys = maps.Clone(r.Keys)
	}
	return r, ok
}

func (c *Recent) keep(p place, r ledger.Record) {
	if len(c.records) >= maxRecentRecords {
		clear(c.records)
	}
	r.Keys = maps.Clone(r.Keys)
	r.Body = slices.Clip(r.Body) // its bytes are nobody's to change
	c.records[p] = r
}

// undo forgets what a failed transaction may have changed.
func (c *Recent) undo(t *Tx) {
	for _, p := range t.touched {
		delete(c.records, p)
	}
	for _, p := range t.listed {
		delete(c.lists, p)
	}
}
