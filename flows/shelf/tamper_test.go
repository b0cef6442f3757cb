package shelf

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// A bad bundle never replaces a good one, and a restart on it does not begin.
func TestTamperedBytes(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"flipped":       func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":         func([]byte) []byte { return nil },
		"another's own": func([]byte) []byte { return looser(t).Canonical() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				running, b := o.process(), stricter(t)
				o.publish(b, "olga", "omar")
				o.put(kindBundle, b.HashText(), nil, storedBundle{Canonical: spoil(b.Canonical())})
				if err := running.Refresh(t.Context(), tenant); err == nil {
					t.Error("a spoilt bundle was taken up")
				}
				if got := running.Current(tenant); got.HashText() != shipped(t).HashText() {
					t.Error("what ran was replaced")
				}
				fresh, err := New(o.cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := fresh.Refresh(t.Context(), tenant); err == nil || fresh.Current(tenant) != nil {
					t.Error("a process started on a spoilt bundle")
				}
				// The way out: publish something good. Nothing is known of what
				// was in force, so it counts as looser.
				o.Shelf = fresh
				good := variant(t, "hold: 12h", "hold: 22h")
				if got := o.publish(good, "olga", "omar"); got.Refused != RefuseRisk {
					t.Errorf("got %+v, want %q", got, RefuseRisk)
				}
			})
		})
	}
}

func TestProofIsRedone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		b := stricter(t)
		o.publish(b, "olga", "omar")
		// A newer version does not prove what an older one did.
		o.cfg.Prove = func(b *flows.Bundle) (flows.Certificate, error) {
			return flows.Certificate{}, errors.New("P1: a call releases without callback")
		}
		newer, err := New(o.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := newer.Refresh(t.Context(), tenant); err == nil || newer.Current(tenant) != nil {
			t.Error("a bundle without a proof by this version runs")
		}
		o.Shelf = newer
		got := o.publish(variant(t, "hold: 12h", "hold: 22h"), "olga")
		if got.Refused != RefuseBytes || got.Proposed {
			t.Errorf("got %+v, want %q", got, RefuseBytes)
		}
	})
}

func TestAcceptRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.cfg.Accept = func(_ ringfence.TenantID, b *flows.Bundle) error {
			if b == o.cfg.Base {
				return nil
			}
			return errors.New("line accounts names no flow of it")
		}
		o.Shelf = o.process()
		if got := o.publish(stricter(t), "olga"); got.Refused != RefuseBytes {
			t.Errorf("got %+v, want %q", got, RefuseBytes)
		}
		o.cfg.Accept = func(ringfence.TenantID, *flows.Bundle) error { return errors.New("not even the base") }
		s, err := New(o.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Refresh(t.Context(), tenant); err == nil || s.Current(tenant) != nil {
			t.Error("a process starts on a base that lacks a line's flow")
		}
	})
}

// A store put back to yesterday does not bring yesterday's policy back.
func TestRewoundStateIsRefused(t *testing.T) {
	for name, rewind := range map[string]func(*office, ledger.Record){
		"put back": func(o *office, old ledger.Record) {
			o.update(func(tx ledger.Tx) error {
				now, err := tx.Get(o.t.Context(), kindState, stateID)
				if err != nil {
					return err
				}
				old.Version = now.Version
				return tx.Put(o.t.Context(), &old)
			})
		},
		"deleted": func(o *office, _ ledger.Record) {
			o.update(func(tx ledger.Tx) error {
				now, err := tx.Get(o.t.Context(), kindState, stateID)
				if err != nil {
					return err
				}
				return tx.Delete(o.t.Context(), kindState, stateID, now.Version)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.publish(stricter(t), "olga", "omar")
				var old ledger.Record
				o.update(func(tx ledger.Tx) (err error) { old, err = tx.Get(t.Context(), kindState, stateID); return err })
				b := variant(t, "hold: 12h", "hold: 22h")
				o.publish(b, "olga", "omar")
				rewind(o, old)
				if err := o.Refresh(t.Context(), tenant); !errors.Is(err, errRewound) {
					t.Errorf("got %v, want %v", err, errRewound)
				}
				o.inForceIs(b)
			})
		})
	}
}

func TestUpgradeKeepsTheOldBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		if err := o.Remember(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		old := o.cfg.Base
		o.cfg.Base = stricter(t)
		o.Shelf = o.process()
		o.inForceIs(stricter(t))
		if o.ByHash(tenant, old.HashText()) == nil || o.PolicyByHash(tenant, old.Policy().Hash()) == nil {
			t.Error("what began before the upgrade is not understood")
		}
		if got := o.process().Current("other"); got != nil {
			t.Error("a tenant nobody asked about has a bundle")
		}
		time.Sleep(time.Second)
	})
}
