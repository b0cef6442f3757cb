package b2bua

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/sdp"
)

// begin takes the right to change the session. Only one offer may be under way
// (RFC 3261, section 14; RFC 3311, section 5).
func (l *Leg) begin() bool {
	_, ok := l.tryBegin()
	return ok
}

// tryBegin returns what is closed when the change under way is over.
func (l *Leg) tryBegin() (<-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != nil || l.ended {
		return l.pending, false
	}
	l.pending = make(chan struct{})
	return nil, true
}

// beginSoon is begin for the far end's requests: one that overtook the ACK of the
// last is not sent away for it.
func (l *Leg) beginSoon() bool {
	wait, ok := l.tryBegin()
	if ok || wait == nil {
		return ok
	}
	select {
	case <-wait:
	case <-time.After(byeWait):
	}
	return l.begin()
}

func (l *Leg) done() {
	l.mu.Lock()
	close(l.pending)
	l.pending, l.reAck = nil, nil
	l.mu.Unlock()
}

// onReinvite takes the far end's re-INVITE: media hold, a new address, a session
// refresh. The stack would hand it to a media session we do not have, and it does
// not repeat a 2xx, so both are done here.
func (l *Leg) onReinvite(req *sip.Request, tx sip.ServerTransaction) {
	if !l.established() || !l.beginSoon() {
		respond(req, tx, 491, "Request Pending")
		return
	}
	defer l.done()
	if !l.inOrder(req) {
		respond(req, tx, 500, "Server Internal Error", sip.NewHeader("Retry-After", "1"))
		return
	}
	l.mu.Lock()
	timer := l.session
	l.mu.Unlock()
	if r := timer.request(req, l.u.cfg.Limits); r != nil {
		respond(req, tx, r.code, r.reason, sip.NewHeader(r.headers[0].name, r.headers[0].value))
		return
	}
	body, offered, ok := l.describe(req, tx)
	if !ok {
		return
	}
	l.retarget(req)
	res := sip.NewResponseFromRequest(req, 200, "OK", body)
	for _, h := range append(timer.answer(), l.s.contact(), l.allow(),
		sip.NewHeader("Content-Type", "application/sdp")) {
		res.AppendHeader(h)
	}
	ack := l.sendUntilAck(res, tx)
	if ack == nil {
		l.finish(ringfence.EndFailed, 408)
		return
	}
	if offered {
		if err := l.accept(ack.Body(), true); err != nil {
			l.finish(ringfence.EndFailed, 488)
			return
		}
	}
	l.mu.Lock()
	timer.timer = l.session.timer
	l.session = timer
	l.mu.Unlock()
	l.watchSession()
}

// describe makes the body of our 200: an answer to the far end's offer, or an
// offer if it sent none. It has responded when ok is false; the session then goes
// on as it was (RFC 3261, section 14.2).
func (l *Leg) describe(req *sip.Request, tx sip.ServerTransaction) (body []byte, offered, ok bool) {
	if len(req.Body()) == 0 && l.rec != nil {
		ours := l.both()
		return sdp.Offer(ours[:]...), true, true
	}
	if len(req.Body()) == 0 {
		return l.offer(), true, true
	}
	body, err := l.answerTo(req.Body(), hasToken(req, "Allow", "INFO"))
	if err != nil {
		respond(req, tx, 488, "Not Acceptable Here", sip.NewHeader("Warning", "305 "+l.u.cfg.Name+" \"incompatible media\""))
		return nil, false, false
	}
	return body, false, true
}

// sendUntilAck sends a 2xx and repeats it until its ACK (RFC 3261, section
// 13.3.1.4). It returns nil when none came or the leg ended.
func (l *Leg) sendUntilAck(res *sip.Response, tx sip.ServerTransaction) *sip.Request {
	acks := make(chan *sip.Request, 1)
	l.mu.Lock()
	l.reAck = acks
	l.mu.Unlock()
	wait := sip.T1
	end := time.NewTimer(ackTime())
	defer end.Stop()
	for {
		if err := tx.Respond(res); err != nil {
			return nil
		}
		again := time.NewTimer(wait)
		select {
		case ack := <-acks:
			again.Stop()
			return ack
		case <-again.C:
			wait = min(2*wait, sip.T2)
		case <-end.C:
			again.Stop()
			return nil
		case <-l.ctx.Done():
			again.Stop()
			return nil
		}
	}
}

