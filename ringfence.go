// Package ringfence is the vocabulary that every room of the project shares:
// identifiers, telephone numbers, three-valued signals, evidence, actions and
// their digest. It holds no behaviour that could grant anything and imports
// nothing but the standard library.
//
// The picture a newcomer needs:
//
//	caller ── b2bua ── flows/runner ── agent
//	             │          │
//	        stirshaken    verify ──writes──▶ Evidence
//	                        │                   │
//	                        └──────▶ gate ◀─────┘   ──▶ permit ──▶ executor
//	                                   │
//	                                ledger (everything, in the same transaction)
//
// Zero values refuse: an empty Attest attests nothing, a zero Tri is unknown,
// a zero Class is treated as the highest, a zero Digest binds nothing.
package ringfence

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Identifiers. Each is a prefix and 26 characters of lower-case Crockford
// base32 over 128 random bits; none carries a time or a count. They are
// distinct types so that the compiler catches a swapped pair.
type (
	TenantID        string // ten_…, or "default"
	TraversalID     string // trv_…: a caller's whole passage, over all its legs
	LegID           string // leg_…: one SIP dialog
	SubjectID       string // sub_…: the person or company whose account is acted on
	ContactPointID  string // cpt_…
	AuthenticatorID string // aut_…
	ChallengeID     string // chl_…
	EvidenceID      string // evd_…
	ReleaseID       string // rel_…
	PermitID        string // prm_…
	ApprovalID      string // apr_…
	HoldID          string // hld_…
	PersonID        string // per_…: staff
	EventID         string // evt_…
)

// DefaultTenant is the tenant of a fresh data folder.
const DefaultTenant TenantID = "default"

// The prefixes of identifiers, as NewID takes them.
const (
	PrefixTenant        = "ten"
	PrefixTraversal     = "trv"
	PrefixLeg           = "leg"
	PrefixSubject       = "sub"
	PrefixContactPoint  = "cpt"
	PrefixAuthenticator = "aut"
	PrefixChallenge     = "chl"
	PrefixEvidence      = "evd"
	PrefixRelease       = "rel"
	PrefixPermit        = "prm"
	PrefixApproval      = "apr"
	PrefixHold          = "hld"
	PrefixPerson        = "per"
	PrefixEvent         = "evt"
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns prefix, an underscore and 26 characters of Crockford base32
// over 128 bits of crypto/rand. It panics only when the system has no
// randomness, which no input can cause.
func NewID[T ~string](prefix string) T {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic("ringfence: no randomness: " + err.Error())
	}
	return T(prefix + "_" + base32(raw))
}

// base32 writes 128 bits as 26 characters, the first of which holds 3 bits.
func base32(raw [16]byte) string {
	var out [26]byte
	var acc uint64
	bits := 2 // two zero bits in front make 130, a multiple of 5
	pos := 0
	for _, b := range raw {
		acc = acc<<8 | uint64(b)
		bits += 8
		for bits >= 5 {
			bits -= 5
			out[pos] = crockford[acc>>bits&31]
			pos++
		}
	}
	return string(out[:])
}

// ValidID reports whether id has the given prefix and the exact form NewID
// gives. It says nothing about whether the thing exists.
func ValidID(id, prefix string) bool {
	body, ok := strings.CutPrefix(id, prefix+"_")
	if !ok || len(body) != 26 {
		return false
	}
	for i := range len(body) {
		if !strings.ContainsRune(crockford, rune(body[i])) {
			return false
		}
	}
	return true
}

// TN is a canonical telephone number in the sense of RFC 8224, section 8.3:
// digits (and * or #) only, country code first, no plus sign. The zero value
// is no number and equals no number of record.
type TN string

// Masked shows the country part and the last two digits, as logs and consoles
// do before anything is proved. Numbers of fewer than five digits are masked
// whole.
func (n TN) Masked() string {
	if n == "" {
		return ""
	}
	if len(n) < 5 {
		return "…"
	}
	return "+" + string(n[:2]) + "…" + string(n[len(n)-2:])
}

// Attest is the SHAKEN attestation level of a valid PASSporT (RFC 8588,
// section 4). The empty value attests nothing.
type Attest string

// The attestation levels of RFC 8588.
const (
	AttestNone    Attest = ""
	AttestFull    Attest = "A"
	AttestPartial Attest = "B"
	AttestGateway Attest = "C"
)

// Tri is the value of a Signal. Unknown is the zero value and is never
// treated as the safe one (invariant 10).
type Tri uint8

// The three values. They are stored: never reorder them.
const (
	Unknown Tri = 0
	Yes     Tri = 1
	No      Tri = 2
)

// String returns yes, no or unknown.
func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

// MarshalText writes yes, no or unknown.
func (t Tri) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads yes, no or unknown; anything else is an error.
func (t *Tri) UnmarshalText(b []byte) error {
	switch string(b) {
	case "yes":
		*t = Yes
	case "no":
		*t = No
	case "unknown":
		*t = Unknown
	default:
		return fmt.Errorf("signal %q: want yes, no or unknown", b)
	}
	return nil
}

