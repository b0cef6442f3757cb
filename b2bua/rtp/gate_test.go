package rtp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

// bubble runs f with a pool without sockets, in a synctest bubble.
func bubble(t *testing.T, cfg Config, f func(t *testing.T, p *Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newMemoryPool(t, cfg)
		defer p.Close()
		f(t, p)
	})
}

// pass lets time pass in the bubble and waits until all is done that was due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// continuous checks the numbers of one stream: one SSRC, no hole and no
// double in the sequence, audio that never goes back and never leaves more
// than slack behind it.
func continuous(t *testing.T, sent []sentPacket, slack uint32) {
	t.Helper()
	for i := 1; i < len(sent); i++ {
		p, q := sent[i-1], sent[i]
		if q.ssrc != p.ssrc {
			t.Fatalf("packet %d: SSRC %x after %x", i, q.ssrc, p.ssrc)
		}
		if q.seq != p.seq+1 {
			t.Fatalf("packet %d: sequence number %d after %d", i, q.seq, p.seq)
		}
		if q.pt == 101 || p.pt == 101 {
			continue
		}
		step := int32(q.ts - p.ts)
		if step < int32(len(p.payload)) || uint32(step) > uint32(len(p.payload))+slack {
			t.Fatalf("packet %d: timestamp moves by %d after %d samples", i, step, len(p.payload))
		}
	}
}

func TestSwitchingIsContinuous(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b, c := newFar(t, p, 10, nil), newFar(t, p, 20, nil), newFar(t, p, 30, nil)
		rng := rand.New(rand.NewPCG(1, 2))
		var all []sentPacket
		for range 400 {
			switch rng.IntN(8) {
			case 0:
				a.s.Play(tone(rng.IntN(1600)+1, 500))
			case 1:
				a.s.Loop(tone(333, 700))
			case 2:
				a.s.Stop()
			case 3:
				a.s.Join(b.s)
			case 4:
				a.s.Join(c.s)
			case 5:
				a.s.Part()
			case 6:
				a.s.Cut(rng.IntN(2) == 0)
			case 7:
				a.s.Hear(b.s, c.s)
			}
			for range rng.IntN(12) {
				b.say(0x21)
				c.say(0x31)
				pass(20 * time.Millisecond)
			}
			all = append(all, a.wire.take()...)
		}
		if len(all) < 1000 {
			t.Fatalf("only %d packets sent", len(all))
		}
		continuous(t, all, 1700)
	})
}

func TestRelayKeepsLossAndOrder(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		a.s.Join(b.s)
		a.say(1)
		a.seq += 3 // three packets lost on their way to us
		a.ts += 480
		a.say(2)
		late := a.bytes(0, false, a.ts, fill(3, 160))
		a.ts += 160
		a.say(4)
		a.arrive(a.addr, late)
		have := b.wire.take()
		if len(have) != 4 {
			t.Fatalf("have %d packets, want 4", len(have))
		}
		if d := have[1].seq - have[0].seq; d != 4 || have[1].ts-have[0].ts != 640 {
			t.Errorf("a loss of 3 became sequence +%d, timestamp +%d", d, have[1].ts-have[0].ts)
		}
		if have[3].seq != have[2].seq-1 || have[3].ts != have[2].ts-160 {
			t.Errorf("the late packet got %d/%d after %d/%d", have[3].seq, have[3].ts, have[2].seq, have[2].ts)
		}
	})
}

func TestAPromptHidesThePeerAndDropsWhatItSays(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		a.s.Join(b.s)
		b.say(0x21)
		a.s.Play(tone(800, 4000))
		stale := b.bytes(0, false, b.ts, fill(0x22, 160))
		for range 4 {
			b.say(0x22)
			pass(20 * time.Millisecond)
		}
		pass(40 * time.Millisecond)
		b.say(0x23)
		b.arrive(b.addr, stale)
		for _, q := range a.wire.take() {
			if q.payload[0] == 0x22 {
				t.Fatal("a packet that came during the prompt was sent after it began")
			}
		}
	})
}

