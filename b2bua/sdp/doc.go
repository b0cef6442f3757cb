// Package sdp reads and writes the session descriptions (RFC 8866) of a
// telephone call and plays offer and answer (RFC 3264) for one audio stream.
//
// It knows one thing well: an audio line over RTP or SRTP with G.711 and
// telephone events. Every other line of an offer is answered with port 0,
// which keeps the call. It refuses text that two readers could read
// differently (a doubled a=rtpmap, a fixed payload type with another meaning,
// an empty line), resolves no names, and never turns an SRTP offer into a plain
// answer.
//
//	offer ──Parse──▶ Description ──Answer(Local)──▶ text for the 200, Agreed for the media
//	Offer(Local) ──▶ text for the INVITE;  their answer ──Parse──▶ Accept(Local) ──▶ Agreed
package sdp
