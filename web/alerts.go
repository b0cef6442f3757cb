package web

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// AlertKind says what an alert is about; the values are stored and never
// renamed.
type AlertKind string

// The kinds of alerts. Those above the line come from calls and acts, those
// below are conditions that begin and end.
const (
	AlertDuress         AlertKind = "duress" // shown to roles risk and supervisor only (invariant 26)
	AlertRejected       AlertKind = "rejected"
	AlertDiverted       AlertKind = "diverted"
	AlertCloned         AlertKind = "cloned"
	AlertSpray          AlertKind = "spray"
	AlertReconciliation AlertKind = "reconciliation"
	AlertRecording      AlertKind = "recording"
	AlertEmergency      AlertKind = "emergency"
	AlertRamp           AlertKind = "ramp"
	AlertCall           AlertKind = "call" // a flow or an agent said so

	AlertClock       AlertKind = "clock"
	AlertLedger      AlertKind = "ledger"
	AlertCertificate AlertKind = "certificate"
	AlertTrunk       AlertKind = "trunk"
	AlertDelivery    AlertKind = "delivery"
	AlertWebhook     AlertKind = "webhook"
	AlertExecutor    AlertKind = "executor"
	AlertUnverified  AlertKind = "unverified"
	AlertPasskey     AlertKind = "passkey"
)

// alertKinds tells how each kind is listed, and which of them are worth
// leaving one's meal for.
var alertKinds = map[AlertKind]struct {
	says  string
	grave bool
}{
	AlertDuress:         {"Somebody acts under pressure", true},
	AlertRejected:       {"Somebody said: I did not ask for this", true},
	AlertDiverted:       {"A call-back went elsewhere", true},
	AlertCloned:         {"A passkey may have been copied", true},
	AlertSpray:          {"One PIN is tried on many people", true},
	AlertReconciliation: {"An executor's journal differs", true},
	AlertRecording:      {"A call is not recorded", false},
	AlertEmergency:      {"An emergency call was made", true},
	AlertRamp:           {"A ramp was stopped", false},
	AlertCall:           {"A call was reported", true},
	AlertClock:          {"The clock is not trusted", true},
	AlertLedger:         {"The ledger is not sealed", true},
	AlertCertificate:    {"A certificate ends", false},
	AlertTrunk:          {"A trunk does not answer", true},
	AlertDelivery:       {"Messages do not arrive", true},
	AlertWebhook:        {"An executor cannot be told", false},
	AlertExecutor:       {"An executor does not say what it did", true},
	AlertUnverified:     {"More calls than usual are not verified", false},
	AlertPasskey:        {"A passkey of staff waits to be confirmed", false},
}

// Alert is one thing that somebody has to look at. It is made from its entry in
// the ledger, whose index is its id.
type Alert struct {
	ID    string    `json:"id" example:"1204" doc:"index of its entry in the ledger"`
	Kind  AlertKind `json:"kind"`
	Says  string    `json:"says"`
	Text  string    `json:"text,omitempty" doc:"the particulars"`
	Grave bool      `json:"grave"`
	At    time.Time `json:"at"`
	// Over is when a condition ended; Times how often it began since somebody
	// last acknowledged it, or how many calls were reported in the same words
	// while too many were open, of which Traversal is the last.
	Over         time.Time             `json:"over,omitzero" doc:"when the condition ended by itself"`
	Times        int                   `json:"times" doc:"how often it began"`
	Traversal    ringfence.TraversalID `json:"traversal,omitempty"`
	Release      ringfence.ReleaseID   `json:"release,omitempty"`
	Acknowledged *Acknowledgement      `json:"acknowledged,omitempty" doc:"absent while it is open"`
	Key          string                `json:"key,omitempty" doc:"of the condition"`
}

// Acknowledgement is who looked at an alert, and what they noted.
type Acknowledgement struct {
	By   ringfence.PersonID `json:"by"`
	Name string             `json:"name"`
	At   time.Time          `json:"at"`
	Note string             `json:"note"`
}

