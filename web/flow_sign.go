package web

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// flowAsk is what its author asks a second person to sign: exactly the bytes
	// whose hash both sign. A later change of the draft is not in it.
	flowAsk struct {
		Title     string             `json:"title"`
		Note      string             `json:"note"`
		By        ringfence.PersonID `json:"by"`
		At        time.Time          `json:"at"`
		Share     BundleShare        `json:"share,omitzero"`
		Looser    bool               `json:"looser"` // when it was asked
		Canonical []byte             `json:"canonical"`
	}
	signatureBody struct {
		Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
		Response json.RawMessage `json:"response"`
	}
	flowAskBeginIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Version int64 `json:"version" doc:"of the draft, as it was looked at"`
		}
	}
	flowAskFinishIn struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Version   int64         `json:"version"`
			Note      string        `json:"note,omitempty" maxLength:"500" doc:"for the second person"`
			Share     BundleShare   `json:"share,omitzero" doc:"not zero: it begins as a ramp"`
			Signature signatureBody `json:"signature"`
		}
	}
	onBundle struct {
		ID string `path:"id" pattern:"^[0-9a-f]{64}$"`
	}
	flowProposalOut struct {
		Body struct {
			Bundle string         `json:"bundle"`
			Title  string         `json:"title"`
			Note   string         `json:"note"`
			By     string         `json:"by"`
			At     time.Time      `json:"at"`
			Share  BundleShare    `json:"share,omitzero"`
			Signed []string       `json:"signed"`
			Mine   bool           `json:"mine"`
			Diff   flowDiffBody   `json:"diff" doc:"to what is in force now"`
			Check  flowCheckBody  `json:"check"`
			Tests  int            `json:"tests"`
			Failed []flowTestView `json:"failed"`
		}
	}
	flowSignIn struct {
		ID   string `path:"id" pattern:"^[0-9a-f]{64}$"`
		Body struct {
			Signature signatureBody `json:"signature"`
		}
	}
	flowShareIn struct {
		Body struct {
			Share     BundleShare   `json:"share,omitzero" doc:"zero: no new call enters, and both policies stay"`
			Signature signatureBody `json:"signature"`
		}
	}
	flowSignedOut struct {
		Body struct {
			Bundle  string         `json:"bundle"`
			Done    bool           `json:"done" doc:"there are enough signatures"`
			Waiting string         `json:"waiting,omitempty" doc:"why not yet"`
			Looser  bool           `json:"looser"`
			From    time.Time      `json:"from,omitzero" doc:"when it takes effect"`
			Changes []flows.Change `json:"changes"`
		}
	}
)

func (s *Server) flowSignAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/ask/begin", Summary: "Begin to sign a draft, to ask a second person for theirs"}, s.beginAsk)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/ask/finish", Summary: "Sign a draft: a second person is asked to sign the same bytes"}, s.finishAsk)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows/proposals/{id}", Summary: "What somebody asks to be signed: what is looser first, then all that changed"}, s.showProposal)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/proposals/{id}/begin", Summary: "Begin to sign a proposal"},
		func(ctx context.Context, in *onBundle) (*optionsOut, error) {
			_, b, err := s.flowAsked(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "bundle", flows.ApprovalMessage(b.Hash()))
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/proposals/{id}/finish", Summary: "Sign a proposal; the second person's signature lets it go live"}, s.signProposal)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/rollback/{id}/begin", Summary: "Begin to sign a rollback"},
		func(ctx context.Context, in *onBundle) (*optionsOut, error) { return s.beginHash(ctx, in.ID) })
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/rollback/{id}/finish", Summary: "Bring a bundle back that was in force before"}, s.rollBack)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/ramp/begin", Summary: "Begin to sign a change of the ramp"}, s.beginShare)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/ramp/finish", Summary: "Change how many calls get the ramped bundle"}, s.setShare)
}

