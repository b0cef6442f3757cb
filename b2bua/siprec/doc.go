// Package siprec holds what a session recording client (RFC 7866) sends a
// recorder beside its SIP: the metadata (RFC 7865) and the two streams of audio.
//
// What the package refuses: to name a caller (the recorder gets the call's
// reference), to send what is said while the leg is cut (the tap has none of it,
// and what waits is thrown away), and to wait for the recorder.
package siprec
