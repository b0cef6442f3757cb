package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
)

func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	marks := stirshaken.NewMemoryMarks(0)
	one, other := once{marks}, once{marks}
	now := time.Now()
	for i, step := range []struct {
		node once
		id   string
		want bool
	}{{one, "a", true}, {one, "a", false}, {other, "a", false}, {other, "b", true}, {one, "b", false}} {
		if got, err := step.node.First(t.Context(), step.id, now, now.Add(time.Minute)); err != nil || got != step.want {
			t.Errorf("step %d: %v %v, want %v", i, got, err, step.want)
		}
	}
	full := once{stirshaken.NewMemoryMarks(1)}
	for i := range 17 { // one more than it has shards
		if _, err := full.First(t.Context(), fmt.Sprint(i), now, now.Add(time.Minute)); err != nil {
			return
		}
	}
	t.Error("marks without end")
}
