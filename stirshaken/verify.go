package stirshaken

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
)

// DatePolicy says what the Date header field must be (RFC 8224, section 6.2).
// iat must be fresh under each of them: a Date never rescues a stale iat.
type DatePolicy uint8

// The policies.
const (
	// DateIfPresent, the zero value, accepts a request without Date and refuses
	// one whose Date is stale.
	DateIfPresent DatePolicy = 0
	// DateRequired also refuses a request without Date.
	DateRequired DatePolicy = 1
	// DateIgnored does not look at Date: a fresh iat is enough.
	DateIgnored DatePolicy = 2
)

// CallerPolicy says which header field orig is compared with.
type CallerPolicy uint8

// The policies.
const (
	// CallerPAIThenFrom, the zero value, takes P-Asserted-Identity when it is
	// there and From otherwise (ATIS-1000074, section 5.3.1).
	CallerPAIThenFrom CallerPolicy = 0
	// CallerFrom takes From only (RFC 8224, section 4).
	CallerFrom CallerPolicy = 1
)

// CalledPolicy says which fields dest may match.
type CalledPolicy uint8

// The policies.
const (
	// CalledTo, the zero value, compares To only (RFC 8224, section 4).
	CalledTo CalledPolicy = 0
	// CalledToOrRequestURI also takes the Request-URI, for networks that
	// retarget without a div PASSporT.
	CalledToOrRequestURI CalledPolicy = 1
)

// Config is how a Verifier checks. The zero value is strict and trusts nobody,
// so that every call fails until Trust is set. It must not be changed once
// passed to NewVerifier.
type Config struct {
	Trust  *TrustList
	Home   Home
	Date   DatePolicy
	Caller CallerPolicy
	Called CalledPolicy
	// Freshness is how old iat may be. Zero means DefaultFreshness; negative is
	// an error. Freshness and Skew together must not pass five minutes.
	Freshness time.Duration
	// Skew is how far ahead iat may be. Zero means DefaultSkew; negative is an
	// error.
	Skew time.Duration
	// AcceptBaseline takes PASSporTs without a ppt, AcceptCompact those in
	// compact form. Neither ever attests anything.
	AcceptBaseline bool
	AcceptCompact  bool
	CRL            CRLPolicy
	CRLs           *CRLStore // nil holds no lists
	Fetch          FetchConfig
	// Marks remembers PASSporTs that were used; nil means NewMemoryMarks(0).
	Marks Marks
	// CacheEntries bounds the certificate cache. Zero means
	// DefaultCacheEntries; negative is an error.
	CacheEntries int
	// Observer is told of outcomes; nil tells nobody.
	Observer Observer
}

// Observer counts outcomes. Its methods are called on the path of each call
// and must not block; reasons are a closed set, fit for metrics labels.
type Observer interface {
	// Checked is called once for each Verify.
	Checked(status Status, reason Reason)
	// CacheLookup is called once for each certificate that is needed.
	CacheLookup(hit bool)
	// Fetched is called after each fetch, with how long it took.
	Fetched(reason Reason, took time.Duration)
}

// Request is what was received, each value without its header name. Values of
// the caller's are hostile; each is bounded when read.
type Request struct {
	Identity   []string // one for each Identity header field, in order
	From       string
	PAI        []string // P-Asserted-Identity
	To         string
	RequestURI string
	Date       string // "" when absent
	Privacy    string // Privacy header field, "" when absent
	// CallID and the From tag name the call for replay detection. An empty
	// CallID turns it off: there is no call to tell from another.
	CallID string
	// PAttestation is P-Attestation-Indicator (3GPP TS 24.229, section
	// 7.2.19): a trusted peer's attestation, "" when absent.
	PAttestation string
}

// Peer is who sent the request. The zero value is trusted with nothing.
type Peer struct {
	Name string // for people
	// TrustVerstat takes the peer's verstat as a verdict when there is no
	// Identity header field. Set it only for a peer that is known by mutual TLS
	// or by a private interface, never by a UDP source address.
	TrustVerstat bool
}

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

