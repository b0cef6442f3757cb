package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

func TestBundlesKeepTheOrder(t *testing.T) {
	key := func(id string) statement {
		return statement{dollars(rows.InsertKey), []any{ringfence.TenantID("t"), ledger.Kind("k"), []byte{1}, int64(1), id}, 1}
	}
	entry := statement{dollars(rows.InsertEntry), []any{ringfence.TenantID("t"), int64(0), []byte("{}"), ledger.Event("e"), ringfence.TraversalID(""),
		ringfence.ReleaseID(""), ringfence.SubjectID("")}, 1}
	update := statement{"UPDATE records SET version = version + 1", nil, 1}
	drop := statement{"DELETE FROM record_keys WHERE id = $1", nil, rows.Any}
	mark := statement{"SAVEPOINT job", nil, rows.Any}
	for name, c := range map[string]struct {
		in   []statement
		want string
	}{
		"keys of several records":       {[]statement{key("a"), update, key("b"), entry, key("c"), entry}, "record_keys 3, UPDATE 1, entries 2"},
		"a key that goes between":       {[]statement{key("a"), drop, key("a"), key("b")}, "record_keys 1, DELETE -1, record_keys 2"},
		"a job that may be undone":      {[]statement{key("a"), entry, mark, entry, key("b")}, "record_keys 1, entries 1, SAVEPOINT -1, entries 1, record_keys 1"},
		"entries overtake other tables": {[]statement{entry, drop, update, entry}, "entries 2, DELETE -1, UPDATE 1"},
		"nothing":                       {nil, ""},
	} {
		var have []string
		for _, s := range bundled(c.in) {
			words := strings.Fields(s.query)
			if words[0] == "INSERT" {
				words = words[2:]
			}
			have = append(have, fmt.Sprint(words[0], " ", s.want))
		}
		if got := strings.Join(have, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestTakenIDsRefuseTheirCallerAlone: what is new to a node goes out unasked,
// together with what others write; the one who was wrong learns it, and nobody
// else.
func TestTakenIDsRefuseTheirCallerAlone(t *testing.T) {
	url, m := database(t), newMaster(t)
	first, second := open(t, Config{URL: url, Master: m}), open(t, Config{URL: url, Master: m})
	ctx := t.Context()
	for i := range 5 {
		mine := ledger.Record{Kind: "thing", ID: fmt.Sprint("taken", i), Body: []byte(`"first"`), Keys: map[string]string{"of": "x"}}
		if err := first.Update(ctx, "default", func(tx ledger.Tx) error { return tx.Put(ctx, &mine) }); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range 30 {
		r := ledger.Record{Kind: "thing", ID: fmt.Sprint("new", i), Body: []byte(`"second"`), Keys: map[string]string{"of": "x"}}
		var want error
		if i%6 == 0 {
			r.ID, want = fmt.Sprint("taken", i/6), ledger.ErrConflict
		}
		wg.Go(func() {
			err := second.Update(ctx, "default", func(tx ledger.Tx) error {
				_, err := tx.Append(ctx, ledger.Entry{Event: "key.used"})
				return errors.Join(err, tx.Put(ctx, &r))
			})
			if !errors.Is(err, want) || want == nil && r.Version != 1 || want != nil && r.Version != 0 {
				t.Errorf("%s: %v and version %d, want %v", r.ID, err, r.Version, want)
			}
		})
	}
	wg.Wait()
	if err := first.View(ctx, "default", func(tx ledger.Tx) error {
		size, err := tx.Size(ctx)
		found, listed := tx.List(ctx, "thing", ledger.Query{Key: "of", Value: "x"})
		kept := 0
		for _, r := range found {
			if string(r.Body) == `"first"` {
				kept++
			}
		}
		if size != 25 || len(found) != 30 || kept != 5 {
			t.Errorf("%d entries, %d records, %d of them of the first; want 25, 30, 5", size, len(found), kept)
		}
		return errors.Join(err, listed)
	}); err != nil {
		t.Error(err)
	}
}

// TestFetchedIsWhatIsAsked: what is fetched for a commit answers as the database
// does, after another node wrote too.
func TestFetchedIsWhatIsAsked(t *testing.T) {
	url, m := database(t), newMaster(t)
	nodes := []*Store{open(t, Config{URL: url, Master: m}), open(t, Config{URL: url, Master: m})}
	ctx := t.Context()
	told := ledger.WithReads(ctx, ledger.Reads{Subjects: []ringfence.SubjectID{"sub_1", "sub_none"},
		Records: []ledger.Ref{{Kind: "thing", ID: "0"}, {Kind: "thing", ID: "none"}, {Kind: "thing", ID: "\x00"}},
		Lists:   []ledger.ListRef{{Kind: "thing", Key: "of", Value: "x"}, {Kind: "thing", Key: "of", Value: "nobody"}}})
	for i := range 6 {
		err := nodes[i%2].Update(told, "default", func(tx ledger.Tx) error {
			found, err := tx.List(ctx, "thing", ledger.Query{Key: "of", Value: "x"})
			none, listed := tx.List(ctx, "thing", ledger.Query{Key: "of", Value: "nobody"})
			if _, err := tx.Get(ctx, "thing", "none"); !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("a record that is not there: %v", err)
			}
			if r, err := tx.Get(ctx, "thing", "0"); i > 0 && (err != nil || string(r.Body) != `0`) {
				t.Errorf("%s %v", r.Body, err)
			}
			if len(found) != i || len(none) != 0 {
				t.Errorf("%d and %d records, want %d and 0", len(found), len(none), i)
			}
			return errors.Join(err, listed, tx.Put(ctx, &ledger.Record{Kind: "thing", ID: fmt.Sprint(i), Subject: "sub_1", Sort: int64(i),
				Body: fmt.Append(nil, i), Keys: map[string]string{"of": "x"}}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
