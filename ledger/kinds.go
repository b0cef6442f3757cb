package ledger

import (
	"time"

	"github.com/ringfence/ringfence"
)

// The kinds of records that more than one room reads. Who writes them is part
// of the contract: subjects, contact points, authenticators and persons are
// written by gate (verify writes only the counters of an authenticator);
// evidence and void legs by verify.
const (
	KindSubject       Kind = "subject"       // ringfence.Subject; keys: "kind:field" -> value for each identifying field, "name:word" -> kind for each word of its names, "kind" -> kind
	KindContactPoint  Kind = "contact_point" // ringfence.ContactPoint; keys: subject, value
	KindAuthenticator Kind = "authenticator" // ringfence.Authenticator; keys: subject (a person's id for staff passkeys)
	KindEvidence      Kind = "evidence"      // ringfence.Evidence; keys: traversal, release, subject; never changed
	KindPerson        Kind = "person"        // ringfence.Person; keys: email, place
	KindLegVoid       Kind = "leg_void"      // LegVoid, by leg; keys: traversal
)

// LegVoid says that the far end of a leg became somebody else at a time.
type LegVoid struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Leg       ringfence.LegID       `json:"leg"`
	At        time.Time             `json:"at"`
}
