package record

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Access is one person's wish to hear a recording, or to take it away.
type Access struct {
	Tenant    ringfence.TenantID
	Recording string
	By        ringfence.PersonID
	Role      string // in which the person asks
	Reason    string
	Export    bool
}

// accessLife is how long a person may read after having said why.
const accessLife = 10 * time.Minute

// accessRow is an Access that was granted.
type accessRow struct {
	Recording string             `json:"recording"`
	By        ringfence.PersonID `json:"by"`
	Export    bool               `json:"export"`
	Until     time.Time          `json:"until"`
}

// Grant writes down who hears a recording and why, and returns a pass by which
// that person reads it for ten minutes. It returns ErrLive, ErrDeleted,
// ErrForged and ledger.ErrNotFound.
func (r *Recorder) Grant(ctx context.Context, a Access) (Recording, string, error) {
	row, err := r.Verify(ctx, a.Tenant, a.Recording)
	if err != nil {
		return row, "", err
	}
	event := ledger.Event("recording.played")
	if a.Export {
		event = "recording.exported"
	}
	pass := ringfence.NewID[string]("acc")
	return row, pass, r.cfg.Store.Update(ctx, a.Tenant, func(tx ledger.Tx) error {
		if _, err := tx.Append(ctx, ledger.Entry{Event: event, Traversal: row.Traversal, Leg: row.Leg, Person: a.By, Object: row.ID,
			Data: map[string]string{"role": a.Role, "reason": a.Reason, "sha256": row.SHA256}}); err != nil {
			return err
		}
		rec := ledger.Record{Kind: kindAccess, ID: pass, Sort: tx.Now().UnixNano()}
		return ledger.Write(ctx, tx, &rec, accessRow{Recording: row.ID, By: a.By, Export: a.Export, Until: tx.Now().Add(accessLife)})
	})
}

// Verify compares a recording's file with the hash in index and ledger.
func (r *Recorder) Verify(ctx context.Context, tenant ringfence.TenantID, id string) (Recording, error) {
	row, err := r.row(ctx, tenant, id)
	if err != nil {
		return row, err
	}
	if err := row.playable(); err != nil {
		return row, err
	}
	if err := r.inLedger(ctx, row); err != nil {
		return row, err
	}
	f, err := r.cfg.Folder.Open(id)
	if err != nil {
		return row, fmt.Errorf("%w: %v", ErrForged, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return row, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != row.SHA256 {
		return row, ErrForged
	}
	return row, nil
}

// inLedger compares the hash of the index with that of recording.ended.
func (r *Recorder) inLedger(ctx context.Context, row Recording) error {
	return r.cfg.Store.View(ctx, row.Tenant, func(tx ledger.Tx) error {
		entries, err := tx.Entries(ctx, ledger.EntryQuery{From: row.Entry, Limit: 1})
		if err != nil {
			return err
		}
		if len(entries) != 1 || entries[0].Index != row.Entry || entries[0].Object != row.ID || entries[0].Data["sha256"] != row.SHA256 {
			return ErrForged
		}
		return nil
	})
}

func (r *Recorder) row(ctx context.Context, tenant ringfence.TenantID, id string) (row Recording, err error) {
	return row, r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		row, _, err = ledger.Read[Recording](ctx, tx, KindRecording, id)
		return err
	})
}

// Open returns the audio for a pass that was granted to this person.
// ledger.ErrNotFound means that there is no such pass, or that it is over.
func (r *Recorder) Open(ctx context.Context, tenant ringfence.TenantID, pass string, by ringfence.PersonID) (*Audio, Recording, error) {
	var row Recording
	if err := r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		a, _, err := ledger.Read[accessRow](ctx, tx, kindAccess, pass)
		if err != nil {
			return err
		}
		if a.By != by || by == "" || !tx.Now().Before(a.Until) {
			return ledger.ErrNotFound
		}
		row, _, err = ledger.Read[Recording](ctx, tx, KindRecording, a.Recording)
		return err
	}); err != nil {
		return nil, row, err
	}
	if err := row.playable(); err != nil {
		return nil, row, err
	}
	c, err := r.cfg.Keys.Open(ctx, tenant, row.ID, row.Key)
	if err != nil {
		return nil, row, fmt.Errorf("%w: %v", ErrForged, err)
	}
	f, err := r.cfg.Folder.Open(row.ID)
	if err != nil {
		return nil, row, fmt.Errorf("%w: %v", ErrForged, err)
	}
	return newAudio(f, c, row.Blocks), row, nil
}

