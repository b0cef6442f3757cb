package flows

import (
	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// SayAs is how a value of a type is spoken.
func SayAs(t policy.Type) ringfence.SayAs { return sayAs(t, false) }
