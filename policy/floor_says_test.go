package policy

import (
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
)

func TestFloorInWords(t *testing.T) {
	if got := Floor(ringfence.C5 + 1); len(got) != 0 {
		t.Errorf("a class that there is not is released by %q", got)
	}
	if got := Floor(ringfence.C5); !slices.Equal(got, []string{"proofed and approved by 2, then 72 h of waiting"}) {
		t.Errorf("C5: %q", got)
	}
	if got := Floor(ringfence.C2); !slices.Contains(got, "otp, the SIM was not swapped") {
		t.Errorf("C2: %q", got)
	}
}
