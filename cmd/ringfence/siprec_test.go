package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// recordingServer is a session recording server on loopback. It answers INVITEs
// with status, and keeps them.
type recordingServer struct {
	sip, one, two *net.UDPConn
	status        string
	invites       chan string
	byes          chan string
}

func newRecordingServer(t *testing.T, status string) *recordingServer {
	t.Helper()
	r := &recordingServer{status: status, invites: make(chan string, 10), byes: make(chan string, 10)}
	for _, c := range []**net.UDPConn{&r.sip, &r.one, &r.two} {
		var err error
		if *c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*c).Close() })
	}
	go r.serve() // ends with its socket
	return r
}

func (r *recordingServer) serve() {
	buf := make([]byte, 65536)
	for {
		n, from, err := r.sip.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		text := string(buf[:n])
		method, _, _ := strings.Cut(text, " ")
		switch method {
		case "INVITE":
			r.invites <- text
			way := "recvonly"
			if strings.Contains(text, "a=inactive") {
				way = "inactive"
			}
			body := fmt.Sprintf("v=0\r\no=- 5 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=%s\r\nm=audio %d RTP/AVP 0\r\na=%s\r\n", port(r.one), way, port(r.two), way)
			r.answer(text, from, r.status, "Content-Type: application/sdp\r\n", body)
		case "BYE":
			r.byes <- text
			r.answer(text, from, "200 OK", "", "")
		}
	}
}

func port(c *net.UDPConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

func (r *recordingServer) answer(req string, to netip.AddrPort, status, extra, body string) {
	field := func(name string) string {
		_, rest, _ := strings.Cut(req, "\r\n"+name+": ")
		v, _, _ := strings.Cut(rest, "\r\n")
		return v
	}
	dst := field("To")
	if !strings.Contains(dst, "tag=") {
		dst += ";tag=srs"
	}
	if !strings.HasPrefix(status, "2") {
		extra, body = "", ""
	}
	_, _ = r.sip.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:srs@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		status, field("Via"), field("From"), dst, field("Call-ID"), field("CSeq"), r.sip.LocalAddr(), extra, len(body), body), to)
}

// hears waits for a tone in one of its streams.
func (r *recordingServer) hears(t *testing.T, c *net.UDPConn, freq float64) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 2048)
	for {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%v Hz was never recorded: %v", freq, err)
		}
		if n == 172 && pitched(ulaw(buf[12:n]), freq) {
			return
		}
	}
}

func (r *recordingServer) use(c *config.Config) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	c.SIP.Listeners = append(c.SIP.Listeners, config.Listener{Name: "recorders", Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"srs"}})
	c.SIP.Trunks = append(c.SIP.Trunks, config.Trunk{Name: "srs", Addrs: []string{r.sip.LocalAddr().String()}, Sources: loopback, Outbound: true,
		TrunkPeer: config.TrunkPeer{Ping: -1}, Codecs: []string{"PCMU"}})
	c.Lines[0].Record = config.LineRecord{Notice: "This call is recorded."}
	c.Media.Recorders = []config.Recorder{{Name: "srs", Trunk: "srs", Lines: []string{"accounts"}}}
}

// TestARecorderGetsBothSides: a session beside the call, which ends with it.
func TestARecorderGetsBothSides(t *testing.T) {
	t.Parallel()
	r := newRecordingServer(t, "200 OK")
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, r.use)
	call := dial(t, a)
	agent := <-ringing
	inv := <-r.invites
	if !strings.Contains(inv, "<name>caller</name>") || !strings.Contains(inv, "Require: siprec") || strings.Contains(inv, "447700900123") {
		t.Errorf("INVITE to the recorder\n%s", inv)
	}
	for range 10 { // some of it is said before the recorder has answered
		if err := call.Say(t.Context(), pitch(700)); err != nil {
			t.Fatal(err)
		}
	}
	r.hears(t, r.one, 700)
	for range 2 {
		if err := agent.Say(t.Context(), pitch(1100)); err != nil {
			t.Fatal(err)
		}
	}
	r.hears(t, r.two, 1100)
	id := a.runner.Live(ringfence.DefaultTenant)[0].Traversal
	call.Hangup()
	<-agent.Done()
	<-r.byes
	wentOut(t, a, id, "recorder/srs")
}

