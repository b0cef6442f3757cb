package rtp

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// generatorEnv makes the test binary the far ends of BenchmarkBridged, in a
// process of their own so that their CPU time is not ours.
const generatorEnv = "RTP_BENCH_GENERATOR"

func TestMain(m *testing.M) {
	if os.Getenv(generatorEnv) != "" {
		if err := generate(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkBridged relays paced G.711 calls both ways, one packet each 20 ms
// and side, and reports the CPU time of this process for a call and second,
// its resident memory for a call, and the delay of the packets as the far ends
// see it. One iteration is four seconds. RTP_BENCH_CALLS says how many calls.
func BenchmarkBridged(b *testing.B) {
	calls := 200
	if n, err := strconv.Atoi(os.Getenv("RTP_BENCH_CALLS")); err == nil {
		calls = n
	}
	b.Run("plain", func(b *testing.B) { benchBridged(b, calls, newNetwork) })
	b.Run("goroutines", func(b *testing.B) {
		benchBridged(b, calls, func(Config) (network, error) { return &plainNetwork{}, nil })
	})
}

func benchBridged(b *testing.B, calls int, network func(Config) (network, error)) {
	cfg, err := Config{Bind: loopback, PortMin: 33000, PortMax: 64999}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	net, err := network(cfg)
	if err != nil {
		b.Fatal(err)
	}
	pool := newPool(cfg, net)
	b.Cleanup(pool.Close)
	empty := resident()
	gen := startGenerator(b, [2]Suite{})
	gen.bridge(b, pool, calls)
	var used time.Duration
	var took time.Duration
	for b.Loop() {
		begun, before := time.Now(), cpuTime()
		<-time.After(4 * time.Second)
		used += cpuTime() - before
		took += time.Since(begun)
	}
	memory := resident() - empty
	r := gen.end(b)
	b.ReportMetric(used.Seconds()*1000/took.Seconds()/float64(calls), "cpu-ms/call/s")
	b.ReportMetric(float64(used.Nanoseconds())/took.Seconds()/float64(calls*100), "cpu-ns/packet")
	b.ReportMetric(float64(memory)/1024/float64(calls), "KiB/call")
	b.ReportMetric(float64(r.P50)/1000, "µs-p50")
	b.ReportMetric(float64(r.P99)/1000, "µs-p99")
	b.ReportMetric(100*float64(r.Sent-r.Got)/float64(max(1, r.Sent)), "%lost")
	b.ReportMetric(float64(r.Wrong), "wrong")
}

// cpuTime is what this process used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the resident memory of this process in bytes, or 0.
func resident() int {
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n * os.Getpagesize()
}

// generator is the process of the far ends as the benchmark sees it.
type generator struct {
	cmd    *exec.Cmd
	suites [2]Suite
	in     *os.File
	out    *bufio.Reader
	addrs  [2]netip.AddrPort
}

// bridge opens that many calls between both sides and returns when every one
// has begun.
func (g *generator) bridge(b *testing.B, pool *Pool, calls int) {
	b.Helper()
	var ports []string
	for range calls {
		var pair [2]*Session
		for i := range pair {
			s, err := pool.Open()
			if err != nil {
				b.Fatal(err)
			}
			p := Params{Remote: g.addrs[i], Payloads: []Payload{{0, PCMU}}}
			if suite := g.suites[i]; suite != "" {
				p.SRTP = &SRTP{Suite: suite, In: fill(1, suite.KeyLen()), Out: fill(2, suite.KeyLen())}
			}
			if err := s.Negotiated(p); err != nil {
				b.Fatal(err)
			}
			pair[i] = s
			ports = append(ports, strconv.Itoa(int(s.port)))
		}
		pair[0].Join(pair[1])
	}
	fmt.Fprintln(g.in, strings.Join(ports, " "))
	<-time.After(time.Second)
}

// generated is what the far ends saw. Delays are in nanoseconds.
type generated struct {
	Sent, Got, Wrong int
	P50, P99         int64
}

// startGenerator starts far ends whose sides speak SRTP by these suites, or
// plain RTP where the suite is empty.
func startGenerator(b *testing.B, suites [2]Suite) *generator {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), generatorEnv+"="+string(suites[0])+","+string(suites[1]))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	g := &generator{cmd: cmd, suites: suites, in: in.(*os.File), out: bufio.NewReader(out)}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for i := range g.addrs {
		line, err := g.out.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		g.addrs[i] = netip.MustParseAddrPort(strings.TrimSpace(line))
	}
	return g
}

func (g *generator) end(b *testing.B) generated {
	b.Helper()
	_ = g.in.Close()
	var r generated
	if err := json.NewDecoder(g.out).Decode(&r); err != nil {
		b.Fatal(err)
	}
	return r
}

// generate is the process of the far ends: it says the addresses of both
// sides, reads the ports of every call, and sends until its input ends.
func generate() error {
	var sides [2]*net.UDPConn
	first, second, _ := strings.Cut(os.Getenv(generatorEnv), ",")
	suites := [2]Suite{Suite(first), Suite(second)}
	for i := range sides {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		_ = c.SetReadBuffer(8 << 20)
		sides[i] = c
		fmt.Println(c.LocalAddr())
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	var ports []uint16
	for _, f := range strings.Fields(line) {
		n, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return err
		}
		ports = append(ports, uint16(n))
	}
	done := make(chan struct{})
	go func() { _, _ = in.ReadByte(); close(done) }()
	var got [2]heardBy
	var wg sync.WaitGroup
	for i := range sides {
		wg.Go(func() { got[i].listen(sides[i], ports, i, suites[i]) })
	}
	sent := send(sides, ports, suites, done)
	<-time.After(300 * time.Millisecond)
	for _, c := range sides {
		_ = c.Close()
	}
	wg.Wait()
	all := slices.Concat(got[0].delays, got[1].delays)
	slices.Sort(all)
	r := generated{Sent: sent, Got: len(all), Wrong: got[0].wrong + got[1].wrong}
	if n := len(all); n > 0 {
		r.P50, r.P99 = all[n/2], all[n*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// send paces one packet each 20 ms for each side of each call, spread over the
// 20 ms.
func send(sides [2]*net.UDPConn, ports []uint16, suites [2]Suite, done <-chan struct{}) (sent int) {
	buf, sc := fill(0x11, headerLen+160), newScratch()
	ciphers := make([]*cipher, len(ports))
	for i := range ciphers {
		ciphers[i] = farCipher(suites[i%2], 1)
	}
	seqs := make([]uint16, len(ports))
	due := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for slot := 0; ; {
		select {
		case <-done:
			return sent
		case <-tick.C:
		}
		for ; !due.After(time.Now()); due = due.Add(time.Millisecond) {
			for i := slot; i < len(ports); i += 20 {
				putHeader(buf, &packet{seq: seqs[i], ts: 160 * uint32(seqs[i]), ssrc: uint32(i) + 1})
				seqs[i]++
				binary.BigEndian.PutUint64(buf[headerLen:], uint64(time.Now().UnixNano()))
				binary.BigEndian.PutUint16(buf[headerLen+8:], ports[i])
				out := buf
				if c := ciphers[i]; c != nil {
					out, _ = c.seal(sc.sealed[:], buf, &sc.header)
				}
				if _, err := sides[i%2].WriteToUDPAddrPort(out, netip.AddrPortFrom(loopback, ports[i])); err == nil {
					sent++
				}
			}
			slot = (slot + 1) % 20
		}
	}
}

// heardBy is what one side heard.
type heardBy struct {
	delays []int64
	wrong  int // packets of another call
}

func (h *heardBy) listen(c *net.UDPConn, ports []uint16, side int, suite Suite) {
	peer := map[uint16]uint16{} // of our leg here: the leg its call came in by
	ciphers := map[uint16]*cipher{}
	for i := side; i < len(ports); i += 2 {
		peer[ports[i]], ciphers[ports[i]] = ports[i^1], farCipher(suite, 2)
	}
	raw, sc := make([]byte, 2048), newScratch()
	for {
		n, from, err := c.ReadFromUDPAddrPort(raw)
		if err != nil {
			return
		}
		b := raw[:n]
		if c := ciphers[from.Port()]; c != nil {
			b, _ = c.open(sc.opened[:], b, &sc.header, true)
		}
		if len(b) != headerLen+160 || b[headerLen+10] != 0x11 {
			continue // silence of ours before the call began
		}
		h.delays = append(h.delays, time.Now().UnixNano()-int64(binary.BigEndian.Uint64(b[headerLen:])))
		if peer[from.Port()] != binary.BigEndian.Uint16(b[headerLen+8:]) {
			h.wrong++
		}
	}
}

// farCipher is one way of a far end, or nil for plain RTP.
func farCipher(suite Suite, key byte) *cipher {
	if suite == "" {
		return nil
	}
	c, err := newCipher(nil, suite, fill(key, suite.KeyLen()))
	if err != nil {
		panic("rtp: benchmark: " + err.Error())
	}
	return c
}

// BenchmarkProtected relays the same calls plain, with SRTP on both sides and
// with SRTP on one side, as between a carrier and a browser. They take turns
// of three seconds, so that neighbours weigh on all alike; the metrics are the
// CPU time of a relayed packet, and the share of the plain rate that the others
// reach on the same CPU. -benchtime 5x says how many turns.
func BenchmarkProtected(b *testing.B) {
	kinds := []struct {
		name   string
		suites [2]Suite
	}{
		{"plain", [2]Suite{}},
		{"srtp-gcm256", [2]Suite{AEADAES256GCM, AEADAES256GCM}},
		{"srtp-sha1", [2]Suite{AESCM128SHA80, AESCM128SHA80}},
		{"browser-gcm256", [2]Suite{"", AEADAES256GCM}},
		{"browser-sha1", [2]Suite{"", AESCM128SHA80}},
	}
	used := make([]float64, len(kinds))
	got, lost, wrong := 0, 0, 0
	for b.Loop() {
		for i, k := range kinds {
			cpu, r := benchKind(b, k.suites)
			used[i] += cpu
			got, lost, wrong = got+r.Got, lost+r.Sent-r.Got, wrong+r.Wrong
		}
	}
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	for i, k := range kinds {
		b.ReportMetric(used[i]/float64(b.N), k.name+"-ns/packet")
		if i > 0 {
			b.ReportMetric(100*used[0]/used[i], k.name+"-%-of-plain")
		}
	}
	b.ReportMetric(100*float64(lost)/float64(max(1, got+lost)), "%lost")
	b.ReportMetric(float64(wrong), "wrong")
}

// benchKind relays 100 calls for three seconds and returns the nanoseconds of
// CPU that a packet took.
func benchKind(b *testing.B, suites [2]Suite) (float64, generated) {
	b.Helper()
	pool, err := NewPool(Config{Bind: loopback, PortMin: 33000, PortMax: 64999})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	gen := startGenerator(b, suites)
	gen.bridge(b, pool, 100)
	relayed := func() (n uint64) {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		for s := range pool.sessions {
			n += s.Stats().Received
		}
		return n
	}
	packets, before := relayed(), cpuTime()
	<-time.After(3 * time.Second)
	cpu := cpuTime() - before
	packets = relayed() - packets
	return float64(cpu.Nanoseconds()) / float64(max(1, packets)), gen.end(b)
}

// BenchmarkPrompted plays a prompt to 2,000 callers, or RTP_BENCH_CALLS, and
// reports the CPU time of this process for a call and second, and the share of
// the packets due that were not sent. One iteration is four seconds.
func BenchmarkPrompted(b *testing.B) {
	calls := 2000
	if n, err := strconv.Atoi(os.Getenv("RTP_BENCH_CALLS")); err == nil {
		calls = n
	}
	pool, err := NewPool(Config{Bind: loopback, PortMin: 33000, PortMax: 64999})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	empty := resident()
	gen := startGenerator(b, [2]Suite{})
	fmt.Fprintln(gen.in, "")
	clip, all := tone(8000*60, 1000), make([]*Session, calls)
	for i := range all {
		s, err := pool.Open()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Negotiated(Params{Remote: gen.addrs[i%2], Payloads: []Payload{{0, PCMU}}}); err != nil {
			b.Fatal(err)
		}
		s.Loop(clip)
		all[i] = s
	}
	sent := func() (n uint64) {
		for _, s := range all {
			n += s.Stats().Sent
		}
		return n
	}
	<-time.After(time.Second)
	var used, took time.Duration
	var packets uint64
	for b.Loop() {
		begun, before, n := time.Now(), cpuTime(), sent()
		<-time.After(4 * time.Second)
		used += cpuTime() - before
		took += time.Since(begun)
		packets += sent() - n
	}
	due := took.Seconds() * 50 * float64(calls)
	b.ReportMetric(0, "ns/op") // four seconds
	b.ReportMetric(used.Seconds()*1000/took.Seconds()/float64(calls), "cpu-ms/call/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(max(1, packets)), "cpu-ns/packet")
	b.ReportMetric(used.Seconds()/took.Seconds(), "cores")
	b.ReportMetric(100*max(0, 1-float64(packets)/due), "%unsent")
	b.ReportMetric(float64(resident()-empty)/1024/float64(calls), "KiB/call")
}
