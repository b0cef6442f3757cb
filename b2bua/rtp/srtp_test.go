package rtp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// secured gives a far end on a memoryNetwork SRTP, and returns its own
// contexts: what it sends with, and what it hears with.
func secured(t testing.TB, p *Pool, suite Suite) (f *far, send, hear *cipher, params Params) {
	t.Helper()
	in, out := randomKey(t, suite), randomKey(t, suite)
	f = newFar(t, p, 10, func(x *Params) {
		x.SRTP = &SRTP{Suite: suite, In: in, Out: out}
		params = *x
	})
	var err error
	if send, err = newCipher(nil, suite, in); err != nil {
		t.Fatal(err)
	}
	if hear, err = newCipher(nil, suite, out); err != nil {
		t.Fatal(err)
	}
	return f, send, hear, params
}

func sealed(t testing.TB, c *cipher, b []byte) []byte {
	t.Helper()
	out, err := c.ctx.EncryptRTP(nil, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSRTPRefusals(t *testing.T) {
	for _, suite := range Suites {
		t.Run(string(suite), func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, p *Pool) {
				f, send, _, params := secured(t, p, suite)
				peer := newFar(t, p, 20, nil)
				f.s.Join(peer.s)
				next := func() []byte {
					b := f.bytes(0, false, f.ts, fill(0x11, 160))
					f.ts += 160
					return b
				}
				refuse := func(name string, b []byte) {
					t.Helper()
					before := f.s.Stats().Unauthentic
					f.arrive(f.addr, b)
					if n := len(peer.wire.take()); n != 0 {
						t.Errorf("%s: heard", name)
					}
					if f.s.Stats().Unauthentic == before {
						t.Errorf("%s: not counted", name)
					}
				}
				refuse("plain RTP first", next())
				if f.s.in.latch.locked {
					t.Error("plain RTP moves the latch")
				}
				wrong, err := newCipher(nil, suite, randomKey(t, suite))
				if err != nil {
					t.Fatal(err)
				}
				refuse("a wrong key", sealed(t, wrong, next()))
				good := sealed(t, send, next())
				for i := range good {
					bad := append([]byte(nil), good...)
					bad[i] ^= 1
					f.arrive(f.addr, bad)
				}
				if n := len(peer.wire.take()); n != 0 {
					t.Errorf("%d packets with one bit turned are heard", n)
				}
				f.arrive(f.addr, good)
				if n := len(peer.wire.take()); n != 1 {
					t.Fatalf("the good packet is not heard")
				}
				refuse("a replay", good)
				refuse("plain RTP later", next())
				for n := range len(good) {
					f.arrive(f.addr, good[:n])
				}
				if n := len(peer.wire.take()); n != 0 {
					t.Errorf("%d shortened packets are heard", n)
				}
				if err := f.s.Negotiated(params); err != nil {
					t.Fatal(err)
				}
				refuse("a replay after a re-INVITE with the same keys", good)
				f.arrive(f.addr, sealed(t, send, next()))
				if n := len(peer.wire.take()); n != 1 {
					t.Fatal("the stream does not outlive a re-INVITE with the same keys")
				}
				plain := params
				plain.SRTP = nil
				if err := f.s.Negotiated(plain); err != ErrDowngrade {
					t.Errorf("plain RTP again: have %v, want ErrDowngrade", err)
				}
			})
		})
	}
}

// Strangers who make up SSRCs before the first good packet do not grow the
// tables of the SRTP library.
func TestSRTPStrangersCostNoMemory(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f, send, _, _ := secured(t, p, AEADAES256GCM)
		junk := f.bytes(0, false, 1, fill(1, 176))
		for i := range 10000 {
			junk[8], junk[9], junk[10] = byte(i>>16), byte(i>>8), byte(i)
			f.arrive(f.addr, junk)
		}
		if f.s.in.srtp.fails > maxEarlyFails {
			t.Fatalf("%d failures kept", f.s.in.srtp.fails)
		}
		f.arrive(f.addr, sealed(t, send, f.bytes(0, false, f.ts, fill(1, 160))))
		if f.s.Stats().Received != 1 {
			t.Fatal("the good packet is not heard after them")
		}
	})
}

// Reports are sealed and opened with the same keys, and a plain one is refused.
func TestSRTCP(t *testing.T) {
	for _, suite := range Suites {
		bubble(t, Config{}, func(t *testing.T, p *Pool) {
			f, send, hear, _ := secured(t, p, suite)
			f.arrive(f.addr, sealed(t, send, f.bytes(0, false, f.ts, fill(1, 160))))
			pass(20 * time.Second)
			ours := f.ctl.take()
			if len(ours) < 2 {
				t.Fatalf("%s: %d reports in 20 s", suite, len(ours))
			}
			open, err := hear.ctx.DecryptRTCP(nil, ours[0].raw, nil)
			var r report
			if err != nil || !parseReport(open, f.ssrc, &r) || !r.about {
				t.Fatalf("%s: our report does not open: %v", suite, err)
			}
			other := &Session{ssrc: f.ssrc}
			other.out.params.Payloads = []Payload{{0, PCMU}}
			plain := other.compose(nil, time.Now())
			f.ctl.handle(plain, f.addr, time.Now(), f.ctl.sc)
			if n := f.s.Stats().Reports; n != 0 {
				t.Fatalf("%s: a plain report is used", suite)
			}
			sealedReport, err := send.ctx.EncryptRTCP(nil, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second is a replay
				f.ctl.handle(sealedReport, f.addr, time.Now(), f.ctl.sc)
			}
			if st := f.s.Stats(); st.Reports != 1 || st.Unauthentic != 2 {
				t.Fatalf("%s: %d reports used, %d refused", suite, st.Reports, st.Unauthentic)
			}
		})
	}
}

// What we send is one keystream: no two packets have the same SSRC and
// sequence number over prompts, relays and re-INVITEs, and all of it opens.
func TestSRTPNeverUsesAKeystreamTwice(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f, _, _, params := secured(t, p, AESCM128SHA80)
		hear, err := srtp.CreateContext(params.SRTP.Out[:16], params.SRTP.Out[16:], srtp.ProtectionProfileAes128CmHmacSha1_80, srtp.SRTPReplayProtection(1024))
		if err != nil {
			t.Fatal(err)
		}
		peer := newFar(t, p, 20, nil)
		seen := map[uint16]bool{}
		for i := range 60 {
			switch i % 4 {
			case 0:
				f.s.Join(peer.s)
			case 1:
				f.s.Play(tone(800, 9))
			case 2:
				if err := f.s.Negotiated(params); err != nil {
					t.Fatal(err)
				}
			case 3:
				f.s.Part()
			}
			for range 5 {
				peer.say(0x31)
				pass(20 * time.Millisecond)
			}
			for _, q := range f.wire.take() {
				if seen[q.seq] {
					t.Fatalf("sequence number %d twice", q.seq)
				}
				seen[q.seq] = true
				if _, err := hear.DecryptRTP(nil, q.raw, nil); err != nil {
					t.Fatalf("does not open: %v", err)
				}
			}
		}
	})
}

func TestSRTPHidesItsKeys(t *testing.T) {
	k := &SRTP{Suite: AEADAES128GCM, In: []byte("a very secret key of ours 01"), Out: []byte("a very secret key of ours 02")}
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v", *k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", *k), fmt.Sprintf("%+v", Params{SRTP: k})} {
		if strings.Contains(s, "secret") || strings.Contains(s, "115 101 99") {
			t.Errorf("shows the key: %s", s)
		}
	}
}
