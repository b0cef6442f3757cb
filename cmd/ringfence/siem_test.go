package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/siem"
	"github.com/ringfence/ringfence/ledger"
)

// TestTheSIEMIsToldEachEntryInOrder: what failed is sent again, what was sent is
// not, and no subject leaves.
func TestTheSIEMIsToldEachEntryInOrder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := started(t, newPeer(t, "agents"), func(c *config.Config) { c.Telemetry.SIEM = []config.SIEM{{Name: "file", File: path}} })
	enter := func(subject ringfence.SubjectID) {
		t.Helper()
		err := a.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			_, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised", Subject: subject, Data: map[string]string{"alarm": "siem_test", "text": "Mrs Smith"}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	enter("sub_secret")
	var got []int64
	keep := func(_ context.Context, rs []siem.Record) error {
		for _, r := range rs {
			got = append(got, r.Index)
		}
		return nil
	}
	away := errors.New("away")
	if _, err := a.tellNext(t.Context(), ringfence.DefaultTenant, "other", func(context.Context, []siem.Record) error { return away }); !errors.Is(err, away) {
		t.Fatalf("a receiver that is away: %v", err)
	}
	for n := siemBatch; n > 0; {
		var err error
		if n, err = a.tellNext(t.Context(), ringfence.DefaultTenant, "other", keep); err != nil {
			t.Fatal(err)
		}
	}
	enter("sub_secret")
	if _, err := a.tellNext(t.Context(), ringfence.DefaultTenant, "other", keep); err != nil {
		t.Fatal(err)
	}
	for i, at := range got {
		if at != int64(i) {
			t.Fatalf("entries %v", got)
		}
	}
	if len(got) < 2 || !slices.IsSorted(got) {
		t.Fatalf("entries %v", got)
	}
	var text string
	waitFor(t, "both alerts are in the file", func() bool {
		raw, _ := os.ReadFile(path)
		text = string(raw)
		return strings.Count(text, "siem_test") == 2
	})
	for _, never := range []string{"sub_secret", "Smith"} {
		if strings.Contains(text, never) {
			t.Errorf("%q left", never)
		}
	}
}
