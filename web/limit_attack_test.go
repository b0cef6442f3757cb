package web

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Whoever has used up their tries gets none back by coming under thousands of other
// names, and what is remembered stays bounded.
func TestManyNamesForgetNobodyWhoIsSlowed(t *testing.T) {
	var m MemoryRates
	spend := func(name string) bool {
		ok, err := m.Spend(t.Context(), "checks", name, time.Hour, 2)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for spend("thief") {
	}
	for n := range 3 * maxKnown {
		spend(fmt.Sprint("other ", n))
	}
	if spend("thief") {
		t.Error("thirty thousand other names bought a try")
	}
	for n := range 30 * maxKnown {
		spend(fmt.Sprint("more ", n))
		if len(m.names) > 10*maxKnown {
			t.Fatalf("%d names are remembered", len(m.names))
		}
	}
}

// Names that have all their tries again make room first.
func TestNamesWithAllTheirTriesAreForgotten(t *testing.T) {
	var m MemoryRates
	for n := range 2 * maxKnown {
		if ok, _ := m.Spend(t.Context(), "lookups", fmt.Sprint(n), time.Nanosecond, 1); !ok {
			t.Fatal("a first try was refused")
		}
	}
	if len(m.names) > maxKnown {
		t.Errorf("%d names are remembered", len(m.names))
	}
}

// An IPv6 network is one stranger, at every door for strangers.
func TestANetworkIsOneStranger(t *testing.T) {
	for a, same := range map[string]bool{"[2001:db8::2]:1": true, "[2001:db8::ffff:1:2:3]:9": true, "[2001:db8:0:1::1]:1": false, "192.0.2.1:1": false, "[fe80::1%eth0]:1": false} {
		one, other := &http.Request{RemoteAddr: "[2001:db8::1]:443"}, &http.Request{RemoteAddr: a}
		if (sourceOf(one) == sourceOf(other)) != same {
			t.Errorf("%s: %s and %s", a, sourceOf(one), sourceOf(other))
		}
	}
	one, other := &http.Request{RemoteAddr: "192.0.2.1:1"}, &http.Request{RemoteAddr: "[::ffff:192.0.2.1]:2"}
	if a, b := sourceOf(one), sourceOf(other); a != b {
		t.Errorf("one address has two names, %s and %s", a, b)
	}
}
