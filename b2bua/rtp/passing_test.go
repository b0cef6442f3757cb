package rtp

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// viewer keeps what it is shown.
type viewer struct {
	mu  sync.Mutex
	got []Passing // guarded by mu
}

func (v *viewer) see(p Passing) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got = append(v.got, p)
}

// take returns what was shown since the last time.
func (v *viewer) take() []Passing {
	v.mu.Lock()
	defer v.mu.Unlock()
	got := v.got
	v.got = nil
	return got
}

// Who looks sees that packets pass, both ways, and none while the leg is cut:
// not even how many keys a secret has.
func TestShowHidesWhatIsSecret(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f := newFar(t, p, 10, nil)
		var v viewer
		f.s.Show(v.see)
		f.say(0x11)
		f.arrive(f.addr, []byte{0x80, 0}) // no packet
		stranger := netip.MustParseAddrPort("203.0.113.9:4000")
		f.arrive(stranger, f.bytes(0, false, f.ts, fill(0x66, 160))) // of use to who looks for a wrong address
		pass(50 * time.Millisecond)
		in, out := 0, 0
		got := v.take()
		for _, one := range got {
			switch {
			case one.Size != headerLen+160:
				t.Errorf("%d octets", one.Size)
			case one.Sent && one.Peer == f.addr:
				out++
			case !one.Sent && (one.Peer == f.addr || one.Peer == stranger):
				in++
			}
		}
		if in != 2 || out == 0 || in+out != len(got) {
			t.Errorf("%d in, %d out of %d", in, out, len(got))
		}
		f.s.Cut(true)
		v.take()
		for ts := range uint32(6) {
			f.key(f.ts+ts*160, telephoneEvent{code: byte(ts), end: true, duration: 160})
			f.say(0x22)
		}
		pass(time.Second)
		f.s.Cut(false)
		f.say(0x22)
		if got := v.take(); len(got) != 0 {
			t.Errorf("%d packets of a secret are shown", len(got))
		}
		pass(time.Second)
		f.say(0x33)
		if len(v.take()) == 0 {
			t.Error("nothing is shown after it")
		}
		f.s.Show(nil)
		v.take()
		f.say(0x44)
		pass(time.Second)
		if len(v.take()) != 0 {
			t.Error("shown to nobody")
		}
	})
}

// With SRTP the header is shown, and nothing that tells what is inside.
func TestShowOfSRTP(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f, send, _, _ := secured(t, p, Suites[0])
		var v viewer
		f.s.Show(v.see)
		plain := f.bytes(0, false, f.ts, fill(0x11, 160))
		f.arrive(f.addr, sealed(t, send, plain))
		if got := v.take(); len(got) != 1 || !bytes.Equal(got[0].Header[:], plain[:headerLen]) || got[0].Size <= len(plain) {
			t.Errorf("have %+v", got)
		}
	})
}
