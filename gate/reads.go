package gate

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// expecting tells the store what the opening of a release, and what follows it,
// will ask for.
func expecting(ctx context.Context, r row) context.Context {
	release, traversal := string(r.ID), string(r.Traversal)
	proves, subject := string(r.Proves), string(r.Subject)
	reads := ledger.Reads{
		Subjects: []ringfence.SubjectID{r.Subject},
		Records:  []ledger.Ref{{Kind: ledger.KindSubject, ID: subject}},
		Lists: []ledger.ListRef{
			{Kind: ledger.KindContactPoint, Key: "subject", Value: proves},
			{Kind: ledger.KindAuthenticator, Key: "subject", Value: proves},
			{Kind: kindAlarm, Key: "subject", Value: subject},
			{Kind: kindAlarm, Key: "release", Value: release},
			{Kind: ledger.KindEvidence, Key: "release", Value: release},
			{Kind: KindApproval, Key: "release", Value: release},
			{Kind: KindRelease, Key: "window", Value: windowKey(r.Subject, r.Type)},
			{Kind: KindRelease, Key: "subject", Value: subject},
		},
	}
	if traversal != "" {
		reads.Lists = append(reads.Lists,
			ledger.ListRef{Kind: kindAlarm, Key: "traversal", Value: traversal},
			ledger.ListRef{Kind: ledger.KindEvidence, Key: "traversal", Value: traversal},
			ledger.ListRef{Kind: ledger.KindLegVoid, Key: "traversal", Value: traversal})
	}
	return ledger.WithReads(ctx, reads)
}

// expectingChange is expecting for a release that is there already.
func expectingChange(ctx context.Context, id ringfence.ReleaseID) context.Context {
	return ledger.WithReads(ctx, ledger.Reads{
		Records: []ledger.Ref{{Kind: KindRelease, ID: string(id)}},
		Lists: []ledger.ListRef{
			{Kind: kindAlarm, Key: "release", Value: string(id)},
			{Kind: ledger.KindEvidence, Key: "release", Value: string(id)},
			{Kind: KindApproval, Key: "release", Value: string(id)},
		},
	})
}
