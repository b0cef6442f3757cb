package rows

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Question is one query; Scan is handed its rows.
type Question struct {
	Query string
	Args  []any
	Scan  func(Scanner) error
}

// Fetcher is a DB that answers several questions in one round trip.
type Fetcher interface {
	Ask(ctx context.Context, all []Question) error
}

// Fetch brings what others are going to ask for into what the writer remembers,
// as far as it is not there. What does not open is left for those who ask.
func (t *Tx) Fetch(ctx context.Context, db Fetcher, wanted []ledger.Reads) error {
	if err := t.edge(ctx); err != nil {
		return err
	}
	f := fetch{t: t, wrapped: map[owner]*[]byte{}, records: map[place]*[]sealedRecord{}, lists: map[keyPlace]*[]sealedRecord{}}
	for _, w := range wanted {
		if err := f.want(ctx, w); err != nil {
			return err
		}
	}
	if len(f.questions) == 0 {
		return nil
	}
	if err := db.Ask(ctx, f.questions); err != nil {
		return t.broke("fetch", err)
	}
	f.openKeys()
	if err := f.ownersOf(ctx, db); err != nil {
		return err
	}
	return f.keep(ctx)
}

// fetch is what one Fetch has asked.
type fetch struct {
	t         *Tx
	questions []Question
	wrapped   map[owner]*[]byte
	records   map[place]*[]sealedRecord
	lists     map[keyPlace]*[]sealedRecord
}

func (f *fetch) want(ctx context.Context, w ledger.Reads) error {
	f.key("")
	for _, id := range w.Subjects {
		f.key(id)
	}
	for _, r := range w.Records {
		f.record(place{r.Kind, r.ID})
	}
	for _, l := range w.Lists {
		if err := f.list(ctx, keyPlace{l.Kind, l.Key, l.Value}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetch) key(id ringfence.SubjectID) {
	o := owner{f.t.cfg.Tenant, id}
	if f.wrapped[o] != nil || f.t.boxes[o] != nil || f.t.cfg.Keys.cached(o, f.t.turn) != nil || !isText(string(id)) {
		return
	}
	into := new([]byte)
	f.wrapped[o] = into
	f.questions = append(f.questions, Question{readKey, []any{o.tenant, o.subject}, func(s Scanner) error { return s.Scan(into) }})
}

func (f *fetch) record(p place) {
	if _, known := f.t.cfg.Recent.records[p]; known || f.records[p] != nil || !isText(p.id) {
		return
	}
	into := new([]sealedRecord)
	f.records[p] = into
	f.questions = append(f.questions, Question{readRecord, []any{f.t.cfg.Tenant, p.kind, p.id}, func(s Scanner) error {
		r := sealedRecord{Record: ledger.Record{Kind: p.kind, ID: p.id}}
		err := s.Scan(&r.Version, &r.Subject, &r.Sort, &r.sealed)
		*into = append(*into, r)
		return err
	}})
}

// list asks for a whole list. Its look-up value is blinded with the tenant's
// key; without one there is nothing to find, and nothing is asked.
func (f *fetch) list(ctx context.Context, p keyPlace) error {
	t := f.t
	if _, known := t.cfg.Recent.lists[p]; known || f.lists[p] != nil || t.cfg.Keys.cached(owner{t.cfg.Tenant, ""}, t.turn) == nil {
		return nil
	}
	query, args, err := t.listQuery(ctx, p.kind, ledger.Query{Key: p.name, Value: p.value})
	if err != nil {
		return err
	}
	into := new([]sealedRecord)
	f.lists[p] = into
	f.questions = append(f.questions, Question{query, append(args, maxRecentLength), func(s Scanner) error {
		r := sealedRecord{Record: ledger.Record{Kind: p.kind}}
		err := s.Scan(&r.ID, &r.Version, &r.Subject, &r.Sort, &r.sealed)
		*into = append(*into, r)
		return err
	}})
	return nil
}

// openKeys opens the keys that were found.
func (f *fetch) openKeys() {
	for o, wrapped := range f.wrapped {
		if *wrapped == nil {
			continue
		}
		if b, err := f.t.cfg.Keys.master.Box(*wrapped, o.aad()); err == nil {
			f.t.boxes[o] = b
		}
	}
	clear(f.wrapped)
}

// ownersOf asks for the keys of what was found, all together.
func (f *fetch) ownersOf(ctx context.Context, db Fetcher) error {
	f.questions = nil
	for _, found := range f.records {
		for _, r := range *found {
			f.key(r.Subject)
		}
	}
	for _, found := range f.lists {
		for _, r := range *found {
			f.key(r.Subject)
		}
	}
	if len(f.questions) == 0 {
		return nil
	}
	if err := db.Ask(ctx, f.questions); err != nil {
		return f.t.broke("fetch", err)
	}
	f.openKeys()
	return nil
}

// keep remembers what was found.
func (f *fetch) keep(ctx context.Context) error {
	for _, found := range f.records {
		_, _ = f.t.openAll(ctx, *found)
	}
	for p, found := range f.lists {
		q := ledger.Query{Key: p.name, Value: p.value}
		if out, err := f.t.openAll(ctx, *found); err == nil && carry(out, q) {
			f.t.keepList(p.kind, q, out, len(*found) < maxRecentLength)
		}
	}
	return f.t.err
}
