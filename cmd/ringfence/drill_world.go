package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/scripts"
)

// drillWorld is the second ringfence with everybody around it: the demo's
// carrier, provider and executor, and the operator's flows, policy, lines and
// limits. Its keys, store and people are its own, so that no permit of it is
// worth anything, and nothing of it leaves loopback.
type drillWorld struct {
	*demo
	operator  config.Config
	tenant    ringfence.TenantID // whose lines and queues are drilled
	bundle    *flows.Bundle      // the operator's, as it stands
	files     drillFiles
	lanes     chan *lane
	laneCount int
	victims   map[string]*customer // by attack or stage
	stopView  func()

	stagesMu sync.Mutex
	stages   map[string]*stageRun // guarded by stagesMu

	doneMu   sync.Mutex
	approved []ringfence.ReleaseID // guarded by doneMu: approved by their subjects
	forced   []ringfence.ReleaseID // guarded by doneMu: approved under duress; may look ready, and no more
}

// drillFiles are scripts by their path in the folder.
type drillFiles map[string][]byte

// lane is a way to an agent of one's own: a line, a queue and a desk.
type lane struct {
	number, queue string
	agent         *colleague
}

// maxLanes bounds the agents of a drill.
const maxLanes = 4

// newDrillWorld starts everybody.
func newDrillWorld(ctx context.Context, cfg config.Config, o drillOptions) (_ *drillWorld, err error) {
	w := &drillWorld{operator: cfg, tenant: o.Tenant, bundle: o.Bundle, lanes: make(chan *lane, maxLanes), victims: map[string]*customer{}, stages: map[string]*stageRun{}}
	if w.bundle == nil {
		if w.bundle, err = loadBundle(cfg, nil); err != nil {
			return nil, err
		}
	}
	if w.files, err = filesOf(ctx, w.bundle, cfg, o.Audio); err != nil {
		return nil, err
	}
	w.demo = &demo{t: o.Story, shape: demoShape{configure: w.configure, scripts: w.writeScripts, people: func(ctx context.Context) error { return w.openVictims(ctx, o.Attacks) }}}
	if err := openDemo(ctx, w.demo); err != nil {
		return nil, err
	}
	var agents []*colleague
	for range len(w.lanes) {
		l := <-w.lanes
		agents = append(agents, l.agent)
		w.lanes <- l
	}
	w.stopView = w.attend(context.WithoutCancel(ctx), agents...)
	return w, nil
}

func (w *drillWorld) close(ctx context.Context) error {
	w.stopView()
	return w.demo.close(ctx)
}

