package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	flowAudioIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Version int64  `json:"version"`
			Path    string `json:"path" maxLength:"120" doc:"audio/de/welcome.wav"`
			WAV     []byte `json:"wav" doc:"mono, 16-bit PCM or G.711, at most 2 MiB; base64"`
		}
	}
	flowAudioOut struct {
		Body struct {
			Draft   flowDraftView `json:"draft"`
			Seconds float64       `json:"seconds"`
		}
	}
	flowHearIn struct {
		Body struct {
			Set  flowSetIn `json:"set"`
			Path string    `json:"path" maxLength:"120"`
		}
	}
)

func (s *Server) flowAudioAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/audio", Summary: "Put a recording into a draft"}, s.putAudio)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/hear", Summary: "A recording of a set, to be played"}, s.hearAudio)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/speak", Summary: "A text as callers hear it, to be played"}, s.speakFlow)
}

var errNoVoice = problem.New(problem.Unavailable, "Recordings cannot be taken here.")

// looksLikeWAV sniffs the first bytes; what the rest is, the voice judges.
func looksLikeWAV(b []byte) bool {
	return len(b) > 44 && bytes.Equal(b[:4], []byte("RIFF")) && bytes.Equal(b[8:12], []byte("WAVE"))
}

// putAudio keeps a recording under its hash and names it in the draft.
func (s *Server) putAudio(ctx context.Context, in *flowAudioIn) (*flowAudioOut, error) {
	p, out := who(ctx), &flowAudioOut{}
	switch {
	case s.cfg.Bundles == nil:
		return nil, errNoBundles
	case s.cfg.FlowVoice == nil:
		return nil, errNoVoice
	case !audioPath.MatchString(in.Body.Path):
		return nil, problem.New(problem.Unprocessable, "A recording is named audio/, the language, and a name of small letters, digits, - and _: audio/de/welcome.wav.")
	case len(in.Body.WAV) > maxFlowAudio:
		return nil, problem.New(problem.TooLarge, "The recording is larger than 2 MiB. Cut it, or save it at 16 kHz.")
	case !looksLikeWAV(in.Body.WAV):
		return nil, problem.New(problem.Unprocessable, "This is no WAV file. Save it as WAV: mono, 16 bit, 8 or 16 kHz.")
	}
	if err := s.loads.spend(p.actor()); err != nil {
		return nil, err
	}
	if _, _, err := s.flowDraft(ctx, in.ID); err != nil {
		return nil, err
	}
	_, length, err := s.cfg.FlowVoice.Recording(in.Body.WAV)
	if err != nil {
		return nil, problem.New(problem.Unprocessable, "This recording cannot be played to callers. Save it as WAV: mono, 16 bit, 8 or 16 kHz, at most a minute.")
	}
	sum := sha256.Sum256(in.Body.WAV)
	id := hex.EncodeToString(sum[:])
	keep := func(tx ledger.Tx) error {
		if version, err := versionOf(ctx, tx, kindFlowAudio, id); err != nil || version > 0 {
			return err // it is there: its name is its content
		}
		rec := ledger.Record{Kind: kindFlowAudio, ID: id, Sort: tx.Now().UnixNano()}
		return ledger.Write(ctx, tx, &rec, in.Body.WAV)
	}
	out.Body.Seconds = length.Seconds()
	out.Body.Draft, err = s.changeDraftWith(ctx, in.ID, in.Body.Version, func(d *flowDraftRow) error {
		if d.Audio == nil {
			d.Audio = map[string]string{}
		}
		d.Audio[in.Body.Path] = id
		if len(d.Audio) > maxFlowFiles {
			return problem.New(problem.Conflict, "A draft takes 200 recordings.")
		}
		return nil
	}, keep)
	return out, err
}

// hearAudio gives back a recording: one that was uploaded, or one that came with
// the installation's scripts and still is the one that the set names.
func (s *Server) hearAudio(ctx context.Context, in *flowHearIn) (*flowSoundOut, error) {
	if s.cfg.FlowVoice == nil {
		return nil, errNoVoice
	}
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(set.files, func(f flows.File) bool { return f.Path == in.Body.Path && f.Data == nil })
	if i < 0 {
		return nil, ledger.ErrNotFound
	}
	wav, err := s.recording(ctx, set.files[i])
	if err != nil {
		return nil, err
	}
	out := &flowSoundOut{}
	playable, length, err := s.cfg.FlowVoice.Recording(wav)
	out.Body.WAV, out.Body.Seconds = playable, length.Seconds()
	return out, err
}

func (s *Server) recording(ctx context.Context, f flows.File) (wav []byte, err error) {
	if s.cfg.Scripts != nil && fs.ValidPath(f.Path) {
		if wav, err = fs.ReadFile(s.cfg.Scripts, f.Path); err == nil && sha256.Sum256(wav) == f.SHA {
			return wav, nil
		}
	}
	err = s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) (err error) {
		wav, _, err = ledger.Read[[]byte](ctx, tx, kindFlowAudio, hex.EncodeToString(f.SHA[:]))
		return err
	})
	return wav, err
}