// Class is how much an action can hurt. The zero value is no class; every
// reader treats it as C5.
type Class uint8

// The classes, least harmful first. They are stored: never reorder them.
const (
	ClassUnset Class = 0
	C0         Class = 1
	C1         Class = 2
	C2         Class = 3
	C3         Class = 4
	C4         Class = 5
	C5         Class = 6
)

// Effective returns the class, C5 for anything that is not one.
func (c Class) Effective() Class {
	if c < C0 || c > C5 {
		return C5
	}
	return c
}

// String returns C0 … C5; an unset class reads as what it is treated as.
func (c Class) String() string { return fmt.Sprintf("C%d", c.Effective()-C0) }

// MarshalText writes C0 … C5.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads C0 … C5; anything else is an error.
func (c *Class) UnmarshalText(b []byte) error {
	if len(b) != 2 || b[0] != 'C' || b[1] < '0' || b[1] > '5' {
		return fmt.Errorf("class %q: want C0 to C5", b)
	}
	*c = C0 + Class(b[1]-'0')
	return nil
}

// Strength is how hard a proof is to fake. The empty value is no strength.
type Strength string

// The strengths, weakest first.
const (
	StrengthKnowledge Strength = "K"  // a PIN
	StrengthPSTN      Strength = "P-" // possession over the telephone network: restricted (NIST SP 800-63B)
	StrengthPossess   Strength = "P"  // TOTP
	StrengthPasskey   Strength = "P+" // passkey with user verification
	StrengthCallback  Strength = "CB" // call-back with carry code: restricted, transaction-approving
	StrengthProofed   Strength = "ID" // in person, or a fetched identity-proofing result
)

// Fact is a word that a policy may ask for.
type Fact string

// The facts. Identified is a claim, never a proof.
const (
	FactIdentified  Fact = "identified"
	FactAttested    Fact = "attested"
	FactKnownNumber Fact = "known_number"
	FactPIN         Fact = "pin"
	FactOTP         Fact = "otp"
	FactTOTP        Fact = "totp"
	FactPasskey     Fact = "passkey"
	FactCallback    Fact = "callback"
	FactConfirmed   Fact = "confirmed"
	FactProofed     Fact = "proofed"
	FactApproved    Fact = "approved"
)

// Facts lists every fact a policy may ask for, in a fixed order.
var Facts = [...]Fact{FactIdentified, FactAttested, FactKnownNumber, FactPIN, FactOTP, FactTOTP,
	FactPasskey, FactCallback, FactConfirmed, FactProofed, FactApproved}

// Bound reports whether the fact counts, for C2 and above, only for the
// action it was made for (invariant 7). PIN, attestation and number match are
// facts about a leg and carry no digest.
func (f Fact) Bound() bool {
	switch f {
	case FactOTP, FactTOTP, FactPasskey, FactCallback, FactConfirmed, FactApproved:
		return true
	default:
		return false
	}
}

// Digest is SHA-256("ringfence/action/v1" ‖ 0x00 ‖ canonical action). The
// zero value binds nothing and equals no action.
type Digest [32]byte

// Zero reports whether d binds nothing.
func (d Digest) Zero() bool { return d == Digest{} }

// String returns d in lower-case hexadecimal, or "" when it binds nothing.
func (d Digest) String() string {
	if d.Zero() {
		return ""
	}
	return hex.EncodeToString(d[:])
}

// MarshalText writes 64 hexadecimal characters, or nothing for the zero value.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hexadecimal characters, or nothing.
func (d *Digest) UnmarshalText(b []byte) error {
	*d = Digest{}
	if len(b) == 0 {
		return nil
	}
	if len(b) != 64 {
		return errors.New("digest: want 64 hexadecimal characters")
	}
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("digest: %v", err)
	}
	return nil
}

// Money is an amount in integer minor units (pence, cents) of an ISO 4217
// currency. The zero value is no amount.
type Money struct {
	Minor    int64  `json:"minor,string"`
	Currency string `json:"currency"`
}

