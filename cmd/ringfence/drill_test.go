package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/web"
)

// shippedConfig is the configuration that `ringfence config init` writes.
func shippedConfig(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.Tenants = []config.Tenant{{ID: string(ringfence.DefaultTenant), Name: "Acme", Language: "en"}}
	cfg.STIR.Home, cfg.Verify.Prefixes = "44", []string{"44"}
	cfg.Lines = []config.Line{{Name: "customers", Numbers: []string{"442079460000"}, Flow: "customer-line", Fallback: "customer_service", Zone: "Europe/London"},
		{Name: "accounts", Numbers: []string{"442079460001"}, Flow: "accounts-line", Fallback: "payments_clerk", Zone: "Europe/London"}}
	for _, q := range []string{"customer_service", "payments_desk", "fraud_desk", "payments_clerk"} {
		cfg.Queues = append(cfg.Queues, config.Queue{Name: q, People: []string{"ada@example.com"}})
	}
	return cfg
}

func named(t *testing.T, names ...string) []attack {
	t.Helper()
	out, err := choose(names)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What is shipped stops what is tried against it. The longest calls, which take
// minutes between them, are left to the command.
func TestDrillStopsEverything(t *testing.T) {
	t.Parallel()
	long := []string{"guessed-pin", "unknown-customer", "pin-sprayed", "callback-voicemail", "callback-star", "guessed-code", "permit"}
	chosen := slices.DeleteFunc(slices.Clone(attacks), func(a attack) bool { return slices.Contains(long, a.Name) || slices.Contains(long, a.stageName) })
	var story bytes.Buffer
	r := runDrill(t.Context(), shippedConfig(t), drillOptions{Tenant: ringfence.DefaultTenant, Attacks: chosen, Story: newTranscript(&story)})
	if !r.OK || r.Stopped != len(chosen)+1 || len(chosen) < 20 || drillStatus(r) != nil {
		var out bytes.Buffer
		if err := printDrill(&out, r, false); err != nil {
			t.Error(err)
		}
		t.Errorf("a drill of what is shipped:\n%s\n%s", out.String(), story.String())
	}
}

// weakBundle is what is shipped, with an action that needs nothing.
func weakBundle(t *testing.T) *flows.Bundle {
	t.Helper()
	shipped, _ := flows.LoadDir(scripts.FS)
	files := shipped.Files()
	for i, f := range files {
		if f.Path == "prompts/de.yaml" {
			files[i].Data = append(slices.Clone(f.Data), "- text: This is to send a newsletter.\n  de: Es geht um einen Rundbrief.\n"+
				"- text: \"You asked us to send a newsletter. Topic: {newsletter.topic}. If that is right, press {yes}. If not, press 2.\"\n"+
				"  de: \"Sie möchten einen Rundbrief. Thema: {newsletter.topic}. Wenn das stimmt, drücken Sie {yes}. Wenn nicht, drücken Sie 2.\"\n"...)
		}
		if f.Path == "policy.yaml" {
			files[i].Data = bytes.Replace(f.Data, []byte("\nactions:\n"), []byte("\nactions:\n  newsletter:\n    class: C0\n    says: send a newsletter\n    about: customer\n    carries: { topic: text }\n    needs: []\n    fresh: 5m\n"), 1)
			files[i].Data = bytes.Replace(files[i].Data, []byte("\nspeak:\n"), []byte("\nspeak:\n  newsletter.topic: [callback]\n"), 1)
		}
	}
	weak, diags := flows.LoadFiles(files)
	if weak == nil {
		t.Fatal(diags)
	}
	return weak
}

// A drill that cannot fail is worth nothing: a policy that lets something go
// without a proof, a caller who is told what nobody vouches for, and a record
// of something that nobody approved are found.
func TestDrillFindsWhatGetsThrough(t *testing.T) {
	t.Parallel()
	told := caller("told", "stirshaken", "is the victim", "pin", func(ctx context.Context, w *drillWorld) (verdict, error) {
		return w.asksBalance(ctx, "told", func(v *customer, to string) (lab.Dial, error) {
			own, err := w.authority.Sign(ringfence.AttestFull, v.Number, to)
			return lab.Dial{To: to, Show: v.Number, Identity: own}, err
		})
	})
	var story bytes.Buffer
	o := drillOptions{Tenant: ringfence.DefaultTenant, Bundle: weakBundle(t), Attacks: append(named(t, "agent-releases", "agent-fetches-permit"), told), Story: newTranscript(&story)}
	o.Weaken = func(w *drillWorld) {
		if err := w.app.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			_, err := tx.Append(t.Context(), ledger.Entry{Event: "release.executed", Release: "rel_00000000000000000000000000"})
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	r := runDrill(t.Context(), shippedConfig(t), o)
	want := map[string]web.DrillOutcome{"agent-releases": web.DrillThrough, "agent-fetches-permit": web.DrillStopped, "told": web.DrillThrough, "the-books": web.DrillThrough}
	for _, x := range r.Results {
		if want[x.Name] != x.Outcome {
			t.Errorf("%s is %s (%s), want %s", x.Name, x.Outcome, x.Says, want[x.Name])
		}
	}
	if len(r.Results) != len(want) || r.Error != "" {
		t.Errorf("%d results, error %q\n%s", len(r.Results), r.Error, story.String())
	}
	var exit *exitError
	if !errors.As(drillStatus(r), &exit) || exit.code != 1 {
		t.Errorf("the exit status is %v, want 1", drillStatus(r))
	}
}

// What the configuration has not is not attacked, and a run that stopped
// nothing is not a good one.
func TestDrillSaysWhatDoesNotApply(t *testing.T) {
	t.Parallel()
	cfg := shippedConfig(t)
	cfg.Lines = nil
	r := runDrill(t.Context(), cfg, drillOptions{Tenant: ringfence.DefaultTenant, Attacks: named(t, "guessed-pin", "permit-forged"), Story: newTranscript(&bytes.Buffer{})})
	if len(r.Results) != 3 || r.Results[0].Outcome != web.DrillNotApplicable || r.Results[1].Outcome != web.DrillStopped || !r.OK {
		t.Errorf("without lines: %+v", r)
	}
	cfg.Scripts = t.TempDir()
	r = runDrill(t.Context(), cfg, drillOptions{Tenant: ringfence.DefaultTenant, Attacks: named(t, "permit-forged"), Story: newTranscript(&bytes.Buffer{})})
	var exit *exitError
	if r.OK || r.Error == "" || !errors.As(drillStatus(r), &exit) || exit.code != 2 {
		t.Errorf("without scripts: %+v, status %v", r, drillStatus(r))
	}
}

func TestDeniedIsRefusedOnly(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want web.DrillOutcome
	}{
		"no refusal":  {nil, web.DrillThrough},
		"a refusal":   {&lab.Problem{Status: 403, Title: "no"}, web.DrillStopped},
		"our own bug": {&lab.Problem{Status: 500, Title: "no"}, web.DrillFailed},
		"no answer":   {errors.New("connection refused"), web.DrillFailed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := denied(c.err, "it was done"); got.outcome != c.want {
				t.Errorf("%s, want %s", got.outcome, c.want)
			}
		})
	}
	if got := worst(stopped("a"), verdict{outcome: web.DrillFailed}, through("b"), notApplicable("c")); got.outcome != web.DrillThrough {
		t.Errorf("the worst is %s", got.outcome)
	}
}

