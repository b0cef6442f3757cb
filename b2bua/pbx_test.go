package b2bua_test

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"

	"github.com/ringfence/ringfence/test/port"
)

// secured carries SIP over TCP on to a TLS listener, for a SIPp without TLS. It
// names the transport as it is on each side.
func secured(t *testing.T, gateway string, client *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			plain, err := l.Accept()
			if err != nil {
				return
			}
			secure, err := tls.Dial("tcp", gateway, client)
			if err != nil {
				_ = plain.Close()
				continue
			}
			go carry(secure, plain, "TCP", "TLS")
			go carry(plain, secure, "TLS", "TCP")
		}
	}()
	return l.Addr().String()
}

func carry(to, from net.Conn, old, now string) {
	defer to.Close()
	words := strings.NewReplacer("SIP/2.0/"+old, "SIP/2.0/"+now, "transport="+strings.ToLower(old), "transport="+strings.ToLower(now),
		"transport="+old, "transport="+now)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := words.WriteString(to, string(buf[:n])); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestPBX is SIPp in the way of large PBXs, over TLS: a session timer, a re-INVITE
// without a description, hold by sendonly and by 0.0.0.0, each taken back, a
// refresh by UPDATE.
func TestPBX(t *testing.T) {
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is missing: apt-get install sip-tester")
		}
		t.Skip("sipp is not installed")
	}
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			server, client := testTLS(t)
			legs := make(chan *b2bua.Leg, 1)
			ua := gateway(t, transport, answering(legs), func(c *b2bua.Config) {
				if transport == "tls" {
					c.Listeners[0].TLS, c.Trunks[0].TLS = server, client
				}
			})
			target, mode := ua.Addrs()["main"].String(), "t1"
			switch transport {
			case "udp":
				mode = "u1"
			case "tls":
				target = secured(t, target, client)
			}
			pbx := sipp(t, within(t), "pbx.xml", "-p", strconv.Itoa(port.Free(t)), "-m", "1", "-s", "4400", "-t", mode, target)
			leg := answered(t, legs)
			for _, back := range []bool{false, true, false, true} {
				if e := await(t, leg, ringfence.LegHeld); e.Whole != back {
					t.Errorf("held: back is %v, want %v", e.Whole, back)
				}
			}
			if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndBye {
				t.Errorf("ended by %s", e.Cause)
			}
			if err := <-pbx; err != nil {
				t.Error(err)
			}
		})
	}
}
