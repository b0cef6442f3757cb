package b2bua_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestCDR: each leg leaves one record, with whose it was, how it went and no
// whole number.
func TestCDR(t *testing.T) {
	records := make(chan b2bua.CDR, 8)
	refuse := make(chan bool, 2)
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		leg.Belongs("trv_1")
		if <-refuse {
			_ = leg.Refuse(ctx, 486, "Busy Here")
			return
		}
		_ = leg.Answer(ctx)
		<-ctx.Done()
	}, func(c *b2bua.Config) { c.CDR = func(r b2bua.CDR) { records <- r } })
	p := phone(t, peer.Config{})
	to := "sip:442079460000@" + ua.Addrs()["main"].String()
	refuse <- false
	call, err := p.Call(t.Context(), peer.Invite{To: to, FromTN: "+441632960123"})
	if err != nil {
		t.Fatal(err)
	}
	call.Hangup()
	took(t, records, b2bua.CDR{From: "+44********23", To: "44********00", Cause: ringfence.EndBye, Codec: "PCMU"})
	refuse <- true
	if _, err := p.Call(t.Context(), peer.Invite{To: to, FromTN: "Robert'); DROP TABLE"}); err == nil {
		t.Fatal("the second call was taken")
	}
	took(t, records, b2bua.CDR{From: "p***", To: "44********00", Cause: ringfence.EndHangup, Code: 486, Codec: "PCMU"})
}

// took compares the next record with want.
func took(t *testing.T, records <-chan b2bua.CDR, want b2bua.CDR) {
	t.Helper()
	var got b2bua.CDR
	select {
	case got = <-records:
	case <-within(t).Done():
		t.Fatal("no record")
	}
	line, err := json.Marshal(got)
	if err != nil || strings.Contains(string(line), "1632960123") || strings.Contains(string(line), "442079460000") {
		t.Errorf("record %s, %v", line, err)
	}
	if got.From != want.From || got.To != want.To || got.Cause != want.Cause || got.Code != want.Code || got.Codec != want.Codec || got.Traversal != "trv_1" ||
		got.Leg == "" || got.Ended.Before(got.Began) || (want.Code == 0) == got.Answered.IsZero() {
		t.Errorf("record %s\nwant   %+v", line, want)
	}
}
