package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
)

// once remembers the ids of proofs of possession (RFC 9449, section 11.1) among
// the marks that all nodes share. Losing them lets a proof be shown twice within
// two minutes; a permit is redeemed once all the same, which is the store's.
type once struct{ marks stirshaken.Marks }

// First implements web.Once: each asking is a call of its own, so an id that was
// marked before comes back as another's.
func (o once) First(ctx context.Context, id string, now, until time.Time) (bool, error) {
	var asking stirshaken.Mark
	if _, err := rand.Read(asking[:]); err != nil {
		return false, err
	}
	by, _, err := o.marks.First(ctx, sha256.Sum256([]byte("ringfence/dpop/v1\x00"+id)), asking, now, until)
	return err == nil && by == asking, err
}
