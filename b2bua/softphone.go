package b2bua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/webrtc"
)

// BrowserPlace begins the place of a member of staff who takes calls in a
// browser: "browser:" and a name of theirs that is unique over all tenants.
const BrowserPlace = "browser:"

// browserTrunk stands in the record of a leg to a browser where a trunk's name
// would.
const browserTrunk = "browser"

// The refusals of Softphones.
var (
	// ErrNoBrowserCall: the user has no such call.
	ErrNoBrowserCall = errors.New("webrtc: no such call of this user")
	// ErrOffer: the browser's offer cannot be answered.
	ErrOffer = webrtc.ErrOffer
)

// Softphones are the legs that ring or talk in browsers. Their audio is that of
// any other leg; only the last metres are WebRTC.
type Softphones struct {
	u     *UA
	trunk Trunk

	mu      sync.Mutex // guards everything below
	users   map[string][]*browser
	changed chan struct{}
}

// BrowserCall is one leg as its user may see it.
type BrowserCall struct {
	Leg ringfence.LegID
	// From is the number shown, "anonymous" when there is none.
	From string
	// Reference is that of the caller's call, as Placement.UUI had it.
	Reference string
	// Live says that the call was answered; until then it rings.
	Live bool
	// Linked says that a browser is connected to it now.
	Linked bool
	// Held says that the caller hears music.
	Held  bool
	Since time.Time // when it began to ring
}

// browser is the signalling of a leg in a browser: there is none. The leg is
// answered when the browser's media is up.
type browser struct {
	l    *Leg
	p    ringfence.Placement
	user string

	linking sync.Mutex // one offer after the other

	mu   sync.Mutex // guards everything below
	link *webrtc.Link
	up   bool
	held bool
}

func newSoftphones(u *UA) *Softphones {
	return &Softphones{u: u, trunk: Trunk{Name: browserTrunk}, users: map[string][]*browser{}, changed: make(chan struct{})}
}

// Softphones returns the legs in browsers.
func (u *UA) Softphones() *Softphones { return u.soft }

// Changed returns a channel that is closed when the calls of any user may have
// changed since the call of Changed.
func (s *Softphones) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Softphones) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Calls lists a user's calls, the oldest first.
func (s *Softphones) Calls(user string) []BrowserCall {
	s.mu.Lock()
	all := slices.Clone(s.users[user])
	s.mu.Unlock()
	out := make([]BrowserCall, 0, len(all))
	for _, b := range all {
		if b.l.over() {
			continue
		}
		c := BrowserCall{Leg: b.l.info.ID, From: b.p.From, Reference: b.p.UUI, Live: b.l.established(), Since: b.l.info.ReceivedAt}
		b.mu.Lock()
		c.Linked, c.Held = b.up, b.held
		b.mu.Unlock()
		out = append(out, c)
	}
	return out
}

// find returns a user's call. Another user's is none.
func (s *Softphones) find(user string, leg ringfence.LegID) *browser {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.users[user] {
		if b.l.info.ID == leg && !b.l.over() {
			return b
		}
	}
	return nil
}

// Link answers a browser's offer for a call of its user, and takes the place of
// the browser that had it before. The first browser whose media comes up answers
// the call.
func (s *Softphones) Link(user string, leg ringfence.LegID, offer string) (string, error) {
	b := s.find(user, leg)
	if b == nil {
		return "", ErrNoBrowserCall
	}
	parsed, err := webrtc.ParseOffer(offer)
	if err != nil {
		return "", err
	}
	addrs, err := s.addrs(b.l.media.LocalAddr())
	if err != nil {
		return "", err
	}
	b.linking.Lock()
	defer b.linking.Unlock()
	b.unlink(nil)
	if !s.u.hasOpus(b.p.Beside) {
		parsed.Opus = 0 // what a carrier sends in G.711 is relayed as it is
	}
	link, answer, err := webrtc.Open(b.l.ctx, b.l.media, parsed, addrs)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	b.link = link
	b.mu.Unlock()
	if b.l.over() {
		b.unlink(link)
		return "", ErrNoBrowserCall
	}
	s.u.goOwned("softphone link", func() { b.follow(link) })
	return answer, nil
}

// HangUp ends a user's call: one that rings is declined.
func (s *Softphones) HangUp(user string, leg ringfence.LegID) error {
	b := s.find(user, leg)
	if b == nil {
		return ErrNoBrowserCall
	}
	if b.l.established() {
		b.l.finish(ringfence.EndBye, 0)
	} else {
		b.l.finish(ringfence.EndDeclined, 603)
	}
	return nil
}

// Hold puts the caller on media hold, or takes them back; LegHeld follows.
func (s *Softphones) Hold(user string, leg ringfence.LegID, on bool) error {
	b := s.find(user, leg)
	if b == nil || !b.l.established() {
		return ErrNoBrowserCall
	}
	b.mu.Lock()
	was := b.held
	b.held = on
	b.mu.Unlock()
	if was != on {
		b.l.emit(ringfence.LegEvent{Kind: ringfence.LegHeld, Whole: !on})
		s.change()
	}
	return nil
}

