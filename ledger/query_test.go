package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

// An entry is matched by the one thing that a query names, from its place on.
func TestMatches(t *testing.T) {
	e := ledger.Entry{Index: 5, Traversal: "trv_1", Release: "rel_1", Subject: "sub_1", Event: "alert.raised"}
	for name, c := range map[string]struct {
		q    ledger.EntryQuery
		want bool
	}{
		"everything":        {ledger.EntryQuery{}, true},
		"its call":          {ledger.EntryQuery{Traversal: "trv_1"}, true},
		"another call":      {ledger.EntryQuery{Traversal: "trv_2"}, false},
		"its release":       {ledger.EntryQuery{Release: "rel_1"}, true},
		"another release":   {ledger.EntryQuery{Release: "rel_2"}, false},
		"its subject":       {ledger.EntryQuery{Subject: "sub_1"}, true},
		"another subject":   {ledger.EntryQuery{Subject: "sub_2"}, false},
		"its event":         {ledger.EntryQuery{Event: "alert.raised"}, true},
		"another event":     {ledger.EntryQuery{Event: "hold.placed"}, false},
		"from its place":    {ledger.EntryQuery{From: 5}, true},
		"from behind it":    {ledger.EntryQuery{From: 6}, false},
		"back from it":      {ledger.EntryQuery{Desc: true, From: 5}, true},
		"back from before":  {ledger.EntryQuery{Desc: true, From: 4}, false},
		"back from newest":  {ledger.EntryQuery{Desc: true}, true},
		"back from one on":  {ledger.EntryQuery{Desc: true, From: 6}, true},
		"call, other place": {ledger.EntryQuery{Traversal: "trv_1", From: 6}, false},
	} {
		if have := c.q.Matches(e); have != c.want {
			t.Errorf("%s: %v", name, have)
		}
	}
}

// sized is a log as a gate sees it.
type sized struct {
	ledger.Hashes
	size int64
	err  error
}

func (s sized) Entries(context.Context, ledger.EntryQuery) ([]ledger.Entry, error) { return nil, s.err }

func (s sized) Size(context.Context) (int64, error) { return s.size, s.err }

// A log extends the heads of its own past, and no other.
func TestExtends(t *testing.T) {
	g := grow(t, 9)
	hashes, head, _ := g.head(t, 7)
	forged := head
	forged.Root[0] ^= 1
	broken := errors.New("the store does not answer")
	for name, c := range map[string]struct {
		log  sized
		head ledger.Head
		want error
	}{
		"longer":               {sized{hashes, 9, nil}, head, nil},
		"as long":              {sized{hashes, 7, nil}, head, nil},
		"cut":                  {sized{hashes, 6, nil}, head, ledger.ErrBehind},
		"another":              {sized{hashes, 9, nil}, forged, ledger.ErrBehind},
		"nothing was signed":   {sized{nil, 0, nil}, ledger.Head{}, nil},
		"that does not answer": {sized{hashes, 9, broken}, head, broken},
	} {
		if err := ledger.Extends(t.Context(), c.log, c.head); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := ledger.Extends(t.Context(), sized{nil, 9, nil}, head); err == nil || errors.Is(err, ledger.ErrBehind) {
		t.Errorf("a log without its hashes: %v", err)
	}
	for _, at := range []int64{-1, int64(len(hashes))} {
		if _, err := hashes.ReadHashes([]int64{at}); err == nil {
			t.Errorf("there is a hash at %d", at)
		}
	}
	if _, err := ledger.Prove(hashes, -1, head, nil); err == nil {
		t.Error("an entry before the first is proved")
	}
}
