package b2bua

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/ringfence/ringfence"
)

// TestSlots: who may have a place when others have theirs.
func TestSlots(t *testing.T) {
	carrier, pbx := &Trunk{Calls: 10, Kept: 2, Outbound: true, CallsPerSource: 3}, &Trunk{Outbound: true}
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	came := func(t *Trunk, at netip.Addr, of ringfence.TenantID) claim {
		return claim{trunk: t, source: at, tenant: of, most: map[ringfence.TenantID]int{"a": 4}[of]}
	}
	ours := func(t *Trunk, n need) claim { return claim{trunk: t, need: n} }
	type taken struct {
		claim
		n int
	}
	limits := Limits{Calls: 20, Reserve: 4}
	for name, tt := range map[string]struct {
		had      []taken
		asks     claim
		full     Cap
		reserved bool
	}{
		"nobody is here":               {asks: came(carrier, here, "a")},
		"a source has its calls":       {had: []taken{{came(carrier, here, ""), 3}}, asks: came(carrier, here, "b"), full: CapSource},
		"another source has them":      {had: []taken{{came(carrier, there, ""), 3}}, asks: came(carrier, here, "b")},
		"of another trunk":             {had: []taken{{came(pbx, here, ""), 9}}, asks: came(carrier, here, "b")},
		"calls we placed there":        {had: []taken{{ours(carrier, needTalk), 5}}, asks: came(carrier, here, "b")},
		"a tenant has its calls":       {had: []taken{{came(pbx, here, "a"), 4}}, asks: came(pbx, there, "a"), full: CapTenant},
		"another tenant has many":      {had: []taken{{came(pbx, here, "b"), 9}}, asks: came(pbx, there, "a")},
		"a tenant without a cap":       {had: []taken{{came(pbx, here, "b"), 19}}, asks: came(pbx, there, "b")},
		"what a trunk keeps":           {had: []taken{{ours(carrier, needTalk), 8}}, asks: came(carrier, here, "b"), full: CapTrunk},
		"is not for a new call":        {had: []taken{{ours(carrier, needTalk), 8}}, asks: ours(carrier, needCall), full: CapTrunk},
		"is for a call-back":           {had: []taken{{ours(carrier, needTalk), 9}}, asks: ours(carrier, needProof)},
		"and for an agent":             {had: []taken{{ours(carrier, needTalk), 9}}, asks: ours(carrier, needTalk)},
		"and has an end":               {had: []taken{{ours(carrier, needTalk), 10}}, asks: ours(carrier, needProof), full: CapTrunk},
		"all calls are taken":          {had: []taken{{came(pbx, here, ""), 20}}, asks: came(carrier, there, "a"), full: CapAll},
		"and we place none":            {had: []taken{{came(pbx, here, ""), 20}}, asks: ours(pbx, needCall), full: CapAll},
		"but an agent's leg":           {had: []taken{{came(pbx, here, ""), 39}}, asks: ours(pbx, needTalk)},
		"one for each call":            {had: []taken{{came(pbx, here, ""), 40}}, asks: ours(pbx, needTalk), full: CapAll},
		"a proof where there is room":  {had: []taken{{came(pbx, here, ""), 19}}, asks: ours(pbx, needProof)},
		"a proof past the cap":         {had: []taken{{came(pbx, here, ""), 20}}, asks: ours(pbx, needProof), reserved: true},
		"beside agents past it":        {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needTalk), 20}}, asks: ours(pbx, needProof), reserved: true},
		"the reserve has an end":       {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needProof), 4}}, asks: ours(pbx, needProof), full: CapAll},
		"a recorder past the cap":      {had: []taken{{came(pbx, here, ""), 20}}, asks: ours(pbx, needRecord), reserved: true},
		"recorders have half":          {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needRecord), 2}}, asks: ours(pbx, needRecord), full: CapAll},
		"the other half is not theirs": {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needRecord), 2}}, asks: ours(pbx, needProof), reserved: true},
		"proofs may have it all":       {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needProof), 4}}, asks: ours(pbx, needRecord), full: CapAll},
		"the reserve is no call's":     {had: []taken{{came(pbx, here, ""), 20}, {ours(pbx, needProof), 2}}, asks: came(pbx, here, ""), full: CapAll},
	} {
		s := newSlots()
		var places []bool
		for _, had := range tt.had {
			for range had.n {
				reserved, _ := s.judge(had.claim, limits)
				s.take(had.claim, reserved)
				places = append(places, reserved)
			}
		}
		reserved, full := s.judge(tt.asks, limits)
		if full != tt.full || reserved != tt.reserved {
			t.Errorf("%s: full %q, reserved %v; want %q, %v", name, full, reserved, tt.full, tt.reserved)
		}
		for _, had := range tt.had {
			for range had.n {
				s.give(had.claim, places[0])
				places = places[1:]
			}
		}
		if s.active+s.reserved+s.recording+len(s.trunks)+len(s.sources)+len(s.tenants) != 0 {
			t.Errorf("%s: kept of what was given back: %+v", name, s)
		}
	}
	if err := error(fullError{CapTenant}); !errors.Is(err, ErrFull) || errors.Is(err, fullError{CapAll}) {
		t.Error("a full cap is not told from another, or is not ErrFull")
	}
}

// TestKeptDefaults: a trunk with a cap keeps a tenth of it for call-backs.
func TestKeptDefaults(t *testing.T) {
	for _, tt := range []struct {
		calls, kept, want int
		bad               bool
	}{{0, 0, 0, false}, {1, 0, 0, false}, {3, 0, 0, false}, {4, 0, 1, false}, {200, 0, 20, false}, {200, 5, 5, false}, {200, -1, 0, false},
		{5, 5, 5, true}, {0, 1, 1, true}, {-1, 0, 0, true}} {
		trunk := Trunk{Calls: tt.calls, Kept: tt.kept}
		if err := trunk.checkCaps(); (err != nil) != tt.bad || trunk.Kept != tt.want {
			t.Errorf("%d calls, kept %d: %d, %v", tt.calls, tt.kept, trunk.Kept, err)
		}
	}
	if l := (Limits{Calls: 300}).withDefaults(); l.Reserve != 30 {
		t.Errorf("reserve %d", l.Reserve)
	}
	if l := (Limits{Calls: 1}).withDefaults(); l.Reserve != 8 {
		t.Errorf("reserve %d", l.Reserve)
	}
}
