package shelf

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

func (o *office) startShadow(b *flows.Bundle, name string, life time.Duration) Result {
	o.t.Helper()
	out, err := o.StartShadow(o.t.Context(), tenant, b, id(name), life)
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

func TestShadowRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		if got := o.startShadow(nil, "olga", 0); got.Refused != RefuseBytes {
			t.Errorf("no bundle: %+v", got)
		}
		if got := o.startShadow(shipped(t), "olga", 0); got.Refused != RefuseInForce {
			t.Errorf("what is in force: %+v, want %q", got, RefuseInForce)
		}
		for _, name := range []string{"agnes", "nobody"} {
			if got := o.startShadow(stricter(t), name, 0); got.Refused != RefuseSigner {
				t.Errorf("%s: %+v, want %q", name, got, RefuseSigner)
			}
		}
		if _, err := o.StartShadow(t.Context(), tenant, stricter(t), id("olga"), 31*24*time.Hour); err == nil {
			t.Error("31 days: started")
		}
		if got, err := o.StopShadow(t.Context(), tenant, id("olga")); err != nil || got.Refused != RefuseNoShadow {
			t.Errorf("stop of none: %+v, %v", got, err)
		}
		o.cfg.Prove = func(*flows.Bundle) (flows.Certificate, error) { return flows.Certificate{}, errRewound }
		o.Shelf = o.process()
		if got := o.startShadow(stricter(t), "olga", 0); got.Refused != RefuseBytes {
			t.Errorf("not proved: %+v, want %q", got, RefuseBytes)
		}
		if o.Shadow(tenant) != nil || o.entries("config.changed") != 0 {
			t.Error("a refused shadow follows calls, or stands in the ledger")
		}
	})
}

func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		other := o.process()
		b := stricter(t)
		if got := o.startShadow(b, "olga", 0); got.Refused != Done {
			t.Fatalf("%+v", got)
		}
		if o.Shadow(tenant).HashText() != b.HashText() || o.Current(tenant).HashText() == b.HashText() {
			t.Error("it does not follow, or is in force")
		}
		if err := other.refreshShadow(t.Context(), tenant); err != nil || other.Shadow(tenant) == nil {
			t.Errorf("another process does not follow: %v", err)
		}
		d := flows.Difference{Kind: "words", Before: "a", After: "b"}
		for i, rep := range []flows.Followed{{To: b.HashText(), Result: flows.FollowedSame}, {To: b.HashText(), Result: flows.FollowedWords, Differences: []flows.Difference{d}},
			{To: "another", Result: flows.FollowedDiffers}} {
			o.Followed(tenant, ringfence.TraversalID("trv_"+string(rune('a'+i))), rep)
		}
		other.Followed(tenant, "trv_z", flows.Followed{To: b.HashText(), Result: flows.FollowedDiffers, Differences: []flows.Difference{d}})
		for _, s := range []*Shelf{o.Shelf, other} {
			if err := s.keepFollowed(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
		}
		got, err := o.ShadowStatus(t.Context(), tenant)
		if err != nil || got.Calls != 3 || got.Same != 1 || got.Words != 1 || got.Differs != 1 || len(got.Differences) != 1 || got.Differences[0].Calls != 2 || len(got.Differences[0].Examples) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
		time.Sleep(25 * time.Hour)
		if o.Shadow(tenant) != nil {
			t.Error("it follows after its time")
		}
		o.startShadow(b, "olga", time.Hour)
		if out, err := o.StopShadow(t.Context(), tenant, id("omar")); err != nil || out.Refused != Done || o.Shadow(tenant) != nil {
			t.Errorf("stop: %+v, %v", out, err)
		}
		if n := o.entries(ledger.Event("config.changed")); n != 3 {
			t.Errorf("%d config.changed, want 3", n)
		}
	})
}
