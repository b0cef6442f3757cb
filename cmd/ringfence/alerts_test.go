package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web"
)

func keysOf(all []web.Condition) (out []string) {
	for _, c := range all {
		out = append(out, c.Key)
	}
	return out
}

// Each stage of a certificate's end is a condition of its own, so that whoever
// has acknowledged the first is told of the last.
func TestCertificatesThatEndAreConditions(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for want, key := range map[string]web.SystemKey{
		"":        {Where: "a", Until: in(31 * 24 * time.Hour)},
		"a:month": {Where: "a", Until: in(29 * 24 * time.Hour)},
		"a:week":  {Where: "a", Until: in(6 * 24 * time.Hour)},
		"a:ended": {Where: "a", Until: in(-time.Second)},
		"a:fault": {Where: "a", Fault: "It cannot be read."},
	} {
		got := expiring([]web.SystemKey{key, {Name: "permit.pem"}}, now)
		if len(got) > 1 || len(got) == 1 && got[0].Key != want || len(got) == 0 && want != "" {
			t.Errorf("want %q, got %v", want, got)
		}
	}
}

// A trunk that misses one OPTIONS is no alert; one that is away for a minute
// is, and a flap begins its minute again.
func TestTrunkIsDownAfterAMinute(t *testing.T) {
	var w watchful
	down := trunksDown([]web.SystemTrunk{{Name: "carrier", Binding: "refused", Code: 403,
		Peers: []web.SystemPeer{{Addr: "198.51.100.1:5061", Health: ringfence.No}, {Addr: "198.51.100.2:5061", Health: ringfence.Unknown}}}})
	if got := keysOf(down); len(got) != 2 || got[0] != "carrier:198.51.100.1:5061" || got[1] != "carrier:registration" {
		t.Fatalf("down: %v", down)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		after time.Duration
		now   []web.Condition
		want  int
	}{{0, down, 0}, {30 * time.Second, down, 0}, {60 * time.Second, down, 2}, {90 * time.Second, nil, 0}, {120 * time.Second, down, 0}, {180 * time.Second, down[:1], 1}} {
		if got := w.lasting(step.now, at.Add(step.after)); len(got) != step.want {
			t.Errorf("look %d: %v", i, got)
		}
	}
}

// What belongs to the installation is told to its owner only; a ledger that is
// not sealed is told to whose ledger it is.
func TestConditionsOfOthersAreNotTold(t *testing.T) {
	a := &app{}
	other := ringfence.TenantID("ten_00000000000000000000000001")
	a.cfg.Web.Staff.TLS.Cert = "/there/is/none.pem"
	if got := a.conditions(other, time.Now()); len(got) != 0 {
		t.Errorf("another tenant is told %v", got)
	}
	a.watchful.sealing(other, errors.New("disk"))
	if got := keysOf(a.conditions(other, time.Now())); len(got) != 1 || got[0] != "checkpoint" {
		t.Errorf("told %v", got)
	}
	a.watchful.sealing(other, nil)
	if got := a.conditions(other, time.Now()); len(got) != 0 {
		t.Errorf("still told %v", got)
	}
}

// TestAnExecutorThatSaysNothing: who took an action and is gone is named, with how
// many, and who still may be at work is not.
func TestAnExecutorThatSaysNothing(t *testing.T) {
	now := time.Now()
	at := func(executor string, ago time.Duration) gate.Release {
		return gate.Release{State: gate.StateRedeemed, Executor: executor, ChangedAt: now.Add(-ago)}
	}
	out := unreported([]gate.Release{at("bank", reportTime), at("post", reportTime-time.Second), at("bank", time.Hour), at("bank", 0)}, now)
	if len(out) != 1 || out[0].Kind != web.AlertExecutor || out[0].Key != "bank" || !strings.Contains(out[0].Text, "redeemed 2,") {
		t.Errorf("have %+v", out)
	}
	if out := unreported(nil, now); len(out) != 0 {
		t.Errorf("of nothing: %+v", out)
	}
}
