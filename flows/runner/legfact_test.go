package runner

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/verifytest"
)

var signedCaller = Caller{Valid: ringfence.Yes, Attest: ringfence.AttestFull, Orig: mobile, Number: "yes", Says: "signed"}

// facts are those that stand in the store as Evidence about the customer.
func (w *world) factsStored() []ringfence.Fact {
	var out []ringfence.Fact
	for _, rec := range w.List(ledger.KindEvidence) {
		e := verifytest.Read[ringfence.Evidence](w.World, ledger.KindEvidence, rec.ID)
		if e.Subject == w.customer && !slices.Contains(out, e.Fact) {
			out = append(out, e.Fact)
		}
	}
	slices.Sort(out)
	return out
}

// What the carrier signed is Evidence, so that the gate can count it; it goes
// with whoever held the leg, in the gate as well (invariants 9 and 17).
func TestLegFactsReachTheGate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.caller = signedCaller
		l := w.call("customer-line")
		identified(l, account)
		l.keys(pinOK + "#")
		l.hears("For your balance")
		want := []ringfence.Fact{ringfence.FactAttested, ringfence.FactKnownNumber, ringfence.FactPIN}
		if have := w.factsStored(); !slices.Equal(have, want) {
			t.Errorf("have %v, want %v", have, want)
		}
		guard := func() []ringfence.Fact {
			g := must(w.gate.Guard(t.Context(), ten, gate.GuardRequest{Traversal: w.live().Traversal, Leg: l.id, Subject: w.customer}))
			return g.Facts()
		}
		if have := guard(); len(have) != 4 {
			t.Errorf("the gate counts %v on the leg", have)
		}
		l.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
		synctest.Wait()
		if have := guard(); len(have) != 1 {
			t.Errorf("the gate counts %v for whoever has the phone now", have)
		}
		l.end(ringfence.EndBye)
		w.ended()
	})
}

func TestNoLegFactWithoutAGoodSignature(t *testing.T) {
	for name, spoil := range map[string]func(*Caller){
		"failed":   func(c *Caller) { c.Valid = ringfence.No },
		"none":     func(c *Caller) { c.Valid = ringfence.Unknown },
		"partial":  func(c *Caller) { c.Attest = ringfence.AttestPartial },
		"gateway":  func(c *Caller) { c.Attest = ringfence.AttestGateway },
		"unsigned": func(c *Caller) { *c = Caller{Orig: mobile, Number: "yes"} },
	} {
		inWorld(t, func(w *world) {
			w.caller = signedCaller
			spoil(&w.caller)
			l := w.call("customer-line")
			identified(l, account)
			l.keys(pinOK + "#")
			l.hears("For your balance")
			if have := w.factsStored(); !slices.Equal(have, []ringfence.Fact{ringfence.FactPIN}) {
				t.Errorf("%s: have %v, want the PIN only", name, have)
			}
			l.end(ringfence.EndBye)
			w.ended()
		})
	}
	for name, spoil := range map[string]func(*Caller){
		"diverted":     func(c *Caller) { c.Diverted = ringfence.Yes },
		"other number": func(c *Caller) { c.Orig = "447700900998" },
		"no number":    func(c *Caller) { c.Orig = "" },
	} {
		inWorld(t, func(w *world) {
			w.caller = signedCaller
			spoil(&w.caller)
			l := w.call("customer-line")
			identified(l, account)
			l.keys(pinOK + "#")
			l.hears("For your balance")
			if slices.Contains(w.factsStored(), ringfence.FactKnownNumber) {
				t.Errorf("%s: the number counts", name)
			}
			l.end(ringfence.EndBye)
			w.ended()
		})
	}
}

// The store that does not take the void is asked again until it does.
func TestLegVoidIsStoredAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		var fails atomic.Int32
		w.Store.Fail = func() error {
			if fails.Add(-1) >= 0 {
				return errors.New("the disk is full")
			}
			return nil
		}
		w.caller = signedCaller
		l := w.call("customer-line")
		identified(l, account)
		l.keys(pinOK + "#")
		l.hears("For your balance")
		fails.Store(2)
		l.emit(ringfence.LegEvent{Kind: ringfence.LegChanged})
		synctest.Wait()
		if n := len(w.List(ledger.KindLegVoid)); n != 0 {
			t.Fatalf("%d rows although nothing could be stored", n)
		}
		time.Sleep(3 * time.Second) // in the bubble
		synctest.Wait()
		if n := len(w.List(ledger.KindLegVoid)); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		l.end(ringfence.EndBye)
		w.ended()
	})
}
