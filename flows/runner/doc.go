// Package runner leads one traversal from its first INVITE to its last leg.
//
//	leg events ─┐                        ┌─▶ Leg (play, collect, cut, join)
//	digits ─────┤                        ├─▶ verify (challenges)
//	timers ─────┼─▶ traversal goroutine ─┼─▶ gate (releases, guards)
//	results ────┤     flows.Step         ├─▶ ledger (began … ended)
//	console ────┘                        └─▶ LiveCall (what a console may see)
//
// One goroutine owns a traversal: its legs, its flow session, its timers.
// Everything that happens elsewhere reaches it as an event, in order; nothing
// of it is touched from outside. It decides nothing about proof or release: it
// performs the effects of the flow engine and answers with inputs.
//
// The digits of a secret pass through a buffer of the traversal straight into
// verify, are wiped, and are seen by neither engine, console, log nor agent.
package runner
