package lab

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"time"
)

// TOTP is what an authenticator app shows at a time: RFC 6238 with the
// parameters that every app knows (SHA-1, 30 s, 6 digits).
func TOTP(seed []byte, now time.Time) string {
	mac := hmac.New(sha1.New, seed)
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(now.Unix()/30))
	mac.Write(step[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff)%1e6)
}
