package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// dpop proves with every request that whoever uses a credential holds its key
// (RFC 9449).
type dpop struct {
	signer jose.Signer
	thumb  string
}

func newDPoP() (*dpop, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.ES256)}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	return &dpop{signer: signer, thumb: base64.RawURLEncoding.EncodeToString(sum)}, err
}

// sign adds a fresh proof to a request that carries the credential.
func (d *dpop) sign(req *http.Request, credential string) error {
	hash := sha256.Sum256([]byte(credential))
	claims, err := json.Marshal(map[string]any{"jti": newKey(), "htm": req.Method, "htu": req.URL.Scheme + "://" + req.URL.Host + req.URL.Path,
		"iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:])})
	if err != nil {
		return err
	}
	jws, err := d.signer.Sign(claims)
	if err != nil {
		return err
	}
	proof, err := jws.CompactSerialize()
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "DPoP "+credential)
	req.Header.Set("DPoP", proof)
	return nil
}
