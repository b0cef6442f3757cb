package web

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	consistencyIn struct {
		Old int64 `query:"old" minimum:"1" required:"true"`
		New int64 `query:"new" minimum:"1" required:"true"`
	}
	consistencyOut struct {
		Body struct {
			Old  int64    `json:"old"`
			New  int64    `json:"new"`
			Path []string `json:"path" doc:"consistency proof (RFC 6962, section 2.1.2), base64"`
		}
	}
)

// exportAPI gives auditors what they check by themselves: how one head grew
// out of another, and the log as a whole.
func (s *Server) exportAPI(a huma.API, m *guardedMux) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/ledger/consistency", Summary: "Proof that a log of one size continues one of another"},
		func(ctx context.Context, in *consistencyIn) (*consistencyOut, error) {
			out := &consistencyOut{}
			out.Body.Old, out.Body.New, out.Body.Path = in.Old, in.New, []string{}
			if in.Old > in.New {
				return nil, problem.New(problem.Unprocessable, "old is at most new.")
			}
			return out, s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
				size, err := tx.Size(ctx)
				if err != nil {
					return err
				}
				if in.New > size {
					return errNotFound
				}
				proof, err := tlog.ProveTree(in.New, in.Old, tx)
				for _, h := range proof {
					out.Body.Path = append(out.Body.Path, h.String())
				}
				return err
			})
		})
	m.HandleFunc("GET /v1/ledger/bundle", s.exportLog)
	a.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/v1/ledger/bundle", OperationID: "get-ledger-bundle", Summary: "The whole log in one file, for ringfence ledger verify",
		Security:  []map[string][]string{{"session": {}}, {"client": {string(ScopeLedger)}}},
		Responses: map[string]*huma.Response{"200": {Description: "JSON lines", Content: map[string]*huma.MediaType{"application/jsonl": {}}}}})
}

// exportLog is GET /v1/ledger/bundle. An error in the middle cuts the answer off;
// what was cut does not verify against a checkpoint.
func (s *Server) exportLog(w http.ResponseWriter, r *http.Request) {
	p := who(r.Context())
	h := w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Content-Disposition", `attachment; filename="ringfence-ledger.jsonl"`)
	h.Set("Cache-Control", "no-store")
	if err := ledger.Export(r.Context(), p.tenant, liveLog{s, p.tenant}, w); err != nil {
		s.log.ErrorContext(r.Context(), "ledger export", "err", err)
		panic(http.ErrAbortHandler)
	}
}

// liveLog is the log of a running store as a Source: page by page, so that no
// transaction stays open while a slow reader reads.
type liveLog struct {
	s      *Server
	tenant ringfence.TenantID
}

// Stored implements ledger.Source.
func (l liveLog) Stored(ctx context.Context, from int64, limit int) (out []ledger.Stored, err error) {
	err = l.s.cfg.Store.View(ctx, l.tenant, func(tx ledger.Tx) error {
		out = nil
		entries, err := tx.Entries(ctx, ledger.EntryQuery{From: from, Limit: limit})
		for i := 0; err == nil && i < len(entries); i++ {
			var leaf []byte
			leaf, err = entries[i].Leaf()
			out = append(out, ledger.Stored{Index: entries[i].Index, Leaf: leaf, Hash: tlog.RecordHash(leaf)})
		}
		return err
	})
	return out, err
}

// Checkpoints implements ledger.Source.
func (l liveLog) Checkpoints(ctx context.Context) ([][]byte, error) {
	if l.s.cfg.Checkpoint == nil {
		return nil, nil
	}
	msg, err := l.s.cfg.Checkpoint(ctx, l.tenant)
	if len(msg) == 0 {
		return nil, err
	}
	return [][]byte{msg}, err
}
