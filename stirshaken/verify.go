package stirshaken

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
)

// Verifier is a verification service (RFC 8224, section 6). It is safe for use
// by several goroutines.
type Verifier struct {
	config Config
	trust  atomic.Pointer[TrustList]
	fetch  *fetcher
	cache  *certCache
	marks  Marks
	pinned atomic.Pointer[entry] // for every x5u, when set
	memo   headerMemo
}

// NewVerifier checks the configuration; it starts nothing.
func NewVerifier(c Config) (*Verifier, error) {
	if c.Freshness < 0 || c.Skew < 0 || c.CacheEntries < 0 {
		return nil, errors.New("stirshaken: negative bound in the configuration")
	}
	if c.Freshness == 0 {
		c.Freshness = DefaultFreshness
	}
	if c.Skew == 0 {
		c.Skew = DefaultSkew
	}
	if c.Freshness+c.Skew > markGeneration {
		return nil, fmt.Errorf("stirshaken: freshness and skew are more than %s together", markGeneration)
	}
	if c.CacheEntries == 0 {
		c.CacheEntries = DefaultCacheEntries
	}
	f, err := newFetcher(c.Fetch)
	if err != nil {
		return nil, err
	}
	v := &Verifier{config: c, fetch: f, cache: newCertCache(c.CacheEntries, f), marks: c.Marks}
	if v.marks == nil {
		v.marks = NewMemoryMarks(0)
	}
	v.trust.Store(c.Trust)
	return v, nil
}

// SetTrust swaps the trust list; cached chains are validated again under it.
func (v *Verifier) SetTrust(t *TrustList) { v.trust.Store(t) }

// Preload puts certificates (PEM, or one in DER, leaf first) in the cache for
// x5u for good, so that they are never fetched. An empty x5u means every x5u:
// a check with a certificate at hand.
func (v *Verifier) Preload(x5u string, bundle []byte) *Refusal {
	e := &entry{x5u: x5u, pinned: true}
	var r *Refusal
	if e.bundle, r = parseBundle(bundle, v.cache.known); r != nil {
		return r
	}
	if x5u == "" {
		v.pinned.Store(e)
		return nil
	}
	v.cache.put(e)
	return nil
}

// Close waits for fetches under way. The Verifier fetches nothing after it.
func (v *Verifier) Close() { v.cache.close() }

// check is one Verify under way.
type check struct {
	v     *Verifier
	ctx   context.Context
	req   Request
	now   time.Time
	froms []address // whom orig may be
	dests []address // whom dest may be
	tag   string
	cand  []candidate

	// Room for what nearly every call has, so that it costs no allocation.
	fromRoom, destRoom [1]address
	candRoom           [1]candidate
	nodeRoom           [12]jnode
}

// checks keeps the room of past checks.
var checks = sync.Pool{New: func() any { return new(check) }}

// Verify checks one request at now. It never fails: what cannot be found out
// is a verdict that attests nothing. ctx bounds the waiting for certificates.
func (v *Verifier) Verify(ctx context.Context, req Request, peer Peer, now time.Time) Verdict {
	c := checks.Get().(*check)
	defer func() {
		*c = check{} // nothing of a call stays
		checks.Put(c)
	}()
	c.v, c.ctx, c.req, c.now = v, ctx, req, now
	c.froms, c.dests, c.cand = c.fromRoom[:0], c.destRoom[:0], c.candRoom[:]
	out := Verdict{Source: SourceIdentity, Peer: peer.Name}
	c.addresses(&out)
	switch {
	case len(req.Identity) == 0:
		if !peer.TrustVerstat || !c.verstat(&out) {
			out.set(StatusNone, refuse(ReasonNoIdentity, ""))
		}
	case len(req.Identity) > MaxIdentityHeaders:
		out.set(StatusFailed, refuse(ReasonTooManyHeaders, strconv.Itoa(len(req.Identity))))
	default:
		c.identities(&out)
	}
	if o := v.config.Observer; o != nil {
		o.Checked(out.Status, out.Reason)
	}
	return out
}

func (v *Verdict) set(s Status, r *Refusal) {
	v.Status, v.Reason, v.Detail, v.Code, v.Attest = s, r.Reason, r.Detail, r.Reason.Code(), ringfence.AttestNone
}

// identities checks the headers: first, without keys, what each says; then the
// certificates and signatures of those that could carry the call.
func (c *check) identities(out *Verdict) {
	n := len(c.req.Identity)
	if n > len(c.candRoom) {
		c.cand = make([]candidate, n)
	}
	out.Headers = make([]HeaderVerdict, n)
	for i := range c.cand {
		out.Headers[i].Index = i
		c.cand[i].out = &out.Headers[i]
		c.read(&c.cand[i], c.req.Identity[i])
	}
	var used []*PASSporT
	var best *candidate
	var path []*candidate
	for i := range c.cand {
		k := &c.cand[i]
		if k.bad != nil || k.p.PPT != PPTShaken && k.p.PPT != "" {
			continue
		}
		chain := c.link(k)
		if k.bad != nil {
			continue
		}
		if !c.prove(k) {
			continue
		}
		broken := false
		for _, d := range chain {
			if !c.prove(d) {
				k.fail(refuse(ReasonDivBroken, "the diversion in header "+strconv.Itoa(d.out.Index)+" is not valid: "+string(d.bad.Reason)))
				broken = true
				break
			}
		}
		if broken {
			continue
		}
		used = append(used[:0], &k.p)
		for _, d := range chain {
			used = append(used, &d.p)
		}
		if r := c.replay(used); r != nil {
			k.fail(r)
			continue
		}
		k.succeed()
		for _, d := range chain {
			d.succeed()
		}
		if best != nil && best.p.Attest != k.p.Attest && best.p.PPT == PPTShaken && k.p.PPT == PPTShaken {
			out.Conflict = true
		}
		// The lowest attestation stands; a baseline PASSporT carries the call
		// only when no shaken one does.
		if best == nil || best.p.PPT == "" || k.p.PPT != "" && k.p.Attest > best.p.Attest {
			if best == nil || k.p.PPT != "" {
				best, path = k, chain
			}
		}
	}
	c.rest(best != nil)
	c.conclude(out, best, path)
}
