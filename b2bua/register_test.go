package b2bua_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// registering is a gateway whose trunk registers at f.
func registering(t *testing.T, f *far, change ...func(*b2bua.Trunk)) *b2bua.UA {
	t.Helper()
	return gateway(t, "udp", nil, func(c *b2bua.Config) {
		tr := &c.Trunks[0]
		tr.Addrs, tr.Host, tr.Username, tr.Password, tr.Realm = []string{f.addr().String()}, "carrier.example", "bank", "secret", "carrier"
		tr.Register = &b2bua.Register{Retry: time.Millisecond}
		for _, f := range change {
			f(tr)
		}
	})
}

const challengeLine = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n"

// bound waits until the only binding of ua is in state.
func bound(t *testing.T, ua *b2bua.UA, state b2bua.BindingState) b2bua.Registration {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); ; {
		r := ua.Registrations()
		if len(r) == 1 && r[0].State == state {
			return r[0]
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("binding is %+v, want %s", r, state)
		}
	}
}

func TestRegister(t *testing.T) {
	f := newFar(t, nil)
	ua := registering(t, f)
	first := f.next("REGISTER")
	for _, want := range []string{"REGISTER sip:carrier.example SIP/2.0\r\n", "To: <sip:bank@carrier.example>\r\n", "Contact: <sip:bank@127.0.0.1:", "Expires: 3600\r\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("REGISTER lacks %q:\n%s", want, first)
		}
	}
	if strings.Contains(first, "Authorization") {
		t.Error("credentials before a challenge")
	}
	f.answer(first, "401 Unauthorized", "t", challengeLine, "")
	second := f.next("REGISTER")
	if a := line(second, "Authorization"); !strings.Contains(a, `username="bank"`) || !strings.Contains(a, `uri="sip:carrier.example"`) || strings.Contains(second, "secret") {
		t.Errorf("Authorization %q", a)
	}
	if line(second, "Call-ID") != line(first, "Call-ID") || line(second, "CSeq") != "2 REGISTER" {
		t.Errorf("second try is %s of %s", line(second, "CSeq"), line(second, "Call-ID"))
	}
	f.send("SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=t\nCall-ID: %s\nCSeq: %s\nContact: <sip:other@192.0.2.9>;expires=7\nContact: %s;expires=120\nContent-Length: 0\n\n",
		line(second, "Via"), line(second, "From"), line(second, "To"), line(second, "Call-ID"), line(second, "CSeq"), strings.Replace(line(second, "Contact"), ";expires=3600", "", 1))
	r := bound(t, ua, b2bua.BindingRegistered)
	if left := time.Until(r.Until); left < 90*time.Second || left > 120*time.Second {
		t.Errorf("bound for %v, want the registrar's 120 s", left)
	}
	if next := time.Until(r.Next); next < 30*time.Second || next > 60*time.Second {
		t.Errorf("renewed in %v, want half the time", next)
	}
	drained := make(chan error, 1)
	ctx := within(t)
	go func() { drained <- ua.Drain(ctx) }()
	last := f.next("REGISTER")
	if line(last, "Expires") != "0" || !strings.Contains(line(last, "Contact"), "sip:bank@") {
		t.Errorf("taken back with\n%s", last)
	}
	f.answer(last, "200 OK", "t", "", "")
	bound(t, ua, b2bua.BindingRemoved)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestRegisterRefused: a wrong password is not tried again at once, another
