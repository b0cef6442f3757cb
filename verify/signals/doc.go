// Package signals asks services what they know about the numbers on file and
// about the account that is paid: SIM change, forwarding, kind of line, whose
// number, whose account. What comes back is a Signal of three values, with who
// said so and when. It proves nothing; a policy and the gate may only ask for
// more because of it.
//
// It refuses to guess: what was not said, said with an error, said by nobody in
// time or said about somebody else is unknown, and unknown is never the safe
// value (invariant 10). Every source is asked in parallel, once, within two
// seconds of its own; answers are kept for a minute at most, so that a console
// that looks again costs nothing, under keys that hold no number.
//
//	Question ─┬─► Source ─┐
//	Question ─┼─► Source ─┼─► worst of all questions, best of the sources of one
//	          └─► Source ─┘
package signals
