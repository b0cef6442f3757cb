package voice

import (
	"errors"
	"io"
)

// errTooLong is returned by readBounded when there is more than the bound.
var errTooLong = errors.New("more bytes than allowed")

// readBounded reads r to its end, or fails with errTooLong having read one
// byte more than limit.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errTooLong
	}
	return b, nil
}