// flowAsked reads what is asked for and checks that it is what its name says.
func (s *Server) flowAsked(ctx context.Context, hash string) (ask flowAsk, b *flows.Bundle, err error) {
	if s.cfg.Bundles == nil {
		return ask, nil, errNoBundles
	}
	err = s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) (err error) {
		ask, _, err = ledger.Read[flowAsk](ctx, tx, kindFlowAsk, hash)
		if err == nil && tx.Now().Sub(ask.At) > flowAskLife {
			err = ledger.ErrNotFound
		}
		return err
	})
	if isNotFound(err) {
		return s.proposedElsewhere(ctx, hash)
	}
	if err != nil {
		return ask, nil, err
	}
	if b, _ = flows.ReadBundle(ask.Canonical); b == nil || b.HashText() != hash {
		return ask, nil, problem.New(problem.Unprocessable, "This version cannot read what was asked for. Ask for it again.")
	}
	return ask, b, nil
}

// proposedElsewhere is a proposal that was not made in the editor, such as one of
// "ringfence flow publish": its bytes stand on the shelf, and it has no title.
func (s *Server) proposedElsewhere(ctx context.Context, hash string) (flowAsk, *flows.Bundle, error) {
	tenant := who(ctx).tenant
	status, err := s.cfg.Bundles.BundleStatus(ctx, tenant)
	if err != nil {
		return flowAsk{}, nil, err
	}
	i := slices.IndexFunc(status.Proposals, func(e BundleEvent) bool { return e.Bundle == hash })
	if i < 0 {
		return flowAsk{}, nil, ledger.ErrNotFound
	}
	e := status.Proposals[i]
	ask := flowAsk{At: e.At, Share: e.Share, Looser: e.Looser}
	if len(e.By) > 0 {
		ask.By = e.By[0]
	}
	b, err := s.cfg.Bundles.Proposed(ctx, tenant, hash)
	return ask, b, err
}

// draftBundle is a draft of one's own as it was looked at.
func (s *Server) draftBundle(ctx context.Context, id string, version int64) (flowDraftRow, flowSet, *flows.Bundle, error) {
	if s.cfg.Bundles == nil {
		return flowDraftRow{}, flowSet{}, nil, errNoBundles
	}
	d, have, err := s.flowDraft(ctx, id)
	if err != nil {
		return d, flowSet{}, nil, err
	}
	if version != have {
		return d, flowSet{}, nil, problem.New(problem.Conflict, "The draft was changed since you looked at it. Look again.")
	}
	set, err := s.draftSet(ctx, d)
	if err != nil {
		return d, set, nil, err
	}
	b, err := set.loaded()
	if err != nil {
		return d, set, nil, err
	}
	if current := s.cfg.Bundles.Current(who(ctx).tenant); current != nil && current.HashText() != d.Base {
		return d, set, nil, problem.New(problem.Conflict, "Something else came into force since this draft began. Take it up first: else your draft would undo it.")
	}
	return d, set, b, nil
}

func (s *Server) beginAsk(ctx context.Context, in *flowAskBeginIn) (*optionsOut, error) {
	_, _, b, err := s.draftBundle(ctx, in.ID, in.Body.Version)
	if err != nil {
		return nil, err
	}
	if !flows.Prove(b).Clean() {
		return nil, problem.New(problem.Unprocessable, "Not every property is proved. Mend what stands under Problems first.")
	}
	return s.beginSign(ctx, "bundle", flows.ApprovalMessage(b.Hash()))
}

