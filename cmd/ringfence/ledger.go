package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// ledgerCmd reads the audit record without a running ringfence.
type ledgerCmd struct {
	Verify ledgerVerifyCmd `cmd:"" help:"Check a data folder, or a copy of one, entry by entry."`
	Prove  ledgerProveCmd  `cmd:"" help:"Prove that an entry stands in the signed log; or check such a proof."`
	Export ledgerExportCmd `cmd:"" help:"Write the whole log into one file, which verify takes."`
	Watch  ledgerWatchCmd  `cmd:"" help:"From another machine: follow a running ringfence's log, and alarm when it was cut, rolled back or forked."`
	Key    ledgerKeyCmd    `cmd:"" help:"Print the public key with which an auditor verifies checkpoints."`
}

// ledgerKeyCmd prints the verifier key of a tenant's log.
type ledgerKeyCmd struct {
	configFlag
	Tenant string `default:"default" help:"Tenant."`
}

// Run prints.
func (c *ledgerKeyCmd) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	keys, err := openKeys(cfg)
	if err != nil {
		return err
	}
	signer, err := ledger.NewSigner(cfg.Ledger.Name, keys.ledger)
	if err != nil {
		return err
	}
	key, err := signer.VerifierKey(ringfence.TenantID(c.Tenant))
	if err != nil {
		return err
	}
	fmt.Println(key)
	return nil
}

// ledgerVerifyCmd verifies offline. Exit 0: nothing wrong; 1: findings.
type ledgerVerifyCmd struct {
	Dir        string   `arg:"" help:"Data folder, or an exported log." type:"path"`
	Key        string   `help:"Verifier key, or a file with it. Default: from the folder's own keys, which proves less." placeholder:"KEY"`
	Name       string   `default:"ringfence" help:"ledger.name of the configuration, when the key comes from the folder."`
	Checkpoint []string `help:"Checkpoint kept outside; only such a one shows a cut tail or a rollback." placeholder:"FILE"`
	Tenant     string   `default:"default" help:"Tenant."`
	JSON       bool     `help:"Print the report as JSON."`
}

// Run verifies.
func (c *ledgerVerifyCmd) Run(ctx context.Context) error {
	v, err := c.verifier()
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	var outside [][]byte
	for _, path := range c.Checkpoint {
		msg, err := os.ReadFile(path)
		if err != nil {
			return &exitError{code: 2, text: err.Error()}
		}
		outside = append(outside, msg)
	}
	src, done, err := openLog(c.Dir, ringfence.TenantID(c.Tenant))
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	report, err := ledger.Verify(ctx, ringfence.TenantID(c.Tenant), src, v, outside)
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	return c.print(report)
}

func (c *ledgerVerifyCmd) print(r ledger.Report) error {
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Findings {
			fmt.Printf("%s: %s\n", f.What, f.Says)
		}
		fmt.Printf("%d entries, root %s, %d checkpoints agree, signed up to entry %d\n", r.Size, r.Root, r.Checkpoints, r.Covered)
	}
	if !r.OK() {
		return &exitError{code: 1}
	}
	return nil
}

// verifier takes the key that was given, else makes it from the folder's own.
func (c *ledgerVerifyCmd) verifier() (note.Verifier, error) {
	return logVerifier(c.Key, c.Dir, c.Name, ringfence.TenantID(c.Tenant))
}

// logVerifier reads a verifier key, or a file with it, or makes it from the
// keys of a data folder.
func logVerifier(key, dir, name string, tenant ringfence.TenantID) (note.Verifier, error) {
	if raw, err := os.ReadFile(key); key != "" && err == nil {
		key = strings.TrimSpace(string(raw))
	}
	if key == "" {
		path := filepath.Join(dir, "keys", "ledger.pem")
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("no --key, and none in %s", dir)
		}
		own, err := signingKey(path)
		if err != nil {
			return nil, err
		}
		signer, err := ledger.NewSigner(name, own)
		if err != nil {
			return nil, err
		}
		if key, err = signer.VerifierKey(tenant); err != nil {
			return nil, err
		}
	}
	return note.NewVerifier(key)
}
