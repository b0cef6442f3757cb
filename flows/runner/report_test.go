package runner

import (
	"context"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// What was strange about a call may be reported after it by whoever had it, and
// by a supervisor; to anybody else there was no such call.
func TestReportAfterTheCall(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.call("accounts-line")
		agent := w.placed()
		v := w.until("talking", func(v ringfence.LiveCall) bool { return v.State == "talking" })
		agent.end(ringfence.EndBye)
		l.gone()
		w.ended()
		ctx := context.Background()
		alerts := func() (out []ledger.Entry) {
			err := w.Store.View(ctx, ten, func(tx ledger.Tx) (err error) {
				out, err = tx.Entries(ctx, ledger.EntryQuery{Event: "alert.raised"})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return out
		}
		before := len(alerts())
		for _, who := range []Act{{Tenant: ten, By: ben, Traversal: v.Traversal}, {Tenant: ten, Traversal: v.Traversal}, {Tenant: "other", By: v.Owner, Traversal: v.Traversal},
			{Tenant: ten, By: v.Owner, Traversal: "trv_none"}, {Tenant: ten, By: ben, Traversal: "trv_none", Supervisor: true}} {
			if err := w.r.Report(ctx, who, "x"); err != ErrNoCall {
				t.Errorf("%+v: %v, want ErrNoCall", who, err)
			}
		}
		if n := len(alerts()); n != before {
			t.Fatalf("strangers raised %d alerts", n-before)
		}
		for _, who := range []Act{{Tenant: ten, By: v.Owner, Traversal: v.Traversal}, {Tenant: ten, By: ben, Traversal: v.Traversal, Supervisor: true}} {
			if err := w.r.Report(ctx, who, "somebody whispered"); err != nil {
				t.Errorf("%+v: %v", who, err)
			}
		}
		all := alerts()
		if len(all) != before+2 || all[len(all)-1].Traversal != v.Traversal || !strings.Contains(all[len(all)-1].Data["text"], "somebody whispered") {
			t.Errorf("the alerts are %+v", all)
		}
	})
}