// onUpdate takes UPDATE (RFC 3311): a refresh, or an offer that is answered at
// once.
func (l *Leg) onUpdate(req *sip.Request, tx sip.ServerTransaction) {
	if !l.beginSoon() {
		respond(req, tx, 491, "Request Pending")
		return
	}
	defer l.done()
	l.mu.Lock()
	timer, answered := l.session, l.answered
	l.mu.Unlock()
	if r := timer.request(req, l.u.cfg.Limits); r != nil {
		respond(req, tx, r.code, r.reason, sip.NewHeader(r.headers[0].name, r.headers[0].value))
		return
	}
	headers := append(timer.answer(), l.s.contact(), l.allow())
	var body []byte
	if len(req.Body()) > 0 {
		if !answered {
			// Section 5.2: the first offer is not answered yet, or not for good.
			respond(req, tx, 500, "Server Internal Error", sip.NewHeader("Retry-After", strconv.Itoa(rand.N(11))))
			return
		}
		var ok bool
		if body, _, ok = l.describe(req, tx); !ok {
			return
		}
		headers = append(headers, sip.NewHeader("Content-Type", "application/sdp"))
	}
	l.retarget(req)
	res := sip.NewResponseFromRequest(req, 200, "OK", body)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res)
	l.mu.Lock()
	timer.timer = l.session.timer
	l.session = timer
	l.mu.Unlock()
	if answered {
		l.watchSession()
	}
}

// retarget takes a new Contact (RFC 3261, section 12.2.2), and what the request
// says about who is at the far end.
func (l *Leg) retarget(req *sip.Request) {
	if c := req.Contact(); c != nil {
		uri := *c.Address.Clone()
		l.mu.Lock()
		l.contact = &uri
		l.mu.Unlock()
	}
	l.listens(req)
}

// targetOr is the newest Contact of the far end, or first.
func (l *Leg) targetOr(first sip.Uri) sip.Uri {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.contact != nil {
		return *l.contact.Clone()
	}
	return first
}

// offer writes our description as an offer: the same encryption as agreed, or as
// the trunk's policy says.
func (l *Leg) offer() []byte { return sdp.Offer(l.offering()) }

func (l *Leg) offering() sdp.Local {
	local := l.ours()
	l.mu.Lock()
	defer l.mu.Unlock()
	if local.OpusType = l.agreed.Opus; l.hasMedia && local.OpusType == 0 || l.info.Direction == ringfence.Inbound && !l.hasMedia {
		local.Codecs = spoken(local.Codecs) // an answer of Opus alone would end the call
	}
	if l.hasMedia && l.agreed.Suite != "" {
		local.SRTP = sdp.SRTPRequired // never downgraded
		l.local.SRTP = sdp.SRTPRequired
	}
	return local
}

var errGlare = errors.New("sip: the far end is changing the session")

// reoffer sends req, a re-INVITE without a body, with our present description,
// and acknowledges its answer.
func (l *Leg) reoffer(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if !l.begin() {
		return nil, errGlare
	}
	defer l.done()
	l.setOffer(req)
	res, err := l.call.do(ctx, req)
	if err != nil || !res.IsSuccess() {
		return res, err
	}
	target := l.call.target()
	if c := res.Contact(); c != nil {
		target = *c.Address.Clone()
		l.mu.Lock()
		l.contact = &target
		l.mu.Unlock()
	}
	l.listens(res)
	ack := sip.NewRequest(sip.ACK, target)
	l.mu.Lock()
	l.lastAck = ack
	l.mu.Unlock()
	if err := l.call.write(ack); err != nil {
		return res, err
	}
	if err := l.accept(res.Body(), true); err != nil {
		l.finish(ringfence.EndFailed, 488)
	}
	return res, nil
}

// stray takes responses that belong to no transaction any more: a 2xx to a
// re-INVITE whose ACK got lost is acknowledged again (RFC 3261, section 13.2.2.4).
func (s *side) stray(res *sip.Response) {
	defer s.u.recovered("response")
	if !res.IsSuccess() || res.CSeq() == nil || res.CSeq().MethodName != sip.INVITE || res.From() == nil {
		return
	}
	l := s.u.dialog(text(res.CallID()), res.From().Params.GetOr("tag", ""))
	if l == nil {
		return
	}
	l.mu.Lock()
	ack := l.lastAck
	l.mu.Unlock()
	if ack != nil && ack.CSeq() != nil && ack.CSeq().SeqNo == res.CSeq().SeqNo {
		_ = s.ua.TransportLayer().WriteMsg(ack.Clone())
	}
}
