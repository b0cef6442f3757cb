package web

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// TestEvidenceOf: a reference opens its own tenant's live call to service
// accounts, and nothing to anybody else.
func TestEvidenceOf(t *testing.T) {
	calls := &fakeCalls{live: []ringfence.LiveCall{{Tenant: "one", Traversal: "trv_1", Reference: "ABCD2345", Subject: "sub_1", Began: time.Unix(1, 0),
		Evidence: []ringfence.LiveEvidence{{Fact: ringfence.FactPIN, Says: "a PIN was keyed", Good: ringfence.Yes}}}}}
	s := &Server{cfg: Config{Calls: calls}}
	account := principal{tenant: "one", client: Client{ID: "centre"}}
	for name, tt := range map[string]struct {
		p    principal
		ref  string
		want bool
	}{
		"service account":      {account, "ABCD2345", true},
		"another call":         {account, "ABCD2346", false},
		"another tenant":       {principal{tenant: "two", client: Client{ID: "centre"}}, "ABCD2345", false},
		"member of staff":      {principal{tenant: "one", person: ringfence.Person{ID: "per_1"}}, "ABCD2345", false},
		"nobody in particular": {principal{}, "ABCD2345", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.evidenceOf(tt.p, tt.ref)
			if (got != nil) != tt.want {
				t.Fatalf("got %+v, want some %v", got, tt.want)
			}
			if got != nil && (got.Subject != "sub_1" || len(got.Evidence) != 1 || got.Evidence[0].Fact != ringfence.FactPIN) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