// candidate is one header on its way through the checks.
type candidate struct {
	id  Identity
	p   PASSporT
	out *HeaderVerdict
	bad *Refusal
	ok  bool // signature, chain and scope are verified
	lab bool
	rcd *RichCallData
}

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

// addresses reads whom the request shows.
func (c *check) addresses(out *Verdict) {
	home := c.v.config.Home
	from, fromOK := home.parseAddress(c.req.From)
	c.tag = from.tag
	if c.v.config.Caller == CallerPAIThenFrom {
		for i, field := range c.req.PAI {
			if i == 4 {
				break // RFC 3325 allows two values
			}
			for _, one := range splitAddresses(field) {
				if a, ok := home.parseAddress(one); ok && len(c.froms) < 4 {
					c.froms = append(c.froms, a)
				}
			}
		}
	}
	if len(c.froms) == 0 && fromOK && (len(c.req.PAI) == 0 || c.v.config.Caller == CallerFrom) {
		c.froms = append(c.froms, from)
	}
	for _, a := range c.froms {
		if out.Orig.TN == "" {
			out.Orig = a.party
		}
	}
	out.Shown = c.shown(from, out.Orig)
	if to, ok := home.parseAddress(c.req.To); ok {
		c.dests = append(c.dests, to)
	}
	if c.v.config.Called == CalledToOrRequestURI && c.req.RequestURI != "" {
		if p, _, ok := home.parseURI(c.req.RequestURI); ok {
			c.dests = append(c.dests, address{party: p, uri: c.req.RequestURI})
		}
	}
	if len(c.dests) > 0 {
		out.Dest = c.dests[0].party
	}
}

func (c *check) shown(from address, orig Party) Shown {
	switch {
	case private(c.req.Privacy), strings.Contains(from.party.URI, "@anonymous.invalid"), strings.HasPrefix(from.party.URI, "sip:anonymous@"):
		return ShownWithheld
	case orig.TN != "" && len(orig.TN) > 15:
		return ShownImpossible // E.164, clause 6.1: at most 15 digits
	case orig.TN != "":
		return ShownYes
	default:
		return ShownWithheld
	}
}

