package b2bua

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/b2bua/trace"
)

// fence judges every message of one listener before the SIP stack sees it.
type fence struct {
	limits    Limits
	strangers Strangers
	transport string
	trunks    []*Trunk // that may use this listener
	rates     *sources // of trunks
	strange   *sources // of everybody else; a ban of theirs is no trunk's
	seed      maphash.Seed
	sentBy    func() (host string, port uint16) // of our Via
	gate      gate
	wire      func(trace.Message) // shown what passes and what we send; nil = nobody
	passed    atomic.Int64
	refused   atomic.Int64
	dropped   atomic.Int64
}

// gate is what the fence must know of the calls in progress.
type gate interface {
	// admits says why a new INVITE may not start a call now. known is true for
	// one that already has: a retransmission.
	admits(t *Trunk, i invited) (err error, known bool)
	// urgent says whether a call of user is an emergency call of our own phone.
	urgent(t *Trunk, user string) bool
	// available says whether a call of the trunk from there would be taken now.
	available(t *Trunk, from netip.Addr) bool
}

// invited is a new INVITE as the gate judges it.
type invited struct {
	key    string // message.key
	from   netip.Addr
	called string
}

// result is what the fence makes of one message.
type result struct {
	forward []byte // to the stack; nil = nothing
	answer  []byte // to the sender; nil = nothing
	to      netip.AddrPort
	hangUp  bool // of a connection: its framing is lost or its peer unwelcome
}

// trunkOf returns the trunk that owns source, or nil. names are the DNS names of
// a verified client certificate.
func (f *fence) trunkOf(source netip.Addr, names []string) *Trunk {
	source = source.Unmap()
	for _, t := range f.trunks {
		if !t.owns(source) {
			continue
		}
		if t.PeerName == "" {
			return t
		}
		for _, n := range names {
			if strings.EqualFold(n, t.PeerName) {
				return t
			}
		}
	}
	return nil
}

// ownedBySome reports whether a trunk owns source, whatever its certificate.
func (f *fence) ownedBySome(source netip.Addr) bool {
	source = source.Unmap()
	return slices.ContainsFunc(f.trunks, func(t *Trunk) bool { return t.owns(source) })
}

// welcome spends one message of source's allowance.
func (f *fence) welcome(t *Trunk, source netip.Addr, now time.Time) bool {
	if t != nil {
		return f.rates.take(source, f.limits.TrunkRate, false, now)
	}
	return f.strangers != StrangersDrop && f.strange.take(source, f.limits.StrangerRate, true, now)
}

// datagram judges one UDP datagram.
func (f *fence) datagram(raw []byte, source netip.AddrPort) result {
	if t := f.trunkOf(source.Addr(), nil); f.welcome(t, source.Addr(), time.Now()) {
		raw = bytes.TrimLeft(raw, "\r\n")
		if len(raw) == 0 {
			return result{} // keep-alive
		}
		end := bytes.Index(raw, []byte("\r\n\r\n"))
		head, body := raw, []byte(nil)
		if end >= 0 {
			head, body = raw[:end+4], raw[end+4:]
		}
		m, r := parseMessage(head)
		n, bad := m.contentLength()
		switch {
		case r != nil:
		case bad != nil:
			r = bad
		case n > len(body):
			r = refuse(400, "Body Shorter Than Content-Length")
		case n >= 0:
			body = body[:n]
		}
		m.body = body
		return f.message(m, r, source, t, nil)
	}
	f.dropped.Add(1)
	return result{}
}

