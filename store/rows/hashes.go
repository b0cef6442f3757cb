package rows

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// HashAt asks for the row that holds a stored hash, for PickHash: a row holds
// the hashes of one entry, or one of them, from its place on. Its arguments are
// the tenant and the place.
const HashAt = `SELECT place, hash FROM hashes WHERE tenant_id = ? AND place <= ? ORDER BY place DESC LIMIT 1`

// PickHash takes the hash of a place out of the row that HashAt found; false
// when it is not in there.
func PickHash(first int64, row []byte, place int64) (h tlog.Hash, ok bool) {
	at := place - first
	if at < 0 || at >= int64(len(row)/tlog.HashSize) {
		return h, false
	}
	return tlog.Hash(row[at*tlog.HashSize:][:tlog.HashSize]), true
}

// putHashes writes the stored hashes of an entry as one row.
func (t *Tx) putHashes(ctx context.Context, first int64, hashes []tlog.Hash) error {
	row := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i, h := range hashes {
		row = append(row, h[:]...)
		t.fresh[first+int64(i)] = h
	}
	return t.cfg.DB.Exec(ctx, 1, InsertHashes, t.cfg.Tenant, first, row)
}

// ReadHashes implements tlog.HashReader.
func (t *Tx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		h, err := t.hash(at)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

func (t *Tx) hash(at int64) (h tlog.Hash, err error) {
	if h, ok := t.fresh[at]; ok {
		return h, nil
	}
	if err := t.edge(t.ctx); err != nil {
		return h, err
	}
	if h, ok := t.cfg.Recent.hashes[at]; ok {
		return h, nil
	}
	var first int64
	var row []byte
	err = t.ask(t.ctx, func(f *Flight) bool { return f.place >= 0 && at >= f.place }, HashAt, func(s Scanner) error { return s.Scan(&first, &row) }, t.cfg.Tenant, at)
	if err != nil {
		return h, t.broke("hashes", err)
	}
	if len(row)%tlog.HashSize != 0 {
		return h, ledger.ErrTampered
	}
	h, ok := PickHash(first, row, at)
	if !ok {
		return h, t.broke("hashes", fmt.Errorf("hash %d is not there", at))
	}
	t.fresh[at] = h
	return h, nil
}
