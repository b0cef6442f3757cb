package b2bua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
)

// BindingState is how a registration stands.
type BindingState string

// The states of a binding. The zero value is none of them.
const (
	BindingTrying      BindingState = "trying"      // no answer yet
	BindingRegistered  BindingState = "registered"  // calls come until Until
	BindingRefused     BindingState = "refused"     // the registrar said no: Code
	BindingUnreachable BindingState = "unreachable" // no address of the trunk answered
	BindingRemoved     BindingState = "removed"     // taken back: we are stopping
)

// Registration is our binding at a trunk's registrar as it stands.
type Registration struct {
	Trunk string
	State BindingState
	Code  int       // status of the last answer; 0 if none came
	Until time.Time // end of the binding; zero without one
	Next  time.Time // when REGISTER is sent again
	Fails int       // in a row
}

// Registrations returns every binding that is configured, by trunk name.
func (u *UA) Registrations() []Registration {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]Registration, 0, len(u.bindings))
	for _, b := range u.bindings {
		out = append(out, b.state())
	}
	slices.SortFunc(out, func(a, b Registration) int { return strings.Compare(a.Trunk, b.Trunk) })
	return out
}

// binding keeps one registration. Its goroutine is run's.
type binding struct {
	s       *side
	t       *Trunk
	callID  string
	tag     string
	seq     uint32        // owned by run
	asked   time.Duration // owned by run: Expires, or more after a 423
	again   chan struct{} // the connection is gone: register now
	removed chan struct{} // closed when nothing is left at the registrar, or could be told

	mu  sync.Mutex // guards everything below
	now Registration
	at  netip.AddrPort // by which the binding was made; zero without one
}

func newBinding(s *side, t *Trunk) *binding {
	return &binding{s: s, t: t, callID: ringfence.NewID[string]("r")[2:], tag: sip.GenerateTagN(16), asked: t.Register.Expires,
		again: make(chan struct{}, 1), removed: make(chan struct{}), now: Registration{Trunk: t.Name, State: BindingTrying}}
}

func (b *binding) state() Registration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// via is the address by which the binding was made, or zero.
func (b *binding) via() netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// lost says that the connection to remote is gone.
func (b *binding) lost(remote netip.AddrPort) {
	if b.via() == remote {
		select {
		case b.again <- struct{}{}:
		default:
		}
	}
}

