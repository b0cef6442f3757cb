package webrtc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ringfence/ringfence/b2bua/sdp"
)

// ErrOffer is what every error of ParseOffer wraps.
var ErrOffer = errors.New("webrtc: offer refused")

// MaxOffer is the greatest length of an offer in bytes.
const MaxOffer = sdp.MaxBytes

// Bounds of RFC 8839, section 5.4.
const (
	minUfrag, maxICE = 4, 256
	minPwd           = 22
	maxMid           = 32
)

// Offer is what counts of a browser's description.
type Offer struct {
	Ufrag       string   // of the browser's ICE
	Fingerprint [32]byte // SHA-256 of the certificate that it will show
	Mid         string   // RFC 8843
	Codecs      []Codec  // G.711 as the browser prefers it; at least one
	Opus        uint8    // payload type of Opus; 0 = none
	Event       uint8    // payload type of telephone-event at 8000 Hz; 0 = none
}

// Codec is PCMU or PCMA with its payload type.
type Codec struct {
	PT   uint8
	Name string
}

// ParseOffer reads a browser's offer of one audio line, both ways. It takes no
// candidate from it: the browser comes to us.
func ParseOffer(text string) (Offer, error) {
	d, err := sdp.Parse([]byte(text))
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %v", ErrOffer, err)
	}
	if len(d.Media) != 1 || d.Media[0].Kind != "audio" {
		return Offer{}, fmt.Errorf("%w: want one media line, audio", ErrOffer)
	}
	m := d.Media[0]
	switch {
	case m.Proto != "UDP/TLS/RTP/SAVPF":
		return Offer{}, fmt.Errorf("%w: %q is not UDP/TLS/RTP/SAVPF", ErrOffer, m.Proto)
	case m.Port == 0 || m.Direction != "" && m.Direction != sdp.SendRecv:
		return Offer{}, fmt.Errorf("%w: audio must go both ways", ErrOffer)
	case !m.RTCPMux:
		return Offer{}, fmt.Errorf("%w: no rtcp-mux", ErrOffer)
	}
	var o Offer
	for _, c := range m.Codecs {
		switch {
		case (c.Name == "PCMU" || c.Name == "PCMA") && c.Rate == 8000 && c.Channels == 1 && c.PT != 13 && (c.PT < 64 || c.PT >= 96):
			o.Codecs = append(o.Codecs, Codec{c.PT, c.Name})
		case c.Name == "OPUS" && c.Rate == 48000 && c.Channels == 2 && c.PT >= 96 && o.Opus == 0:
			o.Opus = c.PT
		case c.Name == "TELEPHONE-EVENT" && c.Rate == 8000 && c.PT >= 96 && o.Event == 0:
			o.Event = c.PT
		}
	}
	if len(o.Codecs) == 0 {
		return Offer{}, fmt.Errorf("%w: neither PCMU nor PCMA", ErrOffer)
	}
	o.Codecs = o.Codecs[:min(len(o.Codecs), 2)]
	if err := o.attributes(text); err != nil {
		return Offer{}, fmt.Errorf("%w: %v", ErrOffer, err)
	}
	return o, nil
}

// attributes reads what ICE and DTLS need. An attribute of the media line
// replaces that of the session (RFC 8839, section 5.4; RFC 8842, section 5.1).
func (o *Offer) attributes(text string) error {
	got, level := map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "m=") {
			level = "m"
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "a="), ":")
		if !strings.HasPrefix(line, "a=") {
			continue
		}
		switch name {
		case "ice-ufrag", "ice-pwd", "setup", "mid", "ice-lite":
		case "fingerprint":
			if hash, _, _ := strings.Cut(value, " "); !strings.EqualFold(hash, "sha-256") {
				continue // another hash of the same certificate
			}
		default:
			continue
		}
		if old, twice := got[level+name]; twice && old != value {
			return fmt.Errorf("two values of a=%s", name)
		}
		got[level+name] = value
	}
	of := func(name string) string {
		if v, ok := got["m"+name]; ok {
			return v
		}
		return got[name]
	}
	if _, lite := got["ice-lite"]; lite {
		return errors.New("both sides would be ICE-lite: nobody would begin")
	}
	if o.Ufrag = of("ice-ufrag"); !iceText(o.Ufrag, minUfrag) || !iceText(of("ice-pwd"), minPwd) {
		return errors.New("a=ice-ufrag or a=ice-pwd")
	}
	if s := of("setup"); s != "actpass" && s != "active" {
		return fmt.Errorf("a=setup: the browser begins the DTLS handshake, %q does not", s)
	}
	if o.Mid = of("mid"); len(o.Mid) > maxMid || !isToken(o.Mid) {
		return errors.New("a=mid")
	}
	_, print, _ := strings.Cut(of("fingerprint"), " ")
	return o.fingerprint(print)
}

// fingerprint reads 32 octets in hexadecimal with colons between (RFC 8122,
// section 5).
func (o *Offer) fingerprint(text string) error {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(raw) != len(o.Fingerprint) || strings.Count(text, ":") != len(raw)-1 || len(text) != 3*len(raw)-1 {
		return errors.New("no sha-256 fingerprint")
	}
	copy(o.Fingerprint[:], raw)
	if formatted(o.Fingerprint) != strings.ToUpper(text) {
		return errors.New("a=fingerprint with its colons in other places")
	}
	return nil
}

// formatted writes a fingerprint as SDP has it.
func formatted(sum [32]byte) string {
	var b strings.Builder
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

// iceText reports whether s is made of ICE characters (RFC 8839, section 5.4).
func iceText(s string, least int) bool {
	if len(s) < least || len(s) > maxICE {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// isToken takes the identification tags that browsers make: letters, digits
// and a few marks.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && !strings.ContainsRune("-_.+", rune(c)) {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
