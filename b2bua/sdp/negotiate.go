package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrUnacceptable is what errors of Answer and Accept wrap: the description is
// well formed, but no call we may take comes of it. SIP calls this 488 (RFC
// 3261, section 13.3.1.3).
var ErrUnacceptable = errors.New("no acceptable media")

// ErrOpusAlone is what Accept returns when the answer took Opus and no codec
// that we speak. It wraps ErrUnacceptable; an offer without Opus may do better.
var ErrOpusAlone = fmt.Errorf("%w: Opus alone", ErrUnacceptable)

// SRTP says whether media must be encrypted. The empty value is Required.
type SRTP string

// The SRTP policies.
const (
	SRTPRequired SRTP = "required"
	SRTPOptional SRTP = "optional" // encrypt if the peer offers it; plain if it does not
	SRTPOff      SRTP = "off"      // an encrypted offer is refused
)

// Local is our side of a stream.
type Local struct {
	Addr      netip.AddrPort // where we receive RTP
	RTCPPort  uint16         // 0 = the next port
	Codecs    []string       // allowed, most preferred first: PCMU, PCMA, G722, and OPUS beside one of them; empty = the first two
	OpusType  uint8          // payload type at which Opus is offered; 0 = 111
	SRTP      SRTP
	Keys      []Crypto // ours, most preferred suite first; at least one unless SRTP is off
	PTime     int      // milliseconds; 0 = 20
	Direction Direction
	Label     string // of the line that is offered (RFC 4574); "" = none
	Session   uint64 // o= session id, the same for the life of a leg
	Version   uint64 // o= version, one more whenever the text changes
	Loopback  bool   // the peer may name a loopback address: its signalling comes from one
}

// Agreed is what both sides keep to after offer and answer.
type Agreed struct {
	Remote     netip.AddrPort // where to send; not valid while the peer receives nothing (RFC 2543 media hold)
	RemoteRTCP netip.AddrPort
	Codec      Codec // what we speak
	Opus       uint8 // payload type of Opus, which is heard and relayed beside Codec; 0 = not agreed
	Event      uint8 // payload type of telephone-event
	HasEvent   bool  // telephone-event was agreed
	Noise      bool  // comfort noise was agreed, at payload type 13 (RFC 3389)
	PTime      int   // milliseconds, of what we send
	Direction  Direction
	RTCPMux    bool
	Suite      string // "" = plain RTP
	LocalKey   []byte // what we encrypt with
	RemoteKey  []byte // what the peer encrypts with
}

// Held reports whether the far end put us on media hold: it takes no audio from
// us (RFC 3264, section 8.4).
func (a Agreed) Held() bool { return !a.Direction.Sends() }

const (
	eventName = "TELEPHONE-EVENT"
	opusName  = "OPUS" // RFC 7587: always 48000 Hz and two channels
	opusRate  = 48000
)

// offeredOpus is the usual payload type of Opus.
const offeredOpus = 111

// comfortNoise is the payload type of comfort noise at 8000 Hz (RFC 3551,
// section 6). We take it where the peer offers it and never ask for it: it
// makes holes in what is recorded and saves us nothing.
const comfortNoise = 13

// Answer chooses from offer and writes our answer, line for line (RFC 3264,
// section 6). Errors wrap ErrUnacceptable.
func Answer(offer *Description, l Local) ([]byte, Agreed, error) {
	var agreed Agreed
	chosen, why := -1, errors.New("no audio line")
	var crypto *Crypto
	for i := range offer.Media {
		m := &offer.Media[i]
		if m.Kind != "audio" || m.Port == 0 {
			continue
		}
		a, c, err := l.take(m)
		if err == nil {
			chosen, agreed, crypto = i, a, c
			break
		}
		why = err
	}
	if chosen < 0 {
		return nil, Agreed{}, fmt.Errorf("%w: %v", ErrUnacceptable, why)
	}
	w := l.head()
	for i, m := range offer.Media {
		if i != chosen {
			w.line("m=%s 0 %s %s", m.Kind, m.Proto, m.Formats[0])
			continue
		}
		w.audio(l, m.Proto, agreed, crypto)
	}
	return []byte(w.String()), agreed, nil
}

