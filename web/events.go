package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

const (
	// heartbeat is how often a stream says that it lives: proxies cut what is
	// silent for 30 s, and a console that hears nothing for longer knows that
	// the network is gone although nobody told it.
	heartbeat = 15 * time.Second
	// askedPoll is how often a console looks whether its person was asked to
	// approve something: within 5 s they know.
	askedPoll = 2 * time.Second
	// logPoll is how often a stream of entries looks for new ones.
	logPoll = 500 * time.Millisecond
)

// events is GET /v1/events. A person gets the live calls they may see, now and
// at every change; a service account gets the entries of the ledger from
// Last-Event-ID on. The stream never keeps a session alive, and ends with it.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	p := who(r.Context())
	out := &stream{w: w, ctl: http.NewResponseController(w)}
	from := int64(-1)
	if last := r.Header.Get("Last-Event-ID"); last != "" && p.client.ID != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			s.refuse(w, r, problem.New(problem.Unprocessable, "Last-Event-ID is not an event of this stream."))
			return
		}
		from = n + 1
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out.ctl.SetWriteDeadline(time.Time{}) // unlimited on this route; an unsupported writer has none anyway
	out.write("retry: 1000\n\n")
	if p.client.ID != "" {
		s.streamEntries(r.Context(), out, p, from)
		return
	}
	s.streamCalls(r.Context(), out, p)
}

// stream writes server-sent events and remembers that the reader is gone.
type stream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	err     error
	pending bool // something is written and not flushed
}

func (o *stream) write(text string) {
	if o.err == nil {
		_, o.err = o.w.Write([]byte(text))
		o.pending = true
	}
	o.flush()
}

func (o *stream) event(name, id string, data []byte) {
	if o.err != nil {
		return
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	o.pending = true
	_, o.err = fmt.Fprintf(o.w, "%sevent: %s\ndata: %s\n\n", id, name, data)
}

func (o *stream) flush() {
	if !o.pending {
		return
	}
	o.pending = false
	if err := o.ctl.Flush(); o.err == nil && err != nil && !errors.Is(err, http.ErrNotSupported) {
		o.err = err
	}
}

// streamCalls sends the live calls until the reader or the session ends.
func (s *Server) streamCalls(ctx context.Context, out *stream, p principal) {
	defer s.present.come(p.tenant, p.person.ID)()
	defer s.phones.come(phoneKey{p.tenant, p.person.ID}, p.session.ID)()
	phoneCalls, phonePlaces := s.phoneChanged()
	changed, stop := s.boards.watch(p.tenant)
	defer stop()
	asked, stopAsked := s.asked.watch(p.tenant)
	defer stopAsked()
	alarmed, stopAlarmed := s.alarmed.watch(p.tenant)
	defer stopAlarmed()
	ended, stopEnded := s.left.watch(p.tenant)
	defer stopEnded()
	glance := time.NewTicker(askedPoll)
	defer glance.Stop()
	waiting := s.waitingFor(ctx, p)
	pace := cmp.Or(s.cfg.Heartbeat, heartbeat)
	beat := time.NewTicker(pace)
	defer beat.Stop()
	sent := map[ringfence.TraversalID]int64{}
	s.sendCalls(out, p, s.boards.at(p.tenant, time.Now()), sent)
	phone := s.sendPhone(out, p, nil)
	alerts := s.sendAlerts(ctx, out, p, "")
	floor := s.sendFloor(out, p, s.boards.latest(p.tenant), nil)
	out.event("ready", "", fmt.Appendf(nil, `{"beat_ms":%d}`, pace.Milliseconds()))
	out.flush()
	for out.err == nil {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			b := s.boards.latest(p.tenant)
			s.sendCalls(out, p, b, sent)
			floor = s.sendFloor(out, p, b, floor)
			out.flush()
		case <-phoneCalls:
			phoneCalls, phonePlaces = s.phoneChanged()
			phone = s.sendPhone(out, p, phone)
			out.flush()
		case <-phonePlaces:
			phoneCalls, phonePlaces = s.phoneChanged()
			phone = s.sendPhone(out, p, phone)
			out.flush()
		case <-asked:
			out.event("approvals", "", []byte("{}"))
			out.flush()
		case <-alarmed:
			alerts = s.sendAlerts(ctx, out, p, alerts)
			out.flush()
		case <-ended:
			if !s.still(ctx, out, &p) {
				return
			}
		case <-glance.C: // asked, or signed out, on another node, or by a flow
			if !s.still(ctx, out, &p) {
				return
			}
			if now := s.waitingFor(ctx, p); now != waiting {
				waiting = now
				out.event("approvals", "", []byte("{}"))
			}
			floor = s.sendFloor(out, p, s.boards.latest(p.tenant), floor) // away, said in another browser
			out.flush()
		case <-beat.C:
			phone = s.sendPhone(out, p, phone) // another browser may have gone for good
			out.event("beat", "", []byte("{}"))
			out.flush()
		}
	}
}

