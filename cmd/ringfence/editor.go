package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/web"
)

// joinEditor gives the flow editor the shelf, the voice that callers hear, and
// the folder that the installation's own flows came from.
func (a *app) joinEditor(cfg *web.Config) {
	cfg.Bundles, cfg.FlowVoice, cfg.Scripts, cfg.Replays = editorShelf{a.shelf}, editorVoice{a.speech}, a.scripts, editorReplays{a.store}
}

// scriptsOf is what replaces the scripts of the configuration, else those, else
// the shipped ones.
func scriptsOf(cfg config.Config, replaced fs.FS) fs.FS {
	switch {
	case replaced != nil:
		return replaced
	case cfg.Scripts != "":
		return os.DirFS(cfg.Scripts)
	}
	return scripts.FS
}

// editorShelf shows the shelf to the web.
type editorShelf struct{ *shelf.Shelf }

// BundleStatus implements web.Bundles.
func (e editorShelf) BundleStatus(ctx context.Context, tenant ringfence.TenantID) (web.BundleStatus, error) {
	st, err := e.Status(ctx, tenant)
	if err != nil {
		return web.BundleStatus{}, err
	}
	out := web.BundleStatus{Current: st.Current}
	if st.Next != nil {
		out.Next = &web.BundleEvent{Bundle: st.Next.Bundle, How: st.Next.How, At: st.Next.From, By: st.Next.By, Share: shareOut(st.Next.Share)}
	}
	if st.Ramp != nil {
		out.Ramp = &web.BundleEvent{Bundle: st.Ramp.Bundle, How: "ramped", At: st.Ramp.Since, Share: shareOut(st.Ramp.Share), Stopped: st.Ramp.Stopped}
	}
	for _, p := range st.History {
		out.History = append(out.History, web.BundleEvent{Bundle: p.Bundle, How: p.How, At: p.At, By: p.By})
	}
	for _, p := range st.Drafts {
		out.Proposals = append(out.Proposals, web.BundleEvent{Bundle: p.Bundle, At: p.At, By: p.Signed, Share: shareOut(p.Share), Looser: p.Looser})
	}
	return out, nil
}

// SignBundle implements web.Bundles.
func (e editorShelf) SignBundle(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, share web.BundleShare, sig gate.Signature) (web.BundleResult, error) {
	return resultOut(e.Publish(ctx, tenant, shelf.PublishRequest{Bundle: b, Approval: approvalOf(sig), Share: shareIn(share)}))
}

// RollBack implements web.Bundles.
func (e editorShelf) RollBack(ctx context.Context, tenant ringfence.TenantID, hash string, sig gate.Signature) (web.BundleResult, error) {
	return resultOut(e.Rollback(ctx, tenant, hash, approvalOf(sig)))
}

// SetShare implements web.Bundles.
func (e editorShelf) SetShare(ctx context.Context, tenant ringfence.TenantID, share web.BundleShare, sig gate.Signature) (web.BundleResult, error) {
	return resultOut(e.Shelf.SetShare(ctx, tenant, shareIn(share), share.All, approvalOf(sig)))
}

func approvalOf(sig gate.Signature) shelf.Approval {
	return shelf.Approval{Person: sig.Person, Authenticator: sig.Authenticator, Signature: sig.Assertion}
}

func shareIn(s web.BundleShare) shelf.Share {
	return shelf.Share{Percent: s.Percent, Numbers: s.Numbers}
}
func shareOut(s shelf.Share) web.BundleShare {
	return web.BundleShare{Percent: s.Percent, Numbers: s.Numbers}
}

func resultOut(r shelf.Result, err error) (web.BundleResult, error) {
	out := web.BundleResult{Refused: string(r.Refused), Proposed: r.Proposed, Signed: r.Signed, Changes: r.Changes, Looser: r.Looser, From: r.From}
	if r.Why != "" {
		out.Refused += ": " + r.Why
	}
	return out, err
}

// shadowLife is how long a draft follows calls that begin.
const shadowLife = 24 * time.Hour

