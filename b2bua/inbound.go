package b2bua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// inbound is the signalling of a leg that came.
type inbound struct {
	l      *Leg
	key    string // of the attempt
	body   []byte // our description for the 200: an answer, or an offer if they sent none
	infoOK bool   // they take INFO
	d      *sipgo.DialogServerSession

	reliable bool // they require reliable provisional responses

	mu      sync.Mutex // orders responses to the INVITE; guards all but wg
	final   bool       // a final response was sent
	early   bool       // a provisional response carried our description
	waiting *reliable  // for its PRACK; nil = none
	rseq    uint32
	wg      sync.WaitGroup // its sender, who stays until the ACK; added to under mu

	left   atomic.Int32 // calls of leave that are to come
	unhook func() bool  // undoes what gone is called by
}

// offer judges what the INVITE proposes before anybody hears of the call. It
// reports false when it has refused.
func (in *inbound) offer(req *sip.Request, tx sip.ServerTransaction) bool {
	l := in.l
	in.infoOK = hasToken(req, "Allow", "INFO")
	in.reliable = hasToken(req, "Require", "100rel")
	l.knowsLocked(req, partyOf(value(req, "From")))
	l.theirSeq = req.CSeq().SeqNo
	l.theirTag = req.From().Params.GetOr("tag", "")
	if r := l.session.request(req, l.u.cfg.Limits); r != nil {
		respond(req, tx, r.code, r.reason, sip.NewHeader(r.headers[0].name, r.headers[0].value))
		return false
	}
	sdp, ok := described(value(req, "Content-Type"), req.Body())
	if !ok {
		respond(req, tx, 415, "Unsupported Media Type", sip.NewHeader("Accept", "application/sdp, multipart/mixed"))
		return false
	}
	if len(sdp) == 0 {
		l.offered = true
		return true
	}
	body, err := l.answerTo(sdp, in.infoOK)
	if err != nil {
		l.u.log.Info("offer refused", "leg", l.info.ID, "trunk", l.info.Trunk, "error", err)
		respond(req, tx, 488, "Not Acceptable Here", sip.NewHeader("Warning", "305 "+l.u.cfg.Name+" \"incompatible media\""))
		return false
	}
	in.body = body
	return true
}

// serve has the leg handled. It returns as soon as the stack needs its goroutine
// no more: when the ACK has come, or nothing is owed. The leg may live on.
func (in *inbound) serve(d *sipgo.DialogServerSession) {
	l := in.l
	in.d = d
	in.left.Store(2)
	defer in.leave()
	l.u.register(l, text(d.InviteRequest.CallID()), d.InviteRequest.To().Params.GetOr("tag", ""))
	l.start()
	l.endWith(l.u.ctx, ringfence.EndShutdown)
	in.unhook = context.AfterFunc(d.Context(), func() { in.gone(context.Cause(d.Context())) })
	if !in.handle() {
		l.finish(ringfence.EndHangup, 0)
	}
	select {
	case <-l.acked:
	case <-l.settled:
	}
}

// handle has the handler lead the leg and reports whether the leg stays when it
// has returned.
func (in *inbound) handle() (stays bool) {
	defer in.l.u.recovered("handler")
	in.l.u.h.HandleLeg(in.l.ctx, in.l)
	return in.l.stays.Load()
}

// leave gives the leg back once it is over and nothing of it is under way: serve
// and end each call it.
func (in *inbound) leave() {
	if in.left.Add(-1) == 0 {
		in.unhook()
		in.l.u.leave(in.l, in.key)
	}
}

// gone is called when the stack says that the dialog is over.
func (in *inbound) gone(cause error) {
	switch {
	case in.l.established():
		in.l.finish(ringfence.EndBye, 0)
	case errors.Is(cause, sip.ErrTransactionCanceled):
		in.sent()
		in.l.finish(ringfence.EndCancel, 0)
	default:
		in.l.finish(ringfence.EndFailed, 0)
	}
}

// sent notes that the INVITE has had its final response.
func (in *inbound) sent() {
	in.mu.Lock()
	in.final = true
	in.mu.Unlock()
}

