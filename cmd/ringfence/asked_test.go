package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify"
)

// post keeps what it is given. What goes to slow is answered after everything
// else was taken.
type post struct {
	mu    sync.Mutex
	to    []string // guarded by mu
	slow  string
	after sync.WaitGroup
}

func (p *post) Deliver(_ context.Context, m verify.Message) (verify.Receipt, error) {
	if m.To == p.slow {
		p.after.Wait()
	}
	p.mu.Lock()
	p.to = append(p.to, m.To)
	p.mu.Unlock()
	if m.To != p.slow && p.slow != "" {
		p.after.Done()
	}
	return verify.Receipt{}, nil
}

// inMemory is a store whose checkpoints nobody asks for.
type inMemory struct{ *ledgertest.Memory }

func (inMemory) SaveCheckpoint(context.Context, ringfence.TenantID, int64, []byte) error { return nil }
func (inMemory) Checkpoint(context.Context, ringfence.TenantID) ([]byte, error) {
	return nil, ledger.ErrNotFound
}
func (inMemory) Close() error { return nil }

// asking is an app that has only what notices need, and a release that waits
// for its colleagues.
func asking(t *testing.T, p *post, state gate.State) *app {
	t.Helper()
	a := &app{store: inMemory{&ledgertest.Memory{}}, log: slog.New(slog.DiscardHandler), verify: methods{carrier: p}}
	a.cfg.Web.Staff.URL = "https://staff.example.com/"
	const id = ringfence.ReleaseID("rel_00000000000000000000000001")
	person := func(tx ledger.Tx, n, email string, status ringfence.Status, groups ...string) error {
		one := ringfence.Person{ID: ringfence.PersonID("per_0000000000000000000000000" + n), Email: email, Groups: groups, Status: status}
		return ledger.Write(t.Context(), tx, &ledger.Record{Kind: ledger.KindPerson, ID: string(one.ID)}, one)
	}
	if err := a.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		const group = "payments_manager"
		r := gate.Release{ID: id, Says: "make a payment", State: state, Approvals: policy.Approvals{Group: group, Count: 1}, Opener: gate.Actor{Person: "per_00000000000000000000000001"}}
		for _, err := range []error{
			ledger.Write(t.Context(), tx, &ledger.Record{Kind: gate.KindRelease, ID: string(id)}, r),
			person(tx, "1", "opener@example.com", ringfence.StatusActive, group),
			person(tx, "2", "slow@example.com", ringfence.StatusActive, group),
			person(tx, "3", "mo@example.com", ringfence.StatusActive, "other", group),
			person(tx, "4", "left@example.com", ringfence.StatusSuspended, group),
			person(tx, "5", "stranger@example.com", ringfence.StatusActive, "other"),
			person(tx, "6", "", ringfence.StatusActive, group),
		} {
			if err != nil {
				return err
			}
		}
		_, err := tx.Append(t.Context(), ledger.Entry{Event: eventAsked, Release: id})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return a
}

// look is one turn of the loop that runs every noticeTail.
func look(t *testing.T, a *app) {
	t.Helper()
	if err := a.tail(t.Context(), ringfence.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	if err := a.sendDue(t.Context(), ringfence.DefaultTenant); err != nil {
		t.Fatal(err)
	}
}

// One look at the log, of ten in five seconds, writes to everybody who is asked
// and to nobody else, once; a carrier that is slow with one keeps no other.
func TestColleaguesAreToldAtTheNextLook(t *testing.T) {
	if noticeTail > time.Second {
		t.Errorf("the log is looked at every %v only", noticeTail)
	}
	p := &post{slow: "slow@example.com"}
	p.after.Add(1) // mo's
	a := asking(t, p, gate.StatePendingApproval)
	look(t, a)
	if want := []string{"mo@example.com", "slow@example.com"}; !slices.Equal(p.to, want) {
		t.Errorf("written to %v, want %v", p.to, want)
	}
	look(t, a)
	if len(p.to) != 2 {
		t.Errorf("written again: %v", p.to)
	}
}

// What nobody is asked any more is not written about, and not tried again.
func TestNobodyIsToldOfWhatIsDecided(t *testing.T) {
	p := &post{}
	a := asking(t, p, gate.StateDenied)
	look(t, a)
	look(t, a)
	if len(p.to) != 0 {
		t.Errorf("written to %s", strings.Join(p.to, ", "))
	}
	if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		left, err := tx.List(t.Context(), kindOutbox, ledger.Query{Key: "state", Value: "pending"})
		if len(left) != 0 {
			t.Errorf("%d messages are still owed", len(left))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
