package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// queueItems is how much audio waits for the disk: 10 s. What is more is lost
// and marked.
const queueItems = 500

// Session is one recording in the making.
type Session struct {
	r     *Recorder
	call  Call
	id    string
	tap   Tap
	queue chan item
	done  chan struct{}

	mu     sync.Mutex
	people []ringfence.PersonID // guarded by mu
}

// ID is the recording's.
func (s *Session) ID() string { return s.id }

// Done is closed when the recording is written and indexed, or given up.
func (s *Session) Done() <-chan struct{} { return s.done }

// Stop ends the recording; the call goes on. Stopping twice is harmless.
func (s *Session) Stop() { s.tap.Close() }

// With names a member of staff who speaks with the caller.
func (s *Session) With(p ringfence.PersonID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.people {
		if have == p {
			return
		}
	}
	if p != "" {
		s.people = append(s.people, p)
	}
}

// pump lays the audio side by side and queues it; it never waits for the disk.
func (s *Session) pump() {
	defer close(s.queue)
	var a assembler
	var behind []item // in the order of time; only marks and counts
	put := func(i item) {
		for len(behind) > 0 {
			select {
			case s.queue <- behind[0]:
				behind = behind[1:]
				continue
			default:
			}
			break
		}
		if len(behind) == 0 {
			select {
			case s.queue <- i:
				return
			default:
			}
		}
		if i.mark == markAudio {
			i.mark = markLost
			s.r.lost.Add(i.blocks)
		}
		i.audio = nil
		if n := len(behind); n > 0 && behind[n-1].mark == i.mark {
			behind[n-1].blocks += i.blocks
			return
		}
		behind = append(behind, i)
	}
	a.out = put
	for f := range s.tap.Frames() {
		a.take(f)
	}
	a.end(time.Now())
	for _, i := range behind {
		s.queue <- i // the call is over: waiting costs nobody
	}
}

// output is a file that is being written.
type output struct {
	file   File
	opener Cipher
	cipher io.WriteCloser
	hash   hash.Hash
	bytes  int64
	gaps   gaps
}

// Write implements io.Writer for the cipher: to the file and into the hash.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	o.hash.Write(b[:n])
	o.bytes += int64(n)
	return n, err
}

// write owns the file.
func (s *Session) write(ctx context.Context) {
	defer close(s.done)
	defer s.r.forget(s)
	out, err := s.begin(ctx)
	if err == nil {
		err = s.copy(out)
	}
	s.tap.Close() // after a fault the call goes on without us
	for range s.queue {
		continue
	}
	switch {
	case out == nil:
		s.r.refused.Add(1)
		s.r.alarm(ctx, s.call, "could not begin", err)
	case err != nil:
		s.r.alarm(ctx, s.call, "the disk failed", err)
		_ = out.file.Close() // what could be written is kept
		s.finishPartial(ctx, out)
	default:
		if err := s.seal(out); err != nil {
			s.r.alarm(ctx, s.call, "the disk failed at the end", err)
			s.finishPartial(ctx, out)
			return
		}
		s.finish(ctx, out, StateKept, "")
	}
}

// begin makes key, index row and entry durable, then the file.
func (s *Session) begin(ctx context.Context) (*output, error) {
	wrapped, cipher, err := s.r.cfg.Keys.New(ctx, s.call.Tenant, s.id)
	if err != nil {
		return nil, err
	}
	file, err := s.r.cfg.Folder.Create(s.id)
	if err != nil {
		return nil, err
	}
	if err := s.index(ctx, wrapped); err != nil {
		_ = file.Close()
		_ = s.r.cfg.Folder.Remove(s.id)
		return nil, err
	}
	out := &output{file: file, hash: sha256.New(), opener: cipher}
	if out.cipher, err = cipher.Writer(out); err != nil {
		return out, err
	}
	return out, nil
}

// index writes the row and the entry of the beginning.
func (s *Session) index(ctx context.Context, wrapped []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	c := s.call
	return s.r.cfg.Store.Update(ctx, c.Tenant, func(tx ledger.Tx) error {
		now := tx.Now()
		row := Recording{ID: s.id, Tenant: c.Tenant, Traversal: c.Traversal, Leg: c.Leg, Line: c.Line, Reference: c.Reference, Class: c.Class,
			Consent: c.Consent, State: StateLive, Began: now, Key: wrapped, Until: s.r.until(c.Class, now)}
		rec := ledger.Record{Kind: KindRecording, ID: s.id, Sort: now.UnixNano(), Keys: map[string]string{"traversal": string(c.Traversal)}}
		if err := ledger.Write(ctx, tx, &rec, row); err != nil {
			return err
		}
		if err := ledger.Write(ctx, tx, &ledger.Record{Kind: kindOpen, ID: s.id, Sort: now.UnixNano()}, s.id); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "recording.started", Traversal: c.Traversal, Leg: c.Leg, Object: s.id,
			Data: map[string]string{"line": c.Line, "class": c.Class, "consent": c.Consent}})
		return err
	})
}

