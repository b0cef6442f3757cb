package shelf

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
)

func TestParseShareRefuses(t *testing.T) {
	for _, text := range []string{"", "0", "0%", "100%", "-1", "+5", "5.5%", "five%", "12a,442", "1,2", "442079460001,", "44 20 7946"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
	for text, want := range map[string]string{"5%": "5%", "99": "99%", "+442079460001, 442079460002": "442079460001,442079460002"} {
		if got, err := ParseShare(text); err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}

// ramped publishes a bundle with a share.
func (o *office) ramped(b *flows.Bundle, share Share, names ...string) (out Result) {
	o.t.Helper()
	for _, name := range names {
		var err error
		if out, err = o.Publish(o.t.Context(), tenant, PublishRequest{Bundle: b, Approval: sign(name, b), Share: share}); err != nil {
			o.t.Fatal(err)
		}
	}
	return out
}

func (o *office) setShare(share Share, all bool, name string) Result {
	o.t.Helper()
	out, err := o.SetShare(o.t.Context(), tenant, share, all, sign(name, o.view(tenant).ramp))
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

// taken counts how many of 2,000 calls enter the ramp.
func (o *office) taken(b *flows.Bundle) (n int) {
	for i := range 2000 {
		if o.For(tenant, ringfence.TraversalID(fmt.Sprintf("trv_%d", i)), "442079460001").HashText() == b.HashText() {
			n++
		}
	}
	return n
}

func TestRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		b := stricter(t)
		if got := o.ramped(b, Share{Percent: 5}, "olga"); got.Refused != RefuseMoreSign {
			t.Errorf("one signature: got %+v, want %q", got, RefuseMoreSign)
		}
		if n := o.taken(b); n != 0 {
			t.Errorf("%d calls entered a ramp with one signature", n)
		}
		o.ramped(b, Share{Percent: 5}, "omar")
		if n := o.taken(b); n < 50 || n > 160 {
			t.Errorf("%d of 2000 calls entered, want about 100", n)
		}
		o.inForceIs(shipped(t)) // as policies go
		if also := o.Also(tenant); len(also) != 1 || also[0].Hash() != b.Policy().Hash() {
			t.Errorf("got %v, want the policy of the ramp demanded too", also)
		}
		if o.For(tenant, "", "") != o.Current(tenant) {
			t.Error("a call without an id entered")
		}
		few := o.taken(b)
		o.setShare(Share{Percent: 50}, false, "olga")
		if n := o.taken(b); n < 900 || n > 1100 || n < few {
			t.Errorf("%d of 2000 calls entered, want about 1000", n)
		}
		o.setShare(Share{Numbers: []string{"442079460002"}}, false, "olga")
		if o.taken(b) != 0 || o.For(tenant, "trv_1", "+442079460002").HashText() != b.HashText() {
			t.Error("the number called does not choose")
		}
		o.setShare(Share{}, false, "olga")
		if o.For(tenant, "trv_1", "442079460002").HashText() == b.HashText() || len(o.Also(tenant)) != 1 {
			t.Error("a stopped ramp takes a call, or its policy is not asked any more")
		}
		// Leaving the ramp is leaving the stricter policy: two persons and a day.
		if got := o.rollback(shipped(t), "rita"); got.Refused != RefuseMoreSign || !got.Looser {
			t.Errorf("got %+v, want %q", got, RefuseMoreSign)
		}
		if got := o.setShare(Share{}, true, "agnes"); got.Refused != RefuseSigner {
			t.Errorf("an agent: got %+v, want %q", got, RefuseSigner)
		}
		o.setShare(Share{}, true, "olga")
		o.inForceIs(b)
		if len(o.Also(tenant)) != 0 {
			t.Error("the ramp is over and still asked")
		}
	})
}

// A looser bundle waits its day before its ramp begins.
func TestLooserRampWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		b := looser(t)
		if got := o.ramped(b, Share{Percent: 99}, "olga", "omar"); got.Refused != RefuseRisk {
			t.Errorf("got %+v, want %q", got, RefuseRisk)
		}
		o.ramped(b, Share{Percent: 99}, "rita")
		if n := o.taken(b); n != 0 {
			t.Errorf("%d calls entered before its time", n)
		}
		time.Sleep(24 * time.Hour)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		if n := o.taken(b); n < 1900 {
			t.Errorf("%d of 2000 calls entered, want nearly all", n)
		}
		// The one in force is the stricter one: one person leaves the ramp.
		if got := o.rollback(shipped(t), "omar"); got.Refused != Done || o.taken(b) != 0 {
			t.Errorf("got %+v, want the ramp left at once", got)
		}
	})
}
