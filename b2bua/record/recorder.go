package record

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/ledger"
)

// Tap is a copy of a leg's audio; *rtp.Tap is one.
type Tap interface {
	Frames() <-chan rtp.Frame
	Close()
}

// Keys makes and opens the keys of recordings: one each, wrapped by the
// tenant's.
type Keys interface {
	New(ctx context.Context, tenant ringfence.TenantID, id string) (wrapped []byte, c Cipher, err error)
	Open(ctx context.Context, tenant ringfence.TenantID, id string, wrapped []byte) (Cipher, error)
}

// Cipher encrypts one file. A file that was changed or cut short is an error
// of the reader.
type Cipher interface {
	Writer(io.Writer) (io.WriteCloser, error)
	Reader(io.Reader) (io.Reader, error)
}

// Folder keeps the encrypted files.
type Folder interface {
	// Create makes a new file. It refuses when there is too little room.
	Create(name string) (File, error)
	Open(name string) (io.ReadSeekCloser, error)
	// Remove is harmless when there is none.
	Remove(name string) error
}

// File is one that is being written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Config is what a Recorder works with. Store, Keys and Folder are required.
type Config struct {
	Store  ledger.Store
	Keys   Keys
	Folder Folder
	// Retention is how long each class is kept. A call of a class that is not
	// in it is kept for the longest; empty means 90 days.
	Retention map[string]time.Duration
	Log       *slog.Logger
}

// Counts are a Recorder's figures since it began.
type Counts struct {
	Live, Kept, Partial, Refused, LostBlocks int64
}

// Recorder records calls. Its methods may be called from any goroutine.
type Recorder struct {
	cfg  Config
	work sync.WaitGroup

	live, kept, partial, refused, lost atomic.Int64

	mu     sync.Mutex
	closed bool // guarded by mu, like all below
	open   map[ringfence.LegID]*Session
}

// New returns a Recorder.
func New(cfg Config) (*Recorder, error) {
	if cfg.Store == nil || cfg.Keys == nil || cfg.Folder == nil {
		return nil, errors.New("record: a store, keys and a folder are needed")
	}
	if len(cfg.Retention) == 0 {
		cfg.Retention = map[string]time.Duration{"": 90 * 24 * time.Hour}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Recorder{cfg: cfg, open: map[ringfence.LegID]*Session{}}, nil
}

// Counts returns the figures.
func (r *Recorder) Counts() Counts {
	return Counts{Live: r.live.Load(), Kept: r.kept.Load(), Partial: r.partial.Load(), Refused: r.refused.Load(), LostBlocks: r.lost.Load()}
}

// keep is how long a class is kept.
func (r *Recorder) keep(class string) time.Duration {
	if d, ok := r.cfg.Retention[class]; ok {
		return d
	}
	var longest time.Duration
	for _, d := range r.cfg.Retention {
		longest = max(longest, d)
	}
	return longest
}

// Start begins a recording of a leg and returns at once; nil when the leg is
// recorded already or the recorder is closed. It ends when the tap does. ctx
// must outlive the call.
func (r *Recorder) Start(ctx context.Context, c Call, tap func() Tap) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.open[c.Leg] != nil {
		return nil
	}
	s := &Session{r: r, call: c, id: ringfence.NewID[string](Prefix), tap: tap(), queue: make(chan item, queueItems), done: make(chan struct{})}
	r.open[c.Leg] = s
	r.live.Add(1)
	r.work.Go(s.pump)
	r.work.Go(func() { s.write(ctx) })
	return s
}

// With names a member of staff who speaks on a leg, if it is recorded.
func (r *Recorder) With(leg ringfence.LegID, p ringfence.PersonID) {
	r.mu.Lock()
	s := r.open[leg]
	r.mu.Unlock()
	if s != nil {
		s.With(p)
	}
}

// forget takes a session that is over off the list.
func (r *Recorder) forget(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s.call.Leg)
	r.live.Add(-1)
}

// Close ends every recording and waits until each is written and indexed.
func (r *Recorder) Close() {
	r.mu.Lock()
	r.closed = true
	for _, s := range r.open {
		s.Stop()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// alarm tells people that a call is not recorded, and goes on.
func (r *Recorder) alarm(ctx context.Context, c Call, what string, err error) {
	r.cfg.Log.Error("call not recorded", "traversal", string(c.Traversal), "why", what, "err", err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if err := r.cfg.Store.Update(ctx, c.Tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Traversal: c.Traversal, Leg: c.Leg, Data: map[string]string{"kind": "recording", "why": what}})
		return err
	}); err != nil {
		r.cfg.Log.Error("alarm not written", "traversal", string(c.Traversal), "err", err)
	}
}

// storeTime bounds one transaction of the recorder.
const storeTime = 10 * time.Second

// until is when a recording of a class that begins now may be deleted.
func (r *Recorder) until(class string, now time.Time) time.Time { return now.Add(r.keep(class)) }

// page is how many rows are read at once.
const page = 200

// List returns a page of a tenant's recordings, newest first, or those of one
// traversal. before and beforeID are the Began (in nanoseconds) and ID of the
// last one seen; zero begins.
func (r *Recorder) List(ctx context.Context, tenant ringfence.TenantID, of ringfence.TraversalID, before int64, beforeID string, limit int) ([]Recording, error) {
	q := ledger.Query{Desc: true, After: before, AfterID: beforeID, Limit: min(cmp.Or(limit, 50), page)}
	if of != "" {
		q.Key, q.Value = "traversal", string(of)
	}
	var out []Recording
	return out, r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		out = nil
		rows, err := tx.List(ctx, KindRecording, q)
		if err != nil {
			return err
		}
		for _, row := range rows {
			rec, _, err := ledger.Read[Recording](ctx, tx, KindRecording, row.ID)
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return nil
	})
}
