package shelf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// Bounds on recordings: of one file, and of all that a bundle names.
const (
	maxAudio    = 2 << 20
	maxAudioSet = 64 << 20
)

// audioOf reads the recordings that a bundle names from the folders, the first
// that has the very file, unless the tenant's store has it. All are returned:
// what is stored now may be dropped before the bundle is.
func (s *Shelf) audioOf(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, folders ...fs.FS) (map[ringfence.Digest][]byte, error) {
	out := map[ringfence.Digest][]byte{}
	total := 0
	for _, f := range b.Recordings() {
		sha := ringfence.Digest(f.SHA)
		raw, err := s.storedAudio(ctx, tenant, sha)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
		for _, folder := range folders {
			if raw == nil && folder != nil {
				raw = fileOf(folder, f)
			}
		}
		if raw == nil {
			return nil, fmt.Errorf("the recording %s is not here: publish the folder that it lies in", f.Path)
		}
		if s.cfg.CheckAudio != nil {
			if err := s.cfg.CheckAudio(raw); err != nil {
				return nil, fmt.Errorf("the recording %s cannot be played: %v", f.Path, err)
			}
		}
		if total += len(raw); total > maxAudioSet {
			return nil, fmt.Errorf("the recordings are larger than %d MiB together", maxAudioSet>>20)
		}
		out[sha] = raw
	}
	return out, nil
}

// fileOf reads a file if it is the one that the bundle was made of.
func fileOf(folder fs.FS, f flows.File) []byte {
	in, err := folder.Open(f.Path)
	if err != nil {
		return nil
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, maxAudio+1))
	if err != nil || len(raw) > maxAudio || sha256.Sum256(raw) != f.SHA {
		return nil
	}
	return raw
}

func storeAudio(ctx context.Context, tx ledger.Tx, audio map[ringfence.Digest][]byte) error {
	for sha, raw := range audio {
		_, err := tx.Get(ctx, kindAudio, sha.String())
		if err == nil {
			continue
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		rec := ledger.Record{Kind: kindAudio, ID: sha.String(), Sort: tx.Now().UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, raw); err != nil {
			return err
		}
	}
	return nil
}

// DropAudio forgets those of the recordings that no bundle of the shelf names:
// none in force, of the past, waiting or proposed. The caller has made sure that
// nothing else names them, in the same transaction.
func (s *Shelf) DropAudio(ctx context.Context, tx ledger.Tx, shas []ringfence.Digest) error {
	// The bytes of a bundle hold those of each hash that it names.
	left := slices.Clone(shas)
	keep := func(canonical []byte) {
		left = slices.DeleteFunc(left, func(sha ringfence.Digest) bool { return bytes.Contains(canonical, sha[:]) })
	}
	keep(s.cfg.Base.Canonical())
	if err := eachBundle(ctx, tx, keep); err != nil {
		return err
	}
	for _, sha := range left {
		rec, err := tx.Get(ctx, kindAudio, sha.String())
		if err == nil {
			err = tx.Delete(ctx, kindAudio, rec.ID, rec.Version)
		}
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
	}
	return nil
}

// bundlesAtATime is how many bundles are in memory: one may be large.
const bundlesAtATime = 20

// eachBundle reads the bytes of every bundle that is stored.
func eachBundle(ctx context.Context, tx ledger.Tx, see func(canonical []byte)) error {
	for rec, err := range ledger.All(ctx, tx, kindBundle, ledger.Query{Limit: bundlesAtATime}) {
		if err != nil {
			return err
		}
		row, err := ledger.Decode[storedBundle](rec)
		if err != nil {
			return err
		}
		see(row.Canonical)
	}
	return nil
}

func (s *Shelf) storedAudio(ctx context.Context, tenant ringfence.TenantID, sha ringfence.Digest) (raw []byte, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		raw, _, err = ledger.Read[[]byte](ctx, tx, kindAudio, sha.String())
		return err
	})
	return raw, err
}

// Audio returns a recording of a bundle by its hash: of the base, or of one
// that some tenant of this process published. ledger.ErrNotFound for any other.
func (s *Shelf) Audio(ctx context.Context, sha ringfence.Digest) ([]byte, error) {
	if s.cfg.Audio != nil {
		for _, f := range s.cfg.Base.Recordings() {
			if ringfence.Digest(f.SHA) == sha {
				if raw := fileOf(s.cfg.Audio, f); raw != nil {
					return raw, nil
				}
			}
		}
	}
	var raw []byte
	err := ledger.ErrNotFound
	s.views.Range(func(tenant, _ any) bool {
		raw, err = s.storedAudio(ctx, tenant.(ringfence.TenantID), sha)
		return err != nil
	})
	return raw, err
}
