package stirshaken

// link finds the diversions that lead from where base was sent to the called
// party (RFC 8946, section 5): each div was sent to where the next one starts,
// the first starts at a destination of base, the last ends here. The headers
// may stand in any order; each is used at most once, so a loop ends. The
// result runs from the called party back to base. A base that was sent here
// directly needs none.
func (c *check) link(base *candidate) []*candidate {
	if len(c.dests) == 0 {
		base.fail(refuse(ReasonCalleeUnknown, ""))
		return nil
	}
	if c.called(&base.p) {
		return nil
	}
	var path []*candidate
	divs := false
	seen := [MaxIdentityHeaders]bool{}
	for i := range c.cand {
		k := &c.cand[i]
		divs = divs || k.out.PPT == PPTDiv
		if k.diverts() && c.called(&k.p) && c.follow(k, base, &path, &seen) {
			return path
		}
	}
	if divs {
		base.fail(refuse(ReasonDivBroken, ""))
	} else {
		base.fail(refuse(ReasonDestMismatch, "signed "+base.p.Dest[0].Masked()+", called "+c.dests[0].party.Masked()))
	}
	return nil
}

// diverts reports whether k is a readable div whose own checks have not failed.
func (k *candidate) diverts() bool { return k.p.PPT == PPTDiv && k.bad == nil }

// follow walks back from div towards base. A div from which base was not
// reached once is not tried again, so the walk looks at each header once.
func (c *check) follow(div, base *candidate, path *[]*candidate, seen *[MaxIdentityHeaders]bool) bool {
	if seen[div.out.Index] || !div.p.Orig.Equal(base.p.Orig) {
		return false
	}
	seen[div.out.Index] = true
	*path = append(*path, div)
	if containsParty(base.p.Dest, div.p.Div) {
		return true
	}
	for i := range c.cand {
		k := &c.cand[i]
		if k.diverts() && containsParty(k.p.Dest, div.p.Div) && c.follow(k, base, path, seen) {
			return true
		}
	}
	*path = (*path)[:len(*path)-1]
	return false
}

func containsParty(list []Party, p Party) bool {
	for _, q := range list {
		if q.Equal(p) {
			return true
		}
	}
	return false
}
