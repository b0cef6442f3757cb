// Package fork sends a copy of a call's audio to a service that listens, over a
// WebSocket in the shape of Twilio's Media Streams (connected, start, media,
// mark, stop; µ-law in base64), and takes what the service makes of it: Scores.
//
// What the package refuses: to send what is said while the leg is cut (the tap
// has none of it; the service gets a mark), to play what a service sends, a
// score under a name that was not configured, a message that is long, deep or
// frequent, and to wait: what the service is too slow for is dropped.
package fork
