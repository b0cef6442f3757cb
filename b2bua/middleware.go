package b2bua

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
)

// respond answers a request outside the legs' own transactions.
func respond(req *sip.Request, tx sip.ServerTransaction, code int, reason string, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res)
}

// middleware is the one way by which requests reach legs: whatever the stack
// would do with them itself is not called. The stack calls it on a goroutine of
// its own for each request, in no order.
func (s *side) middleware(sipgo.RequestHandler) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		defer func() {
			if r := recover(); r != nil {
				s.u.log.Error("recovered", "in", "request", "method", string(req.Method), ringfence.Panicked(r))
				if !req.IsAck() {
					respond(req, tx, 500, "Server Internal Error")
				}
			}
		}()
		tag := req.To().Params.GetOr("tag", "")
		if tag == "" {
			s.outside(req, tx)
			return
		}
		leg := s.u.dialog(text(req.CallID()), tag)
		if leg == nil || !leg.owns(req) {
			if !req.IsAck() {
				respond(req, tx, 481, "Call/Transaction Does Not Exist")
			}
			return
		}
		leg.request(req, tx)
	}
}

// outside takes a request that belongs to no dialog. The fence has answered all
// but INVITE and CANCEL.
func (s *side) outside(req *sip.Request, tx sip.ServerTransaction) {
	switch {
	case req.IsInvite():
		s.admit(req, tx)
	case req.IsAck():
	case req.IsCancel():
		respond(req, tx, 481, "Call/Transaction Does Not Exist")
	default:
		respond(req, tx, 405, "Method Not Allowed", sip.NewHeader(allowField.name, allowField.value))
	}
}

// inviteKey is message.key of a request that the stack parsed.
func inviteKey(req *sip.Request) string {
	return callKey(text(req.CallID()), req.From().Params.GetOr("tag", ""), req.CSeq().SeqNo)
}

// admit makes a leg of a new INVITE and runs its dialog.
func (s *side) admit(req *sip.Request, tx sip.ServerTransaction) {
	key := inviteKey(req)
	defer s.u.intake.done(key)
	from := source(req)
	trunk := s.trunkOf(from)
	if trunk == nil {
		respond(req, tx, 403, "Forbidden")
		return
	}
	l, err := s.newLeg(trunk, s.inboundInfo(req, from, trunk), s.u.ctx)
	if err != nil {
		s.u.log.Warn("no media for a call", "error", err)
		s.busy(req, tx, err)
		return
	}
	l.media.Hush()
	l.claim = s.u.claimOf(trunk, from.Addr(), l.info.Called)
	in := &inbound{l: l, key: key}
	l.call = in
	if err := s.u.enter(l, key, req.Via().Params.GetOr("branch", "")); err != nil {
		l.media.Close()
		l.cancel(ErrEnded)
		if errors.Is(err, errMerged) {
			respond(req, tx, 482, "Loop Detected")
		} else {
			s.busy(req, tx, err)
		}
		return
	}
	served := false
	defer func() {
		if !served { // refused, or CANCEL or the connection's end was first
			l.media.Close()
			l.cancel(ErrEnded)
			s.u.leave(l, key)
		}
	}()
	respond(req, tx, 100, "Trying")
	if !in.offer(req, tx) {
		return
	}
	if d, err := s.dialogs.ReadInvite(req, tx); err == nil {
		served = true
		in.serve(d)
	}
}

// busy answers as the fence does a call for which there is no room.
func (s *side) busy(req *sip.Request, tx sip.ServerTransaction, why error) {
	r := s.f.noRoom(why)
	respond(req, tx, r.code, r.reason, sip.NewHeader(r.headers[0].name, r.headers[0].value))
}

func (s *side) inboundInfo(req *sip.Request, from netip.AddrPort, t *Trunk) ringfence.LegInfo {
	info := ringfence.LegInfo{
		Direction: ringfence.Inbound, Trunk: t.Name, Listener: s.l.Name, Transport: s.l.Transport, Source: from, TrustedIDs: t.TrustIdentity,
		Called: req.Recipient.User, RequestURI: req.Recipient.String(), From: req.From().Value(), To: req.To().Value(),
		PAI: values(req, "P-Asserted-Identity"), Identity: values(req, "Identity"), Date: value(req, "Date"), Privacy: value(req, "Privacy"),
		Diversion: append(values(req, "Diversion"), values(req, "History-Info")...), UUI: value(req, "User-to-User"),
		CallID: text(req.CallID()), ReceivedAt: time.Now(),
	}
	info.Called = t.called(info.Called, req.To().Address.User)
	if info.Emergency = s.u.cfg.urgent(t, req.Recipient.User); info.Emergency {
		info.Location = location(req)
	}
	if t.TrustIdentity {
		info.Attested = value(req, "P-Attestation-Indicator")
		return info
	}
	// A stranger's verstat is a claim: nobody behind us is to read it as ours.
	info.From = stirshaken.StripVerstat(info.From)
	for i := range info.PAI {
		info.PAI[i] = stirshaken.StripVerstat(info.PAI[i])
	}
	return info
}

