// Package e2e runs the real program with foreign peers around it: SIPp, a
// browser, an executor, and somebody who kills it.
package e2e
