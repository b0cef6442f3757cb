package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// page is how many entries are read at a time.
const page = 1000

// FromSource learns all facts of a log that is read without keys.
func FromSource(ctx context.Context, src ledger.Source) (map[ringfence.ReleaseID]Fact, error) {
	facts := map[ringfence.ReleaseID]Fact{}
	for from := int64(0); ; {
		stored, err := src.Stored(ctx, from, page)
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			var e ledger.Entry
			if err := json.Unmarshal(s.Leaf, &e); err != nil {
				return nil, fmt.Errorf("entry %d cannot be read: verify the ledger first", s.Index)
			}
			Learn(facts, e)
		}
		if len(stored) < page {
			return facts, nil
		}
		from = stored[len(stored)-1].Index + 1
	}
}

// FromLog learns the facts of what was redeemed from a time on, and of the
// releases that a journal names, in one transaction.
func FromLog(ctx context.Context, log ledger.LogReader, from time.Time, lines []Line) (map[ringfence.ReleaseID]Fact, error) {
	wanted := map[ringfence.ReleaseID]bool{}
	for _, l := range lines {
		wanted[l.Release] = true
	}
	if err := redeemedSince(ctx, log, from, wanted); err != nil {
		return nil, err
	}
	facts := map[ringfence.ReleaseID]Fact{}
	for id := range wanted {
		for e, err := range ledger.AllEntries(ctx, log, ledger.EntryQuery{Release: id}) {
			if err != nil {
				return nil, err
			}
			Learn(facts, e)
		}
	}
	return facts, nil
}

// redeemedSince adds the releases redeemed from a time on, newest first.
func redeemedSince(ctx context.Context, log ledger.LogReader, from time.Time, into map[ringfence.ReleaseID]bool) error {
	for e, err := range ledger.AllEntries(ctx, log, ledger.EntryQuery{Event: "release.redeemed", Desc: true}) {
		if err != nil || e.At.Before(from) {
			return err
		}
		into[e.Release] = true
	}
	return nil
}
