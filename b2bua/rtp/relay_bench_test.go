package rtp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// benchPair joins two sessions without sockets and returns the speaker.
func benchPair(b *testing.B, change func(*Params)) *far {
	b.Helper()
	p := newMemoryPool(b, Config{})
	b.Cleanup(p.Close)
	x, y := newFar(b, p, 10, change), newFar(b, p, 20, nil)
	x.s.Join(y.s)
	y.wire.drop, x.wire.drop = true, true
	return x
}

// benchRelay sends the same kind of packet over and over.
func benchRelay(b *testing.B, x *far, pt uint8) {
	buf := append(make([]byte, headerLen), fill(0x11, 160)...)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		putHeader(buf, &packet{pt: pt, seq: x.seq, ts: x.ts, ssrc: x.ssrc})
		x.seq++
		x.ts += 160
		x.wire.handle(buf, x.addr, now, x.wire.sc)
	}
}

// What our code costs for one relayed packet, system calls apart.
func BenchmarkRelay(b *testing.B) {
	b.Run("same codec", func(b *testing.B) { benchRelay(b, benchPair(b, nil), 0) })
	b.Run("A-law to µ-law", func(b *testing.B) {
		benchRelay(b, benchPair(b, func(p *Params) { p.Payloads = []Payload{{8, PCMA}} }), 8)
	})
	b.Run("G.722 to µ-law", func(b *testing.B) {
		benchRelay(b, benchPair(b, func(p *Params) { p.Payloads = []Payload{{9, G722}} }), 9)
	})
}

func BenchmarkSRTP(b *testing.B) {
	for _, suite := range Suites {
		b.Run("seal/"+string(suite), func(b *testing.B) {
			c, err := newCipher(nil, suite, randomKey(b, suite))
			if err != nil {
				b.Fatal(err)
			}
			sc, buf, seq := newScratch(), append(make([]byte, headerLen), fill(1, 160)...), uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				putHeader(buf, &packet{seq: seq, ssrc: 1})
				c.seal(sc.sealed[:], buf, &sc.header)
			}
		})
	}
}

func BenchmarkPrompt(b *testing.B) {
	p := &Pool{net: memoryNetwork{}, taken: make([]bool, 4), sessions: map[*Session]struct{}{}, start: time.Now(), arrivals: make([][]*Session, 1)}
	f := newFar(b, p, 10, nil)
	f.wire.drop = true
	f.s.Loop(tone(8000, 1000))
	sc, now := newScratch(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(20 * time.Millisecond)
		f.s.tick(now, sc)
	}
}

// BenchmarkSockets relays through real sockets on loopback, one iteration one
// packet of each of 200 calls, and reports the CPU time of this process for a
// packet. The generator and its two system calls are in it; "direct" is the
// generator alone.
func BenchmarkSockets(b *testing.B) {
	fast := func(c Config) network {
		n, err := newNetwork(c)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	plain := func() *SRTP { return nil }
	b.Run("direct", func(b *testing.B) { benchSockets(b, fast, true, plain) })
	b.Run("epoll", func(b *testing.B) { benchSockets(b, fast, false, plain) })
	b.Run("goroutines", func(b *testing.B) { benchSockets(b, func(Config) network { return &plainNetwork{} }, false, plain) })
	for _, suite := range []Suite{AEADAES256GCM, AESCM128SHA80} { // those that DTLS agrees with browsers
		b.Run("epoll to browsers/"+string(suite), func(b *testing.B) {
			benchSockets(b, fast, false, func() *SRTP { return &SRTP{Suite: suite, In: randomKey(b, suite), Out: randomKey(b, suite)} })
		})
	}
}

const benchCalls = 200

func benchSockets(b *testing.B, network func(Config) network, direct bool, keys func() *SRTP) {
	cfg, err := Config{Bind: loopback, PortMin: 47000, PortMax: 49999}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	pool := newPool(cfg, network(cfg))
	b.Cleanup(pool.Close)
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sink.Close() })
	_ = sink.SetReadBuffer(8 << 20)
	var phones []*phone
	var local []netip.AddrPort
	for range benchCalls {
		in, f := leg(b, pool, nil)
		out, err := pool.Open()
		if err != nil {
			b.Fatal(err)
		}
		if err := out.Negotiated(Params{Remote: sink.LocalAddr().(*net.UDPAddr).AddrPort(), Payloads: []Payload{{0, PCMU}}, SRTP: keys()}); err != nil {
			b.Fatal(err)
		}
		out.Hear(in)
		to := in.LocalAddr()
		if direct {
			to = sink.LocalAddr().(*net.UDPAddr).AddrPort()
		}
		phones, local = append(phones, f), append(local, to)
	}
	buf := append([]byte(nil), fill(0x11, headerLen+160)...)
	in := make([]byte, maxDatagram)
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	lost := 0
	b.ResetTimer()
	for b.Loop() {
		for i, f := range phones {
			putHeader(buf, &packet{seq: f.seq, ts: f.ts, ssrc: f.ssrc})
			f.seq++
			f.ts += 160
			f.raw(local[i], buf)
		}
		_ = sink.SetReadDeadline(time.Now().Add(time.Second))
		for got := 0; got < benchCalls; {
			n, _, err := sink.ReadFromUDPAddrPort(in)
			if err != nil {
				lost += benchCalls - got
				break
			}
			if n > headerLen+160 || n > headerLen && in[headerLen] == 0x11 { // encrypted, or ours
				got++
			}
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) * time.Nanosecond
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*benchCalls), "cpu-ns/packet")
	b.ReportMetric(float64(lost), "lost")
}
