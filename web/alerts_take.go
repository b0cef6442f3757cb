package web

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const (
	kindAlert      ledger.Kind = "alert"       // Alert; keys: state, kind, state:KIND. Its sort and id are the entry's index
	kindAlertPlace ledger.Kind = "alert_place" // alertPlace, one row a tenant
	// alertLife is how old an entry may be to become an open alert: a ledger that
	// was kept before there were alerts does not begin with a thousand of them.
	alertLife = 30 * 24 * time.Hour
)

// alertPlace is how far the ledger was read for alerts, and what is open.
type alertPlace struct {
	Next int64             `json:"next"` // first entry that was not read
	Turn int64             `json:"turn"` // grows with every change
	Told int64             `json:"told"` // grows with every change that anybody may learn of
	Open map[AlertKind]int `json:"open"`
	// Standing holds, for each condition's key, the alert that tells of it. It
	// stays while the condition lasts or the alert is open, so that a line that
	// comes and goes is one alert.
	Standing map[string]standing `json:"standing"`
}

type standing struct {
	Alert string    `json:"alert"`
	Kind  AlertKind `json:"kind"`
	Over  bool      `json:"over"`
}

// Condition is something that is wrong now, and may end by itself.
type Condition struct {
	Kind AlertKind
	Key  string // the same thing has the same key
	Text string // holds no number of a person
}

func alertPlaceOf(ctx context.Context, tx ledger.Tx) (alertPlace, int64, error) {
	p, version, err := ledger.Read[alertPlace](ctx, tx, kindAlertPlace, "0")
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	if p.Open == nil {
		p.Open = map[AlertKind]int{}
	}
	if p.Standing == nil {
		p.Standing = map[string]standing{}
	}
	return p, version, err
}

// openFor counts the open alerts that the principal may see.
func (a alertPlace) openFor(p principal) (n int) {
	for kind, open := range a.Open {
		if p.seesAlert(kind) {
			n += open
		}
	}
	return n
}

// TakeAlerts makes alerts of what was raised in a tenant's ledger since the
// last time, on whatever node, and wakes the consoles when anything changed.
// It writes nothing when nothing is new.
func (s *Server) TakeAlerts(ctx context.Context, tenant ringfence.TenantID) error {
	for {
		var turn int64
		var fresh int
		err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
			place, _, err := alertPlaceOf(ctx, tx)
			if err != nil {
				return err
			}
			page, err := tx.Entries(ctx, ledger.EntryQuery{Event: "alert.raised", From: place.Next, Limit: alertsAtATime})
			turn, fresh = place.Turn, len(page)
			return err
		})
		if err != nil {
			return err
		}
		if fresh == 0 {
			s.alertsTurned(tenant, turn)
			return nil
		}
		if err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error { return s.takePage(ctx, tx) }); err != nil {
			return err
		}
	}
}

// alertsAtATime is how many alarms one transaction takes; TakeAlerts goes on until
// there are none.
const alertsAtATime = 200

// takePage makes alerts of one page of entries.
func (s *Server) takePage(ctx context.Context, tx ledger.Tx) error {
	place, version, err := alertPlaceOf(ctx, tx)
	if err != nil {
		return err
	}
	page, err := tx.Entries(ctx, ledger.EntryQuery{Event: "alert.raised", From: place.Next, Limit: alertsAtATime})
	if err != nil {
		return err
	}
	for _, e := range page {
		place.Next = e.Index + 1
		if e.Data["key"] != "" || tx.Now().Sub(e.At) > alertLife {
			continue // a condition, which made its alert itself; or too old
		}
		a := alertOf(e)
		place.changed(a.Kind)
		if a.Kind == AlertCall && e.Person == "" && place.Open[AlertCall] >= alertCrowd {
			joined, err := joinCrowd(ctx, tx, a)
			if err != nil {
				return err
			}
			if joined {
				continue
			}
		}
		if err := writeAlert(ctx, tx, a, 0); err != nil {
			return err
		}
		place.Open[a.Kind]++
	}
	return place.write(ctx, tx, version)
}

// alertCrowd is how many open alerts of calls stand by themselves. Whoever rings a
// hundred times and keys rubbish would otherwise push what counts off the page.
const alertCrowd = 20