// realm gets nothing, and what is refused is asked for again later.
func TestRegisterRefused(t *testing.T) {
	t.Run("wrong password", func(t *testing.T) {
		f := newFar(t, nil)
		ua := registering(t, f, func(tr *b2bua.Trunk) { tr.Register.Retry = time.Minute })
		f.answer(f.next("REGISTER"), "401 Unauthorized", "t", challengeLine, "")
		f.answer(f.next("REGISTER"), "401 Unauthorized", "t", challengeLine, "")
		if r := bound(t, ua, b2bua.BindingRefused); r.Code != 401 || r.Fails != 1 || time.Until(r.Next) < 25*time.Second {
			t.Errorf("%+v", r)
		}
	})
	t.Run("another realm", func(t *testing.T) {
		f := newFar(t, nil)
		ua := registering(t, f, func(tr *b2bua.Trunk) { tr.Register.Retry = time.Minute })
		f.answer(f.next("REGISTER"), "401 Unauthorized", "t", "WWW-Authenticate: Digest realm=\"thief\", nonce=\"n\", note=\"realm=\\\"carrier\\\"\"\n", "")
		if r := bound(t, ua, b2bua.BindingRefused); r.Code != 401 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("then taken", func(t *testing.T) {
		f := newFar(t, nil)
		ua := registering(t, f)
		for range 3 {
			f.answer(f.next("REGISTER"), "403 Forbidden", "t", "", "")
		}
		f.answer(f.next("REGISTER"), "200 OK", "t", "", "")
		if r := bound(t, ua, b2bua.BindingRegistered); r.Fails != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("too short", func(t *testing.T) {
		f := newFar(t, nil)
		ua := registering(t, f)
		f.answer(f.next("REGISTER"), "423 Interval Too Brief", "t", "Min-Expires: 7200\n", "")
		longer := f.next("REGISTER")
		if line(longer, "Expires") != "7200" {
			t.Errorf("asked for %s", line(longer, "Expires"))
		}
		f.answer(longer, "200 OK", "t", "Expires: 7200\n", "")
		bound(t, ua, b2bua.BindingRegistered)
	})
}

// TestDigestOfTheRealmOnly: among several challenges only the one of our realm
// is answered, whatever stands first.
func TestDigestOfTheRealmOnly(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{}, func(c *b2bua.Config) {
		c.Trunks[0].Username, c.Trunks[0].Password, c.Trunks[0].Realm = "bank", "secret", "carrier"
	})
	f.answer(f.next("INVITE"), "407 Proxy Authentication Required", "t", "Proxy-Authenticate: Digest realm=\"thief\", nonce=\"n1\", algorithm=MD5\n"+
		"Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth-int,auth\"\n", "")
	f.next("ACK")
	again := f.next("INVITE")
	if a := line(again, "Proxy-Authorization"); strings.Contains(again, "thief") || !strings.Contains(a, `realm="carrier"`) || !strings.Contains(a, "SHA-256") {
		t.Errorf("Proxy-Authorization %q", a)
	}
	f.answer(again, "486 Busy Here", "t", "", "")
	f.next("ACK")
	await(t, leg, ringfence.LegEnded)
}

// TestRegisteredCall: a call to our Contact is one to the number in To.
func TestRegisteredCall(t *testing.T) {
	f := newFar(t, nil)
	seen := make(chan string, 1)
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		seen <- leg.Info().Called
		_ = leg.Answer(ctx)
	}, func(c *b2bua.Config) {
		tr := &c.Trunks[0]
		tr.Addrs, tr.Register = []string{f.addr().String()}, &b2bua.Register{User: "bank"}
	})
	reg := f.next("REGISTER")
	f.answer(reg, "200 OK", "t", "", "")
	f.gw = ua.Addrs()["main"]
	f.send("INVITE sip:bank@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKx;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\n"+
		"To: <sip:+442079460000@carrier.example>\nCall-ID: c1\nCSeq: 1 INVITE\nContact: <sip:far@%s>\nContent-Length: 0\n\n", f.gw, f.addr(), f.addr())
	ok := f.next("SIP/2.0 200")
	f.request("ACK", 1, line(ok, "To"), "", "")
	f.next("BYE") // our 200 had an offer and this ACK no answer
	select {
	case called := <-seen:
		if called != "+442079460000" {
			t.Errorf("called %q", called)
		}
	case <-within(t).Done():
		t.Fatal("the call was not handled")
	}
}

// book is DNS as a test has it. A name that is not in it has no records.
type book struct {
	naptr map[string][]b2bua.NAPTR
	srv   map[string][]b2bua.SRV
	addrs map[string][]netip.Addr
	down  bool
}

var errDNS = errors.New("no DNS")

func (b *book) NAPTR(_ context.Context, name string) ([]b2bua.NAPTR, error) {
	if b.down {
		return nil, errDNS
	}
	return b.naptr[name], nil
}

func (b *book) SRV(_ context.Context, name string) ([]b2bua.SRV, error) {
	if b.down {
		return nil, errDNS
	}
	return b.srv[name], nil
}

func (b *book) Addrs(_ context.Context, name string) ([]netip.Addr, error) {
	if b.down {
		return nil, errDNS
	}
	return b.addrs[name], nil
}

// TestNamedTrunk: a trunk that is a domain is found by NAPTR and SRV, the next
// server is tried when the first has no room, and the domain stands in the call.
func TestNamedTrunk(t *testing.T) {
	full, good := newFar(t, nil), newFar(t, nil)
	local := netip.MustParseAddr("127.0.0.1")
	dns := &book{
		naptr: map[string][]b2bua.NAPTR{"carrier.example": {
			{Order: 1, Flags: "s", Service: "SIPS+D2T", Replacement: "_sips._tcp.carrier.example."},
			{Order: 2, Flags: "s", Service: "SIP+D2U", Replacement: "_sip._udp.elsewhere.example."}}},
		srv: map[string][]b2bua.SRV{"_sip._udp.elsewhere.example": {
			{Priority: 2, Port: good.addr().Port(), Target: "b.example."}, {Priority: 1, Port: full.addr().Port(), Target: "a.example."},
			{Priority: 0, Port: 5060, Target: "."}}},
		addrs: map[string][]netip.Addr{"a.example": {local}, "b.example": {local}},
	}
	ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
		c.Resolver = dns
		c.Trunks = append(c.Trunks, b2bua.Trunk{Name: "carrier", Host: "carrier.example", Outbound: true, From: "442079460000"})
	})
	var leg *b2bua.Leg
	for ctx := within(t); leg == nil; {
		var err error
		if leg, err = ua.Place(ctx, ringfence.Placement{Trunk: "carrier", To: "441632960000"}); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	first := full.next("INVITE")
	for _, want := range []string{"INVITE sip:+441632960000@carrier.example SIP/2.0\r\n", "From: <sip:442079460000@carrier.example>;tag=", "To: <sip:+441632960000@carrier.example>\r\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("INVITE lacks %q:\n%s", want, first)
		}
	}
	full.answer(first, "503 Service Unavailable", "t", "", "")
	full.next("ACK")
	good.answer(good.next("INVITE"), "200 OK", "one", sdpType, sdpBody(1, ""))
	good.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	leg.Hangup(ringfence.EndHangup)
	good.answer(good.next("BYE"), "200 OK", "", "", "")
}

// TestOutboundProxy: calls go by the proxy, with it as their route.
func TestOutboundProxy(t *testing.T) {
	f := newFar(t, nil)
	ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
		c.Trunks[0].Addrs, c.Trunks[0].Host, c.Trunks[0].Proxy = []string{f.addr().String()}, "carrier.example", true
	})
	leg, err := ua.Place(context.Background(), ringfence.Placement{Trunk: "loop", To: "441632960000"})
	if err != nil {
		t.Fatal(err)
	}
	inv := f.next("INVITE sip:+441632960000@carrier.example ")
	if want := "<sip:" + f.addr().String() + ";lr>"; line(inv, "Route") != want {
		t.Errorf("Route %q, want %q", line(inv, "Route"), want)
	}
	f.answer(inv, "486 Busy Here", "t", "", "")
	if ack := f.next("ACK"); line(ack, "Route") == "" {
		t.Error("the ACK of a refusal lacks the route of its INVITE (RFC 3261, section 17.1.1.3)")
	}
	await(t, leg, ringfence.LegEnded)
}