func TestEventsAreRelayedWithTheirOwnTimestamp(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a := newFar(t, p, 10, nil)
		b := newFar(t, p, 20, func(x *Params) { x.EventType = 96 })
		a.s.Join(b.s)
		a.say(0x11)
		start := a.ts
		for _, e := range keyPackets(3) {
			a.key(start, e)
		}
		a.ts += 1120
		a.say(0x12)
		have := b.wire.take()
		if len(have) != 2+len(keyPackets(3)) {
			t.Fatalf("have %d packets", len(have))
		}
		for _, q := range have[1 : len(have)-1] {
			if q.pt != 96 || q.ts != have[1].ts {
				t.Fatalf("payload type %d, timestamp %d, want 96 and %d", q.pt, q.ts, have[1].ts)
			}
		}
		if last := have[len(have)-1]; last.ts-have[0].ts != 160+1120 {
			t.Fatalf("audio after the key is %d after audio before it", last.ts-have[0].ts)
		}
		if d := a.digits(); d != "3" {
			t.Fatalf("digits %q", d)
		}
	})
}

// The secret: while a leg is cut, nothing of it reaches the agent, a
// supervisor or a tap, nor anything of them the leg; and what follows the cut
// holds nothing of the key that was pressed when it ended.
func TestCutLetsNothingThrough(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		caller, agent, sup := newFar(t, p, 10, nil), newFar(t, p, 20, nil), newFar(t, p, 30, nil)
		Supervise(caller.s, agent.s, sup.s, Barge)
		callerTap, agentTap := caller.s.Tap(), agent.s.Tap()
		for range 10 {
			caller.say(0x11)
			agent.say(0x21)
			pass(20 * time.Millisecond)
		}
		drain(callerTap)
		drain(agentTap)
		caller.s.Cut(true)
		for _, f := range []*far{caller, agent, sup} {
			f.wire.take()
		}
		caller.s.Play(tone(1600, 9000)) // the code, spoken
		for i, e := range append(keyPackets(7), keyPackets(7)...) {
			caller.key(uint32(5_000_000+i/7*1440), e)
			caller.say(0x55)
			agent.say(0x66)
			pass(20 * time.Millisecond)
		}
		caller.key(5_010_000, telephoneEvent{code: 8, duration: 160}) // still pressed when the cut ends
		caller.s.Cut(false)
		for i := range 20 {
			caller.key(5_010_000, telephoneEvent{code: 8, duration: uint16(320 + 160*i)})
			caller.say(0x55)
			pass(20 * time.Millisecond)
		}
		for range 3 {
			caller.key(5_010_000, telephoneEvent{code: 8, end: true, duration: 3600})
		}
		if d := caller.digits(); d != "778" {
			t.Fatalf("digits %q, want 778", d)
		}
		for _, q := range caller.wire.take() {
			if q.payload[0] == 0x66 {
				t.Fatal("the caller hears the agent")
			}
		}
		for name, f := range map[string]*far{"agent": agent, "supervisor": sup} {
			for _, q := range f.wire.take() {
				if q.pt == 101 {
					t.Fatalf("the %s gets a digit", name)
				}
				for _, o := range q.payload {
					if v := ulawToLinear[o]; v == ulawToLinear[0x55] {
						t.Fatalf("the %s hears the caller", name)
					}
				}
			}
		}
		frames := drain(callerTap)
		if len(frames) < 2 || !frames[0].Cut || !frames[1].Resume {
			t.Fatalf("the tap of the caller does not begin with the two marks of a gap: %d frames", len(frames))
		}
		for _, fr := range frames[2:] {
			if fr.Way == Received || fr.PCM[0] > 8000 {
				t.Fatal("the tap of the caller hears the key that was pressed, or the code")
			}
		}
		for _, fr := range drain(agentTap) {
			if fr.Way == Sent && fr.PCM != nil && loud(fr.PCM) {
				t.Fatal("the tap of the agent hears the caller")
			}
		}
		pass(300 * time.Millisecond)
		agent.wire.take()
		for range 30 {
			caller.say(0x11)
			pass(20 * time.Millisecond)
		}
		heard := false
		for _, q := range agent.wire.take() {
			heard = heard || q.payload[0] == 0x11
		}
		if !heard {
			t.Fatal("the caller stays unheard after the cut")
		}
	})
}

