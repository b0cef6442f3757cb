package b2bua

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// Reliable provisional responses (RFC 3262). As UAS we send them to a caller
// that requires them; as UAC we acknowledge those that require it.

// reliable is one response of ours that waits for its PRACK.
type reliable struct {
	rseq    uint32
	cseq    uint32
	pracked chan struct{}
}

// provisional sends a 1xx, reliably where the caller requires it. The caller
// holds in.mu.
func (in *inbound) provisionalLocked(code int, reason string, body []byte, headers ...sip.Header) error {
	in.l.u.intake.done(in.key)
	headers = append(headers, in.l.s.contact(), in.l.allow())
	if body != nil {
		headers = append(headers, sip.NewHeader("Content-Type", "application/sdp"))
	}
	if !in.reliable {
		return in.d.Respond(code, reason, body, headers...)
	}
	if in.waiting != nil {
		return nil // section 3: one at a time; what it said is said
	}
	in.rseq++
	r := &reliable{rseq: in.rseq, cseq: in.d.InviteRequest.CSeq().SeqNo, pracked: make(chan struct{})}
	in.waiting = r
	headers = append(headers, sip.NewHeader("Require", "100rel"), sip.NewHeader("RSeq", strconv.FormatUint(uint64(r.rseq), 10)))
	if err := in.d.Respond(code, reason, body, headers...); err != nil {
		return err
	}
	in.l.u.goOwned("reliable response", func() { in.repeat(r, code, reason, body, headers) })
	return nil
}

// repeat sends a reliable response again until its PRACK (section 3): T1, doubled
// each time, for 64 × T1, after which the call is refused.
func (in *inbound) repeat(r *reliable, code int, reason string, body []byte, headers []sip.Header) {
	end := time.NewTimer(ackTime())
	defer end.Stop()
	for wait := sip.T1; ; wait *= 2 {
		again := time.NewTimer(wait)
		select {
		case <-r.pracked:
			again.Stop()
			return
		case <-in.l.ctx.Done():
			again.Stop()
			return
		case <-end.C:
			again.Stop()
			in.l.finish(ringfence.EndFailed, 504)
			return
		case <-again.C:
		}
		in.mu.Lock()
		if in.final {
			in.mu.Unlock()
			return
		}
		_ = in.d.Respond(code, reason, body, headers...)
		in.mu.Unlock()
	}
}

// onPrack takes the acknowledgement of a response of ours.
func (l *Leg) onPrack(req *sip.Request, tx sip.ServerTransaction) {
	in := inboundOf(l)
	if in == nil {
		respond(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	in.mu.Lock()
	r := in.waiting
	match := r != nil && value(req, "RAck") == fmt.Sprintf("%d %d INVITE", r.rseq, r.cseq)
	if match {
		in.waiting = nil
	}
	in.mu.Unlock()
	if !match {
		respond(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	close(r.pracked)
	respond(req, tx, 200, "OK")
}

// pracked waits until a reliable response that carried a description was
// acknowledged: no 2xx may leave before (section 3).
func (in *inbound) awaitPrack(ctx context.Context) error {
	in.mu.Lock()
	r := in.waiting
	early := in.early
	in.mu.Unlock()
	if r == nil || !early {
		return nil
	}
	select {
	case <-r.pracked:
		return nil
	case <-in.l.ctx.Done():
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Progress begins early media (183 with our description): what is played or
// joined is heard before the call is answered. A caller who sent no offer hears
// nothing before the answer and is told that it rings.
func (l *Leg) Progress(ctx context.Context) error {
	in := inboundOf(l)
	if in == nil {
		return errors.New("sip: progress: the leg was placed by us")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.final || l.over() {
		return ErrEnded
	}
	if in.body == nil {
		return in.provisionalLocked(180, "Ringing", nil)
	}
	in.early = true
	l.media.Speak()
	return in.provisionalLocked(183, "Session Progress", in.body)
}

// rseqOf is the RSeq of a response that wants a PRACK, or 0.
func rseqOf(res *sip.Response) uint32 {
	if !res.IsProvisional() || res.StatusCode == 100 || !hasToken(res, "Require", "100rel") {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(value(res, "RSeq")), 10, 31)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// fresh reports whether a reliable response is the next of its dialog: a copy, or
// one that overtook another, says nothing and is not acknowledged (section 4).
func (o *outbound) fresh(res *sip.Response, rseq uint32) bool {
	tag := res.To().Params.GetOr("tag", "")
	o.mu.Lock()
	defer o.mu.Unlock()
	last, known := o.rseqs[tag]
	if known && rseq != last+1 || len(o.rseqs) >= mostForks && !known {
		return false
	}
	if o.rseqs == nil {
		o.rseqs = map[string]uint32{}
	}
	o.rseqs[tag] = rseq
	return true
}

// mostForks bounds the phones of one call that we keep apart.
const mostForks = 16

// prack acknowledges a reliable response, with body as our answer if it carried
// an offer.
func (o *outbound) prack(res *sip.Response, rseq uint32, body []byte) {
	o.mu.Lock()
	invite := o.invite
	o.mu.Unlock()
	target := invite.Recipient
	if c := res.Contact(); c != nil {
		target = c.Address
	}
	req := o.inDialog(sip.PRACK, target, invite, res, o.l.pracks.Add(1))
	req.AppendHeader(sip.NewHeader("RAck", fmt.Sprintf("%d %d INVITE", rseq, invite.CSeq().SeqNo)))
	if body != nil {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		req.SetBody(body)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.l.ctx), ackTime())
	defer cancel()
	if tx, err := (*egress)(o.l.s).Request(ctx, req); err == nil {
		awaitFinal(ctx, tx)
	}
}

// shifted moves the CSeq of a request past our PRACKs, which the stack does not
// count. The INVITE that began the dialog and its ACK keep theirs.
func (l *Leg) shifted(req *sip.Request) {
	o, ok := l.call.(*outbound)
	if !ok || req.Method == sip.PRACK || req.CSeq() == nil {
		return
	}
	o.mu.Lock()
	invite := o.invite
	o.mu.Unlock()
	if n := l.pracks.Load(); n > 0 && invite != nil && req.CSeq().SeqNo > invite.CSeq().SeqNo {
		req.CSeq().SeqNo += n
	}
}