// finishAsk keeps the bytes before the signature over them goes to the shelf:
// the second person must be able to read what the first has signed.
func (s *Server) finishAsk(ctx context.Context, in *flowAskFinishIn) (*flowSignedOut, error) {
	p := who(ctx)
	if in.Body.Share.All {
		return nil, problem.New(problem.Unprocessable, "A ramp begins with 1 to 99 percent of the calls, or with numbers.")
	}
	d, set, b, err := s.draftBundle(ctx, in.ID, in.Body.Version)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "bundle", flows.ApprovalMessage(b.Hash()), in.Body.Signature.Ceremony, in.Body.Signature.Response)
	if err != nil {
		return nil, err
	}
	ask := flowAsk{Title: d.Title, Note: plainWords(in.Body.Note, 500), By: p.person.ID, Share: in.Body.Share, Canonical: b.Canonical()}
	if current := s.cfg.Bundles.Current(p.tenant); current != nil {
		ask.Looser = len(flows.Looser(flows.Diff(current, b))) > 0
	}
	if err := s.keepAsk(ctx, b.HashText(), ask, set); err != nil {
		return nil, err
	}
	result, err := s.cfg.Bundles.SignBundle(ctx, p.tenant, b, in.Body.Share, sig)
	if err != nil {
		return nil, err
	}
	return signedBundle(b.HashText(), result)
}

// keepAsk keeps what is asked for, and the tests that belong to it.
func (s *Server) keepAsk(ctx context.Context, hash string, ask flowAsk, set flowSet) error {
	tests := map[string]string{}
	for _, f := range set.tests {
		tests[f.Path] = string(f.Data)
	}
	return s.cfg.Store.Update(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
		waiting := 0
		for rec, err := range ledger.All(ctx, tx, kindFlowAsk, ledger.Query{}) {
			if err != nil {
				return err
			}
			if tx.Now().UnixNano()-rec.Sort <= int64(flowAskLife) {
				waiting++
			} else if err := tx.Delete(ctx, kindFlowAsk, rec.ID, rec.Version); err != nil {
				return err
			}
		}
		version, err := versionOf(ctx, tx, kindFlowAsk, hash)
		if err != nil {
			return err
		}
		if version == 0 && waiting >= maxFlowAsks {
			return problem.New(problem.Conflict, "20 proposals were made within a week. Wait until one lapses.")
		}
		ask.At = tx.Now()
		rec := ledger.Record{Kind: kindFlowAsk, ID: hash, Version: version, Sort: ask.At.UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, ask); err != nil {
			return err
		}
		if version, err = versionOf(ctx, tx, kindFlowTests, hash); err != nil {
			return err
		}
		rec = ledger.Record{Kind: kindFlowTests, ID: hash, Version: version, Sort: ask.At.UnixNano()}
		return ledger.Write(ctx, tx, &rec, tests)
	})
}

// versionOf is 0 for a record that is not there.
func versionOf(ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string) (int64, error) {
	rec, err := tx.Get(ctx, kind, id)
	if isNotFound(err) {
		return 0, nil
	}
	return rec.Version, err
}

func (s *Server) showProposal(ctx context.Context, in *onBundle) (*flowProposalOut, error) {
	p := who(ctx)
	ask, b, err := s.flowAsked(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	set, err := s.bundleSet(ctx, b)
	if err != nil {
		return nil, err
	}
	now, err := s.set(ctx, flowSetIn{})
	if err != nil {
		return nil, err
	}
	status, err := s.cfg.Bundles.BundleStatus(ctx, p.tenant)
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := &flowProposalOut{}
	body := &out.Body
	body.Bundle, body.Title, body.Note, body.At, body.Share = in.ID, ask.Title, ask.Note, ask.At, ask.Share
	body.Diff, body.Check, body.Signed, body.Failed = diffSets(now, set), checkSet(set, "", ""), []string{}, []flowTestView{}
	tests, err := runTests(ctx, b, set.tests, "")
	if err != nil {
		return nil, err
	}
	body.Tests = len(tests.Tests)
	for _, t := range tests.Tests {
		if len(t.Problems) > 0 {
			body.Failed = append(body.Failed, t)
		}
	}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		names, err := staffNames(ctx, tx)
		body.By = names[ask.By]
		for _, e := range status.Proposals {
			if e.Bundle == in.ID {
				v := viewBundle(e, names, p)
				body.Signed, body.Mine = v.By, v.Mine
			}
		}
		return err
	})
}

