package sqlite

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/store/rows"
)

// load is what goes into one commit.
type load struct {
	jobs    []*job
	todo    []statement
	flights map[ringfence.TenantID]*rows.Flight
	// inside says that the jobs have yet to run, within the transaction itself.
	inside bool
	// unanswered says that nothing of the load was committed and its jobs were
	// not told: they have to run inside.
	unanswered bool
	// unknown says that nothing may be remembered any more.
	unknown bool
}

// statement is one change, and how many rows it must change.
type statement struct {
	query string
	args  []any
	want  int64
}

func newLoad() *load { return &load{flights: map[ringfence.TenantID]*rows.Flight{}} }

func (l *load) flight(tenant ringfence.TenantID) *rows.Flight {
	if l.flights[tenant] == nil {
		l.flights[tenant] = rows.NewFlight()
	}
	return l.flights[tenant]
}

// ahead is the writer's side that computes. It runs the callbacks of Updates
// while the ones before are being committed, and puts off what they write.
//
//	queue -> write (callbacks, against what is remembered and committed) -> load -> commit (statements, fsync, answers)
//
// An Update that asks for what is not committed yet runs again inside the
// transaction, as does everything computed upon a commit that did not happen or
// before another process wrote.
type ahead struct {
	s      *Store
	ctx    context.Context
	reader *look
	open   *load  // computed and not handed on
	flying *load  // being committed; nil when nothing is
	later  []*job // to run inside
}

// write computes until the store closes, and then what was queued by then.
func (s *Store) write(ctx context.Context, reader *conn) {
	defer reader.close()
	defer close(s.load)
	a := &ahead{s: s, ctx: ctx, reader: &look{conn: reader}, open: newLoad()}
	for {
		if len(s.queue)+len(s.landed) == 0 {
			a.reader.end(a.ctx)
		}
		queue := s.queue
		if len(a.open.jobs) >= maxBatch || len(a.later) > 0 {
			queue = nil
		}
		select {
		case j := <-queue:
			a.compute(j)
		case l := <-s.landed:
			a.land(l)
		case <-s.closing:
			a.finish()
			return
		}
		a.hand()
	}
}

// finish computes and hands on all that is there.
func (a *ahead) finish() {
	for a.hand(); a.flying != nil || len(a.open.jobs)+len(a.later)+len(a.s.queue) > 0; a.hand() {
		if a.flying != nil {
			a.land(<-a.s.landed)
		}
	}
}

// gather computes what waits, up to one that has to run inside: that one's
// turn comes when what was computed before is committed.
func (a *ahead) gather() {
	for len(a.open.jobs) < maxBatch && len(a.later) == 0 {
		select {
		case j := <-a.s.queue:
			a.compute(j)
		default:
			return
		}
	}
}

// hand gives what is computed to commit, if that is free.
func (a *ahead) hand() {
	if a.flying != nil {
		return
	}
	a.gather()
	switch {
	case len(a.open.jobs) > 0:
		a.flying, a.open = a.open, newLoad()
		a.s.load <- a.flying
	case len(a.later) > 0:
		a.inside(a.later)
		a.later = nil
	}
}

// inside has jobs run within their transaction, and waits: nobody may compute
// upon what they do before it is done.
func (a *ahead) inside(jobs []*job) {
	a.reader.end(a.ctx)
	a.s.load <- &load{jobs: jobs, inside: true}
	<-a.s.landed
}

// land takes back what was committed, or was not.
func (a *ahead) land(l *load) {
	a.flying = nil
	a.reader.end(a.ctx) // it may be older than what has landed
	if !l.unknown {
		return
	}
	a.s.keys.Forget()
	clear(a.s.recent)
	if l.unanswered {
		a.again(l)
	}
	a.again(a.open) // it rests on l
	a.open = newLoad()
}

// again has the jobs of a load run inside.
func (a *ahead) again(l *load) {
	for _, j := range l.jobs {
		j.tx.Undo()
		a.later = append(a.later, j)
	}
}

// compute runs the callback of one Update.
func (a *ahead) compute(j *job) {
	if j.err = j.ctx.Err(); j.err != nil {
		close(j.done)
		return
	}
	out := &putOff{}
	under := &rows.Ahead{Reader: a.reader, Open: a.open.flight(j.tenant)}
	if a.flying != nil {
		under.Flying = a.flying.flights[j.tenant]
	}
	j.tx = rows.Begin(a.ctx, rows.Config{DB: out, Keys: a.s.keys, Tenant: j.tenant, Now: now(), Recent: a.s.recentOf(j.tenant), Hopeful: true, Ahead: under})
	j.err = j.tx.Run(j.f)
	if j.tx.Later() {
		j.tx.Undo()
		a.later = append(a.later, j)
		return
	}
	// A refusal rests on what is not committed yet too, so it waits as well.
	a.open.jobs = append(a.open.jobs, j)
	if j.err != nil {
		j.tx.Undo()
		return
	}
	j.tx.Keep()
	a.open.todo = append(a.open.todo, out.todo...)
}

// putOff keeps statements for later. It implements rows.DB, and answers
// nothing.
type putOff struct {
	todo []statement
}

var errAsked = errors.New("sqlite store: only the transaction itself can answer")

// Exec implements rows.DB.
func (p *putOff) Exec(_ context.Context, want int64, query string, args ...any) error {
	p.todo = append(p.todo, statement{query, args, want})
	return nil
}

// Change implements rows.DB.
func (p *putOff) Change(context.Context, string, ...any) (int64, error) {
	return 0, errAsked
}

// Query implements rows.DB.
func (p *putOff) Query(context.Context, string, func(rows.Scanner) error, ...any) error {
	return errAsked
}

// Flush implements rows.DB.
func (p *putOff) Flush(context.Context) error { return nil }
