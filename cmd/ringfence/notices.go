package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// The notices that people get of what is done in their name: to every contact
// point on file, and to those removed in the last 90 days, so that nobody who
// takes over a number can keep the owner in the dark.
//
// A tailer reads the ledger behind a durable cursor and turns each entry that
// somebody must hear of into outbox rows, in one transaction; a sender works
// the rows off with growing pauses. A crash sends a notice twice at worst.
const (
	kindCursor ledger.Kind = "cursor"
	kindOutbox ledger.Kind = "outbox" // keys: state (pending, sent, told, failed)

	noticeTail    = 500 * time.Millisecond
	noticeTries   = 8
	noticesAtOnce = 16
	removedMemory = 90 * 24 * time.Hour
)

// outboxRow is one message that is owed.
type outboxRow struct {
	Contact ringfence.ContactPointID `json:"contact"`
	Subject ringfence.SubjectID      `json:"subject"`
	Release ringfence.ReleaseID      `json:"release,omitempty"`
	Person  ringfence.PersonID       `json:"person,omitempty"` // a colleague who is asked, instead of a contact
	Event   ledger.Event             `json:"event"`
	State   string                   `json:"state"`
	Tries   int                      `json:"tries"`
	Next    time.Time                `json:"next"`
	At      time.Time                `json:"at"`
}

// noticed are the entries that a subject hears of, in words. %s is the action.
var noticed = map[ledger.Event]string{
	"release.cooling":         "We were asked to %s. It takes effect after a waiting time.",
	"release.executed":        "Done as asked: %s.",
	"release.held":            "We stopped a request to %s and are looking into it.",
	"contact_point.added":     "A number or address was added to what we hold for you.",
	"contact_point.changed":   "A number or address that we hold for you was changed.",
	"release.failed":          "We could not do this: %s. Ask us why.",
	"contact_point.suspended": "A number or address that we hold for you was stopped.",
	"contact_point.removed":   "A number or address that we held for you was removed.",
	"authenticator.added":     "A PIN, app, passkey or set of recovery codes was added to what we hold for you.",
	"authenticator.disabled":  "A PIN, app, passkey or set of recovery codes of yours was switched off after too many wrong tries.",
	"authenticator.changed":   "A link to make a passkey was sent out for you, a recovery code of yours was used, or something else with which you prove who you are was changed.",
	"authenticator.removed":   "A PIN, app, passkey or set of recovery codes of yours was removed.",
	"authenticator.suspended": "A PIN, app, passkey or set of recovery codes of yours was suspended.",
	"mandate.added":           "Somebody may act for you from now on.",
	"mandate.removed":         "Somebody may not act for you any more.",
}

// notices tails and sends until ctx ends.
func (a *app) notices(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(noticeTail)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := errors.Join(a.tail(ctx, tenant), a.sendDue(ctx, tenant)); err != nil && ctx.Err() == nil {
			a.log.Error("notices", "tenant", string(tenant), "err", err)
		}
	}
}

// tail turns new entries into outbox rows, until there are none: whoever fills
// the log delays no notice.
func (a *app) tail(ctx context.Context, tenant ringfence.TenantID) error {
	for {
		if more, err := a.tailPage(ctx, tenant); err != nil || !more {
			return err
		}
	}
}

// tailPage takes a page of new entries, and reports whether there may be more.
func (a *app) tailPage(ctx context.Context, tenant ringfence.TenantID) (more bool, err error) {
	var seen, size int64
	if err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		if seen, _, err = ledger.Read[int64](ctx, tx, kindCursor, "notices"); err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		size, err = tx.Size(ctx)
		return err
	}); err != nil || seen >= size {
		return false, err
	}
	asked := false
	defer func() {
		if asked && a.web != nil {
			a.web.Asked(tenant) // consoles look at once, whoever asked
		}
	}()
	err = a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		from, version, err := ledger.Read[int64](ctx, tx, kindCursor, "notices")
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		entries, err := tx.Entries(ctx, ledger.EntryQuery{From: from, Limit: owedAtATime})
		if err != nil {
			return err
		}
		more = len(entries) == owedAtATime
		for _, e := range entries {
			from = e.Index + 1
			if e.Event == eventAsked {
				asked = true
				if err := oweColleagues(ctx, tx, e); err != nil {
					return err
				}
			}
			if noticed[e.Event] != "" && e.Subject != "" && !imported(e) {
				if err := owe(ctx, tx, e); err != nil {
					return err
				}
			}
		}
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindCursor, ID: "notices", Version: version}, from)
	})
	return more, err
}

// owedAtATime is how many entries one transaction reads; the next goes on.
const owedAtATime = 200

