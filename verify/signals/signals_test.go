package signals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

const yes, no, unknown = ringfence.Yes, ringfence.No, ringfence.Unknown

// fake is a source of one signal.
type fake struct {
	name, signal string
	say          func(q Question) ringfence.Tri
	wait         time.Duration // longer than the time-out: it never answers
	at           time.Duration // how long ago it found out
	asked        atomic.Int32
}

func (f *fake) Name() string { return f.name }

func (f *fake) Answers(Question) []string { return []string{f.signal} }

func (f *fake) Ask(ctx context.Context, q Question) []ringfence.Signal {
	f.asked.Add(1)
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(f.wait):
	}
	return []ringfence.Signal{{Name: f.signal, Value: f.say(q), At: time.Now().Add(-f.at), Source: "somebody else", Detail: "number 447700900123\nx"}}
}

func says(v ringfence.Tri) func(Question) ringfence.Tri {
	return func(Question) ringfence.Tri { return v }
}

func desk(t *testing.T, c Config) *Desk {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func number(tn ringfence.TN) []Question { return []Question{{Number: tn}} }

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"a long time-out": {Timeout: 11 * time.Second}, "a negative one": {Timeout: -1}, "an old answer": {Keep: 6 * time.Minute},
		"a negative bound": {Kept: -1}, "a negative cap": {PerMinute: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var nobody *Desk
	if got := nobody.Ask(t.Context(), number("1")); got != nil {
		t.Errorf("nobody says %v", got)
	}
}

// Over two numbers the bad sign wins, then not knowing; of two sources about
// one number whoever knows is heard, and of two who know the bad sign.
func TestJoin(t *testing.T) {
	of := func(list ...ringfence.Tri) func(Question) ringfence.Tri {
		return func(q Question) ringfence.Tri { return list[q.Number[0]-'1'] }
	}
	for _, c := range []struct {
		signal string
		a, b   []ringfence.Tri // of two sources about two numbers
		want   ringfence.Tri
	}{
		{SimSwap, []ringfence.Tri{no, no}, nil, no},
		{SimSwap, []ringfence.Tri{no, yes}, nil, yes},
		{SimSwap, []ringfence.Tri{yes, unknown}, nil, yes},
		{SimSwap, []ringfence.Tri{unknown, no}, nil, unknown},
		{SimSwap, []ringfence.Tri{unknown, no}, []ringfence.Tri{no, unknown}, no},
		{SimSwap, []ringfence.Tri{no, no}, []ringfence.Tri{no, yes}, yes},
		{SimSwap, []ringfence.Tri{yes, no}, []ringfence.Tri{no, no}, yes},
		{NameCheck, []ringfence.Tri{yes, no}, nil, no},
		{NameCheck, []ringfence.Tri{yes, unknown}, nil, unknown},
		{LineType, []ringfence.Tri{yes, yes}, []ringfence.Tri{no, unknown}, no},
		{NumberMatch, []ringfence.Tri{yes, yes}, []ringfence.Tri{unknown, unknown}, yes},
	} {
		sources := []Source{&fake{name: "a", signal: c.signal, say: of(c.a...)}}
		if c.b != nil {
			sources = append(sources, &fake{name: "b", signal: c.signal, say: of(c.b...)})
		}
		got := desk(t, Config{Sources: sources}).Ask(t.Context(), []Question{{Number: "1"}, {Number: "2"}})
		if len(got) != 1 || got[0].Value != c.want || got[0].Name != c.signal {
			t.Errorf("%s %v %v: have %v, want %v", c.signal, c.a, c.b, got, c.want)
		}
	}
}

// Each source has two seconds of its own, all at once; a silent one costs
// nobody else's answer.
func TestParallelAndTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := desk(t, Config{Sources: []Source{
			&fake{name: "slow", signal: SimSwap, say: says(no), wait: 1900 * time.Millisecond},
			&fake{name: "silent", signal: Diversion, say: says(no), wait: time.Hour},
			&fake{name: "quick", signal: LineType, say: says(yes), at: time.Minute},
		}})
		got := d.Ask(t.Context(), number("447700900123"))
		if took := time.Since(began); took != Timeout {
			t.Errorf("took %v", took)
		}
		if len(got) != 3 || got[0].Value != no || got[1].Value != unknown || got[2].Value != yes {
			t.Fatal(got)
		}
		if got[2].At != began.Add(-time.Minute) || got[2].Source != "quick" {
			t.Errorf("provenance %+v", got[2])
		}
		for _, s := range got {
			if strings.Contains(s.Detail, "447700") || strings.Contains(s.Detail, "\n") {
				t.Errorf("detail %q", s.Detail)
			}
		}
	})
}

