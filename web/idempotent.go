package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

const (
	// kindAnswer holds answerRow: what a POST was answered, so that the same
	// key and body get the same answer. The id tells nothing but equality.
	kindAnswer ledger.Kind = "web_answer"
	// answerLife is how long an answer is kept.
	answerLife = 24 * time.Hour
	// answerDoubt is how long an unanswered claim is taken for one that still
	// runs; after it, the operation is done again (what it asks of gate and
	// verify is idempotent there as well).
	answerDoubt = 30 * time.Second
)

// answerRow is a claim on an idempotency key and, once Status is set, the
// answer.
type answerRow struct {
	Body    string    `json:"body"` // hash of the request's body
	Began   time.Time `json:"began"`
	Status  int       `json:"status,omitempty"`
	Type    string    `json:"type,omitempty"`
	Answer  []byte    `json:"answer,omitempty"`
	Spent   bool      `json:"spent,omitempty"` // the answer held a permit and was not kept
	version int64
}

// idempotent gives the same answer to the same key and body of the same
// principal and operation (draft-ietf-httpapi-idempotency-key-header-07), and
// 409 to another body. once marks operations whose answer must not leave twice.
func (s *Server) idempotent(once bool, most int64, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := who(r.Context())
		r, key, body, err := keyAndBody(w, r, most)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		id := hashSecret(strings.Join([]string{string(p.tenant), p.actor(), r.Method, r.URL.Path, key}, "\x00"))
		row, mine, err := s.claim(r.Context(), p, id, hashSecret(string(body)))
		switch {
		case err != nil:
			s.refuse(w, r, err)
			return
		case !mine && row.Spent:
			s.refuse(w, r, problem.New(problem.Conflict, "This was answered before; a permit or secret is never sent twice."))
			return
		case !mine:
			w.Header().Set("Content-Type", row.Type)
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Idempotency-Replayed", "true")
			w.WriteHeader(row.Status)
			w.Write(row.Answer)
			return
		}
		failpoint.Hit(failpoint.AnswerClaimed)
		kept := &keeper{ResponseWriter: w, status: http.StatusOK}
		next(kept, r)
		row.Status, row.Type, row.Answer = kept.status, w.Header().Get("Content-Type"), kept.body.Bytes()
		if once && kept.status < 300 {
			row.Answer, row.Spent = nil, true
		}
		failpoint.Hit(failpoint.AnswerDone)
		if err := s.settle(context.WithoutCancel(r.Context()), p, id, row); err != nil {
			s.refuse(w, r, problem.New(problem.InDoubt, ""))
			return
		}
		failpoint.Hit(failpoint.AnswerKept)
		w.WriteHeader(kept.status)
		w.Write(kept.body.Bytes())
	}
}

// bodyKey is where keyAndBody leaves the body it read.
type bodyKey struct{}

// keyAndBody reads the Idempotency-Key and the whole body of a request, and
// gives the request back with the body as good as unread.
func keyAndBody(w http.ResponseWriter, r *http.Request, most int64) (*http.Request, string, []byte, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) < 8 || len(key) > 128 {
		return r, "", nil, problem.New(problem.InvalidBody, "Idempotency-Key, of 8 to 128 characters, is required.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return r, "", nil, err
	}
	r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, key, body, nil
}

// keyed asks for the key and leaves the rest to the gate, which keeps the key
// in the transaction that does the work.
func (s *Server) keyed(most int64, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r, _, _, err := keyAndBody(w, r, most)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next(w, r)
	}
}

// claim takes the key for this request, or returns the answer it had.
func (s *Server) claim(ctx context.Context, p principal, id, body string) (row answerRow, mine bool, err error) {
	err = s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		mine = false
		var err error
		row, row.version, err = ledger.Read[answerRow](ctx, tx, kindAnswer, id)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			row = answerRow{}
		case err != nil:
			return err
		case row.Body != body:
			return problem.New(problem.Conflict, "This Idempotency-Key was used with another body.")
		case row.Status != 0:
			return nil
		case tx.Now().Sub(row.Began) < answerDoubt:
			busy := problem.New(problem.InDoubt, "")
			busy.RetrySeconds = 1
			return busy
		}
		if err := forget(ctx, tx); err != nil {
			return err
		}
		mine, row.Body, row.Began = true, body, tx.Now()
		rec := ledger.Record{Kind: kindAnswer, ID: id, Version: row.version, Sort: row.Began.UnixNano()}
		err = ledger.Write(ctx, tx, &rec, row)
		row.version = rec.Version
		return err
	})
	return row, mine, err
}

// forget removes a few answers that are past their life.
func forget(ctx context.Context, tx ledger.Tx) error {
	old, err := tx.List(ctx, kindAnswer, ledger.Query{To: tx.Now().Add(-answerLife).UnixNano(), Limit: 4})
	for i := 0; err == nil && i < len(old); i++ {
		err = tx.Delete(ctx, kindAnswer, old[i].ID, old[i].Version)
	}
	return err
}

// settle stores the answer; an answer of 500 and above frees the key instead.
func (s *Server) settle(ctx context.Context, p principal, id string, row answerRow) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		if row.Status >= 500 {
			return tx.Delete(ctx, kindAnswer, id, row.version)
		}
		rec := ledger.Record{Kind: kindAnswer, ID: id, Version: row.version, Sort: row.Began.UnixNano()}
		return ledger.Write(ctx, tx, &rec, row)
	})
}

// keeper holds an answer back until it is stored.
type keeper struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keeper) WriteHeader(status int)      { k.status = status }
func (k *keeper) Write(b []byte) (int, error) { return k.body.Write(b) }
