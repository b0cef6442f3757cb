package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
)

// bundleVersion names the form of an exported log; it is never reused.
const bundleVersion = 1

// bundleHead is the first line of an exported log. Lines are JSON: then each
// entry in order, and each checkpoint.
type bundleHead struct {
	Bundle int                `json:"ringfence_ledger"`
	Tenant ringfence.TenantID `json:"tenant"`
}

// bundleLine is an entry, or a checkpoint.
type bundleLine struct {
	Index      int64  `json:"index"`
	Leaf       string `json:"leaf,omitempty"` // the entry's exact bytes
	Hash       string `json:"hash,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
}

// maxBundleLine bounds one line of an exported log.
const maxBundleLine = 1 << 20

// Export writes a whole log, so that it is verified without the store.
func Export(ctx context.Context, tenant ringfence.TenantID, src Source, to io.Writer) error {
	out := bufio.NewWriter(to)
	enc := json.NewEncoder(out)
	if err := enc.Encode(bundleHead{Bundle: bundleVersion, Tenant: tenant}); err != nil {
		return err
	}
	for from := int64(0); ; {
		page, err := src.Stored(ctx, from, verifyPage)
		if err != nil {
			return fmt.Errorf("read entries from %d: %w", from, err)
		}
		for _, s := range page {
			if err := enc.Encode(bundleLine{Index: s.Index, Leaf: string(s.Leaf), Hash: s.Hash.String()}); err != nil {
				return err
			}
			from = s.Index + 1
		}
		if len(page) < verifyPage {
			break
		}
	}
	notes, err := src.Checkpoints(ctx)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	for _, msg := range notes {
		if err := enc.Encode(bundleLine{Checkpoint: string(msg)}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Bundle is an exported log, as a Source. Open it anew for each reading.
type Bundle struct {
	Tenant  ringfence.TenantID
	entries []Stored
	notes   [][]byte
}

// ReadBundle reads what Export wrote. It judges the form only; Verify judges
// the log.
func ReadBundle(r io.Reader) (*Bundle, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxBundleLine)
	var head bundleHead
	if !in.Scan() || json.Unmarshal(in.Bytes(), &head) != nil || head.Bundle != bundleVersion {
		return nil, errors.Join(errors.New("this is no exported ledger"), in.Err())
	}
	b := &Bundle{Tenant: head.Tenant}
	for n := 2; in.Scan(); n++ {
		var l bundleLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d is not one of an exported ledger", n)
		}
		if l.Checkpoint != "" {
			b.notes = append(b.notes, []byte(l.Checkpoint))
			continue
		}
		hash, err := tlog.ParseHash(l.Hash)
		if err != nil {
			return nil, fmt.Errorf("line %d has no hash", n)
		}
		b.entries = append(b.entries, Stored{Index: l.Index, Leaf: []byte(l.Leaf), Hash: hash})
	}
	return b, in.Err()
}

// Stored implements Source. Entries come in the order of the file, which is
// that of their places unless somebody changed it.
func (b *Bundle) Stored(_ context.Context, from int64, limit int) ([]Stored, error) {
	for i, s := range b.entries {
		if s.Index >= from {
			return b.entries[i:min(i+limit, len(b.entries))], nil
		}
	}
	return nil, nil
}

// Checkpoints implements Source.
func (b *Bundle) Checkpoints(context.Context) ([][]byte, error) { return b.notes, nil }

// Hashes are the stored hashes of a log, rebuilt from its entries, for proofs.
type Hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h Hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(h)) {
			return nil, fmt.Errorf("no hash at %d", at)
		}
		out[i] = h[at]
	}
	return out, nil
}

// Rebuild computes the hashes of a log from the bytes of its entries.
func Rebuild(ctx context.Context, src Source) (Hashes, int64, error) {
	var all Hashes
	var size int64
	for {
		page, err := src.Stored(ctx, size, verifyPage)
		if err != nil {
			return nil, 0, err
		}
		for _, s := range page {
			if s.Index != size {
				return nil, 0, fmt.Errorf("entry %d is not there: verify the log first", size)
			}
			more, err := tlog.StoredHashes(size, s.Leaf, all)
			if err != nil {
				return nil, 0, err
			}
			all = append(all, more...)
			size++
		}
		if len(page) < verifyPage {
			return all, size, nil
		}
	}
}
