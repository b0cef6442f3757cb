package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

const (
	ten = ringfence.DefaultTenant
	ada = ringfence.PersonID("per_ada")
	ben = ringfence.PersonID("per_ben")
)

// boxKeys wraps keys under a box, as cmd does.
type boxKeys struct{ box *seal.Box }

func row(tenant ringfence.TenantID, id string) seal.Row {
	return seal.Row{Tenant: string(tenant), Kind: "recording", ID: id, Version: 1}
}

func (k boxKeys) New(_ context.Context, tenant ringfence.TenantID, id string) ([]byte, Cipher, error) {
	wrapped, s, err := k.box.NewStream(row(tenant, id))
	return wrapped, s, err
}

func (k boxKeys) Open(_ context.Context, tenant ringfence.TenantID, id string, wrapped []byte) (Cipher, error) {
	return k.box.OpenStream(wrapped, row(tenant, id))
}

// feed is a tap that a test fills. As with a tap, what comes after its end is
// dropped.
type feed struct {
	ch chan rtp.Frame

	mu     sync.Mutex // guards closed, and sends on ch
	closed bool
}

func newFeed() *feed                     { return &feed{ch: make(chan rtp.Frame, 4096)} }
func (f *feed) Frames() <-chan rtp.Frame { return f.ch }
func (f *feed) as() Tap                  { return f }
func (f *feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.ch)
	}
}

func (f *feed) put(frames ...rtp.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range frames {
		if !f.closed {
			f.ch <- x // there is room: no test fills it
		}
	}
}

// world is a recorder over a store in memory and a folder on disk.
type world struct {
	*Recorder
	t     *testing.T
	store *ledgertest.Memory
	dir   string
	keys  boxKeys
}