// take judges one audio line of an offer.
func (l Local) take(m *Media) (Agreed, *Crypto, error) {
	a := Agreed{RTCPMux: m.RTCPMux}
	if err := l.address(m, &a); err != nil {
		return a, nil, err
	}
	crypto, err := l.secure(m, &a)
	if err != nil {
		return a, nil, err
	}
	if err := l.codecs(m, &a); err != nil {
		return a, nil, err
	}
	theirs := m.Direction
	if !a.Remote.IsValid() {
		theirs = Inactive
	}
	a.Direction = limit(theirs.Reverse(), l.Direction)
	return a, crypto, nil
}

// limit is the part of want that have also allows.
func limit(want, have Direction) Direction {
	send, recv := want.Sends() && have.Sends(), want.Receives() && have.Receives()
	switch {
	case send && recv:
		return SendRecv
	case send:
		return SendOnly
	case recv:
		return RecvOnly
	default:
		return Inactive
	}
}

func (l Local) address(m *Media, a *Agreed) error {
	if !m.Addr.IsValid() {
		return errors.New("media address is a name")
	}
	if m.Addr.IsUnspecified() {
		return nil // RFC 3264, section 8.4: media hold as RFC 2543 wrote it
	}
	if err := Dangerous(m.Addr, l.Loopback); err != nil {
		return err
	}
	if m.Port < 1024 {
		return errors.New("media port below 1024")
	}
	if l.Addr.Addr().IsValid() && !l.Addr.Addr().IsUnspecified() && l.Addr.Addr().Is4() != m.Addr.Is4() {
		return errors.New("media address of the other family")
	}
	a.Remote = netip.AddrPortFrom(m.Addr, m.Port)
	a.RemoteRTCP = m.RTCP
	if a.RTCPMux {
		a.RemoteRTCP = a.Remote
	}
	if a.RemoteRTCP.IsValid() && a.RemoteRTCP.Addr() != m.Addr {
		a.RemoteRTCP = netip.AddrPort{} // reports go to where the media goes, or nowhere
	}
	return nil
}

// Dangerous says why nothing may be sent to a, or nil. Multicast, broadcast,
// link-local (which includes the metadata services of clouds) and reserved
// addresses never are media targets; loopback is one only for a peer on
// loopback.
func Dangerous(a netip.Addr, loopback bool) error {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified():
		return errors.New("no address")
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errors.New("multicast or broadcast address")
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast():
		return errors.New("link-local address")
	case a.IsLoopback() && !loopback:
		return errors.New("loopback address")
	case a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240):
		return errors.New("reserved address")
	case a == netip.MustParseAddr("fd00:ec2::254"), a == netip.MustParseAddr("100.100.100.200"):
		return errors.New("metadata address")
	}
	return nil
}

// secure chooses the keys (RFC 4568, section 5.1.2): our preference, never plain
// where the line or our policy says otherwise.
func (l Local) secure(m *Media, a *Agreed) (*Crypto, error) {
	switch m.Proto {
	case "RTP/AVP", "RTP/AVPF":
		if l.SRTP != SRTPOptional && l.SRTP != SRTPOff {
			return nil, errors.New("plain RTP where SRTP is required")
		}
		return nil, nil
	case "RTP/SAVP", "RTP/SAVPF":
		if l.SRTP == SRTPOff {
			return nil, errors.New("SRTP where it is off")
		}
		for i := range l.Keys {
			for _, c := range m.Crypto {
				if c.Suite == l.Keys[i].Suite {
					ours := l.Keys[i]
					ours.Tag = c.Tag
					a.Suite, a.LocalKey, a.RemoteKey = c.Suite, ours.Key, c.Key
					return &ours, nil
				}
			}
		}
		return nil, errors.New("no crypto suite in common")
	default:
		return nil, fmt.Errorf("media protocol %q", m.Proto)
	}
}

func (l Local) allowed() []string {
	if len(l.Codecs) == 0 {
		return []string{"PCMU", "PCMA"}
	}
	return l.Codecs
}

