// Package failpoint names the places at which a process may die between two
// durable steps. In the program that people run every point is nothing: Hit is
// empty and compiled away. A program built with the tag failpoints, which only
// the chaos tests build, kills itself at the point that RINGFENCE_FAILPOINT
// names, as NAME:N, when it is passed for the N-th time.
package failpoint

// The points.
const (
	StoreBegun       = "store-begun"       // a transaction is open, nothing is in it
	StoreFilled      = "store-filled"      // everything is in it, nothing is committed
	StoreCommitted   = "store-committed"   // it is durable, nobody was told
	StoreAnswered    = "store-answered"    // whoever waited for it was told
	AnswerClaimed    = "answer-claimed"    // an idempotency key is taken, nothing was done
	AnswerDone       = "answer-done"       // it was done, the answer is not kept
	AnswerKept       = "answer-kept"       // the answer is kept, not sent
	CheckpointSigned = "checkpoint-signed" // a checkpoint is signed, not kept
	CheckpointKept   = "checkpoint-kept"   // it is kept beside the log, not outside
	CheckpointHalf   = "checkpoint-half"   // its copy outside is written, not in its place
	AnnounceSent     = "announce-sent"     // an executor was told, and it is not booked
)

// All lists every point.
var All = []string{StoreBegun, StoreFilled, StoreCommitted, StoreAnswered, AnswerClaimed, AnswerDone, AnswerKept,
	CheckpointSigned, CheckpointKept, CheckpointHalf, AnnounceSent}
