package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Key is an idempotency key, scoped to tenant, client and operation. The same
// key with the same body gets the same answer, before and after a crash; with
// another body, ErrConflict. The zero Key asks for none of it.
type Key struct {
	Client    string
	Operation string
	Value     string
	Body      [32]byte // SHA-256 of the request's body
}

// Zero reports no key.
func (k Key) Zero() bool { return k.Value == "" }

func (k Key) id() string {
	sum := sha256.Sum256([]byte("ringfence/idempotency/v1\x00" + k.Client + "\x00" + k.Operation + "\x00" + k.Value))
	return hex.EncodeToString(sum[:])
}

type answer struct {
	Body   ringfence.Digest `json:"body"`
	Answer string           `json:"answer"` // never a permit
	At     time.Time        `json:"at"`
}

// recall returns the answer given to a key, "" when there was none.
func recall(ctx context.Context, tx ledger.Tx, k Key) (string, error) {
	if k.Value == "" {
		return "", nil
	}
	a, _, err := ledger.Read[answer](ctx, tx, KindIdempotency, k.id())
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case a.Body != ringfence.Digest(k.Body):
		return "", ErrConflict
	default:
		return a.Answer, nil
	}
}

func remember(ctx context.Context, tx ledger.Tx, k Key, text string) error {
	if k.Value == "" {
		return nil
	}
	rec := ledger.Record{Kind: KindIdempotency, ID: k.id(), Sort: tx.Now().UnixNano()}
	return ledger.Write(ctx, tx, &rec, answer{Body: k.Body, Answer: text, At: tx.Now()})
}

// Once runs an operation at most once for a key: f's answer is kept in the
// transaction that f works in, and given again to whoever repeats it. The
// answer must hold no secret and no permit. found reports a repetition.
func (g *Gate) Once(ctx context.Context, tenant ringfence.TenantID, k Key, f func(ledger.Tx) (string, error)) (text string, found bool, err error) {
	err = g.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		text, err = recall(ctx, tx, k)
		if found = text != ""; err != nil || found {
			return err
		}
		if text, err = f(tx); err != nil {
			return err
		}
		return remember(ctx, tx, k, text)
	})
	return text, found, err
}
