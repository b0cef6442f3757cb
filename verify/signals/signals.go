package signals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// The names of what may be asked for.
const (
	SimSwap     = "sim_swap"     // yes: the SIM or the port of the number changed lately
	Diversion   = "diversion"    // yes: calls to the number go elsewhere
	Forwarding  = "forwarding"   // the same, under the name that policies may use
	LineType    = "line_type"    // yes: bound to a SIM or a place
	Prepaid     = "prepaid"      // yes: nobody had to show papers for the number
	NumberMatch = "number_match" // yes: the number belongs to the person on file
	NameCheck   = "name_check"   // yes: the account belongs to the payee named
)

// Names lists them.
var Names = []string{SimSwap, Diversion, Forwarding, LineType, Prepaid, NumberMatch, NameCheck}

// Question is about one number on file, or about one account; never both. It
// holds what the record says, never what a caller says, but for the payee's
// name, which is what is being checked.
type Question struct {
	Number    ringfence.TN // E.164 digits; "" = about an account
	Landline  bool         // the number has no SIM
	FirstName string       // of whoever the number belongs to by the record; may be empty
	LastName  string
	Account   string // canonical; parts joined by a slash
	Payee     string // the name given to us
}

// Source is one service. Its methods may be called at once from many
// goroutines.
type Source interface {
	// Name says who it is, as provenance: "twilio lookup".
	Name() string
	// Answers lists the signals it may give about q; none = it is not asked.
	Answers(q Question) []string
	// Ask asks once, until ctx ends. It never returns what it does not know: an
	// error, a null or a doubt is a signal left out.
	Ask(ctx context.Context, q Question) []ringfence.Signal
}

// The bounds.
const (
	Timeout      = 2 * time.Second // of one source
	maxQuestions = 16
	maxDetail    = 64
)

// Config is what a Desk is made of.
type Config struct {
	Sources []Source
	// Timeout bounds each source; zero means the constant; at most 10 s.
	Timeout time.Duration
	// Keep is how long an answer serves again; zero means a minute; at most 5
	// minutes. An answer that says nothing serves for a tenth of it.
	Keep time.Duration
	// Kept bounds the answers that are kept; zero means 4,096.
	Kept int
	// PerMinute bounds what is asked of all sources together; zero means 600.
	// Above it everything is unknown.
	PerMinute int
	// Now is the time; nil = time.Now.
	Now func() time.Time
	// Told is called with each answer that a source gave or owed; nil = nobody
	// counts. It must not block.
	Told func(ringfence.Signal)
}

// Desk asks. It is safe for concurrent use.
type Desk struct {
	cfg   Config
	kept  *kept
	quota quota
}

// New returns a Desk, or says what of the configuration is wrong.
func New(c Config) (*Desk, error) {
	for _, f := range []struct {
		name            string
		have, std, most *time.Duration
	}{{"timeout", &c.Timeout, new(Timeout), new(10 * time.Second)}, {"keep", &c.Keep, new(time.Minute), new(5 * time.Minute)}} {
		if *f.have < 0 || *f.have > *f.most {
			return nil, fmt.Errorf("signals: %s: %v is not within 0 and %v", f.name, *f.have, *f.most)
		}
		if *f.have == 0 {
			*f.have = *f.std
		}
	}
	if c.Kept < 0 || c.PerMinute < 0 {
		return nil, errors.New("signals: a bound is negative")
	}
	if c.Kept == 0 {
		c.Kept = 4096
	}
	if c.PerMinute == 0 {
		c.PerMinute = 600
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Desk{cfg: c, kept: newKept(c.Kept), quota: quota{most: c.PerMinute}}, nil
}

// Ask answers each signal that a source could give about the questions, once,
// in the order of Names. A nil Desk knows nothing.
func (d *Desk) Ask(ctx context.Context, questions []Question) []ringfence.Signal {
	if d == nil || len(questions) == 0 {
		return nil
	}
	tooMany := len(questions) > maxQuestions // more than anybody has
	questions = questions[:min(len(questions), maxQuestions)]
	answers := make([][]ringfence.Signal, len(questions)*len(d.cfg.Sources))
	var wait sync.WaitGroup
	for i, q := range questions {
		for j, s := range d.cfg.Sources {
			if names := s.Answers(q); len(names) > 0 {
				wait.Go(func() { answers[i*len(d.cfg.Sources)+j] = d.one(ctx, s, q, names) })
			}
		}
	}
	wait.Wait()
	var out []ringfence.Signal
	for i := range questions {
		var about []ringfence.Signal
		for _, list := range answers[i*len(d.cfg.Sources) : (i+1)*len(d.cfg.Sources)] {
			for _, s := range list {
				about = add(about, s, better)
			}
		}
		for _, s := range about {
			out = add(out, s, worse)
		}
	}
	for i, s := range out {
		if tooMany && s.Value == ringfence.GoodSignal(s.Name) { // not all were asked about
			out[i].Value, out[i].Detail = ringfence.Unknown, "too many numbers"
		}
	}
	slices.SortFunc(out, func(a, b ringfence.Signal) int { return slices.Index(Names, a.Name) - slices.Index(Names, b.Name) })
	return out
}

// add puts s into a list that holds each name once.
func add(list []ringfence.Signal, s ringfence.Signal, join func(a, b ringfence.Signal) ringfence.Signal) []ringfence.Signal {
	if i := slices.IndexFunc(list, func(o ringfence.Signal) bool { return o.Name == s.Name }); i >= 0 {
		list[i] = join(list[i], s)
		return list
	}
	return append(list, s)
}

// better is for two sources asked the same: whoever knows is heard, and of two
// who know the bad sign.
func better(a, b ringfence.Signal) ringfence.Signal {
	switch {
	case b.Value == ringfence.Unknown:
		return a
	case a.Value == ringfence.Unknown:
		return b
	default:
		return worse(a, b)
	}
}

// worse is for two numbers: the bad sign wins, then not knowing. Of two alike
// the older is told.
func worse(a, b ringfence.Signal) ringfence.Signal {
	joined := ringfence.JoinSignals(a.Name, a.Value, b.Value)
	switch {
	case joined != a.Value, a.Value == b.Value && b.At.Before(a.At):
		return b
	default:
		return a
	}
}

func (d *Desk) told(s ringfence.Signal) {
	if d.cfg.Told != nil {
		d.cfg.Told(s)
	}
}
