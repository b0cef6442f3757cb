package lab

import (
	"context"
	"encoding/json"

	"github.com/ringfence/ringfence"
)

// Invite makes the link on which a colleague makes their passkey.
func (s *Staff) Invite(ctx context.Context, id ringfence.PersonID) (link string, err error) {
	var out struct{ Link string }
	err = s.c.do(ctx, "POST", "/v1/people/"+string(id)+"/invite", nil, &out)
	return out.Link, err
}

// Confirm signs for the passkey that a colleague has made, whose digits they
// read out.
func (s *Staff) Confirm(ctx context.Context, id ringfence.PersonID, check string) error {
	return s.Sign(ctx, "/v1/people/passkeys/"+string(id), map[string]any{"check": check}, nil)
}

// Sign begins and finishes a signature at a path of the API, with what both
// want to be told, and reads the answer into out, which may be nil.
func (s *Staff) Sign(ctx context.Context, path string, in map[string]any, out any) error {
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if err := s.c.do(ctx, "POST", path+"/begin", in, &begun); err != nil {
		return err
	}
	response, err := s.key.Assert(begun.Options)
	if err != nil {
		return err
	}
	last := map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}
	for name, value := range in {
		last[name] = value
	}
	return s.c.do(ctx, "POST", path+"/finish", last, out)
}
