// Package recovery makes and checks recovery codes: ten for a person, each good
// once, for the day on which everything else is lost.
//
// A code proves nothing about an action and gives no Evidence. It opens an action
// of class C5 and does no more: identity papers, two colleagues and three days
// follow. Of a code only a hash under the pepper is kept, in
// the one authenticator that holds the whole set; what was used stands beside it,
// so that a used code is as good as a wrong one.
//
// The room refuses to be a lock: tries and locks are verify's.
package recovery

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

const (
	// Count is how many codes a set has.
	Count = 10
	// Bits is the strength of one code; 64 is the least that is taken for one.
	Bits = 80
	// codeLength is its length in characters, without the hyphens.
	codeLength = Bits / 5
)

// crockford has no letters that look like digits, and no U.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Codes makes and compares codes. Make it with New.
type Codes struct {
	pepper ringfence.Secret
	nobody ringfence.Secret // compared with for whoever has none
}

// New returns Codes. The pepper is the one verify was built with.
func New(pepper ringfence.Secret) (*Codes, error) {
	if len(pepper) < 32 {
		return nil, errors.New("recovery: the pepper needs 32 bytes or more")
	}
	c := &Codes{pepper: pepper}
	var err error
	_, c.nobody, err = c.Make("")
	return c, err
}

// set is what stands in ringfence.Authenticator.Secret. Fields are added, never
// renamed or removed.
type set struct {
	V    int    `json:"v"`
	Salt []byte `json:"salt"`
	// With is the passkey that the codes were made with, and that brings them.
	With ringfence.AuthenticatorID `json:"with,omitempty"`
	Tags [][]byte                  `json:"tags"`
	Used []time.Time               `json:"used"` // zero = not yet; in the order of Tags
}

// Make returns a fresh set: the codes, to be shown once to their owner and to
// nobody else, and what is kept of them. with is the passkey that is made in the
// same step, or empty.
func (c *Codes) Make(with ringfence.AuthenticatorID) (codes []ringfence.Secret, kept ringfence.Secret, err error) {
	s := set{V: 1, Salt: make([]byte, 16), With: with, Used: make([]time.Time, Count)}
	if _, err := rand.Read(s.Salt); err != nil {
		return nil, nil, fmt.Errorf("recovery: no randomness: %v", err)
	}
	for range Count {
		raw := make([]byte, Bits/8)
		if _, err := rand.Read(raw); err != nil {
			return nil, nil, fmt.Errorf("recovery: no randomness: %v", err)
		}
		text := crockford.EncodeToString(raw)
		codes = append(codes, ringfence.Secret(text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:]))
		s.Tags = append(s.Tags, c.tag(s.Salt, text))
	}
	kept, err = json.Marshal(s)
	return codes, kept, err
}

func (c *Codes) tag(salt []byte, text string) []byte {
	return verify.Keyed(c.pepper, "recovery", salt, []byte(text))
}

// Spend compares a typed code with every code of a set, in constant time, and
// returns the set with the one that fitted used up. A set that cannot be read
// and one that nobody has cost the same work and fit nothing.
func (c *Codes) Spend(kept, typed ringfence.Secret, now time.Time) (spent ringfence.Secret, ok bool) {
	s, whole := read(kept)
	if !whole {
		s, _ = read(c.nobody)
	}
	text, form := clean(typed)
	have, hit := c.tag(s.Salt, text), -1
	for i, want := range s.Tags {
		if subtle.ConstantTimeCompare(have, want) == 1 && s.Used[i].IsZero() {
			hit = i
		}
	}
	if hit < 0 || !whole || !form {
		return nil, false
	}
	s.Used[hit] = now.UTC()
	spent, err := json.Marshal(s)
	return spent, err == nil
}

// Left is how many codes of a set were not used; 0 for what is no set.
func Left(kept ringfence.Secret) (n int) {
	s, ok := read(kept)
	for i := 0; ok && i < Count; i++ {
		if s.Used[i].IsZero() {
			n++
		}
	}
	return n
}

func read(kept ringfence.Secret) (s set, ok bool) {
	err := json.Unmarshal(kept, &s)
	return s, err == nil && s.V == 1 && len(s.Salt) == 16 && len(s.Tags) == Count && len(s.Used) == Count
}

// clean reads a code as people write it: small letters, blanks and hyphens
// anywhere, and the letters that Crockford's alphabet leaves out.
func clean(typed ringfence.Secret) (string, bool) {
	if len(typed) > 4*codeLength {
		return "", false
	}
	text := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(string([]byte(typed))))
	if _, err := crockford.DecodeString(text); err != nil || len(text) != codeLength {
		return "", false
	}
	return text, true
}
