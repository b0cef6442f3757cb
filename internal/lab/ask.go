package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Ask sends one request of the API as the person and reads the answer into out,
// which may be nil.
func (s *Staff) Ask(ctx context.Context, method, path string, in, out any) error {
	return s.c.do(ctx, method, path, in, out)
}

// Fetch reads a file of the API, or with part a part of it as RFC 9110, section
// 14 writes it, e.g. bytes=0-99.
func (s *Staff) Fetch(ctx context.Context, path, part string) ([]byte, error) {
	req, err := s.c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if part != "" {
		req.Header.Set("Range", part)
	}
	resp, err := s.c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("lab: %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return nil, &Problem{Status: resp.StatusCode, Title: "No file"}
	}
	return io.ReadAll(resp.Body)
}

// Ask sends one request with the executor's credential and proof.
func (e *Executor) Ask(ctx context.Context, method, path string, in, out any) error {
	return e.c.do(ctx, method, path, in, out)
}
