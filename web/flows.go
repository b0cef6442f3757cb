package web

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// Bundles keeps the flows and the policy that persons have let go live. It
	// judges every signature; the page only collects them.
	Bundles interface {
		// Current returns the bundle in force, nil when none is known.
		Current(ringfence.TenantID) *flows.Bundle
		// ByHash returns a bundle that was in force once, nil for any other.
		ByHash(tenant ringfence.TenantID, hash string) *flows.Bundle
		// Proposed returns a bundle that waits for a signature, wherever it was
		// proposed; ledger.ErrNotFound for any other.
		Proposed(ctx context.Context, tenant ringfence.TenantID, hash string) (*flows.Bundle, error)
		// DropAudio forgets those of the recordings that no bundle names.
		DropAudio(ctx context.Context, tx ledger.Tx, recordings []ringfence.Digest) error
		// BundleStatus reads what is in force, waits, is ramped and proposed.
		BundleStatus(context.Context, ringfence.TenantID) (BundleStatus, error)
		// SignBundle keeps a signature over flows.ApprovalMessage of the bundle;
		// the one that is enough brings it into force, or begins a ramp.
		SignBundle(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, share BundleShare, sig gate.Signature) (BundleResult, error)
		// RollBack brings back what was in force before, signed in the same way.
		RollBack(ctx context.Context, tenant ringfence.TenantID, hash string, sig gate.Signature) (BundleResult, error)
		// SetShare changes the running ramp; the zero share lets no new call in.
		SetShare(ctx context.Context, tenant ringfence.TenantID, share BundleShare, sig gate.Signature) (BundleResult, error)
	}
	// Voice is what callers hear, for people who write flows.
	Voice interface {
		// Recording judges an uploaded recording and returns it as a WAV file
		// that a browser plays. The error is a sentence for whoever uploaded it.
		Recording(wav []byte) (playable []byte, length time.Duration, err error)
		// Speak returns a fixed text as callers hear it, as a WAV file.
		Speak(ctx context.Context, language, text string) ([]byte, error)
	}
	// BundleShare says which calls a bundle gets. The zero value is none.
	BundleShare struct {
		Percent int      `json:"percent,omitempty" minimum:"0" maximum:"99"`
		Numbers []string `json:"numbers,omitempty" maxItems:"100" doc:"numbers called, as digits, country code first"`
		All     bool     `json:"all,omitempty" doc:"every call: ends a ramp"`
	}
	// BundleStatus is what stands on a tenant's shelf.
	BundleStatus struct {
		Current   string
		Next      *BundleEvent
		Ramp      *BundleEvent
		History   []BundleEvent
		Proposals []BundleEvent
	}
	// BundleEvent is one bundle, and what became or becomes of it.
	BundleEvent struct {
		Bundle  string
		How     string // base, published, rolled_back, ramped
		At      time.Time
		By      []ringfence.PersonID
		Share   BundleShare
		Looser  bool   // of a proposal: than what was in force when it was proposed
		Stopped string // a ramp that no new call enters: why
	}
	// BundleResult says what became of a signature.
	BundleResult struct {
		Refused  string // "" = done
		Proposed bool   // the signature is kept and another is missing, as Refused says
		Signed   []ringfence.PersonID
		Changes  []flows.Change
		Looser   bool
		From     time.Time // when it takes effect; zero = not yet enough signatures
	}
)

// The kinds of records of the flow editor. They are stored and never renamed.
const (
	kindFlowDraft ledger.Kind = "flow_draft" // one person's; keys: owner
	kindFlowAsk   ledger.Kind = "flow_ask"   // by hash of the bundle: what its second person looks at
	kindFlowTests ledger.Kind = "flow_tests" // by hash of the bundle
	kindFlowAudio ledger.Kind = "flow_audio" // by hash of the file
)

// Bounds of the flow editor.
const (
	maxFlowSet    = 1 << 20                         // changed text of a draft
	maxFlowFile   = 160 << 10                       // what flows reads of one file
	maxFlowFiles  = 200                             // changed files of a draft
	maxFlowBody   = 2*maxFlowSet + maxBodyBytes     // as JSON strings
	maxFlowAudio  = 2 << 20                         // one minute of 16 kHz, 16 bit
	maxAudioBody  = maxFlowAudio*4/3 + maxBodyBytes // as base64
	maxFlowAsks   = 20                              // proposals that wait
	maxFlowDrafts = 20                              // of one person
	flowAskLife   = 7 * 24 * time.Hour              // as long as a proposal waits on the shelf
)

var errNoBundles = problem.New(problem.Unavailable, "Flows cannot be edited here.")

