package web

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Bounds of the charts.
const (
	chartLife  = 31 * 24 * time.Hour    // how far back they look
	chartPause = 2 * time.Second        // an answer may be that old
	chartBurst = 100 * time.Millisecond // reading in one request; the next goes on
	maxOpen    = 20_000                 // challenges whose end is awaited
	bins       = 48                     // of durations; the last begins at about 10 h
	binGrowth  = 1.25
)

type (
	// charts count what the log tells, tenant by tenant. The log only grows, so
	// each entry is read once. The zero value is ready.
	charts struct {
		mu  sync.Mutex
		all map[ringfence.TenantID]*chart // guarded by mu
	}
	chart struct {
		mu    sync.Mutex
		first int64 // of those that are young enough
		next  int64 // first entry that was not read
		size  int64
		read  time.Time
		hours map[int64]*chartHour // by Unix hour
		open  map[ringfence.ChallengeID]time.Time
	}
	chartHour struct {
		calls, released, held, stopped int
		attest                         map[string]int
		methods                        map[string]*methodCount
	}
	methodCount struct {
		asked, proved, failed, silent, refused, down int
		took                                         [bins]int
	}
)

type (
	chartsIn struct {
		Span string `query:"span" enum:"day,week,month" default:"day"`
	}
	chartsOut struct {
		Body chartsBody
	}
	chartsBody struct {
		Since   time.Time     `json:"since"`
		Step    string        `json:"step" enum:"hour,day" doc:"of a point; days are those of the policy's time zone"`
		Points  []chartPoint  `json:"points"`
		Attest  []attestCount `json:"attest"`
		Methods []methodView  `json:"methods"`
		Read    float64       `json:"read" doc:"share of the log of that time that was read: below 1, ask again"`
	}
	chartPoint struct {
		At       time.Time `json:"at"`
		Calls    int       `json:"calls"`
		Released int       `json:"released"`
		Held     int       `json:"held"`
		Stopped  int       `json:"stopped" doc:"denied, invalidated, or refused by the person"`
	}
	attestCount struct {
		Letter string `json:"letter" enum:"A,B,C,none,failed"`
		Calls  int    `json:"calls"`
	}
	methodView struct {
		Method  string  `json:"method"`
		Asked   int     `json:"asked"`
		Proved  int     `json:"proved"`
		Failed  int     `json:"failed" doc:"wrong answers to the end"`
		Silent  int     `json:"silent" doc:"no answer in time, or given up"`
		Refused int     `json:"refused" doc:"the person did not ask for this"`
		Down    int     `json:"down" doc:"could not be sent, or was diverted"`
		Median  float64 `json:"median_s" doc:"from asking to proof, half took at most so long; 0 = none was proved"`
		Slow    float64 `json:"p90_s" doc:"nine of ten took at most so long"`
	}
)

func (s *Server) chartAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/board/charts", Summary: "Holds, releases, stopped attempts, signatures and methods over time"},
		func(ctx context.Context, in *chartsIn) (*chartsOut, error) {
			tenant, zone := who(ctx).tenant, time.UTC
			if current := s.cfg.Policies.Current(tenant); current != nil {
				zone = current.Timezone()
			}
			c := s.charts.of(tenant)
			c.mu.Lock()
			defer c.mu.Unlock()
			now, err := c.catchUp(ctx, s.cfg.Store, tenant)
			if err != nil {
				return nil, err
			}
			return &chartsOut{Body: c.view(in.Span, now.In(zone))}, nil
		})
}

func (cs *charts) of(tenant ringfence.TenantID) *chart {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all = map[ringfence.TenantID]*chart{}
	}
	if cs.all[tenant] == nil {
		cs.all[tenant] = &chart{next: -1}
	}
	return cs.all[tenant]
}

// catchUp reads what the log has grown by, for a while.
func (c *chart) catchUp(ctx context.Context, store ledger.Store, tenant ringfence.TenantID) (now time.Time, err error) {
	if done := c.next >= c.size && c.next >= 0; done && time.Since(c.read) < chartPause {
		return time.Now(), nil
	}
	for began := time.Now(); ; {
		err = store.View(ctx, tenant, func(tx ledger.Tx) error {
			now = tx.Now()
			size, err := tx.Size(ctx)
			if err != nil {
				return err
			}
			if c.next < 0 || size < c.size {
				if err := c.begin(ctx, tx, size, now.Add(-chartLife)); err != nil {
					return err
				}
			}
			c.size = size
			entries, err := tx.Entries(ctx, ledger.EntryQuery{From: c.next, Limit: ledger.MaxPage})
			if err != nil {
				return err
			}
			for _, e := range entries {
				c.take(e)
				c.next = e.Index + 1
			}
			return nil
		})
		if err != nil || c.next >= c.size || time.Since(began) > chartBurst {
			break
		}
	}
	c.read = time.Now()
	old := now.Add(-chartLife).Unix() / 3600
	maps.DeleteFunc(c.hours, func(hour int64, _ *chartHour) bool { return hour < old })
	return now, err
}

// begin looks for the first entry that is young enough.
func (c *chart) begin(ctx context.Context, tx ledger.Tx, size int64, since time.Time) error {
	c.hours, c.open = map[int64]*chartHour{}, map[ringfence.ChallengeID]time.Time{}
	low, high := int64(0), size
	for low < high {
		at := (low + high) / 2
		one, err := tx.Entries(ctx, ledger.EntryQuery{From: at, Limit: 1})
		if err != nil {
			return err
		}
		if len(one) == 1 && one[0].At.Before(since) {
			low = at + 1
		} else {
			high = at
		}
	}
	c.first, c.next = low, low
	return nil
}

