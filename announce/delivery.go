package announce

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// kindDelivery holds Delivery. Keys: due (the executor, while it is pending),
// state, release.
const kindDelivery ledger.Kind = "announcement"

// State is where a delivery stands. The words are stored and never renamed.
type State string

// The states.
const (
	StatePending   State = "pending"
	StateDelivered State = "delivered"
	StateFailed    State = "failed" // given up: the release's time is over, or the endpoint is gone
)

// maxAttempts bounds what is kept of attempts: the newest ones.
const maxAttempts = 20

// Attempt is one request.
type Attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"` // of HTTP; 0 = no answer
	Says   string    `json:"says,omitempty"`   // why there was no answer, without an address
	Millis int64     `json:"ms"`
}

// Delivery is one announcement and what became of it.
type Delivery struct {
	ID       string              `json:"id"` // the webhook-id: the same at every attempt
	Release  ringfence.ReleaseID `json:"release"`
	Executor string              `json:"executor"`
	State    State               `json:"state"`
	At       time.Time           `json:"at"`
	Until    time.Time           `json:"until"` // the release's end; no attempt after it
	Next     time.Time           `json:"next,omitzero"`
	Tries    int                 `json:"tries"`
	Attempts []Attempt           `json:"attempts"`
}

func (d Delivery) record(version int64) ledger.Record {
	keys := map[string]string{"state": string(d.State), "release": string(d.Release)}
	if d.State == StatePending {
		keys["due"] = d.Executor
	}
	return ledger.Record{Kind: kindDelivery, ID: d.ID, Version: version, Keys: keys, Sort: d.At.UnixNano()}
}

// Ready is a release that has just become ready.
type Ready struct {
	Tenant   ringfence.TenantID
	Release  ringfence.ReleaseID
	Executor string
	Until    time.Time
}

// Owe writes the announcement of a release, in the transaction that makes it
// ready. Nothing is owed to an executor without an endpoint.
func (s *Sender) Owe(ctx context.Context, tx ledger.Tx, r Ready) error {
	if _, ok := s.endpoints[r.Executor]; !ok {
		return nil
	}
	d := Delivery{ID: ringfence.NewID[string](ringfence.PrefixEvent), Release: r.Release, Executor: r.Executor, State: StatePending,
		At: tx.Now(), Until: r.Until, Next: tx.Now()}
	rec := d.record(0)
	if err := ledger.Write(ctx, tx, &rec, d); err != nil {
		return err
	}
	tx.OnCommit(func() { s.wake(r.Executor) })
	return nil
}

// Query selects deliveries; with nothing set, all of them.
type Query struct {
	State   State
	Release ringfence.ReleaseID // not together with State
	Limit   int                 // 0 = 50; at most 200
}

// Deliveries lists deliveries, newest first.
func (s *Sender) Deliveries(ctx context.Context, tenant ringfence.TenantID, q Query) ([]Delivery, error) {
	list := ledger.Query{Desc: true, Limit: min(max(q.Limit, 0), 200)}
	if q.Limit == 0 {
		list.Limit = 50
	}
	switch {
	case q.Release != "":
		list.Key, list.Value = "release", string(q.Release)
	case q.State != "":
		list.Key, list.Value = "state", string(q.State)
	}
	var out []Delivery
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		out = nil
		recs, err := tx.List(ctx, kindDelivery, list)
		for i := 0; err == nil && i < len(recs); i++ {
			var d Delivery
			d, _, err = ledger.Read[Delivery](ctx, tx, kindDelivery, recs[i].ID)
			out = append(out, d)
		}
		return err
	})
	return out, err
}

// Failed counts by executor the deliveries made since an instant that never
// arrived.
func (s *Sender) Failed(ctx context.Context, tenant ringfence.TenantID, since time.Time) (lost map[string]int, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		lost = map[string]int{}
		rows, err := ledger.Rows[Delivery](ctx, tx, kindDelivery, ledger.Query{Key: "state", Value: string(StateFailed), From: since.UnixNano()})
		for _, d := range rows {
			lost[d.Executor]++
		}
		return err
	})
	return lost, err
}

// Again has a delivery sent once more, now, if its release is still open.
func (s *Sender) Again(ctx context.Context, tenant ringfence.TenantID, id string, by ringfence.PersonID) (Delivery, error) {
	var out Delivery
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		d, version, err := ledger.Read[Delivery](ctx, tx, kindDelivery, id)
		if err != nil {
			return err
		}
		if !tx.Now().Before(d.Until) || s.endpoints[d.Executor] == nil {
			return ErrOver
		}
		d.State, d.Next = StatePending, tx.Now()
		rec := d.record(version)
		if err := ledger.Write(ctx, tx, &rec, d); err != nil {
			return err
		}
		tx.OnCommit(func() { s.wake(d.Executor) })
		out = d
		_, err = tx.Append(ctx, ledger.Entry{Event: "config.changed", Person: by, Object: d.ID, Release: d.Release, Data: map[string]string{"what": "announcement sent again"}})
		return err
	})
	return out, err
}

// ErrOver is returned by Again for a delivery whose release is over, or whose
// executor has no endpoint any more.
var ErrOver = errors.New("announce: the release is no longer open, or nobody listens")

// settle books an attempt. Another node may have booked one meanwhile: then
// its word stands.
func (s *Sender) settle(ctx context.Context, tenant ringfence.TenantID, id string, a Attempt) error {
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		d, version, err := ledger.Read[Delivery](ctx, tx, kindDelivery, id)
		if err != nil || d.State != StatePending {
			return err
		}
		d.Tries++
		d.Attempts = append(slices.Clone(d.Attempts), a)
		if n := len(d.Attempts); n > maxAttempts {
			d.Attempts = d.Attempts[n-maxAttempts:]
		}
		d.Next = tx.Now().Add(pause(d.Tries))
		switch {
		case a.Status >= 200 && a.Status < 300:
			d.State, d.Next = StateDelivered, time.Time{}
		case a.Status == 410, !d.Next.Before(d.Until): // 410: the endpoint asks for no more
			d.State, d.Next = StateFailed, time.Time{}
		}
		rec := d.record(version)
		return ledger.Write(ctx, tx, &rec, d)
	})
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}

// pause is how long to wait after the n-th attempt: 1 s, doubling to 5 min.
func pause(n int) time.Duration {
	return min(time.Second<<min(n-1, 20), 5*time.Minute)
}