// called is the number that was called, of the users of Request-URI and To: where
// we are registered, the registrar has written our Contact over what was called.
func (t *Trunk) called(user, to string) string {
	if t.Register != nil && user == t.Register.User {
		return to
	}
	return user
}

// owns reports whether a request inside the dialog really is the far end's: its
// tag, and its trunk.
func (l *Leg) owns(req *sip.Request) bool {
	l.mu.Lock()
	theirs := l.theirTag
	l.mu.Unlock()
	return req.From().Params.GetOr("tag", "") == theirs && l.s.trunkOf(source(req)) == l.trunk
}

// byeWait is how long a BYE waits for an ACK that it overtook.
const byeWait = 200 * time.Millisecond

// request takes one request inside the dialog.
func (l *Leg) request(req *sip.Request, tx sip.ServerTransaction) {
	switch req.Method {
	case sip.ACK:
		l.onAck(req, tx)
	case sip.BYE:
		if l.established() {
			select {
			case <-l.acked:
			case <-time.After(byeWait):
			}
		}
		l.call.bye(req, tx)
	case sip.CANCEL:
		respond(req, tx, 481, "Call/Transaction Does Not Exist")
	case sip.OPTIONS:
		respond(req, tx, 200, "OK", l.allow(), sip.NewHeader("Accept", "application/sdp"))
	default:
		if l.over() {
			respond(req, tx, 481, "Call/Transaction Does Not Exist")
			return
		}
		l.inDialog(req, tx)
	}
}

// inDialog takes what changes the leg.
func (l *Leg) inDialog(req *sip.Request, tx sip.ServerTransaction) {
	if !req.IsInvite() {
		// RFC 3261, section 12.2.2: a lower CSeq is out of order. A re-INVITE is
		// checked where it is taken.
		if !l.inOrder(req) {
			respond(req, tx, 500, "Server Internal Error")
			return
		}
	}
	switch req.Method {
	case sip.INVITE:
		l.onReinvite(req, tx)
	case sip.UPDATE:
		l.onUpdate(req, tx)
	case sip.INFO:
		l.onInfo(req, tx)
	case sip.PRACK:
		l.onPrack(req, tx)
	case sip.REFER:
		l.onRefer(req, tx)
	default:
		respond(req, tx, 405, "Method Not Allowed", l.allow())
	}
}

// inOrder takes the CSeq of a request. The stack's own check would make it refuse
// an ACK that a later request overtook.
func (l *Leg) inOrder(req *sip.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := req.CSeq().SeqNo; n > l.theirSeq {
		l.theirSeq = n
		return true
	}
	return false
}

// onInfo takes a digit (application/dtmf-relay, application/dtmf). It counts
// only when telephone-event was not agreed.
func (l *Leg) onInfo(req *sip.Request, tx sip.ServerTransaction) {
	var digit byte
	switch body := string(req.Body()); mediaType(value(req, "Content-Type")) {
	case "application/dtmf-relay":
		for _, line := range strings.Split(body, "\n") {
			name, v, _ := strings.Cut(line, "=")
			if strings.EqualFold(strings.TrimSpace(name), "Signal") {
				digit = infoDigit(strings.TrimSpace(v))
			}
		}
	case "application/dtmf":
		digit = infoDigit(strings.TrimSpace(body))
	case "":
		if len(body) == 0 {
			respond(req, tx, 200, "OK")
			return
		}
		fallthrough
	default:
		respond(req, tx, 415, "Unsupported Media Type", sip.NewHeader("Accept", "application/dtmf-relay, application/dtmf"))
		return
	}
	if digit == 0 {
		respond(req, tx, 400, "Bad Digit")
		return
	}
	l.media.InjectDigit(digit, time.Now()) // before the 200: the next key waits for it
	respond(req, tx, 200, "OK")
}

// infoDigit reads one key; some senders write 10 for * and 11 for #.
func infoDigit(s string) byte {
	switch {
	case s == "10":
		return '*'
	case s == "11":
		return '#'
	case len(s) == 1 && strings.Contains("0123456789*#ABCD", strings.ToUpper(s)):
		return strings.ToUpper(s)[0]
	}
	return 0
}
