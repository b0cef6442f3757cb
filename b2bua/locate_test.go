package b2bua

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is DNS as a test has it.
type zone struct {
	naptr map[string][]NAPTR
	srv   map[string][]SRV
	addrs map[string][]netip.Addr
}

func (z zone) NAPTR(_ context.Context, n string) ([]NAPTR, error)      { return z.naptr[n], nil }
func (z zone) SRV(_ context.Context, n string) ([]SRV, error)          { return z.srv[n], nil }
func (z zone) Addrs(_ context.Context, n string) ([]netip.Addr, error) { return z.addrs[n], nil }

// TestLocate walks RFC 3263, section 4.2, for a transport that is configured.
func TestLocate(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	hosts := map[string][]netip.Addr{"example.com": {a}, "one.example.com": {a}, "two.example.com": {b},
		"bad.example.com": {netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("fe80::1"),
			netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("::ffff:127.0.0.1")}}
	srv := func(name string, s ...SRV) map[string][]SRV { return map[string][]SRV{name: s} }
	for name, tt := range map[string]struct {
		host, transport string
		z               zone
		want            string // addresses in order; "" = none
	}{
		"no records but an address": {"example.com", "udp", zone{}, "192.0.2.1:5060"},
		"the same over TLS":         {"example.com", "tls", zone{}, "192.0.2.1:5061"},
		"a port asks for no SRV":    {"example.com:5099", "udp", zone{srv: srv("_sip._udp.example.com", SRV{Port: 1, Target: "two.example.com"})}, "192.0.2.1:5099"},
		"SRV by priority": {"example.com", "tcp", zone{srv: srv("_sip._tcp.example.com", SRV{Priority: 9, Port: 7, Target: "one.example.com."},
			SRV{Priority: 1, Port: 8, Target: "two.example.com."})}, "[2001:db8::1]:8 192.0.2.1:7"},
		"SRV over TLS": {"example.com", "tls", zone{srv: srv("_sips._tcp.example.com", SRV{Port: 8, Target: "two.example.com."})}, "[2001:db8::1]:8"},
		"NAPTR of the transport": {"example.com", "udp", zone{naptr: map[string][]NAPTR{"example.com": {
			{Order: 2, Flags: "S", Service: "sip+d2u", Replacement: "late.example.com."}, {Order: 1, Flags: "s", Service: "SIP+D2U", Replacement: "first.example.com."}}},
			srv: srv("first.example.com", SRV{Port: 9, Target: "two.example.com."})}, "[2001:db8::1]:9"},
		"NAPTR does not move TLS to less": {"example.com", "tls", zone{naptr: map[string][]NAPTR{"example.com": {
			{Order: 1, Flags: "s", Service: "SIP+D2U", Replacement: "plain.example.com."}}},
			srv: srv("plain.example.com", SRV{Port: 9, Target: "two.example.com."})}, "192.0.2.1:5061"},
		"NAPTR with a pattern is not followed": {"example.com", "udp", zone{naptr: map[string][]NAPTR{"example.com": {
			{Order: 1, Flags: "s", Service: "SIP+D2U", Regexp: "!.*!x!", Replacement: "two.example.com."}}}}, "192.0.2.1:5060"},
		"no such service":        {"example.com", "udp", zone{srv: srv("_sip._udp.example.com", SRV{Target: "."})}, ""},
		"addresses of no server": {"bad.example.com", "udp", zone{}, ""},
		"nothing":                {"nowhere.example.com", "udp", zone{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tt.z.addrs = hosts
			host, port, err := splitHost(tt.host)
			if err != nil {
				t.Fatal(err)
			}
			l := &located{host: host, port: port, transport: tt.transport}
			found, _ := l.ask(t.Context(), tt.z)
			var got []string
			for _, at := range found {
				got = append(got, at.String())
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOrder: every server has its turn, and by weight.
func TestOrder(t *testing.T) {
	records := []SRV{{Priority: 1, Weight: 90, Target: "often"}, {Priority: 1, Weight: 10, Target: "seldom"}, {Priority: 0, Weight: 0, Target: "first"}}
	often := 0
	for range 2000 {
		out := order(records)
		if len(out) != 3 || out[0].Target != "first" || !slices.ContainsFunc(out, func(s SRV) bool { return s.Target == "seldom" }) {
			t.Fatalf("order %v", out)
		}
		if out[1].Target == "often" {
			often++
		}
	}
	if often < 1500 || often > 1990 {
		t.Errorf("weight 90 of 100 came first %d times in 2000", often)
	}
}

func TestPause(t *testing.T) {
	for fails, most := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 4: 4 * time.Minute, 40: longestRetry} {
		for range 50 {
			if d := pause(30*time.Second, fails); d > most || d < most/2 {
				t.Errorf("after %d failures %v, want %v to %v", fails, d, most/2, most)
			}
		}
	}
}

// record is the data of one NAPTR record.
func record(n NAPTR) []byte {
	b := binary.BigEndian.AppendUint16(nil, n.Order)
	b = binary.BigEndian.AppendUint16(b, n.Preference)
	for _, s := range []string{n.Flags, n.Service, n.Regexp} {
		b = append(append(b, byte(len(s))), s...)
	}
	for _, label := range strings.FieldsFunc(n.Replacement, func(r rune) bool { return r == '.' }) {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// TestSystemNAPTR asks a name server on loopback.
func TestSystemNAPTR(t *testing.T) {
	want := NAPTR{Order: 10, Preference: 20, Flags: "s", Service: "SIPS+D2T", Replacement: "_sips._tcp.example.com."}
	for name, forge := range map[string]func(*dnsmessage.Message){
		"true":             func(*dnsmessage.Message) {},
		"another id":       func(m *dnsmessage.Message) { m.ID++ },
		"no answer":        func(m *dnsmessage.Message) { m.Response = false },
		"another question": func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("thief.example.") },
		"server failure":   func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { // ends with the socket
				buf := make([]byte, 1500)
				n, from, err := c.ReadFromUDP(buf)
				var m dnsmessage.Message
				if err != nil || m.Unpack(buf[:n]) != nil {
					return
				}
				m.Response = true
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60},
					Body: &dnsmessage.UnknownResource{Type: typeNAPTR, Data: record(want)}}}
				forge(&m)
				out, _ := m.Pack()
				_, _ = c.WriteToUDP(out, from)
			}()
			got, err := SystemDNS{Servers: []netip.AddrPort{c.LocalAddr().(*net.UDPAddr).AddrPort()}}.NAPTR(t.Context(), "example.com")
			if name == "true" && (err != nil || len(got) != 1 || got[0] != want) {
				t.Errorf("got %v, %v", got, err)
			}
			if name != "true" && (err == nil || len(got) != 0) {
				t.Errorf("got %v, want an error", got)
			}
		})
	}
}

