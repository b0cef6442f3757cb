package sqlite

import (
	"context"
	"time"
)

const (
	// maxWALPages is the length of the write-ahead log at which the writer
	// itself puts it into the file, 32 MiB. Opening the store after a crash reads
	// it once, within a fraction of a second.
	maxWALPages = 8000
	// mergeEvery is how often what was written goes into the file beside the
	// writer, so that little is left when its turn comes.
	mergeEvery = time.Second
)

// merge puts the write-ahead log into the file, as far as nobody reads what it
// would overwrite, without holding up the writer. What fails is tried again, in
// the end by the writer.
func (s *Store) merge(ctx context.Context) {
	every := time.NewTicker(mergeEvery)
	defer every.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-every.C:
			_, _ = s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		}
	}
}
