package web

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

// What the store could not finish is no fault of the program: the caller learns
// that asking again with the same key is safe, and what an error says stays
// inside.
func TestErrorsOfTheStore(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("commit: EOF: %w", ledger.ErrInDoubt), http.StatusServiceUnavailable},
		{fmt.Errorf("connect: %w", ledger.ErrUnavailable), http.StatusServiceUnavailable},
		{fmt.Errorf("row: %w", ledger.ErrConflict), http.StatusConflict},
		{errors.New("secret of the inside"), http.StatusInternalServerError},
	} {
		if have := toProblem(tt.err); have.Status != tt.status {
			t.Errorf("%v: %d, want %d", tt.err, have.Status, tt.status)
		}
	}
}
