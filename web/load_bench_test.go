package web

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
)

// The load of the design: 200 live calls and 50 consoles of supervisors, who
// see every one of them, over real HTTP on loopback.
const (
	loadCalls    = 200
	loadConsoles = 50
)

// crowd makes the calls of the load.
func crowd(calls *fakeCalls) {
	for i := range loadCalls {
		id := loadCall(i)
		calls.change(id, func(c *ringfence.LiveCall) { northwind("per_x")(c); c.Traversal = id })
	}
}

func loadCall(i int) ringfence.TraversalID {
	return ringfence.TraversalID(fmt.Sprintf("trv_%026d", i%loadCalls))
}

// consoleEnd is one console at the other end of a connection. It reads the stream
// as a browser does and tells when a marked change has arrived whole.
type consoleEnd struct {
	ready   chan struct{}
	arrived chan time.Time
}

func (rd *consoleEnd) read(ctx context.Context, b *testing.B, client *http.Client, origin string, cookie *http.Cookie) {
	req, _ := http.NewRequestWithContext(ctx, "GET", origin+"/v1/events", nil)
	req.AddCookie(cookie)
	res, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "event: ready":
			rd.ready <- struct{}{}
		case strings.Contains(line, `"playing":"mark`):
			rd.arrived <- time.Now()
		}
	}
}

// atLoad starts the consoles and returns the desktop, its origin, and a channel
// on which each console tells when it was sent a marked change.
func atLoad(b *testing.B) (*desktop, string, <-chan time.Time) {
	b.Helper()
	d := newDesktop(b)
	crowd(d.calls)
	boss := d.person("Grace", ringfence.RoleSupervisor)
	origin := serve(b, d.Staff())
	rd := &consoleEnd{ready: make(chan struct{}, loadConsoles), arrived: make(chan time.Time, 1<<16)}
	client := &http.Client{Transport: &http.Transport{}}
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(b.Context())
	b.Cleanup(func() { stop(); all.Wait() })
	for range loadConsoles {
		cookie := d.signIn(boss)
		all.Go(func() { rd.read(ctx, b, client, origin, cookie) })
	}
	for range loadConsoles {
		<-rd.ready
	}
	return d, origin, rd.arrived
}

// BenchmarkEventToConsole changes one of the calls and waits until every
// console has read it. It reports how long the slowest console of each change
// took.
func BenchmarkEventToConsole(b *testing.B) {
	d, _, arrived := atLoad(b)
	var slowest []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		d.calls.change(loadCall(i), func(c *ringfence.LiveCall) { c.Playing = fmt.Sprintf("mark %d", i) })
		var last time.Time
		for range loadConsoles {
			last = <-arrived
		}
		slowest = append(slowest, last.Sub(began))
	}
	percentiles(b, slowest)
}

// watchMarks notes in the page how many milliseconds after its making each
// mark stood in the page, a frame having been drawn.
const watchMarks = `window.took = []; window.last = "";
new MutationObserver(() => {
	const mark = /mark (\d+)/.exec(document.querySelector(".running")?.textContent ?? "")?.[1];
	if (!mark || mark === last) return;
	last = mark;
	requestAnimationFrame(() => { took.push(performance.timeOrigin + performance.now() - mark / 1000); });
}).observe(document.body, {subtree: true, childList: true, characterData: true});undefined`

// BenchmarkEventToScreen does the same with a console more, in Chromium: of ten
// calls that change at once one is on its screen. It reports how long that took
// to be drawn.
func BenchmarkEventToScreen(b *testing.B) {
	d, origin, _ := atLoad(b)
	ada := d.person("Ada", ringfence.RoleSupervisor)
	tab := open(b, origin)
	tab.with(d.signIn(ada))
	d.calls.change(loadCall(0), func(c *ringfence.LiveCall) { c.Owner, c.State = ada.ID, "step_up" })
	tab.visit("/console")
	tab.see("You and the caller do not hear each other")
	js[chromedp.Void](tab, watchMarks)
	n := 0
	for ; b.Loop(); n++ {
		for i := range 9 {
			d.calls.change(loadCall(1+(9*n+i)%(loadCalls-1)), func(c *ringfence.LiveCall) { c.Playing = "something else" })
		}
		d.calls.change(loadCall(0), func(c *ringfence.LiveCall) { c.Playing = fmt.Sprintf("mark %d", time.Now().UnixMicro()) })
		tab.until(fmt.Sprintf("took.length > %d", n), "the change never came to the screen")
	}
	var took []time.Duration
	for _, ms := range js[[]float64](tab, "took") {
		took = append(took, time.Duration(ms*float64(time.Millisecond)))
	}
	percentiles(b, took)
}

func percentiles(b *testing.B, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	for _, p := range []int{50, 95, 99} {
		b.ReportMetric(float64(all[(len(all)-1)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}
