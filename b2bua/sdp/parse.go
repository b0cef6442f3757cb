package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds on a description. Anything larger is refused, never cut.
const (
	MaxBytes   = 16 << 10 // of a whole description
	maxLines   = 256
	maxMedia   = 16 // m= lines; RFC 8866 sets none
	maxFormats = 64 // on one m= line
	maxCrypto  = 16 // a=crypto lines of one m= line
)

// ErrMalformed is what every error of Parse wraps: the text is no session
// description, or one that two readers could read differently.
var ErrMalformed = errors.New("malformed session description")

// Direction is the direction of a media line as its writer sees it (RFC 3264,
// section 5.1). The empty value means sendrecv.
type Direction string

// The directions of RFC 8866, section 6.7.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Sends reports whether the writer of d will send.
func (d Direction) Sends() bool { return d == "" || d == SendRecv || d == SendOnly }

// Receives reports whether the writer of d wants to receive.
func (d Direction) Receives() bool { return d == "" || d == SendRecv || d == RecvOnly }

// Reverse is d as the other side must answer it when it can do everything.
func (d Direction) Reverse() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	case Inactive:
		return Inactive
	default:
		return SendRecv
	}
}

// Codec is one payload type of an audio line.
type Codec struct {
	PT       uint8
	Name     string // upper case: PCMU, PCMA, TELEPHONE-EVENT, …
	Rate     int    // Hz
	Channels int    // 1 unless stated
	Fmtp     string
}

// Crypto is one usable a=crypto line (RFC 4568). Lines with a master key
// identifier, several keys or session parameters are left out by Parse: we
// could not keep what they ask for.
type Crypto struct {
	Tag   int
	Suite string // a key of Suites
	Key   []byte // master key, then master salt
}

// Suites are the SDES crypto suites we know, with the length in bytes of
// master key and salt together (RFC 4568, section 6.2; RFC 6188; RFC 7714).
var Suites = map[string]int{
	"AEAD_AES_256_GCM":        32 + 12,
	"AEAD_AES_128_GCM":        16 + 12,
	"AES_256_CM_HMAC_SHA1_80": 32 + 14,
	"AES_CM_128_HMAC_SHA1_80": 16 + 14,
	"AES_256_CM_HMAC_SHA1_32": 32 + 14,
	"AES_CM_128_HMAC_SHA1_32": 16 + 14,
}

// Media is one m= line with what applies to it.
type Media struct {
	Kind      string // audio, video, image, …
	Port      uint16 // 0 = refused or not used
	Proto     string // RTP/AVP, RTP/SAVP, …
	Formats   []string
	Addr      netip.Addr // of its own c= line or the session's; invalid if a name stood there
	Codecs    []Codec    // of an RTP line, in the writer's order of preference
	PTime     int        // milliseconds; 0 = not stated
	MaxPTime  int        // milliseconds; 0 = not stated
	Direction Direction
	Crypto    []Crypto
	Insecure  bool // carried a=crypto lines, none of them usable
	RTCP      netip.AddrPort
	RTCPMux   bool
}

// Description is a parsed session description.
type Description struct {
	Origin  string // session id and origin address, for telling peers apart
	Version string // o= version: unchanged in a re-offer means nothing changed
	Media   []Media
}

// Parse reads a session description (RFC 8866) strictly: one reading or none.
// Lines end in CRLF or LF. Every error wraps ErrMalformed and names the line.
func Parse(body []byte) (*Description, error) {
	p := parser{}
	if err := p.run(body); err != nil {
		return nil, fmt.Errorf("%w: line %d: %v", ErrMalformed, p.line, err)
	}
	return &p.d, nil
}

type parser struct {
	d    Description
	line int
	seen map[byte]bool // session-level lines that may stand once
	addr netip.Addr    // session-level c=
	has  bool          // a session-level c= stood, even if its address is a name
	dir  Direction     // session-level direction
	m    []mediaState
}

// mediaState is what must be known of a media line while it is being read.
type mediaState struct {
	conn    bool // own c=
	maps    map[uint8]bool
	fmtps   map[uint8]bool
	tags    map[int]bool
	dir     bool
	ptime   bool
	rtcp    bool
	rtcpSet string
}

