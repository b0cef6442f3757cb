package b2bua

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/sdp"
)

// ErrEnded is returned by the methods of a leg that is over.
var ErrEnded = errors.New("sip: leg has ended")

// ErrAnswered is returned where a leg must not have been answered yet.
var ErrAnswered = errors.New("sip: leg is answered")

// Leg is one SIP dialog with its media. Its methods may be called from any
// goroutine. A leg is over when LegEnded was sent; what its methods do after
// that is nothing.
type Leg struct {
	u     *UA
	s     *side
	trunk *Trunk
	info  ringfence.LegInfo
	peer  netip.AddrPort // where requests of the dialog go by default
	media *rtp.Session
	local sdp.Local // our side of offer and answer; Version guarded by mu
	call  signalling
	rec   *recorderLeg // what a leg to a recorder has beside others; else nil

	claim    claim       // on the caps; set before it enters
	reserved bool        // its place is one of the reserve; guarded by UA.mu
	stays    atomic.Bool // when its handler has returned

	mail    mail
	ctx     context.Context // ends with the leg
	cancel  context.CancelCauseFunc
	settled chan struct{} // closed when no message of the dialog is owed any more
	acked   chan struct{} // closed when the INVITE's 2xx was acknowledged, by them or by us
	ackOnce sync.Once

	dialogKey string        // guarded by UA.mu
	vacated   bool          // guarded by UA.mu
	byes      atomic.Bool   // a BYE of ours is out
	pracks    atomic.Uint32 // PRACKs of ours, which the stack does not count

	mu         sync.Mutex // guards everything below
	agreed     sdp.Agreed
	hasMedia   bool // agreed is set
	firm       bool // and a change of it is one of the far end
	answered   bool
	ended      bool
	cause      ringfence.EndCause
	code       int
	offered    bool // our last description was an offer that awaits an answer
	origin     string
	theirTag   string
	theirSeq   uint32            // highest CSeq of the far end's requests
	parties    []string          // whom the far end's network says is there, so far
	theirUser  string            // of the far end's address in the dialog so far
	contact    *sip.Uri          // the far end's newest; nil = as in the INVITE or its 2xx
	lastAck    *sip.Request      // of our latest re-INVITE
	reAck      chan *sip.Request // awaits the ACK of a re-INVITE; nil = none
	pending    chan struct{}     // open while an offer of ours or theirs is under way; nil = none
	timers     []*time.Timer
	unbound    func() bool           // undoes endWith; nil = not called
	traversal  ringfence.TraversalID // whose leg it is
	answeredAt time.Time
	session    sessionTimer
	transfer   *transfer // that the far end asked for and that is not over; nil = none
	referred   bool      // it has asked before
}

// signalling is what differs between a leg that came and one that we placed.
type signalling interface {
	// end does what is owed when the leg is over and closes settled.
	end(cause ringfence.EndCause)
	// bye takes the far end's BYE.
	bye(req *sip.Request, tx sip.ServerTransaction)
	// do sends a request inside the dialog and returns its final response.
	do(ctx context.Context, req *sip.Request) (*sip.Response, error)
	// write sends a request that has no transaction: the ACK of a re-INVITE.
	write(req *sip.Request) error
	// target is the Request-URI of a request inside the dialog.
	target() sip.Uri
}

func (s *side) newLeg(t *Trunk, info ringfence.LegInfo, parent context.Context) (*Leg, error) {
	media, err := s.u.pool.Open()
	if err != nil {
		return nil, err
	}
	if info.ID == "" {
		info.ID = ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg)
	}
	l := &Leg{u: s.u, s: s, trunk: t, info: info, peer: info.Source, media: media,
		settled: make(chan struct{}), acked: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(parent)
	at := media.LocalAddr()
	if at.Addr().IsUnspecified() || s.l.External != "" {
		at = netip.AddrPortFrom(s.ext.Addr(), at.Port())
	}
	l.local = sdp.Local{Addr: at, Codecs: t.codecs(), SRTP: sdp.SRTP(t.SRTP), Session: random(), Version: 1,
		Loopback: info.Source.Addr().IsLoopback()}
	if l.local.SRTP != sdp.SRTPOff {
		if l.local.Keys, err = newKeys(); err != nil {
			media.Close()
			return nil, err
		}
	}
	return l, nil
}

