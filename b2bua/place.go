package b2bua

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// Bounds on ringing.
const (
	defaultRing = 30 * time.Second
	maxRing     = 3 * time.Minute
)

// Place sends an INVITE and returns at once; the leg's events tell what comes of
// it. The end of ctx hangs the leg up. Its error says why nothing was sent.
func (u *UA) Place(ctx context.Context, p ringfence.Placement) (*Leg, error) {
	return u.PlaceWith(ctx, p)
}

// PlaceWith is Place with further header fields, as name and value. It is for
// peers that play a carrier; the engine's own INVITEs are built by Place alone.
func (u *UA) PlaceWith(ctx context.Context, p ringfence.Placement, headers ...[2]string) (*Leg, error) {
	return u.place(ctx, p, headers, nil)
}

func (u *UA) place(ctx context.Context, p ringfence.Placement, headers [][2]string, rec *Recorder) (*Leg, error) {
	if p.Ring == 0 {
		p.Ring = defaultRing
	}
	if p.Ring < 0 || p.Ring > maxRing {
		return nil, fmt.Errorf("sip: place: ring for %v: at most %v", p.Ring, maxRing)
	}
	if strings.HasPrefix(p.To, BrowserPlace) && rec == nil {
		return u.placeBrowser(ctx, p)
	}
	trunk, user, addrs, err := u.route(p)
	if err != nil {
		return nil, err
	}
	s := u.sideFor(trunk)
	if s == nil {
		return nil, fmt.Errorf("sip: place: no %s listener for trunk %s", trunk.Transport, trunk.Name)
	}
	o := &outbound{p: p, trunk: trunk, user: user, tag: ringfence.NewID[string]("t")[2:], callID: ringfence.NewID[string]("c")[2:]}
	if o.headers, err = o.extra(trunk.TrustIdentity, headers); err != nil {
		return nil, err
	}
	info := ringfence.LegInfo{ID: p.Leg, Direction: ringfence.Outbound, Trunk: trunk.Name, Listener: s.l.Name, Transport: s.l.Transport,
		Source: addrs[0], TrustedIDs: trunk.TrustIdentity, Called: user, RequestURI: o.uri(s, addrs[0]).String(), UUI: p.UUI,
		CallID: o.callID, ReceivedAt: time.Now(), Emergency: p.Purpose == "emergency"}
	asks := claim{trunk: trunk, need: u.needOf(p, rec != nil)}
	u.mu.Lock()
	parent, running := u.ctx, u.started && !u.closed && (!u.draining || asks.need != needCall || info.Emergency)
	_, taken := u.legs[p.Leg]
	u.mu.Unlock()
	if !running {
		return nil, ErrDraining
	}
	if taken {
		return nil, errors.New("sip: place: leg identifier in use")
	}
	l, err := s.newLeg(trunk, info, parent)
	if err != nil {
		return nil, err
	}
	l.call, o.l, l.claim = o, l, asks
	l.parties, l.theirUser = []string{user}, user
	if !u.hasOpus(p.Beside) {
		l.withoutOpus() // nobody could hear it untouched
	}
	if rec != nil {
		if err := l.recordTo(rec); err != nil {
			l.media.Close()
			l.cancel(ErrEnded)
			return nil, err
		}
	}
	if err := u.enter(l, "", ""); err != nil {
		l.media.Close()
		if rec != nil {
			l.rec.second.Close()
		}
		l.cancel(ErrEnded)
		return nil, err
	}
	u.register(l, o.callID, o.tag)
	l.start()
	l.endWith(ctx, ringfence.EndHangup)
	o.left.Store(2)
	u.goOwned("placement", func() {
		defer o.leave()
		o.run(addrs)
	})
	return l, nil
}

