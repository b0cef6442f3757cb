package web

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// hostile wants to be more than text.
var hostile = "<img src=x onerror=alert(1)>\u202e\u2066moc.live " + strings.Repeat("W", 120)

// recordedCall is a call with everything that is kept of one.
type recordedCall struct {
	fakeRecordings
	began time.Time
}

// Trace implements Traces: an answered call whose sound became poor.
func (r *recordedCall) Trace(_ context.Context, _ ringfence.TenantID, id ringfence.TraversalID) (CallTrace, error) {
	if id != trv {
		return CallTrace{}, ledger.ErrNotFound
	}
	at := func(ms int) time.Time { return r.began.Add(time.Duration(ms) * time.Millisecond) }
	caller := TraceLeg{ID: "leg_00000000000000000000000001", Direction: ringfence.Inbound, Trunk: "carrier", Transport: "tls", Cause: ringfence.EndBye, More: 2}
	agent := TraceLeg{ID: "leg_00000000000000000000000002", Direction: ringfence.Outbound, Trunk: "agents", Transport: "tls", Cause: ringfence.EndHangup}
	caller.Ladder = []TraceMessage{{at(0), true, "INVITE", "1 INVITE"}, {at(4), false, "100 Trying", "1 INVITE"}, {at(60), false, "200 OK", "1 INVITE"}, {at(90), true, "ACK", "1 ACK"}, {at(72_000), true, "BYE", "2 BYE"}, {at(72_010), false, "200 OK", "2 BYE"}}
	agent.Ladder = []TraceMessage{{at(9000), false, "INVITE", "1 INVITE"}, {at(9100), true, "486 Busy Here " + hostile, "1 INVITE"}, {at(9300), false, "INVITE", "2 INVITE"}, {at(11_000), true, "200 OK", "2 INVITE"}, {at(11_010), false, "ACK", "2 ACK"}}
	for i := range 14 {
		loss, jitter := 0.002, 4.0
		if i > 8 {
			loss, jitter = 0.01*float64(i-7), float64(6*i-20)
		}
		q := TraceQuality{At: at(i * 5000), Loss: loss, JitterMS: jitter, MOS: 4.4 - 20*loss, RTTMS: 24, Packets: 250}
		caller.Quality = append(caller.Quality, q)
		q.Loss, q.JitterMS, q.MOS = 0, 2, 4.4
		agent.Quality = append(agent.Quality, q)
	}
	caller.Whole = TraceQuality{Loss: 0.021, RemoteLoss: 0.003, JitterMS: 18, RTTMS: 24, MOS: 3.9, Packets: 3500}
	agent.Whole = TraceQuality{JitterMS: 2, MOS: 4.4, Packets: 3100}
	return CallTrace{Traversal: id, Legs: []TraceLeg{caller, agent}}, nil
}

// List implements Recordings.
func (r *recordedCall) List(context.Context, ringfence.TenantID, RecordingQuery) ([]Recording, error) {
	return []Recording{{ID: aRecording, Traversal: trv, State: "kept", Class: "standard", Consent: "notice", Began: r.began, Millis: 3000, SHA256: strings.Repeat("ab", 32),
		Gaps: []RecordingGap{{FromMillis: 500, Millis: 700, Why: "secret"}, {FromMillis: 2000, Millis: 100, Why: "lost"}}, Until: r.began.AddDate(0, 3, 0), Hold: hostile}}, nil
}

// Audio implements Recordings: three seconds of a tone.
func (r *recordedCall) Audio(context.Context, ringfence.TenantID, string, ringfence.PersonID) (Audio, Recording, error) {
	var b bytes.Buffer
	const samples = 3 * 8000
	b.WriteString("RIFF")
	for _, part := range []any{uint32(36 + 2*samples), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(8000), uint32(16000), uint16(2), uint16(16), []byte("data"), uint32(2 * samples)} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			return nil, Recording{}, err
		}
	}
	for i := range samples {
		_ = binary.Write(&b, binary.LittleEndian, int16(3000*math.Sin(float64(i)/4))) // a buffer takes everything
	}
	return memoryAudio{bytes.NewReader(b.Bytes())}, Recording{ID: aRecording, Began: r.began}, nil
}

func checkpointed(c *Config) {
	c.Checkpoint = func(context.Context, ringfence.TenantID) ([]byte, error) {
		return []byte("ringfence/default\n6\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— ringfence/default AAAA\n"), nil
	}
}

