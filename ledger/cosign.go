package ledger

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the algorithm byte of Ed25519 cosignatures
// (C2SP tlog-cosignature).
const algCosignature = 4

// Witness cosigns checkpoints: it says that the log only grew, as far as it
// saw it, until a time.
type Witness struct {
	name string
	key  crypto.Signer
	pub  ed25519.PublicKey
}

// NewWitness returns a witness. The key must be Ed25519.
func NewWitness(name string, key crypto.Signer) (*Witness, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("witness key is %T, want ed25519", key.Public())
	}
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return nil, fmt.Errorf("witness name %q: want no blanks and no plus sign", name)
	}
	return &Witness{name: name, key: key, pub: pub}, nil
}

// cosignerHash is the key id of a witness (C2SP signed-note).
func cosignerHash(name string, pub ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"+string(byte(algCosignature))), pub...))
	return binary.BigEndian.Uint32(sum[:])
}

// Key is the witness's public key, as verifiers take it.
func (w *Witness) Key() string {
	return fmt.Sprintf("%s+%08x+%s", w.name, cosignerHash(w.name, w.pub), base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, w.pub...)))
}

// cosigned is what is signed: the time, and the note.
func cosigned(text string, at uint64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// Cosign adds the witness's line to a signed checkpoint. Whoever calls it has
// verified that the log grew from the last one cosigned to this.
func (w *Witness) Cosign(checkpoint []byte, now time.Time) ([]byte, error) {
	text, _, ok := strings.Cut(string(checkpoint), "\n\n")
	if !ok || now.Unix() < 0 {
		return nil, errors.New("cosign: this is no signed note")
	}
	at := uint64(now.Unix())
	sig, err := w.key.Sign(rand.Reader, cosigned(text+"\n", at), crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	raw := binary.BigEndian.AppendUint32(nil, cosignerHash(w.name, w.pub))
	raw = binary.BigEndian.AppendUint64(raw, at)
	line := "— " + w.name + " " + base64.StdEncoding.EncodeToString(append(raw, sig...)) + "\n"
	return append(append([]byte(nil), checkpoint...), line...), nil
}

type cosigner struct {
	name string
	hash uint32
	pub  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(c.pub, cosigned(string(msg), binary.BigEndian.Uint64(sig)), sig[8:])
}

// NewCosignatureVerifier reads a witness's key.
func NewCosignatureVerifier(key string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(key, "+")
	hash, text, ok := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || name == "" || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algCosignature {
		return nil, errors.New("this is no key of a witness: want name+hash+base64 of an Ed25519 cosignature key")
	}
	c := cosigner{name: name, pub: ed25519.PublicKey(raw[1:])}
	if c.hash = cosignerHash(name, c.pub); fmt.Sprintf("%08x", c.hash) != hash {
		return nil, errors.New("the key of the witness does not have the id that it names")
	}
	return c, nil
}

// Witnessed returns how many of the witnesses cosigned a checkpoint that the
// log's own key signed.
func Witnessed(checkpoint []byte, log note.Verifier, witnesses ...note.Verifier) (int, error) {
	if _, err := OpenCheckpoint(checkpoint, log); err != nil {
		return 0, err
	}
	n := 0
	for _, w := range witnesses {
		if _, err := note.Open(checkpoint, note.VerifierList(w)); err == nil {
			n++
		}
	}
	return n, nil
}