// joinCrowd counts an alert that a flow raised on the newest open one of the same
// words, and reports whether there is one. The ledger holds each.
func joinCrowd(ctx context.Context, tx ledger.Tx, a Alert) (bool, error) {
	rows, err := tx.List(ctx, kindAlert, ledger.Query{Key: "state:" + string(AlertCall), Value: "open", Desc: true, Limit: alertCrowd})
	for i := 0; err == nil && i < len(rows); i++ {
		old, version, err := ledger.Read[Alert](ctx, tx, kindAlert, rows[i].ID)
		if err != nil {
			return false, err
		}
		if old.Text == a.Text {
			old.Times, old.Traversal = old.Times+1, a.Traversal
			return true, writeAlert(ctx, tx, old, version)
		}
	}
	return false, err
}

// changed counts a change that concerns alerts of a kind.
func (a *alertPlace) changed(k AlertKind) {
	if !k.sensitive() {
		a.Told++
	}
}

// turnFor is the count of changes that the principal may know of.
func (a alertPlace) turnFor(p principal) int64 {
	if p.watches() {
		return a.Turn
	}
	return a.Told
}

func (a *alertPlace) write(ctx context.Context, tx ledger.Tx, version int64) error {
	a.Turn++
	maps.DeleteFunc(a.Open, func(_ AlertKind, n int) bool { return n <= 0 })
	return ledger.Write(ctx, tx, &ledger.Record{Kind: kindAlertPlace, ID: "0", Version: version}, a)
}

func writeAlert(ctx context.Context, tx ledger.Tx, a Alert, version int64) error {
	index, err := strconv.ParseInt(a.ID, 10, 64)
	if err != nil {
		return err
	}
	state := "open"
	if a.Acknowledged != nil {
		state = "done"
	}
	rec := ledger.Record{Kind: kindAlert, ID: a.ID, Version: version, Sort: index,
		Keys: map[string]string{"state": state, "kind": string(a.Kind), "state:" + string(a.Kind): state}}
	return ledger.Write(ctx, tx, &rec, a)
}

// fileAlert writes an alert that was just acknowledged, and takes it off what
// is open.
func (s *Server) fileAlert(ctx context.Context, tx ledger.Tx, a Alert, version int64) error {
	if err := writeAlert(ctx, tx, a, version); err != nil {
		return err
	}
	place, at, err := alertPlaceOf(ctx, tx)
	if err != nil {
		return err
	}
	place.changed(a.Kind)
	place.Open[a.Kind]--
	if st, ok := place.Standing[a.Key]; ok && st.Alert == a.ID && st.Over {
		delete(place.Standing, a.Key)
	}
	if err := place.write(ctx, tx, at); err != nil {
		return err
	}
	turn, tenant := place.Turn, who(ctx).tenant
	tx.OnCommit(func() { s.alertsTurned(tenant, turn) })
	return nil
}

// alertsTurned wakes the consoles of a tenant when what is open has changed.
func (s *Server) alertsTurned(tenant ringfence.TenantID, turn int64) {
	if s.turns.moved(tenant, turn) {
		s.alarmed.ring(tenant)
	}
}

// turns remembers how far each tenant's alerts had come. The zero value is
// ready.
type turns struct {
	mu  sync.Mutex
	all map[ringfence.TenantID]int64 // guarded by mu
}

// moved notes a turn, and reports whether it is another one than before.
func (t *turns) moved(tenant ringfence.TenantID, turn int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[ringfence.TenantID]int64{}
	}
	before := t.all[tenant]
	t.all[tenant] = turn
	return before != turn
}

// alertOf reads an entry.
func alertOf(e ledger.Entry) Alert {
	a := Alert{ID: strconv.FormatInt(e.Index, 10), Kind: AlertKind(e.Data["alarm"]), At: e.At, Times: 1, Traversal: e.Traversal, Release: e.Release, Key: e.Data["key"]}
	if _, known := alertKinds[a.Kind]; !known {
		switch {
		case e.Data["kind"] == "recording":
			a.Kind = AlertRecording
		case e.Data["says"] != "" && e.Leg != "":
			a.Kind = AlertEmergency
		default:
			a.Kind = AlertCall
		}
	}
	for _, key := range [...]string{"text", "why", "says"} {
		if a.Text == "" {
			a.Text = plainWords(e.Data[key], longest)
		}
	}
	a.Says, a.Grave = alertKinds[a.Kind].says, alertKinds[a.Kind].grave
	return a
}