// private reports whether a Privacy header field asks that the caller not be
// shown (RFC 3323, section 4.2; RFC 3325, section 9.3).
func private(field string) bool {
	for _, value := range strings.FieldsFunc(clip(field), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		switch strings.ToLower(value) {
		case "id", "user", "header":
			return true
		}
	}
	return false
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

// read makes the checks that need no key: form, claims, time, binding.
func (c *check) read(k *candidate, value string) {
	var r *Refusal
	k.id, r = ParseIdentity(value)
	k.out.PPT = clip(k.id.PPT)
	if r != nil {
		k.fail(r)
		return
	}
	if k.id.PPT != "" && !known(strings.ToLower(k.id.PPT)) {
		k.ignore(refuse(ReasonUnknownPPT, strconv.Quote(clip(k.id.PPT))))
		return
	}
	if strings.HasPrefix(k.id.Token, "..") {
		if !c.v.config.AcceptCompact {
			k.ignore(refuse(ReasonCompactOff, ""))
			return
		}
	} else if k.id.PPT == "" && !c.v.config.AcceptBaseline && !hasPPT(k.id.Token) {
		k.ignore(refuse(ReasonBaselineOff, ""))
		return
	}
	r = k.p.parse(k.id, &c.v.memo, c.nodes(k))
	if r == nil && k.p.Compact {
		r = c.expand(&k.p)
	}
	k.describe(c.now)
	if r == nil {
		r = c.fresh(&k.p)
	}
	if r == nil {
		r = c.caller(&k.p)
	}
	if r != nil {
		k.fail(r)
	}
}

// nodes gives the first header's claims room; the others take their own.
func (c *check) nodes(k *candidate) []jnode {
	if k.out.Index > 0 {
		return make([]jnode, 0, len(c.nodeRoom))
	}
	return c.nodeRoom[:0]
}

// hasPPT tells a baseline PASSporT from a typed one without the ppt
// parameter, which is refused; a token that cannot be read is refused later.
func hasPPT(token string) bool {
	head, _, _ := strings.Cut(token, ".")
	b, ok := decode64(nil, head)
	if !ok {
		return true
	}
	d, why := parseJSON(string(b), nil)
	return why != "" || d.nodes[0].kind != jObject || d.member(0, "ppt") >= 0 || d.member(0, "alg") < 0
}

func (k *candidate) describe(now time.Time) {
	o, p := k.out, &k.p
	o.PPT, o.Attest, o.OrigID, o.Orig, o.Dest, o.Div, o.Iat, o.Compact = p.PPT, p.Attest, p.OrigID, p.Orig, p.Dest, p.Div, p.Iat, p.Compact
	if !p.Iat.IsZero() {
		o.Age = now.Sub(p.Iat)
	}
}

func (k *candidate) fail(r *Refusal) {
	k.out.identifier = identifierOf(k.id.Token)
	k.close(StatusFailed, r)
}

func (k *candidate) ignore(r *Refusal) { k.close(StatusIgnored, r) }

func (k *candidate) close(s Status, r *Refusal) {
	k.bad = r
	k.out.Status, k.out.Reason, k.out.Detail = s, r.Reason, r.Detail
}

func (k *candidate) succeed() {
	k.out.Status, k.out.Reason = StatusVerified, ReasonValid
}

// identifierOf is the ppi of RFC 9410, section 5: the compact form of the
// PASSporT. Only base64url leaves in a header, so nothing can be injected.
func identifierOf(token string) string {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(token)-i > 1+256 {
		return ""
	}
	sig := token[i+1:]
	if sig == "" || !isBase64URL(sig) {
		return ""
	}
	return ".." + sig
}

// fresh checks iat and Date (RFC 8224, section 6.2, step 4).
func (c *check) fresh(p *PASSporT) *Refusal {
	conf := &c.v.config
	if p.Iat.Before(c.now.Add(-conf.Freshness)) {
		return refuse(ReasonStale, "iat is "+c.now.Sub(p.Iat).Truncate(time.Second).String()+" old")
	}
	if p.Iat.After(c.now.Add(conf.Skew)) {
		return refuse(ReasonFuture, "iat is "+p.Iat.Sub(c.now).Truncate(time.Second).String()+" ahead")
	}
	if conf.Date == DateIgnored {
		return nil
	}
	if c.req.Date == "" {
		if conf.Date == DateRequired {
			return refuse(ReasonDateMissing, "")
		}
		return nil
	}
	date, ok := parseDate(c.req.Date)
	if !ok {
		return refuse(ReasonDateSyntax, "")
	}
	if date.Before(c.now.Add(-conf.Freshness)) || date.After(c.now.Add(conf.Skew)) {
		return refuse(ReasonDateStale, "")
	}
	return nil
}

// parseDate reads SIP-date (RFC 3261, section 20.17): rfc1123-date in GMT.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	t, err := time.Parse(http.TimeFormat, strings.Trim(s, lws))
	return t, err == nil
}

// caller holds orig against whom the request shows.
func (c *check) caller(p *PASSporT) *Refusal {
	if len(c.froms) == 0 {
		return refuse(ReasonCallerUnknown, "")
	}
	for _, a := range c.froms {
		if a.is(p.Orig) {
			return nil
		}
	}
	return refuse(ReasonOrigMismatch, "signed "+p.Orig.Masked()+", shown "+c.froms[0].party.Masked())
}

// called reports whether one of the signed destinations is the called party.
func (c *check) called(p *PASSporT) bool {
	for _, a := range c.dests {
		for _, d := range p.Dest {
			if a.is(d) {
				return true
			}
		}
	}
	return false
}