// inboundOf returns the inbound signalling of l, or nil.
func inboundOf(l *Leg) *inbound {
	in, _ := l.call.(*inbound)
	return in
}

// Ring tells the caller that the called side is alerted (180).
func (l *Leg) Ring(context.Context) error {
	in := inboundOf(l)
	if in == nil {
		return errors.New("sip: ring: the leg was placed by us")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.final || l.over() {
		return ErrEnded
	}
	return in.provisionalLocked(180, "Ringing", nil)
}

// fields are header fields of a response, from name and value.
func fields(headers [][2]string) ([]sip.Header, error) {
	var out []sip.Header
	for _, h := range headers {
		if !isToken(h[0]) || hasControl(h[1]) || len(h[1]) > maxFieldBytes {
			return nil, errors.New("bad header field")
		}
		out = append(out, sip.NewHeader(h[0], h[1]))
	}
	return out, nil
}

// Refuse ends an unanswered inbound leg with a status of its own, 300 to 699,
// and header fields as name and value. It returns at once: whoever withholds the
// ACK holds up nobody.
func (l *Leg) Refuse(_ context.Context, code int, reason string, headers ...[2]string) error {
	in := inboundOf(l)
	if in == nil || code < 300 || code > 699 {
		return errors.New("sip: refuse: wants an inbound leg and a status from 300 to 699")
	}
	if hasControl(reason) {
		return errors.New("sip: refuse: control character in reason")
	}
	hs, err := fields(headers)
	if err != nil {
		return fmt.Errorf("sip: refuse: %w", err)
	}
	in.mu.Lock()
	if in.final {
		in.mu.Unlock()
		return ErrEnded
	}
	in.final = true
	in.wg.Add(1)
	in.mu.Unlock()
	l.u.goOwned("refusal", func() {
		defer in.wg.Done()
		_ = in.d.Respond(code, reason, nil, append(hs, l.s.contact())...) // waits for the ACK
	})
	l.finish(ringfence.EndHangup, code)
	return nil
}

// Answer takes the call (200), with header fields as name and value, and
// returns when the caller has acknowledged it.
func (l *Leg) Answer(ctx context.Context, headers ...[2]string) error {
	in := inboundOf(l)
	if in == nil {
		return errors.New("sip: answer: the leg was placed by us")
	}
	extra, err := fields(headers)
	if err != nil {
		return fmt.Errorf("sip: answer: %w", err)
	}
	if err := in.awaitPrack(ctx); err != nil {
		return err
	}
	in.mu.Lock()
	if in.final || l.over() {
		in.mu.Unlock()
		return ErrEnded
	}
	in.final = true
	in.wg.Add(1)
	in.mu.Unlock()
	if l.offered {
		in.body = l.offer()
	}
	l.u.intake.done(in.key)
	l.media.Speak()
	l.mu.Lock()
	l.answered = true
	l.mu.Unlock()
	failed := make(chan struct{})
	l.u.goOwned("answer", func() {
		defer in.wg.Done()
		if err := in.respond200(extra); err != nil {
			close(failed)
		}
	})
	select {
	case <-l.acked:
	case <-failed:
		select {
		case <-l.acked: // a BYE or a late ACK says that they had our 200
		default:
			l.finish(ringfence.EndFailed, 0)
		}
	case <-l.ctx.Done():
		return ErrEnded
	case <-ctx.Done():
		l.finish(ringfence.EndHangup, 0)
		return ctx.Err()
	}
	if l.over() {
		return ErrEnded
	}
	l.limit()
	return nil
}

// respond200 sends the 200 and its retransmissions until the ACK.
func (in *inbound) respond200(extra []sip.Header) error {
	headers := []sip.Header{in.l.s.contact(), in.l.allow(),
		sip.NewHeader("Content-Type", "application/sdp")}
	headers = append(headers, in.l.session.answer()...)
	headers = append(headers, extra...)
	return in.d.Respond(200, "OK", in.body, headers...)
}

// limit starts what bounds an answered leg.
func (l *Leg) limit() {
	l.mu.Lock()
	l.answeredAt = time.Now()
	l.mu.Unlock()
	l.after(l.u.cfg.Limits.CallTime, func() { l.finish(ringfence.EndLimit, 0) })
	l.watchSession()
}

// onAck takes the ACK of the INVITE's 200, or of one of a re-INVITE's.
func (l *Leg) onAck(req *sip.Request, tx sip.ServerTransaction) {
	l.mu.Lock()
	re := l.reAck
	if re != nil && req.CSeq().SeqNo != l.theirSeq {
		l.mu.Unlock()
		return // a late one of an earlier INVITE
	}
	awaits := l.offered && l.answered && re == nil
	l.mu.Unlock()
	if re != nil {
		select {
		case re <- req:
		default:
		}
		return
	}
	in := inboundOf(l)
	if in == nil || l.over() && in.d.LoadState() != sip.DialogStateEstablished {
		return
	}
	select {
	case <-l.acked:
		return // a copy
	default:
	}
	if awaits {
		if err := l.accept(req.Body(), in.infoOK); err != nil {
			l.u.log.Info("answer refused", "leg", l.info.ID, "trunk", l.info.Trunk, "error", err)
			_ = in.d.ReadAck(req, tx)
			l.finish(ringfence.EndFailed, 488)
			l.ack()
			return
		}
		l.mu.Lock()
		l.offered = false
		l.mu.Unlock()
	}
	_ = in.d.ReadAck(req, tx)
	l.ack()
}

// refusalOf is the status by which an unanswered inbound leg ends.
var refusalOf = map[ringfence.EndCause]int{ringfence.EndBusy: 486, ringfence.EndDeclined: 603, ringfence.EndShutdown: 503,
	ringfence.EndLimit: 503, ringfence.EndFailed: 500, ringfence.EndMedia: 500}

func (in *inbound) end(cause ringfence.EndCause) {
	defer in.leave()
	defer close(in.l.settled)
	defer in.wg.Wait()
	in.mu.Lock()
	final := in.final
	in.final = true
	in.mu.Unlock()
	l := in.l
	switch {
	case !final:
		code := refusalOf[cause]
		if cause == ringfence.EndCancel {
			code = 487
		}
		if code == 0 {
			code = 480
		}
		_ = in.d.Respond(code, reasons[code], nil, l.s.contact())
	case !l.established():
	default:
		// RFC 3261, section 15: no BYE before the ACK, or before the 200 gave up.
		select {
		case <-l.acked:
		case <-in.d.Context().Done():
			return
		case <-l.u.ctx.Done():
		case <-time.After(ackTime()):
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), byeTimeout())
		defer cancel()
		bye := sip.NewRequest(sip.BYE, in.target())
		bye.SetTransport(in.d.InviteRequest.Transport())
		l.byeAgain(ctx, in.d.WriteBye(ctx, bye))
	}
}

// ackTime is how long an ACK may take, and copies of a request may arrive.
func ackTime() time.Duration { return 64 * sip.T1 }

// byeTimeout bounds a BYE: 10 s, with T1 as it is.
func byeTimeout() time.Duration { return 20 * sip.T1 }

var reasons = map[int]string{480: "Temporarily Unavailable", 486: "Busy Here", 487: "Request Terminated", 500: "Server Internal Error",
	503: "Service Unavailable", 603: "Decline"}

func (in *inbound) bye(req *sip.Request, tx sip.ServerTransaction) {
	if !in.l.established() {
		// RFC 3261, section 15.1.2: the INVITE is answered too.
		respond(req, tx, 200, "OK")
		in.l.finish(ringfence.EndCancel, 0)
		return
	}
	in.l.ack() // whoever sends BYE had our 200
	_ = in.d.ReadBye(req, tx)
}

func (in *inbound) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	return in.l.trunk.asked(req, func(req *sip.Request) (*sip.Response, error) { return in.d.Do(ctx, req) })
}

func (in *inbound) write(req *sip.Request) error { return in.d.WriteRequest(req) }

func (in *inbound) target() sip.Uri {
	return in.l.targetOr(in.d.InviteRequest.Contact().Address)
}
