package b2bua

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// pingTime bounds one OPTIONS.
const pingTime = 5 * time.Second

// attend starts what keeps a trunk usable: its addresses, their health, our
// binding. Each ends with the UA.
func (u *UA) attend(s *side, t *Trunk) {
	if t.named != nil {
		u.goOwned("trunk addresses", func() { u.locates(t) })
	}
	if t.Ping > 0 && t.Outbound {
		u.goOwned("trunk health", func() { s.watch(t) })
	}
	if t.Register != nil {
		b := newBinding(s, t)
		u.mu.Lock()
		u.bindings[t] = b
		u.mu.Unlock()
		u.goOwned("registration", b.run)
	}
}

// watch asks a trunk's addresses again and again whether they take calls, until
// the UA closes.
func (s *side) watch(t *Trunk) {
	tick := time.NewTicker(t.Ping)
	defer tick.Stop()
	for {
		for _, at := range t.targets() {
			up := s.ping(at)
			s.u.mu.Lock()
			was := s.u.down[at]
			s.u.down[at] = !up
			s.u.mu.Unlock()
			if was == up {
				s.u.log.Warn("trunk address changed", "trunk", t.Name, "address", at, "takes calls", up)
			}
		}
		select {
		case <-tick.C:
		case <-s.u.ctx.Done():
			return
		}
	}
}

// ping sends OPTIONS (RFC 3261, section 11). Any answer but 503 and 408 shows a
// SIP server that takes calls, a refusal of the method included.
func (s *side) ping(at netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(s.u.ctx, pingTime)
	defer cancel()
	to := &sip.ToHeader{Address: sip.Uri{Scheme: "sip", Host: at.Addr().String(), Port: int(at.Port())}}
	from := &sip.FromHeader{Address: s.uri(s.u.cfg.Name), Params: sip.NewParams()}
	from.Params.Add("tag", sip.GenerateTagN(16))
	id := sip.CallIDHeader(ringfence.NewID[string]("o")[2:])
	forwards := sip.MaxForwardsHeader(70)
	req := sip.NewRequest(sip.OPTIONS, to.Address)
	for _, h := range []sip.Header{s.via(), from, to, &id, &sip.CSeqHeader{SeqNo: 1, MethodName: sip.OPTIONS}, &forwards, s.contact(),
		sip.NewHeader("Accept", "application/sdp")} {
		req.AppendHeader(h)
	}
	req.SetBody(nil)
	res, err := s.exchange(ctx, req, at)
	return err == nil && res.StatusCode != 503 && res.StatusCode != 408
}

// via is the Via of a request that the stack does not build.
func (s *side) via() *sip.ViaHeader {
	v := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: sip.NetworkToUpper(s.l.Transport),
		Host: s.ext.Addr().String(), Port: int(s.ext.Port()), Params: sip.NewParams()}
	v.Params.Add("branch", sip.GenerateBranchN(16))
	v.Params.Add("rport", "")
	return v
}

// healthy puts the addresses that took no calls when last asked behind the
// others; none is left out, since the answer may be old.
func (u *UA) healthy(addrs []netip.AddrPort) []netip.AddrPort {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int {
		switch {
		case u.down[a] == u.down[b]:
			return 0
		case u.down[a]:
			return 1
		default:
			return -1
		}
	})
	return out
}
