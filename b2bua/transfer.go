package b2bua

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// Bounds on a transfer.
const (
	decideTime   = 5 * time.Second // for whoever reads the leg's events to accept or refuse it
	transferTime = 4 * time.Minute // for it to come to an end; longer than any ringing
	notifyTime   = 5 * time.Second // for the answer to one NOTIFY
	tellTime     = 2 * time.Second // that a BYE waits for the last NOTIFY
)

// transfer is one REFER of the far end and its implicit subscription (RFC 3515,
// section 2.4.4). The leg's reader decides and tells; the wire is ours.
type transfer struct {
	codes chan int // what Transfer was told; never closed
	done  chan struct{}
	event string // Event of its NOTIFYs
	quiet bool   // Refer-Sub: false (RFC 4488): no NOTIFY
	final bool   // its last status is on its way; guarded by Leg.mu
}

// allow is the Allow header field of the leg.
func (l *Leg) allow() sip.Header {
	if l.mayTransfer() {
		return sip.NewHeader(allowField.name, allowField.value+", REFER")
	}
	return sip.NewHeader(allowField.name, allowField.value)
}

// mayTransfer reports whether the far end may send REFER: on a leg that we
// placed to somebody who may, never on a caller's.
func (l *Leg) mayTransfer() bool {
	o, ok := l.call.(*outbound)
	return ok && o.p.MayTransfer
}

// Transfer tells the far end what becomes of the transfer that it asked for, as
// a SIP status. The first call decides: below 300 accepts the REFER and anything
// else refuses it. Each further one is progress, and from 200 on the last. It
// never waits, and without a transfer it does nothing.
func (l *Leg) Transfer(code int) {
	l.mu.Lock()
	t := l.transfer
	l.mu.Unlock()
	if t == nil || code < 100 || code > 699 {
		return
	}
	select {
	case t.codes <- code:
	default:
	}
}

// onRefer takes a REFER. It returns when it was decided upon.
func (l *Leg) onRefer(req *sip.Request, tx sip.ServerTransaction) {
	if !l.mayTransfer() || !l.established() {
		respond(req, tx, 405, "Method Not Allowed", l.allow())
		return
	}
	ref, r := referral(values(req, "Refer-To"))
	if r != nil {
		respond(req, tx, r.code, r.reason)
		return
	}
	t := l.beginTransfer(req)
	if t == nil {
		respond(req, tx, 491, "Request Pending")
		return
	}
	l.emit(ringfence.LegEvent{Kind: ringfence.LegTransfer, Refer: ref})
	code := l.nextCode(t, decideTime, 480)
	if code >= 300 {
		respond(req, tx, code, transferReason(code))
		l.endTransfer(t)
		return
	}
	headers := []sip.Header{l.s.contact()}
	if t.quiet {
		headers = append(headers, sip.NewHeader("Refer-Sub", "false"))
	}
	respond(req, tx, 202, "Accepted", headers...)
	l.u.goOwned("transfer", func() { l.report(t, code) })
}

// beginTransfer makes room for a transfer; nil while another goes on.
func (l *Leg) beginTransfer(req *sip.Request) *transfer {
	t := &transfer{codes: make(chan int, 8), done: make(chan struct{}), event: "refer",
		quiet: strings.EqualFold(strings.TrimSpace(value(req, "Refer-Sub")), "false")}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.transfer != nil && !l.transfer.final || l.ended {
		return nil
	}
	if l.referred {
		t.event = fmt.Sprintf("refer;id=%d", req.CSeq().SeqNo) // section 2.4.6
	}
	l.transfer, l.referred = t, true
	return t
}

func (l *Leg) endTransfer(t *transfer) {
	l.mu.Lock()
	if l.transfer == t {
		l.transfer = nil
	}
	l.mu.Unlock()
	close(t.done)
}

// nextCode waits for what Transfer is told next. The end of the leg, or of the
// time, is otherwise.
func (l *Leg) nextCode(t *transfer, within time.Duration, otherwise int) int {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case code := <-t.codes:
		return code
	case <-late.C:
		return otherwise
	case <-l.ctx.Done():
	}
	select {
	case code := <-t.codes: // told before the end
		return code
	default:
		return otherwise
	}
}

