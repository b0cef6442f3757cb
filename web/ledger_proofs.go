package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// provenEntry is one line of what "ringfence ledger prove --check" takes.
type provenEntry struct {
	Entry json.RawMessage `json:"entry"` // exact bytes
	Proof string          `json:"proof"` // C2SP tlog-proof
}

// proofsAPI gives the entries of one call or release, each with its proof
// against the newest signed checkpoint: a file that is checked without us.
func (s *Server) proofsAPI(a huma.API, m *guardedMux) {
	m.HandleFunc("GET /v1/ledger/proofs", s.exportProofs)
	text := &huma.Schema{Type: "string"}
	a.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/v1/ledger/proofs", OperationID: "get-ledger-proofs",
		Summary:     "The entries of a call or a release with their proofs, for ringfence ledger prove --check",
		Description: "Entries that are newer than the newest checkpoint are left out; one is signed at least every minute.",
		Parameters:  []*huma.Param{{Name: "traversal", In: "query", Schema: text}, {Name: "release", In: "query", Schema: text}},
		Security:    []map[string][]string{{"session": {}}, {"client": {string(ScopeLedger)}}},
		Responses:   map[string]*huma.Response{"200": {Description: "JSON lines", Content: map[string]*huma.MediaType{"application/jsonl": {}}}}})
}

func (s *Server) exportProofs(w http.ResponseWriter, r *http.Request) {
	lines, err := s.provenEntries(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Content-Disposition", `attachment; filename="ringfence-proofs.jsonl"`)
	h.Set("Cache-Control", "no-store")
	w.Write(lines)
}

// maxProofs is how many entries are proven in one answer, each in about two
// kilobytes.
const maxProofs = 10_000

func (s *Server) provenEntries(r *http.Request) ([]byte, error) {
	q := ledger.EntryQuery{Traversal: ringfence.TraversalID(r.URL.Query().Get("traversal")), Release: ringfence.ReleaseID(r.URL.Query().Get("release"))}
	if set(q.Traversal != "", q.Release != "") != 1 {
		return nil, problem.New(problem.Unprocessable, "Name a traversal or a release.")
	}
	if s.cfg.Checkpoint == nil {
		return nil, errNotFound
	}
	ctx, p := r.Context(), who(r.Context())
	signed, err := s.cfg.Checkpoint(ctx, p.tenant)
	if err != nil {
		return nil, err
	}
	head, err := signedSize(signed)
	if err != nil {
		return nil, problem.New(problem.Unavailable, "No checkpoint was signed yet. One is, at least every minute.")
	}
	var out bytes.Buffer
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		out.Reset()
		lines := 0
		for e, err := range ledger.AllEntries(ctx, tx, q) {
			if err != nil {
				return err
			}
			if e.Index >= head.Size {
				break
			}
			if lines++; lines > maxProofs {
				return problem.New(problem.Unprocessable, fmt.Sprintf("There are more than %d entries. Export the ledger and prove them with ringfence ledger prove.", maxProofs))
			}
			proof, err := ledger.Prove(tx, e.Index, head, signed)
			if err != nil {
				return err
			}
			leaf, err := e.Leaf()
			if err != nil {
				return err
			}
			line, err := json.Marshal(provenEntry{Entry: leaf, Proof: string(proof.Text())})
			if err != nil {
				return err
			}
			out.Write(line)
			out.WriteByte('\n')
		}
		return nil
	})
	if err == nil && out.Len() == 0 {
		err = errNotFound
	}
	return out.Bytes(), err
}

// signedSize reads the size that a checkpoint of our own was signed for. It
// checks no signature: whoever checks the proof does.
func signedSize(signed []byte) (ledger.Head, error) {
	lines := strings.Split(string(signed), "\n")
	if len(lines) < 3 {
		return ledger.Head{}, errors.New("web: this is no checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	return ledger.Head{Size: size}, err
}
