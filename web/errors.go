package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

var (
	errCrossSite = problem.New(problem.Forbidden, "The request came from another site.")
	errTooLarge  = problem.New(problem.TooLarge, "")
	errNotFound  = problem.New(problem.NotFound, "")
)

// refuse answers a request with the problem that the error is.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.problemOf(r, err).Write(w)
}

// problemOf is the one place where an error becomes HTTP. What it does not
// know is Internal, and its text goes to the log only.
func (s *Server) problemOf(r *http.Request, err error) *problem.Problem {
	p := toProblem(err)
	if p.Kind() == problem.Internal {
		s.log.ErrorContext(r.Context(), "request failed", slog.String("route", r.Pattern), slog.Any("error", err))
	}
	return p
}

// toProblem maps the errors of the rooms below.
func toProblem(err error) *problem.Problem {
	var p *problem.Problem
	var big *http.MaxBytesError
	var invalid *gate.InvalidError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &big):
		return problem.New(problem.TooLarge, "")
	case errors.As(err, &invalid):
		p = problem.New(problem.Unprocessable, "")
		p.Errors = []problem.Field{{Location: strings.TrimSuffix("body."+invalid.Field, "."), Message: invalid.Says}}
		return p
	case errors.Is(err, gate.ErrHeld):
		return problem.New(problem.Held, "")
	case errors.Is(err, gate.ErrExpired):
		return problem.New(problem.Expired, "")
	case errors.Is(err, gate.ErrForbidden):
		return problem.New(problem.Forbidden, "")
	case errors.Is(err, gate.ErrConflict):
		return problem.New(problem.Conflict, "")
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, ErrNoCall):
		return problem.New(problem.NotFound, "")
	case errors.Is(err, ledger.ErrConflict):
		return problem.New(problem.Conflict, "Look again: somebody else changed it.")
	case errors.Is(err, ErrNoPlace):
		return problem.New(problem.Unprocessable, "You have no telephone on file that could be rung.")
	case errors.Is(err, ErrOnHold):
		return problem.New(problem.Held, "The recording is under a legal hold.")
	case errors.Is(err, ErrStillRecording):
		return problem.New(problem.Conflict, "The recording is still being made.")
	case errors.Is(err, ErrErased):
		return problem.New(problem.Expired, "The recording was deleted.")
	case errors.Is(err, ErrDamaged):
		return problem.New(problem.Unavailable, "The recording does not verify against the ledger.")
	case errors.Is(err, ErrBusy):
		return problem.New(problem.Conflict, "Another step is still running on this call.")
	case errors.Is(err, ErrUnknownFlow):
		return problem.New(problem.Unprocessable, "There is no such console flow.")
	case errors.Is(err, ErrWrongCode):
		return problem.New(problem.NotFound, "No waiting call has this code.")
	case errors.Is(err, ledger.ErrUnavailable):
		p := problem.New(problem.Unavailable, "The store cannot be asked now. Nothing was done: ask again, with the same key.")
		p.RetrySeconds = 1
		return p
	case errors.Is(err, ledger.ErrInDoubt), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem.New(problem.InDoubt, "")
	default:
		return problem.New(problem.Internal, "")
	}
}