func (s *Server) signProposal(ctx context.Context, in *flowSignIn) (*flowSignedOut, error) {
	ask, b, err := s.flowAsked(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "bundle", flows.ApprovalMessage(b.Hash()), in.Body.Signature.Ceremony, in.Body.Signature.Response)
	if err != nil {
		return nil, err
	}
	result, err := s.cfg.Bundles.SignBundle(ctx, who(ctx).tenant, b, ask.Share, sig)
	if err != nil {
		return nil, err
	}
	return signedBundle(in.ID, result)
}

// signedBundle is the answer to a signature. One that is kept and waits for
// another is done; any other refusal is a conflict, in words for people.
func signedBundle(hash string, r BundleResult) (*flowSignedOut, error) {
	if r.Refused != "" && !r.Proposed {
		return nil, problem.New(problem.Conflict, upperFirst(r.Refused)+".")
	}
	out := &flowSignedOut{}
	out.Body.Bundle, out.Body.Looser, out.Body.From, out.Body.Changes = hash, r.Looser, r.From, append([]flows.Change{}, r.Changes...)
	out.Body.Done = r.Refused == ""
	if r.Proposed {
		out.Body.Waiting = upperFirst(r.Refused) + "."
	}
	return out, nil
}

// beginHash begins a signature over a bundle that was in force before.
func (s *Server) beginHash(ctx context.Context, hash string) (*optionsOut, error) {
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	if s.cfg.Bundles.ByHash(who(ctx).tenant, hash) == nil {
		return nil, ledger.ErrNotFound
	}
	return s.beginSign(ctx, "bundle", bundleMessage(hash))
}

// bundleMessage is the message over a hash in hexadecimal; the zero message for
// what is none, which nobody ever signs.
func bundleMessage(hash string) [32]byte {
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != 32 {
		return [32]byte{}
	}
	return flows.ApprovalMessage([32]byte(raw))
}

func (s *Server) rollBack(ctx context.Context, in *flowSignIn) (*flowSignedOut, error) {
	if s.cfg.Bundles == nil {
		return nil, errNoBundles
	}
	sig, err := s.finishSign(ctx, "bundle", bundleMessage(in.ID), in.Body.Signature.Ceremony, in.Body.Signature.Response)
	if err != nil {
		return nil, err
	}
	result, err := s.cfg.Bundles.RollBack(ctx, who(ctx).tenant, in.ID, sig)
	if err != nil {
		return nil, err
	}
	return signedBundle(in.ID, result)
}

// ramped is the bundle that gets a share of the calls now.
func (s *Server) ramped(ctx context.Context) (string, error) {
	if s.cfg.Bundles == nil {
		return "", errNoBundles
	}
	status, err := s.cfg.Bundles.BundleStatus(ctx, who(ctx).tenant)
	if err != nil {
		return "", err
	}
	if status.Ramp == nil {
		return "", problem.New(problem.Conflict, "No bundle is being ramped.")
	}
	return status.Ramp.Bundle, nil
}

func (s *Server) beginShare(ctx context.Context, _ *struct{}) (*optionsOut, error) {
	hash, err := s.ramped(ctx)
	if err != nil {
		return nil, err
	}
	return s.beginSign(ctx, "bundle", bundleMessage(hash))
}

func (s *Server) setShare(ctx context.Context, in *flowShareIn) (*flowSignedOut, error) {
	hash, err := s.ramped(ctx)
	if err != nil {
		return nil, err
	}
	if share := in.Body.Share; share.All && (share.Percent > 0 || len(share.Numbers) > 0) || slices.Contains(share.Numbers, "") {
		return nil, problem.New(problem.Unprocessable, "Say either a share or all calls.")
	}
	var sig gate.Signature
	if sig, err = s.finishSign(ctx, "bundle", bundleMessage(hash), in.Body.Signature.Ceremony, in.Body.Signature.Response); err != nil {
		return nil, err
	}
	result, err := s.cfg.Bundles.SetShare(ctx, who(ctx).tenant, in.Body.Share, sig)
	if err != nil {
		return nil, err
	}
	return signedBundle(hash, result)
}
