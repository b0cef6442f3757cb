package b2bua_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// rss is the resident memory of this process in bytes, or 0.
func rss() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	n, _ := strconv.Atoi(f[1])
	return n * os.Getpagesize()
}

// TestFlood: garbage of strangers neither ends the gateway nor fills its memory,
// and a trunk's calls go on beside it. FLOOD=1m sends 100,000 messages a second
// from a thousand addresses for as long as told, as make flood does.
func TestFlood(t *testing.T) {
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		_ = leg.Answer(ctx)
		<-ctx.Done()
	}, func(c *b2bua.Config) { c.Trunks[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	long, _ := time.ParseDuration(os.Getenv("FLOOD"))
	strangers, enough := 50, func(f *flood) bool { return f.sent.Load() >= 300_000 }
	if long > 0 {
		begun := time.Now()
		strangers, enough = 1000, func(*flood) bool { return time.Since(begun) >= long }
	}
	f := startFlood(t, ua.Addrs()["main"].String(), strangers)
	p := phone(t, peer.Config{})
	calls, slowest := 0, time.Duration(0)
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for calls < 10 || !enough(f) {
		start := time.Now()
		calls++
		c, err := p.Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String()})
		if err != nil {
			t.Errorf("a good call beside the flood: %v", err)
			continue
		}
		slowest = max(slowest, time.Since(start))
		c.Hangup()
		<-c.Done()
		if long > 0 {
			<-pace.C
		}
	}
	rate := f.end()
	t.Logf("%d messages of garbage from %d addresses (%.0f a second) beside %d calls, the slowest answered after %v, %d MiB resident",
		f.sent.Load(), strangers, rate, calls, slowest, rss()>>20)
	if rss() > 512<<20 {
		t.Errorf("%d MiB resident", rss()>>20)
	}
	if long > 0 && slowest > time.Second {
		t.Errorf("a good call was answered after %v", slowest)
	}
}

// flood sends garbage from many addresses, 100,000 messages a second at most.
type flood struct {
	sent  atomic.Int64
	begun time.Time
	stop  chan struct{}
	wg    sync.WaitGroup
}

func startFlood(t *testing.T, to string, strangers int) *flood {
	t.Helper()
	f := &flood{begun: time.Now(), stop: make(chan struct{})}
	var conns []net.Conn
	for i := range strangers {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}}
		c, err := d.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	garbage := [][]byte{[]byte("garbage"), []byte("INVITE sip:x SIP/2.0\r\n\r\n"), make([]byte, 1400), []byte("SIP/2.0 200 OK\r\nVia: x\r\n\r\n"),
		[]byte(newParts("INVITE").String()), []byte(newParts("OPTIONS").String()), []byte(newParts("REGISTER").String())}
	f.wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-f.stop:
				for _, c := range conns {
					_ = c.Close()
				}
				return
			case <-tick.C:
			}
			for due := int(time.Since(f.begun).Seconds() * 100_000); n < due; n++ {
				_, _ = conns[n%len(conns)].Write(garbage[n%len(garbage)])
				f.sent.Add(1)
				if n%1000 == 0 {
					select {
					case <-f.stop:
						due = n
					default:
					}
				}
			}
		}
	})
	return f
}

// end stops the flood and returns how many messages a second it had.
func (f *flood) end() float64 {
	close(f.stop)
	f.wg.Wait()
	return float64(f.sent.Load()) / time.Since(f.begun).Seconds()
}

// BenchmarkSetUp is INVITE, 200, ACK, BYE through both ends in one process.
func BenchmarkSetUp(b *testing.B) {
	for _, transport := range []string{"udp", "tcp"} {
		b.Run(transport, func(b *testing.B) {
			ua := gateway(b, transport, func(ctx context.Context, leg *b2bua.Leg) {
				_ = leg.Answer(ctx)
				<-ctx.Done()
			}, func(c *b2bua.Config) { c.Limits.TrunkRate = 1 << 20 })
			p, err := peer.New(peer.Config{Transport: transport})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			uri := "sip:1@" + ua.Addrs()["main"].String()
			if transport != "udp" {
				uri += ";transport=" + transport
			}
			start := time.Now()
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c, err := p.Call(context.Background(), peer.Invite{To: uri})
					if err != nil {
						b.Error(err)
						continue
					}
					c.Hangup()
					<-c.Done()
				}
			})
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "calls/s")
		})
	}
}