// random is an o= session id: unpredictable, and within what a signed 63-bit
// reader takes.
func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint64(b[:]) >> 2
}

// newKeys makes one key for each SRTP suite, best first (rtp.Suites).
func newKeys() ([]sdp.Crypto, error) {
	var out []sdp.Crypto
	for i, s := range rtp.Suites {
		k := sdp.Crypto{Tag: i + 1, Suite: string(s), Key: make([]byte, s.KeyLen())}
		if _, err := rand.Read(k.Key); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// ID returns the leg's identifier.
func (l *Leg) ID() ringfence.LegID { return l.info.ID }

// Info returns what the signalling says about the leg. Its slices are shared
// and not to be changed.
func (l *Leg) Info() ringfence.LegInfo { return l.info }

// Stats returns the figures of the leg's media so far.
func (l *Leg) Stats() rtp.Stats { return l.media.Stats() }

// Tap begins a copy of the leg's audio, both ways; see rtp.Tap. While the leg is
// cut it holds a marked gap.
func (l *Leg) Tap() *rtp.Tap { return l.media.Tap() }

// Play sends a clip in place of whatever plays and returns its number. LegPlayed
// follows, Whole if it was sent to its end.
func (l *Leg) Play(clip ringfence.Clip) uint64 { return l.media.Play(clip) }

// Loop sends a clip again and again, as hold music. Nil ends it.
func (l *Leg) Loop(clip ringfence.Clip) { l.media.Loop(clip) }

// Stop ends Play and Loop.
func (l *Leg) Stop() { l.media.Stop() }

// SendDigits sends digits as telephone-events. It returns false if the far end
// takes none or the text holds another character.
func (l *Leg) SendDigits(digits string) bool { return l.media.SendDigits(digits) }

// Cut closes the leg's audio off from every other leg and tap, both ways, while
// a secret is keyed or spoken, or opens it again. Prompts and digits go on
// between us and the leg.
func (l *Leg) Cut(secret bool) { l.media.Cut(secret) }

// Join relays audio both ways between this leg and peer. It ends an earlier join
// of either.
func (l *Leg) Join(peer ringfence.LegID) error {
	other := l.u.leg(peer)
	if other == nil || other == l {
		return fmt.Errorf("sip: join: no leg %s", peer)
	}
	if l.over() || other.over() {
		return ErrEnded
	}
	l.media.Part()
	other.media.Part()
	l.media.Loop(nil)
	other.media.Loop(nil)
	l.media.Join(other.media)
	return nil
}

// Part ends the join. Both legs stay up.
func (l *Leg) Part() { l.media.Part() }

// Hangup ends the leg with whatever is owed: a refusal, CANCEL or BYE. Hanging up
// twice is harmless.
func (l *Leg) Hangup(cause ringfence.EndCause) { l.finish(cause, 0) }

// Stay keeps an inbound leg when its handler returns: it lives on until Hangup or
// the far end ends it, without the goroutine that the handler ran on.
func (l *Leg) Stay() { l.stays.Store(true) }

// Context ends with the leg.
func (l *Leg) Context() context.Context { return l.ctx }

func (l *Leg) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// established reports whether the leg was answered.
func (l *Leg) established() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// finish ends the leg once: the first cause counts. The event and the end of the
// context follow at once; what is owed on the wire is sent meanwhile.
func (l *Leg) finish(cause ringfence.EndCause, code int) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended, l.cause, l.code = true, cause, code
	for _, t := range l.timers {
		t.Stop()
	}
	l.mu.Unlock()
	l.media.Close() // told by deliver as LegEnded
	if l.rec != nil {
		l.rec.second.Close()
	}
	l.u.vacate(l)
	l.u.goOwned("leg end", func() { l.call.end(cause) })
}

// after runs f when d has passed, unless the leg ends first.
func (l *Leg) after(d time.Duration, f func()) *time.Timer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	t := time.AfterFunc(d, func() {
		defer l.u.recovered("leg timer")
		f()
	})
	l.timers = append(l.timers, t)
	return t
}

// endWith hangs the leg up when ctx ends.
func (l *Leg) endWith(ctx context.Context, cause ringfence.EndCause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unbound = context.AfterFunc(ctx, func() { l.finish(cause, 0) })
}