// FuzzNAPTR: whatever the data, what is read says the same when written again.
func FuzzNAPTR(f *testing.F) {
	f.Add(record(NAPTR{Order: 1, Flags: "s", Service: "SIP+D2U", Replacement: "_sip._udp.example.com."}))
	f.Add([]byte{0, 1, 0, 1, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseNAPTR(b)
		if !ok || strings.Contains(strings.TrimSuffix(n.Replacement, "."), "..") {
			return
		}
		if again, ok := parseNAPTR(record(n)); ok && again != n {
			t.Errorf("%+v is read again as %+v", n, again)
		}
	})
}

// faulty is a name server with faults.
type faulty func(ctx context.Context) ([]netip.Addr, error)

func (f faulty) NAPTR(context.Context, string) ([]NAPTR, error)            { return nil, nil }
func (f faulty) SRV(context.Context, string) ([]SRV, error)                { return nil, nil }
func (f faulty) Addrs(ctx context.Context, _ string) ([]netip.Addr, error) { return f(ctx) }

// TestFaultsOfDNSEndNoTrunk: down, slow, without the name and with forged
// addresses, a trunk keeps what was found last; without anything found, nobody
// is its owner.
func TestFaultsOfDNSEndNoTrunk(t *testing.T) {
	good := func(context.Context) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	}
	says := func(a ...string) faulty {
		var out []netip.Addr
		for _, s := range a {
			out = append(out, netip.MustParseAddr(s))
		}
		return func(context.Context) ([]netip.Addr, error) { return out, nil }
	}
	for name, fault := range map[string]faulty{
		"down":         func(context.Context) ([]netip.Addr, error) { return nil, errors.New("refused") },
		"slow":         func(ctx context.Context) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() },
		"no such name": says(),
		"forged":       says("127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, err := New(Config{Listeners: []Listener{{Name: "main", Transport: "udp", Addr: "192.0.2.9:5060"}},
					Trunks: []Trunk{{Name: "carrier", Host: "carrier.example", Outbound: true}}}, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				u.ctx = t.Context()
				trunk := &u.cfg.Trunks[0]
				try := func(r Resolver) string {
					u.cfg.Resolver = r
					began := time.Now()
					u.locate(trunk)
					if took := time.Since(began); took > locateTime {
						t.Errorf("asked for %v", took)
					}
					return fmt.Sprint(trunk.targets())
				}
				if got := try(fault); got != "[]" || trunk.owns(netip.MustParseAddr("127.0.0.1")) {
					t.Errorf("at the start: %s", got)
				}
				if got := try(faulty(good)); got != "[192.0.2.1:5060]" {
					t.Fatalf("answered: %s", got)
				}
				if got := try(fault); got != "[192.0.2.1:5060]" {
					t.Errorf("afterwards: %s", got)
				}
			})
		})
	}
}