// filesOf are the scripts of a bundle with their recordings.
func filesOf(ctx context.Context, b *flows.Bundle, cfg config.Config, audio func(context.Context, ringfence.Digest) ([]byte, error)) (drillFiles, error) {
	out := drillFiles{}
	for _, f := range b.Files() {
		if f.Data != nil {
			out[f.Path] = f.Data
			continue
		}
		raw, err := fs.ReadFile(scriptsOf(cfg, nil), f.Path)
		if published := err != nil || sha256.Sum256(raw) != f.SHA; published && audio != nil {
			raw, err = audio(ctx, ringfence.Digest(f.SHA))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		out[f.Path] = raw
	}
	return out, nil
}

// configure fills in the operator's configuration, where it is one of callers
// and not of places on the network.
func (w *drillWorld) configure(cfg *config.Config) error {
	op := w.operator
	own := cfg.SIP.Trunks
	cfg.SIP.Limits = op.SIP.Limits
	for _, t := range op.SIP.Trunks {
		if t.Outbound && t.From != "" {
			own[0].From = digitsOf(t.From)
		}
	}
	ours := cfg.STIR
	cfg.STIR = op.STIR
	cfg.STIR.LabHosts, cfg.STIR.Roots, cfg.STIR.Sign = ours.LabHosts, ours.Roots, config.STIRSign{}
	cfg.Verify = op.Verify
	cfg.Verify.Pepper, cfg.Verify.RPID = config.Secret{}, ""
	cfg.SingleOperator = op.SingleOperator
	for _, t := range op.Tenants {
		if tenantOr(t.ID) == w.tenant {
			cfg.Tenants[0].Name, cfg.Tenants[0].Language = t.Name, t.Language
		}
	}
	cfg.Executors[0].Actions, cfg.Executors[0].Key = nil, w.bank.Key()
	for _, a := range w.bundle.Policy().Actions() {
		cfg.Executors[0].Actions = append(cfg.Executors[0].Actions, a.Name)
	}
	w.configureLines(cfg)
	return nil
}

// configureLines takes over the tenant's lines and queues, and adds a line to
// each queue that policy opens to everybody and no own flow needs meanwhile.
func (w *drillWorld) configureLines(cfg *config.Config) {
	cfg.Lines, cfg.Queues = nil, nil
	busy, lanes := map[string]bool{}, 0
	for _, l := range w.operator.Lines {
		if tenantOr(l.Tenant) != w.tenant || l.Kind != "" {
			continue
		}
		cfg.Lines = append(cfg.Lines, config.Line{Name: l.Name, Numbers: l.Numbers, Flow: l.Flow, Zone: l.Zone, Language: l.Language})
		if l.Flow == customerFlow {
			for _, m := range connects.FindAllSubmatch(w.files[l.Flow+".yaml"], -1) {
				busy[string(m[1])] = true
			}
		}
	}
	for i, q := range w.openQueues() {
		person := "nobody@drill.example"
		if !busy[q] && lanes < maxLanes {
			lanes++
			person = laneEmail(i)
			cfg.Lines = append(cfg.Lines, config.Line{Name: "drill-" + laneFlow(i), Numbers: []string{laneNumber(i)}, Flow: laneFlow(i), Zone: "UTC"})
		}
		cfg.Queues = append(cfg.Queues, config.Queue{Name: q, People: []string{person}})
	}
	for _, q := range w.operator.Queues {
		known := slices.ContainsFunc(cfg.Queues, func(have config.Queue) bool { return have.Name == q.Name })
		if tenantOr(q.Tenant) == w.tenant && !known {
			cfg.Queues = append(cfg.Queues, config.Queue{Name: q.Name, People: []string{"nobody@drill.example"}})
		}
	}
}

var connects = regexp.MustCompile(`(?m)^\s*- connect: *([a-z0-9_]+)`)

func laneFlow(i int) string   { return fmt.Sprintf("drill-lane-%c", 'a'+i) }
func laneEmail(i int) string  { return fmt.Sprintf("agent-%c@drill.example", 'a'+i) }
func laneNumber(i int) string { return fmt.Sprintf("9990000%02d", i) }

// openQueues are the queues that a caller may be put through to without any
// proof, by name.
func (w *drillWorld) openQueues() (out []string) {
	for _, q := range w.bundle.Policy().Queues() {
		if w.bundle.Policy().MayConnect(q.Name, policy.NewFactSet()) {
			out = append(out, q.Name)
		}
	}
	slices.Sort(out)
	return out
}

// drilledFlows are the console flows by which an agent has things proved. A
// bundle that has none of that name gets the shipped one.
var drilledFlows = []string{"step-up-passkey.yaml", "step-up-call-back.yaml", "step-up-answer.yaml", "step-up-code.yaml"}

// writeScripts writes the operator's scripts into a folder, with the lanes'
// flows and one waiver: the drill's own staff begin at once.
func (w *drillWorld) writeScripts(dir string) error {
	all := maps.Clone(w.files)
	for _, name := range drilledFlows {
		if all[name] == nil {
			shipped, err := scripts.FS.ReadFile(name)
			if err != nil {
				return err
			}
			all[name] = shipped
		}
	}
	for i, q := range w.openQueues() {
		all[laneFlow(i)+".yaml"] = fmt.Appendf(nil, "flow: %s\nabout: A caller reaches an agent of the drill.\nstarts: inbound\nlanguage: en\n\nscenes:\n  begin:\n    - connect: %s\n      closed: over\n      full: over\n      silent: over\n      down: over\n\n  over:\n    - hangup\n", laneFlow(i), q)
	}
	all["policy.yaml"] = waived(all["policy.yaml"], time.Now())
	if err := all.write(dir); err != nil {
		return err
	}
	if diags := lint(dir); len(diags) > 0 {
		return fmt.Errorf("the drill's own flows do not fit: %s", diags[0])
	}
	return nil
}

// lint returns what refuses a folder of scripts.
func lint(dir string) (out []string) {
	_, diags := flows.LoadDir(os.DirFS(dir))
	for _, d := range diags {
		if policy.Failed([]policy.Diagnostic{d}) {
			out = append(out, d.String())
		}
	}
	return out
}

// waived adds the waiver of the wait for new staff to a policy.
func waived(text []byte, now time.Time) []byte {
	row := fmt.Sprintf("  - { rule: staff_wait, value: 0s, reason: drill, until: %s }\n", now.AddDate(0, 0, 2).Format(time.DateOnly))
	if i := regexp.MustCompile(`(?m)^waivers:[ \t]*\n`).FindIndex(text); i != nil {
		return slices.Concat(text[:i[1]], []byte(row), text[i[1]:])
	}
	return slices.Concat(bytes.TrimRight(text, "\n"), []byte("\nwaivers:\n"+row))
}

func (f drillFiles) write(dir string) error {
	for path, data := range f {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// approve notes that a release was approved by its subject, who is one of us.
func (w *drillWorld) approve(id ringfence.ReleaseID) {
	w.doneMu.Lock()
	defer w.doneMu.Unlock()
	w.approved = append(w.approved, id)
}

// force notes that a release was approved under duress.
func (w *drillWorld) force(id ringfence.ReleaseID) {
	w.doneMu.Lock()
	defer w.doneMu.Unlock()
	w.forced = append(w.forced, id)
}

func (w *drillWorld) wasForced(id ringfence.ReleaseID) bool {
	w.doneMu.Lock()
	defer w.doneMu.Unlock()
	return slices.Contains(w.forced, id)
}

func (w *drillWorld) approvedReleases() []ringfence.ReleaseID {
	w.doneMu.Lock()
	defer w.doneMu.Unlock()
	return slices.Clone(w.approved)
}

// customerLine is the number of a line that runs the shipped customer flow
// as it was shipped; only its words are known to the drill's callers.
func (w *drillWorld) customerLine() (string, error) {
	shipped, err := scripts.FS.ReadFile(customerFlow + ".yaml")
	if err != nil {
		return "", err
	}
	if !bytes.Equal(shipped, w.files[customerFlow+".yaml"]) {
		return "", &lacking{"the flow " + customerFlow + " is not the shipped one, whose words the drill's callers know"}
	}
	for _, l := range w.cfg.Lines {
		if l.Flow == customerFlow && len(l.Numbers) > 0 && digitsOf(l.Numbers[0]) != "" {
			return digitsOf(l.Numbers[0]), nil
		}
	}
	return "", &lacking{"no line runs the flow " + customerFlow}
}

const customerFlow = "customer-line"

// mainAction is the action that most attacks are about: the lowest that moves
// something, waits for nothing and needs no colleague, so that one approved
// release can be had within a call.
func (w *drillWorld) mainAction() (*policy.Action, error) {
	var best *policy.Action
	for _, a := range w.bundle.Policy().Actions() {
		if gate.Performs(a) || a.Hold > 0 || w.contactOf(a) == "" || slices.ContainsFunc(a.Carries, func(f policy.Field) bool { return f.Type.Secret }) {
			continue
		}
		if best == nil || a.Class < best.Class || a.Class == best.Class && a.Approvals.Count < best.Approvals.Count {
			best = a
		}
	}
	if best == nil {
		return nil, &lacking{"no action of the policy can be released within a call"}
	}
	return best, nil
}

// contactOf is the field by which the subject of an action is found.
func (w *drillWorld) contactOf(a *policy.Action) string {
	k, ok := w.bundle.Policy().Kind(a.About)
	if !ok || len(k.IdentifiedBy) == 0 {
		return ""
	}
	return k.IdentifiedBy[0]
}
