// Package passkeytest is an authenticator in software: it makes real WebAuthn
// registrations and assertions (ES256, user verification, a signature counter)
// over the same JSON that a browser's parseCreationOptionsFromJSON and toJSON
// speak. Tests, the demo and the lab play people with it; the product never
// imports it.
//
// Its fields are the ways in which an authenticator can be wrong, so that a
// refusal can be watched: no user verification, a foreign origin, a counter
// that goes back, a clone.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Authenticator is one authenticator with the passkeys it has made. The zero
// value plus Origin is a platform authenticator whose user always verifies.
// It is safe for concurrent use.
type Authenticator struct {
	// Origin is the page it believes to be on, e.g. "https://verify.acme.example".
	Origin string
	// NoUV leaves out user verification; NoUP leaves out user presence.
	NoUV, NoUP bool
	// Synced marks the passkeys as backed up (BE and BS flags) and freezes the
	// counter at 0, as synced passkeys do.
	Synced bool
	// CrossOrigin says that the page was in a foreign frame.
	CrossOrigin bool

	mu   sync.Mutex
	keys []*key // guarded by mu
}

type key struct {
	id      []byte
	rp      string
	user    []byte
	private *ecdsa.PrivateKey
	count   uint32
}

// The flags of authenticator data (WebAuthn, section 6.1).
const (
	flagUP = 0x01
	flagUV = 0x04
	flagBE = 0x08
	flagBS = 0x10
	flagAT = 0x40
)

// New returns an authenticator on a page of origin.
func New(origin string) *Authenticator { return &Authenticator{Origin: origin} }

// Clone copies the authenticator with its keys and counters as they are now.
func (a *Authenticator) Clone() *Authenticator {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := &Authenticator{Origin: a.Origin, NoUV: a.NoUV, NoUP: a.NoUP, Synced: a.Synced}
	for _, k := range a.keys {
		twin := *k
		b.keys = append(b.keys, &twin)
	}
	return b
}

// Rewind sets the counter of every key, as a restored backup would.
func (a *Authenticator) Rewind(count uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.keys {
		k.count = count
	}
}

type creationOptions struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Challenge string `json:"challenge"`
	Params    []struct {
		Alg int `json:"alg"`
	} `json:"pubKeyCredParams"`
	Exclude []descriptor `json:"excludeCredentials"`
}

type requestOptions struct {
	RPID      string       `json:"rpId"`
	Challenge string       `json:"challenge"`
	Allow     []descriptor `json:"allowCredentials"`
}

type descriptor struct {
	ID string `json:"id"`
}

// Register answers PublicKeyCredentialCreationOptionsJSON with a
// RegistrationResponseJSON (attestation "none").
func (a *Authenticator) Register(options []byte) ([]byte, error) {
	var o creationOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("passkeytest: options: %v", err)
	}
	es256 := false
	for _, p := range o.Params {
		es256 = es256 || p.Alg == -7
	}
	if !es256 {
		return nil, errors.New("passkeytest: the relying party does not take ES256")
	}
	user, err := raw(o.User.ID)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range o.Exclude {
		if id, err := raw(x.ID); err == nil && a.find(id, o.RP.ID) != nil {
			return nil, errors.New("passkeytest: this authenticator holds a passkey for the account already")
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &key{id: make([]byte, 32), rp: o.RP.ID, user: user, private: private}
	if _, err := rand.Read(k.id); err != nil {
		return nil, err
	}
	a.keys = append(a.keys, k)
	client := a.clientData("webauthn.create", o.Challenge)
	cose, err := coseKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	auth := a.authData(k, flagAT)
	auth = append(auth, make([]byte, 16)...) // AAGUID: none
	auth = binary.BigEndian.AppendUint16(auth, uint16(len(k.id)))
	auth = append(append(auth, k.id...), cose...)
	return json.Marshal(map[string]any{
		"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": b64(client), "attestationObject": b64(attestation(auth)), "transports": []string{"internal"},
		},
	})
}

// Assert answers PublicKeyCredentialRequestOptionsJSON with an
// AuthenticationResponseJSON. With no allowed credentials it uses the newest
// passkey for the relying party, as a discoverable login does.
func (a *Authenticator) Assert(options []byte) ([]byte, error) {
	var o requestOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("passkeytest: options: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k, err := a.choose(o)
	if err != nil {
		return nil, err
	}
	if !a.Synced {
		k.count++
	}
	client := a.clientData("webauthn.get", o.Challenge)
	auth := a.authData(k, 0)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte{}, auth...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": b64(client), "authenticatorData": b64(auth), "signature": b64(sig), "userHandle": b64(k.user),
		},
	})
}

func (a *Authenticator) choose(o requestOptions) (*key, error) {
	if len(o.Allow) == 0 {
		for i := len(a.keys) - 1; i >= 0; i-- {
			if a.keys[i].rp == o.RPID {
				return a.keys[i], nil
			}
		}
	}
	for _, d := range o.Allow {
		id, err := raw(d.ID)
		if err != nil {
			return nil, err
		}
		if k := a.find(id, o.RPID); k != nil {
			return k, nil
		}
	}
	return nil, errors.New("passkeytest: no passkey for " + o.RPID)
}

func (a *Authenticator) find(id []byte, rp string) *key {
	for _, k := range a.keys {
		if string(k.id) == string(id) && k.rp == rp {
			return k
		}
	}
	return nil
}

func (a *Authenticator) clientData(kind, challenge string) []byte {
	out, err := json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}{kind, challenge, a.Origin, a.CrossOrigin})
	if err != nil {
		panic("passkeytest: " + err.Error()) // strings always marshal
	}
	return out
}

// authData is WebAuthn, section 6.1: rpIdHash, flags, signCount.
func (a *Authenticator) authData(k *key, flags byte) []byte {
	hash := sha256.Sum256([]byte(k.rp))
	if !a.NoUP {
		flags |= flagUP
	}
	if !a.NoUV {
		flags |= flagUV
	}
	if a.Synced {
		flags |= flagBE | flagBS
	}
	return binary.BigEndian.AppendUint32(append(hash[:], flags), k.count)
}

// coseKey is a COSE_Key of kty EC2, alg ES256, crv P-256 (RFC 9053, section
// 7.1.1): a map of five in canonical order.
func coseKey(pub *ecdsa.PublicKey) ([]byte, error) {
	point, err := pub.Bytes() // 0x04 ‖ x ‖ y
	if err != nil {
		return nil, err
	}
	out := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
	out = append(append(out, point[1:33]...), 0x22, 0x58, 0x20)
	return append(out, point[33:]...), nil
}

// attestation is the CBOR map {fmt: "none", attStmt: {}, authData: bytes}.
func attestation(auth []byte) []byte {
	out := []byte{0xa3, 0x63, 'f', 'm', 't', 0x64, 'n', 'o', 'n', 'e', 0x67, 'a', 't', 't', 'S', 't', 'm', 't', 0xa0,
		0x68, 'a', 'u', 't', 'h', 'D', 'a', 't', 'a', 0x59}
	return append(binary.BigEndian.AppendUint16(out, uint16(len(auth))), auth...)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func raw(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("passkeytest: not base64url: %v", err)
	}
	return b, nil
}
