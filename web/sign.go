package web

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// beginSign begins a member of staff's signature over a message of the gate.
func (s *Server) beginSign(ctx context.Context, what string, msg [32]byte) (*optionsOut, error) {
	p := who(ctx)
	staff := s.passkeys(p.tenant).Staff
	if staff == nil {
		return nil, errNoPasskeys
	}
	handle, options, err := staff.BeginSign(ctx, p.tenant, p.person.ID, what, msg)
	out := &optionsOut{}
	out.Body.Ceremony, out.Body.Options = string([]byte(handle)), options
	return out, err
}

// finishSign returns the signature, as the gate's CheckApproval reads one.
func (s *Server) finishSign(ctx context.Context, what string, msg [32]byte, ceremony string, response json.RawMessage) (gate.Signature, error) {
	p := who(ctx)
	staff := s.passkeys(p.tenant).Staff
	if staff == nil {
		return gate.Signature{}, errNoPasskeys
	}
	sig, ok, err := staff.FinishSign(ctx, p.tenant, p.person.ID, what, msg, ringfence.Secret(ceremony), response)
	if err != nil {
		return gate.Signature{}, err
	}
	if !ok {
		return gate.Signature{}, problem.New(problem.Unprocessable, "The passkey did not fit. Try again.")
	}
	assertion, err := json.Marshal(sig) // verify.Signature
	return gate.Signature{Person: p.person.ID, Authenticator: sig.Authenticator, Assertion: assertion}, err
}

// signedBy puts a signature in the place of the same person's earlier one.
func signedBy(have []gate.Signature, one gate.Signature) []gate.Signature {
	have = slices.DeleteFunc(slices.Clone(have), func(o gate.Signature) bool { return o.Person == one.Person })
	return append(have, one)
}

// staffNames gives every member of staff's name.
func staffNames(ctx context.Context, tx ledger.Tx) (map[ringfence.PersonID]string, error) {
	people, err := staff(ctx, tx)
	out := map[ringfence.PersonID]string{}
	for _, p := range people {
		out[p.ID] = p.Name
	}
	return out, err
}
