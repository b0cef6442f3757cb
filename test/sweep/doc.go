// Package sweep looks for planted secrets in what a program leaves behind.
//
// A test plants secrets by living through calls, gathers what came out at each
// place (a log, a database, the audio that an agent heard), and asks which of
// the secrets stands in which place, in whatever form. It finds too much rather
// than too little; what is short and could be chance counts only when all of
// its kind are there.
//
//	planted ──▶ forms ──▶ needles ─┐
//	                               ├─▶ one pass over each place ──▶ hits
//	log, store, wire, page, tones ─┘
//
// It knows nothing of ringfence and hides nothing: a hit names the secret, the
// form and the place, and shows the bytes around it.
package sweep