func (p *parser) run(body []byte) error {
	if len(body) > MaxBytes {
		return fmt.Errorf("longer than %d bytes", MaxBytes)
	}
	p.seen = make(map[byte]bool)
	text := string(body)
	for text != "" {
		p.line++
		if p.line > maxLines {
			return fmt.Errorf("more than %d lines", maxLines)
		}
		end := strings.IndexByte(text, '\n')
		line := text
		if end >= 0 {
			line, text = strings.TrimSuffix(text[:end], "\r"), text[end+1:]
		} else {
			text = ""
		}
		if err := p.one(line); err != nil {
			return err
		}
	}
	if !p.seen['v'] || !p.seen['o'] {
		return errors.New("no v= or o= line")
	}
	return p.finish()
}

func (p *parser) one(line string) error {
	if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
		return errors.New("not a type, an equals sign and a value")
	}
	for i := 0; i < len(line); i++ {
		if c := line[i]; (c < 0x20 && c != '\t') || c == 0x7f {
			return errors.New("control character")
		}
	}
	typ, val := line[0], line[2:]
	if (p.line == 1) != (typ == 'v') || (p.line == 2) != (typ == 'o') {
		return errors.New("v= and o= must be the first two lines")
	}
	if len(p.d.Media) == 0 && strings.IndexByte("vosctuie", typ) >= 0 {
		if p.seen[typ] && typ != 't' && typ != 'e' {
			return fmt.Errorf("second %c= line", typ)
		}
		p.seen[typ] = true
	}
	switch typ {
	case 'v':
		if val != "0" {
			return errors.New("version is not 0")
		}
	case 'o':
		return p.origin(val)
	case 'c':
		return p.connection(val)
	case 'm':
		return p.media(val)
	case 'a':
		return p.attribute(val)
	}
	return nil
}

func (p *parser) origin(val string) error {
	f := strings.Split(val, " ")
	if len(f) != 6 {
		return errors.New("o= wants six fields")
	}
	for _, n := range f[1:3] {
		if n == "" || len(n) > 40 || strings.Trim(n, "0123456789") != "" {
			return errors.New("o= id and version must be digits")
		}
	}
	if f[3] != "IN" || f[4] != "IP4" && f[4] != "IP6" {
		return errors.New("o= network or address type")
	}
	p.d.Origin, p.d.Version = f[1]+" "+f[5], f[2]
	return nil
}

// connection reads "IN IP4 192.0.2.1". A name instead of an address is read
// but yields no address: we resolve nothing that a stranger sends.
func (p *parser) connection(val string) error {
	f := strings.Split(val, " ")
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" || f[2] == "" {
		return errors.New("c= wants IN, IP4 or IP6 and an address")
	}
	var addr netip.Addr
	host, _, ttl := strings.Cut(f[2], "/")
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return errors.New("c= address with a zone")
		}
		if a.Is4() != (f[1] == "IP4") {
			return errors.New("c= address of another family than stated")
		}
		addr = a.Unmap()
	}
	if ttl && !addr.IsMulticast() {
		return errors.New("c= with a slash but no multicast address")
	}
	n := len(p.d.Media)
	if n == 0 {
		p.addr, p.has = addr, true
		return nil
	}
	if p.m[n-1].conn {
		return errors.New("second c= line of a media line")
	}
	p.m[n-1].conn = true
	p.d.Media[n-1].Addr = addr
	return nil
}

func (p *parser) media(val string) error {
	f := strings.Split(val, " ")
	if len(f) < 4 {
		return errors.New("m= wants kind, port, protocol and a format")
	}
	if len(p.d.Media) == maxMedia || len(f)-3 > maxFormats {
		return errors.New("too many media lines or formats")
	}
	for _, s := range f {
		if s == "" {
			return errors.New("m= with a doubled space")
		}
	}
	port, _, ranged := strings.Cut(f[1], "/")
	n, err := decimal(port, 65535)
	if err != nil || ranged {
		return errors.New("m= port")
	}
	m := Media{Kind: f[0], Port: uint16(n), Proto: f[2], Formats: f[3:], Addr: p.addr}
	if m.Kind == "audio" && m.rtp() {
		seen := map[uint8]bool{}
		for _, s := range m.Formats {
			pt, err := decimal(s, 127)
			if err != nil || seen[uint8(pt)] {
				return errors.New("m= payload type out of range or doubled")
			}
			seen[uint8(pt)] = true
			c := Codec{PT: uint8(pt), Channels: 1}
			if s, ok := static[c.PT]; ok {
				c.Name, c.Rate = s.name, s.rate
			}
			m.Codecs = append(m.Codecs, c)
		}
	}
	p.d.Media = append(p.d.Media, m)
	p.m = append(p.m, mediaState{maps: map[uint8]bool{}, fmtps: map[uint8]bool{}, tags: map[int]bool{}})
	return nil
}

