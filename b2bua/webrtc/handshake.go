package webrtc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/transport/v4/packetio"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

// errCertificate says that somebody else than the offer's writer answered.
var errCertificate = errors.New("webrtc: the certificate is not the one that the offer named")

// profiles are the SRTP suites that we take, the best first (RFC 5764, section
// 4.1.2; RFC 7714, section 14.2).
var profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}

// suites are their names, and the lengths of master key and master salt.
var suites = map[dtls.SRTPProtectionProfile]struct {
	name      rtp.Suite
	key, salt int
}{
	dtls.SRTP_AEAD_AES_256_GCM:       {rtp.AEADAES256GCM, 32, 12},
	dtls.SRTP_AEAD_AES_128_GCM:       {rtp.AEADAES128GCM, 16, 12},
	dtls.SRTP_AES128_CM_HMAC_SHA1_80: {rtp.AESCM128SHA80, 16, 14},
}

// newCertificate makes the certificate of one link, and its fingerprint.
func newCertificate() (tls.Certificate, [32]byte, error) {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return c, [32]byte{}, fmt.Errorf("webrtc: certificate: %v", err)
	}
	return c, sha256.Sum256(c.Certificate[0]), nil
}

// secure runs the handshake as its server and returns the connection, for the
// browser's goodbye, and the keys.
func secure(ctx context.Context, wire *wire, cert tls.Certificate, want [32]byte) (*dtls.Conn, *rtp.SRTP, error) {
	verified := false
	check := func(raw [][]byte) error {
		if len(raw) == 0 {
			return errCertificate
		}
		sum := sha256.Sum256(raw[0])
		if subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			return errCertificate
		}
		verified = true
		return nil
	}
	conn, err := dtls.ServerWithOptions(wire, wire.LocalAddr(),
		dtls.WithCertificates(cert), dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
		// The proof of a browser is its fingerprint in the offer (RFC 8827,
		// section 6.5), not a chain: its certificate is its own.
		dtls.WithInsecureSkipVerify(true),
		dtls.WithVerifyConnection(func(s *dtls.State) error { return check(s.PeerCertificates) }))
	if err != nil {
		return nil, nil, fmt.Errorf("webrtc: DTLS: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("webrtc: DTLS: %w", err)
	}
	keys, err := keysOf(conn)
	if err == nil && !verified {
		err = errCertificate
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, keys, nil
}

// keysOf exports the SRTP keys (RFC 5764, section 4.2): the client's key, the
// server's, the client's salt, the server's. We are the server.
func keysOf(conn *dtls.Conn) (*rtp.SRTP, error) {
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	s, known := suites[chosen]
	if !ok || !known {
		return nil, errors.New("webrtc: DTLS agreed no SRTP suite")
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errors.New("webrtc: DTLS has no state")
	}
	raw, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(s.key+s.salt))
	if err != nil {
		return nil, fmt.Errorf("webrtc: keys: %v", err)
	}
	keys, salts := raw[:2*s.key], raw[2*s.key:]
	join := func(key, salt []byte) []byte { return append(append([]byte(nil), key...), salt...) }
	return &rtp.SRTP{Suite: s.name, In: join(keys[:s.key], salts[:s.salt]), Out: join(keys[s.key:], salts[s.salt:])}, nil
}

// wire carries DTLS records between the socket of a leg and the handshake. It
// is a net.PacketConn with one far end.
type wire struct {
	in   *packetio.Buffer
	send func([]byte) bool
	at   net.Addr
}

// Bounds on what waits for the handshake.
const (
	maxWaiting      = 32
	maxWaitingBytes = 64 << 10
)

func newWire(send func([]byte) bool) *wire {
	w := &wire{in: packetio.NewBuffer(), send: send, at: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), 9))}
	w.in.SetLimitCount(maxWaiting)
	w.in.SetLimitSize(maxWaitingBytes)
	return w
}

// take hands a record in; one too many is dropped, as a network would.
func (w *wire) take(b []byte) { _, _ = w.in.Write(b) }

// ReadFrom implements net.PacketConn.
func (w *wire) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := w.in.Read(b)
	return n, w.at, err
}

// WriteTo implements net.PacketConn. A datagram that the system did not take is
// lost like any other.
func (w *wire) WriteTo(b []byte, _ net.Addr) (int, error) {
	w.send(b)
	return len(b), nil
}

// Close implements net.PacketConn.
func (w *wire) Close() error { return w.in.Close() }

// LocalAddr implements net.PacketConn.
func (w *wire) LocalAddr() net.Addr { return w.at }

// SetDeadline implements net.PacketConn.
func (w *wire) SetDeadline(t time.Time) error { return w.in.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (w *wire) SetReadDeadline(t time.Time) error { return w.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn: a write never waits.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