// take counts one entry.
func (c *chart) take(e ledger.Entry) {
	hour := e.At.Unix() / 3600
	h := c.hours[hour]
	if h == nil {
		h = &chartHour{attest: map[string]int{}, methods: map[string]*methodCount{}}
		c.hours[hour] = h
	}
	switch e.Event {
	case "traversal.began":
		h.calls++
	case "release.executed":
		h.released++
	case "release.held":
		h.held++
	case "release.denied", "release.invalidated":
		h.stopped++
	case "stir.verified":
		h.attest[letterOf(e.Data)]++
	}
	if m := e.Data["method"]; m != "" && e.Challenge != "" {
		c.method(h, m, e)
	}
}

func letterOf(data map[string]string) string {
	switch {
	case data["valid"] == ringfence.No.String():
		return "failed"
	case data["valid"] != ringfence.Yes.String() || data["attest"] == "":
		return "none"
	}
	return data["attest"]
}

// method counts what became of one challenge, in the hour in which it ended.
func (c *chart) method(h *chartHour, name string, e ledger.Entry) {
	m := h.methods[name]
	if m == nil {
		m = &methodCount{}
		h.methods[name] = m
	}
	began, known := c.open[e.Challenge]
	switch e.Event {
	case "challenge.created":
		m.asked++
		if len(c.open) < maxOpen {
			c.open[e.Challenge] = e.At
		}
		return
	case "challenge.satisfied":
		m.proved++
		if known {
			m.took[binOf(e.At.Sub(began))]++
		}
	case "challenge.failed":
		m.failed++
	case "challenge.expired", "challenge.cancelled", "challenge.superseded":
		m.silent++
	case "challenge.rejected":
		m.refused++
		h.stopped++
	case "challenge.undeliverable", "challenge.diverted":
		m.down++
	default:
		return
	}
	delete(c.open, e.Challenge)
}

// binOf is the bin of a duration: bin n holds what took at most binGrowth^n
// seconds.
func binOf(d time.Duration) int {
	if d <= time.Second {
		return 0
	}
	return min(bins-1, int(math.Ceil(math.Log(d.Seconds())/math.Log(binGrowth))))
}

// within is the time within which a share of the durations lies, in seconds.
func within(took [bins]int, share float64) float64 {
	all := 0
	for _, n := range took {
		all += n
	}
	if all == 0 {
		return 0
	}
	seen := 0
	for i, n := range took {
		if seen += n; float64(seen) >= share*float64(all) {
			return math.Round(math.Pow(binGrowth, float64(i)))
		}
	}
	return 0
}

// view sums up a span of time that ends now.
func (c *chart) view(span string, now time.Time) chartsBody {
	y, mo, d := now.Date()
	begin := func(i int) time.Time { return time.Date(y, mo, d+i, 0, 0, 0, 0, now.Location()) }
	out, steps := chartsBody{Step: "day", Points: []chartPoint{}, Attest: []attestCount{}, Methods: []methodView{}, Read: 1}, 7
	switch span {
	case "day":
		out.Step, steps = "hour", 24
		last := now.Truncate(time.Hour)
		begin = func(i int) time.Time { return last.Add(time.Duration(i) * time.Hour) }
	case "month":
		steps = 30
	}
	if all := c.size - c.first; all > 0 {
		out.Read = float64(c.next-c.first) / float64(all)
	}
	out.Since = begin(1 - steps).UTC()
	attest, methods := map[string]int{}, map[string]*methodCount{}
	for i := 1 - steps; i <= 0; i++ {
		p := chartPoint{At: begin(i).UTC()}
		for hour := begin(i).Unix() / 3600; hour < begin(i+1).Unix()/3600; hour++ {
			if h := c.hours[hour]; h != nil {
				h.addTo(&p, attest, methods)
			}
		}
		out.Points = append(out.Points, p)
	}
	for _, letter := range [...]string{"A", "B", "C", "none", "failed"} {
		out.Attest = append(out.Attest, attestCount{letter, attest[letter]})
	}
	for name, m := range methods {
		out.Methods = append(out.Methods, methodView{Method: name, Asked: m.asked, Proved: m.proved, Failed: m.failed, Silent: m.silent,
			Refused: m.refused, Down: m.down, Median: within(m.took, 0.5), Slow: within(m.took, 0.9)})
	}
	slices.SortFunc(out.Methods, func(a, b methodView) int {
		return cmp.Or(cmp.Compare(b.Asked, a.Asked), cmp.Compare(a.Method, b.Method))
	})
	return out
}

func (h *chartHour) addTo(p *chartPoint, attest map[string]int, methods map[string]*methodCount) {
	p.Calls, p.Released, p.Held, p.Stopped = p.Calls+h.calls, p.Released+h.released, p.Held+h.held, p.Stopped+h.stopped
	for letter, n := range h.attest {
		attest[letter] += n
	}
	for name, m := range h.methods {
		sum := methods[name]
		if sum == nil {
			sum = &methodCount{}
			methods[name] = sum
		}
		sum.asked, sum.proved, sum.failed, sum.silent = sum.asked+m.asked, sum.proved+m.proved, sum.failed+m.failed, sum.silent+m.silent
		sum.refused, sum.down = sum.refused+m.refused, sum.down+m.down
		for i, n := range m.took {
			sum.took[i] += n
		}
	}
}
