package shelf

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// The kinds of records of this room. They are stored and never renamed.
const (
	kindBundle ledger.Kind = "bundle"       // by hash; never changed but for when it came into force
	kindDraft  ledger.Kind = "bundle_draft" // by hash; a proposal with its signatures
	kindState  ledger.Kind = "bundle_state" // one a tenant
	kindKey    ledger.Kind = "signing_key"  // keys: person, public
	kindTally  ledger.Kind = "ramp_tally"   // one a tenant; how the calls of a ramp went
	// kindAudio holds recordings by hash; the flow editor writes them too.
	kindAudio  ledger.Kind = "flow_audio"
	kindShadow ledger.Kind = "shadow" // one a tenant; what follows the calls, and how they differed
)

const (
	stateID = "state"
	// draftLife is how long a proposal waits for its second signature.
	draftLife = 7 * 24 * time.Hour
	// looserWait is when a looser bundle takes effect, minWait the least that a
	// waiver of it may say (invariant 20).
	looserWait = 24 * time.Hour
	minWait    = time.Hour
	// keyWait is how long a key waits before it may sign, but for those of the
	// first two persons.
	keyWait = 24 * time.Hour
	// maxHistory bounds the publications that are remembered; what fell off is
	// not found by hash any more.
	maxHistory = 256
)

// storedBundle is one bundle on the shelf.
type storedBundle struct {
	Canonical []byte `json:"canonical"`
	// Certificate is the flows.Certificate of the proof by which it was let in.
	Certificate json.RawMessage `json:"certificate,omitempty"`
	StoredAt    time.Time       `json:"stored_at"`
}

// Publication is one change of what is in force.
type Publication struct {
	Bundle string               `json:"bundle"`
	Policy ringfence.Digest     `json:"policy"`
	How    string               `json:"how"` // base, published, rolled_back, ramped
	At     time.Time            `json:"at"`
	By     []ringfence.PersonID `json:"by,omitempty"`
}

// Waiting is a bundle that has its signatures, and whose time has not come.
type Waiting struct {
	Bundle string               `json:"bundle"`
	From   time.Time            `json:"from"`
	How    string               `json:"how"`
	Share  Share                `json:"share,omitzero"` // not zero: it begins as a ramp
	By     []ringfence.PersonID `json:"by,omitempty"`
}

// state is what is in force for one tenant.
type state struct {
	Current string        `json:"current,omitempty"` // empty = the base of the process
	Next    *Waiting      `json:"next,omitempty"`
	Ramp    *Ramp         `json:"ramp,omitempty"`
	History []Publication `json:"history"` // oldest first
	// Entry is the newest entry of policy.published or policy.rolled_back: a
	// state put back to an older one does not fit the log.
	Entry int64 `json:"entry"`
}

// was reports that a bundle has been in force.
func (s state) was(hash string) bool {
	return slices.ContainsFunc(s.History, func(p Publication) bool { return p.Bundle == hash })
}

func (s *state) note(p Publication) {
	s.History = append(s.History, p)
	if len(s.History) > maxHistory {
		s.History = slices.Clone(s.History[len(s.History)-maxHistory:])
	}
}

// errRewound refuses a state that the log does not bear out.
var errRewound = errors.New("shelf: the stored state of publications is not the one of the ledger; nothing is taken from it")

// readState returns the state of a tenant; version 0 means that nothing was
// ever published.
func readState(ctx context.Context, tx ledger.Tx) (state, int64, error) {
	s, version, err := ledger.Read[state](ctx, tx, kindState, stateID)
	if errors.Is(err, ledger.ErrNotFound) {
		s, version, err = state{Entry: -1}, 0, nil
	}
	if err != nil {
		return s, version, err
	}
	newest := int64(-1)
	for _, event := range []ledger.Event{"policy.published", "policy.rolled_back"} {
		found, err := tx.Entries(ctx, ledger.EntryQuery{Event: event, Desc: true, Limit: 1})
		if err != nil {
			return s, version, err
		}
		if len(found) > 0 {
			newest = max(newest, found[0].Index)
		}
	}
	if newest != s.Entry {
		return s, version, errRewound
	}
	return s, version, nil
}

func writeState(ctx context.Context, tx ledger.Tx, s state, version int64) error {
	rec := ledger.Record{Kind: kindState, ID: stateID, Version: version}
	return ledger.Write(ctx, tx, &rec, s)
}
