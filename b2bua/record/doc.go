// Package record keeps what was said in a call, so that only who may hear it
// does, and everybody can prove later what became of it.
//
// Four words, in order of need:
//
//   - A Recording is the index row of one leg's audio: whose call, how long,
//     where the gaps are, the hash of the file, until when it is kept.
//   - A block is 20 ms of both sides: caller left, what the caller heard right.
//   - A gap is a stretch of blocks without audio, marked in the file itself:
//     secret (a code was keyed or spoken: its audio never reached us) or lost
//     (we were too slow).
//   - An access is one person's hearing or taking away of a recording, with a
//     reason, as an entry of the ledger before the first octet.
//
// The way of the audio:
//
//	rtp.Tap ─▶ assembler ─▶ queue (10 s) ─▶ encrypting writer ─▶ Folder
//	   │ bounded          gaps marked        key per recording
//	   └ a slow reader loses frames, the call none
//
// What the package refuses: to record before index row and ledger entry are
// durable, to hear through a cut, to delete what is under a legal hold, to
// play what does not verify. A full or slow disk costs the recording, never
// the call.
package record