// SweepAccess forgets the passes that are over.
func (r *Recorder) SweepAccess(ctx context.Context, tenant ringfence.TenantID, now time.Time) error {
	return r.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := tx.List(ctx, kindAccess, ledger.Query{To: now.Add(-accessLife).UnixNano(), Limit: page})
		for _, row := range rows {
			err = errors.Join(err, tx.Delete(ctx, kindAccess, row.ID, row.Version))
		}
		return err
	})
}

// Audio is a recording as a WAV file: 8 kHz, 16 bit, caller left. It is an
// io.ReadSeeker, decrypted as it is read.
type Audio struct {
	file   io.ReadSeekCloser
	cipher Cipher
	size   int64

	at    int64 // of the reader
	plain io.Reader
	next  int64 // block that plain gives next
	have  int64 // block in pcm; -1 none
	pcm   [4 * blockSamples]byte
}

// wavHeader is the length of the canonical header.
const wavHeader = 44

func newAudio(f io.ReadSeekCloser, c Cipher, blocks int64) *Audio {
	return &Audio{file: f, cipher: c, size: wavHeader + blocks*4*blockSamples, have: -1}
}

// Close ends reading.
func (a *Audio) Close() error { return a.file.Close() }

// Seek implements io.Seeker.
func (a *Audio) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += a.at
	case io.SeekEnd:
		offset += a.size
	}
	if offset < 0 {
		return 0, errors.New("record: seek before the beginning")
	}
	a.at = offset
	return offset, nil
}

// Read implements io.Reader. A file that does not verify is an error at the
// place where it does not.
func (a *Audio) Read(b []byte) (int, error) {
	switch {
	case a.at >= a.size:
		return 0, io.EOF
	case a.at < wavHeader:
		n := copy(b, a.header()[a.at:])
		a.at += int64(n)
		return n, nil
	}
	off := a.at - wavHeader
	if err := a.load(off / int64(len(a.pcm))); err != nil {
		return 0, err
	}
	n := copy(b, a.pcm[off%int64(len(a.pcm)):])
	a.at += int64(n)
	return n, nil
}

// load decodes a block. Going back begins anew.
func (a *Audio) load(want int64) error {
	if want == a.have {
		return nil
	}
	if a.plain == nil || want < a.next {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		plain, err := a.cipher.Reader(a.file)
		if err != nil {
			return err
		}
		a.plain, a.next = plain, 0
	}
	if _, err := io.CopyN(io.Discard, a.plain, (want-a.next)*blockBytes); err != nil {
		return fmt.Errorf("%w: %v", ErrForged, err)
	}
	var b block
	if _, err := io.ReadFull(a.plain, b[:]); err != nil {
		return fmt.Errorf("%w: %v", ErrForged, err)
	}
	a.next, a.have = want+1, want
	for i, c := range b[1:] {
		binary.LittleEndian.PutUint16(a.pcm[2*i:], uint16(g711.DecodeUlawFrame(c)))
	}
	return nil
}

// header is that of RIFF WAVE, format 1, two channels.
func (a *Audio) header() []byte {
	data := uint32(a.size - wavHeader) // 4 h are under 500 MB
	h := make([]byte, 0, wavHeader)
	h = append(h, "RIFF"...)
	h = binary.LittleEndian.AppendUint32(h, data+wavHeader-8)
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint32(h, 8000)
	h = binary.LittleEndian.AppendUint32(h, 8000*4)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data"...)
	return binary.LittleEndian.AppendUint32(h, data)
}
