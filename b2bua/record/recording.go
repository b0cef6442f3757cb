package record

import (
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// The kinds of records of this room.
const (
	KindRecording ledger.Kind = "recording"        // Recording; keys: traversal
	kindOpen      ledger.Kind = "recording_open"   // id of a Recording that is being written
	kindDue       ledger.Kind = "recording_due"    // id of a Recording; sorted by when it is to be deleted
	kindAccess    ledger.Kind = "recording_access" // access, for ten minutes
)

// Prefix begins the id of a recording.
const Prefix = "rec"

// State is what became of a recording. The zero value is none.
type State string

// The states. They are stored.
const (
	StateLive    State = "live"    // is being written
	StateKept    State = "kept"    // whole
	StatePartial State = "partial" // ended early: the disk failed or the process died
	StateDeleted State = "deleted" // its key is destroyed
)

// The errors on which callers branch.
var (
	// ErrHeld refuses to delete what is under a legal hold.
	ErrHeld = errors.New("record: under a legal hold")
	// ErrLive refuses what needs a recording that has ended.
	ErrLive = errors.New("record: still being written")
	// ErrDeleted refuses what needs the audio of a deleted recording.
	ErrDeleted = errors.New("record: deleted")
	// ErrForged says that the file is not the one whose hash stands in the
	// ledger.
	ErrForged = errors.New("record: the file does not verify")
)

// Recording is the index row of one leg's audio.
type Recording struct {
	ID        string                `json:"id"` // rec_…
	Tenant    ringfence.TenantID    `json:"tenant"`
	Traversal ringfence.TraversalID `json:"traversal"`
	Leg       ringfence.LegID       `json:"leg"`
	Line      string                `json:"line"`
	Reference string                `json:"reference"`
	People    []ringfence.PersonID  `json:"people,omitempty"` // who spoke with the caller
	Class     string                `json:"class"`            // of retention
	Consent   string                `json:"consent"`          // notice or flow: how the caller was told
	State     State                 `json:"state"`
	Why       string                `json:"why,omitempty"` // of a partial one: disk, process; of a deleted one: retention, or the reason given
	Began     time.Time             `json:"began"`
	Blocks    int64                 `json:"blocks"`
	Bytes     int64                 `json:"bytes"`            // of the encrypted file
	SHA256    string                `json:"sha256,omitempty"` // of the encrypted file, hexadecimal
	Entry     int64                 `json:"entry,omitempty"`  // index of recording.ended, which holds the hash too
	Gaps      []Gap                 `json:"gaps,omitempty"`
	Key       []byte                `json:"key,omitempty"` // wrapped by the tenant's key; destroyed when deleted
	Until     time.Time             `json:"until"`         // kept at least till then
	Hold      *Hold                 `json:"hold,omitempty"`
	DeletedAt time.Time             `json:"deleted_at,omitzero"`
}

// Hold is a legal hold: nothing deletes the recording until it is lifted.
type Hold struct {
	By     ringfence.PersonID `json:"by"`
	At     time.Time          `json:"at"`
	Reason string             `json:"reason"`
}

// Length is how long the recording plays.
func (r Recording) Length() time.Duration {
	return time.Duration(r.Blocks) * blockMillis * time.Millisecond
}

// playable says why the audio cannot be had, or nil.
func (r Recording) playable() error {
	switch r.State {
	case StateKept, StatePartial:
		return nil
	case StateLive:
		return ErrLive
	default:
		return ErrDeleted
	}
}

// Call is what a recording is of.
type Call struct {
	Tenant    ringfence.TenantID
	Traversal ringfence.TraversalID
	Leg       ringfence.LegID
	Line      string
	Reference string
	Class     string // of retention
	Consent   string // notice or flow
}
