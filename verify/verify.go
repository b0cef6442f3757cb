package verify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// The ledger's transaction seam, under the names that the methods of this
// room use; they import verify and nothing below it.
type (
	Store  = ledger.Store
	Tx     = ledger.Tx
	Record = ledger.Record
	Query  = ledger.Query
	Entry  = ledger.Entry
	Kind   = ledger.Kind
	Event  = ledger.Event
)

// The ledger's errors that methods branch on.
var (
	ErrNotFound = ledger.ErrNotFound
	ErrConflict = ledger.ErrConflict
)

// The kinds of records that verify writes beside ledger.KindEvidence.
const (
	KindChallenge Kind = "challenge" // keys: chain, release, traversal, open ("yes" while not final), link
	KindChain     Kind = "chain"     // tries over a supersede chain
	KindLock      Kind = "lock"      // failures of one subject in one tier
	KindQuota     Kind = "quota"     // what was sent or rung, by contact point, subject, person, prefix and tenant
	// KindAlarm rows hold a release in the gate: Alarm; keys: subject, release,
	// traversal. Written in the transaction that makes them true, never deleted.
	KindAlarm Kind = "alarm"
)

// Config is what the room is built from. Its zero value is refused by New.
type Config struct {
	Store Store
	// Pepper keys the hashes of codes and the ids of decoys; at least 32 bytes,
	// kept outside the store.
	Pepper ringfence.Secret
	// Deliver carries messages; nil refuses them all.
	Deliver Deliverer
	// Limits are the quotas; zero fields mean the defaults of Limits.
	Limits Limits
	// Prefixes are the E.164 prefixes that may be rung or written to. None
	// means nobody may.
	Prefixes []Prefix
	// Firm is how we name ourselves in messages. Required by methods that send.
	Firm string
	// DecoyShare is how often, in 256ths, a decoy pretends to have what a method
	// needs. Unset methods use 255 for OTP and call-back and 128 for the rest;
	// set it to the share among the real subjects.
	DecoyShare map[ringfence.Fact]uint8
	// Log gets one line for what nobody else is told, without secrets; nil
	// discards.
	Log *slog.Logger
}

// Verifier runs challenges. It is safe for concurrent use.
type Verifier struct {
	cfg      Config
	methods  map[ringfence.Fact]Method
	watchers watchers
	pace     pace
}

// New returns a Verifier over the given methods. It refuses a missing store,
// a pepper under 32 bytes, a method given twice, and methods that send or ring
// without an allowed prefix.
func New(cfg Config, methods ...Method) (*Verifier, error) {
	if cfg.Store == nil {
		return nil, errors.New("verify: no store")
	}
	if len(cfg.Pepper) < 32 {
		return nil, fmt.Errorf("verify: the pepper has %d bytes; make it 32 random bytes or more", len(cfg.Pepper))
	}
	if err := cfg.Limits.fill(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{cfg: cfg, methods: map[ringfence.Fact]Method{}}
	for _, m := range methods {
		if err := v.add(m); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Verifier) add(m Method) error {
	s := m.Spec()
	switch {
	case s.Fact == "":
		return errors.New("verify: a method without a fact")
	case v.methods[s.Fact] != nil:
		return fmt.Errorf("verify: two methods for %s", s.Fact)
	case s.Life <= 0 || s.MaxLife < s.Life:
		return fmt.Errorf("verify: %s: life %v is not within its bound %v", s.Fact, s.Life, s.MaxLife)
	case s.Contact != nil && len(v.cfg.Prefixes) == 0:
		return fmt.Errorf("verify: %s rings or writes to numbers, and no prefix is allowed; list the allowed E.164 prefixes", s.Fact)
	}
	v.methods[s.Fact] = m
	return nil
}

// Has reports whether there is a method for fact.
func (v *Verifier) Has(fact ringfence.Fact) bool { return v.methods[fact] != nil }

// Store returns the store the room was built over, for the methods' own rows.
func (v *Verifier) Store() Store { return v.cfg.Store }

// Keyed returns HMAC-SHA-256(pepper, purpose ‖ 0x00 ‖ parts, each with its
// length in front). It is what is stored in place of a code; purpose keeps one
// use from standing for another.
func Keyed(pepper ringfence.Secret, purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, pepper)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	for _, p := range parts {
		n := len(p)
		mac.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// CodeMAC returns what is kept of a code of challenge id: HMAC-SHA-256 under
// the pepper over purpose, id and code.
func CodeMAC(pepper ringfence.Secret, purpose string, id ringfence.ChallengeID, code []byte) []byte {
	return Keyed(pepper, purpose, []byte(id), code)
}

// MatchCode reports in constant time whether code is the one behind mac. An
// empty mac matches nothing.
func MatchCode(pepper ringfence.Secret, purpose string, id ringfence.ChallengeID, code, mac []byte) bool {
	return subtle.ConstantTimeCompare(CodeMAC(pepper, purpose, id, code), mac) == 1 && len(mac) > 0
}

// Digits returns n decimal digits, each evenly drawn by crypto/rand.
func Digits(n int) ringfence.Secret {
	out := make(ringfence.Secret, n)
	for i := range out {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic("verify: no randomness: " + err.Error()) // no input can cause it
		}
		out[i] = '0' + byte(d.Int64())
	}
	return out
}

// Token returns bits of randomness as a URL-safe text, and the hexadecimal
// SHA-256 that is stored in its place. bits is rounded up to whole bytes and
// is at least 128.
func Token(bits int) (token ringfence.Secret, hash string) {
	raw := make([]byte, (max(bits, 128)+7)/8)
	if _, err := rand.Read(raw); err != nil {
		panic("verify: no randomness: " + err.Error()) // no input can cause it
	}
	token = ringfence.Secret(hex.EncodeToString(raw))
	return token, HashToken(token)
}

// HashToken returns the hexadecimal SHA-256 under which a token is kept.
func HashToken(token ringfence.Secret) string {
	sum := sha256.Sum256(token)
	return hex.EncodeToString(sum[:])
}

// AllDigits reports whether s is exactly n ASCII digits.
func AllDigits(s []byte, n int) bool {
	if len(s) != n {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Wipe overwrites a secret that is no longer needed.
func Wipe(s ringfence.Secret) { clear(s) }

// lives returns the life a request gets of a method.
func lives(s Spec, asked time.Duration) (time.Duration, error) {
	switch {
	case asked < 0 || asked > s.MaxLife:
		return 0, fmt.Errorf("verify: %s: a life of %v is not within 0 to %v", s.Fact, asked, s.MaxLife)
	case asked == 0:
		return s.Life, nil
	}
	return asked, nil
}
