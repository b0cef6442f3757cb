package siprec

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

type feed chan rtp.Frame

func (f feed) Frames() <-chan rtp.Frame { return f }
func (f feed) Close()                   {}

func loud(n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = 1000
	}
	return out
}

// TestFeed: each side goes to its own queue, a secret is cut with what waited
// before it, and a queue is bounded and gives silence when it is empty.
func TestFeed(t *testing.T) {
	var caller, agent Queue
	frame := make([]int16, 160)
	if n, more := caller.Read(frame); n != 0 || !more {
		t.Errorf("an empty queue gave %d, %v", n, more)
	}
	f := make(feed, 10)
	f <- rtp.Frame{Way: rtp.Received, PCM: loud(target)}
	f <- rtp.Frame{Way: rtp.Sent, PCM: loud(3 * limit)}
	close(f)
	var cuts []bool
	cut := func(on bool) { cuts = append(cuts, on) }
	Feed(f, &caller, &agent, cut)
	if n, more := caller.Read(frame); n != 160 || !more || frame[0] != 1000 {
		t.Errorf("caller: %d, %v, %v", n, more, frame[0])
	}
	if len(agent.pcm) != limit {
		t.Errorf("agent holds %d samples, want %d", len(agent.pcm), limit)
	}
	f = make(feed, 10)
	f <- rtp.Frame{Cut: true}
	f <- rtp.Frame{Resume: true}
	close(f)
	Feed(f, &caller, &agent, cut)
	if !slices.Equal(cuts, []bool{true, false}) {
		t.Errorf("told of cuts %v", cuts)
	}
	for _, q := range []*Queue{&caller, &agent} {
		if n, _ := q.Read(frame); n != 0 {
			t.Errorf("%d samples outlived a cut", n)
		}
	}
}

// TestMetadata: it is well-formed, joins streams and people by ids, and holds no
// text that breaks out of its element.
func TestMetadata(t *testing.T) {
	m := NewMetadata("ABCD<2345", time.Unix(1, 0))
	before, err := m.XML()
	if err != nil || strings.Contains(string(before), "agent@") {
		t.Fatalf("%s, %v", before, err)
	}
	if !m.Agent("per_1", time.Unix(2, 0)) || m.Agent("per_1", time.Unix(3, 0)) || !m.Agent("", time.Unix(4, 0)) || !m.Agent("per_2", time.Unix(5, 0)) {
		t.Error("a change of agent")
	}
	raw, err := m.XML()
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := xml.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Session.SIPID != "ABCD<2345" || r.Mode != "complete" || len(r.Participants) != 2 || r.Participants[1].Name.AOR != "sip:per_2@anonymous.invalid" {
		t.Errorf("%s", raw)
	}
	if r.Flows[0].Send != r.Streams[0].ID || r.Flows[1].Receive != r.Streams[0].ID || r.Flows[1].Participant != r.Participants[1].ID ||
		r.Streams[0].Label != CallerLabel || r.Flows[0].Receive != r.Streams[1].ID || r.Streams[0].Session != r.Session.ID || r.Streams[0].ID == r.Streams[1].ID || len(r.Session.ID) != 24 {
		t.Errorf("%s", raw)
	}
}

// TestMetadataOfAHold: who holds does not hear the other, and still says what it
// says.
func TestMetadataOfAHold(t *testing.T) {
	m := NewMetadata("ABCD2345", time.Unix(1, 0))
	m.Agent("per_1", time.Unix(2, 0))
	for _, tt := range []struct{ caller, agent, news bool }{{false, false, false}, {true, false, true}, {true, true, true}, {true, true, false}, {false, true, true}, {false, false, true}} {
		if news := m.Hold(tt.caller, tt.agent); news != tt.news {
			t.Errorf("%+v: news %v", tt, news)
		}
		raw, err := m.XML()
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := xml.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		for i, holds := range []bool{tt.caller, tt.agent} {
			if f := r.Flows[i]; (f.Receive == "") != holds || f.Send != r.Streams[i].ID {
				t.Errorf("%+v: participant %d has %+v", tt, i, f)
			}
		}
		if want := 2; strings.Count(string(raw), "<recv>") != want-count(tt.caller, tt.agent) {
			t.Errorf("%+v: %s", tt, raw)
		}
	}
}

func count(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}
