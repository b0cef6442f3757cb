package b2bua

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// outbound is the signalling of a leg that we placed.
type outbound struct {
	l       *Leg
	trunk   *Trunk
	p       ringfence.Placement
	headers []sip.Header // beyond those of every INVITE
	user    string       // of the Request-URI
	tag     string       // ours
	callID  string
	byeOnce sync.Once
	minSE   time.Duration // of a 422; owned by run
	tries   uint32        // INVITEs sent; owned by run
	left    atomic.Int32  // of run and end, those that are not done

	mu      sync.Mutex // guards everything below
	cd      *diago.DialogClientSession
	invite  *sip.Request // as sent last
	tx      sip.ClientTransaction
	heard   bool              // a provisional response came
	giveUp  bool              // the leg is over: CANCEL as soon as allowed, BYE if too late
	cancels bool              // CANCEL was sent
	final   bool              // the INVITE has its final response
	rseqs   map[string]uint32 // of the last reliable response, by To tag
}

// run tries the addresses in turn until one gives a final response.
func (o *outbound) run(addrs []netip.AddrPort) {
	l := o.l
	l.after(o.p.Ring, func() {
		if !l.established() {
			l.finish(ringfence.EndNoAnswer, 0)
		}
	})
	for i, at := range addrs {
		l.mu.Lock()
		l.peer = at
		l.mu.Unlock()
		if !o.attempt(at, i+1 < len(addrs)) {
			return
		}
	}
}

// attempt calls one address. It returns true when the next should be tried: this
// one could not be reached or has no room (RFC 3263, section 4.3).
func (o *outbound) attempt(at netip.AddrPort, more bool) bool {
	l := o.l
	cd, err := l.s.dg.NewDialog(*o.uri(l.s, at), diago.NewDialogOptions{TransportID: transportID})
	if err != nil {
		l.finish(ringfence.EndFailed, 0)
		return false
	}
	o.build(cd.InviteRequest)
	o.mu.Lock()
	if o.giveUp {
		o.mu.Unlock()
		return false
	}
	o.cd, o.heard, o.final, o.tx = cd, false, false, nil
	o.mu.Unlock()
	ctx := context.WithoutCancel(l.ctx) // what is owed after CANCEL is waited for; the stack's end ends it
	err = cd.DialogClientSession.Invite(ctx)
	if err == nil {
		err = o.await(ctx, cd)
	}
	o.mu.Lock()
	o.final = true
	over, tx := o.giveUp, o.tx
	o.mu.Unlock()
	if err == nil {
		o.answered(ctx, cd)
		return false
	}
	if tx != nil {
		tx.Terminate()
	}
	_ = cd.Close()
	var refused *sipgo.ErrDialogResponse
	if !errors.As(err, &refused) {
		l.u.log.Info("trunk not reached", "leg", l.info.ID, "trunk", l.info.Trunk, "error", err)
		if more && !over {
			return true
		}
		l.finish(ringfence.EndFailed, 408)
		return false
	}
	if more && !over && refused.Res.StatusCode == 503 {
		return true
	}
	if o.longer(refused.Res) && !over {
		return o.attempt(at, more)
	}
	o.refused(refused.Res)
	return false
}

// longer takes the session interval that a 422 asks for (RFC 4028, section 7.4).
// It reports whether the INVITE should be sent again, which is once.
func (o *outbound) longer(res *sip.Response) bool {
	d, _, ok := sessionExpires(value(res, "Min-SE"))
	if res.StatusCode != 422 || !ok || o.minSE != 0 || d <= 0 || d > 24*time.Hour {
		return false
	}
	o.minSE = d
	return true
}

