package web

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// flowDraftRow is what one person changed, on top of the bundle they began with.
	// Nobody else reads or publishes it.
	flowDraftRow struct {
		Owner  ringfence.PersonID `json:"owner"`
		Title  string             `json:"title"`
		Base   string             `json:"base"` // hash
		At     time.Time          `json:"at"`
		Change flowChange         `json:"change"`
		Audio  map[string]string  `json:"audio,omitempty"` // path to SHA-256
	}
	flowDraftView struct {
		ID      string    `json:"id"`
		Title   string    `json:"title"`
		At      time.Time `json:"at" doc:"saved last"`
		Version int64     `json:"version"`
		Base    string    `json:"base"`
		Behind  bool      `json:"behind" doc:"something else came into force since it began"`
		Changed int       `json:"changed" doc:"files"`
	}
	flowDraftOut struct {
		Body flowDraftBody
	}
	flowDraftBody struct {
		Draft flowDraftView     `json:"draft"`
		Files map[string]string `json:"files" doc:"every file with its text, by path"`
		Audio []string          `json:"audio" doc:"recordings, by path"`
		// Conflicts are files that both this draft and what came into force
		// meanwhile have changed; the draft's own text stays.
		Conflicts []string `json:"conflicts"`
	}
	flowDraftIn struct {
		Body struct {
			Title string `json:"title" minLength:"1" maxLength:"80"`
		}
	}
	onFlowDraft struct {
		ID string `path:"id" maxLength:"40"`
	}
	flowDraftSaveIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Version int64      `json:"version" doc:"the one you read; another one by now is a conflict"`
			Title   string     `json:"title,omitempty" maxLength:"80"`
			Change  flowChange `json:"change,omitzero"`
		}
	}
	flowDraftSavedOut struct {
		Body struct {
			Draft flowDraftView `json:"draft"`
		}
	}
)

func (s *Server) flowDraftAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts", Summary: "Begin a draft of what is in force"}, s.beginDraft)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows/drafts/{id}", Summary: "A draft of one's own, with all its files"},
		func(ctx context.Context, in *onFlowDraft) (*flowDraftOut, error) { return s.showDraft(ctx, in.ID, nil) })
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/save", Summary: "Save what was changed",
		Description: "Compare and set: somebody who saved from an older version gets 409 and keeps their text."}, s.saveDraft)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/take-up", Summary: "Put the draft on top of what is in force now"}, s.takeUp)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/discard", Summary: "Throw a draft away", DefaultStatus: 204},
		func(ctx context.Context, in *onFlowDraft) (*nothing, error) {
			d, version, err := s.flowDraft(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Store.Update(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
				if err := tx.Delete(ctx, kindFlowDraft, in.ID, version); err != nil {
					return err
				}
				return s.dropAudio(ctx, tx, d.Audio, nil)
			})
		})
}

func isNotFound(err error) bool { return errors.Is(err, ledger.ErrNotFound) }

// flowDraft reads a draft of one's own; anybody else's is not there.
func (s *Server) flowDraft(ctx context.Context, id string) (d flowDraftRow, version int64, err error) {
	p := who(ctx)
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		d, version, err = ledger.Read[flowDraftRow](ctx, tx, kindFlowDraft, id)
		return err
	})
	if err == nil && (p.person.ID == "" || d.Owner != p.person.ID) {
		return flowDraftRow{}, 0, ledger.ErrNotFound
	}
	return d, version, err
}

func (s *Server) viewDraft(p principal, id string, d flowDraftRow, version int64) flowDraftView {
	current := s.cfg.Bundles.Current(p.tenant)
	return flowDraftView{ID: id, Title: d.Title, At: d.At, Version: version, Base: d.Base, Changed: len(d.Change.Files) + len(d.Change.Gone) + len(d.Audio),
		Behind: current != nil && current.HashText() != d.Base}
}

func (s *Server) ownDrafts(ctx context.Context, tx ledger.Tx, p principal) ([]flowDraftView, error) {
	rows, err := tx.List(ctx, kindFlowDraft, ledger.Query{Key: "owner", Value: string(p.person.ID), Desc: true, Limit: maxFlowDrafts})
	out := []flowDraftView{}
	for i := 0; err == nil && i < len(rows); i++ {
		var d flowDraftRow
		var version int64
		if d, version, err = ledger.Read[flowDraftRow](ctx, tx, kindFlowDraft, rows[i].ID); err == nil {
			out = append(out, s.viewDraft(p, rows[i].ID, d, version))
		}
	}
	return out, err
}

func (s *Server) beginDraft(ctx context.Context, in *flowDraftIn) (*flowDraftSavedOut, error) {
	p, out := who(ctx), &flowDraftSavedOut{}
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	b := s.cfg.Bundles.Current(p.tenant)
	if b == nil {
		return nil, problem.New(problem.Unavailable, "No flows are in force.")
	}
	id := ringfence.NewID[string]("drf")
	d := flowDraftRow{Owner: p.person.ID, Title: plain(in.Body.Title), Base: b.HashText(), Change: flowChange{Files: map[string]string{}}}
	err := s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		own, err := tx.List(ctx, kindFlowDraft, ledger.Query{Key: "owner", Value: string(p.person.ID), Limit: maxFlowDrafts})
		if err != nil {
			return err
		}
		if len(own) >= maxFlowDrafts {
			return problem.New(problem.Conflict, "You have 20 drafts. Throw one away first.")
		}
		d.At = tx.Now()
		rec := draftRecord(id, 0, d)
		err = ledger.Write(ctx, tx, &rec, d)
		out.Body.Draft = s.viewDraft(p, id, d, rec.Version)
		return err
	})
	return out, err
}

