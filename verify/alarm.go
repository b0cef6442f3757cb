package verify

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// AlarmKind is why the gate is to hold. The values are stored and never renamed.
type AlarmKind string

// The alarms. Each holds the release, or every open release of the traversal
// and subject when it names none.
const (
	AlarmDuress   AlarmKind = "duress"   // shown to roles risk and supervisor only (invariant 26)
	AlarmRejected AlarmKind = "rejected" // "it was not me"
	AlarmDiverted AlarmKind = "diverted" // a call-back leg went elsewhere
	AlarmCloned   AlarmKind = "cloned"   // a passkey's signature counter went back
)

// Alarm is what the gate reads before it lets anything go: a record of
// KindAlarm with keys subject, release and traversal.
type Alarm struct {
	Kind      AlarmKind             `json:"kind"`
	Challenge ringfence.ChallengeID `json:"challenge"`
	Subject   ringfence.SubjectID   `json:"subject,omitempty"`
	Release   ringfence.ReleaseID   `json:"release,omitempty"`
	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	At        time.Time             `json:"at"`
}

// raise writes the alarm row and its entry, once for a challenge.
func raise(ctx context.Context, tx Tx, r row, kind AlarmKind) error {
	a := Alarm{Kind: kind, Challenge: r.ID, Subject: r.Subject, Release: r.Release, Traversal: r.Traversal, At: tx.Now()}
	rec := Record{Kind: KindAlarm, ID: string(r.ID), Subject: keyOf(r), Keys: map[string]string{}, Sort: a.At.UnixNano()}
	for name, value := range map[string]string{"subject": string(a.Subject), "release": string(a.Release), "traversal": string(a.Traversal)} {
		if value != "" {
			rec.Keys[name] = value
		}
	}
	if err := ledger.Write(ctx, tx, &rec, a); err != nil {
		return err
	}
	return entry(ctx, tx, r, "alert.raised", map[string]string{"alarm": string(kind)})
}
