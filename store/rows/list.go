package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/ledger"
)

const (
	defaultPage = 200
	maxPage     = ledger.MaxPage
)

// page returns the limit a query means.
func page(limit int) (int, error) {
	if limit == 0 {
		return defaultPage, nil
	}
	if limit < 0 || limit > maxPage {
		return 0, fmt.Errorf("limit %d is not within 1 to %d", limit, maxPage)
	}
	return limit, nil
}

// List implements ledger.Records.
func (t *Tx) List(ctx context.Context, kind ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	if err := t.usable(false); err != nil {
		return nil, err
	}
	limit, err := page(q.Limit)
	if err != nil {
		return nil, err
	}
	if err := t.learnList(ctx, kind, q); err != nil {
		return nil, err
	}
	if known, ok, err := t.knownList(ctx, kind, q, limit); ok || err != nil {
		return known, err
	}
	return t.list(ctx, kind, q, limit)
}

// list reads what q asks for, whatever is remembered.
func (t *Tx) list(ctx context.Context, kind ledger.Kind, q ledger.Query, limit int) ([]ledger.Record, error) {
	query, args, err := t.listQuery(ctx, kind, q)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil // the tenant has no key, so it has no rows
	}
	if err != nil {
		return nil, err
	}
	var found []sealedRecord
	touched := func(f *Flight) bool { return f.lists[keyPlace{kind, q.Key, q.Value}] }
	if q.Key == "" {
		touched = func(f *Flight) bool { return len(f.records) > 0 }
	}
	err = t.ask(ctx, touched, query, func(s Scanner) error {
		r := sealedRecord{Record: ledger.Record{Kind: kind}}
		err := s.Scan(&r.ID, &r.Version, &r.Subject, &r.Sort, &r.sealed)
		found = append(found, r)
		return err
	}, append(args, limit)...)
	if err != nil {
		return nil, t.broke("list", err)
	}
	t.unchanged(found)
	out, err := t.openAll(ctx, found)
	if err == nil && !carry(out, q) {
		err = ledger.ErrTampered
	}
	if err != nil {
		return nil, err
	}
	t.keepList(kind, q, out, len(found) < limit)
	if len(found) == limit && len(out) < limit {
		// A short page is the last one, and what cannot be opened any more is none of it.
		q.After, q.AfterID = found[limit-1].Sort, found[limit-1].ID
		more, err := t.list(ctx, kind, q, limit-len(out))
		return append(out, more...), err
	}
	return out, nil
}

// carry reports whether every record has the look-up value by which it was
// found: the value is sealed with the record, what leads to it is not.
func carry(found []ledger.Record, q ledger.Query) bool {
	return q.Key == "" || !slices.ContainsFunc(found, func(r ledger.Record) bool { v, ok := r.Keys[q.Key]; return !ok || v != q.Value })
}

// sealedRecord is a row as it is stored.
type sealedRecord struct {
	ledger.Record
	sealed []byte
}

func (t *Tx) openAll(ctx context.Context, rows []sealedRecord) ([]ledger.Record, error) {
	out := make([]ledger.Record, 0, len(rows))
	for _, r := range rows {
		if known, ok := t.recent(r.Kind, r.ID); ok && known.Version == r.Version {
			out = append(out, known)
			continue
		}
		opened, err := t.open(ctx, r)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // its subject was erased
		}
		if err != nil {
			return nil, err
		}
		out = append(out, opened)
	}
	return out, nil
}

// listQuery builds one of a few fixed statements.
func (t *Tx) listQuery(ctx context.Context, kind ledger.Kind, q ledger.Query) (string, []any, error) {
	var b strings.Builder
	args := []any{t.cfg.Tenant, kind}
	if q.Key == "" {
		b.WriteString(`SELECT r.id, r.version, r.subject, r.sort, r.sealed FROM records r WHERE r.tenant_id = ? AND r.kind = ?`)
	} else {
		box, err := t.box(ctx, "", false)
		if err != nil {
			return "", nil, err
		}
		b.WriteString(`SELECT d.id, d.version, d.subject, d.sort, d.sealed FROM record_keys r JOIN records d ON d.tenant_id = r.tenant_id AND d.kind = r.kind AND d.id = r.id WHERE r.tenant_id = ? AND r.kind = ?`)
		blinds := box.Blinds(string(kind), q.Key, q.Value)
		b.WriteString(` AND r.blind IN (?` + strings.Repeat(`, ?`, len(blinds)-1) + `)`)
		for _, blind := range blinds {
			args = append(args, blind)
		}
	}
	if q.From != 0 {
		b.WriteString(` AND r.sort >= ?`)
		args = append(args, q.From)
	}
	if q.To != 0 {
		b.WriteString(` AND r.sort < ?`)
		args = append(args, q.To)
	}
	order, beyond := "ASC", ">"
	if q.Desc {
		order, beyond = "DESC", "<"
	}
	if q.AfterID != "" {
		b.WriteString(` AND (r.sort, r.id) ` + beyond + ` (?, ?)`)
		args = append(args, q.After, q.AfterID)
	}
	b.WriteString(` ORDER BY r.sort ` + order + `, r.id ` + order + ` LIMIT ?`)
	return b.String(), args, nil
}
