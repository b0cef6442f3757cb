package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// many is more rows than one page of the store has.
const many = ledger.MaxPage + 1

// flood writes that many records of a kind in one transaction, each a second
// after the one before, the last of them now: whoever reads one page of either
// end misses what is at the other.
func (w *world) flood(kind ledger.Kind, keys map[string]string, row func(i int) any) {
	w.t.Helper()
	err := w.store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		for i := range many {
			at := w.now.Add(time.Duration(i-many+1) * time.Second)
			rec := ledger.Record{Kind: kind, ID: fmt.Sprintf("flood_%04d", i), Keys: keys, Sort: at.UnixNano()}
			if err := ledger.Write(context.Background(), tx, &rec, row(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// floodEntries writes that many entries.
func (w *world) floodEntries(e ledger.Entry) {
	w.t.Helper()
	err := w.store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		for range many {
			if _, err := tx.Append(context.Background(), e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// copies floods with copies of a release in another state.
func (w *world) copies(r Release, keys map[string]string, s State) {
	w.t.Helper()
	var stored row
	for _, rec := range w.records(KindRelease) {
		if rec.ID == string(r.ID) {
			if err := json.Unmarshal(rec.Body, &stored); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	stored.State, stored.Executor = s, "another"
	w.flood(KindRelease, keys, func(i int) any {
		one := stored
		one.ID, one.RequestedAt = ringfence.ReleaseID(fmt.Sprintf("flood_%04d", i)), w.now.Add(time.Duration(i-many+1)*time.Second)
		return one
	})
}

// asked brings an action to where a colleague is asked.
func (w *world) asked() Release {
	w.t.Helper()
	w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Tenant: ten, Subject: ann, Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved,
		RemovedAt: w.now.Add(-year), BoundAt: w.now.Add(-year)})
	r := w.opened("bank_change")
	w.prove(r, "pin", "totp", "callback", "confirmed")
	r, v := w.released(r.ID)
	if r.State != StatePendingApproval {
		w.t.Fatalf("%s %+v", r.State, v)
	}
	return r
}

// Nobody pushes out what a decision rests on by making more than a page of the
// like. Each case does so, and then looks whether the gate still knows.
func TestADecisionRestsOnEverything(t *testing.T) {
	ctx := t.Context()
	later := func(w *world) { w.now = w.now.Add(time.Minute) }
	held := func(t *testing.T, w *world, id ringfence.ReleaseID) {
		t.Helper()
		if r, v := w.released(id); v.Decision == Allow || r.State == StateReady {
			t.Errorf("%s %+v", r.State, v)
		}
	}
	for name, test := range map[string]func(t *testing.T, w *world){
		"rejections of the subject": func(t *testing.T, w *world) {
			w.flood(kindAlarm, map[string]string{"subject": string(ann)}, func(i int) any {
				return alarm{Kind: "spray", Subject: ann, Challenge: ringfence.ChallengeID(fmt.Sprint("chl_f", i))}
			})
			later(w)
			w.alarm(alarm{Kind: alarmRejected, Subject: ann})
			w.alarm(alarm{Kind: alarmRejected, Subject: ann})
			w.knownPayee()
			r := w.opened("payment")
			w.prove(r, "passkey", "callback", "confirmed")
			held(t, w, r.ID)
		},
		"an alarm of the call": func(t *testing.T, w *world) {
			w.flood(kindAlarm, map[string]string{"traversal": string(trv)}, func(i int) any {
				return alarm{Kind: alarmRejected, Subject: "sub_other", Traversal: trv, Challenge: ringfence.ChallengeID(fmt.Sprint("chl_f", i))}
			})
			later(w)
			w.alarm(alarm{Kind: alarmRejected, Subject: ann, Traversal: trv})
			w.knownPayee()
			r := w.opened("payment")
			w.prove(r, "passkey", "callback", "confirmed")
			held(t, w, r.ID)
		},
		"the leg that went to somebody else": func(t *testing.T, w *world) {
			r := w.opened("bank_change")
			w.prove(r, "pin", "passkey", "callback", "confirmed")
			w.flood(ledger.KindLegVoid, map[string]string{"traversal": string(trv)}, func(i int) any {
				return ledger.LegVoid{Traversal: trv, Leg: ringfence.LegID(fmt.Sprint("leg_f", i)), At: w.now}
			})
			later(w)
			w.voidLeg("leg_1")
			held(t, w, r.ID)
		},
		"a number that was changed meanwhile": func(t *testing.T, w *world) {
			w.now = w.now.Add(time.Hour)
			w.flood(ledger.KindContactPoint, map[string]string{"subject": string(ann)}, func(i int) any {
				return ringfence.ContactPoint{ID: ringfence.ContactPointID(fmt.Sprint("cpt_f", i)), Subject: ann, Status: ringfence.StatusRemoved}
			})
			w.knownPayee()
			r := w.opened("payment")
			w.prove(r, "passkey", "callback", "confirmed")
			later(w)
			w.contact(ringfence.ContactPoint{ID: "cpt_new", Subject: ann, Type: ringfence.ContactMobile, StoredAt: w.now, ChangedAt: w.now, Status: ringfence.StatusActive})
			held(t, w, r.ID)
		},
		"proof": func(t *testing.T, w *world) {
			w.knownPayee()
			r := w.opened("payment")
			w.now = w.now.Add(-time.Hour)
			w.flood(ledger.KindEvidence, map[string]string{"traversal": string(trv)}, func(i int) any {
				return ringfence.Evidence{ID: ringfence.EvidenceID(fmt.Sprint("evd_f", i)), Traversal: trv, Subject: "sub_other", Fact: "attested", At: w.now}
			})
			w.now = w.now.Add(-time.Hour) // ours are at the end that a page of the newest leaves out
			w.prove(r, "passkey", "callback", "confirmed")
			w.now = w.now.Add(2 * time.Hour)
			w.edit(r.ID, func(r *row) { r.ExpiresAt = w.now.Add(time.Hour) })
			var c Case
			if err := w.store.View(ctx, ten, func(tx ledger.Tx) error {
				full, _, err := ledger.Read[row](ctx, tx, KindRelease, string(r.ID))
				if err == nil {
					c, err = (&turn{g: w.g, ctx: ctx, tx: tx, r: &full, now: w.now}).gather()
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if len(c.Ask.Proofs) != many+3 {
				t.Errorf("%d proofs are looked at", len(c.Ask.Proofs))
			}
		},
		"an approval": func(t *testing.T, w *world) {
			r := w.asked()
			w.flood(KindApproval, map[string]string{"release": string(r.ID)}, func(int) any { return Approval{Release: r.ID, Withdrawn: w.now} })
			later(w)
			if r, v, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil || r.State != StateCooling {
				t.Errorf("%s %+v %v", r.State, v, err)
			}
		},
		"who took part": func(t *testing.T, w *world) {
			r := w.asked()
			w.floodEntries(ledger.Entry{Event: "leg.placed", Traversal: trv})
			w.entry(ledger.Entry{Event: "traversal.owned", Traversal: trv, Person: manager})
			if r, v, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil || r.State != StatePendingApproval {
				t.Errorf("%s %+v %v", r.State, v, err)
			}
		},
		"a mandate": func(t *testing.T, w *world) {
			w.knownPayee()
			w.flood(KindMandate, map[string]string{"subject": string(ann)}, func(i int) any {
				return Mandate{ID: fmt.Sprint("man_f", i), Person: acme, Subject: ann, Status: ringfence.StatusRemoved}
			})
			later(w)
			w.mandate("man_1", 2500)
			q := request("payment")
			q.Represents = acme
			if r, v, err := w.g.Open(ctx, ten, q); err != nil || r.State == StateDenied {
				t.Errorf("%s %+v %v", r.State, v, err)
			}
		},
		"a lock of the subject": func(t *testing.T, w *world) {
			r := w.ready()
			w.now = w.now.Add(time.Hour)
			w.copies(r, map[string]string{"subject": string(ann)}, StateDenied)
			if err := w.g.Lock(ctx, ten, ann, Actor{Flow: "check"}); err != nil {
				t.Fatal(err)
			}
			if r := w.look(r.ID); r.State != StateHeld {
				t.Error(r.State)
			}
		},
		"the end of a call": func(t *testing.T, w *world) {
			r := w.opened("payment")
			w.now = w.now.Add(time.Hour)
			w.copies(r, map[string]string{"traversal": string(trv)}, StateDenied)
			if err := w.g.TraversalEnded(ctx, ten, trv); err != nil {
				t.Fatal(err)
			}
			if r := w.look(r.ID); r.State != StateCancelled {
				t.Error(r.State)
			}
		},
		"an action under way, before an erasure": func(t *testing.T, w *world) {
			r := w.opened("payment")
			w.now = w.now.Add(-time.Hour)
			w.copies(r, map[string]string{"subject": string(ann)}, StateDenied)
			var wrong *InvalidError
			if err := w.g.Erasable(ctx, ten, ann); !errors.As(err, &wrong) {
				t.Errorf("could be erased: %v", err)
			}
		},
		"what risk looks at": func(t *testing.T, w *world) {
			r := w.opened("payment")
			w.edit(r.ID, func(r *row) { r.Duress = true })
			w.now = w.now.Add(time.Hour)
			w.copies(r, map[string]string{"duress": "yes", "state": string(StateHeld)}, StateHeld)
			if all, err := w.g.Duress(ctx, ten, risk); err != nil || len(all) != many+1 {
				t.Errorf("forced: %d, %v", len(all), err)
			}
			if all, err := w.g.All(ctx, ten, Filter{State: StateHeld, Limit: 10}); err != nil || len(all) != many {
				t.Errorf("held: %d, %v", len(all), err)
			}
		},
		"staff's passkeys that wait": func(t *testing.T, w *world) {
			w.flood(ledger.KindAuthenticator, map[string]string{"subject": string(nina), staffWaits: "staff"}, func(i int) any {
				return ringfence.Authenticator{ID: ringfence.AuthenticatorID(fmt.Sprint("aut_f", i)), Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved}
			})
			later(w)
			w.person(ringfence.Person{ID: nina, Roles: []ringfence.Role{ringfence.RoleAdmin}})
			// She has one in use, which person made: no other may be made.
			if err := w.enrolled(nina, "aut_other", ada); !errors.Is(err, ErrForbidden) {
				t.Errorf("another passkey: %v", err)
			}
			if err := w.store.View(ctx, ten, func(tx ledger.Tx) error {
				keys, err := staffKeys(ctx, tx, nina)
				if len(keys) != many+1 {
					t.Errorf("%d passkeys of hers", len(keys))
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		},
		"requests to reset a passkey": func(t *testing.T, w *world) {
			w.flood(KindStaffReset, nil, func(i int) any {
				return StaffReset{Person: ringfence.PersonID(fmt.Sprint("per_f", i)), At: w.now}
			})
			later(w)
			w.person(ringfence.Person{ID: ada, Roles: []ringfence.Role{ringfence.RoleAdmin}})
			if err := w.g.AskStaffReset(ctx, ten, manager, ada, "lost"); err != nil {
				t.Fatal(err)
			}
			if w.request(manager).By != ada {
				t.Error("the request is not shown")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.g = w.open(w.store)
			test(t, w)
		})
	}
}

// What only seems to be done is seen among as many records as there are, in
// every page that is read of them.
func TestWhatSeemsIsSeenAmongMany(t *testing.T) {
	w := newWorld(t)
	w.flood(KindMandate, map[string]string{"subject": string(ann)}, func(i int) any { return Mandate{ID: fmt.Sprint("man_f", i), Subject: ann} })
	if err := w.store.View(t.Context(), ten, func(tx ledger.Tx) error {
		for _, desc := range []bool{false, true} {
			over := &shownTx{Tx: tx}
			q := bySubject(ann)
			q.Desc = desc
			seen := func() (n int) {
				for range ledger.All(t.Context(), over, KindMandate, q) {
					n++
				}
				return n
			}
			first, _ := tx.Get(t.Context(), KindMandate, "flood_0000")
			first.Keys = nil // ended, in appearance
			last, _ := tx.Get(t.Context(), KindMandate, fmt.Sprintf("flood_%04d", many-1))
			added := ledger.Record{Kind: KindMandate, ID: "man_new", Keys: last.Keys, Sort: last.Sort + 1, Body: last.Body}
			over.over = []ledger.Record{first, last, added}
			if n := seen(); n != many {
				t.Errorf("desc %v: %d of %d are seen", desc, n, many)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
