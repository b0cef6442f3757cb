package web

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// most bounds how far a count of the day looks back.
const most = 5000

type boardOut struct {
	Body struct {
		Since    time.Time      `json:"since" doc:"midnight in the policy's time zone"`
		Released int            `json:"released"`
		Held     int            `json:"held"`
		Stopped  int            `json:"stopped" doc:"denied, invalidated or held because the person did not ask"`
		Calls    int            `json:"calls"`
		Alerts   []ledger.Entry `json:"alerts" doc:"the newest ones"`
		Waivers  []string       `json:"waivers" doc:"of the policy in force"`
		Waiting  int            `json:"waiting" doc:"releases that wait for a colleague"`
	}
}

func (s *Server) boardAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/board", Summary: "Today in figures, newest alerts, waivers in force"},
		func(ctx context.Context, _ *struct{}) (*boardOut, error) {
			p, out := who(ctx), &boardOut{}
			out.Body.Alerts, out.Body.Waivers = []ledger.Entry{}, []string{}
			zone := time.UTC
			if current := s.cfg.Policies.Current(p.tenant); current != nil {
				zone = current.Timezone()
				for _, w := range current.Waivers() {
					out.Body.Waivers = append(out.Body.Waivers, w.Rule+": "+w.Reason)
				}
			}
			err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
				y, m, d := tx.Now().In(zone).Date()
				out.Body.Since = time.Date(y, m, d, 0, 0, 0, 0, zone).UTC()
				var err error
				count := func(event ledger.Event) int {
					n, e := countSince(ctx, tx, event, out.Body.Since)
					if err == nil {
						err = e
					}
					return n
				}
				out.Body.Released, out.Body.Held = count("release.executed"), count("release.held")
				out.Body.Stopped = count("release.denied") + count("release.invalidated") + count("challenge.rejected")
				out.Body.Calls = count("traversal.began")
				if err != nil {
					return err
				}
				alerts, err := tx.Entries(ctx, ledger.EntryQuery{Event: "alert.raised", Desc: true, Limit: boardAlerts})
				for _, e := range alerts {
					if len(out.Body.Alerts) < boardShown && p.seesAlert(AlertKind(e.Data["alarm"])) {
						out.Body.Alerts = append(out.Body.Alerts, e)
					}
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			waiting, err := s.cfg.Gate.All(ctx, p.tenant, gate.Filter{State: gate.StatePendingApproval})
			out.Body.Waiting = len(waiting)
			return out, err
		})
}

// The board shows the newest alarms that the viewer may see, of the newest of all;
// the page of alerts holds every one.
const (
	boardShown  = 20
	boardAlerts = 50
)

// countSince counts the entries of one event from a time on, at most most.
func countSince(ctx context.Context, tx ledger.Tx, event ledger.Event, since time.Time) (n int, err error) {
	for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Event: event, Desc: true}) {
		if err != nil {
			return 0, err
		}
		if n == most || e.At.Before(since) {
			break
		}
		n++
	}
	return n, nil
}
