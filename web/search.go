package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// maxLooked bounds how many calls one request reads while it looks for those
// that meet every criterion; the answer's next goes on from there.
const maxLooked = 2000

type (
	historyIn struct {
		Text   string `query:"text" maxLength:"80" doc:"a whole telephone number, a call reference, the id of a call, release, subject or person, a colleague's name, or the exact value of an identifying field"`
		Action string `query:"action" pattern:"^[a-z][a-z0-9_]{0,63}$" doc:"type of an action"`
		Alert  bool   `query:"alert" doc:"only calls with an alert"`
		From   string `query:"from" format:"date" doc:"first day, in the policy's time zone"`
		To     string `query:"to" format:"date" doc:"last day"`
		Before string `query:"before" maxLength:"80" doc:"next of the page before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	historyOut struct {
		Body struct {
			Calls    []pastView     `json:"calls" doc:"newest first"`
			People   []colleague    `json:"people" doc:"whose name was looked for"`
			Subjects []foundSubject `json:"subjects" doc:"whose number or identifying field was looked for"`
			// Names of the members of staff in the calls.
			Names map[ringfence.PersonID]string `json:"names"`
			Next  string                        `json:"next,omitempty"`
		}
	}
	pastView struct {
		PastCall
		Live bool `json:"live"`
	}
	// looked is one thing by which calls are found.
	looked struct{ key, value string }
)

func (s *Server) searchAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/history", Summary: "Calls, newest first, or those that match",
		Description: "Numbers are matched whole and shown masked."}, s.history)
}

func (s *Server) history(ctx context.Context, in *historyIn) (*historyOut, error) {
	p, out := who(ctx), &historyOut{}
	out.Body.Calls, out.Body.People, out.Body.Subjects, out.Body.Names = []pastView{}, []colleague{}, []foundSubject{}, map[ringfence.PersonID]string{}
	text := strings.TrimSpace(in.Text)
	if text != "" {
		if err := s.lookups.spend(p.actor()); err != nil {
			return nil, err
		}
	}
	q, err := s.period(p.tenant, in)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		by, err := s.lookFor(ctx, tx, text, out)
		if err != nil {
			return err
		}
		if text == "" {
			by = append(by, looked{}) // all
		}
		calls, next, err := pastCalls(ctx, tx, by, q, in)
		if err != nil {
			return err
		}
		out.Body.Next = next
		for _, c := range calls {
			out.Body.Calls = append(out.Body.Calls, pastView{PastCall: c})
		}
		return namesOf(ctx, tx, calls, out.Body.Names)
	})
	if err != nil {
		return nil, err
	}
	s.fresh(ctx, p.tenant, out.Body.Calls)
	return out, nil
}

// period turns days into instants, and a cursor into a place.
func (s *Server) period(tenant ringfence.TenantID, in *historyIn) (q ledger.Query, err error) {
	zone := time.UTC
	if current := s.cfg.Policies.Current(tenant); current != nil {
		zone = current.Timezone()
	}
	q = ledger.Query{Desc: true}
	if in.From != "" {
		day, err := time.ParseInLocation(time.DateOnly, in.From, zone)
		if err != nil {
			return q, problem.New(problem.Unprocessable, "from is a day, as 2026-11-22.")
		}
		q.From = day.UnixNano()
	}
	if in.To != "" {
		day, err := time.ParseInLocation(time.DateOnly, in.To, zone)
		if err != nil {
			return q, problem.New(problem.Unprocessable, "to is a day, as 2026-11-22.")
		}
		q.To = day.AddDate(0, 0, 1).UnixNano()
	}
	if in.Before != "" {
		at, id, _ := strings.Cut(in.Before, ".")
		if q.After, err = strconv.ParseInt(at, 10, 64); err != nil || id == "" {
			return q, problem.New(problem.Unprocessable, "before is the next of an earlier page.")
		}
		q.AfterID = id
	}
	return q, nil
}

// lookFor finds out what a text may mean. What it means nothing of finds no
// call.
func (s *Server) lookFor(ctx context.Context, tx ledger.Tx, text string, out *historyOut) (by []looked, err error) {
	if text == "" {
		return nil, nil
	}
	for _, prefix := range [...]struct{ id, key string }{{ringfence.PrefixPerson, "person:"}, {ringfence.PrefixSubject, "subject:"}, {ringfence.PrefixRelease, "release:"}} {
		if ringfence.ValidID(text, prefix.id) {
			return []looked{{prefix.key + text, has}}, nil
		}
	}
	if ringfence.ValidID(text, ringfence.PrefixTraversal) {
		return []looked{{"", text}}, nil
	}
	by = append(by, looked{"reference", reference(text)})
	if tn, ok := s.number(text); ok {
		by = append(by, looked{"number", string(tn)})
	}
	subjects, err := s.subjectsFor(ctx, tx, text, ledger.Query{Desc: true, Limit: maxSubjectsFound + 1})
	if err != nil {
		return nil, err
	}
	for _, sub := range subjects[:min(len(subjects), maxSubjectsFound)] {
		out.Body.Subjects = append(out.Body.Subjects, s.found(who(ctx).tenant, sub.Subject))
	}
	if err := peopleCalled(ctx, tx, text, out); err != nil {
		return nil, err
	}
	for _, sub := range out.Body.Subjects {
		by = append(by, looked{"subject:" + string(sub.ID), has})
	}
	for _, c := range out.Body.People {
		by = append(by, looked{"person:" + string(c.ID), has})
	}
	return by, nil
}

// maxSubjectsFound bounds how many subjects one name stands for.
const maxSubjectsFound = 5

// maxPeopleFound bounds how many colleagues one name stands for.
const maxPeopleFound = 5

// peopleCalled finds members of staff by a part of their name.
func peopleCalled(ctx context.Context, tx ledger.Tx, text string, out *historyOut) error {
	if len(text) < 2 {
		return nil
	}
	people, err := staff(ctx, tx)
	for _, one := range people {
		if len(out.Body.People) < maxPeopleFound && strings.Contains(strings.ToLower(one.Name), strings.ToLower(text)) {
			out.Body.People = append(out.Body.People, colleague{one.ID, one.Name, one.Team})
		}
	}
	return err
}

// pastCalls reads one page of calls that are found by any of the ways, and
// meet what else is asked.
func pastCalls(ctx context.Context, tx ledger.Tx, by []looked, q ledger.Query, in *historyIn) (out []PastCall, next string, err error) {
	q.Limit = in.Limit + 1
	if in.Alert || in.Action != "" {
		by, q.Limit = narrowed(by, in), 200
	}
	for read := 0; read < maxLooked; {
		page, more, err := pastPage(ctx, tx, by, q)
		if err != nil {
			return nil, "", err
		}
		for i, c := range page {
			read++
			if c.meets(in) {
				out = append(out, c)
			}
			if len(out) == in.Limit {
				if i+1 < len(page) || more {
					next = placeOf(c)
				}
				return out, next, nil
			}
		}
		if !more {
			return out, "", nil
		}
		last := page[len(page)-1]
		q.After, q.AfterID, next = last.Began.UnixNano(), string(last.Traversal), placeOf(last)
	}
	return out, next, nil
}

func placeOf(c PastCall) string {
	return strconv.FormatInt(c.Began.UnixNano(), 10) + "." + string(c.Traversal)
}

// narrowed looks by the kind of action, or for alerts, where nothing narrower
// is asked for.
func narrowed(by []looked, in *historyIn) []looked {
	for i := range by {
		switch {
		case by[i] != (looked{}):
		case in.Alert:
			by[i] = looked{"alert", has}
		default:
			by[i] = looked{"action:" + in.Action, has}
		}
	}
	return by
}

func (c PastCall) meets(in *historyIn) bool {
	return (!in.Alert || c.Alert != "") &&
		(in.Action == "" || slices.ContainsFunc(c.Actions, func(a PastAction) bool { return a.Type == in.Action }))
}

// pastPage merges one page of each way; more tells that there may be others
// behind it.
func pastPage(ctx context.Context, tx ledger.Tx, by []looked, q ledger.Query) (out []PastCall, more bool, err error) {
	seen := map[ringfence.TraversalID]bool{}
	for _, l := range by {
		if l.key == "" && l.value != "" {
			c, _, err := ledger.Read[PastCall](ctx, tx, kindPast, l.value)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			return []PastCall{c}, false, err
		}
		q.Key, q.Value = l.key, l.value
		rows, err := tx.List(ctx, kindPast, q)
		if err != nil {
			return nil, false, err
		}
		more = more || len(rows) == q.Limit
		for _, rec := range rows {
			var c PastCall
			if err := json.Unmarshal(rec.Body, &c); err != nil {
				return nil, false, err
			}
			if !seen[c.Traversal] {
				seen[c.Traversal] = true
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b PastCall) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.Traversal, a.Traversal))
	})
	if len(out) > q.Limit {
		out, more = out[:q.Limit], true
	}
	return out, more, nil
}

// namesOf reads the names of those who had the calls.
func namesOf(ctx context.Context, tx ledger.Tx, calls []PastCall, into map[ringfence.PersonID]string) error {
	for _, c := range calls {
		for _, id := range c.People {
			if _, known := into[id]; known {
				continue
			}
			p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(id))
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			into[id] = cmp.Or(p.Name, string(id))
		}
	}
	return nil
}

// fresh says what the actions of calls came to since, and which calls are
// live.
func (s *Server) fresh(ctx context.Context, tenant ringfence.TenantID, calls []pastView) {
	live := map[ringfence.TraversalID]bool{}
	for _, c := range s.boards.at(tenant, time.Now()).calls {
		live[c.Traversal] = true
	}
	for i := range calls {
		calls[i].Live = live[calls[i].Traversal]
		for j, a := range calls[i].Actions {
			if r, err := s.cfg.Gate.Lookup(ctx, tenant, a.Release); err == nil {
				calls[i].Actions[j].State = string(r.State)
			}
		}
	}
}