func TestAPastCallIsReadWhole(t *testing.T) {
	kept := &recordedCall{began: time.Now().Add(-72 * time.Second)}
	d := newDesktop(t, withFlows(t), britain, checkpointed, func(c *Config) { c.Replays, c.Traces, c.Recordings = &testReplays{}, kept, kept })
	d.dana()
	priya, rita := d.person("Priya "+hostile, ringfence.RoleAgent), d.person("Rita", ringfence.RoleRisk)
	rel := ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease)
	d.ended(trv, priya.ID, func(c *ringfence.LiveCall) {
		c.Alert = "The person on file said: I did not ask for this. " + hostile
		c.Releases = []ringfence.LiveRelease{{ID: rel, Type: "bank_change", Says: "change the bank account we pay you on", Class: ringfence.C4, State: "held"}}
	})
	for i := range 60 {
		d.ended(ringfence.TraversalID(fmt.Sprintf("trv_1%025d", i)), "", func(c *ringfence.LiveCall) {
			c.Began, c.Reference, c.Caller, c.Attest, c.Subject = c.Began.Add(-time.Duration(i+1)*time.Hour), fmt.Sprintf("REF%05d", i), "+44 20 7946 0111", ringfence.AttestFull, ""
		})
	}
	d.prove(rel, ringfence.Digest{1}, ringfence.FactCallback, ringfence.StrengthCallback)
	for _, e := range []ledger.Entry{{Event: "traversal.began"}, {Event: "stir.verified", Data: map[string]string{"attest": "B", "says": hostile}}, {Event: "challenge.rejected"},
		{Event: "alert.raised", Data: map[string]string{"alarm": "rejected"}}, {Event: "release.held", Release: rel}, {Event: "traversal.owned", Person: priya.ID}, {Event: "traversal.ended"}} {
		e.Traversal = trv
		d.log(e)
	}
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(rita))
	b.visit("/calls")
	b.see("K7M2P9QX")
	b.looks("calls")
	b.press("Older ones")
	b.see("REF00059")

	// Half a number finds nothing, a whole one its calls; by keyboard alone.
	b.fill("q-text", "0991\r")
	b.see("Nothing found")
	b.fill("q-text", "020 7946 0991\r")
	b.see("1 call found")
	b.looks("calls-found")
	b.press("K7M2P9QX")
	b.see("mobile on file …17, stored 2 months before") // as old as it was then
	b.see("486 Busy Here")
	b.see("Held")
	b.until(`document.querySelectorAll("svg.flow .scene.lit").length > 0`, "the way is not on the map")
	b.until(`document.querySelectorAll(".spark .over").length > 0`, "poor sound is not marked")
	b.see("Entries from 6 on are newer than the head")
	b.see("ringfence ledger prove --check ringfence-proofs.jsonl --key auditor.key")
	b.looks("call-detail")

	// A recording is heard for a reason, which comes first.
	b.press("Listen")
	b.see("Say first why you listen")
	b.fill("why-"+aRecording, "a complaint of the customer\r")
	b.until(`document.querySelector("audio")?.readyState >= 2`, "there is no sound")
	js[chromedp.Void](b, `(e => { e.value = "0.7"; e.dispatchEvent(new Event("input", {bubbles: true})); })(document.querySelector('input[type="range"]'));undefined`)
	b.see("Gap: a secret was keyed or spoken")
	b.looks("call-recording")
	b.press("Play")
	b.until(`document.querySelector("audio").currentTime > 0.8`, "it does not play")
	if n := len(kept.asked); n != 1 || kept.asked[0].Reason != "a complaint of the customer" {
		t.Errorf("asked %d times: %+v", n, kept.asked)
	}
	js[chromedp.Void](b, `document.querySelector('button[aria-label^="Proof"]').click();undefined`)
	b.see("Audit path")
	if n := js[int](b, "document.images.length"); n != 0 {
		t.Errorf("%d images", n)
	}
	b.allowed = append(b.allowed, "404")
	b.visit("/calls?traversal=trv_00000000000000000000000009")
	b.see("There is no such call")
	d.quietly(t)
}

// drilled is one run in which something got through.
type drilled struct{ fakeDrills }

// DrillReports implements Drills.
func (f *drilled) DrillReports(context.Context, ringfence.TenantID) ([]DrillReport, bool, error) {
	r := DrillReport{ID: "drl_1", Began: time.Now().Add(-3 * time.Minute), Bundle: strings.Repeat("9f", 32), Results: []DrillResult{
		{Drill: Drill{"spoofed", "Shows the number on file and asks for a bank change", "the gate"}, Outcome: DrillStopped, Says: "held: no call-back was made", Seconds: 2.4},
		{Drill: Drill{"relay", "Relays the customer's code within a minute", "the call-back"}, Outcome: DrillThrough, Says: "released " + hostile, Seconds: 41.2},
		{Drill: Drill{"approver", "Asks a colleague to agree while on the call", "separation of duties"}, Outcome: DrillNotApplicable, Says: "no action asks for a colleague", Seconds: 0}}}
	r.Judge()
	return []DrillReport{r}, f.runs, nil
}

func TestDrillsAreReadAndRun(t *testing.T) {
	f := &drilled{}
	d := newDesktop(t, func(c *Config) { c.Drills = f })
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(d.person("Rita", ringfence.RoleRisk)))
	b.visit("/drills")
	b.see("1 got through")
	if first := js[string](b, "document.querySelector('.drill li').innerText"); !strings.HasPrefix(first, "Relays") {
		t.Errorf("what got through is not first, but %q", first)
	}
	b.looks("drills")
	b.press("Run the drill")
	b.see("The drill has begun")
	b.see("Running")
	b.press("Running")
	b.see("A drill runs already.")
	d.quietly(t)
}
