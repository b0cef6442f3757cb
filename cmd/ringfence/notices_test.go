package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/web"
)

// letterbox is an app that has only what messages need: numbers that begin with
// 447700 may be written to, four an hour.
type letterbox struct {
	*app
	t    *testing.T
	post *post
	now  time.Time
}

func newLetterbox(t *testing.T, l verify.Limits) *letterbox {
	t.Helper()
	b := &letterbox{t: t, post: &post{}, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	store := inMemory{&ledgertest.Memory{Clock: func() time.Time { return b.now }}}
	v, err := verify.New(verify.Config{Store: store, Pepper: ringfence.Secret(make([]byte, 32)), Limits: l, Prefixes: []verify.Prefix{{Digits: "447700", PerHour: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	b.app = &app{store: store, log: slog.New(slog.DiscardHandler), verify: methods{carrier: b.post, verifier: v}}
	return b
}

func (b *letterbox) contact(n int, typ ringfence.ContactType, value string) ringfence.ContactPoint {
	b.t.Helper()
	c := ringfence.ContactPoint{ID: ringfence.ContactPointID(fmt.Sprintf("cpt_%026d", n)), Subject: ringfence.SubjectID(fmt.Sprintf("sub_%026d", n)), Type: typ, Value: value, Status: ringfence.StatusActive, StoredAt: b.now.Add(-time.Hour)}
	b.update(func(tx ledger.Tx) error {
		return ledger.Write(b.t.Context(), tx, &ledger.Record{Kind: ledger.KindContactPoint, ID: string(c.ID), Subject: c.Subject, Keys: map[string]string{"subject": string(c.Subject)}}, c)
	})
	return c
}

func (b *letterbox) update(f func(ledger.Tx) error) {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), ringfence.DefaultTenant, f); err != nil {
		b.t.Fatal(err)
	}
}

// happens enters an event about whoever a contact point belongs to, and lets time
// pass until what is owed was tried.
func (b *letterbox) happens(c ringfence.ContactPoint, event ledger.Event, times int) {
	b.t.Helper()
	b.update(func(tx ledger.Tx) (err error) {
		for range times {
			if _, err = tx.Append(b.t.Context(), ledger.Entry{Event: event, Subject: c.Subject}); err != nil {
				return err
			}
		}
		return nil
	})
	for range 3 {
		b.now = b.now.Add(time.Second)
		look(b.t, b.app)
	}
}

func (b *letterbox) written(to string) (n int) {
	for _, one := range b.post.to {
		if one == to {
			n++
		}
	}
	return n
}

// Invariant 27: a notice leaves to allowed prefixes only, within the caps, too.
func TestInvariant27Notices(t *testing.T) {
	t.Run("a number that may not be written to", func(t *testing.T) {
		b := newLetterbox(t, verify.Limits{})
		b.happens(b.contact(1, ringfence.ContactMobile, "88213000001"), "contact_point.changed", 1)
		if len(b.post.to) != 0 {
			t.Errorf("written to %v", b.post.to)
		}
	})
	t.Run("the same again and again", func(t *testing.T) {
		b := newLetterbox(t, verify.Limits{})
		c := b.contact(1, ringfence.ContactEmail, "ada@example.com")
		b.happens(c, "authenticator.changed", 40)
		if n := b.written(c.Value); n != 5 {
			t.Errorf("told %d times in an hour", n)
		}
		b.happens(c, "contact_point.changed", 1)
		if n := b.written(c.Value); n != 6 {
			t.Errorf("another matter is told %d times", n-5)
		}
		b.now = b.now.Add(25 * time.Hour)
		b.happens(c, "authenticator.changed", 1)
		if n := b.written(c.Value); n != 7 {
			t.Errorf("a day later: %d", n)
		}
	})
	t.Run("many numbers of one prefix", func(t *testing.T) {
		b := newLetterbox(t, verify.Limits{})
		for n := range 9 {
			b.happens(b.contact(n, ringfence.ContactMobile, fmt.Sprintf("4477009000%02d", n)), "contact_point.changed", 1)
		}
		if len(b.post.to) != 4 {
			t.Errorf("%d messages in an hour", len(b.post.to))
		}
		b.now = b.now.Add(time.Hour)
		look(t, b.app)
		if len(b.post.to) != 8 {
			t.Errorf("%d after an hour: what waits is sent", len(b.post.to))
		}
	})
	t.Run("what fails keeps back nothing that is due", func(t *testing.T) {
		b := newLetterbox(t, verify.Limits{})
		b.happens(b.contact(1, ringfence.ContactMobile, "88213000001"), "contact_point.changed", 80)
		c := b.contact(2, ringfence.ContactMobile, "447700900123")
		b.happens(c, "contact_point.changed", 1)
		if n := b.written(c.Value); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// The same for links: by contact point, by prefix, by who sends them, and in all.
func TestInvariant27Links(t *testing.T) {
	link := func(b *letterbox, c ringfence.ContactPoint, by ringfence.PersonID) error {
		return b.postLink(t.Context(), ringfence.DefaultTenant, c, by, ringfence.Secret("https://x/enrol#y"))
	}
	crowd := func(b *letterbox, typ ringfence.ContactType, value string, by func(int) ringfence.PersonID) (sent int) {
		for n := range 30 {
			err := link(b, b.contact(n, typ, fmt.Sprintf(value, n)), by(n))
			switch {
			case err == nil:
				sent++
			case !errors.Is(err, web.ErrTooManyMessages):
				t.Fatal(err)
			}
		}
		return sent
	}
	somebody := func(n int) ringfence.PersonID { return ringfence.PersonID(fmt.Sprintf("per_%026d", n)) }
	if sent := crowd(newLetterbox(t, verify.Limits{}), ringfence.ContactMobile, "4477009000%02d", somebody); sent != 4 {
		t.Errorf("%d links to one prefix", sent)
	}
	if sent := crowd(newLetterbox(t, verify.Limits{}), ringfence.ContactEmail, "p%d@example.com", func(int) ringfence.PersonID { return "per_1" }); sent != 10 {
		t.Errorf("%d links by one person in a minute", sent)
	}
	if sent := crowd(newLetterbox(t, verify.Limits{TenantHour: 7}), ringfence.ContactEmail, "p%d@example.com", somebody); sent != 7 {
		t.Errorf("%d links in all", sent)
	}
	b := newLetterbox(t, verify.Limits{})
	c := b.contact(1, ringfence.ContactEmail, "ada@example.com")
	for n := range 8 {
		if err := link(b, c, somebody(n)); (err == nil) != (n < 5) {
			t.Errorf("link %d to one address: %v", n+1, err)
		}
	}
	if err := link(b, b.contact(2, ringfence.ContactMobile, "88213000001"), "per_1"); err == nil || errors.Is(err, web.ErrTooManyMessages) || slices.Contains(b.post.to, "88213000001") {
		t.Errorf("a number that may not be written to: %v", err)
	}
}
