package web

import (
	"bytes"
	"context"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// dropAudio forgets the recordings that a draft named before and names no more,
// but for those that another draft, a proposal or a bundle names.
func (s *Server) dropAudio(ctx context.Context, tx ledger.Tx, before, after map[string]string) error {
	left := map[string]bool{}
	for _, sum := range before {
		left[sum] = true
	}
	keep := func(audio map[string]string) {
		for _, sum := range audio {
			delete(left, sum)
		}
	}
	keep(after)
	if len(left) == 0 || s.cfg.Bundles == nil {
		return nil
	}
	if err := eachRow(ctx, tx, kindFlowDraft, func(d flowDraftRow) { keep(d.Audio) }); err != nil {
		return err
	}
	shas := digestsOf(left)
	// The bytes of what is asked for hold those of each hash that they name.
	err := eachRow(ctx, tx, kindFlowAsk, func(a flowAsk) {
		shas = slices.DeleteFunc(shas, func(sha ringfence.Digest) bool { return bytes.Contains(a.Canonical, sha[:]) })
	})
	if err != nil || len(shas) == 0 {
		return err
	}
	return s.cfg.Bundles.DropAudio(ctx, tx, shas)
}

func digestsOf(sums map[string]bool) []ringfence.Digest {
	var out []ringfence.Digest
	for _, sum := range slices.Sorted(maps.Keys(sums)) {
		if raw, err := hex.DecodeString(sum); err == nil && len(raw) == 32 {
			out = append(out, ringfence.Digest(raw))
		}
	}
	return out
}

// eachRow reads every record of a kind.
func eachRow[T any](ctx context.Context, tx ledger.Tx, kind ledger.Kind, see func(T)) error {
	for rec, err := range ledger.All(ctx, tx, kind, ledger.Query{}) {
		if err != nil {
			return err
		}
		row, err := ledger.Decode[T](rec)
		if err != nil {
			return err
		}
		see(row)
	}
	return nil
}
