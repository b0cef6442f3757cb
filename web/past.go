package web

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// kindPast holds PastCall. Keys: number, reference, alert, and one each for
// person:ID, subject:ID, action:TYPE and release:ID of what the call met.
const kindPast ledger.Kind = "past_call"

// pastLife is how long a call can be looked up by number and people; what it
// did stands in the ledger without end.
const pastLife = 400 * 24 * time.Hour

// PastCall is what is kept of a call so that it can be found again. Of the
// caller's number it holds the masked form; the whole one is only a keyed hash.
type PastCall struct {
	Traversal   ringfence.TraversalID `json:"traversal"`
	Reference   string                `json:"reference"`
	Direction   ringfence.Direction   `json:"direction,omitempty"`
	Line        string                `json:"line"`
	Queue       string                `json:"queue,omitempty"`
	Began       time.Time             `json:"began"`
	Ended       time.Time             `json:"ended,omitzero" doc:"absent while it is live, or when no end was seen"`
	Caller      string                `json:"caller,omitempty" doc:"masked"`
	Attest      ringfence.Attest      `json:"attest"`
	Stir        ringfence.Tri         `json:"stir"`
	StirSays    string                `json:"stir_says,omitempty"`
	People      []ringfence.PersonID  `json:"people" doc:"members of staff who had the call"`
	Subject     ringfence.SubjectID   `json:"subject,omitempty"`
	SubjectKind ringfence.SubjectKind `json:"subject_kind,omitempty"`
	Actions     []PastAction          `json:"actions"`
	Alert       string                `json:"alert,omitempty"`
}

// PastAction is an action that a call was about.
type PastAction struct {
	Release ringfence.ReleaseID `json:"release"`
	Type    string              `json:"type"`
	Says    string              `json:"says"`
	Class   ringfence.Class     `json:"class"`
	State   string              `json:"state" doc:"now"`
}

// PutPast keeps what a call looks like now, so that it can be looked up; ended
// tells that it is over. What was kept at its end is not overwritten by what it
// was before.
func (s *Server) PutPast(ctx context.Context, c ringfence.LiveCall, person ringfence.PersonID, ended bool) error {
	return s.cfg.Store.Update(ctx, c.Tenant, func(tx ledger.Tx) error { return s.PutPastIn(ctx, tx, c, person, ended) })
}

// PutPastIn is PutPast in a transaction of the call's tenant.
func (s *Server) PutPastIn(ctx context.Context, tx ledger.Tx, c ringfence.LiveCall, person ringfence.PersonID, ended bool) error {
	c = clean(c)
	old, version, err := ledger.Read[PastCall](ctx, tx, kindPast, string(c.Traversal))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if !old.Ended.IsZero() && !ended {
		return nil
	}
	now := pastOf(c)
	if version > 0 {
		now.Began = old.Began
	}
	for _, id := range append(old.People, c.Owner, person) {
		if id != "" && !slices.Contains(now.People, id) {
			now.People = append(now.People, id)
		}
	}
	if ended {
		now.Ended = tx.Now()
	}
	rec := ledger.Record{Kind: kindPast, ID: string(c.Traversal), Version: version, Subject: c.Subject, Sort: now.Began.UnixNano(), Keys: now.keys()}
	if tn, ok := s.cfg.Home.Canonical(c.Caller); ok {
		rec.Keys["number"] = string(tn)
	}
	return ledger.Write(ctx, tx, &rec, now)
}

func pastOf(c ringfence.LiveCall) PastCall {
	p := PastCall{Traversal: c.Traversal, Reference: c.Reference, Direction: c.Direction, Line: c.Line, Queue: c.Queue, Began: c.Began.UTC(),
		Caller: masked(c.Caller), Attest: c.Attest, Stir: c.StirOK, StirSays: c.StirSays, Subject: c.Subject, SubjectKind: c.SubjectKind,
		Alert: c.Alert, People: []ringfence.PersonID{}, Actions: []PastAction{}}
	if c.Caller == "" || c.NumberShown == "withheld" {
		p.Caller = ""
	}
	for _, r := range c.Releases {
		p.Actions = append(p.Actions, PastAction{Release: r.ID, Type: r.Type, Says: r.Says, Class: r.Class, State: r.State})
	}
	return p
}

// has is the value of a key whose name says everything.
const has = "1"

func (p PastCall) keys() map[string]string {
	out := map[string]string{}
	if p.Reference != "" {
		out["reference"] = p.Reference
	}
	if p.Alert != "" {
		out["alert"] = has
	}
	if p.Subject != "" {
		out["subject:"+string(p.Subject)] = has
	}
	for _, id := range p.People {
		out["person:"+string(id)] = has
	}
	for _, a := range p.Actions {
		out["action:"+a.Type], out["release:"+string(a.Release)] = has, has
	}
	return out
}

// SweepPast forgets calls that are older than their time, a page at a time.
func (s *Server) SweepPast(ctx context.Context, tenant ringfence.TenantID, now time.Time) error {
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := tx.List(ctx, kindPast, ledger.Query{To: now.Add(-pastLife).UnixNano(), Limit: sweepPage})
		for _, r := range rows {
			err = errors.Join(err, tx.Delete(ctx, kindPast, r.ID, r.Version))
		}
		return err
	})
}
