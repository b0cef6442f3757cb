// Package flows is the script language of ringfence: scenes that ops people
// read aloud, a loader that judges them, and a pure stepping engine.
//
//	scripts/*.yaml ──Load──▶ Bundle ──Start──▶ State, Effects
//	                            ▲                 │     ▲
//	                         immutable         Inputs ──┘ Step
//
// A flow gathers evidence; it can grant nothing. What each action, spoken
// field and queue needs stands in the policy, and the gate asks the policy
// again whatever a flow did.
//
// The engine does no I/O, reads no clock and rolls no dice: the runner performs
// each [Effect], and answers with an [Input]. Calls, flow tests, the simulator,
// shadow runs and the prover use the same engine. No digit of a secret ever
// enters a State, an Effect or an Input: while one is collected the runner
// hands the digits straight to verify and the engine learns only the outcome.
//
// Everything ends: edges run down the page, an edge that runs back carries a
// counter, every line that waits has an end.
package flows