// build fills in the INVITE. Nothing in it comes from another leg.
func (o *outbound) build(req *sip.Request) {
	l := o.l
	from := &sip.FromHeader{DisplayName: displayText(o.p.Name), Address: l.s.uri(o.from()), Params: sip.NewParams()}
	from.Address.Port, from.Address.UriParams = 0, nil
	if l.trunk.Host != "" {
		from.Address.Host, _ = l.trunk.host(l.peer)
	}
	from.Params.Add("tag", o.tag)
	if o.p.Verstat != "" && isNumber(from.Address.User) {
		from.Address.User += ";verstat=" + o.p.Verstat // 3GPP TS 24.229, section 7.2A.20
	}
	to := &sip.ToHeader{Address: *req.Recipient.Clone()}
	to.Address.UriParams = nil
	id := sip.CallIDHeader(o.callID)
	o.tries++
	req.AppendHeader(&sip.CSeqHeader{SeqNo: o.tries * 16, MethodName: sip.INVITE}) // a digest try adds one
	for _, h := range []sip.Header{from, to, &id, l.s.contact(), l.allow(),
		sip.NewHeader("Supported", "timer, 100rel, histinfo, uui"), sip.NewHeader("Session-Expires", seconds(max(l.u.cfg.Limits.Session, o.minSE))),
		sip.NewHeader("Min-SE", seconds(max(l.u.cfg.Limits.MinSession, o.minSE))), sip.NewHeader("Accept", "application/sdp")} {
		req.AppendHeader(h)
	}
	if l.trunk.Proxy {
		req.AppendHeader(l.s.route(l.peer))
	}
	for _, h := range o.headers {
		req.AppendHeader(h)
	}
	if l.trunk.DelayedOffer {
		req.SetBody(nil)
		return
	}
	l.setOffer(req)
	if o.p.Location != nil {
		setLocation(req, o.p.Location)
	}
}

// domain is the host of the Request-URI: the trunk's domain for a number, the
// address itself for a place of its own.
func (o *outbound) domain(at netip.AddrPort) (string, int) {
	if strings.Contains(o.p.To, ":") {
		return at.Addr().String(), int(at.Port())
	}
	return o.trunk.host(at)
}

// route is the route through an outbound proxy (RFC 3261, section 8.1.2).
func (s *side) route(at netip.AddrPort) sip.Header {
	v := "<sip:" + at.String()
	if s.l.Transport != "udp" {
		v += ";transport=" + s.l.Transport
	}
	return sip.NewHeader("Route", v+";lr>")
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func (o *outbound) from() string {
	switch {
	case isUser(o.p.From):
		return o.p.From
	case o.l.trunk.From != "":
		return o.l.trunk.From
	default:
		return o.l.u.cfg.Name
	}
}

// displayText is name without what would end a quoted string.
func displayText(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '"' || r == '\\' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, name)
}

// await reads responses until the final one. The stack gives up after eleven
// responses; a phone that rings long sends more, so it is asked again.
func (o *outbound) await(ctx context.Context, cd *diago.DialogClientSession) error {
	opts := sipgo.AnswerOptions{OnResponse: o.response, Username: o.l.trunk.Username, Password: o.l.trunk.Password}
	for {
		err := cd.DialogClientSession.WaitAnswer(ctx, opts)
		if err == nil {
			return nil
		}
		var refused *sipgo.ErrDialogResponse
		if errors.As(err, &refused) || errors.Is(err, errDigest) || o.dead() || cd.InviteResponse == nil || !cd.InviteResponse.IsProvisional() {
			return err
		}
	}
}

// dead reports whether the transaction is over.
func (o *outbound) dead() bool {
	o.mu.Lock()
	tx := o.tx
	o.mu.Unlock()
	if tx == nil {
		return true
	}
	select {
	case <-tx.Done():
		return true
	default:
		return false
	}
}

// response sees every response before the stack acts on it.
func (o *outbound) response(res *sip.Response) error {
	l := o.l
	if diverted(res) || o.p.Contact && res.StatusCode < 300 && l.trunk.elsewhere(o.user, res) {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegDiverted, Code: res.StatusCode})
		if o.p.Contact {
			l.finish(ringfence.EndDiverted, res.StatusCode)
		}
	}
	switch {
	case challenged(res):
		if l.trunk.Password != "" {
			c := l.trunk.challenge(res)
			if c == nil {
				return errDigest
			}
			keep(res, c)
		}
	case res.IsProvisional() && res.StatusCode > 100:
		if !o.early(res) {
			return nil
		}
		l.emit(ringfence.LegEvent{Kind: ringfence.LegRinging, Code: res.StatusCode})
		fallthrough
	case res.IsProvisional():
		o.mu.Lock()
		o.heard = true
		due := o.giveUp && !o.cancels
		o.cancels = o.cancels || due
		o.mu.Unlock()
		if due {
			l.u.goOwned("cancel", o.cancel)
		}
	}
	return nil
}

// early takes a provisional response and acknowledges it where it wants that. It
// reports false for one that says nothing new.
func (o *outbound) early(res *sip.Response) bool {
	l := o.l
	rseq := rseqOf(res)
	if rseq != 0 && !o.fresh(res, rseq) {
		return false
	}
	var body []byte
	if len(res.Body()) > 0 && !o.p.Contact {
		// Early media (RFC 3960). A bad description is judged with the 2xx.
		if !l.trunk.DelayedOffer {
			_ = l.accept(res.Body(), hasToken(res, "Allow", "INFO"))
		} else if rseq != 0 {
			body, _ = o.agree(res)
		}
	}
	if rseq != 0 {
		l.u.goOwned("prack", func() { o.prack(res, rseq, body) })
	}
	return true
}

