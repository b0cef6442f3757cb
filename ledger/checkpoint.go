package ledger

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
)

// Head is size and root of a log (C2SP tlog-checkpoint). The zero Head is the
// empty log.
type Head struct {
	Size int64
	Root tlog.Hash
}

// HeadOf computes the head of the log that a transaction sees.
func HeadOf(ctx context.Context, log LogReader) (Head, error) {
	size, err := log.Size(ctx)
	if err != nil {
		return Head{}, err
	}
	if size == 0 {
		return Head{}, nil
	}
	root, err := tlog.TreeHash(size, log)
	if err != nil {
		return Head{}, fmt.Errorf("tree hash of %d entries: %v", size, err)
	}
	return Head{Size: size, Root: root}, nil
}

// Signer signs the heads of every tenant's log with one Ed25519 key. Each
// tenant's log has an origin of its own, so a checkpoint of one never passes
// for another's.
type Signer struct {
	name string
	key  crypto.Signer
	pub  ed25519.PublicKey
}

// NewSigner returns a signer of heads under name, which stands in each origin
// and must hold neither white space nor a plus sign. The key must be Ed25519.
func NewSigner(name string, key crypto.Signer) (*Signer, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("ledger key is %T, want ed25519", key.Public())
	}
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return nil, fmt.Errorf("ledger name %q: want no blanks and no plus sign", name)
	}
	return &Signer{name: name, key: key, pub: pub}, nil
}

// Origin is the first line of a tenant's checkpoints, and the name of the key
// that signs them.
func (s *Signer) Origin(tenant ringfence.TenantID) string { return s.name + "/" + string(tenant) }

// VerifierKey is the public key of a tenant's log in the form of
// golang.org/x/mod/sumdb/note; an auditor keeps it.
func (s *Signer) VerifierKey(tenant ringfence.TenantID) (string, error) {
	return note.NewEd25519VerifierKey(s.Origin(tenant), s.pub)
}

// Sign returns the signed checkpoint of a tenant's head.
func (s *Signer) Sign(tenant ringfence.TenantID, h Head) ([]byte, error) {
	vkey, err := s.VerifierKey(tenant)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: h.text(s.Origin(tenant))}, noteSigner{v: v, key: s.key})
}

type noteSigner struct {
	v   note.Verifier
	key crypto.Signer
}

func (n noteSigner) Name() string    { return n.v.Name() }
func (n noteSigner) KeyHash() uint32 { return n.v.KeyHash() }
func (n noteSigner) Sign(msg []byte) ([]byte, error) {
	return n.key.Sign(rand.Reader, msg, crypto.Hash(0))
}

func (h Head) text(origin string) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// maxCheckpointBytes bounds a checkpoint read from outside: three lines and a
// handful of witness signatures.
const maxCheckpointBytes = 64 << 10

// OpenCheckpoint verifies a signed checkpoint against the verifier of exactly
// one log and returns its head. A signature by anybody else, another origin or
// a malformed body is an error.
func OpenCheckpoint(msg []byte, v note.Verifier) (Head, error) {
	if len(msg) > maxCheckpointBytes {
		return Head{}, fmt.Errorf("checkpoint of %d bytes: want at most %d", len(msg), maxCheckpointBytes)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return Head{}, fmt.Errorf("checkpoint: %v", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != v.Name() {
		return Head{}, errors.New("checkpoint: want origin, size and root, and this log's origin")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Head{}, fmt.Errorf("checkpoint: size %q", lines[1])
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(raw) != tlog.HashSize {
		return Head{}, errors.New("checkpoint: root is no hash")
	}
	return Head{Size: size, Root: tlog.Hash(raw)}, nil
}

// ErrBehind is returned by Extends for a log that is cut, rolled back or
// another one than the head was taken of.
var ErrBehind = errors.New("ledger: the log does not contain the signed head")

// Extends reports whether the log that a transaction sees has the head in its
// past. An error other than ErrBehind means that it could not be found out.
func Extends(ctx context.Context, log LogReader, head Head) error {
	size, err := log.Size(ctx)
	if err != nil {
		return err
	}
	if size < head.Size {
		return fmt.Errorf("%w: it has %d entries, %d were signed", ErrBehind, size, head.Size)
	}
	if head.Size == 0 {
		return nil
	}
	root, err := tlog.TreeHash(head.Size, log)
	if err != nil {
		return err
	}
	if root != head.Root {
		return fmt.Errorf("%w: its first %d entries are others", ErrBehind, head.Size)
	}
	return nil
}
