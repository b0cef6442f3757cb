package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// The HMACs behind look-up values are used again and by many at once; a value
// has one hash all the same, and none of what was hashed before it.
func TestBlindsAtOnce(t *testing.T) {
	g, err := newGeneration(make([]byte, boxKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	index, err := hkdf.Key(sha256.New, make([]byte, boxKeyBytes), nil, "ringfence/blind-index/v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				value := fmt.Sprint(n*i, " a value")
				mac := hmac.New(sha256.New, index)
				mac.Write([]byte("\x00\x00\x00\x04kind\x00\x00\x00\x03key" + value))
				if have := g.blind("kind", "key", value); !hmac.Equal(have, mac.Sum(nil)[:16]) {
					t.Errorf("%s: %x", value, have)
				}
			}
		})
	}
	wg.Wait()
}