// copy writes what is queued until the call ends.
func (s *Session) copy(out *output) error {
	for i := range s.queue {
		if err := out.put(i); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) put(i item) error {
	b := i.audio
	if b == nil {
		b = emptyBlock(i.mark)
	}
	for range i.blocks {
		if _, err := o.cipher.Write(b[:]); err != nil {
			return err
		}
	}
	o.gaps.count(i.mark, i.blocks)
	return nil
}

// seal writes the end of the file, durably.
func (s *Session) seal(out *output) error {
	if err := out.cipher.Close(); err != nil {
		_ = out.file.Close()
		return err
	}
	if err := out.file.Sync(); err != nil {
		_ = out.file.Close()
		return err
	}
	return out.file.Close()
}

// finishPartial is finish for a file without an end: what counts is what can be
// read of it.
func (s *Session) finishPartial(ctx context.Context, out *output) {
	out.gaps = gaps{}
	if f, err := s.r.cfg.Folder.Open(s.id); err == nil {
		out.gaps.blocks, out.gaps.list = readable(out.opener, f)
		_ = f.Close()
	}
	s.finish(ctx, out, StatePartial, "disk")
}

// finish writes the end into index and ledger. When the store does not answer
// the recording stays open there, and Recover takes it up.
func (s *Session) finish(ctx context.Context, out *output, state State, why string) {
	s.mu.Lock()
	people := s.people
	s.mu.Unlock()
	end := ending{state: state, why: why, blocks: out.gaps.blocks, bytes: out.bytes, sum: hex.EncodeToString(out.hash.Sum(nil)), gaps: out.gaps.list, people: people}
	if err := s.r.conclude(ctx, s.call.Tenant, s.id, end); err != nil {
		s.r.cfg.Log.Error("end of a recording not indexed", "recording", s.id, "err", err)
	}
}

// ending is what is known of a recording once it is over.
type ending struct {
	state  State
	why    string
	blocks int64
	bytes  int64
	sum    string
	gaps   []Gap
	people []ringfence.PersonID
}

// most gap entries of one recording; the index holds them all.
const mostGapEntries = 50

// conclude writes the end of a recording: row, gaps, hash.
func (r *Recorder) conclude(ctx context.Context, tenant ringfence.TenantID, id string, e ending) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	err := r.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		row, version, err := ledger.Read[Recording](ctx, tx, KindRecording, id)
		if err != nil {
			return err
		}
		for _, g := range e.gaps[:min(len(e.gaps), mostGapEntries)] {
			if _, err := tx.Append(ctx, ledger.Entry{Event: "recording.gap", Traversal: row.Traversal, Leg: row.Leg, Object: id,
				Data: map[string]string{"from_ms": strconv.FormatInt(g.FromMillis, 10), "ms": strconv.FormatInt(g.Millis, 10), "why": g.Why}}); err != nil {
				return err
			}
		}
		row.State, row.Why, row.Blocks, row.Bytes, row.SHA256, row.Gaps, row.People = e.state, e.why, e.blocks, e.bytes, e.sum, e.gaps, e.people
		data := map[string]string{"state": string(e.state), "sha256": e.sum, "bytes": strconv.FormatInt(e.bytes, 10),
			"ms": strconv.FormatInt(e.blocks*blockMillis, 10), "gaps": strconv.Itoa(len(e.gaps))}
		if row.Entry, err = tx.Append(ctx, ledger.Entry{Event: "recording.ended", Traversal: row.Traversal, Leg: row.Leg, Object: id, Data: data}); err != nil {
			return err
		}
		if err := putRow(ctx, tx, row, version); err != nil {
			return err
		}
		if err := r.schedule(ctx, tx, row); err != nil {
			return err
		}
		return drop(ctx, tx, kindOpen, id)
	})
	if err == nil {
		if e.state == StateKept {
			r.kept.Add(1)
		} else {
			r.partial.Add(1)
		}
	}
	return err
}

// putRow writes the index row of a version that was read.
func putRow(ctx context.Context, tx ledger.Tx, row Recording, version int64) error {
	rec := ledger.Record{Kind: KindRecording, ID: row.ID, Version: version, Sort: row.Began.UnixNano(), Keys: map[string]string{"traversal": string(row.Traversal)}}
	return ledger.Write(ctx, tx, &rec, row)
}

// drop deletes a row of a list, if it is there.
func drop(ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string) error {
	rec, err := tx.Get(ctx, kind, id)
	if err == ledger.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.Delete(ctx, kind, id, rec.Version)
}
