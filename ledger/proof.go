package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// proofHeader is the first line of a proof (C2SP tlog-proof).
const proofHeader = "c2sp.org/tlog-proof@v1"

// Proof shows that an entry stands in a log whose head was signed. It is
// complete: whoever has it, the entry and the log's key asks nobody.
type Proof struct {
	Index      int64
	Path       tlog.RecordProof
	Checkpoint []byte // signed note
}

// Prove makes the proof of an entry against a signed checkpoint of the log.
func Prove(log tlog.HashReader, index int64, head Head, checkpoint []byte) (Proof, error) {
	if index < 0 || index >= head.Size {
		return Proof{}, fmt.Errorf("entry %d is not among the %d that the checkpoint covers", index, head.Size)
	}
	path, err := tlog.ProveRecord(head.Size, index, log)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Index: index, Path: path, Checkpoint: checkpoint}, nil
}

// Text writes the proof as C2SP tlog-proof has it.
func (p Proof) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nindex %d\n", proofHeader, p.Index)
	for _, h := range p.Path {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

var errProofForm = errors.New("this is no proof: want c2sp.org/tlog-proof@v1, an index, hashes, and a checkpoint")

// ReadProof reads what Text writes. It believes nothing: Check does that.
func ReadProof(text []byte) (Proof, error) {
	if len(text) > maxCheckpointBytes+8<<10 {
		return Proof{}, errProofForm
	}
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || len(lines) > 2+64 || lines[0] != proofHeader {
		return Proof{}, errProofForm
	}
	number, found := strings.CutPrefix(lines[1], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || index < 0 || strconv.FormatInt(index, 10) != number {
		return Proof{}, errProofForm
	}
	p := Proof{Index: index, Checkpoint: []byte(checkpoint)}
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize || len(line) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
			return Proof{}, errProofForm
		}
		p.Path = append(p.Path, tlog.Hash(raw))
	}
	return p, nil
}

// Check verifies the proof for an entry's exact bytes and returns the head
// under which it stands.
func (p Proof) Check(leaf []byte, v note.Verifier) (Head, error) {
	head, err := OpenCheckpoint(p.Checkpoint, v)
	if err != nil {
		return Head{}, err
	}
	if err := tlog.CheckRecord(p.Path, head.Size, head.Root, p.Index, tlog.RecordHash(leaf)); err != nil {
		return Head{}, errors.New("the proof does not hold: this entry is not at that place of the signed log")
	}
	return head, nil
}

// ErrForked is returned by Follows for heads that no one log has.
var ErrForked = errors.New("ledger: two signed heads contradict each other: the log was rewritten, or shows two faces")

// Follows reports whether newer can come after older in one log. proof is the
// consistency proof between the two; it is not needed for equal sizes. A newer
// head that is smaller is ErrBehind, a contradiction ErrForked.
func Follows(older, newer Head, proof tlog.TreeProof) error {
	switch {
	case newer.Size < older.Size:
		return fmt.Errorf("%w: it has %d entries, %d were signed before", ErrBehind, newer.Size, older.Size)
	case older.Size == 0:
		return nil
	case newer.Size == older.Size && newer.Root == older.Root:
		return nil
	case newer.Size == older.Size:
		return fmt.Errorf("%w: both have %d entries", ErrForked, older.Size)
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: %d entries do not continue the %d before", ErrForked, newer.Size, older.Size)
	}
	return nil
}
