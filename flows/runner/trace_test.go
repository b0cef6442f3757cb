package runner

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// replays checks, after every test, that each call is kept with nothing of its
// values, that playing it again takes the same way, and that a shadow of the
// same scripts never differed.
func (w *world) replays(began map[ringfence.TraversalID]int) {
	w.t.Helper()
	for id := range began {
		rec, err := ReadRecording(context.Background(), w.Store, ten, id)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // no flow ran
		}
		if err != nil {
			w.t.Error(err)
			continue
		}
		raw, _ := json.Marshal(rec)
		for _, secret := range []string{account, pinOK, totpOK, string(mobile), "55556666", "739164", "Ann", balance} {
			if verifytest.Stands(raw, secret) {
				w.t.Errorf("%s stands in the recording: %s", secret, raw)
			}
		}
		for _, run := range rec.Runs {
			if w.bundle == nil || run.Bundle != w.bundle.HashText() || faulty(run) {
				continue
			}
			got, err := flows.Replay(w.bundle, run)
			if err != nil || got.Result != flows.FollowedSame && !left(run) {
				w.t.Errorf("%s played again: %s %v %v\n%s", run.Flow, got.Result, got.Differences, err, raw)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.followed {
		if w.bundle == shipped() && w.shadow == nil && f.Result != flows.FollowedSame && f.Result != flows.FollowedUnknown {
			w.t.Errorf("a shadow of the same scripts: %s %s %v", f.Flow, f.Result, f.Differences)
		}
	}
}

// faulty: a line could not be performed, which nobody asked.
func faulty(run flows.Trace) bool {
	for _, s := range run.Steps {
		if s.Verb == "say" && s.Way != "ok" {
			return true
		}
	}
	return false
}

// left: the process or the telephone ended the run where it stood.
func left(run flows.Trace) bool {
	n := len(run.Steps)
	return n == 0 || run.Steps[n-1].Verb != "hangup" && run.Steps[n-1].Verb != "return" && run.Steps[n-1].Way != "hangs_up"
}

// wrongPIN is a call that ends after three wrong PINs.
func wrongPIN(w *world) ringfence.TraversalID {
	l := w.call("customer-line")
	identified(l, account)
	id := w.live().Traversal
	for i := range 3 {
		l.keys("000000#")
		if i < 2 {
			l.hears("not right")
			l.hears("telephone PIN")
		}
	}
	l.hears("could not confirm")
	l.gone()
	w.ended()
	return id
}

func TestShadowTellsWhatIsOtherwise(t *testing.T) {
	inWorld(t, func(w *world) {
		raw, err := fs.ReadFile(scripts.FS, "customer-line.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("Please enter your eight digit customer number.", "Now your number, please.", "translations: [de]\n", "").Replace(string(raw))
		w.shadow = compile(scripts.FS, map[string]string{"customer-line.yaml": text})
		wrongPIN(w)
		if len(w.followed) != 1 || w.followed[0].Result != flows.FollowedWords || len(w.followed[0].Differences) != 1 ||
			!strings.Contains(w.followed[0].Differences[0].String(), "Now your number, please.") {
			t.Errorf("have %+v, want one difference in words", w.followed)
		}
	})
}

func TestReplayIsWrittenDown(t *testing.T) {
	inWorld(t, func(w *world) {
		id := wrongPIN(w)
		ctx := context.Background()
		for name, ask := range map[string]func() error{
			"by nobody": func() error { _, err := ReplayRecording(ctx, w.Store, ten, "", id, shipped()); return err },
			"no draft":  func() error { _, err := ReplayRecording(ctx, w.Store, ten, ada, id, nil); return err },
			"no call":   func() error { _, err := ReplayRecording(ctx, w.Store, ten, ada, "trv_none", shipped()); return err },
		} {
			if ask() == nil {
				t.Errorf("%s: it was played", name)
			}
		}
		if n := count(w.steps(), "replay.run"); n != 0 {
			t.Errorf("%d replay.run after refusals, want none", n)
		}
		runs, err := ReplayRecording(ctx, w.Store, ten, ada, id, shipped())
		if err != nil || len(runs) != 1 || runs[0].Result != flows.FollowedSame || len(runs[0].Steps) == 0 {
			t.Errorf("have %+v, %v", runs, err)
		}
		if n := count(w.steps(), "replay.run"); n != 1 {
			t.Errorf("%d replay.run, want 1", n)
		}
		all, err := Recordings(ctx, w.Store, ten)
		if err != nil || len(all) != 1 || all[0].Traversal != id {
			t.Errorf("have %+v, %v, want the one call", all, err)
		}
	})
}

func TestOldRecordingsGo(t *testing.T) {
	inWorld(t, func(w *world) {
		first := wrongPIN(w)
		<-time.After(traceLife + time.Hour)
		w.open() // Drain stopped the first
		second := wrongPIN(w)
		if _, err := ReadRecording(context.Background(), w.Store, ten, first); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("the old recording: %v, want none", err)
		}
		if _, err := ReadRecording(context.Background(), w.Store, ten, second); err != nil {
			t.Errorf("the new recording: %v", err)
		}
	})
}

// A recording that panics ends itself and not the call.
func TestRecordingNeverHurtsTheCall(t *testing.T) {
	inWorld(t, func(w *world) {
		w.shadow = new(flows.Bundle) // not one that any loader makes
		wrongPIN(w)
		if len(w.log.find("a recording panicked")) == 0 && len(w.followed) == 0 {
			t.Error("the shadow neither failed nor told anything")
		}
	})
}

// A call that a restart interrupted is recorded as one.
func TestRecordingSurvivesARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.phones[string(mobile)] = "silent"
		told := hungUp(w)
		w.placed().gone()
		id := w.live().Traversal
		restart(w)
		w.phones[string(mobile)] = "answers"
		if err := w.r.Resume(context.Background(), ten, func(name string) (Line, bool) { l, ok := w.lines[name]; return l, ok }); err != nil {
			t.Fatal(err)
		}
		finish(w, w.placed(), told)
		rec, err := ReadRecording(context.Background(), w.Store, ten, id)
		if err != nil || len(rec.Runs) != 1 {
			t.Fatalf("have %d runs, %v, want one", len(rec.Runs), err)
		}
		if s := rec.Runs[0].Steps; s[0].Flow != "customer-line" || s[len(s)-1].Flow != "callback-bank-change" {
			t.Errorf("have %+v, want the whole call", s)
		}
	})
}
