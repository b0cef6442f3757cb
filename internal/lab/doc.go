// Package lab is everybody around a gateway, on loopback: a certificate
// authority and its server, a carrier that signs calls, people with telephones
// and ears, a provider of text messages, people in front of web pages, and the
// system of a bank that executes what was released. The demo and the tests play
// calls with them.
//
//	Person ── Exchange (real SIP and RTP) ──▶ gateway ◀── HTTP ── Page, Staff, Executor
//	  ear: hears digits and prompts             │
//	  Messages (text messages) ◀────────────────┘
//
// Nobody here is told anything out of band: a code is heard in the received
// G.711 with the shipped recordings, a link stands in a text message, a permit
// is pulled with a credential. It is no part of the product, checks nothing for
// it, and opens no address but loopback.
//
// An Exchange is a switch with people behind it; a Line is a person's end of
// one call; a Log is told what everybody does.
package lab