// sendAlerts writes how many alerts are open, to those who see any, and returns
// what they know now. Where nothing changed that they may learn of, it is silent:
// that something is written would tell them as well (invariant 26).
func (s *Server) sendAlerts(ctx context.Context, out *stream, p principal, sent string) (now string) {
	if !slices.ContainsFunc(alarmRoles, p.has) {
		return sent
	}
	_ = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error { // unread now is read at the next change
		place, _, err := alertPlaceOf(ctx, tx)
		if err == nil {
			now = fmt.Sprintf(`{"open":%d,"turn":%d}`, place.openFor(p), place.turnFor(p))
		}
		return err
	})
	if now == "" || now == sent {
		return sent
	}
	out.event("alerts", "", []byte(now))
	return now
}

// waitingFor is a text that changes when what the person is asked to approve
// changes; "" for nothing, or when it cannot be read now.
func (s *Server) waitingFor(ctx context.Context, p principal) string {
	list, err := s.askedOf(ctx, p)
	if err != nil {
		return ""
	}
	var ids strings.Builder
	for _, r := range list {
		ids.WriteString(string(r.ID))
		ids.WriteString(r.EvidenceHash.String())
	}
	return ids.String()
}

// sendCalls writes what changed for this reader since sent.
func (s *Server) sendCalls(out *stream, p principal, b *board, sent map[ringfence.TraversalID]int64) {
	seen := make(map[ringfence.TraversalID]bool, len(b.calls))
	for _, c := range b.calls {
		if !p.sees(c.LiveCall) {
			continue
		}
		seen[c.Traversal] = true
		if version, ok := sent[c.Traversal]; ok && version >= c.Version {
			continue
		}
		sent[c.Traversal] = c.Version
		out.event("call", "", c.JSON())
	}
	for id := range sent {
		if !seen[id] {
			delete(sent, id)
			out.event("gone", "", fmt.Appendf(nil, `{"traversal":%q}`, id))
		}
	}
}

// eventsAtATime is how many entries are read for a stream before it writes them.
const eventsAtATime = 200

// streamEntries sends the ledger's entries from an index on, the newest ones
// only when from is negative, for as long as the account is what it was.
func (s *Server) streamEntries(ctx context.Context, out *stream, p principal, from int64) {
	tick := time.NewTicker(logPoll)
	defer tick.Stop()
	silent := time.Now()
	for out.err == nil {
		var page []ledger.Entry
		err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
			if err := p.client.same(ctx, tx); err != nil {
				return err
			}
			if from < 0 {
				from, err = tx.Size(ctx)
				return err
			}
			page, err = tx.Entries(ctx, ledger.EntryQuery{From: from, Limit: eventsAtATime})
			return err
		})
		if err != nil {
			return // the reader comes again with Last-Event-ID, if it still may
		}
		for _, e := range page {
			text, err := json.Marshal(p.shown(e))
			if err != nil {
				return
			}
			out.event(string(e.Event), strconv.FormatInt(e.Index, 10), text)
			from = e.Index + 1
		}
		switch {
		case len(page) > 0:
			silent = time.Now()
			out.flush()
		case time.Since(silent) >= heartbeat:
			silent = time.Now()
			out.write(":\n\n")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