// codecs chooses the peer's first codec that we allow, telephone-event at
// whatever payload type it has, and comfort noise where the peer wants it.
func (l Local) codecs(m *Media, a *Agreed) error {
	found := false
	for _, c := range m.Codecs {
		switch {
		case c.Name == opusName:
			if a.Opus == 0 && c.Rate == opusRate && c.Channels == 2 && c.PT >= 96 && slices.Contains(l.allowed(), opusName) {
				a.Opus = c.PT
			}
		case !found && c.Rate == 8000 && c.Channels == 1 && c.Name != eventName && slices.Contains(l.allowed(), c.Name):
			a.Codec, found = c, true
		case !a.HasEvent && c.Name == eventName && c.Rate == 8000 && c.PT >= 96:
			a.Event, a.HasEvent = c.PT, true
		case c.PT == comfortNoise:
			a.Noise = true
		}
	}
	switch {
	case !found && a.Opus != 0:
		return ErrOpusAlone
	case !found:
		return errors.New("no codec in common")
	}
	a.PTime = l.ptime()
	if m.PTime >= 10 && m.PTime <= 60 && m.PTime%10 == 0 {
		a.PTime = m.PTime
	}
	if m.MaxPTime >= 10 && a.PTime > m.MaxPTime {
		a.PTime = m.MaxPTime / 10 * 10
	}
	return nil
}

func (l Local) ptime() int {
	if l.PTime == 0 {
		return 20
	}
	return l.PTime
}

// Offer writes our offer (RFC 3264, section 5): one audio line for each of ours,
// of which the first gives the address and version of the whole. With SRTP
// optional it offers plain RTP, since a peer that knows no SRTP would refuse the
// line; a trunk that can do SRTP should be set to required.
func Offer(ours ...Local) []byte {
	w := ours[0].head()
	for _, l := range ours {
		w.offer(l)
	}
	return []byte(w.String())
}

// offer writes one audio line.
func (w *writer) offer(l Local) {
	var codecs []Codec
	for _, name := range l.allowed() {
		if name == opusName {
			codecs = append(codecs, l.opus())
		}
		for pt, s := range static {
			if s.name == name {
				codecs = append(codecs, Codec{PT: pt, Name: name, Rate: s.rate, Channels: 1})
			}
		}
	}
	proto, keys := "RTP/AVP", []Crypto(nil)
	if l.SRTP != SRTPOptional && l.SRTP != SRTPOff {
		proto, keys = "RTP/SAVP", l.Keys
	}
	w.line("m=audio %d %s %s %d", l.Addr.Port(), proto, formats(codecs), OfferedEvent)
	for _, c := range codecs {
		w.rtpmap(c)
	}
	w.event(OfferedEvent)
	for i, k := range keys {
		k.Tag = i + 1
		w.crypto(k)
	}
	w.tail(l, l.ptime(), l.Direction)
	if l.Label != "" {
		w.line("a=label:%s", l.Label)
	}
}

// OfferedEvent is the payload type at which we offer telephone-event.
const OfferedEvent = 101

// Accept reads the answer to Offer(l). Errors wrap ErrUnacceptable.
func Accept(answer *Description, l Local) (Agreed, error) {
	fail := func(why string) (Agreed, error) { return Agreed{}, fmt.Errorf("%w: %s", ErrUnacceptable, why) }
	if len(answer.Media) != 1 {
		return fail("answer has another number of media lines than the offer")
	}
	m := &answer.Media[0]
	if m.Kind != "audio" || m.Port == 0 {
		return fail("audio refused")
	}
	want := "RTP/AVP"
	if l.SRTP != SRTPOptional && l.SRTP != SRTPOff {
		want = "RTP/SAVP"
	}
	if m.Proto != want {
		return fail("answer changed the media protocol")
	}
	if want == "RTP/SAVP" && len(m.Crypto) != 1 {
		return fail("answer must choose exactly one key")
	}
	a, crypto, err := l.take(m)
	switch {
	case errors.Is(err, ErrOpusAlone):
		return Agreed{}, err
	case err != nil:
		return fail(err.Error())
	}
	if crypto != nil {
		n := m.Crypto[0].Tag
		if n < 1 || n > len(l.Keys) || l.Keys[n-1].Suite != m.Crypto[0].Suite {
			return fail("answer took a key that was not offered")
		}
		a.LocalKey = l.Keys[n-1].Key
	}
	return a, nil
}

