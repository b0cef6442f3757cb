package ledger

import (
	"context"

	"github.com/ringfence/ringfence"
)

// Reads names what the callback of an Update is going to ask for. A store that
// is a round trip away fetches it in one, for everybody in the same commit. It
// promises nothing: what was not named is asked for when it is needed, and what
// was named in vain costs its look-up.
type Reads struct {
	Records []Ref
	// Lists are whole lists of the records that carry a key's value.
	Lists []ListRef
	// Subjects are those whose records will be written.
	Subjects []ringfence.SubjectID
}

// Ref names one record.
type Ref struct {
	Kind Kind
	ID   string
}

// ListRef names the records of a kind that carry a key's value.
type ListRef struct {
	Kind       Kind
	Key, Value string
}

type readsKey struct{}

// WithReads returns a context for Update that tells the store what f will ask
// for.
func WithReads(ctx context.Context, r Reads) context.Context {
	return context.WithValue(ctx, readsKey{}, r)
}

// ReadsOf returns what WithReads was told.
func ReadsOf(ctx context.Context) Reads {
	r, _ := ctx.Value(readsKey{}).(Reads)
	return r
}
