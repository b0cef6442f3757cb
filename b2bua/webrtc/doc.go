// Package webrtc is what a browser's audio needs on top of plain RTP: an answer
// to its offer (RFC 8829, JSEP), the lite side of ICE (RFC 8445) and the DTLS
// handshake that gives the SRTP keys (RFC 5764). The media itself is that of
// b2bua/rtp, on the same socket (RFC 7983):
//
//	            ┌─ STUN ──▶ Link: answers checks, learns the browser's address
//	socket ─────┼─ DTLS ──▶ Link: handshake, fingerprint verified, keys
//	            └─ SRTP ──▶ rtp.Session: as on any other leg
//
// We are ICE-lite: we name our own addresses and answer; nothing is ever sent
// to an address that only an offer names, so a hostile offer aims us at nobody.
//
// What the package refuses: an offer with more than one media line, without
// encryption, without rtcp-mux or without a SHA-256 fingerprint; a check
// without the password that we gave to this one offer; DTLS from an address
// that no check came from; a certificate that is not the one the offer named.
package webrtc
