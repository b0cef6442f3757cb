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

// TestFlood: garbage of a stranger, as fast as one core sends it, neither ends
// the gateway nor fills its memory, and a trunk's calls go on beside it.
func TestFlood(t *testing.T) {
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		_ = leg.Answer(ctx)
		<-ctx.Done()
	}, func(c *b2bua.Config) { c.Trunks[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent atomic.Int64
	wg.Go(func() {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := d.Dial("udp", ua.Addrs()["main"].String())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		garbage := [][]byte{[]byte("garbage"), []byte("INVITE sip:x SIP/2.0\r\n\r\n"), make([]byte, 1400), []byte("SIP/2.0 200 OK\r\nVia: x\r\n\r\n")}
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, g := range garbage {
				_, _ = c.Write(g)
				sent.Add(1)
			}
		}
	})
	p := phone(t, peer.Config{})
	calls, slowest := 0, time.Duration(0)
	for calls < 10 || sent.Load() < 300_000 {
		start := time.Now()
		calls++
		c, err := p.Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String()})
		if err != nil {
			t.Errorf("a good call beside the flood: %v", err)
			continue
		}
		slowest = max(slowest, time.Since(start))
		c.Hangup()
	}
	close(stop)
	wg.Wait()
	t.Logf("%d messages of garbage beside %d calls, the slowest answered after %v, %d MiB resident", sent.Load(), calls, slowest, rss()>>20)
	if rss() > 512<<20 {
		t.Errorf("%d MiB resident", rss()>>20)
	}
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