type (
	alertsIn struct {
		State  string    `query:"state" enum:"open,done,all" default:"open"`
		Kind   AlertKind `query:"kind" pattern:"^[a-z]{1,40}$"`
		Before string    `query:"before" pattern:"^[0-9]{1,19}$" doc:"next of the page before"`
		Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	alertsOut struct {
		Body struct {
			Alerts []Alert `json:"alerts" doc:"newest first"`
			Open   int     `json:"open" doc:"of all kinds that you may see"`
			Next   string  `json:"next,omitempty"`
		}
	}
	alertIn struct {
		ID   string `path:"id" maxLength:"40" example:"1204"`
		Body struct {
			Note string `json:"note" minLength:"1" maxLength:"200" example:"Carrier called: fibre cut, back at 14:10."`
		}
	}
	alertOut struct{ Body Alert }
)

// sensitive reports a kind that only those see who watch over calls.
func (k AlertKind) sensitive() bool { return k == AlertDuress }

// seesAlert reports whether the principal may learn of alerts of a kind.
func (p principal) seesAlert(k AlertKind) bool { return !k.sensitive() || p.watches() }

func (s *Server) alertAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/alerts", Summary: "Alerts, newest first",
		Description: "Those about somebody who acts under pressure are shown to supervisors and risk only."}, s.listAlerts)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/alerts/{id}/acknowledge", Summary: "Say that an alert was looked at",
		Description: "The note is kept in the ledger for ever, so it holds no numbers of people."},
		func(ctx context.Context, in *alertIn) (*alertOut, error) {
			note, err := forLedger(in.Body.Note)
			if err != nil {
				return nil, err
			}
			a, err := s.acknowledge(ctx, in.ID, note)
			return &alertOut{Body: a}, err
		})
}

func (s *Server) listAlerts(ctx context.Context, in *alertsIn) (*alertsOut, error) {
	p, out := who(ctx), &alertsOut{}
	if err := s.TakeAlerts(ctx, p.tenant); err != nil {
		return nil, err
	}
	out.Body.Alerts = []Alert{}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		place, _, err := alertPlaceOf(ctx, tx)
		if err != nil {
			return err
		}
		out.Body.Open = place.openFor(p)
		q := ledger.Query{Key: "state", Value: in.State, Desc: true, Limit: in.Limit + 1}
		switch {
		case in.Kind != "" && in.State != "all":
			q.Key, q.Value = "state:"+string(in.Kind), in.State
		case in.Kind != "":
			q.Key, q.Value = "kind", string(in.Kind)
		case in.State == "all":
			q.Key, q.Value = "", ""
		}
		if in.Before != "" {
			if q.After, err = strconv.ParseInt(in.Before, 10, 64); err != nil {
				return problem.New(problem.Unprocessable, "before is the next of an earlier page.")
			}
			q.AfterID = in.Before
		}
		out.Body.Alerts, out.Body.Next, err = pageOfAlerts(ctx, tx, q, p)
		return err
	})
}

// pageOfAlerts reads one page of those that the principal may see, and where
// the next one begins.
func pageOfAlerts(ctx context.Context, tx ledger.Tx, q ledger.Query, p principal) (out []Alert, next string, err error) {
	out = []Alert{}
	most := q.Limit - 1
	for {
		rows, err := tx.List(ctx, kindAlert, q)
		if err != nil {
			return nil, "", err
		}
		for _, rec := range rows {
			a, _, err := ledger.Read[Alert](ctx, tx, kindAlert, rec.ID)
			if err != nil {
				return nil, "", err
			}
			if !p.seesAlert(a.Kind) {
				continue
			}
			if len(out) == most {
				return out, out[most-1].ID, nil
			}
			out = append(out, a)
		}
		if len(rows) < q.Limit {
			return out, "", nil
		}
		last := rows[len(rows)-1]
		q.After, q.AfterID = last.Sort, last.ID
	}
}

// acknowledge closes an open alert. Somebody who may not see it is told that
// there is none.
func (s *Server) acknowledge(ctx context.Context, id, note string) (a Alert, err error) {
	p := who(ctx)
	err = s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		var version int64
		a, version, err = ledger.Read[Alert](ctx, tx, kindAlert, id)
		if errors.Is(err, ledger.ErrNotFound) || err == nil && !p.seesAlert(a.Kind) {
			return errNotFound
		}
		if err != nil {
			return err
		}
		if a.Acknowledged != nil {
			return problem.New(problem.Conflict, a.Acknowledged.Name+" has acknowledged it already.")
		}
		a.Acknowledged = &Acknowledgement{By: p.person.ID, Name: p.person.Name, At: tx.Now(), Note: note}
		if _, err := tx.Append(ctx, ledger.Entry{Event: "alert.acknowledged", Person: p.person.ID, Traversal: a.Traversal, Release: a.Release, Object: a.ID,
			Data: map[string]string{"alarm": string(a.Kind), "note": note}}); err != nil {
			return err
		}
		return s.fileAlert(ctx, tx, a, version)
	})
	return a, err
}

// holdsNumber reports a run of digits that could be somebody's number, however
// it is grouped.
func holdsNumber(text string) bool {
	run := 0
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			if run++; run > 5 {
				return true
			}
		case strings.ContainsRune(" -./()", r):
		default:
			run = 0
		}
	}
	return false
}