// rtp reports whether the formats of m are RTP payload types.
func (m *Media) rtp() bool { return strings.Contains(m.Proto, "RTP/") }

// static are the payload types with a fixed meaning that we may meet (RFC
// 3551, section 6).
var static = map[uint8]struct {
	name string
	rate int
}{0: {"PCMU", 8000}, 3: {"GSM", 8000}, 4: {"G723", 8000}, 8: {"PCMA", 8000}, 9: {"G722", 8000}, 13: {"CN", 8000},
	15: {"G728", 8000}, 18: {"G729", 8000}}

func (p *parser) attribute(val string) error {
	name, arg, _ := strings.Cut(val, ":")
	if dir := Direction(name); dir == SendRecv || dir == SendOnly || dir == RecvOnly || dir == Inactive {
		return p.direction(dir)
	}
	n := len(p.d.Media)
	if n == 0 {
		return nil // no other session-level attribute changes what we do
	}
	m, s := &p.d.Media[n-1], &p.m[n-1]
	if m.Kind != "audio" {
		return nil // the line is refused whatever it says
	}
	switch name {
	case "rtpmap":
		return s.rtpmap(m, arg)
	case "fmtp":
		return s.fmtp(m, arg)
	case "ptime", "maxptime":
		return s.time(m, name, arg)
	case "crypto":
		return s.crypto(m, arg)
	case "rtcp-mux":
		m.RTCPMux = true
	case "rtcp":
		if s.rtcp {
			return errors.New("second a=rtcp")
		}
		s.rtcp, s.rtcpSet = true, arg
	}
	return nil
}

func (p *parser) direction(d Direction) error {
	n := len(p.d.Media)
	if n == 0 {
		if p.dir != "" {
			return errors.New("second session direction")
		}
		p.dir = d
		return nil
	}
	if p.m[n-1].dir {
		return errors.New("second direction of a media line")
	}
	p.m[n-1].dir = true
	p.d.Media[n-1].Direction = d
	return nil
}

// codec returns the payload type that text names on m, or nil when the m=
// line does not list it: such a map is of no use and ignored.
func (m *Media) codec(text string) (*Codec, error) {
	pt, err := decimal(text, 127)
	if err != nil {
		return nil, err
	}
	for i := range m.Codecs {
		if m.Codecs[i].PT == uint8(pt) {
			return &m.Codecs[i], nil
		}
	}
	return nil, nil
}

// isToken judges an encoding name (RFC 8866, section 9). Others could be one name
// to us and another to the next reader: Unicode folds more letters than ASCII has.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]", c) >= 0 {
			return false
		}
	}
	return s != ""
}

func (s *mediaState) rtpmap(m *Media, arg string) error {
	pt, enc, ok := strings.Cut(arg, " ")
	f := strings.Split(enc, "/")
	if !ok || len(f) < 2 || len(f) > 3 || !isToken(f[0]) {
		return errors.New("a=rtpmap wants a payload type and name/rate")
	}
	rate, err := decimal(f[1], 1_000_000)
	if err != nil || rate == 0 {
		return errors.New("a=rtpmap clock rate")
	}
	channels := 1
	if len(f) == 3 {
		if channels, err = decimal(f[2], 255); err != nil || channels == 0 {
			return errors.New("a=rtpmap channels")
		}
	}
	c, err := m.codec(pt)
	if err != nil {
		return errors.New("a=rtpmap payload type")
	}
	if c == nil {
		return nil
	}
	if s.maps[c.PT] {
		return errors.New("second a=rtpmap of a payload type")
	}
	s.maps[c.PT] = true
	name := strings.ToUpper(f[0])
	if st, ok := static[c.PT]; ok && c.PT < 35 && (st.name != name || st.rate != rate) {
		return errors.New("a=rtpmap gives a fixed payload type another meaning")
	}
	c.Name, c.Rate, c.Channels = name, rate, channels
	return nil
}