// unbind undoes endWith: whoever placed the leg may outlive it by far.
func (l *Leg) unbind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unbound != nil {
		l.unbound()
	}
}

// ack notes that the INVITE's 2xx was acknowledged.
func (l *Leg) ack() { l.ackOnce.Do(func() { close(l.acked) }) }

// params is what was agreed as the media takes it. infoToo says that the far end
// takes INFO.
func (l *Leg) params(a sdp.Agreed, infoToo bool) rtp.Params {
	p := rtp.Params{Remote: a.Remote, RemoteRTCP: a.RemoteRTCP, RTCPMux: a.RTCPMux,
		Payloads: []rtp.Payload{{Type: a.Codec.PT, Codec: codecs[a.Codec.Name]}}, ComfortNoise: a.Noise,
		Ptime: time.Duration(a.PTime) * time.Millisecond, Direction: directions[a.Direction]}
	if a.Opus != 0 {
		p.Payloads = append(p.Payloads, rtp.Payload{Type: a.Opus, Codec: rtp.Opus})
	}
	p.Allow = append(p.Allow, l.trunk.Sources...)
	for _, at := range l.trunk.targets() {
		p.Allow = append(p.Allow, netip.PrefixFrom(at.Addr(), at.Addr().BitLen()))
	}
	switch {
	case a.HasEvent:
		p.EventType, p.Digits = a.Event, rtp.DigitsEvent
	case infoToo:
		p.Digits = rtp.DigitsInfo
	default:
		p.Digits = rtp.DigitsInband
	}
	if a.Suite != "" {
		p.SRTP = &rtp.SRTP{Suite: rtp.Suite(a.Suite), In: a.RemoteKey, Out: a.LocalKey}
	}
	return p
}

// apply gives the media what was agreed.
func (l *Leg) apply(a sdp.Agreed, origin string, infoToo bool) error {
	if err := l.media.Negotiated(l.params(a, infoToo)); err != nil {
		return err
	}
	l.mu.Lock()
	before, had, from := l.agreed, l.firm, l.origin
	l.firm = l.answered || l.info.Direction == ringfence.Inbound // early media of a placed leg may change
	l.agreed, l.hasMedia, l.origin = a, true, origin
	l.mu.Unlock()
	if had && from != origin {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
	}
	if had && before.Held() != a.Held() {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegHeld, Whole: !a.Held()})
	}
	return nil
}

// codecs are those that we speak. Opus is not among them: it is heard and
// relayed beside one of these (docs/decisions/2026-11-22-codecs.md).
var codecs = map[string]rtp.Codec{"PCMU": rtp.PCMU, "PCMA": rtp.PCMA, "G722": rtp.G722}

var directions = map[sdp.Direction]rtp.Direction{"": rtp.SendRecv, sdp.SendRecv: rtp.SendRecv, sdp.SendOnly: rtp.SendOnly,
	sdp.RecvOnly: rtp.RecvOnly, sdp.Inactive: rtp.Inactive}

// answerTo answers an offer of the far end.
func (l *Leg) answerTo(body []byte, infoToo bool) ([]byte, error) {
	d, err := sdp.Parse(body)
	if err != nil {
		return nil, err
	}
	if l.rec != nil {
		return nil, fmt.Errorf("%w: a recorder makes no offers", sdp.ErrUnacceptable)
	}
	out, agreed, err := sdp.Answer(d, l.ours())
	if err != nil {
		return nil, err
	}
	return out, l.apply(agreed, d.Origin, infoToo)
}

// accept takes the far end's answer to our offer.
func (l *Leg) accept(body []byte, infoToo bool) error {
	d, err := sdp.Parse(body)
	if err != nil {
		return err
	}
	if l.rec != nil {
		return l.acceptBoth(d)
	}
	agreed, err := sdp.Accept(d, l.ours())
	if err != nil {
		return err
	}
	return l.apply(agreed, d.Origin, infoToo)
}

// ours is our side for the next description: a new version each time, since the
// text may differ (RFC 3264, section 8).
func (l *Leg) ours() sdp.Local {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasMedia {
		l.local.Version++
	}
	return l.local
}