// agree takes the far end's description: an answer to our offer or, where we made
// none, an offer, whose answer it returns.
func (o *outbound) agree(res *sip.Response) (body []byte, err error) {
	l := o.l
	takesInfo := hasToken(res, "Allow", "INFO")
	if !l.trunk.DelayedOffer {
		return nil, l.accept(res.Body(), takesInfo)
	}
	l.mu.Lock()
	agreed := l.hasMedia
	l.mu.Unlock()
	if agreed {
		return nil, nil // in a reliable provisional response and its PRACK
	}
	return l.answerTo(res.Body(), takesInfo)
}

// ack acknowledges the 2xx, with our answer if it carried an offer.
func (o *outbound) ack(ctx context.Context, cd *diago.DialogClientSession, body []byte) error {
	if body == nil {
		return cd.DialogClientSession.Ack(ctx)
	}
	target := cd.InviteRequest.Recipient
	if c := cd.InviteResponse.Contact(); c != nil {
		target = c.Address
	}
	req := sip.NewRequest(sip.ACK, *target.Clone())
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(body)
	return cd.DialogClientSession.WriteAck(ctx, req)
}

// diverted reports any sign that the call goes to somebody else: 181, a
// redirection, History-Info or Diversion.
func diverted(res *sip.Response) bool {
	if res.StatusCode == 181 || res.IsRedirection() {
		return true
	}
	return res.StatusCode < 300 && (value(res, "Diversion") != "" || len(values(res, "History-Info")) > 1)
}

// answered takes the 2xx.
func (o *outbound) answered(ctx context.Context, cd *diago.DialogClientSession) {
	l := o.l
	res := cd.InviteResponse
	l.mu.Lock()
	l.theirTag = res.To().Params.GetOr("tag", "")
	l.knowsLocked(res, o.user)
	l.session.response(res, l.u.cfg.Limits)
	l.answered = true
	ended := l.ended
	l.mu.Unlock()
	var bad error
	var body []byte
	if !ended {
		body, bad = o.agree(res)
	}
	err := o.ack(ctx, cd, body)
	l.ack()
	if err == nil && bad != nil {
		bad = l.speakable(ctx, bad)
	}
	switch {
	case bad != nil:
		l.u.log.Info("answer refused", "leg", l.info.ID, "trunk", l.info.Trunk, "error", bad)
		l.finish(ringfence.EndFailed, 488)
	case err != nil:
		l.finish(ringfence.EndFailed, 0)
	case ended: // CANCEL came too late
		o.hangUp(cd)
	default:
		context.AfterFunc(cd.Context(), func() { l.finish(ringfence.EndBye, 0) })
		l.emit(ringfence.LegEvent{Kind: ringfence.LegAnswered})
		l.limit()
	}
}

// refused takes a final response that is no success.
func (o *outbound) refused(res *sip.Response) {
	cause := ringfence.EndDeclined
	switch code := res.StatusCode; {
	case res.IsRedirection():
		cause = ringfence.EndDiverted
	case code == 486 || code == 600:
		cause = ringfence.EndBusy
	case code == 408 || code == 480 || code == 487:
		cause = ringfence.EndNoAnswer
	case code >= 500 && code < 600:
		cause = ringfence.EndFailed
	}
	o.l.finish(cause, res.StatusCode)
}

// sent is called by egress after each INVITE.
func (l *Leg) sent(req *sip.Request, tx sip.ClientTransaction) {
	o, ok := l.call.(*outbound)
	if !ok || l.established() {
		return
	}
	o.mu.Lock()
	o.invite, o.tx = req.Clone(), tx
	o.mu.Unlock()
	tx.OnRetransmission(func(res *sip.Response) {
		// A 2xx with another tag is another phone that a proxy rang (RFC 3261,
		// section 13.2.2.4). The stack calls this under its lock.
		if l.otherFork(res) {
			l.u.goLoose("fork", func() { o.drop(res) })
		}
	})
}

func (l *Leg) otherFork(res *sip.Response) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return res.IsSuccess() && l.theirTag != "" && res.To() != nil && res.To().Params.GetOr("tag", "") != l.theirTag
}

