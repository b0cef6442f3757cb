// Package b2bua is the telephone edge: it takes and places calls over SIP (RFC
// 3261) as a back-to-back user agent (RFC 7092) and hands each one over as a
// Leg. It is the only room that knows a SIP stack (diago on sipgo), and it
// shows none of it.
//
// Three words, in order of need:
//
//   - A Trunk is a configured peer: a carrier, a PBX, an agent's phone. Messages
//     from anybody else are refused, whatever they say.
//   - A Leg is one SIP dialog with its media. The far end owns every text in it.
//   - The fence stands between the sockets and the SIP stack. It reads each
//     message strictly, answers what owes an answer, and passes the rest on
//     written anew, so that the stack reads exactly what was judged.
//
// The way of an inbound call:
//
//	socket ─▶ fence ─▶ sipgo ─▶ middleware ─▶ Handler.HandleLeg(leg)
//	            │ 400 403 405 413 416 420 503 505   │ 481 482 488
//	            ▼                                   ▼
//	       Place(ctx, Placement) ─▶ egress ─▶ sipgo ─▶ socket      leg.Join(other) ─▶ rtp relays
//
// What the package refuses: to follow a redirect, to send to an address that no
// trunk names, to answer SRTP in plain, to let a request of one dialog act on
// another, and to end for any message. Routing by called number, verification and
// flows are the Handler's business.
package b2bua
