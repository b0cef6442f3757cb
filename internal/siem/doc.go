// Package siem sends what the ledger tells to a security information system: as
// RFC 5424 syslog over TLS (RFC 5425), or as JSON lines with the names of the
// Elastic Common Schema.
//
// What the package refuses: free text, subjects, and values that could be a
// number of a telephone or an account; to send without TLS off loopback; and to
// hold what was not sent: whoever calls it keeps the position.
package siem