// Answers serve for a minute, what nobody knew for six seconds; nothing serves
// for ever, and no more are kept than the bound.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		know, shrug := &fake{name: "a", signal: SimSwap, say: says(no)}, &fake{name: "b", signal: Diversion, say: says(unknown)}
		d := desk(t, Config{Sources: []Source{know, shrug}, Kept: 8})
		ask := func() { d.Ask(t.Context(), number("447700900123")) }
		count := func(a, b int32) {
			t.Helper()
			if know.asked.Load() != a || shrug.asked.Load() != b {
				t.Errorf("asked %d and %d times, want %d and %d", know.asked.Load(), shrug.asked.Load(), a, b)
			}
		}
		ask()
		ask()
		count(1, 1)
		time.Sleep(7 * time.Second)
		ask()
		count(1, 2)
		time.Sleep(time.Minute)
		ask()
		count(2, 3)
		for i := range 100 {
			d.Ask(t.Context(), number(ringfence.TN(fmt.Sprint(44770090000+i))))
		}
		if n := len(d.kept.all); n > 8 || len(d.kept.order) != n {
			t.Errorf("%d are kept, %d in order", n, len(d.kept.order))
		}
	})
}

// Many who ask at once are one request; whoever goes away spoils nothing.
func TestOneRequestForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "a", signal: SimSwap, say: says(no), wait: time.Second}
		d := desk(t, Config{Sources: []Source{f}})
		gone, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { d.Ask(gone, number("447700900123")) })
		synctest.Wait()
		leave()
		for range 50 {
			wait.Go(func() {
				if got := d.Ask(t.Context(), number("447700900123")); len(got) != 1 || got[0].Value != no {
					t.Error(got)
				}
			})
		}
		wait.Wait()
		if n := f.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Above the cap, and for what is more than anybody has, nothing is known.
func TestBounds(t *testing.T) {
	f := &fake{name: "a", signal: SimSwap, say: says(no)}
	now := time.Now()
	d := desk(t, Config{Sources: []Source{f}, PerMinute: 20, Now: func() time.Time { return now }})
	var many []Question
	for i := range 17 {
		many = append(many, Question{Number: ringfence.TN(fmt.Sprint(44770090000 + i))})
	}
	if got := d.Ask(t.Context(), many[:16]); got[0].Value != no {
		t.Errorf("sixteen: %v", got)
	}
	if got := d.Ask(t.Context(), many); got[0].Value != unknown {
		t.Errorf("seventeen: %v", got)
	}
	for i := range 4 {
		d.Ask(t.Context(), number(ringfence.TN(fmt.Sprint(1000000+i))))
	}
	if got := d.Ask(t.Context(), number("2000000")); got[0].Value != unknown || got[0].Detail != "cap" {
		t.Errorf("above the cap: %v", got)
	}
	now = now.Add(time.Minute)
	if got := d.Ask(t.Context(), number("2000000")); got[0].Value != no {
		t.Errorf("a minute later: %v", got)
	}
}

// What a source says unasked, twice, in other words or in time to come does no
// good.
func TestChecked(t *testing.T) {
	d := desk(t, Config{})
	f := &fake{name: "a"}
	got := d.checked(f, []string{SimSwap, NameCheck, LineType}, []ringfence.Signal{
		{Name: SimSwap, Value: no}, {Name: SimSwap, Value: yes}, {Name: "pin", Value: yes}, {Name: NameCheck, Value: 200},
		{Name: LineType, Value: yes, At: time.Now().Add(time.Hour)},
	})
	if got[0].Value != yes || got[1].Value != unknown || got[2].Value != yes || got[2].At.After(time.Now()) {
		t.Error(got)
	}
	if slices.ContainsFunc(got, func(s ringfence.Signal) bool { return s.Source != "a" || s.At.IsZero() || s.Name == "pin" }) {
		t.Error(got)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("type mobile")
	f.Add("+44 7700900123 \x1b[2J")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		if len([]rune(got)) > maxDetail || strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Errorf("%q", got)
		}
		run := 0
		for _, r := range got {
			if r < '0' || r > '9' {
				run = 0
			} else if run++; run > 4 {
				t.Errorf("%q holds a number", got)
			}
		}
	})
}
