package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
)

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func localURL(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "http://localhost:" + port
}

// testConfig is a small office: a carrier, two agents' phones, the shipped
// lines and queues.
func testConfig(t *testing.T, agents *peer.Peer) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	cfg.SIP.Listeners = []config.Listener{
		{Name: "carrier", Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"carrier"}},
		{Name: "phones", Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"phones"}},
	}
	cfg.SIP.Trunks = []config.Trunk{{Name: "carrier", Sources: loopback}, {Name: "phones", Sources: loopback, Agents: true}}
	staff, public := freeAddr(t), freeAddr(t)
	cfg.Web.Staff = config.WebListener{Listen: staff, URL: localURL(staff)}
	cfg.Web.Public = config.WebListener{Listen: public, URL: localURL(public)}
	cfg.Verify.Prefixes = []string{"44"}
	cfg.Deliver.Outbox = true
	cfg.Lines = []config.Line{{Name: "accounts", Numbers: []string{"442079460001"}, Flow: "accounts-line", Fallback: "payments_clerk", Language: "en"}}
	cfg.Queues = []config.Queue{{Name: "payments_clerk", People: []string{"ada@example.com"}}}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// started is a running app with one agent, who has a phone and an open console.
func started(t *testing.T, agents *peer.Peer, edit ...func(*config.Config)) *app {
	t.Helper()
	cfg := testConfig(t, agents)
	for _, f := range edit {
		f(&cfg)
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	var log *slog.Logger
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	a, err := newApp(t.Context(), cfg, appOptions{Volatile: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	link, err := a.invite(t.Context(), ringfence.DefaultTenant, ringfence.Person{Name: "Ada", Email: "ada@example.com",
		Roles: []ringfence.Role{ringfence.RoleAgent}, Place: agents.URI("ada")})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	openConsole(t, a, "Ada", link)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		ended, now := context.WithCancel(ctx)
		now()
		a.drain(ended)
		if err := a.close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

// openConsole signs a person in and keeps their console open. It returns when
// they count as ready.
func openConsole(t *testing.T, a *app, name, link string) *lab.Staff {
	t.Helper()
	staff := lab.NewStaff(name, a.cfg.Web.Staff.URL, passkeytest.New(a.cfg.Web.Staff.URL), nil)
	if err := staff.Join(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if err := staff.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = staff.WaitCall(t.Context(), func(ringfence.LiveCall) bool { return false })
	}()
	deadline := time.Now().Add(20 * time.Second)
	for len(a.ready(ringfence.DefaultTenant)) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the console never counted as open")
		}
		runtime.Gosched()
	}
	return staff
}

func newPeer(t *testing.T, name string) *peer.Peer {
	t.Helper()
	p, err := peer.New(peer.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
	})
	return p
}

// tone is one second of a square wave that survives G.711.
func tone() ringfence.Clip {
	c := make(ringfence.Clip, 8000)
	for i := range c {
		c[i] = 8000
		if i/10%2 == 0 {
			c[i] = -8000
		}
	}
	return c
}

// hears waits until a call has received loud audio.
func hears(t *testing.T, what string, c *peer.Call) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	loud := 0
	for loud < 25 {
		select {
		case f := <-c.Audio():
			if f.Way != rtp.Received || len(f.PCM) == 0 {
				continue
			}
			if peak(f.PCM) > 4000 {
				loud++
			}
		case <-deadline:
			t.Fatalf("%s: heard %d loud packets, want 25", what, loud)
		}
	}
}

func peak(pcm []int16) int16 {
	var most int16
	for _, s := range pcm {
		most = max(most, s)
	}
	return most
}

func TestUnknownNumberIsRefused(t *testing.T) {
	agents := newPeer(t, "agents")
	a := started(t, agents)
	caller := newPeer(t, "caller")
	_, err := caller.Call(t.Context(), peer.Invite{To: "sip:442079469999@" + a.ua.Addrs()["carrier"].String(), FromTN: "447700900123"})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a number of no line: %v, want 404", err)
	}
}

// TestAccountsLineReachesTheClerk calls a line, is put through to the agent,
// hears them and is heard, and ends with the agent's BYE.
func TestAccountsLineReachesTheClerk(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := make(chan *peer.Call, 1)
	agents.Serve(func(ctx context.Context, c *peer.Call) {
		if err := c.Answer(ctx); err != nil {
			t.Errorf("agent: %v", err)
			return
		}
		ringing <- c
		<-c.Done()
	})
	a := started(t, agents)
	caller := newPeer(t, "caller")
	call, err := caller.Call(t.Context(), peer.Invite{To: "sip:442079460001@" + a.ua.Addrs()["carrier"].String(), FromTN: "447700900123"})
	if err != nil {
		t.Fatal(err)
	}
	var agent *peer.Call
	select {
	case agent = <-ringing:
	case <-time.After(30 * time.Second):
		t.Fatalf("the agent's phone never rang; %+v", a.runner.Live(ringfence.DefaultTenant))
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = call.Say(t.Context(), tone()) }()
	hears(t, "the agent", agent)
	<-done
	done = make(chan struct{})
	go func() { defer close(done); _ = agent.Say(t.Context(), tone()) }()
	hears(t, "the caller", call)
	<-done
	live := a.runner.Live(ringfence.DefaultTenant)
	if len(live) != 1 || live[0].State != "talking" || live[0].Owner == "" {
		t.Errorf("live calls: %+v", live)
	}
	agent.Hangup()
	select {
	case <-call.Done():
	case <-time.After(10 * time.Second):
		t.Error("the agent's BYE did not end the caller's leg")
	}
}
