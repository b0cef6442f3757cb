package stirshaken

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"time"
)

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