// prove checks certificate, scope, constraints and signature of one header,
// once.
func (c *check) prove(k *candidate) bool {
	if k.ok || k.bad != nil {
		return k.ok
	}
	e, r := c.v.certificate(c.ctx, k.p.X5U, c.now)
	if e != nil && e.chain != nil {
		k.out.Certificate = &e.chain.info
		k.lab = e.lab
	}
	if r == nil {
		r = e.chain.check(k, c.now)
	}
	if r == nil && !k.p.verify(e.chain.pub) {
		r = refuse(ReasonSignature, "")
	}
	if r == nil && k.p.Compact && len(e.chain.constraints) > 0 {
		r = refuse(ReasonMustInclude, "the claims of a compact PASSporT cannot be checked")
	}
	if r != nil {
		k.fail(r)
		return false
	}
	k.ok = true
	if k.p.PPT == PPTShaken || k.p.PPT == PPTRCD {
		if k.rcd, r = k.p.richCallData(); r != nil {
			k.fail(r)
			k.ok = false
		}
	}
	return k.ok
}

// check holds a PASSporT against its certificate.
func (c *chain) check(k *candidate, now time.Time) *Refusal {
	for _, at := range [...]time.Time{now, k.p.Iat} {
		if at.Before(c.notBefore) {
			return refuse(ReasonNotYetValid, "from "+c.notBefore.UTC().Format(time.RFC3339))
		}
		if at.After(c.notAfter) {
			return refuse(ReasonExpired, "on "+c.notAfter.UTC().Format(time.RFC3339))
		}
	}
	// RFC 8946, section 4.1: a div is signed by who may speak for the diverting
	// number, everything else by who may speak for the caller.
	who := k.p.Orig
	if k.p.PPT == PPTDiv {
		who = k.p.Div
	}
	if who.TN != "" {
		by, ok := c.scope.Covers(who.TN)
		if !ok {
			return refuse(ReasonScope, who.TN.Masked())
		}
		k.out.Scope = by
	} else if len(c.scope.SPCs) == 0 {
		return refuse(ReasonScope, "a URI, and the certificate has no provider code")
	}
	for _, con := range c.constraints {
		if r := con.Check(&k.p); r != nil {
			return r
		}
	}
	return nil
}

// verify checks the signature over the received bytes (RFC 7515, section 5.2).
func (p *PASSporT) verify(pub *ecdsa.PublicKey) bool {
	var room [1024]byte
	digest := sha256.Sum256(append(room[:0], p.signed...))
	var buf [72]byte
	return ecdsa.VerifyASN1(pub, digest[:], appendSignature(buf[:0], &p.sig))
}

// appendSignature writes r and s as ECDSA-Sig-Value (RFC 3279, section 2.2.3).
func appendSignature(dst []byte, sig *[64]byte) []byte {
	dst = append(dst, tagSequence, 0)
	for _, half := range [2][]byte{sig[:32], sig[32:]} {
		for len(half) > 1 && half[0] == 0 {
			half = half[1:]
		}
		pad := half[0] >> 7
		dst = append(dst, tagInteger, byte(len(half))+pad)
		if pad == 1 {
			dst = append(dst, 0)
		}
		dst = append(dst, half...)
	}
	dst[1] = byte(len(dst) - 2)
	return dst
}

// certificate returns the validated chain for x5u: from the cache, validated
// again when its verdict is old or the trust list or a revocation list
// changed, else fetched.
func (v *Verifier) certificate(ctx context.Context, x5u string, now time.Time) (*entry, *Refusal) {
	trust, gen := v.trust.Load(), v.config.CRLs.generation()
	if trust.Len() == 0 {
		return nil, refuse(ReasonNoRoots, "")
	}
	o := v.config.Observer
	e := v.pinned.Load()
	if e == nil {
		e = v.cache.peek(x5u, now)
	}
	if o != nil {
		o.CacheLookup(e != nil)
	}
	if e == nil {
		if r := v.config.Fetch.CheckX5U(x5u); r != nil {
			return nil, r
		}
		begun := time.Now()
		var r *Refusal
		if e, r = v.cache.load(ctx, x5u, now, func(e *entry) { v.validate(e, trust, gen, now) }); r != nil {
			return nil, r
		}
		if o != nil {
			reason := ReasonValid
			if e.refusal != nil {
				reason = e.refusal.Reason
			}
			o.Fetched(reason, time.Since(begun))
		}
	}
	if e.bundle != nil && (e.trust != trust || e.crlGen != gen || now.Sub(e.checked).Abs() >= chainRecheck ||
		e.refusal != nil && now.Sub(e.checked).Abs() >= time.Second) {
		fresh := *e
		v.validate(&fresh, trust, gen, now)
		e = &fresh
		if e.x5u == "" {
			v.pinned.Store(e)
		} else {
			v.cache.put(e)
		}
	}
	return e, e.refusal
}