func (s *mediaState) fmtp(m *Media, arg string) error {
	pt, params, _ := strings.Cut(arg, " ")
	if !m.rtp() {
		return nil
	}
	c, err := m.codec(pt)
	if err != nil {
		return errors.New("a=fmtp payload type")
	}
	if c == nil {
		return nil
	}
	if s.fmtps[c.PT] {
		return errors.New("second a=fmtp of a payload type")
	}
	s.fmtps[c.PT] = true
	c.Fmtp = params
	return nil
}

func (s *mediaState) time(m *Media, name, arg string) error {
	// Some phones write "20.0"; RFC 8866 allows it since 2021.
	whole, _, _ := strings.Cut(arg, ".")
	n, err := decimal(whole, 1000)
	if err != nil || n == 0 {
		return errors.New("a=" + name)
	}
	if name == "maxptime" {
		m.MaxPTime = n
		return nil
	}
	if s.ptime {
		return errors.New("second a=ptime")
	}
	s.ptime = true
	m.PTime = n
	return nil
}

// crypto reads RFC 4568, section 9.1: tag suite inline:key [session params].
func (s *mediaState) crypto(m *Media, arg string) error {
	f := strings.Fields(arg)
	if len(f) < 3 {
		return errors.New("a=crypto wants tag, suite and key")
	}
	tag, err := decimal(f[0], 999_999_999)
	if err != nil || s.tags[tag] {
		return errors.New("a=crypto tag")
	}
	if len(s.tags) == maxCrypto {
		return errors.New("too many a=crypto")
	}
	s.tags[tag] = true
	want, known := Suites[f[1]]
	key, lifetime, _ := strings.Cut(strings.TrimPrefix(f[2], "inline:"), "|")
	raw, err := base64.StdEncoding.DecodeString(key)
	usable := known && strings.HasPrefix(f[2], "inline:") && err == nil && len(raw) == want && len(f) == 3 &&
		!strings.ContainsAny(lifetime, ":|") && !strings.Contains(f[2], ";")
	if !usable {
		m.Insecure = len(m.Crypto) == 0
		return nil
	}
	m.Insecure = false
	m.Crypto = append(m.Crypto, Crypto{Tag: tag, Suite: f[1], Key: raw})
	return nil
}

// finish applies what the session level gives to every media line.
func (p *parser) finish() error {
	for i := range p.d.Media {
		m, s := &p.d.Media[i], &p.m[i]
		if !s.dir && p.dir != "" {
			m.Direction = p.dir
		}
		if m.Port != 0 && !s.conn && !p.has {
			return errors.New("a media line has no c= line")
		}
		port, rest, own := strings.Cut(s.rtcpSet, " ")
		if !s.rtcp {
			if m.Port != 0 && m.Port < 65535 {
				m.RTCP = netip.AddrPortFrom(m.Addr, m.Port+1)
			}
			continue
		}
		n, err := decimal(port, 65535)
		if err != nil || n == 0 {
			return errors.New("a=rtcp port")
		}
		addr := m.Addr
		if own {
			f := strings.Split(rest, " ")
			if len(f) != 3 || f[0] != "IN" {
				return errors.New("a=rtcp address")
			}
			if a, err := netip.ParseAddr(f[2]); err == nil {
				addr = a.Unmap()
			}
		}
		m.RTCP = netip.AddrPortFrom(addr, uint16(n))
	}
	return nil
}

// decimal reads digits only, no sign and no space, at most limit.
func decimal(s string, limit int) (int, error) {
	if s == "" || len(s) > 10 || strings.Trim(s, "0123456789") != "" {
		return 0, errors.New("not a number")
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > limit {
		return 0, errors.New("number out of range")
	}
	return n, nil
}