func newWorld(t *testing.T, folder func(Folder) Folder) *world {
	t.Helper()
	m, err := seal.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := m.NewBoxKey("recordings")
	if err != nil {
		t.Fatal(err)
	}
	box, err := m.Box(wrapped, "recordings")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &ledgertest.Memory{}, dir: t.TempDir(), keys: boxKeys{box}}
	dir, err := NewDir(w.dir, -1)
	if err != nil {
		t.Fatal(err)
	}
	var f Folder = dir
	if folder != nil {
		f = folder(dir)
	}
	w.Recorder, err = New(Config{Store: w.store, Keys: w.keys, Folder: f, Retention: map[string]time.Duration{"standard": 24 * time.Hour, "long": 1000 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newCall() Call {
	return Call{Tenant: ten, Traversal: ringfence.NewID[ringfence.TraversalID]("trv"), Leg: ringfence.NewID[ringfence.LegID]("leg"), Line: "accounts", Class: "standard", Consent: "notice"}
}

// level is a frame of one value.
func level(way rtp.Way, at time.Time, v int16, millis int) rtp.Frame {
	pcm := make([]int16, 8*millis)
	for i := range pcm {
		pcm[i] = v
	}
	return rtp.Frame{Way: way, At: at, PCM: pcm}
}

// record makes a recording of frames and returns its id.
func (w *world) record(c Call, frames ...rtp.Frame) string {
	w.t.Helper()
	f := newFeed()
	s := w.Start(w.t.Context(), c, f.as)
	f.put(frames...)
	f.Close()
	<-s.Done()
	return s.ID()
}

// talk is n frames of 20 ms both ways.
func talk(at time.Time, n int) (out []rtp.Frame) {
	for i := range n {
		now := at.Add(time.Duration(i) * 20 * time.Millisecond)
		out = append(out, level(rtp.Received, now, 8000, 20), level(rtp.Sent, now, -4000, 20))
	}
	return out
}

// hear returns the decoded sides of a recording.
func (w *world) hear(id string) (left, right []int16) {
	w.t.Helper()
	_, pass, err := w.Grant(w.t.Context(), Access{Tenant: ten, Recording: id, By: ada, Role: "risk", Reason: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	a, _, err := w.Open(w.t.Context(), ten, pass, ada)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Close()
	raw, err := io.ReadAll(a)
	if err != nil {
		w.t.Fatal(err)
	}
	return sides(raw)
}

func sides(raw []byte) (left, right []int16) {
	for i := wavHeader; i+3 < len(raw); i += 4 {
		left = append(left, int16(binary.LittleEndian.Uint16(raw[i:])))
		right = append(right, int16(binary.LittleEndian.Uint16(raw[i+2:])))
	}
	return left, right
}

func (w *world) index(id string) Recording {
	w.t.Helper()
	rec, err := w.row(w.t.Context(), ten, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) entries(event ledger.Event) (out []ledger.Entry) {
	w.t.Helper()
	if err := w.store.View(w.t.Context(), ten, func(tx ledger.Tx) (err error) {
		out, err = tx.Entries(w.t.Context(), ledger.EntryQuery{Event: event})
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func near(v, want int16) bool { return v > want-400 && v < want+400 }

func TestCallerLeftAgentRight(t *testing.T) {
	w := newWorld(t, nil)
	id := w.record(newCall(), talk(time.Now(), 100)...)
	left, right := w.hear(id)
	if len(left) != 16000 {
		t.Fatalf("%d samples, want 16000", len(left))
	}
	for i := range left {
		if !near(left[i], 8000) || !near(right[i], -4000) {
			t.Fatalf("sample %d is %d and %d", i, left[i], right[i])
		}
	}
	rec := w.index(id)
	if rec.State != StateKept || rec.Length() != 2*time.Second || len(rec.Gaps) != 0 {
		t.Errorf("have %+v", rec)
	}
	raw, err := os.ReadFile(filepath.Join(w.dir, id))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, bytes.Repeat([]byte{raw[200], raw[201]}, 20)) {
		t.Error("the file has the pattern of the audio")
	}
}

// What is said during a cut is not there, and the gap stands in file, index and
// ledger. Should a frame of it come all the same, it is not kept.
func TestSecretsLeaveAMarkedGap(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Now()
	frames := talk(at, 50)
	cut, back := at.Add(1010*time.Millisecond), at.Add(3030*time.Millisecond)
	frames = append(frames, rtp.Frame{Cut: true, At: cut}, level(rtp.Received, cut.Add(time.Second), 30000, 20), rtp.Frame{Resume: true, At: back})
	frames = append(frames, talk(back.Add(10*time.Millisecond), 50)...)
	id := w.record(newCall(), frames...)
	rec := w.index(id)
	if len(rec.Gaps) != 1 || rec.Gaps[0].Why != "secret" || rec.Gaps[0].FromMillis != 1000 || rec.Gaps[0].Millis != 2040 {
		t.Fatalf("gaps %+v", rec.Gaps)
	}
	left, right := w.hear(id)
	for i := 8000; i < 8000+16320; i++ {
		if left[i] != 0 || right[i] != 0 {
			t.Fatalf("sample %d of the gap is %d and %d", i, left[i], right[i])
		}
	}
	if e := w.entries("recording.gap"); len(e) != 1 || e[0].Data["why"] != "secret" || e[0].Object != id {
		t.Errorf("entries %+v", e)
	}
}

func TestACallThatEndsInASecret(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Now().Add(-2 * time.Second)
	id := w.record(newCall(), append(talk(at, 50), rtp.Frame{Cut: true, At: at.Add(time.Second)})...)
	if rec := w.index(id); len(rec.Gaps) != 1 || rec.Gaps[0].FromMillis != 1000 || rec.Gaps[0].Millis < 900 {
		t.Errorf("gaps %+v", rec.Gaps)
	}
}

// brokenFolder makes files that fail or wait.
type brokenFolder struct {
	Folder
	full  int // octets until the disk is full; 0 = never
	wait  chan struct{}
	write chan struct{}
}

type brokenFile struct {
	File
	f    *brokenFolder
	size int
}

func (b *brokenFolder) Create(name string) (File, error) {
	f, err := b.Folder.Create(name)
	return &brokenFile{File: f, f: b}, err
}

func (b *brokenFile) Write(p []byte) (int, error) {
	if b.f.wait != nil {
		select {
		case b.f.write <- struct{}{}:
		default:
		}
		<-b.f.wait
	}
	if b.f.full > 0 && b.size+len(p) > b.f.full {
		return 0, syscall.ENOSPC
	}
	b.size += len(p)
	return b.File.Write(p)
}

func TestAFullDiskCostsTheRecordingOnly(t *testing.T) {
	w := newWorld(t, func(f Folder) Folder { return &brokenFolder{Folder: f, full: 20000} })
	f := newFeed()
	s := w.Start(t.Context(), newCall(), f.as)
	f.put(talk(time.Now(), 400)...)
	<-s.Done() // though nobody ended the call
	rec := w.index(s.ID())
	if rec.State != StatePartial || rec.Why != "disk" || rec.Blocks == 0 || rec.Blocks > 70 {
		t.Errorf("have %+v", rec)
	}
	if e := w.entries("alert.raised"); len(e) != 1 || e[0].Data["kind"] != "recording" {
		t.Errorf("alarms %+v", e)
	}
	left, _ := w.hear(s.ID())
	if int64(len(left)) != rec.Blocks*blockSamples || !near(left[100], 8000) {
		t.Errorf("%d samples of what was kept", len(left))
	}
}

func TestNoRoomIsAnAlarm(t *testing.T) {
	dir := t.TempDir()
	short, err := NewDir(dir, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(Folder) Folder { return short })
	f := newFeed()
	s := w.Start(t.Context(), newCall(), f.as)
	<-s.Done()
	if len(w.entries("alert.raised")) != 1 || len(w.entries("recording.started")) != 0 || w.Counts().Refused != 1 {
		t.Errorf("counts %+v", w.Counts())
	}
}

// A disk that takes nothing for a while stalls nobody; what did not fit is
// marked, and what came before and after is there.
func TestASlowDiskLosesAndMarks(t *testing.T) {
	b := &brokenFolder{wait: make(chan struct{}), write: make(chan struct{}, 1)}
	w := newWorld(t, func(f Folder) Folder { b.Folder = f; return b })
	f := newFeed()
	s := w.Start(t.Context(), newCall(), f.as)
	at := time.Now()
	f.put(talk(at, 1500)...) // 30 s, while nothing is written
	<-b.write
	for len(f.ch) > 0 { // the recorder takes them all
		runtime.Gosched()
	}
	close(b.wait)
	f.put(talk(at.Add(30*time.Second), 500)...)
	f.Close()
	<-s.Done()
	rec := w.index(s.ID())
	if rec.State != StateKept || rec.Length() != 40*time.Second {
		t.Fatalf("have %s, %v", rec.State, rec.Length())
	}
	if len(rec.Gaps) == 0 || rec.Gaps[0].Why != "lost" || w.Counts().LostBlocks == 0 {
		t.Fatalf("gaps %+v", rec.Gaps)
	}
	left, _ := w.hear(s.ID())
	g := rec.Gaps[0]
	if !near(left[1000], 8000) || left[(g.FromMillis+20)*8] != 0 {
		t.Error("the gap is not where it is said to be")
	}
}

func TestLostFramesAreMarked(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Now()
	frames := talk(at, 50)
	later := talk(at.Add(2*time.Second), 50)
	later[0].Lost = 50
	id := w.record(newCall(), append(frames, later...)...)
	rec := w.index(id)
	if len(rec.Gaps) != 1 || rec.Gaps[0].Why != "lost" || rec.Length() != 3*time.Second {
		t.Errorf("gaps %+v, %v", rec.Gaps, rec.Length())
	}
}

func TestSilenceIsNoGap(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Now()
	id := w.record(newCall(), append(talk(at, 50), talk(at.Add(5*time.Second), 50)...)...)
	if rec := w.index(id); len(rec.Gaps) != 0 || rec.Length() != 6*time.Second {
		t.Errorf("gaps %+v, %v", rec.Gaps, rec.Length())
	}
}

func TestRetentionAndLegalHold(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	short, held, long := newCall(), newCall(), newCall()
	long.Class = "long"
	a, b, c := w.record(short, talk(time.Now(), 10)...), w.record(held, talk(time.Now(), 10)...), w.record(long, talk(time.Now(), 10)...)
	if err := w.PlaceHold(ctx, ten, b, ada, "case 12"); err != nil {
		t.Fatal(err)
	}
	if err := w.PlaceHold(ctx, ten, b, ada, "case 13"); !errors.Is(err, ErrHeld) {
		t.Errorf("a second hold: %v", err)
	}
	if err := w.Delete(ctx, ten, b, ada, "asked to"); !errors.Is(err, ErrHeld) {
		t.Errorf("deleted under a hold: %v", err)
	}
	if n, err := w.Sweep(ctx, ten, time.Now().Add(23*time.Hour)); n != 0 || err != nil {
		t.Errorf("deleted %d before their time, %v", n, err)
	}
	if n, err := w.Sweep(ctx, ten, time.Now().Add(25*time.Hour)); n != 1 || err != nil {
		t.Errorf("deleted %d, %v; want 1", n, err)
	}
	if rec := w.index(a); rec.State != StateDeleted || rec.Key != nil || rec.Why != "retention" {
		t.Errorf("have %+v", rec)
	}
	if _, err := os.Stat(filepath.Join(w.dir, a)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
	for _, id := range []string{b, c} {
		if rec := w.index(id); rec.State != StateKept {
			t.Errorf("%s is %s", id, rec.State)
		}
	}
	if err := w.Lift(ctx, ten, b, ben, "closed"); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Sweep(ctx, ten, time.Now().Add(25*time.Hour)); n != 1 || err != nil {
		t.Errorf("deleted %d, %v; want 1", n, err)
	}
	if err := w.Delete(ctx, ten, c, ada, "asked to"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Grant(ctx, Access{Tenant: ten, Recording: c, By: ada, Reason: "x"}); !errors.Is(err, ErrDeleted) {
		t.Errorf("a deleted recording: %v", err)
	}
	if len(w.entries("recording.deleted")) != 3 || len(w.entries("hold.placed")) != 1 || len(w.entries("hold.lifted")) != 1 {
		t.Error("entries are missing")
	}
}

func TestEveryAccessIsAnEntryAndOnePersons(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	id := w.record(newCall(), talk(time.Now(), 10)...)
	_, pass, err := w.Grant(ctx, Access{Tenant: ten, Recording: id, By: ada, Role: "auditor", Reason: "complaint 7", Export: true})
	if err != nil {
		t.Fatal(err)
	}
	e := w.entries("recording.exported")
	if len(e) != 1 || e[0].Person != ada || e[0].Data["reason"] != "complaint 7" || e[0].Data["role"] != "auditor" || e[0].Object != id {
		t.Errorf("entries %+v", e)
	}
	for _, by := range []ringfence.PersonID{ben, ""} {
		if _, _, err := w.Open(ctx, ten, pass, by); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%q opens another's pass: %v", by, err)
		}
	}
	if _, _, err := w.Open(ctx, "ten_other", pass, ada); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("another tenant: %v", err)
	}
	if _, _, err := w.Open(ctx, ten, "acc_none", ada); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("no pass: %v", err)
	}
	if err := w.SweepAccess(ctx, ten, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Open(ctx, ten, pass, ada); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a pass that was swept: %v", err)
	}
}

func TestWhatDoesNotVerifyIsNotPlayed(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	id := w.record(newCall(), talk(time.Now(), 100)...)
	path := filepath.Join(w.dir, id)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	grant := func() error {
		_, _, err := w.Grant(ctx, Access{Tenant: ten, Recording: id, By: ada, Reason: "x"})
		return err
	}
	for name, bad := range map[string][]byte{"shorter": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "changed": append(append(bytes.Clone(good[:9000]), good[9000]^1), good[9001:]...)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := grant(); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v, want ErrForged", name, err)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := grant(); err != nil {
		t.Errorf("the file itself: %v", err)
	}
	if err := w.change(ctx, ten, id, func(_ ledger.Tx, r *Recording) error { r.SHA256 = "00"; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := grant(); !errors.Is(err, ErrForged) {
		t.Errorf("an index that is not the ledger's: %v", err)
	}
	if n := len(w.entries("recording.played")); n != 1 {
		t.Errorf("%d entries of playing, want 1", n)
	}
}

// A process that dies leaves a file without an end; the next one keeps what
// can be read of it.
func TestRecoverKeepsWhatCanBeRead(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	f := newFeed()
	s := w.Start(ctx, newCall(), f.as)
	f.put(talk(time.Now(), 400)...)
	f.Close()
	<-s.Done()
	path := filepath.Join(w.dir, s.ID())
	if err := os.Truncate(path, 60000); err != nil {
		t.Fatal(err)
	}
	if err := w.change(ctx, ten, s.ID(), func(tx ledger.Tx, r *Recording) error {
		r.State, r.SHA256, r.Entry = StateLive, "", 0
		if err := drop(ctx, tx, kindDue, r.ID); err != nil {
			return err
		}
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindOpen, ID: r.ID}, r.ID)
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Grant(ctx, Access{Tenant: ten, Recording: s.ID(), By: ada, Reason: "x"}); !errors.Is(err, ErrLive) {
		t.Errorf("a live one: %v", err)
	}
	if err := w.Recover(ctx, ten); err != nil {
		t.Fatal(err)
	}
	rec := w.index(s.ID())
	if rec.State != StatePartial || rec.Why != "process" || rec.Blocks < 150 {
		t.Fatalf("have %+v", rec)
	}
	if left, _ := w.hear(s.ID()); int64(len(left)) != rec.Blocks*blockSamples {
		t.Errorf("%d samples of %d blocks", len(left), rec.Blocks)
	}
	if err := w.Recover(ctx, ten); err != nil || len(w.entries("recording.ended")) != 2 {
		t.Errorf("recovered twice: %v", err)
	}
}

// Seeking and reading give the same octets as reading whole.
func TestSeeking(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	id := w.record(newCall(), talk(time.Now(), 60)...)
	_, pass, err := w.Grant(ctx, Access{Tenant: ten, Recording: id, By: ada, Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := w.Open(ctx, ten, pass, ada)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	whole, err := io.ReadAll(a)
	if err != nil || int64(len(whole)) != a.size {
		t.Fatalf("%d octets, %v", len(whole), err)
	}
	for _, at := range []int64{0, 10, 43, 44, 45, 700, 20001, 5, a.size - 3, a.size} {
		if _, err := a.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 1000)
		n, _ := io.ReadFull(a, part)
		if !bytes.Equal(part[:n], whole[at:min(a.size, at+1000)]) {
			t.Fatalf("at %d: another content", at)
		}
	}
}

func TestOneRecordingALeg(t *testing.T) {
	w, c := newWorld(t, nil), newCall()
	f := newFeed()
	s := w.Start(t.Context(), c, f.as)
	if w.Start(t.Context(), c, newFeed().as) != nil {
		t.Error("a leg is recorded twice")
	}
	s.With(ada)
	s.With(ada)
	s.With("")
	w.Close()
	<-s.Done()
	if rec := w.index(s.ID()); rec.State != StateKept || len(rec.People) != 1 {
		t.Errorf("have %+v", rec)
	}
	if w.Start(t.Context(), newCall(), newFeed().as) != nil {
		t.Error("a closed recorder records")
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0, 20, 1, 20, 0x80, 3, 0, 5, 0x40, 9, 0, 20})
	f.Add([]byte{0x80, 1, 0x80, 2, 0x40, 1, 0, 255, 1, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 400)]
		var blocks int64
		a := assembler{out: func(i item) {
			if i.audio == nil && i.mark == markAudio || i.blocks < 0 {
				t.Fatalf("item %+v", i)
			}
			if i.audio != nil && i.mark != markSecret {
				for k := 1; k < len(i.audio); k++ {
					if i.audio[k] == 0x80 { // of 32124, which is said in cuts only
						t.Fatal("audio of a cut")
					}
				}
			}
			blocks += i.blocks
		}}
		now, begun := time.Unix(0, 0), false
		first, cutting := now, false
		for i := 0; i+1 < len(b); i += 2 {
			now = now.Add(time.Duration(b[i+1]) * 4 * time.Millisecond)
			if !begun {
				first, begun = now, true
			}
			switch {
			case b[i]&0x80 != 0:
				a.take(rtp.Frame{Cut: true, At: now})
				cutting = true
			case b[i]&0x40 != 0:
				a.take(rtp.Frame{Resume: true, At: now})
				cutting = false
			case cutting:
				a.take(level(rtp.Way(b[i]), now, 32124, 20))
			default:
				fr := level(rtp.Way(b[i]&1), now, 1000, 10+10*int(b[i]>>1&3))
				fr.Lost = uint64(b[i] >> 5 & 1)
				a.take(fr)
			}
		}
		a.end(now)
		if most := int64(now.Sub(first)/(20*time.Millisecond)) + 60 + int64(len(b)); blocks > most {
			t.Fatalf("%d blocks of %v", blocks, now.Sub(first))
		}
	})
}
