package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Desk takes recovery codes at the door.
type Desk struct {
	*Codes
	verifier *verify.Verifier
}

// NewDesk returns a Desk.
func NewDesk(v *verify.Verifier, codes *Codes) (*Desk, error) {
	if v == nil || codes == nil {
		return nil, errors.New("recovery: want a verifier and codes")
	}
	return &Desk{codes, v}, nil
}

// Claim is who somebody says they are, and the code that they type.
type Claim struct {
	Kind         ringfence.SubjectKind
	Field, Value string
	Code         ringfence.Secret
}

// Recover tries a code. ok is true once for each code; every miss takes the same
// steps and says the same, whoever the claim names.
func (d *Desk) Recover(ctx context.Context, tenant ringfence.TenantID, c Claim) (subject ringfence.SubjectID, ok bool, err error) {
	s, known, err := d.verifier.Identify(ctx, tenant, c.Kind, c.Field, c.Value)
	if err != nil {
		return "", false, err
	}
	_, ok, err = d.verifier.SpendRecovery(ctx, tenant, s.ID, known, func(kept ringfence.Secret) (ringfence.Secret, bool) {
		return d.Spend(kept, c.Code, time.Now())
	})
	if err != nil || !ok {
		return "", false, err
	}
	return s.ID, true, nil
}