func draftRecord(id string, version int64, d flowDraftRow) ledger.Record {
	return ledger.Record{Kind: kindFlowDraft, ID: id, Version: version, Keys: map[string]string{"owner": string(d.Owner)}, Sort: d.At.UnixNano()}
}

func (s *Server) showDraft(ctx context.Context, id string, conflicts []string) (*flowDraftOut, error) {
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	d, version, err := s.flowDraft(ctx, id)
	if err != nil {
		return nil, err
	}
	set, err := s.draftSet(ctx, d)
	if err != nil {
		return nil, err
	}
	out := &flowDraftOut{Body: flowDraftBody{Draft: s.viewDraft(who(ctx), id, d, version), Files: set.texts(), Audio: []string{}, Conflicts: append([]string{}, conflicts...)}}
	for _, f := range set.files {
		if f.Data == nil {
			out.Body.Audio = append(out.Body.Audio, f.Path)
		}
	}
	slices.Sort(out.Body.Audio)
	return out, nil
}

// changeDraft changes a draft of one's own, if it still is what was read.
func (s *Server) changeDraft(ctx context.Context, id string, version int64, change func(*flowDraftRow) error) (flowDraftView, error) {
	return s.changeDraftWith(ctx, id, version, change, func(ledger.Tx) error { return nil })
}

// changeDraftWith writes something else in the transaction that changes a draft.
// Recordings that the draft names no more are forgotten in it.
func (s *Server) changeDraftWith(ctx context.Context, id string, version int64, change func(*flowDraftRow) error, also func(ledger.Tx) error) (flowDraftView, error) {
	p := who(ctx)
	d, have, err := s.flowDraft(ctx, id)
	if err != nil {
		return flowDraftView{}, err
	}
	if version != 0 && version != have {
		return flowDraftView{}, problem.New(problem.Conflict, "The draft was saved elsewhere meanwhile. Open it again; your text is still in this window.")
	}
	before := maps.Clone(d.Audio)
	if err := change(&d); err != nil {
		return flowDraftView{}, err
	}
	var out flowDraftView
	err = s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		d.At = tx.Now()
		rec := draftRecord(id, have, d)
		if err := ledger.Write(ctx, tx, &rec, d); err != nil {
			return err
		}
		out = s.viewDraft(p, id, d, rec.Version)
		if err := also(tx); err != nil {
			return err
		}
		return s.dropAudio(ctx, tx, before, d.Audio)
	})
	return out, err
}

func (s *Server) saveDraft(ctx context.Context, in *flowDraftSaveIn) (*flowDraftSavedOut, error) {
	out := &flowDraftSavedOut{}
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	if err := in.Body.Change.check(); err != nil {
		return nil, err
	}
	if in.Body.Version == 0 {
		return nil, problem.New(problem.Unprocessable, "Say which version you began with.")
	}
	var err error
	out.Body.Draft, err = s.changeDraft(ctx, in.ID, in.Body.Version, func(d *flowDraftRow) error {
		d.Title = cmp.Or(plain(in.Body.Title), d.Title)
		d.Change = in.Body.Change.over(d.Change)
		for _, path := range in.Body.Change.Gone {
			delete(d.Audio, path)
		}
		s.forgetUnchanged(ctx, d)
		return d.Change.check()
	})
	return out, err
}

// forgetUnchanged takes out of a draft what is again as it began.
func (s *Server) forgetUnchanged(ctx context.Context, d *flowDraftRow) {
	base := s.cfg.Bundles.ByHash(who(ctx).tenant, d.Base)
	if base == nil {
		return
	}
	set, err := s.bundleSet(ctx, base)
	if err != nil {
		return // it stays a change, and is none
	}
	maps.DeleteFunc(d.Change.Files, func(path, text string) bool { was, ok := set.text(path); return ok && was == text })
	d.Change.Gone = slices.DeleteFunc(d.Change.Gone, func(path string) bool {
		return !slices.ContainsFunc(slices.Concat(set.files, set.tests), func(f flows.File) bool { return f.Path == path })
	})
}

// takeUp puts a draft on top of what is in force now. Files that only the
// others changed are theirs, files that only the draft changed are its own,
// and those that both changed are named.
func (s *Server) takeUp(ctx context.Context, in *onFlowDraft) (*flowDraftOut, error) {
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	now := s.cfg.Bundles.Current(who(ctx).tenant)
	if now == nil {
		return nil, problem.New(problem.Unavailable, "No flows are in force.")
	}
	var conflicts []string
	_, err := s.changeDraft(ctx, in.ID, 0, func(d *flowDraftRow) error {
		before := map[string]string{}
		if old := s.cfg.Bundles.ByHash(who(ctx).tenant, d.Base); old != nil {
			set, err := s.bundleSet(ctx, old)
			if err != nil {
				return err
			}
			before = set.texts()
		}
		set, err := s.bundleSet(ctx, now)
		if err != nil {
			return err
		}
		after := set.texts()
		for _, path := range slices.Concat(slices.Sorted(maps.Keys(d.Change.Files)), d.Change.Gone) {
			if before[path] != after[path] && after[path] != d.Change.Files[path] {
				conflicts = append(conflicts, path)
			}
		}
		d.Base = now.HashText()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.showDraft(ctx, in.ID, conflicts)
}
