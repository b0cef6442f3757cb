package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// callCmd places synthetic test calls and says how they went.
type callCmd struct {
	To     string        `arg:"" help:"Whom to call: a SIP URI with an IP address, such as sip:442079460000@192.0.2.1:5060."`
	From   string        `help:"Number shown." default:"anonymous"`
	Listen string        `help:"Address to call from; its source must be a trunk's." default:"127.0.0.1:0"`
	Codec  string        `help:"Only this codec." enum:",PCMU,PCMA,G722" default:""`
	Keys   string        `help:"Keys to press once the call is answered."`
	Talk   time.Duration `help:"How long to listen after the answer." default:"5s"`
	Ring   time.Duration `help:"How long to wait for an answer." default:"30s"`
	Every  time.Duration `help:"Call again and again, this long apart; 0 calls once." default:"0s"`
	JSON   bool          `help:"One line of JSON a call."`
}

// callResult is one test call.
type callResult struct {
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"`
	Status   int       `json:"status,omitempty"` // SIP status of a refusal
	Cause    string    `json:"cause,omitempty"`
	AnswerMS float64   `json:"answer_ms,omitempty"`
	Heard    bool      `json:"heard"` // something but silence
	Received uint64    `json:"received"`
	Lost     uint64    `json:"lost"`
	JitterMS float64   `json:"jitter_ms"`
	MOS      float64   `json:"mos,omitempty"`
	Warning  string    `json:"warning,omitempty"`
}

// Run calls. Exit 0: the last call was answered and of good quality; 1: it was
// not.
func (c *callCmd) Run(ctx context.Context) error {
	phone, err := c.phone()
	if err != nil {
		return err
	}
	defer phone.Close()
	for {
		r := c.once(ctx, phone)
		c.print(r)
		if c.Every <= 0 || ctx.Err() != nil {
			if !r.OK {
				return &exitError{code: 1}
			}
			return nil
		}
		select {
		case <-time.After(c.Every):
		case <-ctx.Done():
			return nil
		}
	}
}

// phone opens a phone that may call the address of To.
func (c *callCmd) phone() (*peer.Peer, error) {
	_, host, ok := strings.Cut(strings.TrimPrefix(c.To, "sip:"), "@")
	host, params, _ := strings.Cut(host, ";")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if !ok || err != nil {
		return nil, &exitError{code: 2, text: c.To + " is no SIP URI with an IP address, such as sip:442079460000@192.0.2.1:5060"}
	}
	cfg := peer.Config{Name: "test", Addr: c.Listen, Networks: []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}}
	switch strings.ToLower(params) {
	case "", "transport=udp":
	case "transport=tcp":
		cfg.Transport = "tcp"
	default:
		return nil, &exitError{code: 2, text: "test calls go over udp and tcp"}
	}
	if c.Codec != "" {
		cfg.Codecs = []string{c.Codec}
	}
	return peer.New(cfg)
}

// once places one call.
func (c *callCmd) once(ctx context.Context, phone *peer.Peer) callResult {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	r := callResult{At: time.Now()}
	call, err := phone.Call(ctx, peer.Invite{To: c.To, FromTN: c.From, Ring: c.Ring})
	var refused *peer.Refused
	switch {
	case errors.As(err, &refused):
		r.Status, r.Cause = refused.Code, string(refused.Cause)
		return r
	case err != nil:
		r.Cause = err.Error()
		return r
	}
	r.AnswerMS = float64(time.Since(r.At).Microseconds()) / 1000
	r.Heard = c.listen(ctx, call)
	call.Hangup()
	<-call.Done()
	st := call.Leg().Stats()
	r.Received, r.Lost, r.JitterMS, r.MOS = st.Received, st.Lost, float64(st.Jitter.Microseconds())/1000, st.MOS
	r.Warning = quality(st)
	r.OK = r.Heard && r.Warning == ""
	return r
}

// listen presses the keys and reports whether anything was heard.
func (c *callCmd) listen(ctx context.Context, call *peer.Call) (heard bool) {
	audio := call.Audio()
	if c.Keys != "" {
		_ = call.Press(c.Keys) // a far end that takes none shows in what it says
	}
	over := time.NewTimer(c.Talk)
	defer over.Stop()
	for {
		select {
		case f, ok := <-audio:
			if !ok {
				return heard
			}
			heard = heard || f.Way == rtp.Received && loud(f.PCM)
		case <-over.C:
			return heard
		case <-call.Done():
			return heard
		case <-ctx.Done():
			return heard
		}
	}
}

// loud reports whether a frame is more than the noise of a line.
func loud(pcm ringfence.Clip) bool {
	for _, v := range pcm {
		if v > 500 || v < -500 {
			return true
		}
	}
	return false
}

// quality names what is worse than a call should be: loss over 2 %, jitter over
// 30 ms, MOS under 3.5; empty = nothing.
func quality(st rtp.Stats) string {
	switch {
	case st.Received == 0:
		return "no audio came"
	case float64(st.Lost) > 0.02*float64(st.Received+st.Lost):
		return "more than 2 % of packets were lost"
	case st.Jitter > 30*time.Millisecond:
		return "jitter is more than 30 ms"
	case st.MOS < 3.5:
		return "MOS is less than 3.5"
	}
	return ""
}

func (c *callCmd) print(r callResult) {
	if c.JSON {
		_ = json.NewEncoder(os.Stdout).Encode(r)
		return
	}
	at := r.At.Format(time.TimeOnly)
	if r.AnswerMS == 0 {
		fmt.Printf("%s  not answered: %s %d\n", at, r.Cause, r.Status)
		return
	}
	says := "good"
	switch {
	case r.Warning != "":
		says = r.Warning
	case !r.Heard:
		says = "nothing but silence was heard"
	}
	fmt.Printf("%s  answered in %.0f ms, %d packets, %d lost, jitter %.1f ms, MOS %.1f: %s\n", at, r.AnswerMS, r.Received, r.Lost, r.JitterMS, r.MOS, says)
}