func loud(pcm []int16) bool {
	for _, v := range pcm {
		if v == ulawToLinear[0x55] {
			return true
		}
	}
	return false
}

func drain(tap *Tap) []Frame {
	var out []Frame
	for {
		select {
		case f, ok := <-tap.Frames():
			if !ok {
				return out
			}
			out = append(out, f)
		default:
			return out
		}
	}
}

// A tone that began in the cut is unheard to its end, also on a leg whose
// digits come by INFO or as events.
func TestTheToneOfACutIsUnheardToItsEnd(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		caller, agent := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		caller.s.Join(agent.s)
		caller.s.Cut(true)
		key := encodeG711(nil, appendTone(nil, '5', 160*40, 8000), PCMU)
		speak := func(b []byte) {
			caller.arrive(caller.addr, caller.bytes(0, false, caller.ts, b))
			caller.ts += 160
			pass(20 * time.Millisecond)
		}
		for i := range 40 {
			if i == 10 {
				caller.s.Cut(false)
			}
			speak(key[160*i : 160*(i+1)])
		}
		for _, q := range agent.wire.take() {
			if q.payload[0] != ulawSilence {
				t.Fatal("the tone is heard")
			}
		}
		for range 10 {
			speak(fill(0x44, 160))
		}
		heard := 0
		for _, q := range agent.wire.take() {
			if q.payload[0] == 0x44 {
				heard++
			}
		}
		if heard < 6 {
			t.Fatalf("only %d of 10 packets heard after the tone", heard)
		}
	})
}

func TestDeadMedia(t *testing.T) {
	bubble(t, Config{DeadAfter: 3 * time.Second}, func(t *testing.T, p *Pool) {
		live, dead := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		held := newFar(t, p, 30, func(x *Params) { x.Direction = SendOnly })
		for range 100 {
			live.say(1)
			pass(100 * time.Millisecond)
		}
		kinds := func(f *far) (out []EventKind) {
			for {
				e, ok, _ := f.s.Next()
				if !ok {
					return out
				}
				out = append(out, e.Kind)
			}
		}
		if k := kinds(live); len(k) != 0 {
			t.Errorf("a live leg: events %v", k)
		}
		if k := kinds(held); len(k) != 0 {
			t.Errorf("a leg on media hold: events %v", k)
		}
		if k := kinds(dead); len(k) != 1 || k[0] != EventDead {
			t.Errorf("a dead leg: events %v", k)
		}
		dead.say(1)
		if k := kinds(dead); len(k) != 1 || k[0] != EventAlive {
			t.Errorf("a leg that came back: events %v", k)
		}
	})
}

func TestPacingKeepsThePtime(t *testing.T) {
	for ms := 10; ms <= 60; ms += 10 {
		bubble(t, Config{}, func(t *testing.T, p *Pool) {
			f := newFar(t, p, 10, func(x *Params) { x.Ptime = time.Duration(ms) * time.Millisecond })
			id := f.s.Play(tone(8000, 77))
			pass(1200 * time.Millisecond)
			sent := f.wire.take()
			continuous(t, sent, 0)
			for i, q := range sent {
				if len(q.payload) != 8*ms {
					t.Fatalf("%d ms: packet of %d samples", ms, len(q.payload))
				}
				if i > 0 && q.at.Sub(sent[i-1].at) != time.Duration(ms)*time.Millisecond {
					t.Fatalf("%d ms: %v between packets", ms, q.at.Sub(sent[i-1].at))
				}
			}
			if e, ok, _ := f.s.Next(); !ok || e.Play != id || !e.Whole {
				t.Fatalf("the clip's end: have %+v, %v", e, ok)
			}
		})
	}
}

func TestSilenceIsSentFromTheStart(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f := newFar(t, p, 10, func(x *Params) { x.Payloads = []Payload{{8, PCMA}} })
		pass(time.Second)
		sent := f.wire.take()
		if len(sent) < 49 || len(sent) > 51 {
			t.Fatalf("%d packets in a second", len(sent))
		}
		if sent[0].payload[0] != alawSilence || sent[0].pt != 8 {
			t.Fatalf("sent %x", sent[0].raw)
		}
	})
}

