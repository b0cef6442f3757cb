package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/postgres"
	"github.com/ringfence/ringfence/store/rows"
	"github.com/ringfence/ringfence/store/sqlite"
)

// restoreCmd brings a backup back, into whichever store the configuration
// names, or only tries whether it could.
type restoreCmd struct {
	configFlag
	Dir    string `arg:"" help:"Folder that ringfence backup wrote." type:"existingdir"`
	Verify bool   `help:"Change nothing: check every entry, and open every record with the keys at hand."`
}

// Run verifies and, unless told otherwise, restores.
func (c *restoreCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func (c *restoreCmd) run(ctx context.Context, cfg config.Config) error {
	keys, err := openKeys(cfg)
	if err != nil {
		return err
	}
	if err := intact(c.Dir); err != nil {
		return &exitError{1, err.Error()}
	}
	logs, err := audited(ctx, cfg, keys, c.Dir, true)
	if err != nil {
		return err
	}
	if err := c.opened(ctx, keys, logs); err != nil {
		return err
	}
	behind, err := judged(logs)
	if err != nil {
		return err
	}
	if !c.Verify {
		if err := c.restore(ctx, cfg, keys); err != nil {
			return err
		}
		fmt.Println("restored")
	}
	if behind {
		fmt.Println("the store is behind the newest checkpoint outside: nothing is served from it until two persons with role admin or risk have signed a new epoch (ringfence epoch)")
	}
	return nil
}

// intact holds a backup against its manifest.
func intact(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return fmt.Errorf("no %s in %s: want a folder that ringfence backup wrote", manifestName, dir)
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("%s is malformed: %v", manifestName, err)
	}
	sum, err := sumOf(filepath.Join(dir, databaseName))
	if err == nil && sum != m.SHA256 {
		err = fmt.Errorf("%s is not the file that was backed up: its SHA-256 differs", databaseName)
	}
	return err
}

// opened opens every record of a copy of the backup; the backup stays as it is.
func (c *restoreCmd) opened(ctx context.Context, keys keyring, logs []ledger.Report) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.Dir)), ".restore-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := sqlite.Snapshot(ctx, c.Dir, dir); err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, Master: keys.master, Volatile: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, log := range logs {
		n, err := openAll(ctx, s, log.Tenant)
		if err != nil {
			return &exitError{1, fmt.Sprintf("tenant %s: %v: the keys at hand are not those of this backup, or it was changed", log.Tenant, err)}
		}
		fmt.Printf("%s: %d records open\n", log.Tenant, n)
	}
	return nil
}

// openAll opens every record of a tenant and counts them.
func openAll(ctx context.Context, s ledger.Store, tenant ringfence.TenantID) (n int, err error) {
	const page = 1000
	var at rows.Place
	for {
		var did int
		if err := s.View(ctx, tenant, func(tx ledger.Tx) (err error) {
			at, did, _, err = rows.Walk(ctx, tx, at, page, false)
			return err
		}); err != nil {
			return n, err
		}
		if n += did; did < page {
			return n, nil
		}
	}
}

// judged prints the logs and refuses one with anything wrong but its being
// older than what was signed.
func judged(logs []ledger.Report) (behind bool, err error) {
	var rest []ledger.Report
	for _, r := range logs {
		var bad []ledger.Finding
		for _, f := range r.Findings {
			if f.What == "cut" {
				behind = true
				continue
			}
			bad = append(bad, f)
		}
		r.Findings = bad
		rest = append(rest, r)
	}
	return behind, printLogs(rest)
}

func (c *restoreCmd) restore(ctx context.Context, cfg config.Config, keys keyring) (err error) {
	if !cfg.Store.OnPostgres() {
		if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
			return err
		}
		return sqlite.Snapshot(ctx, c.Dir, cfg.Data)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.Dir)), ".restore-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	feed, err := sqlite.Rows(ctx, c.Dir, scratch)
	if err != nil {
		return err
	}
	s, err := openTruth(ctx, cfg, keys.master, opener{tool: true})
	if err != nil {
		return err
	}
	return errors.Join(s.(*postgres.Store).Load(ctx, feed), s.Close())
}
