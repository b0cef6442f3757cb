package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// drillFolder keeps the reports of drills in the data folder.
type drillFolder struct{ data string }

const (
	// keptDrills is how many reports are read, newest first.
	keptDrills = 50
	// maxDrillBytes bounds a report that is read.
	maxDrillBytes = 1 << 20
)

func (f drillFolder) dir(tenant ringfence.TenantID) string {
	return filepath.Join(f.data, "drills", strings.ReplaceAll(string(tenant), "/", "_"))
}

func (f drillFolder) keep(tenant ringfence.TenantID, r web.DrillReport) error {
	if err := os.MkdirAll(f.dir(tenant), 0o700); err != nil {
		return err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(f.dir(tenant), r.ID+".json"), raw)
}

// reports are those that are kept, newest first. What is no report is left out.
func (f drillFolder) reports(tenant ringfence.TenantID) ([]web.DrillReport, error) {
	names, err := os.ReadDir(f.dir(tenant))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []web.DrillReport
	for _, n := range names {
		var r web.DrillReport
		raw, err := readBounded(filepath.Join(f.dir(tenant), n.Name()))
		if err == nil && json.Unmarshal(raw, &r) == nil && r.ID != "" {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b web.DrillReport) int { return cmp.Or(b.Began.Compare(a.Began), strings.Compare(a.ID, b.ID)) })
	return out[:min(len(out), keptDrills)], nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDrillBytes))
}

// drillDesk runs drills for the staff's pages, one at a time.
type drillDesk struct {
	a *app

	mu      sync.Mutex
	running ringfence.TenantID // guarded by mu
}

// Drills implements web.Drills.
func (d *drillDesk) Drills() []web.Drill { return drills() }

// DrillReports implements web.Drills.
func (d *drillDesk) DrillReports(_ context.Context, tenant ringfence.TenantID) ([]web.DrillReport, bool, error) {
	d.mu.Lock()
	running := d.running == tenant
	d.mu.Unlock()
	reports, err := drillFolder{d.a.cfg.Data}.reports(tenant)
	return reports, running, err
}

// StartDrill implements web.Drills. The tenant's flows and policy are those in
// force for it now.
func (d *drillDesk) StartDrill(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, only []string) (string, error) {
	chosen, err := choose(only)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running != "" {
		return "", web.ErrDrillRuns
	}
	o := drillOptions{ID: newDrillID(), Tenant: tenant, Attacks: chosen, By: by, Bundle: d.a.shelf.Current(tenant), Audio: d.a.shelf.Audio, Story: newTranscript(io.Discard)}
	started := ledger.Entry{Event: "drill.started", Person: by, Object: o.ID, Data: map[string]string{"attacks": strconv.Itoa(len(chosen)), "bundle": o.Bundle.HashText()}}
	if err := d.enter(ctx, tenant, started); err != nil {
		return "", err
	}
	d.running = tenant
	d.a.work.Go(func() { d.run(o) })
	return o.ID, nil
}

func (d *drillDesk) enter(ctx context.Context, tenant ringfence.TenantID, e ledger.Entry) error {
	return d.a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, e)
		return err
	})
}

// run drills until it is over or the process stops.
func (d *drillDesk) run(o drillOptions) {
	ctx, cancel := context.WithCancel(d.a.life)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	d.a.work.Go(func() {
		select {
		case <-d.a.stopping:
			cancel()
		case <-ended:
		}
	})
	report := runDrill(ctx, d.a.cfg, o)
	err := drillFolder{d.a.cfg.Data}.keep(o.Tenant, report)
	err = errors.Join(err, d.enter(context.WithoutCancel(ctx), o.Tenant, ledger.Entry{Event: "drill.ended", Person: o.By, Object: o.ID, Data: map[string]string{
		"ok": fmt.Sprint(report.OK), "stopped": strconv.Itoa(report.Stopped), "through": strconv.Itoa(report.Through), "failed": strconv.Itoa(report.Failed)}}))
	if err != nil {
		d.a.log.Error("the report of a drill is not kept", "drill", o.ID, "err", err)
	}
	d.mu.Lock()
	d.running = ""
	d.mu.Unlock()
}
