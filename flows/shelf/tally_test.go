package shelf

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

func TestWorseRefuses(t *testing.T) {
	for _, c := range []struct {
		name       string
		ramp, rest count
		want       bool
	}{
		{"nothing", count{}, count{}, false},
		{"too few", count{19, 19}, count{1000, 0}, false},
		{"nothing to compare with", count{1000, 1000}, count{19, 0}, false},
		{"the same", count{100, 10}, count{1000, 100}, false},
		{"better", count{100, 0}, count{1000, 100}, false},
		{"a little worse", count{100, 12}, count{1000, 100}, false},
		{"far worse", count{100, 30}, count{1000, 100}, true},
		{"all bad", count{20, 20}, count{20, 0}, true},
	} {
		if got := worse(c.ramp, c.rest); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// calls has n calls begin, and end by how: each call of the ramp as ramp says,
// each other well.
func (o *office) calls(n int, b *flows.Bundle, event ledger.Event, data map[string]string) {
	o.t.Helper()
	var ids []ringfence.TraversalID
	var in []bool
	for i := range n {
		id := ringfence.TraversalID(fmt.Sprintf("trv_%d_%d", time.Now().UnixNano(), i))
		ids, in = append(ids, id), append(in, o.For(tenant, id, "1").HashText() == b.HashText())
	}
	o.update(func(tx ledger.Tx) error {
		for i, id := range ids {
			if _, err := tx.Append(o.t.Context(), ledger.Entry{Event: "traversal.began", Traversal: id, Data: map[string]string{"bundle": o.For(tenant, id, "1").HashText()}}); err != nil {
				return err
			}
			if in[i] {
				if _, err := tx.Append(o.t.Context(), ledger.Entry{Event: event, Traversal: id, Data: data}); err != nil {
					return err
				}
			}
			if _, err := tx.Append(o.t.Context(), ledger.Entry{Event: "traversal.ended", Traversal: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name   string
		bundle func(*testing.T) *flows.Bundle
		event  ledger.Event
		data   map[string]string
		stops  bool
		leaves bool
	}{
		{"denials, and the one in force is looser", stricter, "release.denied", nil, true, false},
		{"denials, and the one in force is stricter", looser, "release.denied", nil, true, true},
		{"nobody reached", looser, "challenge.undeliverable", nil, true, true},
		{"hung up before release", looser, "release.cancelled", map[string]string{"flow": "traversal"}, true, true},
		{"cancelled by a person", looser, "release.cancelled", nil, false, false},
		{"all is well", looser, "release.executed", nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				b := c.bundle(t)
				o.ramped(b, Share{Percent: 50}, "olga", "rita")
				time.Sleep(25 * time.Hour)
				watch := func() {
					t.Helper()
					if err := o.Refresh(t.Context(), tenant); err != nil {
						t.Fatal(err)
					}
					if err := o.Watch(t.Context(), tenant); err != nil {
						t.Fatal(err)
					}
				}
				watch()
				o.calls(100, b, c.event, c.data)
				watch()
				left := o.view(tenant).ramp == nil
				stopped := left || o.view(tenant).state.Ramp.Stopped != ""
				if stopped != c.stops || left != c.leaves {
					t.Errorf("stopped %v, left %v; want %v, %v", stopped, left, c.stops, c.leaves)
				}
				if n := o.taken(b); (n == 0) != c.stops {
					t.Errorf("%d of 2000 new calls entered", n)
				}
				if also := o.Also(tenant); (len(also) == 0) != c.leaves {
					t.Errorf("the policy of the ramp is asked: %v", also)
				}
				watch()
			})
		})
	}
}

// The calls of a ramp are counted from the ledger: those of another process
// too, and those before a restart.
func TestCountIsSharedAndSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		b := looser(t)
		o.ramped(b, Share{Percent: 50}, "olga", "rita")
		time.Sleep(25 * time.Hour)
		watch := func(s *Shelf) {
			t.Helper()
			if err := s.Refresh(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
			if err := s.Watch(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
		}
		watch(o.Shelf)
		o.calls(28, b, "release.denied", nil) // too few to judge by
		watch(o.Shelf)
		if o.view(tenant).ramp == nil {
			t.Fatal("it was stopped by too few calls")
		}
		o.Shelf = o.process()
		o.calls(10, b, "release.executed", nil)
		watch(o.Shelf)
		o.calls(30, b, "release.denied", nil)
		another := o.process() // which led none of them
		watch(another)
		if another.view(tenant).ramp != nil {
			t.Error("what three processes saw together did not stop the ramp")
		}
		watch(o.Shelf)
		if got := o.entries("alert.raised"); got != 1 {
			t.Errorf("%d alerts, want 1", got)
		}
	})
}