func TestHoldSendsNothingAndAClipWaits(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		params := Params{Payloads: []Payload{{0, PCMU}}}
		f := newFar(t, p, 10, func(x *Params) { x.Direction = Inactive; params.Remote = x.Remote })
		f.s.Play(tone(160, 5))
		pass(time.Second)
		if n := len(f.wire.take()); n != 0 {
			t.Fatalf("%d packets sent on hold", n)
		}
		if err := f.s.Negotiated(params); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if e, _, _ := f.s.Next(); !e.Whole {
			t.Fatalf("have %+v", e)
		}
	})
}

func TestTranscoding(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to Payload
		in, want byte
	}{
		{"same law untouched", Payload{0, PCMU}, Payload{0, PCMU}, 0x37, 0x37},
		{"to A-law", Payload{0, PCMU}, Payload{8, PCMA}, 0xff, alawSilence},
		{"to µ-law", Payload{8, PCMA}, Payload{0, PCMU}, alawSilence, 0xfe},
		{"G.722 untouched", Payload{9, G722}, Payload{9, G722}, 0x42, 0x42},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, p *Pool) {
				a := newFar(t, p, 10, func(x *Params) { x.Payloads = []Payload{tt.from} })
				b := newFar(t, p, 20, func(x *Params) { x.Payloads = []Payload{tt.to} })
				a.s.Join(b.s)
				a.say(tt.in)
				have := b.wire.take()
				if len(have) != 1 || have[0].pt != tt.to.Type || have[0].payload[0] != tt.want || len(have[0].payload) != 160 {
					t.Fatalf("have %v", have)
				}
			})
		})
	}
}

func TestSupervision(t *testing.T) {
	const caller, agent, sup = 0, 1, 2
	for _, tt := range []struct {
		how  Supervision
		want [3][3]bool // who hears whom
	}{
		{Listen, [3][3]bool{{false, true, false}, {true, false, false}, {true, true, false}}},
		{Whisper, [3][3]bool{{false, true, false}, {true, false, true}, {true, true, false}}},
		{Barge, [3][3]bool{{false, true, true}, {true, false, true}, {true, true, false}}},
	} {
		bubble(t, Config{}, func(t *testing.T, p *Pool) {
			f := [3]*far{newFar(t, p, 10, nil), newFar(t, p, 20, nil), newFar(t, p, 30, nil)}
			Supervise(f[caller].s, f[agent].s, f[sup].s, tt.how)
			for speaker := range 3 {
				for range 20 { // the one speaks, the others are silent
					for i, x := range f {
						if i == speaker {
							x.say(0x10)
						} else {
							x.say(ulawSilence)
						}
					}
					pass(20 * time.Millisecond)
				}
				for hearer := range 3 {
					heard := false
					for _, q := range f[hearer].wire.take() {
						heard = heard || ulawToLinear[q.payload[len(q.payload)-1]] == ulawToLinear[0x10]
					}
					if heard != tt.want[hearer][speaker] {
						t.Errorf("supervision %d: %d hears %d is %v", tt.how, hearer, speaker, heard)
					}
				}
				for range 20 {
					for _, x := range f {
						x.say(ulawSilence)
					}
					pass(20 * time.Millisecond)
				}
				for _, x := range f {
					x.wire.take()
				}
			}
		})
	}
}

func TestASlowTapStallsNothingAndKeepsItsMarks(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f := newFar(t, p, 10, nil)
		tap := f.s.Tap()
		for range 1000 {
			f.say(0x10)
		}
		f.s.Cut(true)
		f.s.Cut(false)
		frames := drain(tap)
		if len(frames) != tapQueue {
			t.Fatalf("%d frames waited, want %d", len(frames), tapQueue)
		}
		pass(400 * time.Millisecond)
		f.say(0x10)
		frames = drain(tap)
		if len(frames) < 3 || !frames[0].Cut || !frames[1].Resume {
			t.Fatalf("marks are missing: %d frames", len(frames))
		}
		if frames[2].Lost == 0 {
			t.Fatal("the loss is not told")
		}
	})
}

