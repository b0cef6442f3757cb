package b2bua

import (
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pressed is an intake whose process is as late as the test says.
func pressed(most int) (i *intake, run, work *atomic.Int64) {
	run, work = new(atomic.Int64), new(atomic.Int64)
	i = newIntake(most, func() time.Duration { return time.Duration(work.Load()) })
	i.run = func() time.Duration { return time.Duration(run.Load()) }
	return i, run, work
}

// fill starts set-ups until one is refused and returns how many were taken.
func fill(i *intake, prefix string) int {
	for n := 0; ; n++ {
		if ok, _ := i.take(prefix+strconv.Itoa(n), time.Now()); !ok {
			return n
		}
	}
}

func TestIntakeRefusesPastItsBound(t *testing.T) {
	i, _, _ := pressed(40)
	if n := fill(i, "a"); n != 40 {
		t.Errorf("%d set-ups at once, want 40", n)
	}
	if i.room() {
		t.Error("a full intake has room")
	}
	if ok, known := i.take("a3", time.Now()); !ok || !known {
		t.Errorf("a copy of what is being set up: %v, known %v", ok, known)
	}
	i.done("a3")
	if ok, _ := i.take("a40", time.Now()); ok {
		t.Error("a copy of a refused INVITE is taken: its caller has given up")
	}
	if ok, _ := i.take("b", time.Now().Add(refusalTime+time.Second)); !ok {
		t.Error("an end makes no room")
	}
	if got := i.shed.Load(); got != 1 {
		t.Errorf("%d counted as refused, want 1", got)
	}
}

// TestIntakeForgetsWhatWaits: what waits for somebody else holds no place, and a
// set-up that nobody ended holds none for ever.
func TestIntakeForgetsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, _, _ := pressed(40)
		fill(i, "a")
		time.Sleep(setupTime)
		if i.adjust(time.Now()); i.room() {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Millisecond)
		if i.adjust(time.Now()); fill(i, "b") != 40 {
			t.Error("what takes long holds its place")
		}
	})
}

// TestIntakeFollowsLateness: the bound falls while the process is late, never
// below what a slow machine needs, and comes back.
func TestIntakeFollowsLateness(t *testing.T) {
	for name, late := range map[string]func(run, work *atomic.Int64, on bool){
		"processor": func(run, _ *atomic.Int64, on bool) { run.Store(lateWhen(on, lateRun)) },
		"store":     func(_, work *atomic.Int64, on bool) { work.Store(lateWhen(on, lateWork)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, run, work := pressed(400)
				stop := make(chan struct{})
				done := make(chan struct{})
				go func() { defer close(done); i.watch(stop) }()
				late(run, work, false)
				time.Sleep(time.Second + intakeStep/2) // between two steps
				if got := i.bound(); got != 400 {
					t.Errorf("not late: %d at once, want 400", got)
				}
				late(run, work, true)
				time.Sleep(2 * intakeStep)
				if got := i.bound(); got != 400*2/3*2/3 {
					t.Errorf("two steps late: %d at once, want %d", got, 400*2/3*2/3)
				}
				time.Sleep(time.Minute)
				if got := fill(i, "a"); got != leastSetups {
					t.Errorf("late for long: %d at once, want %d", got, leastSetups)
				}
				late(run, work, false)
				time.Sleep(10 * time.Second)
				if got := i.bound(); got < 200 {
					t.Errorf("not late any more: %d at once, want half of 400", got)
				}
				close(stop)
				<-done
			})
		})
	}
}

func lateWhen(on bool, limit time.Duration) int64 {
	if on {
		return int64(limit) + 1
	}
	return int64(limit)
}

func TestQuantile(t *testing.T) {
	buckets := []float64{0, .001, .002, .004, .008}
	for _, c := range []struct {
		counts []uint64
		want   time.Duration
	}{
		{[]uint64{0, 0, 0, 0}, 0},
		{[]uint64{9, 0, 0, 1}, 0},
		{[]uint64{8, 0, 0, 2}, 4 * time.Millisecond},
		{[]uint64{0, 10, 0, 0}, time.Millisecond},
	} {
		if got := quantile(c.counts, buckets, 9, 10); got != c.want {
			t.Errorf("%v: %v, want %v", c.counts, got, c.want)
		}
	}
}

// TestRunDelayIsReal: the runtime tells what the bound follows.
func TestRunDelayIsReal(t *testing.T) {
	ask := runDelay()
	ask()
	if d := ask(); d < 0 || d > time.Hour {
		t.Errorf("%v", d)
	}
}

// TestFullIntakeIsToldBeforehand: the fence refuses what there is no room for,
// and OPTIONS says so.
func TestFullIntakeIsToldBeforehand(t *testing.T) {
	u, err := New(Config{Listeners: []Listener{{Name: "main", Transport: "udp", Addr: "127.0.0.1:0"}},
		Trunks: []Trunk{{Name: "loop", Addrs: []string{"127.0.0.1"}}}, Limits: Limits{Setups: 1, CallRate: 2}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	u.started = true
	trunk := &u.cfg.Trunks[0]
	admits := func(key string) (ok, known bool) {
		err, known := u.admits(trunk, invited{key: key, from: trunkAddr.Addr(), called: "1"})
		return err == nil, known
	}
	if ok, known := admits("a"); !ok || known {
		t.Fatalf("the first call: %v, known %v", ok, known)
	}
	if ok, known := admits("a"); !ok || !known {
		t.Errorf("its copy: %v, known %v", ok, known)
	}
	if ok, _ := admits("b"); ok || u.available(trunk, trunkAddr.Addr()) {
		t.Error("a second call is taken, or said to be")
	}
	u.intake.done("a")
	if ok, _ := admits("c"); !ok {
		t.Error("no room after the first")
	}
	u.intake.done("c")
	u.attempts["old"], u.attempts["new"] = &attempt{until: time.Now().Add(-time.Second)}, &attempt{until: time.Now().Add(time.Minute)}
	if ok, known := admits("new"); !ok || !known {
		t.Errorf("a copy of a call that just ended: %v, known %v", ok, known)
	}
	if ok, known := admits("old"); ok || known {
		t.Errorf("an INVITE like one long ago passes the rate: %v, known %v", ok, known)
	}
	if ok, _ := admits("d"); ok || !u.intake.room() {
		t.Error("past the rate: taken, or a place is kept for it")
	}
}
