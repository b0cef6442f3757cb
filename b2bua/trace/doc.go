// Package trace shows what happened on the wire of a call, without what was
// said: which messages went which way and when (Book), how good the audio was
// while it lasted (Point), and the same messages, masked, for a capture server
// (HEP).
//
// What the package refuses: to keep or send a number in full, a display name, a
// PASSporT, a key of SRTP, a digit of INFO, an answer to a digest challenge, or
// any header field that is not on its list; to hold more than its bounds; to
// wait for anybody.
package trace