// SetConditions says which conditions of some kinds stand in a tenant now. One
// that begins is entered in the ledger, once; one that ends is marked.
func (s *Server) SetConditions(ctx context.Context, tenant ringfence.TenantID, of []AlertKind, now []Condition) error {
	due := false
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		place, _, err := alertPlaceOf(ctx, tx)
		due = place.differs(of, now)
		return err
	})
	if err != nil || !due {
		return err
	}
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		place, version, err := alertPlaceOf(ctx, tx)
		if err != nil || !place.differs(of, now) {
			return err
		}
		if err := place.begin(ctx, tx, now); err != nil {
			return err
		}
		if err := place.end(ctx, tx, of, now); err != nil {
			return err
		}
		place.Told++ // no condition is about a person
		if err := place.write(ctx, tx, version); err != nil {
			return err
		}
		turn := place.Turn
		tx.OnCommit(func() { s.alertsTurned(tenant, turn) })
		return nil
	})
}

// key names the condition among those of all kinds.
func (c Condition) key() string { return string(c.Kind) + ":" + c.Key }

// differs reports whether anything began or ended.
func (a *alertPlace) differs(of []AlertKind, now []Condition) bool {
	for _, c := range now {
		if st, ok := a.Standing[c.key()]; !ok || st.Over {
			return true
		}
	}
	return len(a.ended(of, now)) > 0
}

// ended lists the keys of what stood and stands no more.
func (a *alertPlace) ended(of []AlertKind, now []Condition) (keys []string) {
	stands := map[string]bool{}
	for _, c := range now {
		stands[c.key()] = true
	}
	for key, st := range a.Standing {
		if !stands[key] && !st.Over && slices.Contains(of, st.Kind) {
			keys = append(keys, key)
		}
	}
	return keys
}

// begin raises what is new. What came back while its alert is still open is
// the same alert, once more.
func (a *alertPlace) begin(ctx context.Context, tx ledger.Tx, now []Condition) error {
	for _, c := range now {
		st, known := a.Standing[c.key()]
		if known && !st.Over {
			continue
		}
		if known {
			old, version, err := ledger.Read[Alert](ctx, tx, kindAlert, st.Alert)
			if err != nil {
				return err
			}
			old.Times, old.Over, old.Text = old.Times+1, time.Time{}, plainWords(c.Text, longest)
			if err := writeAlert(ctx, tx, old, version); err != nil {
				return err
			}
			a.Standing[c.key()] = standing{Alert: st.Alert, Kind: c.Kind}
			continue
		}
		e := ledger.Entry{Event: "alert.raised", At: tx.Now(), Data: map[string]string{"alarm": string(c.Kind), "key": c.key(), "text": plainWords(c.Text, longest)}}
		index, err := tx.Append(ctx, e)
		if err != nil {
			return err
		}
		e.Index = index
		one := alertOf(e)
		if err := writeAlert(ctx, tx, one, 0); err != nil {
			return err
		}
		a.Open[one.Kind]++
		a.Standing[c.key()] = standing{Alert: one.ID, Kind: c.Kind}
	}
	return nil
}

// end marks what is over. An alert that was acknowledged before is forgotten,
// so that the same thing raises a new one.
func (a *alertPlace) end(ctx context.Context, tx ledger.Tx, of []AlertKind, now []Condition) error {
	for _, key := range a.ended(of, now) {
		one, version, err := ledger.Read[Alert](ctx, tx, kindAlert, a.Standing[key].Alert)
		if err != nil {
			return err
		}
		one.Over = tx.Now()
		if err := writeAlert(ctx, tx, one, version); err != nil {
			return err
		}
		if one.Acknowledged != nil {
			delete(a.Standing, key)
			continue
		}
		a.Standing[key] = standing{Alert: one.ID, Kind: one.Kind, Over: true}
	}
	return nil
}