// imported reports what came on file by an import: nobody is written to about
// a list that their own numbers came with.
func imported(e ledger.Entry) bool {
	return (e.Event == "contact_point.added" || e.Event == "authenticator.added" || e.Event == "mandate.added") && e.Data["release"] == "" && e.Data["status"] == ""
}

// owe writes a row for each contact point that is to hear of an entry.
func owe(ctx context.Context, tx ledger.Tx, e ledger.Entry) error {
	return oweAs(ctx, tx, e, fmt.Sprint(e.Index))
}

func oweAs(ctx context.Context, tx ledger.Tx, e ledger.Entry, name string) error {
	points, err := verify.ContactPoints(ctx, tx, e.Subject)
	if err != nil {
		return err
	}
	for _, p := range points {
		gone := p.Status == ringfence.StatusRemoved && tx.Now().Sub(p.RemovedAt) > removedMemory
		came := !p.StoredAt.Before(e.At) // with this very change, or later: only who was there before is told
		if gone || came || p.Type == ringfence.ContactPost || p.Type == ringfence.ContactLandline {
			continue
		}
		row := outboxRow{Contact: p.ID, Subject: e.Subject, Release: e.Release, Event: e.Event, State: "pending", Next: tx.Now(), At: e.At}
		rec := ledger.Record{Kind: kindOutbox, ID: name + "/" + string(p.ID), Subject: e.Subject, Sort: tx.Now().UnixNano(), Keys: map[string]string{"state": "pending"}}
		if err := ledger.Write(ctx, tx, &rec, row); err != nil && !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return nil
}

// seems owes what people would hear of an action that is done in appearance only:
// somebody under duress may not be alone with their telephone. The log has no
// such entry, so that the row has another name.
func seems(ctx context.Context, tx ledger.Tx, e ledger.Entry) error {
	if noticed[e.Event] == "" {
		return nil
	}
	return oweAs(ctx, tx, e, string(e.Release)+"."+string(e.Event)+"."+e.Object)
}

// noticesAtATime is how many notices one look sends.
const noticesAtATime = 50

// sendDue sends what is owed now.
func (a *app) sendDue(ctx context.Context, tenant ringfence.TenantID) error {
	type due struct {
		rec  ledger.Record
		row  outboxRow
		to   ringfence.ContactPoint
		mail verify.Message // instead, to a colleague
	}
	var all []due
	if err := a.store.View(ctx, tenant, func(tx ledger.Tx) error {
		all = nil
		for rec, err := range ledger.All(ctx, tx, kindOutbox, ledger.Query{Key: "state", Value: "pending", To: tx.Now().UnixNano() + 1}) {
			if err != nil || len(all) == noticesAtATime {
				return err
			}
			row, err := ledger.Decode[outboxRow](rec)
			if err != nil {
				return err
			}
			if row.Next.After(tx.Now()) {
				continue // those that wait for another try hold up nobody behind them
			}
			one := due{rec: rec, row: row}
			if row.Person != "" {
				one.mail, err = a.askColleague(ctx, tx, tenant, row)
			} else {
				one.to, _, err = ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(row.Contact))
			}
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			all = append(all, one)
		}
		return nil
	}); err != nil {
		return err
	}
	// A few at a time: one carrier that is slow to answer keeps nobody waiting.
	failed := make([]error, len(all))
	var sending sync.WaitGroup
	free := make(chan struct{}, noticesAtOnce)
	for i, d := range all {
		free <- struct{}{}
		sending.Go(func() {
			defer func() { <-free }()
			var became fate
			switch {
			case d.row.Person == "":
				became, failed[i] = a.sendNotice(ctx, tenant, d.row, d.to)
			case d.mail.To == "": // nobody is asked any more
				became.sent = true
			default:
				became.sent = a.carry(ctx, d.mail, d.row)
			}
			failed[i] = errors.Join(failed[i], a.settle(ctx, tenant, d.rec, d.row, became))
		})
	}
	sending.Wait()
	return errors.Join(failed...)
}

// repeated are the events that somebody can cause again and again without proving
// anything. Of each a contact point hears as often as its caps allow; more of the
// same would only bury what else it has to be told.
var repeated = map[ledger.Event]bool{"release.held": true, "authenticator.changed": true}

// fate is what became of a notice. The zero fate is tried again.
type fate struct {
	sent  bool
	told  bool      // the same was said as often as may
	later time.Time // it may leave then
}

