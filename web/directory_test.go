package web

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// The console shows the age by which the gate judges, not that of the row.
func TestAgeOfAContactPoint(t *testing.T) {
	stored := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	source := stored.AddDate(-7, 0, 0)
	for _, one := range []struct {
		name string
		have ringfence.ContactPoint
		want time.Time
	}{
		{"never verified", ringfence.ContactPoint{StoredAt: stored, ChangedAt: source}, stored},
		{"no date", ringfence.ContactPoint{StoredAt: stored, VerifiedAt: source}, stored},
		{"of a first import", ringfence.ContactPoint{StoredAt: stored, VerifiedAt: source, ChangedAt: source}, source},
		{"suspended and back", ringfence.ContactPoint{StoredAt: source, VerifiedAt: source, ChangedAt: stored}, stored},
	} {
		if got := judgedFrom(one.have); !got.Equal(one.want) {
			t.Errorf("%s: %v, want %v", one.name, got, one.want)
		}
	}
}
