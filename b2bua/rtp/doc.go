// Package rtp is the media of one telephone leg: a pair of UDP sockets, what
// may be heard from them, and what is sent through them. It knows no SIP; the
// room above negotiates and hands over Params.
//
// The picture a newcomer needs:
//
//	socket ─▶ parse ─▶ latch ─▶ SRTP ─▶ statistics ─▶ digits ──▶ Events
//	                                        │
//	                                        ├─▶ taps (recorder, fork)
//	                                        └─▶ sessions that Hear this one
//
//	Play > Loop > Hear > silence ─▶ one continuous stream ─▶ SRTP ─▶ socket
//
// A Session is a leg's media. Whatever it sends, a prompt, hold music, silence
// or the packets of the session it hears, leaves as one RTP stream: one SSRC,
// sequence numbers without a hole of our making, timestamps that never go
// back. A Pool owns the ports, one pacing goroutine for all sessions and the
// readers.
//
// What the package refuses: packets that do not parse, packets from a source
// the latch does not know, packets that fail SRTP authentication or were seen
// before, a return from SRTP to plain RTP. It counts and drops them; no packet
// ends a stream. While a session is cut (Cut), nothing that it sends or
// receives reaches a peer or a tap, and a tap gets a marked gap instead.
package rtp
