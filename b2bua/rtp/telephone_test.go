package rtp

import (
	"testing"
	"time"
)

// keyPackets are the packets of one key of 100 ms: start, updates, three ENDs.
func keyPackets(code uint8) []telephoneEvent {
	var out []telephoneEvent
	for d := uint16(160); d < 800; d += 160 {
		out = append(out, telephoneEvent{code: code, duration: d})
	}
	for range 3 {
		out = append(out, telephoneEvent{code: code, end: true, duration: 800})
	}
	return out
}

// Every pattern of loss of two presses of the same key: each press of which
// any packet arrives counts once, however many ENDs are lost.
func TestKeysCountOnceWithEveryLoss(t *testing.T) {
	one := keyPackets(5)
	total := len(one)
	for mask := range 1 << (2 * total) {
		var r eventReceiver
		now := time.Unix(1000, 0)
		have, want := 0, 0
		for press := range 2 {
			arrived := false
			for i, e := range one {
				now = now.Add(20 * time.Millisecond)
				if mask>>(press*total+i)&1 == 0 {
					continue
				}
				arrived = true
				if _, fresh := r.receive(uint32(1000+press*1440), e, now); fresh {
					have++
				}
			}
			now = now.Add(80 * time.Millisecond)
			if arrived {
				want++
			}
		}
		if have != want {
			t.Fatalf("arrivals %014b: have %d digits, want %d", mask, have, want)
		}
	}
}

func TestKeysCountOnceOutOfOrderAndDoubled(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		name string
		have []struct {
			ts uint32
			e  telephoneEvent
		}
		want string
	}{
		{"END before start", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 1, end: true, duration: 800}}, {100, telephoneEvent{code: 1, duration: 160}}}, "1"},
		{"late END of the key before", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 1, duration: 160}}, {2000, telephoneEvent{code: 2, duration: 160}}, {100, telephoneEvent{code: 1, end: true, duration: 800}}}, "12"},
		{"a long key in segments", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 3, duration: 65000}}, {100, telephoneEvent{code: 3, duration: 65535}}, {100 + 65535, telephoneEvent{code: 3, duration: 160}}, {100 + 65535, telephoneEvent{code: 3, end: true, duration: 320}}}, "3"},
		{"a sender that moves the timestamp with the duration", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 4, duration: 160}}, {260, telephoneEvent{code: 4, duration: 320}}, {420, telephoneEvent{code: 4, end: true, duration: 480}}}, "4"},
		{"wrap of the timestamp", []struct {
			ts uint32
			e  telephoneEvent
		}{{0xffffff00, telephoneEvent{code: 6, end: true, duration: 800}}, {0x200, telephoneEvent{code: 6, duration: 160}}}, "66"},
		{"an event that is no key", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 16, duration: 160}}, {900, telephoneEvent{code: 255, duration: 160}}}, ""},
		{"another code under the same timestamp", []struct {
			ts uint32
			e  telephoneEvent
		}{{100, telephoneEvent{code: 7, duration: 160}}, {100, telephoneEvent{code: 8, duration: 320}}}, "7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r eventReceiver
			var have []byte
			for _, h := range tt.have {
				if d, fresh := r.receive(h.ts, h.e, now); fresh {
					have = append(have, d)
				}
			}
			if string(have) != tt.want {
				t.Fatalf("have %q, want %q", have, tt.want)
			}
		})
	}
}

func TestTelephoneEventRefusesHalfAnEvent(t *testing.T) {
	for n := range 12 {
		_, ok := parseTelephoneEvent(make([]byte, n))
		if want := n == 4 || n == 8; ok != want {
			t.Errorf("%d octets: have %v, want %v", n, ok, want)
		}
	}
}
