package rtp

import (
	"crypto/subtle"
	"errors"
	"fmt"

	pionrtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Suite is an SRTP crypto suite by its name in SDP (RFC 4568, section 6.2;
// RFC 6188; RFC 7714, section 14.2).
type Suite string

// The suites. AEAD_AES_256_GCM is to be preferred.
const (
	AESCM128SHA80 Suite = "AES_CM_128_HMAC_SHA1_80"
	AESCM128SHA32 Suite = "AES_CM_128_HMAC_SHA1_32"
	AESCM256SHA80 Suite = "AES_256_CM_HMAC_SHA1_80"
	AESCM256SHA32 Suite = "AES_256_CM_HMAC_SHA1_32"
	AEADAES128GCM Suite = "AEAD_AES_128_GCM"
	AEADAES256GCM Suite = "AEAD_AES_256_GCM"
)

// Suites lists every suite, the best first.
var Suites = [...]Suite{AEADAES256GCM, AEADAES128GCM, AESCM256SHA80, AESCM128SHA80, AESCM256SHA32, AESCM128SHA32}

func (s Suite) profile() (srtp.ProtectionProfile, bool) {
	switch s {
	case AESCM128SHA80:
		return srtp.ProtectionProfileAes128CmHmacSha1_80, true
	case AESCM128SHA32:
		return srtp.ProtectionProfileAes128CmHmacSha1_32, true
	case AESCM256SHA80:
		return srtp.ProtectionProfileAes256CmHmacSha1_80, true
	case AESCM256SHA32:
		return srtp.ProtectionProfileAes256CmHmacSha1_32, true
	case AEADAES128GCM:
		return srtp.ProtectionProfileAeadAes128Gcm, true
	case AEADAES256GCM:
		return srtp.ProtectionProfileAeadAes256Gcm, true
	default:
		return 0, false
	}
}

// KeyLen returns the bytes of one inline key, master key and master salt
// together, and 0 for a suite that is not ours.
func (s Suite) KeyLen() int {
	switch s {
	case AESCM128SHA80, AESCM128SHA32:
		return 16 + 14
	case AESCM256SHA80, AESCM256SHA32:
		return 32 + 14
	case AEADAES128GCM:
		return 16 + 12
	case AEADAES256GCM:
		return 32 + 12
	default:
		return 0
	}
}

// SRTP holds the keys of one session, one for each way. In is the key that the
// far end sends with, Out is ours; each is master key and master salt, as they
// stand in a crypto attribute's inline value (RFC 4568, section 6.1). The
// formatted value never shows a key.
type SRTP struct {
	Suite Suite
	In    []byte
	Out   []byte
}

// String names the suite and hides the keys.
func (s SRTP) String() string { return string(s.Suite) + " (keys hidden)" }

// GoString hides the keys from %#v.
func (s SRTP) GoString() string { return s.String() }

func (s *SRTP) validate() error {
	n := s.Suite.KeyLen()
	if n == 0 {
		return errors.New("rtp: unknown SRTP suite")
	}
	if len(s.In) != n || len(s.Out) != n {
		return fmt.Errorf("rtp: SRTP keys of %d and %d bytes, %s wants %d", len(s.In), len(s.Out), s.Suite, n)
	}
	if subtle.ConstantTimeCompare(s.In, s.Out) == 1 {
		return errors.New("rtp: SRTP keys of both ways are the same")
	}
	return nil
}

// replayWindow is in packets: 2.5 s at 20 ms, well over the 64 that RFC 3711,
// section 3.3.2 demands.
const replayWindow = 128

// cipher is one way of SRTP. pion's contexts are not safe for concurrent use:
// the mutex of the way it belongs to guards it.
type cipher struct {
	suite Suite
	key   []byte
	ctx   *srtp.Context
	fails int // failures since the context was made, while nothing was accepted
}

// newCipher returns nil for no keys, and old itself for the same keys, so that
// roll-over counters and replay windows outlive a re-INVITE.
func newCipher(old *cipher, suite Suite, key []byte) (*cipher, error) {
	if old != nil && old.suite == suite && subtle.ConstantTimeCompare(old.key, key) == 1 {
		return old, nil
	}
	c := &cipher{suite: suite, key: append([]byte(nil), key...)}
	return c, c.reset()
}

func (c *cipher) reset() error {
	profile, ok := c.suite.profile()
	if !ok {
		return errors.New("rtp: unknown SRTP suite")
	}
	keyLen, err := profile.KeyLen()
	if err != nil {
		return fmt.Errorf("rtp: SRTP key: %v", err)
	}
	ctx, err := srtp.CreateContext(c.key[:keyLen], c.key[keyLen:], profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return fmt.Errorf("rtp: SRTP context: %v", err)
	}
	c.ctx, c.fails = ctx, 0
	return nil
}

// maxEarlyFails bounds what strangers can make pion remember (a state for each
// SSRC, made before the packet is authenticated) while no packet was accepted.
const maxEarlyFails = 64

// open decrypts b into dst. The header must have been checked already.
func (c *cipher) open(dst, b []byte, h *pionrtp.Header, locked bool) ([]byte, bool) {
	out, err := c.ctx.DecryptRTP(dst[:0], b, h)
	if err == nil {
		return out, true
	}
	if !locked {
		if c.fails++; c.fails >= maxEarlyFails && c.reset() != nil {
			return nil, false
		}
	}
	return nil, false
}

// seal encrypts a packet of ours into dst.
func (c *cipher) seal(dst, b []byte, h *pionrtp.Header) ([]byte, bool) {
	out, err := c.ctx.EncryptRTP(dst[:0], b, h)
	return out, err == nil
}
