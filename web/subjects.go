package web

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

// maxNamesRead bounds how many subjects of one name a request reads while it
// looks for those who have the other words as well.
const maxNamesRead = 1000

type (
	subjectsIn struct {
		Text   string                `query:"text" maxLength:"80" doc:"a whole telephone number in any spelling, an e-mail address, the value of an identifying field, words of a name, or an id" example:"020 7946 0991"`
		Kind   ringfence.SubjectKind `query:"kind" pattern:"^[a-z_]{1,40}$" example:"customer"`
		Field  string                `query:"field" pattern:"^[a-z_]{1,40}$" doc:"an identifying field of the kind" example:"account"`
		Value  string                `query:"value" minLength:"1" maxLength:"80" doc:"its exact value"`
		Before string                `query:"before" maxLength:"80" doc:"next of the page before"`
		Limit  int                   `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	// foundSubject is a subject in a list. Of its record it shows the identifying
	// fields, and of them the last two characters.
	foundSubject struct {
		subjectView
		By map[string]string `json:"by" example:"{\"account\":\"…16\"}" doc:"identifying fields, masked"`
	}
	subjectsOut struct {
		Body struct {
			Subjects []foundSubject `json:"subjects" doc:"newest first"`
			Next     string         `json:"next,omitempty"`
		}
	}
)

func (s *Server) subjectAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/subjects", Summary: "Subjects, newest first, or those that a text finds",
		Description: "Numbers and values are matched whole, names by whole words. Set text, or field and value with their kind; nothing lists all, or all of a kind."}, s.subjects)
}

func (s *Server) subjects(ctx context.Context, in *subjectsIn) (*subjectsOut, error) {
	p, out := who(ctx), &subjectsOut{}
	text := strings.TrimSpace(in.Text)
	if set(text != "", in.Field != "") > 1 || (in.Field == "") != (in.Value == "") || in.Field != "" && in.Kind == "" {
		return nil, problem.New(problem.Unprocessable, "Set text, or field and value with their kind.")
	}
	q := ledger.Query{Desc: true, Limit: in.Limit + 1}
	if in.Before != "" {
		at, id, _ := strings.Cut(in.Before, ".")
		var err error
		if q.After, err = strconv.ParseInt(at, 10, 64); err != nil || id == "" {
			return nil, problem.New(problem.Unprocessable, "before is the next of an earlier page.")
		}
		q.AfterID = id
	}
	if err := s.lookups.spend(p.actor()); err != nil {
		return nil, err
	}
	var all []subjectRow
	err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		switch {
		case text != "":
			all, err = s.subjectsFor(ctx, tx, text, q)
		case in.Field != "":
			q.Key, q.Value = string(in.Kind)+":"+in.Field, strings.TrimSpace(in.Value)
			all, err = listSubjects(ctx, tx, q, nil)
		case in.Kind != "":
			q.Key, q.Value = "kind", string(in.Kind)
			all, err = listSubjects(ctx, tx, q, nil)
		default:
			all, err = listSubjects(ctx, tx, q, nil)
		}
		return err
	})
	out.Body.Subjects = []foundSubject{}
	for i, one := range all {
		if i == in.Limit {
			last := all[i-1]
			out.Body.Next = strconv.FormatInt(last.sort, 10) + "." + string(last.ID)
			break
		}
		out.Body.Subjects = append(out.Body.Subjects, s.found(p.tenant, one.Subject))
	}
	return out, err
}

// subjectRow is a subject with its place in a list.
type subjectRow struct {
	ringfence.Subject
	sort int64
}

func (s *Server) found(tenant ringfence.TenantID, sub ringfence.Subject) foundSubject {
	return foundSubject{subjectView{sub.ID, sub.Kind, sub.Language, sub.Status}, s.knownBy(tenant, sub)}
}

// knownBy is the identifying fields of a subject, masked.
func (s *Server) knownBy(tenant ringfence.TenantID, sub ringfence.Subject) map[string]string {
	out := map[string]string{}
	if current := s.cfg.Policies.Current(tenant); current != nil {
		kind, _ := current.Kind(sub.Kind)
		for _, field := range kind.IdentifiedBy {
			if v := sub.Record[field]; v != "" {
				out[field] = masked(v)
			}
		}
	}
	return out
}

// listSubjects reads one page of those that fit; nil fits all.
func listSubjects(ctx context.Context, tx ledger.Tx, q ledger.Query, fits func(ringfence.Subject) bool) (out []subjectRow, err error) {
	limit := q.Limit
	if fits != nil {
		q.Limit = maxNamesRead
	}
	rows, err := tx.List(ctx, ledger.KindSubject, q)
	if err != nil {
		return nil, err
	}
	for _, rec := range rows {
		sub, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, rec.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // erased
		}
		if err != nil {
			return nil, err
		}
		if fits == nil || fits(sub) {
			out = append(out, subjectRow{sub, rec.Sort})
		}
		if len(out) == limit {
			break
		}
	}
	return out, nil
}

// subjectsFor finds whom a text may mean: somebody's id, whose number or address
// it is, whose identifying field it is, or else who is called so. Only names
// have more than one page.
func (s *Server) subjectsFor(ctx context.Context, tx ledger.Tx, text string, q ledger.Query) (out []subjectRow, err error) {
	ids := []ringfence.SubjectID{}
	if ringfence.ValidID(text, ringfence.PrefixSubject) {
		ids = append(ids, ringfence.SubjectID(text))
	}
	if at, err := s.subjectsReached(ctx, tx, text); err != nil {
		return nil, err
	} else {
		ids = append(ids, at...)
	}
	with, err := s.subjectsIdentified(ctx, tx, text)
	if err != nil {
		return nil, err
	}
	for _, id := range append(ids, with...) {
		sub, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(id))
		if errors.Is(err, ledger.ErrNotFound) {
			continue // erased
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o subjectRow) bool { return o.ID == sub.ID }) {
			out = append(out, subjectRow{Subject: sub})
		}
	}
	if len(out) > 0 {
		return out[:min(len(out), q.Limit-1)], nil
	}
	return s.subjectsCalled(ctx, tx, text, q)
}

// maxReached bounds how many subjects one number or address finds; a household or
// a switchboard has fewer.
const maxReached = 20

// subjectsReached finds whose number or address of record it is.
func (s *Server) subjectsReached(ctx context.Context, tx ledger.Tx, text string) (out []ringfence.SubjectID, err error) {
	values := []string{}
	if tn, ok := s.number(text); ok {
		values = append(values, string(tn))
	}
	if strings.Contains(text, "@") {
		values = append(values, text, strings.ToLower(text))
	}
	for _, value := range values {
		rows, err := tx.List(ctx, ledger.KindContactPoint, ledger.Query{Key: "value", Value: value, Limit: maxReached})
		if err != nil {
			return nil, err
		}
		for _, rec := range rows {
			c, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, rec.ID)
			if errors.Is(err, ledger.ErrNotFound) {
				continue // erased
			}
			if err != nil {
				return nil, err
			}
			out = append(out, c.Subject)
		}
	}
	return out, nil
}

// subjectsIdentified finds who is identified by exactly this text, or by it
// without the blanks and hyphens that people group digits with.
func (s *Server) subjectsIdentified(ctx context.Context, tx ledger.Tx, text string) (out []ringfence.SubjectID, err error) {
	_, kinds, _ := s.vocabulary(who(ctx).tenant)
	values := []string{text}
	if bare := strings.NewReplacer(" ", "", "-", "").Replace(text); bare != text {
		values = append(values, bare)
	}
	for _, kind := range kinds {
		for _, field := range kind.By {
			for _, value := range values {
				rows, err := tx.List(ctx, ledger.KindSubject, ledger.Query{Key: string(kind.Kind) + ":" + field, Value: value, Limit: 5})
				if err != nil {
					return nil, err
				}
				for _, rec := range rows {
					out = append(out, ringfence.SubjectID(rec.ID))
				}
			}
		}
	}
	return out, nil
}

// subjectsCalled finds who has every word of the text in their names.
func (s *Server) subjectsCalled(ctx context.Context, tx ledger.Tx, text string, q ledger.Query) (out []subjectRow, err error) {
	words := gate.NameWords(text)
	current := s.cfg.Policies.Current(who(ctx).tenant)
	if len(words) == 0 || current == nil {
		return nil, nil
	}
	rarest := slices.MaxFunc(words, func(a, b string) int { return cmp.Compare(len(a), len(b)) }) // long words are
	_, kinds, _ := s.vocabulary(who(ctx).tenant)
	for _, kind := range kinds {
		declared, _ := current.Kind(kind.Kind)
		one := q
		one.Key, one.Value = gate.NameKey(rarest), string(kind.Kind)
		rows, err := listSubjects(ctx, tx, one, func(sub ringfence.Subject) bool { return called(declared, sub, words) })
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b subjectRow) int { return cmp.Or(cmp.Compare(b.sort, a.sort), cmp.Compare(b.ID, a.ID)) })
	return out[:min(len(out), q.Limit)], nil
}

func called(kind policy.Kind, sub ringfence.Subject, words []string) bool {
	var has []string
	for _, f := range kind.Fields {
		if f.Type.Base == policy.BaseName {
			has = append(has, gate.NameWords(sub.Record[f.Name])...)
		}
	}
	for _, w := range words {
		if !slices.Contains(has, w) {
			return false
		}
	}
	return true
}

// number reads a telephone number as people write it, a trunk prefix in
// brackets included: +44 (0)20 7946 0991.
func (s *Server) number(text string) (ringfence.TN, bool) {
	return s.cfg.Home.Canonical(strings.Replace(text, "(0)", "", 1))
}