// sendNotice hands one notice to its carrier, within the caps.
func (a *app) sendNotice(ctx context.Context, tenant ringfence.TenantID, row outboxRow, to ringfence.ContactPoint) (became fate, err error) {
	p := verify.Post{Contact: to, Notice: true}
	if repeated[row.Event] {
		p.Same = string(row.Event)
	}
	may := false
	err = a.store.Update(ctx, tenant, func(tx ledger.Tx) (err error) {
		may, became.told, became.later, err = a.verify.verifier.Post(ctx, tx, p)
		return err
	})
	if err == nil && may && became == (fate{}) {
		became.sent = a.writeNotice(ctx, tenant, row, to)
	}
	return became, err
}

// writeNotice words a notice and reports whether its carrier took it.
func (a *app) writeNotice(ctx context.Context, tenant ringfence.TenantID, row outboxRow, to ringfence.ContactPoint) bool {
	text := noticed[row.Event]
	if strings.Contains(text, "%s") {
		says := "do something for you"
		if rel, err := a.gate.Lookup(ctx, tenant, row.Release); err == nil {
			says = rel.Says
		}
		text = fmt.Sprintf(text, says)
	}
	m := verify.Message{Tenant: tenant, Kind: verify.MessageNotice, Channel: verify.ChannelEmail, To: to.Value, Subject: "Notice from " + a.company(tenant), Ref: string(row.Release)}
	if to.Type == ringfence.ContactMobile {
		m.Channel, m.Subject = verify.ChannelSMS, ""
	}
	m.Text = ringfence.Secret(fmt.Sprintf("%s: %s If you did not ask for this, call us on a number you know.", a.company(tenant), text))
	if row.Release != "" && row.Event == "release.cooling" {
		m.Text = append(m.Text, (" Stop it here: " + a.stopLink(tenant, row.Release))...)
	}
	return a.carry(ctx, m, row)
}

// carry hands a message to its carrier and reports whether it was taken.
func (a *app) carry(ctx context.Context, m verify.Message, row outboxRow) bool {
	receipt, err := a.verify.carrier.Deliver(ctx, m)
	if err != nil {
		a.log.Warn("notice not sent", "event", string(row.Event), "release", string(row.Release), "err", err)
	}
	return err == nil && receipt.Delivery != verify.DeliveryRefused
}

// settle books what became of a notice. One that waits stands where its time is, so
// that those which fail keep none back that is due.
func (a *app) settle(ctx context.Context, tenant ringfence.TenantID, rec ledger.Record, row outboxRow, became fate) error {
	return a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		r := ledger.Record{Kind: kindOutbox, ID: rec.ID, Version: rec.Version, Subject: row.Subject}
		out := row
		out.Tries++
		switch {
		case became.sent:
			out.State = "sent"
		case became.told:
			out.State = "told"
		case !became.later.IsZero():
			out.Tries, out.Next = row.Tries, became.later
		case out.Tries >= noticeTries:
			out.State = "failed"
		default:
			out.Next = tx.Now().Add(time.Second << (2 * out.Tries)) // 4 s, 16 s, … about 4.5 h in the end
		}
		r.Keys, r.Sort = map[string]string{"state": out.State}, out.Next.UnixNano()
		err := ledger.Write(ctx, tx, &r, out)
		if errors.Is(err, ledger.ErrConflict) {
			return nil // another node sent it
		}
		return err
	})
}

// company is how callers know a tenant.
func (a *app) company(tenant ringfence.TenantID) string {
	for _, t := range a.cfg.Tenants {
		if tenantOr(t.ID) == tenant {
			return t.Name
		}
	}
	return "ringfence"
}

// stopLink is the address at which whoever reads a notice can stop a release
// that still waits. The token is keyed with the pepper, so nothing is stored;
// it can only ever stop.
func (a *app) stopLink(tenant ringfence.TenantID, id ringfence.ReleaseID) string {
	return origin(a.cfg.Web.Public.URL) + "/stop#" + string(id) + "." + a.stopToken(tenant, id)
}

// stop holds the release of a stop link.
func (a *app) stop(ctx context.Context, tenant ringfence.TenantID, token string) (bool, error) {
	id, mac, _ := strings.Cut(token, ".")
	release := ringfence.ReleaseID(id)
	if !ringfence.ValidID(id, ringfence.PrefixRelease) || subtle.ConstantTimeCompare([]byte(mac), []byte(a.stopToken(tenant, release))) != 1 {
		return false, nil
	}
	_, err := a.gate.Reject(ctx, tenant, release, gate.Actor{Client: "stop link"})
	if errors.Is(err, gate.ErrConflict) || errors.Is(err, gate.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (a *app) stopToken(tenant ringfence.TenantID, id ringfence.ReleaseID) string {
	return fmt.Sprintf("%x", verify.Keyed(a.keys.pepper, "stop link", []byte(tenant), []byte(id))[:16])
}
