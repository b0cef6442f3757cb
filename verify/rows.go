package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// row is a challenge as stored.
type row struct {
	Challenge
	Chain   string           `json:"chain"`
	Private ringfence.Secret `json:"private,omitempty"`
	Link    string           `json:"link,omitempty"`
	// Counted and Judged are this challenge's own: a counted try that was never
	// judged (a crash, or one still on its way) keeps it from failing early.
	Counted int `json:"counted"`
	Judged  int `json:"judged"`
	// Blocked runs the challenge as a decoy because the subject is locked in
	// its tier. Unlike Decoy it may send: the owner learns that somebody tries.
	Presents *bool    `json:"presents,omitempty"`
	Receipt  *Receipt `json:"receipt,omitempty"`
	// Quotas are the names of the windows that were counted, for giving back.
	Quotas []string `json:"quotas,omitempty"`
}

// public returns the challenge as everybody but its method may see it.
func (r row) public() Challenge {
	c := r.Challenge
	if c.State == StateDuress {
		c.State = StateSatisfied // invariant 26
	}
	return c
}

func (r row) result(o Outcome) Result {
	return Result{Challenge: r.ID, Outcome: o, State: r.public().State, TriesLeft: max(0, r.Max-r.Tries),
		Successor: r.Successor}
}

// standing is the outcome of a challenge as a whole.
func (r row) standing() Outcome {
	switch r.State {
	case StateCreated, StateIssued, StatePresented:
		return OutcomeOpen
	case StateSatisfied, StateDuress:
		return OutcomeSatisfied
	case StateFailed:
		return OutcomeFailed
	case StateCancelled:
		return OutcomeCancelled
	case StateSuperseded:
		return OutcomeSuperseded
	case StateUndeliverable:
		if r.Why == whyMissing {
			return OutcomeMissing
		}
		return OutcomeUndeliverable
	case StateDiverted:
		return OutcomeDiverted
	case StateRejected:
		return OutcomeRejected
	default:
		return OutcomeExpired
	}
}

// The words of Challenge.Why.
const (
	whyMissing = "missing" // no such authenticator or contact point
	whyTries   = "tries"   // none left in the chain
	whyQuota   = "quota"   // too many messages or calls
	whyPrefix  = "prefix"  // the number's prefix is not allowed
	whyYoung   = "young"   // contact point or authenticator changed too lately
	whyCarrier = "carrier" // refused by whoever carries messages
	whyCloned  = "cloned"  // a passkey's counter went back
	whyLeft    = "left"    // the traversal ended
	whyRelease = "release" // the release is no longer open
)

func loadRow(ctx context.Context, tx Tx, id ringfence.ChallengeID) (row, int64, error) {
	return ledger.Read[row](ctx, tx, KindChallenge, string(id))
}

// saveRow writes r over version (0: new) with its look-up keys.
func saveRow(ctx context.Context, tx Tx, r row, version int64) error {
	rec := Record{Kind: KindChallenge, ID: string(r.ID), Version: version, Subject: keyOf(r),
		Keys: map[string]string{"chain": r.Chain}, Sort: r.ExpiresAt.UnixNano()}
	for name, value := range map[string]string{"release": string(r.Release), "traversal": string(r.Traversal), "link": r.Link} {
		if value != "" {
			rec.Keys[name] = value
		}
	}
	if !r.State.Final() {
		rec.Keys["open"] = "yes"
	}
	return ledger.Write(ctx, tx, &rec, r)
}

// keyOf is the subject under whose key a row is encrypted. A decoy has none.
func keyOf(r row) ringfence.SubjectID {
	if r.Decoy {
		return ""
	}
	return r.Subject
}

// chain is the count of tries over a supersede chain.
type chain struct {
	Tries   int                   `json:"tries"`
	Current ringfence.ChallengeID `json:"current,omitempty"`
}

// chainKey names the chain of a request: method and subject within a release,
// else within a traversal, else alone.
func chainKey(id ringfence.ChallengeID, q Request) string {
	scope := string(q.Release)
	if scope == "" {
		scope = string(q.Traversal)
	}
	if scope == "" {
		scope = string(id)
	}
	sum := sha256.Sum256([]byte(scope + "\x00" + string(q.Method) + "\x00" + string(q.Subject)))
	return hex.EncodeToString(sum[:16])
}

// load reads a row that may not be there yet; version 0 means it is not.
func load[T any](ctx context.Context, tx Tx, kind Kind, id string) (T, int64, error) {
	row, version, err := ledger.Read[T](ctx, tx, kind, id)
	if errors.Is(err, ledger.ErrNotFound) {
		var zero T
		return zero, 0, nil
	}
	return row, version, err
}

func save(ctx context.Context, tx Tx, kind Kind, id string, version int64, subject ringfence.SubjectID, body any) error {
	rec := Record{Kind: kind, ID: id, Version: version, Subject: subject}
	return ledger.Write(ctx, tx, &rec, body)
}

// entry writes what happened to r.
func entry(ctx context.Context, tx Tx, r row, event Event, data map[string]string) error {
	if data == nil {
		data = map[string]string{}
	}
	data["method"] = string(r.Method)
	if r.Why != "" {
		data["why"] = r.Why
	}
	subject := r.Subject
	if r.Decoy {
		subject = "" // an id that was made up belongs into no log
	}
	_, err := tx.Append(ctx, Entry{Event: event, Traversal: r.Traversal, Leg: r.Leg, Subject: subject,
		Release: r.Release, Challenge: r.ID, Person: r.By, Data: data})
	return err
}

// writeEvidence writes the one row of a satisfied challenge; its id is derived
// from the challenge's so that a second one conflicts (invariant 4).
func writeEvidence(ctx context.Context, tx Tx, e ringfence.Evidence) (hash string, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("evidence: %v", err)
	}
	rec := Record{Kind: ledger.KindEvidence, ID: string(e.ID), Subject: e.Subject, Body: body,
		Keys: map[string]string{"subject": string(e.Subject)}, Sort: e.At.UnixNano()}
	if e.Traversal != "" {
		rec.Keys["traversal"] = string(e.Traversal)
	}
	if e.Release != "" {
		rec.Keys["release"] = string(e.Release)
	}
	if err := tx.Put(ctx, &rec); err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// evidenceID is the challenge's id under the evidence's prefix: one challenge,
// one possible row.
func evidenceID(id ringfence.ChallengeID) ringfence.EvidenceID {
	return ringfence.EvidenceID(ringfence.PrefixEvidence + string(id[len(ringfence.PrefixChallenge):]))
}

// DeleteAll deletes every record that q selects, however many there are.
func DeleteAll(ctx context.Context, tx Tx, kind Kind, q Query) error {
	for rec, err := range ledger.All(ctx, tx, kind, q) {
		if err != nil {
			return err
		}
		if err := tx.Delete(ctx, rec.Kind, rec.ID, rec.Version); err != nil {
			return err
		}
	}
	return nil
}
