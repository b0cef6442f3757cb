package flows

import "errors"

// Bundle is a compiled set of flows, policy and prompts. It never changes.
type Bundle struct{}

// ErrNotBuilt is returned by an engine that is not there yet.
var ErrNotBuilt = errors.New("flows: the engine is not built yet")

// Start begins a flow. The effects are valid until the next Step.
func Start(_ *Bundle, _ string, _ Facts) (*State, []Effect, error) { return nil, nil, ErrNotBuilt }

// Step feeds one input. The effects are valid until the next Step; none means
// that nothing changed. After EffEnd every input is ignored.
func Step(_ *Bundle, _ *State, _ Input) []Effect { return nil }
