package passkey

import (
	"crypto/sha256"
	"encoding/json"
	"sync"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ringfence/ringfence"
)

// maxCredentials bounds how many parsed credentials are remembered, about 1 KiB
// each; at the bound all are forgotten and parsed again.
const maxCredentials = 10_000

// credentials remembers the parsed form of stored credentials, by the SHA-256 of
// what is stored: one that changed is another. It is safe for concurrent use;
// its zero value is ready.
type credentials struct {
	mu     sync.Mutex
	parsed map[[sha256.Size]byte]webauthn.Credential // guarded by mu
}

// parse returns a stored credential. What its slices hold must not be changed.
func (c *credentials) parse(stored ringfence.Secret) (webauthn.Credential, error) {
	sum := sha256.Sum256(stored)
	c.mu.Lock()
	one, ok := c.parsed[sum]
	c.mu.Unlock()
	if ok {
		return one, nil
	}
	if err := json.Unmarshal(stored, &one); err != nil {
		return webauthn.Credential{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil || len(c.parsed) >= maxCredentials {
		c.parsed = map[[sha256.Size]byte]webauthn.Credential{}
	}
	c.parsed[sum] = one
	return one, nil
}
