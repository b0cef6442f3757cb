package web

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/verify/passkey"
)

// testShelf shows a real shelf to the web, as cmd does.
type testShelf struct{ *shelf.Shelf }

func (e testShelf) BundleStatus(ctx context.Context, tenant ringfence.TenantID) (BundleStatus, error) {
	st, err := e.Status(ctx, tenant)
	out := BundleStatus{Current: st.Current}
	if st.Next != nil {
		out.Next = &BundleEvent{Bundle: st.Next.Bundle, How: st.Next.How, At: st.Next.From, By: st.Next.By}
	}
	if st.Ramp != nil {
		out.Ramp = &BundleEvent{Bundle: st.Ramp.Bundle, How: "ramped", At: st.Ramp.Since, Share: BundleShare{Percent: st.Ramp.Share.Percent}, Stopped: st.Ramp.Stopped}
	}
	for _, p := range st.History {
		out.History = append(out.History, BundleEvent{Bundle: p.Bundle, How: p.How, At: p.At, By: p.By})
	}
	for _, p := range st.Drafts {
		out.Proposals = append(out.Proposals, BundleEvent{Bundle: p.Bundle, At: p.At, By: p.Signed, Share: BundleShare{Percent: p.Share.Percent}, Looser: p.Looser})
	}
	return out, err
}

func (e testShelf) SignBundle(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, share BundleShare, sig gate.Signature) (BundleResult, error) {
	return e.result(e.Publish(ctx, tenant, shelf.PublishRequest{Bundle: b, Approval: e.approval(sig), Share: shelf.Share{Percent: share.Percent}}))
}

func (e testShelf) RollBack(ctx context.Context, tenant ringfence.TenantID, hash string, sig gate.Signature) (BundleResult, error) {
	return e.result(e.Rollback(ctx, tenant, hash, e.approval(sig)))
}

func (e testShelf) SetShare(ctx context.Context, tenant ringfence.TenantID, share BundleShare, sig gate.Signature) (BundleResult, error) {
	return e.result(e.Shelf.SetShare(ctx, tenant, shelf.Share{Percent: share.Percent}, share.All, e.approval(sig)))
}

func (testShelf) approval(sig gate.Signature) shelf.Approval {
	return shelf.Approval{Person: sig.Person, Authenticator: sig.Authenticator, Signature: sig.Assertion}
}

func (testShelf) result(r shelf.Result, err error) (BundleResult, error) {
	return BundleResult{Refused: string(r.Refused), Proposed: r.Proposed, Signed: r.Signed, Changes: r.Changes, Looser: r.Looser, From: r.From}, err
}

func (e testShelf) StartShadow(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, by ringfence.PersonID) (BundleResult, error) {
	return e.result(e.Shelf.StartShadow(ctx, tenant, b, by, 0))
}

func (e testShelf) StopShadow(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID) (BundleResult, error) {
	return e.result(e.Shelf.StopShadow(ctx, tenant, by))
}

func (e testShelf) ShadowStatus(ctx context.Context, tenant ringfence.TenantID) (ShadowStatus, error) {
	st, err := e.Shelf.ShadowStatus(ctx, tenant)
	return ShadowStatus{Bundle: st.Bundle, Since: st.Since, Until: st.Until, Calls: st.Calls}, err
}

// testVoice takes what begins like a WAV file of 8 kHz.
type testVoice struct{}

func (testVoice) Recording(wav []byte) ([]byte, time.Duration, error) {
	if len(wav) < 44 || binary.LittleEndian.Uint32(wav[24:]) != 8000 {
		return nil, 0, errors.New("no")
	}
	return wav, time.Duration(len(wav)-44) * time.Second / 16000, nil
}

func (testVoice) Speak(_ context.Context, _, text string) ([]byte, error) {
	if strings.Contains(text, "unspeakable") {
		return nil, errors.New("no")
	}
	return tone(800), nil
}

// tone is a WAV file of so many silent samples.
func tone(samples int) []byte {
	out := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0)
	out = append(out, "data"...)
	out = binary.LittleEndian.AppendUint32(out, uint32(2*samples))
	binary.LittleEndian.PutUint32(out[4:], uint32(36+2*samples))
	return append(out, make([]byte, 2*samples)...)
}

