package flows

import (
	"encoding/json"
	"testing"
)

// Any bytes as a recording are an error or a report within bounds, never a
// panic, and a report says no more than one of its four words.
func FuzzReplay(f *testing.F) {
	b := shipped(f)
	for i, ft := range shippedTests(f, b) {
		if i%6 == 0 {
			raw, err := json.Marshal(ft.Run(b).Recorded)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Add([]byte(`{"version":1,"flow":"customer-line","start":"inbound","steps":[{"verb":"ask","asks":"ask for digits 8","way":""}]}`))
	f.Add([]byte(`{"version":1,"flow":"callback-payment","start":"job","subject":"customer","action":"payment","cells":[{"name":"payment.amount","over":9223372036854775807}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var tr Trace
		if json.Unmarshal(raw, &tr) != nil {
			return
		}
		got, err := Replay(b, tr)
		if err != nil {
			return
		}
		switch got.Result {
		case FollowedSame, FollowedWords, FollowedDiffers, FollowedUnknown:
		default:
			t.Errorf("result %q", got.Result)
		}
		if got.Asked > len(tr.Steps) || len(got.Differences) > maxDifferences || len(got.Steps) > maxTraceSteps {
			t.Errorf("%d asked of %d, %d differences, %d steps", got.Asked, len(tr.Steps), len(got.Differences), len(got.Steps))
		}
	})
}
