package b2bua

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/sdp"
)

// Source gives audio when it is time to send it; see rtp.
type Source = rtp.Source

// Recorder is what a session recording client gives a recorder (RFC 7866).
type Recorder struct {
	// Metadata is the document of RFC 7865.
	Metadata []byte
	// Streams are the audio, sent under the labels 1 and 2. A source that ends
	// is followed by silence.
	Streams [2]Source
}

// recorderLeg is what the leg to a recorder has beside others: its second
// stream, and the metadata of the next offer.
type recorderLeg struct {
	second   *rtp.Session
	local    sdp.Local // of the second stream; its version and direction are the leg's
	metadata []byte    // guarded by Leg.mu
}

// maxMetadata bounds the metadata in octets, so that an INVITE is no novel.
const maxMetadata = 16 << 10

// PlaceRecording places a recording session: an INVITE with two streams that we
// only send. What the recorder sends is thrown away. The leg's events tell what
// comes of it.
func (u *UA) PlaceRecording(ctx context.Context, p ringfence.Placement, r Recorder) (*Leg, error) {
	if len(r.Metadata) == 0 || len(r.Metadata) > maxMetadata || r.Streams[0] == nil || r.Streams[1] == nil {
		return nil, errors.New("sip: recording session: metadata and two streams are needed")
	}
	return u.place(ctx, p, nil, &r)
}

// recordTo makes l a leg to a recorder.
func (l *Leg) recordTo(r *Recorder) error {
	if l.trunk.DelayedOffer {
		return errors.New("sip: recording session: a recorder's trunk makes no delayed offer")
	}
	second, err := l.u.pool.Open()
	if err != nil {
		return err
	}
	local := l.local
	local.Addr = netip.AddrPortFrom(l.local.Addr.Addr(), second.LocalAddr().Port())
	if local.SRTP != sdp.SRTPOff {
		if local.Keys, err = newKeys(); err != nil {
			second.Close()
			return err
		}
	}
	l.local.Direction, l.local.Label = sdp.SendOnly, "1"
	local.Label = "2"
	l.rec = &recorderLeg{second: second, local: local, metadata: r.Metadata}
	l.media.PlaySource(r.Streams[0])
	second.PlaySource(r.Streams[1])
	return nil
}

// Describe tells the recorder anew whom it hears, and whether the recording is
// paused: both streams are inactive then (RFC 7866, section 7.1.1.1). It returns
// when the recorder has agreed, and an error if it refused; the session then goes
// on as it was. One call at a time.
func (l *Leg) Describe(ctx context.Context, metadata []byte, paused bool) error {
	if l.rec == nil || !l.established() || len(metadata) == 0 || len(metadata) > maxMetadata {
		return errors.New("sip: recording session: not one, not answered, or no metadata")
	}
	way := sdp.SendOnly
	if paused {
		way = sdp.Inactive
	}
	l.mu.Lock()
	before, told := l.local.Direction, l.rec.metadata
	l.local.Direction, l.rec.metadata = way, metadata
	l.mu.Unlock()
	err := l.renegotiate(ctx)
	if err != nil {
		l.mu.Lock()
		l.local.Direction, l.rec.metadata = before, told
		l.mu.Unlock()
	}
	return err
}

// both are our two sides of a recording session.
func (l *Leg) both() [2]sdp.Local {
	first := l.offering()
	second := l.rec.local
	second.Version, second.SRTP, second.Direction = first.Version, first.SRTP, first.Direction
	return [2]sdp.Local{first, second}
}

// partBoundary stands in no description and in no metadata of ours.
const partBoundary = "rf-recording-session-part"

// setOffer puts our offer into a request.
func (l *Leg) setOffer(req *sip.Request) {
	if l.rec == nil {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		req.SetBody(l.offer())
		return
	}
	ours := l.both()
	l.mu.Lock()
	metadata := l.rec.metadata
	l.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "--%s\r\nContent-Type: application/sdp\r\n\r\n%s\r\n", partBoundary, sdp.Offer(ours[:]...))
	fmt.Fprintf(&b, "--%s\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n%s\r\n--%s--\r\n", partBoundary, metadata, partBoundary)
	if c := req.Contact(); c != nil {
		c.Params = sip.NewParams()
		c.Params.Add("+sip.src", "")
	}
	req.AppendHeader(sip.NewHeader("Require", "siprec"))
	req.AppendHeader(sip.NewHeader("Content-Type", "multipart/mixed;boundary="+partBoundary))
	req.SetBody(b.Bytes())
}

// acceptBoth takes the recorder's answer: two lines, each for one of ours. One
// that it refuses is one too few.
func (l *Leg) acceptBoth(d *sdp.Description) error {
	ours := l.both()
	agreed, err := sdp.AcceptEach(d, ours[:]...)
	if err != nil {
		return err
	}
	if err := l.rec.second.Negotiated(l.params(agreed[1], false)); err != nil {
		return err
	}
	return l.apply(agreed[0], d.Origin, false)
}