// drop acknowledges and ends a dialog that we do not want.
func (o *outbound) drop(res *sip.Response) {
	o.mu.Lock()
	invite := o.invite
	o.mu.Unlock()
	target := invite.Recipient
	if c := res.Contact(); c != nil {
		target = c.Address
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.l.ctx), byeTimeout())
	defer cancel()
	ack := o.inDialog(sip.ACK, target, invite, res, 0)
	if _, err := (*egress)(o.l.s).Request(ctx, ack); err != nil {
		return
	}
	tx, err := (*egress)(o.l.s).Request(ctx, o.inDialog(sip.BYE, target, invite, res, 1))
	if err == nil {
		awaitFinal(ctx, tx)
	}
}

// inDialog builds a request in the dialog that res began.
func (o *outbound) inDialog(method sip.RequestMethod, target sip.Uri, invite *sip.Request, res *sip.Response, later uint32) *sip.Request {
	req := sip.NewRequest(method, *target.Clone())
	forwards := sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{o.l.s.via(), sip.HeaderClone(invite.From()), sip.HeaderClone(res.To()), sip.HeaderClone(invite.CallID()),
		&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo + later, MethodName: method}, &forwards} {
		req.AppendHeader(h)
	}
	routes := values(res, "Record-Route")
	for i := len(routes) - 1; i >= 0; i-- {
		req.AppendHeader(sip.NewHeader("Route", routes[i]))
	}
	req.SetBody(nil)
	return req
}

func awaitFinal(ctx context.Context, tx sip.ClientTransaction) {
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return
			}
		case <-tx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// cancel sends CANCEL for the INVITE as sent last (RFC 3261, section 9.1), and
// lets go of an INVITE that gets no final response in 64 × T1 after it.
func (o *outbound) cancel() {
	o.mu.Lock()
	invite, tx := o.invite, o.tx
	o.mu.Unlock()
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	forwards := sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{invite.Via().Clone(), sip.HeaderClone(invite.From()), sip.HeaderClone(invite.To()),
		sip.HeaderClone(invite.CallID()), &sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL}, &forwards} {
		req.AppendHeader(h)
	}
	sip.CopyHeaders("Route", invite, req)
	req.SetBody(nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.l.ctx), ackTime())
	defer cancel()
	if cancelTx, err := (*egress)(o.l.s).Request(ctx, req); err == nil {
		awaitFinal(ctx, cancelTx)
	}
	select {
	case <-tx.Done():
	case <-ctx.Done():
		tx.Terminate()
	}
}

// leave gives the leg back once it is over and nothing of it is under way: run
// and end each call it.
func (o *outbound) leave() {
	if o.left.Add(-1) == 0 {
		o.l.u.leave(o.l, "")
	}
}

// end is called once the leg is over.
func (o *outbound) end(ringfence.EndCause) {
	defer o.leave()
	defer close(o.l.settled)
	o.mu.Lock()
	o.giveUp = true
	due := o.heard && !o.final && !o.cancels
	o.cancels = o.cancels || due
	cd := o.cd
	o.mu.Unlock()
	if due {
		o.cancel()
		return
	}
	if cd != nil && o.l.established() {
		o.hangUp(cd)
	}
}

// hangUp sends BYE once.
func (o *outbound) hangUp(cd *diago.DialogClientSession) {
	o.byeOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(o.l.ctx), byeTimeout())
		defer cancel()
		select {
		case <-o.l.acked:
		case <-ctx.Done():
			return
		}
		o.l.transferTold()
		o.l.byeAgain(ctx, cd.DialogClientSession.WriteBye(ctx, sip.NewRequest(sip.BYE, o.target())))
		_ = cd.Close()
	})
}

func (o *outbound) session() *diago.DialogClientSession {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cd
}

func (o *outbound) bye(req *sip.Request, tx sip.ServerTransaction) {
	_ = o.session().DialogClientSession.ReadBye(req, tx)
}

func (o *outbound) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	return o.l.trunk.asked(req, func(req *sip.Request) (*sip.Response, error) { return o.session().DialogClientSession.Do(ctx, req) })
}

func (o *outbound) write(req *sip.Request) error {
	return o.session().DialogClientSession.WriteRequest(req)
}

func (o *outbound) target() sip.Uri {
	cd := o.session()
	if c := cd.InviteResponse.Contact(); c != nil {
		return o.l.targetOr(c.Address)
	}
	return o.l.targetOr(cd.InviteRequest.Recipient)
}
