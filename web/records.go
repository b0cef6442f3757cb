package web

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	entriesIn struct {
		Traversal ringfence.TraversalID `query:"traversal" maxLength:"40"`
		Release   ringfence.ReleaseID   `query:"release" maxLength:"40"`
		Subject   ringfence.SubjectID   `query:"subject" maxLength:"40"`
		Event     ledger.Event          `query:"event" maxLength:"40"`
		From      int64                 `query:"from" minimum:"0" doc:"smallest index; with newest, the greatest"`
		Newest    bool                  `query:"newest" doc:"newest first"`
		Limit     int                   `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	entriesOut struct {
		Body struct {
			Entries []ledger.Entry `json:"entries"`
			Size    int64          `json:"size" doc:"entries in the whole log"`
			// People names the members of staff that the entries mention.
			People map[ringfence.PersonID]string `json:"people"`
			// Next is the from of the next page; absent at the end.
			Next *int64 `json:"next,omitempty"`
		}
	}
	proofIn struct {
		Index int64 `query:"index" minimum:"0" required:"true"`
		Size  int64 `query:"size" minimum:"0" doc:"the tree to prove against; 0 = the newest"`
	}
	proofOut struct {
		Body struct {
			Index int64    `json:"index"`
			Size  int64    `json:"size"`
			Leaf  string   `json:"leaf" doc:"hash of the entry (RFC 6962), base64"`
			Root  string   `json:"root" doc:"hash of the tree, base64"`
			Path  []string `json:"path" doc:"audit path, base64, leaf first"`
		}
	}
)

// ledgerAPI shows the log. It verifies nothing: the same server would serve
// the check, so the page names the command that checks a copy offline.
func (s *Server) ledgerAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/ledger/entries", Summary: "Entries of the log", Description: "Set at most one of traversal, release, subject and event."},
		func(ctx context.Context, in *entriesIn) (*entriesOut, error) {
			p, out := who(ctx), &entriesOut{}
			q := ledger.EntryQuery{Traversal: in.Traversal, Release: in.Release, Subject: in.Subject, Event: in.Event, From: in.From, Desc: in.Newest, Limit: in.Limit + 1}
			if n := set(in.Traversal != "", in.Release != "", in.Subject != "", in.Event != ""); n > 1 {
				return nil, problem.New(problem.Unprocessable, "Set at most one of traversal, release, subject and event.")
			}
			if in.Event != "" && !in.Event.Valid() {
				return nil, problem.New(problem.Unprocessable, "There is no such event.")
			}
			err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
				if out.Body.Size, err = tx.Size(ctx); err != nil {
					return err
				}
				if out.Body.Entries, err = tx.Entries(ctx, q); err != nil {
					return err
				}
				out.Body.Next = nil
				if len(out.Body.Entries) > in.Limit {
					next := out.Body.Entries[in.Limit].Index
					out.Body.Entries, out.Body.Next = out.Body.Entries[:in.Limit], &next
				}
				out.Body.Entries = p.shownAll(out.Body.Entries, q)
				out.Body.People, err = names(ctx, tx, out.Body.Entries)
				return err
			})
			if out.Body.Entries == nil {
				out.Body.Entries = []ledger.Entry{}
			}
			return out, err
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/ledger/proof", Summary: "Proof that an entry stands in the log"},
		func(ctx context.Context, in *proofIn) (*proofOut, error) {
			p, out := who(ctx), &proofOut{}
			return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
				size, err := tx.Size(ctx)
				if err != nil {
					return err
				}
				if in.Size > size || in.Index >= size {
					return errNotFound
				}
				if in.Size > 0 {
					size = in.Size
				}
				if in.Index >= size {
					return problem.New(problem.Unprocessable, "The entry is not within that size.")
				}
				proof, err := tlog.ProveRecord(size, in.Index, tx)
				if err != nil {
					return err
				}
				root, err := tlog.TreeHash(size, tx)
				if err != nil {
					return err
				}
				leaf, err := tx.ReadHashes([]int64{tlog.StoredHashIndex(0, in.Index)})
				if err != nil {
					return err
				}
				out.Body.Index, out.Body.Size, out.Body.Root, out.Body.Leaf = in.Index, size, root.String(), leaf[0].String()
				out.Body.Path = []string{}
				for _, h := range proof {
					out.Body.Path = append(out.Body.Path, h.String())
				}
				return nil
			})
		})
}

type checkpointOut struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) checkpointAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/ledger/checkpoint", Summary: "The newest signed checkpoint (C2SP tlog-checkpoint)",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}},
		func(ctx context.Context, _ *struct{}) (*checkpointOut, error) {
			if s.cfg.Checkpoint == nil {
				return nil, errNotFound
			}
			note, err := s.cfg.Checkpoint(ctx, who(ctx).tenant)
			return &checkpointOut{ContentType: "text/plain; charset=utf-8", Body: note}, err
		})
}

// names reads the names of those who stand in entries.
func names(ctx context.Context, tx ledger.Tx, entries []ledger.Entry) (map[ringfence.PersonID]string, error) {
	out := map[ringfence.PersonID]string{}
	for _, e := range entries {
		if _, known := out[e.Person]; known || e.Person == "" {
			continue
		}
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(e.Person))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
		if out[e.Person] = p.Name; p.Name == "" {
			out[e.Person] = string(e.Person)
		}
	}
	return out, nil
}

// set counts what is true.
func set(claims ...bool) (n int) {
	for _, c := range claims {
		if c {
			n++
		}
	}
	return n
}