// Signal is a passive observation with provenance. It satisfies nothing
// above C1 by itself (invariant 9).
type Signal struct {
	Name   string    `json:"name"` // attestation, diversion, sim_swap, line_type, number_match, velocity, …
	Value  Tri       `json:"value"`
	Source string    `json:"source"` // who says so: stirshaken, twilio lookup, sip, …
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

// Evidence is an immutable record of what was proved. Only verify writes it;
// its hash stands in the ledger entry of the same transaction.
type Evidence struct {
	ID            EvidenceID      `json:"id"`
	Tenant        TenantID        `json:"tenant"`
	Subject       SubjectID       `json:"subject"`
	Fact          Fact            `json:"fact"`
	Strength      Strength        `json:"strength"`
	Challenge     ChallengeID     `json:"challenge,omitempty"`
	Authenticator AuthenticatorID `json:"authenticator,omitempty"`
	ContactPoint  ContactPointID  `json:"contact_point,omitempty"`
	Traversal     TraversalID     `json:"traversal,omitempty"`
	// Leg is the leg that keyed or carried the proof; empty for a proof that
	// came over no leg of ours (a passkey page outside a call).
	Leg LegID `json:"leg,omitempty"`
	// Release and Digest bind the proof to one action; both empty means bound
	// to none, which counts for speech, queues and C0–C1 only.
	Release ReleaseID `json:"release,omitempty"`
	Digest  Digest    `json:"digest"`
	// Presented reports that every material field of the action was shown or
	// spoken to the person reached, on a leg that we placed after its code was
	// keyed, or on the passkey page (invariant 31).
	Presented bool      `json:"presented,omitempty"`
	At        time.Time `json:"at"`
}

// ContactType is the kind of a contact point.
type ContactType string

// The contact types.
const (
	ContactMobile   ContactType = "mobile"
	ContactLandline ContactType = "landline"
	ContactEmail    ContactType = "email"
	ContactPost     ContactType = "post"
)

// Status is the state of a contact point, authenticator, subject or person.
// The empty value is not active.
type Status string

// The statuses. Only StatusActive counts for anything; a pending or removed
// thing still counts against a downgrade (invariant 29).
const (
	StatusActive    Status = "active"
	StatusPending   Status = "pending"
	StatusSuspended Status = "suspended"
	StatusRemoved   Status = "removed"
)

// ContactPoint is a phone, e-mail or post address of record.
type ContactPoint struct {
	ID      ContactPointID
	Tenant  TenantID
	Subject SubjectID
	Type    ContactType
	Value   string // E.164 digits without plus for telephones; the address for e-mail; encrypted at rest
	Source  string // who said so
	// VerifiedAt and ChangedAt come from the source at a first import signed
	// by two persons, else from our own clock; StoredAt is always ours.
	VerifiedAt time.Time
	ChangedAt  time.Time
	StoredAt   time.Time
	RemovedAt  time.Time // zero while not removed
	Status     Status
}

// Secret is bytes that redact themselves wherever they are printed or logged.
// As JSON it is written out: only stores, which encrypt, marshal one.
type Secret []byte

// String returns asterisks.
func (Secret) String() string { return "****" }

// Format prints asterisks whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "****") }

// LogValue keeps a secret out of structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("****") }

// AuthenticatorType is the kind of an authenticator.
type AuthenticatorType string

// The authenticator types.
const (
	AuthPIN       AuthenticatorType = "pin"
	AuthDuressPIN AuthenticatorType = "duress_pin"
	AuthTOTP      AuthenticatorType = "totp"
	AuthPasskey   AuthenticatorType = "passkey"
	AuthRecovery  AuthenticatorType = "recovery"
)

// Authenticator is something bound to a subject that can answer a challenge.
type Authenticator struct {
	ID      AuthenticatorID
	Tenant  TenantID
	Subject SubjectID
	Type    AuthenticatorType
	// Secret is what the method needs to check an answer (an argon2id record,
	// a TOTP seed, a WebAuthn credential as JSON); encrypted at rest, never
	// logged, never shown.
	Secret    Secret
	Lane      string // "handset" unless known to live elsewhere, e.g. "roaming"
	BoundAt   time.Time
	StoredAt  time.Time
	RemovedAt time.Time
	LastStep  int64 // TOTP: the newest matched time step; strictly increasing
	SignCount uint32
	Failures  int // failures in its whole life; 50 disable it
	Status    Status
	// Invited are those on whose invitation it was made; none of them confirms
	// it. Empty: the machine's own link.
	Invited []PersonID `json:",omitempty"`
}

// SubjectKind names a kind of subject of the policy, e.g. customer, contact.
type SubjectKind string

// Subject is the person or company whose account is acted on.
type Subject struct {
	ID     SubjectID
	Tenant TenantID
	Kind   SubjectKind
	// Record holds the fields the policy declares for the kind, as canonical
	// text (money as "1250 GBP" in minor units).
	Record   map[string]string
	Language string
	Status   Status
	StoredAt time.Time
}

// Role is what a member of staff may do. The empty value may do nothing.
type Role string

// The roles.
const (
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RoleOps        Role = "ops"
	RoleRisk       Role = "risk"
	RoleAuditor    Role = "auditor"
	RoleAdmin      Role = "admin"
)

// Person is a member of staff. Roles count from Since on (invariant 20).
type Person struct {
	ID       PersonID
	Tenant   TenantID
	Name     string
	Email    string
	Roles    []Role
	Groups   []string // approver groups of the policy, e.g. payments_manager
	Team     string
	Place    string // SIP URI at an allow-listed peer; empty = the softphone in the console
	Since    time.Time
	StoredAt time.Time
	Status   Status
	// Founder is one of the first two, who were made on the machine and whom
	// nobody could sign for (invariant 20).
	Founder bool `json:",omitempty"`
}

// Has reports whether p is active and holds the role at now.
func (p Person) Has(role Role, now time.Time) bool {
	return p.Status == StatusActive && !now.Before(p.Since) && slices.Contains(p.Roles, role)
}