// AcceptEach reads the answer to Offer(ours...), line for line. A line that is
// refused is an error, as one that is missing.
func AcceptEach(answer *Description, ours ...Local) ([]Agreed, error) {
	if len(answer.Media) != len(ours) {
		return nil, fmt.Errorf("%w: answer has another number of media lines than the offer", ErrUnacceptable)
	}
	var out []Agreed
	for i, l := range ours {
		one := *answer
		one.Media = answer.Media[i : i+1]
		a, err := Accept(&one, l)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.Builder, format, args...)
	w.WriteString("\r\n")
}

// head writes the session level. The address of o= is ours: nothing of the far
// side passes through.
func (l Local) head() *writer {
	w := &writer{}
	fam := "IP4"
	if l.Addr.Addr().Unmap().Is6() {
		fam = "IP6"
	}
	w.line("v=0")
	w.line("o=- %d %d IN %s %s", l.Session, l.Version, fam, l.Addr.Addr().Unmap())
	w.line("s=-")
	w.line("c=IN %s %s", fam, l.Addr.Addr().Unmap())
	w.line("t=0 0")
	return w
}

func (w *writer) audio(l Local, proto string, a Agreed, key *Crypto) {
	codecs := l.agreed(a)
	pts := formats(codecs)
	if a.Noise {
		pts += " " + strconv.Itoa(comfortNoise)
	}
	if a.HasEvent {
		pts += " " + strconv.Itoa(int(a.Event))
	}
	w.line("m=audio %d %s %s", l.Addr.Port(), proto, pts)
	for _, c := range codecs {
		w.rtpmap(c)
	}
	if a.HasEvent {
		w.event(a.Event)
	}
	if key != nil {
		w.crypto(*key)
	}
	if a.RTCPMux {
		w.line("a=rtcp-mux")
	}
	w.tail(l, a.PTime, a.Direction)
}

// agreed are the codecs of an answer in our order.
func (l Local) agreed(a Agreed) []Codec {
	if a.Opus == 0 {
		return []Codec{a.Codec}
	}
	l.OpusType = a.Opus
	if slices.Index(l.allowed(), opusName) < slices.Index(l.allowed(), a.Codec.Name) {
		return []Codec{l.opus(), a.Codec}
	}
	return []Codec{a.Codec, l.opus()}
}

func (l Local) opus() Codec {
	pt := l.OpusType
	if pt == 0 {
		pt = offeredOpus
	}
	return Codec{PT: pt, Name: opusName, Rate: opusRate, Channels: 2}
}

// formats are the payload types as the media line lists them.
func formats(codecs []Codec) string {
	pts := make([]string, 0, len(codecs))
	for _, c := range codecs {
		pts = append(pts, strconv.Itoa(int(c.PT)))
	}
	return strings.Join(pts, " ")
}

func (w *writer) rtpmap(c Codec) {
	if c.Name == opusName {
		w.line("a=rtpmap:%d opus/%d/%d", c.PT, c.Rate, c.Channels)
		return
	}
	w.line("a=rtpmap:%d %s/%d", c.PT, c.Name, c.Rate)
}

func (w *writer) event(pt uint8) {
	w.line("a=rtpmap:%d telephone-event/8000", pt)
	w.line("a=fmtp:%d 0-15", pt) // 0–9 * # A–D, RFC 4733, section 2.3
}

func (w *writer) crypto(k Crypto) {
	w.line("a=crypto:%d %s inline:%s", k.Tag, k.Suite, base64.StdEncoding.EncodeToString(k.Key))
}

func (w *writer) tail(l Local, ptime int, d Direction) {
	w.line("a=ptime:%d", ptime)
	if l.RTCPPort != 0 && l.RTCPPort != l.Addr.Port()+1 {
		w.line("a=rtcp:%d", l.RTCPPort)
	}
	if d == "" {
		d = SendRecv
	}
	w.line("a=%s", d)
}
