package main

import (
	"context"
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// A brief note gives way to one of its kind and call that follows; all others
// are written in the order they were added.
func TestBriefNotesGiveWay(t *testing.T) {
	var got []string
	l := later{notes: map[ringfence.TenantID]*laterNotes{"acme": {brief: map[laterKey]int{}}}}
	add := func(says, what string, call ringfence.TraversalID, brief bool) {
		l.add(nil, "acme", laterNote{what: what, traversal: call, brief: brief, write: func(context.Context, ledger.Tx) error {
			got = append(got, says)
			return nil
		}})
	}
	add("first answered", "look-up", "1", true)
	add("second answered", "look-up", "2", true)
	add("first trace", "trace", "1", false)
	add("first put through", "look-up", "1", false)
	add("first ended", "look-up", "1", true)
	add("first ended again", "look-up", "1", true)
	for _, n := range l.take("acme") {
		_ = n.write(t.Context(), nil)
	}
	add("second ended", "look-up", "2", true)
	for _, n := range l.take("acme") {
		_ = n.write(t.Context(), nil)
	}
	want := []string{"second answered", "first trace", "first put through", "first ended again", "second ended"}
	if !slices.Equal(got, want) {
		t.Errorf("have %q, want %q", got, want)
	}
	if n := l.take("acme"); n != nil || len(l.notes) != 0 {
		t.Errorf("have %d notes of %d tenants, want none", len(n), len(l.notes))
	}
}