type (
	flowHeadView struct {
		Name         string   `json:"name"`
		File         string   `json:"file"`
		Starts       string   `json:"starts"`
		About        string   `json:"about"`
		Kind         string   `json:"kind,omitempty" doc:"of the subject"`
		Action       string   `json:"action,omitempty"`
		Translations []string `json:"translations"`
	}
	bundleView struct {
		Bundle  string      `json:"bundle"`
		How     string      `json:"how,omitempty"`
		At      time.Time   `json:"at,omitzero"`
		By      []string    `json:"by" doc:"names"`
		Share   BundleShare `json:"share,omitzero"`
		Stopped string      `json:"stopped,omitempty"`
		Title   string      `json:"title,omitempty"`
		Looser  bool        `json:"looser,omitempty"`
		Mine    bool        `json:"mine,omitempty" doc:"you have signed it"`
		Here    bool        `json:"here,omitempty" doc:"it was asked for in this editor, else on the command line; both can be signed here"`
	}
	flowsOut struct {
		Body struct {
			MayEdit   bool            `json:"may_edit"`
			Current   string          `json:"current"`
			Flows     []flowHeadView  `json:"flows"`
			Next      *bundleView     `json:"next,omitempty"`
			Ramp      *bundleView     `json:"ramp,omitempty"`
			History   []bundleView    `json:"history" doc:"newest first"`
			Proposals []bundleView    `json:"proposals"`
			Drafts    []flowDraftView `json:"drafts" doc:"your own"`
		}
	}
)

type flowFilesOut struct {
	Body struct {
		Files map[string]string `json:"files" doc:"text by path"`
	}
}

// flowAPI is the editor of flows: drafts of one person, what the tools say of
// them, and the two signatures by which one of them goes live.
func (s *Server) flowAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows", Summary: "Flows in force, and what waits, is ramped, proposed or drafted"}, s.listFlows)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows/current", Summary: "The files of what is in force"}, s.currentFiles)
	s.flowDraftAPI(a)
	s.flowToolAPI(a)
	s.flowSignAPI(a)
	s.flowAudioAPI(a)
	s.flowReplayAPI(a)
}

// mayEdit: others who may open the editor only read.
func mayEdit(p principal) bool { return p.has(ringfence.RoleOps) || p.has(ringfence.RoleRisk) }

func (s *Server) listFlows(ctx context.Context, _ *struct{}) (*flowsOut, error) {
	p, out := who(ctx), &flowsOut{}
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	status, err := s.cfg.Bundles.BundleStatus(ctx, p.tenant)
	if err != nil {
		return nil, err
	}
	out.Body.MayEdit, out.Body.Current, out.Body.Flows = mayEdit(p), status.Current, flowHeads(s.cfg.Bundles.Current(p.tenant))
	err = s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		names, err := staffNames(ctx, tx)
		if err != nil {
			return err
		}
		view := func(e BundleEvent) bundleView { return viewBundle(e, names, p) }
		out.Body.Next, out.Body.Ramp = nil, nil
		if status.Next != nil {
			out.Body.Next = new(view(*status.Next))
		}
		if status.Ramp != nil {
			out.Body.Ramp = new(view(*status.Ramp))
		}
		out.Body.History, out.Body.Proposals = []bundleView{}, []bundleView{}
		for i := len(status.History) - 1; i >= 0 && len(out.Body.History) < 50; i-- {
			out.Body.History = append(out.Body.History, view(status.History[i]))
		}
		for _, e := range status.Proposals {
			v := view(e)
			if ask, _, err := ledger.Read[flowAsk](ctx, tx, kindFlowAsk, e.Bundle); err == nil {
				v.Title, v.Looser, v.Here, v.Share, v.At = ask.Title, ask.Looser, true, ask.Share, ask.At
			}
			out.Body.Proposals = append(out.Body.Proposals, v)
		}
		out.Body.Drafts, err = s.ownDrafts(ctx, tx, p)
		return err
	})
	return out, err
}

func (s *Server) currentFiles(ctx context.Context, _ *struct{}) (*flowFilesOut, error) {
	set, err := s.set(ctx, flowSetIn{})
	out := &flowFilesOut{}
	out.Body.Files = set.texts()
	return out, err
}

func viewBundle(e BundleEvent, names map[ringfence.PersonID]string, p principal) bundleView {
	v := bundleView{Bundle: e.Bundle, How: e.How, At: e.At, By: []string{}, Share: e.Share, Looser: e.Looser, Stopped: e.Stopped}
	for _, id := range e.By {
		name := names[id]
		if name == "" {
			name = "somebody who has left"
		}
		v.By, v.Mine = append(v.By, name), v.Mine || id == p.person.ID
	}
	return v
}

func flowHeads(b *flows.Bundle) []flowHeadView {
	out := []flowHeadView{}
	if b == nil {
		return out
	}
	for _, f := range b.Flows() {
		w := flows.DefaultWorld(b, f)
		out = append(out, flowHeadView{Name: f.Name, File: f.File, Starts: string(f.Starts), About: f.About, Kind: string(w.Kind), Action: w.Action,
			Translations: append([]string{}, f.Translations...)})
	}
	return out
}
