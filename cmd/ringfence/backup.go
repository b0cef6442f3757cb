package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/postgres"
	"github.com/ringfence/ringfence/store/sqlite"
)

// backupCmd writes a copy of the store while it is in use. The keys are not in
// it: a copy that is stolen opens nothing.
type backupCmd struct {
	configFlag
	Dir string `arg:"" help:"Folder to write; made if it is not there, and empty."`
}

// manifest says what a backup holds.
type manifest struct {
	Made   time.Time       `json:"made"`
	From   string          `json:"from"` // sqlite or postgres
	SHA256 string          `json:"sha256"`
	Logs   []ledger.Report `json:"logs"`
}

const (
	manifestName = "backup.json"
	databaseName = "ringfence.db"
)

// Run copies, verifies the copy and says what is in it.
func (c *backupCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func (c *backupCmd) run(ctx context.Context, cfg config.Config) error {
	keys, err := openKeys(cfg)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	m := manifest{Made: time.Now().UTC(), From: "sqlite"}
	if cfg.Store.OnPostgres() {
		m.From = "postgres"
	}
	if err := copyStore(ctx, cfg, keys, c.Dir); err != nil {
		return err
	}
	if m.SHA256, err = sumOf(filepath.Join(c.Dir, databaseName)); err != nil {
		return err
	}
	if m.Logs, err = audited(ctx, cfg, keys, c.Dir, false); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, manifestName), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return printLogs(m.Logs)
}

func copyStore(ctx context.Context, cfg config.Config, keys keyring, dir string) error {
	if !cfg.Store.OnPostgres() {
		return sqlite.Snapshot(ctx, cfg.Data, dir)
	}
	s, err := openTruth(ctx, cfg, keys.master, opener{tool: true})
	if err != nil {
		return err
	}
	return errors.Join(sqlite.Build(ctx, dir, s.(*postgres.Store).Dump(ctx)), s.Close())
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// audited verifies the log of every tenant in a folder; with outside, against
// the newest checkpoint that was copied out, too.
func audited(ctx context.Context, cfg config.Config, keys keyring, dir string, outside bool) (out []ledger.Report, err error) {
	signer, err := ledger.NewSigner(cfg.Ledger.Name, keys.ledger)
	if err != nil {
		return nil, err
	}
	audit, err := sqlite.OpenAudit(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, audit.Close()) }()
	there, err := audit.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range cfg.Tenants { // one that has lost its whole log, too
		if id := tenantOr(t.ID); !slices.Contains(there, id) {
			there = append(there, id)
		}
	}
	for _, tenant := range there {
		r, err := auditedLog(ctx, cfg, signer, audit, tenant, outside)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func auditedLog(ctx context.Context, cfg config.Config, signer *ledger.Signer, audit *sqlite.Audit, tenant ringfence.TenantID, outside bool) (r ledger.Report, err error) {
	text, err := signer.VerifierKey(tenant)
	if err != nil {
		return r, err
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return r, err
	}
	var newest [][]byte
	if outside {
		msg, err := outsideOf(cfg, tenant)
		if err != nil {
			return r, err
		}
		if msg != nil {
			newest = append(newest, msg)
		}
	}
	return ledger.Verify(ctx, tenant, audit.Log(tenant), v, newest)
}

// outsideOf reads the newest checkpoint that was copied out; nil = none.
func outsideOf(cfg config.Config, tenant ringfence.TenantID) ([]byte, error) {
	if cfg.Ledger.Checkpoints.CopyTo == "" {
		return nil, nil
	}
	msg, err := os.ReadFile(outsideCheckpoint(cfg.Ledger.Checkpoints.CopyTo, tenant))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return msg, err
}

// printLogs prints what was found; findings are exit 1.
func printLogs(logs []ledger.Report) error {
	bad := false
	for _, r := range logs {
		fmt.Printf("%s: %d entries, root %s, signed up to entry %d\n", r.Tenant, r.Size, r.Root, r.Covered)
		for _, f := range r.Findings {
			fmt.Printf("  %s: %s\n", f.What, f.Says)
		}
		bad = bad || !r.OK()
	}
	if bad {
		return &exitError{code: 1}
	}
	return nil
}