// route finds the trunk, the user part and the addresses of a placement. A URI
// must name an address of a trunk; what a caller said never gets here.
func (u *UA) route(p ringfence.Placement) (*Trunk, string, []netip.AddrPort, error) {
	var trunk *Trunk
	for i := range u.cfg.Trunks {
		if t := &u.cfg.Trunks[i]; t.Name == p.Trunk {
			trunk = t
		}
	}
	if p.Trunk != "" && (trunk == nil || !trunk.Outbound) {
		return nil, "", nil, fmt.Errorf("sip: place: trunk %q takes no outbound calls", p.Trunk)
	}
	if !strings.Contains(p.To, ":") {
		if trunk == nil || len(trunk.targets()) == 0 || !isUser(p.To) {
			return nil, "", nil, errors.New("sip: place: a number needs a trunk with an address")
		}
		user := p.To
		if !trunk.Bare && len(user) >= 7 && strings.Trim(user, "0123456789") == "" {
			user = "+" + user
		}
		return trunk, user, u.healthy(trunk.targets()), nil
	}
	uri := strings.TrimSuffix(strings.TrimPrefix(p.To, "<"), ">")
	if err := checkSIPURI(uri); err != nil || !strings.HasPrefix(uri, "sip:") || strings.Contains(uri, "?") {
		return nil, "", nil, errors.New("sip: place: not a SIP URI")
	}
	user, host, ok := strings.Cut(strings.TrimPrefix(uri, "sip:"), "@")
	if !ok {
		user, host = "", user
	}
	host, params, _ := strings.Cut(host, ";")
	transport := ""
	for _, kv := range strings.Split(params, ";") {
		if v, ok := strings.CutPrefix(strings.ToLower(kv), "transport="); ok {
			transport = v
		}
	}
	port := defaultPort(transport)
	at, err := addrPort(host, port)
	if err != nil {
		return nil, "", nil, errors.New("sip: place: host must be an IP address")
	}
	for i := range u.cfg.Trunks {
		t := &u.cfg.Trunks[i]
		if (trunk == nil || t == trunk) && t.Outbound && t.owns(at.Addr()) && (transport == "" || transport == t.Transport) {
			return t, user, []netip.AddrPort{at}, nil
		}
	}
	return nil, "", nil, fmt.Errorf("sip: place: %s is no trunk's address", at)
}

// sideFor returns the side by which t is reached.
func (u *UA) sideFor(t *Trunk) *side {
	for _, s := range u.sides {
		for _, have := range s.trunks {
			if have == t {
				return s
			}
		}
	}
	return nil
}

// isNumber reports whether a user part is a number in E.164, with or without
// its plus sign.
func isNumber(user string) bool {
	digits := strings.TrimPrefix(user, "+")
	return len(digits) >= 3 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}

// extra are the header fields that only some INVITEs have. share says that the
// trunk is one with which identities are shared (RFC 3325).
func (o *outbound) extra(share bool, headers [][2]string) ([]sip.Header, error) {
	var out []sip.Header
	add := func(name, v string) error {
		if !isToken(name) || v == "" || hasControl(v) || len(v) > maxFieldBytes {
			return fmt.Errorf("sip: place: bad header field %q", name)
		}
		out = append(out, sip.NewHeader(name, v))
		return nil
	}
	for _, id := range o.p.Identity {
		if err := add("Identity", id); err != nil {
			return nil, err
		}
	}
	switch v := o.p.Verstat; {
	case v == "":
	case v != "TN-Validation-Passed" && v != "TN-Validation-Failed" && v != "No-TN-Validation":
		return nil, errors.New("sip: place: no such verstat")
	case share && isNumber(o.p.From):
		if err := add("P-Asserted-Identity", "<tel:+"+strings.TrimPrefix(o.p.From, "+")+";verstat="+v+">"); err != nil {
			return nil, err
		}
	}
	if hasControl(o.p.UUI) {
		return nil, errors.New("sip: place: control character in the User-to-User value")
	}
	if o.p.UUI != "" {
		if err := add("User-to-User", userToUser(o.p.UUI)); err != nil {
			return nil, err
		}
	}
	if o.p.Replaces != "" {
		if !isReplaces(o.p.Replaces) {
			return nil, errors.New("sip: place: bad Replaces value")
		}
		out = append(out, sip.NewHeader("Replaces", o.p.Replaces), sip.NewHeader("Require", "replaces"))
	}
	dated := false
	for _, h := range headers {
		dated = dated || strings.EqualFold(h[0], "Date")
		if err := add(h[0], h[1]); err != nil {
			return nil, err
		}
	}
	if !dated {
		out = append(out, sip.NewHeader("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	}
	return out, nil
}

// userToUser is a reference as RFC 7433, section 4.1, has it. A value that names
// its encoding goes as it is.
func userToUser(v string) string {
	if strings.Contains(v, ";") {
		return v
	}
	return hex.EncodeToString([]byte(v)) + ";encoding=hex"
}

func (o *outbound) uri(s *side, at netip.AddrPort) *sip.Uri {
	u := &sip.Uri{Scheme: "sip", User: o.user}
	u.Host, u.Port = o.domain(at)
	if s.l.Transport != "udp" {
		u.UriParams = sip.NewParams()
		u.UriParams.Add("transport", s.l.Transport)
	}
	return u
}
