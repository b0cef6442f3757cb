package approve_test

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/verify/approve"
)

// An approval lives up to four hours, fifteen minutes when nobody says how long.
func TestLifeEdges(t *testing.T) {
	if approve.Life != 15*time.Minute || approve.MaxLife != 4*time.Hour {
		t.Errorf("a life of %s, at most %s", approve.Life, approve.MaxLife)
	}
	type signer struct{ approve.Signer }
	type approvals struct{ approve.Approvals }
	for life, ok := range map[time.Duration]bool{-1: false, 0: true, 1: true, approve.MaxLife: true, approve.MaxLife + 1: false} {
		if _, err := approve.NewDesk(signer{}, approvals{}, life); (err == nil) != ok {
			t.Errorf("%s: %v", life, err)
		}
	}
	if _, err := approve.NewDesk(nil, approvals{}, 0); err == nil {
		t.Error("without a signer")
	}
	if _, err := approve.NewDesk(signer{}, nil, 0); err == nil {
		t.Error("without a gate")
	}
}
