package stirshaken

import (
	"time"
)

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
