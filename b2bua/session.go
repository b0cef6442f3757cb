package b2bua

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// sessionTimer is what the two ends agreed about refreshing the dialog, so that a
// far end that vanished without BYE is noticed. Guarded by Leg.mu once the leg
// is answered.
type sessionTimer struct {
	interval time.Duration // 0 = none
	ours     bool          // we refresh
	update   bool          // the far end takes UPDATE
	capable  bool          // the far end supports timers
	timer    *time.Timer
}

// request reads what an INVITE or UPDATE asks for. It returns 422 when the
// interval is too small (section 9).
func (t *sessionTimer) request(req *sip.Request, limits Limits) *refusal {
	t.capable = hasToken(req, "Supported", "timer") || hasToken(req, "Require", "timer")
	t.update = hasToken(req, "Allow", "UPDATE")
	v := value(req, "Session-Expires")
	if v == "" {
		if t.interval = 0; t.capable {
			t.interval, t.ours = limits.Session, false
		}
		return nil
	}
	d, refresher, ok := sessionExpires(v)
	if !ok {
		return &refusal{code: 400, reason: "Bad Session-Expires", headers: []field{{"Min-SE", seconds(limits.MinSession)}}}
	}
	if d < limits.MinSession {
		return &refusal{code: 422, reason: "Session Interval Too Small", headers: []field{{"Min-SE", seconds(limits.MinSession)}}}
	}
	t.interval = d
	t.ours = refresher == "uas" || !t.capable // section 9: who cannot refresh is refreshed
	return nil
}

// sessionExpires reads "1800;refresher=uac".
func sessionExpires(v string) (time.Duration, string, bool) {
	parts := strings.Split(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(parts[0]), 10, 31)
	if err != nil {
		return 0, "", false
	}
	who := ""
	for _, p := range parts[1:] {
		name, arg, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "refresher") {
			who = strings.ToLower(strings.TrimSpace(arg))
		}
	}
	return time.Duration(n) * time.Second, who, true
}

// answer is what our 2xx says.
func (t *sessionTimer) answer() []sip.Header {
	hs := []sip.Header{sip.NewHeader("Supported", "timer")}
	if t.interval == 0 {
		return hs
	}
	who := "uac"
	if t.ours {
		who = "uas"
	}
	hs = append(hs, sip.NewHeader("Session-Expires", seconds(t.interval)+";refresher="+who))
	if t.capable {
		hs = append(hs, sip.NewHeader("Require", "timer"))
	}
	return hs
}

// response reads what a 2xx to our request says.
func (t *sessionTimer) response(res *sip.Response, limits Limits) {
	t.interval = 0
	t.update = hasToken(res, "Allow", "UPDATE")
	if v := value(res, "Session-Expires"); v != "" {
		if d, who, ok := sessionExpires(v); ok && d >= limits.MinSession {
			t.interval, t.ours = d, who != "uas"
		}
	}
}

// watchSession starts the timer anew: half the interval if we refresh, else the
// whole of it less what section 10 takes off.
func (l *Leg) watchSession() {
	l.mu.Lock()
	t := l.session
	if t.timer != nil {
		t.timer.Stop()
	}
	l.mu.Unlock()
	if t.interval == 0 {
		return
	}
	wait, then := t.interval-min(32*time.Second, t.interval/3), func() { l.finish(ringfence.EndFailed, 408) }
	if t.ours {
		wait, then = t.interval/2, func() { l.u.goOwned("session refresh", l.refresh) }
	}
	timer := l.after(wait, then)
	l.mu.Lock()
	l.session.timer = timer
	l.mu.Unlock()
}

// refreshTime bounds one refresh.
const refreshTime = 32 * time.Second

// refresh tells the far end that the session goes on: by UPDATE where it takes
// one, else by a re-INVITE with the description unchanged.
func (l *Leg) refresh() {
	ctx, cancel := context.WithTimeout(l.ctx, refreshTime)
	defer cancel()
	l.mu.Lock()
	byUpdate, interval, busy := l.session.update, l.session.interval, l.pending != nil
	l.mu.Unlock()
	if busy {
		l.after(2*time.Second, func() { l.u.goOwned("session refresh", l.refresh) })
		return
	}
	method := sip.INVITE
	if byUpdate {
		method = sip.UPDATE
	}
	req := sip.NewRequest(method, l.call.target())
	req.AppendHeader(l.s.contact())
	req.AppendHeader(sip.NewHeader("Supported", "timer"))
	req.AppendHeader(sip.NewHeader("Session-Expires", seconds(interval)+";refresher=uac"))
	req.AppendHeader(l.allow())
	var res *sip.Response
	var err error
	if byUpdate {
		if res, err = l.call.do(ctx, req); err == nil && res.IsSuccess() {
			l.listens(res)
		}
	} else {
		res, err = l.reoffer(ctx, req)
	}
	switch {
	case err != nil || res.StatusCode == 481 || res.StatusCode == 408:
		l.finish(ringfence.EndFailed, 408) // section 10
	case res.StatusCode == 422 && l.lengthen(res):
		l.u.goOwned("session refresh", l.refresh)
	case res.IsSuccess():
		l.mu.Lock()
		l.session.response(res, l.u.cfg.Limits)
		l.mu.Unlock()
		l.watchSession()
	default:
		l.after(5*time.Second, func() { l.u.goOwned("session refresh", l.refresh) })
	}
}

// lengthen takes the interval that a 422 asks for (section 7.4), if it is longer
// than ours.
func (l *Leg) lengthen(res *sip.Response) bool {
	d, _, ok := sessionExpires(value(res, "Min-SE"))
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok || d <= l.session.interval || d > 24*time.Hour {
		return false
	}
	l.session.interval = d
	return true
}