// placeBrowser places a leg to a browser.
func (u *UA) placeBrowser(ctx context.Context, p ringfence.Placement) (*Leg, error) {
	asks := claim{trunk: &u.soft.trunk, need: u.needOf(p, false)}
	u.mu.Lock()
	parent, running := u.ctx, u.started && !u.closed && (!u.draining || asks.need != needCall)
	_, taken := u.legs[p.Leg]
	u.mu.Unlock()
	if !running {
		return nil, ErrDraining
	}
	if taken {
		return nil, errors.New("webrtc: place: leg identifier in use")
	}
	return u.soft.place(ctx, p, parent, asks)
}

// place rings a browser. What comes of it comes as events.
func (s *Softphones) place(ctx context.Context, p ringfence.Placement, parent context.Context, asks claim) (*Leg, error) {
	user := strings.TrimPrefix(p.To, BrowserPlace)
	if user == "" || len(user) > maxFieldBytes {
		return nil, errors.New("webrtc: place: nobody is named")
	}
	media, err := s.u.pool.Open()
	if err != nil {
		return nil, err
	}
	info := ringfence.LegInfo{ID: p.Leg, Direction: ringfence.Outbound, Trunk: browserTrunk, Transport: "webrtc", UUI: p.UUI, ReceivedAt: time.Now()}
	if info.ID == "" {
		info.ID = ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg)
	}
	l := &Leg{u: s.u, trunk: &s.trunk, info: info, media: media, claim: asks,
		settled: make(chan struct{}), acked: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(parent)
	b := &browser{l: l, p: p, user: user}
	l.call = b
	if err := s.u.enter(l, "", ""); err != nil {
		media.Close()
		l.cancel(ErrEnded)
		return nil, err
	}
	s.u.register(l, string(info.ID), browserTrunk)
	s.mu.Lock()
	s.users[user] = append(s.users[user], b)
	s.mu.Unlock()
	l.start()
	l.endWith(ctx, ringfence.EndHangup)
	l.after(p.Ring, func() {
		if !l.established() {
			l.finish(ringfence.EndNoAnswer, 480)
		}
	})
	l.emit(ringfence.LegEvent{Kind: ringfence.LegRinging, Code: 180})
	s.change()
	return l, nil
}

// follow tells what becomes of a browser's connection.
func (b *browser) follow(link *webrtc.Link) {
	select {
	case <-link.Up():
		b.answered(link)
	case <-link.Done():
	}
	<-link.Done()
	b.l.u.log.Info("softphone", "leg", b.l.info.ID, "link", link.Err())
	b.unlink(link)
}

// answered notes that a browser's media is up.
func (b *browser) answered(link *webrtc.Link) {
	b.mu.Lock()
	b.up = b.link == link
	ok := b.up
	b.mu.Unlock()
	if !ok {
		return
	}
	l := b.l
	l.mu.Lock()
	first := !l.answered
	l.answered = true
	l.mu.Unlock()
	l.ack()
	if first {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegAnswered})
		l.limit()
	}
	l.u.soft.change()
}

// unlink closes the browser's connection, or only link when it is still the one.
func (b *browser) unlink(link *webrtc.Link) {
	b.mu.Lock()
	old := b.link
	if link != nil && old != link {
		b.mu.Unlock()
		link.Close()
		return
	}
	b.link, b.up = nil, false
	b.mu.Unlock()
	if old != nil {
		old.Close()
	}
	b.l.u.soft.change()
}

// end implements signalling.
func (b *browser) end(ringfence.EndCause) {
	defer b.l.u.leave(b.l, "")
	defer close(b.l.settled)
	s := b.l.u.soft
	s.mu.Lock()
	s.users[b.user] = slices.DeleteFunc(s.users[b.user], func(x *browser) bool { return x == b })
	if len(s.users[b.user]) == 0 {
		delete(s.users, b.user)
	}
	s.mu.Unlock()
	b.unlink(nil)
}

// errNoDialog refuses what only SIP has.
var errNoDialog = errors.New("webrtc: a browser has no SIP dialog")

func (b *browser) bye(*sip.Request, sip.ServerTransaction) {}

func (b *browser) do(context.Context, *sip.Request) (*sip.Response, error) { return nil, errNoDialog }

func (b *browser) write(*sip.Request) error { return errNoDialog }

func (b *browser) target() sip.Uri { return sip.Uri{} }

// maxCandidates bounds how many addresses of ours a browser is told.
const maxCandidates = 8

// addrs are the addresses under which browsers reach a socket of ours: the
// configured ones, else the one it is bound to, else those of this machine.
func (s *Softphones) addrs(local netip.AddrPort) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, a := range s.u.cfg.BrowserAddrs {
		if a.Is4() == local.Addr().Is4() {
			out = append(out, netip.AddrPortFrom(a, local.Port()))
		}
	}
	if !local.Addr().IsUnspecified() {
		out = append(out, local)
	} else if len(out) == 0 {
		out = interfaces(local)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("webrtc: no address of this machine to tell a browser: set media.external")
	}
	return out[:min(len(out), maxCandidates)], nil
}

// interfaces are the addresses of this machine, loopback last.
func interfaces(local netip.AddrPort) []netip.AddrPort {
	var out, loop []netip.AddrPort
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if ip = ip.Unmap(); !ok || ip.Is4() != local.Addr().Is4() || ip.IsLinkLocalUnicast() {
			continue
		}
		if ip.IsLoopback() {
			loop = append(loop, netip.AddrPortFrom(ip, local.Port()))
		} else {
			out = append(out, netip.AddrPortFrom(ip, local.Port()))
		}
	}
	return append(out, loop...)
}
