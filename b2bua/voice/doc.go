// Package voice turns a spoken line into audio and, for peers that listen,
// audio back into what was spoken.
//
// A line is a ringfence.Speech: fixed text of a script and values, in turn.
//
//	fixed text ─┬─ recording of the whole stretch ──────────┐
//	            ├─ recordings of each of its sentences ─────┤
//	            ├─ TTS command or endpoint (cached on disk) ─┼─▶ Clip, whole
//	            └─ spelt letter by letter (see Missing) ────┤    20 ms frames
//	value ──────┬─ digits, number, money, date: grammar ────┤
//	            └─ name, text: TTS, else spelt ─────────────┘
//
// What it refuses: a secret part never reaches a TTS, a cache, a file name, a
// log or an error text; it is put together from shipped clips or not spoken at
// all. A value that cannot be spoken whole is an error, never a shorter line:
// a caller must not agree to half an account number.
//
// Vocabulary, in order of need. A Library is a set of recordings, found by
// language and key. A grammar says which keys a value is made of. A Voice
// renders. A Recogniser hears the recordings of a Library again in received
// audio; it knows no other speech.
package voice