// run registers, refreshes and, when the UA drains, takes the binding back, so
// that new calls go elsewhere.
func (b *binding) run() {
	defer close(b.removed)
	for {
		timer := time.NewTimer(b.refresh())
		select {
		case <-timer.C:
		case <-b.again:
			timer.Stop()
		case <-b.s.u.drained:
			timer.Stop()
			b.remove()
			return
		case <-b.s.u.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// registerTime bounds one REGISTER at one address: Timer F.
const registerTime = 32 * time.Second

// refresh asks each address in turn and returns how long to wait.
func (b *binding) refresh() time.Duration {
	code := 0
	for _, at := range b.s.u.healthy(b.t.targets()) {
		res, err := b.ask(at, b.asked)
		if err != nil {
			b.s.u.log.Info("registrar not reached", "trunk", b.t.Name, "address", at, "error", err)
			continue
		}
		if code = res.StatusCode; res.IsSuccess() {
			return b.bound(at, res)
		}
		if code != 408 && code < 500 {
			break // a refusal is the registrar's, not the address's
		}
	}
	return b.failed(code)
}

// bound notes a binding and returns when to renew it.
func (b *binding) bound(at netip.AddrPort, res *sip.Response) time.Duration {
	life := b.granted(res)
	if life <= 0 {
		return b.failed(res.StatusCode)
	}
	// Renewed in good time: with 32 s for the answer where there are that many.
	wait := max(life/2, life-time.Minute)
	now := time.Now()
	b.mu.Lock()
	was := b.now.State
	b.at = at
	b.now = Registration{Trunk: b.t.Name, State: BindingRegistered, Code: res.StatusCode, Until: now.Add(life), Next: now.Add(wait)}
	b.mu.Unlock()
	if was != BindingRegistered {
		b.s.u.log.Info("registered", "trunk", b.t.Name, "address", at, "for", life)
	}
	return wait
}

// failed notes a failure and returns the pause after it.
func (b *binding) failed(code int) time.Duration {
	state := BindingRefused
	if code == 0 {
		state = BindingUnreachable
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.now
	n.State, n.Code = state, code
	n.Fails++
	wait := pause(b.t.Register.Retry, n.Fails)
	n.Next = time.Now().Add(wait)
	if !n.Until.After(time.Now()) {
		n.Until, b.at = time.Time{}, netip.AddrPort{}
	}
	if b.now.State != state || b.now.Code != code {
		b.s.u.log.Warn("not registered", "trunk", b.t.Name, "state", string(state), "status", code, "again in", wait)
	}
	b.now = n
	return wait
}

// pause is base doubled with each failure in a row, up to longestRetry, and less
// half of it by chance, so that gateways do not return all at once (RFC 5626,
// section 4.5).
func pause(base time.Duration, fails int) time.Duration {
	d := longestRetry
	if fails < 16 {
		d = min(longestRetry, base<<(fails-1))
	}
	return d/2 + rand.N(d/2+1)
}

// remove takes the binding back.
func (b *binding) remove() {
	at := b.via()
	if !at.IsValid() {
		return
	}
	if _, err := b.ask(at, 0); err != nil {
		b.s.u.log.Info("binding not taken back", "trunk", b.t.Name, "error", err)
	}
	b.mu.Lock()
	b.at = netip.AddrPort{}
	b.now = Registration{Trunk: b.t.Name, State: BindingRemoved}
	b.mu.Unlock()
}

// ask sends REGISTER to one address, with our password if it challenges for our
// realm, and once more with a longer life if it wants one.
func (b *binding) ask(at netip.AddrPort, life time.Duration) (*sip.Response, error) {
	ctx, cancel := context.WithTimeout(b.s.u.ctx, registerTime)
	defer cancel()
	var credentials sip.Header
	for tries := 0; ; tries++ {
		req := b.request(at, life)
		if credentials != nil {
			req.AppendHeader(credentials)
		}
		res, err := b.s.exchange(ctx, req, at)
		if err != nil || tries == 3 {
			return res, err
		}
		switch {
		case res.StatusCode == 423 && life > 0:
			n, err := strconv.ParseUint(strings.TrimSpace(value(res, "Min-Expires")), 10, 31)
			if longer := time.Duration(n) * time.Second; err == nil && longer > life && longer <= 24*time.Hour {
				b.asked, life = longer, longer
				continue
			}
			return res, nil
		case challenged(res):
			c := b.t.challenge(res)
			if c == nil || credentials != nil && !c.Stale {
				return res, nil // not ours to answer, or our password is wrong
			}
			if credentials, err = b.t.answer(req, res); err != nil {
				return res, nil
			}
		default:
			return res, nil
		}
	}
}

// request builds one REGISTER.
func (b *binding) request(at netip.AddrPort, life time.Duration) *sip.Request {
	s, r := b.s, b.t.Register
	registrar := sip.Uri{Scheme: "sip"}
	registrar.Host, registrar.Port = b.t.host(at)
	if s.l.Transport != "udp" {
		registrar.UriParams = sip.NewParams()
		registrar.UriParams.Add("transport", s.l.Transport)
	}
	aor := sip.Uri{Scheme: "sip", User: r.User, Host: registrar.Host}
	from := &sip.FromHeader{Address: aor, Params: sip.NewParams()}
	from.Params.Add("tag", b.tag)
	contact := &sip.ContactHeader{Address: s.uri(r.User), Params: sip.NewParams()}
	contact.Params.Add("expires", seconds(life))
	id, forwards := sip.CallIDHeader(b.callID), sip.MaxForwardsHeader(70)
	b.seq++
	req := sip.NewRequest(sip.REGISTER, registrar)
	for _, h := range []sip.Header{s.via(), from, &sip.ToHeader{Address: aor}, &id, &sip.CSeqHeader{SeqNo: b.seq, MethodName: sip.REGISTER},
		&forwards, contact, sip.NewHeader("Expires", seconds(life)), sip.NewHeader(allowField.name, allowField.value)} {
		req.AppendHeader(h)
	}
	if b.t.Proxy {
		req.AppendHeader(s.route(at))
	}
	req.SetBody(nil)
	return req
}

// granted is how long the registrar keeps our Contact: its expires parameter, or
// the Expires field, or what was asked for (RFC 3261, section 10.2.4).
func (b *binding) granted(res *sip.Response) time.Duration {
	ours := b.s.uri(b.t.Register.User)
	life := b.asked
	if n, err := strconv.ParseUint(strings.TrimSpace(value(res, "Expires")), 10, 31); err == nil {
		life = time.Duration(n) * time.Second
	}
	for _, v := range values(res, "Contact") {
		a, err := parseNameAddr(v)
		if err != nil || !strings.HasPrefix(a.uri, "sip:"+ours.User+"@") || !strings.Contains(a.uri, fmt.Sprintf("@%s:%d", bracketed(b.s.ext.Addr()), ours.Port)) {
			continue
		}
		for _, p := range a.params {
			if n, err := strconv.ParseUint(p.value, 10, 31); p.name == "expires" && err == nil {
				life = time.Duration(n) * time.Second
			}
		}
	}
	return min(life, 24*time.Hour)
}

// exchange sends a request outside a dialog to an address of a trunk and returns
// the final response.
func (s *side) exchange(ctx context.Context, req *sip.Request, at netip.AddrPort) (*sip.Response, error) {
	req.SetDestination(at.String())
	tx, err := (*egress)(s).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, errors.Join(errNoResponse, tx.Err())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

var errNoResponse = errors.New("sip: no response")

// unbound tells the bindings that a connection is closed.
func (u *UA) unbound(remote netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, b := range u.bindings {
		b.lost(remote)
	}
}
