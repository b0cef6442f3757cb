package b2bua_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestVerstatOfStrangers: only a trunk that may assert identities says how a
// check went; Privacy is read from everybody.
func TestVerstatOfStrangers(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		got := make(chan ringfence.LegInfo, 1)
		ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
			got <- leg.Info()
			if err := leg.Answer(ctx, [2]string{"Reason", "x\r\nEvil: 1"}); err == nil {
				t.Error("a header field with a line break was taken")
			}
			_ = leg.Refuse(ctx, 404, "Not Found")
		}, func(c *b2bua.Config) { c.Trunks[0].TrustIdentity = trusted })
		_, err := phone(t, peer.Config{}).Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String(),
			PAI:     "<tel:+447700900123;verstat=TN-Validation-Passed>",
			Headers: [][2]string{{"P-Attestation-Indicator", "A"}, {"Privacy", "id"}}})
		var refused *peer.Refused
		if !errors.As(err, &refused) {
			t.Fatalf("Call = %v, want a refusal", err)
		}
		info := <-got
		if len(info.PAI) != 1 || strings.Contains(info.PAI[0], "verstat") != trusted || !strings.Contains(info.PAI[0], "tel:+447700900123") ||
			(info.Attested == "A") != trusted || info.Privacy != "id" {
			t.Errorf("trusted %v: PAI %q, attested %q, privacy %q", trusted, info.PAI, info.Attested, info.Privacy)
		}
	}
}
