package ledger

import (
	"cmp"
	"context"
	"iter"
)

// MaxPage is the most rows that one List or Entries answers with. A page that
// has fewer rows than were asked for is the last one.
const MaxPage = 1000

// All yields every record that q selects, in its order, however many there are;
// it reads them page by page, q.Limit at a time (0 means MaxPage). List answers
// with one page and does not tell that there is more: what is decided by the
// whole is read with All. An error comes last, and means that the rest was not
// found out. The transaction may change the records that it was handed.
func All(ctx context.Context, tx Records, kind Kind, q Query) iter.Seq2[Record, error] {
	q.Limit = cmp.Or(q.Limit, MaxPage)
	return func(yield func(Record, error) bool) {
		for q := q; ; {
			page, err := tx.List(ctx, kind, q)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, rec := range page {
				if !yield(rec, nil) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
			q.After, q.AfterID = page[len(page)-1].Sort, page[len(page)-1].ID
		}
	}
}

// Rows decodes every record that q selects, as All reads them. One that cannot
// be read fails it.
func Rows[T any](ctx context.Context, tx Records, kind Kind, q Query) ([]T, error) {
	var out []T
	for rec, err := range All(ctx, tx, kind, q) {
		if err != nil {
			return nil, err
		}
		row, err := Decode[T](rec)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// AllEntries is All for the log.
func AllEntries(ctx context.Context, log LogReader, q EntryQuery) iter.Seq2[Entry, error] {
	q.Limit = cmp.Or(q.Limit, MaxPage)
	return func(yield func(Entry, error) bool) {
		q := q
		for more := true; more; {
			var page []Entry
			var err error
			if page, more, err = entryPage(ctx, log, &q); err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// entryPage reads a page and sets q to the next, if there may be one.
func entryPage(ctx context.Context, log LogReader, q *EntryQuery) (page []Entry, more bool, err error) {
	page, err = log.Entries(ctx, *q)
	if err != nil || len(page) < q.Limit {
		return page, false, err
	}
	switch last := page[len(page)-1].Index; {
	case !q.Desc:
		q.From = last + 1
	case last > 1:
		q.From = last - 1
	case last == 1: // from 0 backwards would mean from the newest
		q.Desc, q.From, q.Limit = false, 0, 1
		first, err := log.Entries(ctx, *q)
		if len(first) > 0 && first[0].Index == 0 {
			page = append(page, first[0])
		}
		return page, false, err
	default:
		return page, false, nil
	}
	return page, true, nil
}