// validate builds the chain of an entry's certificates. It writes to e, which
// nobody else may hold yet.
func (v *Verifier) validate(e *entry, trust *TrustList, gen uint64, now time.Time) {
	e.trust, e.crlGen, e.checked = trust, gen, now
	if e.chain, e.refusal = buildChain(e.bundle, trust, v.cache.known, now); e.refusal != nil {
		return
	}
	if e.refusal = v.config.CRLs.check(e.chain.path, v.config.CRL, now); e.refusal != nil {
		e.chain = nil
	}
}

// replay marks the PASSporTs that carry the call.
func (c *check) replay(used []*PASSporT) *Refusal {
	call, ok := callMark(&c.req, c.tag)
	if !ok {
		return nil
	}
	by, at, err := c.v.marks.First(c.ctx, markOf(used), call, c.now, c.now.Add(c.v.config.Freshness+c.v.config.Skew))
	switch {
	case err != nil:
		return refuse(ReasonReplayFailed, "")
	case by != call:
		return refuse(ReasonReplayed, "")
	case c.now.Sub(at) > retransmitWindow:
		return refuse(ReasonReplayed, "by the same call, "+c.now.Sub(at).Truncate(time.Second).String()+" later")
	default:
		return nil
	}
}

// rest closes the headers that no shaken PASSporT needed: rcd is checked on
// its own, a div that leads nowhere is ignored.
func (c *check) rest(carried bool) {
	for i := range c.cand {
		k := &c.cand[i]
		switch {
		case k.out.Status != "":
		case k.p.PPT == PPTRCD && carried:
			switch {
			case !c.called(&k.p) && c.link(k) == nil:
				if k.bad == nil {
					k.fail(refuse(ReasonDestMismatch, ""))
				}
			case c.prove(k):
				k.succeed()
			}
		case k.p.PPT == PPTDiv:
			k.ignore(refuse(ReasonUnlinked, ""))
		default:
			k.ignore(refuse(ReasonNotNeeded, ""))
		}
	}
}

// conclude turns the headers' verdicts into the request's.
func (c *check) conclude(out *Verdict, best *candidate, path []*candidate) {
	for i := range c.cand {
		out.Lab = out.Lab || c.cand[i].lab
	}
	if best != nil {
		out.Status, out.Reason, out.Attest = StatusVerified, ReasonValid, best.p.Attest
		out.Certificate, out.OrigID = best.out.Certificate, best.p.OrigID
		out.Iat, out.Age = best.p.Iat, best.out.Age
		out.Orig = best.p.Orig
		for i := len(path) - 1; i >= 0; i-- {
			out.Diverted = append(out.Diverted, path[i].p.Div)
		}
		out.RCD = best.rcd
		for i := range c.cand {
			if k := &c.cand[i]; k.ok && k.out.Status == StatusVerified && k.p.PPT == PPTRCD && k.rcd != nil {
				out.RCD = k.rcd
			}
		}
		return
	}
	// No PASSporT carries the call. The first shaken failure says why, else the
	// first failure, else there was nothing to check.
	var why *candidate
	for i := range c.cand {
		k := &c.cand[i]
		if k.out.Status != StatusFailed {
			continue
		}
		if why == nil || why.out.PPT != PPTShaken && k.out.PPT == PPTShaken {
			why = k
		}
	}
	if why != nil {
		out.set(StatusFailed, why.bad)
		out.Iat, out.Age, out.Certificate = why.p.Iat, why.out.Age, why.out.Certificate
		return
	}
	r := c.cand[0].bad
	if len(c.cand) > 1 || r == nil {
		r = refuse(ReasonNoShaken, "")
	}
	if r.Reason == ReasonUnlinked || r.Reason == ReasonNotNeeded {
		r = refuse(ReasonNoShaken, "")
	}
	out.set(StatusNone, r)
}
