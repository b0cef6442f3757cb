package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// pile puts proposals of a kind on the pile, made at a time.
func pile[T proposal](d *desktop, kind ledger.Kind, n int, with func(id string) T) {
	d.t.Helper()
	err := d.store.Update(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for i := range n {
			id := fmt.Sprintf("%s_%026d", kind[:3], i)
			if err := keepAnew(d.t.Context(), tx, kind, id, with(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// As many proposals as may wait stop the next; those past their life stop
// nobody, are shown to nobody, and are gone with the next.
func TestProposalsPastTheirLifeBlockNobody(t *testing.T) {
	for _, tc := range []struct {
		name        string
		at          time.Time
		person, sub int
	}{
		{"waiting", time.Now(), 409, 409},
		{"past their life", time.Now().Add(-draftLife - time.Hour), 201, 204},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesktop(t)
			d.customer(1, "Dana", "447700900123")
			pile(d, kindDraft, maxDrafts, func(id string) personDraft {
				return personDraft{Person: ringfence.Person{ID: ringfence.PersonID(id), Name: "Old"}, At: tc.at}
			})
			pile(d, kindErasure, maxErasures, func(id string) erasureRow {
				return erasureRow{Erasure: gate.Erasure{Subject: ringfence.SubjectID(id)}, At: tc.at}
			})
			admin := d.signIn(d.person("Ada", ringfence.RoleAdmin))
			who := map[string]any{"name": "New", "email": "new@example.com", "roles": []string{"agent"}}
			if w := d.ask(admin, "POST", "/v1/people/drafts", who); w.Code != tc.person {
				t.Errorf("a person: %d, want %d: %s", w.Code, tc.person, w.Body)
			}
			path := "/v1/subjects/" + string(d.customer(2, "Eve", "447700900124")) + "/erase"
			if w := d.ask(admin, "POST", path, map[string]any{"reason": "asked by letter"}); w.Code != tc.sub {
				t.Errorf("an erasure: %d, want %d: %s", w.Code, tc.sub, w.Body)
			}
			if tc.person == 409 {
				return
			}
			drafts := decode[struct{ Drafts []draftView }](t, d.ask(admin, "GET", "/v1/people", nil)).Drafts
			erasures := decode[struct{ Erasures []erasureView }](t, d.ask(admin, "GET", "/v1/erasures", nil)).Erasures
			if len(drafts) != 1 || len(erasures) != 1 {
				t.Errorf("%d drafts and %d erasures are shown, want one each", len(drafts), len(erasures))
			}
		})
	}
}