// withFlows gives the server the shipped flows on a real shelf, which checks
// passkeys as the product does.
func withFlows(t testing.TB) func(*Config) {
	t.Helper()
	base, list := flows.LoadDir(scripts.FS)
	if base == nil {
		t.Fatal(list)
	}
	return func(c *Config) {
		s, err := shelf.New(shelf.Config{Store: c.Store, Base: base,
			Prove: func(b *flows.Bundle) (flows.Certificate, error) {
				r := flows.Prove(b)
				if !r.Clean() {
					return r.Certificate(), errors.New("not proved")
				}
				return r.Certificate(), nil
			},
			CheckPasskey: func(ctx context.Context, a ringfence.Authenticator, m [32]byte, assertion []byte) error {
				check, err := passkey.CheckApproval(passkey.RP{ID: "localhost", Origins: []string{c.StaffURL}, Name: "ringfence"})
				if err != nil {
					return err
				}
				return check(ctx, a, m, assertion)
			}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Refresh(t.Context(), ringfence.DefaultTenant); err != nil {
			t.Fatal(err)
		}
		if err := s.Remember(t.Context(), ringfence.DefaultTenant); err != nil {
			t.Fatal(err)
		}
		c.Bundles, c.FlowVoice, c.Scripts = testShelf{s}, testVoice{}, os.DirFS("../scripts")
	}
}

// testReplays keeps one call: somebody was greeted and hung up.
type testReplays struct{ told []string }

const keptCall = ringfence.TraversalID("trv_00000000000000000000000001")

func (r *testReplays) Recorded(context.Context, ringfence.TenantID) ([]RecordedCall, error) {
	return []RecordedCall{{ID: keptCall, Reference: "K7M2P9QX", Line: "main", Flow: "customer-line", Runs: 1, At: time.Now()}}, nil
}

func (r *testReplays) Replay(_ context.Context, _ ringfence.TenantID, by ringfence.PersonID, id ringfence.TraversalID, b *flows.Bundle) ([]flows.Followed, error) {
	if id != keptCall {
		return nil, ledger.ErrNotFound
	}
	r.told = append(r.told, string(by))
	trace, err := keptTrace()
	if err != nil {
		return nil, err
	}
	got, err := flows.Replay(b, trace)
	return []flows.Followed{got}, err
}

// FlowTraces implements web.FlowTraces.
func (r *testReplays) FlowTraces(_ context.Context, _ ringfence.TenantID, id ringfence.TraversalID) ([]flows.Trace, error) {
	if id != keptCall {
		return nil, ledger.ErrNotFound
	}
	trace, err := keptTrace()
	return []flows.Trace{trace}, err
}

// keptTrace is what the recorder makes of that call.
func keptTrace() (flows.Trace, error) {
	base, _ := flows.LoadDir(scripts.FS)
	facts := flows.Facts{Start: flows.StartsInbound, Call: flows.CallFacts{Attestation: "A", NumberShown: "yes", Direction: ringfence.Inbound, Weekday: "monday", Open: true}}
	s, effects, err := flows.Start(base, "customer-line", facts)
	if err != nil {
		return flows.Trace{}, err
	}
	now := time.Now()
	rec := flows.NewRecorder(base, "customer-line", facts, now)
	rec.Saw(now, s, flows.Input{}, effects)
	for _, in := range []flows.Input{{Kind: flows.InPlayed}, {Kind: flows.InHungUp}} {
		for _, e := range effects {
			if e.Kind == flows.EffSpeak {
				in.Ref = e.Ref
			}
		}
		effects = flows.Step(base, s, in)
		rec.Saw(now.Add(3*time.Second), s, in, effects)
	}
	return rec.Trace(), nil
}

func TestRealCallsAreReplayed(t *testing.T) {
	kept := &testReplays{}
	d := newDesktop(t, withFlows(t), func(c *Config) { c.Replays = kept })
	omar := d.person("Omar", ringfence.RoleOps)
	cookie := d.signIn(omar)
	list := decode[struct{ Calls []flowCallView }](t, d.ask(cookie, "GET", "/v1/flows/calls", nil))
	if len(list.Calls) != 1 || list.Calls[0].Flow != "customer-line" {
		t.Fatalf("%+v", list)
	}
	type answer struct{ Runs []flowFollowed }
	same := decode[answer](t, d.ask(cookie, "POST", "/v1/flows/replay", map[string]any{"set": map[string]any{}, "call": keptCall}))
	if len(same.Runs) != 1 || same.Runs[0].Result != "same" || len(same.Runs[0].Steps) < 2 || same.Runs[0].Steps[0].Line != 20 {
		t.Errorf("%+v", same)
	}
	other := strings.Replace(mustText(t, "../scripts/customer-line.yaml"), "Welcome to Acme.", "Good day.", 1)
	words := decode[answer](t, d.ask(cookie, "POST", "/v1/flows/replay", map[string]any{"set": flowsOf("", map[string]string{"customer-line.yaml": strings.Replace(other, "translations: [de]", "", 1)}), "call": keptCall}))
	if len(words.Runs) != 1 || words.Runs[0].Result != "words" || len(words.Runs[0].Differences) != 1 || !strings.Contains(words.Runs[0].Differences[0].Says, "Good day.") {
		t.Errorf("%+v", words)
	}
	if w := d.ask(cookie, "POST", "/v1/flows/replay", map[string]any{"set": map[string]any{}, "call": "trv_x"}); w.Code != 404 {
		t.Errorf("a call that nobody kept: %d", w.Code)
	}
	if w := d.ask(cookie, "POST", "/v1/flows/replay", map[string]any{"set": flowsOf("", map[string]string{"customer-line.yaml": "["}), "call": keptCall}); w.Code != 422 {
		t.Errorf("against what does not load: %d", w.Code)
	}
	if !slices.Equal(kept.told, []string{string(omar.ID), string(omar.ID)}) {
		t.Errorf("played in the name of %v", kept.told)
	}
}

// A draft that follows live calls: only its own author starts it, and only as
// it was looked at.
func TestDraftFollowsLiveCalls(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar, rita := d.signIn(d.person("Omar", ringfence.RoleOps)), d.signIn(d.person("Rita", ringfence.RoleRisk))
	mine := d.flowsDraft(omar, "x")
	path := "/v1/flows/drafts/" + mine.Draft.ID
	shown := decode[struct{ Draft flowDraftView }](t, d.ask(omar, "POST", path+"/save", map[string]any{"version": mine.Draft.Version,
		"change": map[string]any{"files": map[string]string{"accounts-line.yaml": mine.Files["accounts-line.yaml"] + "# other\n"}}}))
	body := map[string]any{"version": shown.Draft.Version}
	if w := d.ask(rita, "POST", path+"/shadow", body); w.Code != 404 {
		t.Errorf("somebody else's draft: %d", w.Code)
	}
	if w := d.ask(omar, "POST", path+"/shadow", map[string]any{"version": 1000}); w.Code != 409 {
		t.Errorf("another version: %d", w.Code)
	}
	if w := d.ask(omar, "POST", path+"/shadow", body); w.Code != 204 {
		t.Fatalf("start: %d %s", w.Code, w.Body)
	}
	type shadow struct {
		Runs  bool
		Calls int
	}
	if st := decode[shadow](t, d.ask(rita, "GET", "/v1/flows/shadow", nil)); !st.Runs {
		t.Errorf("%+v", st)
	}
	if w := d.ask(rita, "POST", "/v1/flows/shadow/stop", nil); w.Code != 204 {
		t.Errorf("stop: %d %s", w.Code, w.Body)
	}
	if st := decode[shadow](t, d.ask(rita, "GET", "/v1/flows/shadow", nil)); st.Runs {
		t.Errorf("stopped: %+v", st)
	}
}

func (d *desktop) flowsDraft(cookie *http.Cookie, title string) flowDraftBody {
	d.t.Helper()
	made := decode[struct{ Draft flowDraftView }](d.t, d.ask(cookie, "POST", "/v1/flows/drafts", map[string]any{"title": title}))
	return decode[flowDraftBody](d.t, d.ask(cookie, "GET", "/v1/flows/drafts/"+made.Draft.ID, nil))
}

func flowsOf(draft string, files map[string]string) map[string]any {
	return map[string]any{"draft": draft, "change": map[string]any{"files": files}}
}

func TestFlowEditorWithoutAShelfRefuses(t *testing.T) {
	d := newDesktop(t)
	ops := d.signIn(d.person("Omar", ringfence.RoleOps))
	for path, body := range map[string]any{
		"/v1/flows/check":                           map[string]any{"set": map[string]any{}},
		"/v1/flows/drafts":                          map[string]any{"title": "x"},
		"/v1/flows/drafts/x/ask/begin":              map[string]any{"version": 1},
		"/v1/flows/ramp/begin":                      map[string]any{},
		"/v1/flows/rollback/" + zeroHash + "/begin": map[string]any{},
		"/v1/flows/speak":                           map[string]any{"language": "en", "text": "Hello."},
	} {
		if path == "/v1/flows/ramp/begin" || strings.HasSuffix(path, "/begin") && strings.Contains(path, "rollback") {
			body = nil
		}
		if w := d.ask(ops, "POST", path, body); w.Code != 503 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

const zeroHash = "0000000000000000000000000000000000000000000000000000000000000000"

func TestFlowDraftsAreOnesOwn(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar, rita := d.signIn(d.person("Omar", ringfence.RoleOps)), d.signIn(d.person("Rita", ringfence.RoleRisk))
	mine := d.flowsDraft(omar, "Warmer greeting\u202e")
	if mine.Draft.Title != "Warmer greeting" || mine.Files["customer-line.yaml"] == "" || mine.Files["tests/customer-line.yaml"] == "" || len(mine.Audio) == 0 {
		t.Fatalf("%+v with %d files", mine.Draft, len(mine.Files))
	}
	path := "/v1/flows/drafts/" + mine.Draft.ID
	changed := map[string]any{"version": mine.Draft.Version, "change": map[string]any{"files": map[string]string{"accounts-line.yaml": "flow: x\n"}}}
	for method, body := range map[string]any{"GET " + path: nil, "POST " + path + "/save": changed, "POST " + path + "/discard": nil, "POST " + path + "/take-up": nil,
		"POST " + path + "/ask/begin": map[string]any{"version": mine.Draft.Version}, "POST /v1/flows/check": map[string]any{"set": flowsOf(mine.Draft.ID, nil)}} {
		verb, at, _ := strings.Cut(method, " ")
		if w := d.ask(rita, verb, at, body); w.Code != 404 {
			t.Errorf("somebody else's %s: %d %s", method, w.Code, w.Body)
		}
	}
	saved := decode[struct{ Draft flowDraftView }](t, d.ask(omar, "POST", path+"/save", changed))
	if saved.Draft.Changed != 1 || saved.Draft.Version == mine.Draft.Version {
		t.Errorf("%+v", saved)
	}
	if w := d.ask(omar, "POST", path+"/save", changed); w.Code != 409 {
		t.Errorf("saved over a newer one: %d %s", w.Code, w.Body)
	}
	back := map[string]any{"version": saved.Draft.Version, "change": map[string]any{"files": map[string]string{"accounts-line.yaml": mine.Files["accounts-line.yaml"]}}}
	if saved = decode[struct{ Draft flowDraftView }](t, d.ask(omar, "POST", path+"/save", back)); saved.Draft.Changed != 0 {
		t.Errorf("as it was, and %d changed", saved.Draft.Changed)
	}
	if list := decode[struct{ Drafts []flowDraftView }](t, d.ask(rita, "GET", "/v1/flows", nil)); len(list.Drafts) != 0 {
		t.Errorf("others see %+v", list)
	}
	if w := d.ask(omar, "POST", path+"/discard", nil); w.Code != 204 {
		t.Errorf("discard: %d", w.Code)
	}
}

func TestHostileFlowSetsAreRefused(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar := d.signIn(d.person("Omar", ringfence.RoleOps))
	mine := d.flowsDraft(omar, "x")
	for name, c := range map[string]struct {
		path, text string
		want       int
	}{
		"a way out":      {"../policy.yaml", "", 422},
		"a folder":       {"a/b.yaml", "", 422},
		"capitals":       {"Policy.yaml", "", 422},
		"markup":         {"<img>.yaml", "", 422},
		"no ending":      {"policy", "", 422},
		"no language":    {"prompts/../x.yaml", "", 422},
		"a huge file":    {"huge.yaml", strings.Repeat("a", maxFlowFile+1), 413},
		"a hidden place": {".yaml", "", 422},
	} {
		change := map[string]string{c.path: c.text}
		for _, at := range []struct {
			path string
			body any
		}{{"/v1/flows/check", map[string]any{"set": flowsOf("", change)}},
			{"/v1/flows/drafts/" + mine.Draft.ID + "/save", map[string]any{"version": mine.Draft.Version, "change": map[string]any{"files": change}}}} {
			if w := d.ask(omar, "POST", at.path, at.body); w.Code != c.want {
				t.Errorf("%s at %s: %d %s", name, at.path, w.Code, w.Body)
			}
		}
	}
	many := map[string]string{}
	for i := range 8 {
		many["f"+string(rune('a'+i))+".yaml"] = strings.Repeat("x: y\n", 31<<10)
	}
	if w := d.ask(omar, "POST", "/v1/flows/check", map[string]any{"set": flowsOf("", many)}); w.Code != 413 {
		t.Errorf("too much altogether: %d", w.Code)
	}
	// Billions of laughs, nesting, and a thousand scenes: an answer, not a hang.
	for name, text := range map[string]string{
		"aliases":  "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
		"nesting":  strings.Repeat("[", 3000) + strings.Repeat("]", 3000),
		"scenes":   "flow: z\nstarts: inbound\nsubject: customer\nlanguage: en\nscenes:\n" + strings.Repeat("  s: [hangup]\n", 2000),
		"controls": "flow: \"a\x00b\"\n",
		"markup":   "flow: <script>alert(1)</script>\nstarts: inbound\nlanguage: en\nscenes: { a: [hangup] }\n",
	} {
		w := d.ask(omar, "POST", "/v1/flows/check", map[string]any{"set": flowsOf("", map[string]string{"z.yaml": text}), "file": "z.yaml"})
		got := decode[flowCheckBody](t, w)
		if w.Code != 200 || got.Clean || len(got.Problems) == 0 || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
		}
	}
}

func TestFlowCheckSaysWhatTheCommandLineSays(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	auditor := d.signIn(d.person("Avery", ringfence.RoleAuditor))
	good := decode[flowCheckBody](t, d.ask(auditor, "POST", "/v1/flows/check", map[string]any{"set": map[string]any{}, "flow": "customer-line"}))
	if !good.Clean || len(good.Problems) != 0 || good.Map == nil || len(good.Map.Boxes) == 0 || len(good.Weakest) == 0 || good.Reads == "" || good.Hash == "" {
		t.Fatalf("%+v", good)
	}
	src, err := os.ReadFile("../scripts/customer-line.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The passkey may be left out: a call releases without it.
	weak := strings.Replace(string(src), "missing: by_code", "missing: ring_back", 1)
	bad := decode[flowCheckBody](t, d.ask(auditor, "POST", "/v1/flows/check", map[string]any{"set": flowsOf("", map[string]string{"customer-line.yaml": weak})}))
	i := slices.IndexFunc(bad.Problems, func(p flowProblem) bool { return p.Code == "P1" })
	if bad.Clean || i < 0 || !strings.Contains(bad.Problems[i].Play, "CALLER:") || len(bad.Problems[i].Path) == 0 || bad.Problems[i].Line == 0 || bad.Problems[i].Test == "" {
		t.Fatalf("%+v", bad.Problems)
	}
	b, _ := flows.LoadDir(scripts.FS)
	if r := flows.Prove(b); r.States != good.States {
		t.Errorf("%d states, the command line explores %d", good.States, r.States)
	}
	gone := decode[flowCheckBody](t, d.ask(auditor, "POST", "/v1/flows/check", map[string]any{"set": map[string]any{"change": map[string]any{"gone": []string{"policy.yaml"}}}}))
	if gone.Clean || gone.Hash != "" || len(gone.Problems) == 0 {
		t.Errorf("without a policy: %+v", gone)
	}
}

func TestFlowToolsPlayTestAndCompare(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar := d.signIn(d.person("Omar", ringfence.RoleOps))
	play := decode[struct {
		Steps   []flowStep
		Options []string
		Ended   bool
	}](t, d.ask(omar, "POST", "/v1/flows/simulate", map[string]any{"set": map[string]any{}, "flow": "customer-line", "moves": []string{"10002000"}, "world": []string{"passkey=none"}}))
	if play.Ended || !slices.Contains(play.Options, "the code") || len(play.Steps) == 0 {
		t.Errorf("%+v", play)
	}
	for name, body := range map[string]map[string]any{
		"no such flow": {"set": map[string]any{}, "flow": "nothing"},
		"a bad world":  {"set": map[string]any{}, "flow": "customer-line", "world": []string{"x"}},
		"a long move":  {"set": map[string]any{}, "flow": "customer-line", "moves": []string{strings.Repeat("1", 201)}},
		"broken flows": {"set": flowsOf("", map[string]string{"customer-line.yaml": "flow: ["}), "flow": "customer-line"},
	} {
		if w := d.ask(omar, "POST", "/v1/flows/simulate", body); w.Code != 422 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	tests := decode[flowTestBody](t, d.ask(omar, "POST", "/v1/flows/test", map[string]any{"set": map[string]any{}, "flow": "customer-line"}))
	if tests.Failed != 0 || len(tests.Tests) < 20 || tests.Taken != tests.All || tests.Map == nil {
		t.Errorf("%d tests, %d failed, %d of %d ways", len(tests.Tests), tests.Failed, tests.Taken, tests.All)
	}
	fewer := decode[flowTestBody](t, d.ask(omar, "POST", "/v1/flows/test", map[string]any{"set": flowsOf("", map[string]string{"tests/customer-line.yaml": "test: it ends\nflow: customer-line\nexpect:\n  ends: connect nowhere\n"})}))
	if fewer.Failed != 1 || len(fewer.Gaps) == 0 {
		t.Errorf("%d failed, %d gaps", fewer.Failed, len(fewer.Gaps))
	}
	policyText := mustText(t, "../scripts/policy.yaml")
	looser := strings.Replace(policyText, "payments_desk: [pin]", "payments_desk: []", 1)
	if looser == policyText {
		t.Fatal("the policy asks no PIN for the payments desk any more")
	}
	diff := decode[flowDiffBody](t, d.ask(omar, "POST", "/v1/flows/diff", map[string]any{"set": flowsOf("", map[string]string{"policy.yaml": looser, "accounts-line.yaml": mustText(t, "../scripts/accounts-line.yaml") + "# end\n"})}))
	if !diff.Loads || len(diff.Files) != 2 || diff.Files[0].Added != 1 || diff.Files[0].Taken != 0 {
		t.Errorf("%+v", diff)
	}
	if !diff.Looser || !diff.Changes[0].Looser {
		t.Errorf("a queue without a PIN is not looser: %+v", diff.Changes)
	}
	rows := decode[struct{ Strings []flows.StringRow }](t, d.ask(omar, "POST", "/v1/flows/strings", map[string]any{"set": map[string]any{}, "language": "de"}))
	if len(rows.Strings) == 0 || rows.Strings[0].State != flows.StringDone {
		t.Errorf("%+v", rows.Strings)
	}
	put := decode[struct{ File, Text string }](t, d.ask(omar, "POST", "/v1/flows/strings/set", map[string]any{"set": map[string]any{}, "language": "de", "source": rows.Strings[0].Source, "said": "Hallo: #"}))
	if put.File != "prompts/de.yaml" || !strings.Contains(put.Text, `de: "Hallo: #"`) {
		t.Errorf("%.200s", put.Text)
	}
}

func mustText(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUploadedRecordingsAreSniffed(t *testing.T) {
	d := newDesktop(t, withFlows(t))
	omar := d.signIn(d.person("Omar", ringfence.RoleOps))
	mine := d.flowsDraft(omar, "x")
	at := "/v1/flows/drafts/" + mine.Draft.ID + "/audio"
	wrongRate := tone(8)
	wrongRate[24] = 1
	for name, c := range map[string]struct {
		path string
		wav  []byte
		want int
	}{
		"no audio":     {"audio/de/x.wav", []byte("<html>" + strings.Repeat("x", 60)), 422},
		"a script":     {"audio/de/x.wav", append([]byte("RIFF0000AVI "), make([]byte, 60)...), 422},
		"empty":        {"audio/de/x.wav", nil, 422},
		"another rate": {"audio/de/x.wav", wrongRate, 422},
		"a way out":    {"audio/../x.wav", tone(8), 422},
		"another kind": {"audio/de/x.mp3", tone(8), 422},
		"huge":         {"audio/de/x.wav", tone(maxFlowAudio / 2), 413},
	} {
		body := map[string]any{"version": mine.Draft.Version, "path": c.path, "wav": c.wav}
		if c.wav == nil {
			body["wav"] = []byte{}
		}
		if w := d.ask(omar, "POST", at, body); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	good := decode[struct {
		Draft   flowDraftView
		Seconds float64
	}](t, d.ask(omar, "POST", at, map[string]any{"version": mine.Draft.Version, "path": "audio/de/hello.wav", "wav": tone(8000)}))
	if good.Seconds != 1 || good.Draft.Changed != 1 {
		t.Fatalf("%+v", good)
	}
	hear := map[string]any{"set": flowsOf(mine.Draft.ID, nil), "path": "audio/de/hello.wav"}
	if got := decode[struct{ WAV []byte }](t, d.ask(omar, "POST", "/v1/flows/hear", hear)); !slices.Equal(got.WAV, tone(8000)) {
		t.Errorf("heard %d bytes", len(got.WAV))
	}
	if w := d.ask(omar, "POST", "/v1/flows/hear", map[string]any{"set": map[string]any{}, "path": "audio/de/hello.wav"}); w.Code != 404 {
		t.Errorf("a draft's recording outside it: %d", w.Code)
	}
	if w := d.ask(omar, "POST", "/v1/flows/speak", map[string]any{"language": "en", "text": "unspeakable"}); w.Code != 422 {
		t.Errorf("unspeakable: %d", w.Code)
	}
	if w := d.ask(omar, "POST", "/v1/flows/speak", map[string]any{"language": "en", "text": "Hello."}); w.Code != 200 {
		t.Errorf("spoken: %d %s", w.Code, w.Body)
	}
}

func TestTextDiff(t *testing.T) {
	got := diffFiles(map[string]string{"a": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b": "x\n", "c": "same"}, map[string]string{"a": "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "c": "same", "d": "new\n"})
	want := []fileDiff{
		{"a", "changed", 1, 1, []diffLine{{Kind: "skipped"}, {"same", 2, 2, "2"}, {"same", 3, 3, "3"}, {"same", 4, 4, "4"}, {Kind: "taken", Old: 5, Text: "5"}, {Kind: "added", New: 5, Text: "five"},
			{"same", 6, 6, "6"}, {"same", 7, 7, "7"}, {"same", 8, 8, "8"}, {Kind: "skipped"}}},
		{"b", "gone", 0, 1, []diffLine{{Kind: "taken", Old: 1, Text: "x"}}},
		{"d", "new", 1, 0, []diffLine{{Kind: "added", New: 1, Text: "new"}}},
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("have %s\nwant %s", a, b)
	}
}

// What the diff says gives both texts back.
func FuzzDiffLines(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 4000 || len(b) > 4000 {
			return
		}
		var old, now []string
		for _, l := range diffLines(linesOf(a), linesOf(b)) {
			if l.Kind != "added" {
				old = append(old, l.Text)
			}
			if l.Kind != "taken" {
				now = append(now, l.Text)
			}
		}
		if !slices.Equal(old, linesOf(a)) || !slices.Equal(now, linesOf(b)) {
			t.Errorf("%q and %q became %q and %q", a, b, old, now)
		}
	})
}

func BenchmarkFlowCheck(b *testing.B) {
	base, _ := flows.LoadDir(scripts.FS)
	set := flowSet{base: base, files: base.Files()}
	for b.Loop() {
		if out := checkSet(set, "password-reset", ""); !out.Clean {
			b.Fatal(out.Problems)
		}
	}
}