// report sends NOTIFY for every status until the last.
func (l *Leg) report(t *transfer, code int) {
	defer l.endTransfer(t)
	end := time.Now().Add(transferTime)
	for l.notify(t, code, end) && code < 200 {
		code = l.nextCode(t, time.Until(end), 487)
	}
}

// notify sends one NOTIFY and reports whether the far end still listens.
func (l *Leg) notify(t *transfer, code int, end time.Time) bool {
	l.mu.Lock()
	gone := l.ended && l.cause == ringfence.EndBye
	t.final = code >= 200
	l.mu.Unlock()
	if gone || t.quiet {
		return !gone
	}
	state := "active;expires=" + seconds(time.Until(end))
	if code >= 200 {
		state = "terminated;reason=noresource"
	}
	req := sip.NewRequest(sip.NOTIFY, l.call.target())
	for _, h := range []sip.Header{l.s.contact(), sip.NewHeader("Event", t.event), sip.NewHeader("Subscription-State", state),
		sip.NewHeader("Content-Type", "message/sipfrag;version=2.0")} {
		req.AppendHeader(h)
	}
	req.SetBody(fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", code, transferReason(code)))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), notifyTime)
	defer cancel()
	res, err := l.call.do(ctx, req)
	return err == nil && res.IsSuccess()
}

// transferTold waits until the far end was told how its transfer ended, so that
// our BYE does not overtake it.
func (l *Leg) transferTold() {
	l.mu.Lock()
	t := l.transfer
	l.mu.Unlock()
	if t == nil {
		return
	}
	select {
	case <-t.done:
	case <-time.After(tellTime):
	}
}

// referral reads Refer-To. It is judged as a stranger's: an INVITE and nothing
// else, with no header field but Replaces.
func referral(refers []string) (ringfence.Referral, *refusal) {
	if len(refers) != 1 {
		return ringfence.Referral{}, refuse(400, "No Refer-To")
	}
	a, err := parseNameAddr(refers[0])
	if err != nil {
		return ringfence.Referral{}, refuse(400, "Bad Refer-To")
	}
	uri, headers, _ := strings.Cut(a.uri, "?")
	addr, params, _ := strings.Cut(uri, ";")
	for _, p := range strings.Split(strings.ToLower(params), ";") {
		if m, ok := strings.CutPrefix(p, "method="); ok && m != "invite" {
			return ringfence.Referral{}, refuse(403, "Forbidden")
		}
	}
	ref := ringfence.Referral{To: userOfURI(addr)}
	if ref.To == "" {
		return ref, refuse(403, "Forbidden")
	}
	if headers == "" {
		return ref, nil
	}
	name, v, _ := strings.Cut(headers, "=")
	v, err = url.PathUnescape(v)
	if !strings.EqualFold(name, "Replaces") || err != nil || !isReplaces(v) {
		return ref, refuse(403, "Forbidden")
	}
	ref.Replaces = v
	return ref, nil
}

// isReplaces reports whether v is a Replaces value (RFC 3891, section 6.1): a
// Call-ID and both tags.
func isReplaces(v string) bool {
	parts := strings.Split(v, ";")
	if parts[0] == "" || len(parts[0]) > 256 || hasControl(v) || strings.ContainsAny(v, " \t,<>\"?") {
		return false
	}
	have := map[string]bool{}
	for _, p := range parts[1:] {
		name, arg, valued := strings.Cut(p, "=")
		name = strings.ToLower(name)
		switch {
		case have[name]:
			return false
		case name == "early-only" && !valued:
		case (name == "to-tag" || name == "from-tag") && isToken(arg):
		default:
			return false
		}
		have[name] = true
	}
	return have["to-tag"] && have["from-tag"]
}

// transferReasons are the statuses that Transfer is told, in words.
var transferReasons = map[int]string{100: "Trying", 180: "Ringing", 200: "OK", 403: "Forbidden", 480: "Temporarily Unavailable",
	486: "Busy Here", 487: "Request Terminated", 491: "Request Pending", 503: "Service Unavailable", 603: "Decline"}

func transferReason(code int) string {
	if r := transferReasons[code]; r != "" {
		return r
	}
	return "Status"
}