// wentOut waits until the ledger tells, once each, that a call's audio went to
// somebody and that it ended.
func wentOut(t *testing.T, a *app, id ringfence.TraversalID, to string) {
	t.Helper()
	waitFor(t, "entries of what went to "+to, func() bool {
		n := map[string]int{}
		if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			clear(n)
			entries, err := tx.Entries(t.Context(), ledger.EntryQuery{Traversal: id, Limit: 1000})
			for _, e := range entries {
				if e.Object == to {
					n[string(e.Event)]++
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n["recording.started"] == 1 && n["recording.ended"] == 1
	})
}

// TestARecorderThatFailsEndsNoCall: a recorder that refuses leaves the call as
// it is.
func TestARecorderThatFailsEndsNoCall(t *testing.T) {
	t.Parallel()
	r := newRecordingServer(t, "500 Disk Full")
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, r.use)
	call := dial(t, a)
	agent := <-ringing
	<-r.invites
	waitFor(t, "the session is over", func() bool {
		a.copies.mu.Lock()
		defer a.copies.mu.Unlock()
		return len(a.copies.live) == 0
	})
	if heard := speaks(t, 700, call, agent); !heard[0] {
		t.Error("the agent does not hear the caller any more")
	}
	call.Hangup()
	<-agent.Done()
}

func ulaw(b []byte) (pcm []int16) {
	for _, v := range b {
		pcm = append(pcm, g711.DecodeUlawFrame(v))
	}
	return pcm
}

// TestARecorderIsPausedForASecret: while a leg is cut the recorder is told that
// both streams are inactive, and hears on when the secret is over. It learns who
// holds whom.
func TestARecorderIsPausedForASecret(t *testing.T) {
	t.Parallel()
	r := newRecordingServer(t, "200 OK")
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, r.use)
	call, err := newPeer(t, "caller").Call(t.Context(), peer.Invite{To: agents.URI("ada")})
	if err != nil {
		t.Fatal(err)
	}
	leg := (<-ringing).Leg()
	m := runner.Moment{Kind: runner.MomentJoined, Tenant: ringfence.DefaultTenant, Traversal: "trv_1", Reference: "ABCD2345", Line: runner.Line{Name: "accounts"}, Caller: leg, Consented: true}
	a.siprecMoment(t.Context(), m)
	r.told(t, "a=sendonly")
	if err := call.Say(t.Context(), pitch(700)); err != nil {
		t.Fatal(err)
	}
	r.hears(t, r.one, 700)
	leg.Cut(true)
	r.told(t, "a=inactive")
	m.Kind, m.AgentHolds = runner.MomentHeld, true // told of in the pause as well
	a.siprecMoment(t.Context(), m)
	if inv := r.told(t, "a=inactive"); strings.Count(inv, "<recv>") != 1 {
		t.Errorf("metadata of a hold:\n%s", inv)
	}
	leg.Cut(false)
	r.told(t, "a=sendonly")
	if err := call.Say(t.Context(), pitch(1100)); err != nil {
		t.Fatal(err)
	}
	r.hears(t, r.one, 1100)
	call.Hangup()
	<-r.byes
}

// told waits for the next INVITE, whose two streams go this way.
func (r *recordingServer) told(t *testing.T, way string) string {
	t.Helper()
	select {
	case inv := <-r.invites:
		if strings.Count(inv, way+"\r\n") != 2 {
			t.Errorf("want %s twice:\n%s", way, inv)
		}
		return inv
	case <-time.After(30 * time.Second):
		t.Fatalf("the recorder was never told %s", way)
		return ""
	}
}