// StartShadow implements web.Shadows.
func (e editorShelf) StartShadow(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, by ringfence.PersonID) (web.BundleResult, error) {
	return resultOut(e.Shelf.StartShadow(ctx, tenant, b, by, shadowLife))
}

// StopShadow implements web.Shadows.
func (e editorShelf) StopShadow(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID) (web.BundleResult, error) {
	return resultOut(e.Shelf.StopShadow(ctx, tenant, by))
}

// ShadowStatus implements web.Shadows.
func (e editorShelf) ShadowStatus(ctx context.Context, tenant ringfence.TenantID) (web.ShadowStatus, error) {
	st, err := e.Shelf.ShadowStatus(ctx, tenant)
	out := web.ShadowStatus{Bundle: st.Bundle, Since: st.Since, Until: st.Until, Calls: st.Calls, Same: st.Same, Words: st.Words, Differs: st.Differs, Unknown: st.Unknown}
	for _, d := range st.Differences {
		out.Differences = append(out.Differences, web.ShadowPoint{Says: d.String(), Calls: d.Calls})
	}
	return out, err
}

// editorReplays shows what is kept of past calls.
type editorReplays struct{ store ledger.Store }

// Recorded implements web.Replays.
func (e editorReplays) Recorded(ctx context.Context, tenant ringfence.TenantID) ([]web.RecordedCall, error) {
	all, err := runner.Recordings(ctx, e.store, tenant)
	var out []web.RecordedCall
	for _, r := range all {
		one := web.RecordedCall{ID: r.Traversal, Reference: r.Reference, Line: r.Line, Runs: len(r.Runs), At: r.At}
		if len(r.Runs) > 0 {
			one.Flow = r.Runs[0].Flow
		}
		out = append(out, one)
	}
	return out, err
}

// Replay implements web.Replays.
func (e editorReplays) Replay(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, id ringfence.TraversalID, b *flows.Bundle) ([]flows.Followed, error) {
	return runner.ReplayRecording(ctx, e.store, tenant, by, id, b)
}

// FlowTraces implements web.FlowTraces.
func (e editorReplays) FlowTraces(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID) ([]flows.Trace, error) {
	rec, err := runner.ReadRecording(ctx, e.store, tenant, id)
	return rec.Runs, err
}

// editorVoice lets people who write flows hear what callers hear.
type editorVoice struct{ *voice.Voice }

// maxRecording is the longest recording that can be uploaded.
const maxRecording = time.Minute

// Recording implements web.Voice.
func (v editorVoice) Recording(wav []byte) ([]byte, time.Duration, error) {
	clip, err := voice.ReadWAV(wav)
	if err != nil {
		return nil, 0, err
	}
	length := time.Duration(len(clip)) * time.Second / voice.Rate
	if length > maxRecording {
		return nil, 0, errors.New("the recording is longer than a minute")
	}
	return pcmWAV(clip), length, nil
}

// Speak implements web.Voice: fixed text as on a call, and a pause for values.
func (v editorVoice) Speak(ctx context.Context, language, text string) ([]byte, error) {
	s := ringfence.Speech{Language: language, Source: text}
	for _, fixed := range voice.Fixed(text) {
		s.Parts = append(s.Parts, ringfence.SpeechPart{Text: fixed})
	}
	clip, err := v.Render(ctx, s)
	if err != nil {
		return nil, err
	}
	return pcmWAV(clip), nil
}

// pcmWAV writes 16-bit linear samples, which every browser plays.
func pcmWAV(clip ringfence.Clip) []byte {
	var out bytes.Buffer
	size := uint32(2 * len(clip))
	out.WriteString("RIFF")
	put := func(v any) { _ = binary.Write(&out, binary.LittleEndian, v) } // a buffer takes everything
	put(36 + size)
	out.WriteString("WAVEfmt ")
	put([]uint32{16})
	put([]uint16{1, 1})
	put([]uint32{voice.Rate, 2 * voice.Rate})
	put([]uint16{2, 16})
	out.WriteString("data")
	put(size)
	put([]int16(clip))
	return out.Bytes()
}