func TestClosedSessionsRefuse(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		a.s.Join(b.s)
		tap := a.s.Tap()
		a.s.Play(tone(8000, 1))
		a.s.Close()
		a.s.Close()
		if err := a.s.Negotiated(Params{Remote: a.addr, Payloads: []Payload{{0, PCMU}}}); err != ErrClosed {
			t.Errorf("Negotiated: %v", err)
		}
		if e, ok, _ := a.s.Next(); !ok || e.Kind != EventPlayed || e.Whole {
			t.Errorf("the clip that was playing: %+v", e)
		}
		if _, ok, over := a.s.Next(); ok || !over {
			t.Error("events are not closed")
		}
		for range tap.Frames() {
			continue
		}
		b.s.Join(a.s)
		b.wire.take()
		a.say(0x33)
		if n := len(b.wire.take()); n != 0 {
			t.Error("a closed session is heard")
		}
		if a.s.SendDigits("1") || a.s.InjectDigit('1', time.Now()) {
			t.Error("a closed session takes digits")
		}
		a.s.Cut(true)
		a.s.Loop(ringfence.Clip{1})
		a.s.Stop()
	})
}

type brokenSource struct{}

func (brokenSource) Read([]int16) (int, bool) { panic("broken") }

// A bug in a source, or in ours, costs one packet and not every call.
func TestAPanicCostsOneSession(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		bad, good := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		bad.s.PlaySource(brokenSource{})
		pass(time.Second)
		if n := len(good.wire.take()); n < 45 {
			t.Fatalf("the other call gets %d packets", n)
		}
		if p.Panics() == 0 {
			t.Fatal("not counted")
		}
		bad.s.Stop()
		bad.wire.take()
		pass(time.Second)
		if n := len(bad.wire.take()); n < 45 {
			t.Fatalf("the call itself gets %d packets afterwards", n)
		}
	})
}

func TestComfortNoiseIsRelayedOnlyWhereAgreed(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		agreed := func(x *Params) { x.ComfortNoise = true }
		a, b, c := newFar(t, p, 10, agreed), newFar(t, p, 20, agreed), newFar(t, p, 30, nil)
		b.s.Hear(a.s)
		c.s.Hear(a.s)
		tap := a.s.Tap()
		a.say(1)
		b.wire.take()
		c.wire.take()
		a.arrive(a.addr, a.bytes(comfortNoiseType, false, a.ts, []byte{60}))
		if have := b.wire.take(); len(have) != 1 || have[0].pt != comfortNoiseType {
			t.Errorf("agreed on both sides: %d packets", len(have))
		}
		if n := len(c.wire.take()); n != 0 {
			t.Errorf("not agreed: %d packets", n)
		}
		if n := len(drain(tap)); n != 1 {
			t.Errorf("the tap holds %d frames, want the audio only", n)
		}
	})
}

// A caller behind a NAT speaks from another port than its SDP says. It is
// answered there once it is locked, and not before.
func TestAudioFollowsTheLatch(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f := newFar(t, p, 10, nil)
		nat := netip.AddrPortFrom(f.addr.Addr(), 61000)
		for i := range 6 {
			pass(20 * time.Millisecond)
			for _, q := range f.wire.take() {
				want := f.addr
				if i >= latchPackets {
					want = nat
				}
				if q.to != want {
					t.Fatalf("after %d packets audio goes to %v, want %v", i, q.to, want)
				}
			}
			f.arrive(nat, f.bytes(0, false, f.ts, fill(1, 160)))
			f.ts += 160
		}
		if st := f.s.Stats(); st.Probes != latchPackets-1 || st.Received != 2 {
			t.Fatalf("%d probes, %d received", st.Probes, st.Received)
		}
	})
}

func TestInfoDigitsOnlyWhereNegotiated(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		info := newFar(t, p, 10, func(x *Params) { x.Digits = DigitsInfo })
		events := newFar(t, p, 20, nil)
		if events.s.InjectDigit('1', time.Now()) {
			t.Error("a leg with telephone-events takes INFO")
		}
		if !info.s.InjectDigit('1', time.Now()) || info.s.InjectDigit('x', time.Now()) || info.s.InjectDigit(0, time.Now()) {
			t.Error("INFO")
		}
		info.key(100, telephoneEvent{code: 2, duration: 160})
		if d := info.digits(); d != "1" {
			t.Errorf("digits %q, want 1: two sources count", d)
		}
	})
}
