package main

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/verify/pin"
)

// duressField is the field of an action that carries the PIN keyed under
// pressure; any other secret field is the PIN itself.
const duressField = "duress_pin"

// keep makes of the secret fields of an action what a PIN authenticator holds.
// A PIN that no one may have is refused at once; one that only this subject may
// not have is barred, and costs the same argon2id.
func (m methods) keep(ctx context.Context, k gate.Keeping) (gate.Kept, error) {
	out := gate.Kept{Type: ringfence.AuthPIN}
	choice := pin.Choice{Before: k.Before}
	for name, value := range k.Values {
		if why := pin.Judge(value); why != "" {
			return gate.Kept{Field: name, Refused: string(why)}, nil
		}
		if why := pin.Judge(value, k.Own...); why != "" {
			out.Barred = string(why)
		}
		if name == duressField {
			choice.Duress = value
		} else {
			choice.PIN, out.Field = value, name
		}
	}
	secret, why, err := m.pin.Enrol(ctx, choice)
	switch {
	case err != nil:
		return gate.Kept{}, err
	case why == pin.RefusedUsed:
		out.Barred = string(why)
	case why == pin.RefusedForm: // a duress PIN without a PIN
		return gate.Kept{Field: duressField, Refused: "nothing without the PIN itself"}, nil
	case why != "":
		return gate.Kept{Field: duressField, Refused: string(why)}, nil
	}
	out.Secret = secret
	return out, nil
}