func TestChooseRefuses(t *testing.T) {
	if _, err := choose([]string{"guessed-pin", "no-such"}); !errors.Is(err, web.ErrNoDrill) {
		t.Errorf("an unknown attack: %v", err)
	}
	all, err := choose(nil)
	if err != nil || len(all) != len(attacks) {
		t.Errorf("none named: %d attacks, %v", len(all), err)
	}
	seen := map[string]bool{}
	for _, a := range attacks {
		if a.Name == "" || a.Does == "" || a.Layer == "" || seen[a.Name] || (a.play == nil) == (a.stage == nil) {
			t.Errorf("%+v is no attack", a.Drill)
		}
		seen[a.Name] = true
	}
	var out bytes.Buffer
	if err := listDrills(&out, drills(), false); err != nil || strings.Count(out.String(), "\n") != len(attacks) {
		t.Errorf("the list: %v\n%s", err, out.String())
	}
}

// Staff start a drill of what is in force and read what came of it.
func TestDrillByStaff(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, err := newDemo(ctx, newTranscript(&bytes.Buffer{}), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	var begun struct{ ID string }
	grace := d.staff.grace
	if err := grace.Ask(ctx, "POST", "/v1/drills", map[string]any{"only": []string{"permit-forged", "no-credential"}}, &begun); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Running bool
		Reports []web.DrillReport
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := grace.Ask(ctx, "GET", "/v1/drills", nil, &list); err != nil {
			t.Fatal(err)
		}
		if !list.Running {
			break
		}
		<-tick.C
	}
	if len(list.Reports) != 1 || list.Reports[0].ID != begun.ID || !list.Reports[0].OK || list.Reports[0].By != grace.person.ID {
		t.Errorf("the reports are %+v", list.Reports)
	}
	entries, err := (&drillWorld{demo: d}).entries(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []ledger.Event{"drill.started", "drill.ended"} {
		if !slices.ContainsFunc(entries, func(e ledger.Entry) bool {
			return e.Event == event && e.Object == begun.ID && e.Person == grace.person.ID
		}) {
			t.Errorf("%s is no entry", event)
		}
	}
}
