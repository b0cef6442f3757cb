package signals

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/ringfence/ringfence"
)

// one asks a source about a question, or hears what it said a moment ago. It
// returns each of names exactly once.
func (d *Desk) one(ctx context.Context, s Source, q Question, names []string) []ringfence.Signal {
	e, ours := d.kept.entry(keyOf(s, q), d.cfg.Now())
	if !ours {
		select {
		case <-e.ready:
			return e.answers
		case <-ctx.Done():
			return d.unknown(s, names, "no answer")
		}
	}
	var out []ringfence.Signal
	if d.quota.spend(d.cfg.Now()) {
		// Whoever asked first may go away; others wait for the same answer.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Timeout)
		out = d.checked(s, names, s.Ask(ctx, q))
		stop()
	} else {
		out = d.unknown(s, names, "cap")
	}
	life := d.cfg.Keep
	if slices.ContainsFunc(out, func(s ringfence.Signal) bool { return s.Value == ringfence.Unknown }) {
		life /= 10
	}
	d.kept.settle(e, out, d.cfg.Now().Add(life))
	for _, s := range out {
		d.told(s)
	}
	return out
}

// checked keeps of an answer what was asked for, once each, in our words.
func (d *Desk) checked(s Source, names []string, answers []ringfence.Signal) []ringfence.Signal {
	out := d.unknown(s, names, "not said")
	now := d.cfg.Now()
	for _, a := range answers {
		i := slices.Index(names, a.Name)
		if i < 0 || a.Value > ringfence.No {
			continue
		}
		if a.At.IsZero() || a.At.After(now) {
			a.At = now
		}
		a.Source, a.Detail = s.Name(), plain(a.Detail)
		if out[i].Detail == "not said" {
			out[i] = a
		} else {
			out[i] = worse(out[i], a) // said twice: not the better one
		}
	}
	return out
}

func (d *Desk) unknown(s Source, names []string, why string) []ringfence.Signal {
	out := make([]ringfence.Signal, len(names))
	for i, n := range names {
		out[i] = ringfence.Signal{Name: n, Source: s.Name(), Detail: why, At: d.cfg.Now()}
	}
	return out
}

// plain keeps a stranger's remark on one short line without digits in a row
// that could be a number or a code.
func plain(s string) string {
	run := 0
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		if run++; r < '0' || r > '9' {
			run = 0
		}
		if run > 4 {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxDetail {
		s = string(r[:maxDetail])
	}
	return s
}

// quota counts what is asked within the minute.
type quota struct {
	mu    sync.Mutex
	most  int
	spent int       // guarded by mu
	since time.Time // guarded by mu
}

func (q *quota) spend(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.since) >= time.Minute || now.Before(q.since) {
		q.since, q.spent = now, 0
	}
	if q.spent >= q.most {
		return false
	}
	q.spent++
	return true
}
