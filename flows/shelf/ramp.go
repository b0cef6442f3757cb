package shelf

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Share says which calls enter a ramp. The zero Share is none.
type Share struct {
	// Percent of the traversals, 1 to 99, chosen by a keyed hash of their id.
	Percent int `json:"percent,omitempty"`
	// Numbers that are called, as digits.
	Numbers []string `json:"numbers,omitempty"`
}

// ParseShare reads "5%", "5" or numbers parted by commas.
func ParseShare(text string) (Share, error) {
	digits, percent := strings.CutSuffix(text, "%")
	if percent || len(text) <= 2 {
		var s Share
		if _, err := fmt.Sscanf(digits, "%d", &s.Percent); err != nil || fmt.Sprint(s.Percent) != digits || s.Percent == 0 {
			return s, fmt.Errorf("%q is no percentage", text)
		}
		return s, s.check()
	}
	var s Share
	for n := range strings.SplitSeq(text, ",") {
		s.Numbers = append(s.Numbers, strings.TrimPrefix(strings.TrimSpace(n), "+"))
	}
	return s, s.check()
}

func (s Share) zero() bool { return s.Percent == 0 && len(s.Numbers) == 0 }

func (s Share) equal(o Share) bool {
	return s.Percent == o.Percent && slices.Equal(s.Numbers, o.Numbers)
}

func (s Share) check() error {
	if s.Percent < 0 || s.Percent > 99 || s.Percent > 0 && len(s.Numbers) > 0 || len(s.Numbers) > 100 {
		return errors.New("a share is 1% to 99%, or up to 100 numbers")
	}
	for _, n := range s.Numbers {
		if len(n) < 3 || len(n) > 15 || strings.Trim(n, "0123456789") != "" {
			return fmt.Errorf("%q is no number: write its digits, country code first", n)
		}
	}
	return nil
}

// String writes the share as it is read.
func (s Share) String() string {
	switch {
	case s.Percent > 0:
		return fmt.Sprintf("%d%%", s.Percent)
	case len(s.Numbers) > 0:
		return strings.Join(s.Numbers, ",")
	default:
		return "all"
	}
}

// Ramp is a bundle that gets a share of the calls. While it runs, a release
// needs what both policies ask.
type Ramp struct {
	Bundle string    `json:"bundle"`
	Share  Share     `json:"share"`
	Salt   []byte    `json:"salt"` // keys the choice of traversals
	Since  time.Time `json:"since"`
	// Stopped says why no new call enters; empty = they do.
	Stopped string `json:"stopped,omitempty"`
}

func newRamp(w Waiting, now time.Time) *Ramp {
	r := &Ramp{Bundle: w.Bundle, Share: w.Share, Salt: make([]byte, 32), Since: now}
	if _, err := rand.Read(r.Salt); err != nil {
		r.Stopped = "no randomness: " + err.Error()
	}
	return r
}

// Takes reports whether a traversal to a number enters the ramp. Nobody can
// choose an id that does.
func (r *Ramp) Takes(id ringfence.TraversalID, called string) bool {
	if r == nil || r.Stopped != "" || id == "" {
		return false
	}
	if len(r.Share.Numbers) > 0 {
		return slices.Contains(r.Share.Numbers, strings.TrimPrefix(called, "+"))
	}
	mac := hmac.New(sha256.New, r.Salt)
	mac.Write([]byte(id))
	return binary.BigEndian.Uint64(mac.Sum(nil))%100 < uint64(max(0, r.Share.Percent))
}

// For returns the bundle that a new traversal gets.
func (s *Shelf) For(tenant ringfence.TenantID, id ringfence.TraversalID, called string) *flows.Bundle {
	v := s.view(tenant)
	if v == nil {
		return nil
	}
	if v.ramp == nil {
		return v.current
	}
	if v.state.Ramp.Takes(id, called) {
		return v.ramp
	}
	return v.current
}

// Also lists the policies that a release must satisfy beside its own and the
// one in force: that of a ramp, also of one that was stopped.
func (s *Shelf) Also(tenant ringfence.TenantID) []*policy.Policy {
	v := s.view(tenant)
	if v == nil || v.ramp == nil || v.ramp.Policy().Hash() == v.current.Policy().Hash() {
		return nil
	}
	return []*policy.Policy{v.ramp.Policy()}
}

// SetShare changes the share of the running ramp, or ends it by giving all
// calls to its bundle when all is true; one person is enough for either, for
// the bundle has its signatures and both policies held all the while. A looser
// bundle has waited its time before its ramp began.
func (s *Shelf) SetShare(ctx context.Context, tenant ringfence.TenantID, share Share, all bool, a Approval) (out Result, err error) {
	if err := share.check(); err != nil {
		return out, err
	}
	before, err := s.inForce(ctx, tenant)
	if err != nil {
		return out, err
	}
	if before.ramp == nil {
		return Result{Refused: RefuseNoRamp}, nil
	}
	if err := errors.Join(s.prove(before.ramp), s.accept(tenant, before.ramp)); err != nil {
		return Result{Refused: RefuseBytes, Why: err.Error()}, nil
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{Bundle: before.ramp.HashText()}
		st, version, err := readState(ctx, tx)
		if err != nil {
			return err
		}
		if version != before.version {
			return ledger.ErrConflict
		}
		if _, out.Refused, err = s.signed(ctx, tx, a, flows.ApprovalMessage(before.ramp.Hash()), signers); err != nil || out.Refused != Done {
			return err
		}
		out.From, out.Signed = tx.Now(), persons([]Approval{a})
		w := Waiting{Bundle: out.Bundle, From: tx.Now(), How: howPublished, Share: share, By: out.Signed}
		if !all && share.zero() { // nobody enters, both policies stay
			ramp := *st.Ramp
			ramp.Stopped, st.Ramp = "stopped by "+string(a.Person), &ramp
			return s.stopRamp(ctx, tx, st, version, a.Person)
		}
		if all {
			w.Share = Share{}
		}
		return s.schedule(ctx, tx, st, version, before.ramp, w, []Approval{a}, false)
	})
	if err == nil && out.Refused == Done {
		err = s.Refresh(ctx, tenant)
	}
	return out, err
}

// stopRamp writes a ramp that no new call enters.
func (s *Shelf) stopRamp(ctx context.Context, tx ledger.Tx, st state, version int64, by ringfence.PersonID) error {
	at, err := tx.Append(ctx, ledger.Entry{Event: "policy.rolled_back", Person: by, Object: st.Ramp.Bundle,
		Data: map[string]string{"ramp": "stopped", "bundle": s.hashOf(st), "why": st.Ramp.Stopped}})
	if err != nil {
		return err
	}
	st.Entry = at
	return writeState(ctx, tx, st, version)
}