// message judges one framed message; r is what was found wrong on the way.
func (f *fence) message(m *message, r *refusal, source netip.AddrPort, t *Trunk, names []string) result {
	if t == nil {
		t = f.trunkOf(source.Addr(), names)
	}
	judged := m.judge() // always: the answer is built from the judged parts
	if r == nil {
		r = judged
	}
	if r != nil && (m.method == "" || m.method == "ACK") {
		r.code = 0
	}
	switch {
	case t == nil && m.method == "":
		r = refuse(0, "response of a stranger")
	case t == nil && (r == nil || r.code != 400):
		r = refuse(403, "Forbidden")
	case r != nil:
	case m.method == "":
		r = f.response(m)
	default:
		r = f.request(m, t, source.Addr())
	}
	if r == nil && t != nil {
		out := m.render()
		if len(out) <= maxMessageBytes {
			f.passed.Add(1)
			f.seen(true, source, out)
			return result{forward: out}
		}
		r = refuse(413, "Request Entity Too Large")
	}
	res := result{answer: m.answer(r, source, f.tag(m)), to: m.replyTo(source), hangUp: t == nil}
	if res.answer != nil {
		f.refused.Add(1)
	} else {
		f.dropped.Add(1)
	}
	return res
}

// request applies what depends on the calls in progress.
func (f *fence) request(m *message, t *Trunk, from netip.Addr) *refusal {
	if tag := m.to.tag(); tag != "" {
		if m.method == "ACK" && tag == f.tag(m) {
			return refuse(0, "ACK of a refusal of ours")
		}
		return nil
	}
	switch m.method {
	case "OPTIONS": // RFC 3261, section 11.2: as an INVITE would be answered
		if !f.gate.available(t, from) {
			return f.unavailable()
		}
		return &refusal{code: 200, reason: "OK", headers: []field{allowField, {"Accept", "application/sdp"},
			{"Supported", strings.Join(understood, ", ")}}}
	case "INVITE":
		if f.gate.urgent(t, userOfURI(m.uri)) {
			return nil
		}
		i := invited{key: m.key(), from: from, called: t.called(userOfURI(m.uri), userOfURI(m.to.uri))}
		if err, known := f.gate.admits(t, i); err != nil && !known {
			return f.noRoom(err)
		}
	case "BYE", "UPDATE", "INFO", "PRACK":
		return refuse(481, "Call/Transaction Does Not Exist")
	}
	return nil
}

func (f *fence) unavailable() *refusal {
	return &refusal{code: 503, reason: "Service Unavailable",
		headers: []field{{"Retry-After", strconv.Itoa(int(f.limits.RetryAfter / time.Second))}}}
}

// noRoom refuses a call. One tenant's cap is no reason for the trunk to send us
// nobody's calls, as it may after 503 (RFC 3261, section 21.5.4): the called
// side alone is busy (section 21.4.24).
func (f *fence) noRoom(why error) *refusal {
	r := f.unavailable()
	if errors.Is(why, fullError{CapTenant}) {
		r.code, r.reason = 486, "Busy Here"
	}
	return r
}

// response lets pass what answers a request of ours (RFC 3261, section 18.1.2):
// its top Via is our own.
func (f *fence) response(m *message) *refusal {
	host, port := f.sentBy()
	top := m.vias[0]
	if top.port == 0 {
		top.port = int(defaultPort(f.transport))
	}
	if top.host != host || top.port != int(port) {
		return refuse(0, "response to somebody else")
	}
	if m.to.tag() == "" && m.status > 100 {
		// RFC 3261, section 8.2.6.2; a stack behind a tag-less 1xx has no dialog
		// to hang it on, a tag-less final answer has no dialog at all.
		if m.status < 300 {
			return refuse(0, "response without a To tag")
		}
	}
	return nil
}

// key tells a call attempt from all others: equal keys with different branches
// are a merged request (RFC 3261, section 8.2.2.2).
func (m *message) key() string {
	return callKey(m.first("Call-ID"), m.from.tag(), m.cseq)
}

func callKey(callID, fromTag string, cseq uint32) string {
	return callID + "\x00" + fromTag + "\x00" + strconv.FormatUint(uint64(cseq), 10)
}

// tag is the To tag of a stateless answer, and so of its ACK (RFC 3261, section
// 17.1.1.3: the same Via, From, Call-ID and number).
func (f *fence) tag(m *message) string {
	var h maphash.Hash
	h.SetSeed(f.seed)
	for _, s := range []string{m.first("Via"), m.first("From"), m.first("Call-ID"), strconv.FormatUint(uint64(m.cseq), 10)} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0)
	}
	return fmt.Sprintf("f%016x", h.Sum64())
}
