package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

// keyFile is where the master key lies, and what wraps it.
func keyFile(cfg config.Config) seal.File {
	f := seal.File{Path: cfg.Store.KeyFile}
	if f.Path == "" {
		f.Path = filepath.Join(cfg.Data, "keys", "store.json")
	}
	if len(cfg.Store.KeyCommand) > 0 {
		f.Wrapper = seal.Command(cfg.Store.KeyCommand)
	}
	return f
}

// keysCmd handles the keys of the store.
type keysCmd struct {
	Rotate keysRotateCmd `cmd:"" help:"Change the master key, or with --rows the keys that seal rows. It may run beside serve, and again after a break."`
}

// keysRotateCmd rotates. Whatever it was doing when it broke off, running it
// again goes on.
type keysRotateCmd struct {
	configFlag
	Rows bool   `help:"Give every tenant and subject a new key and seal every row anew."`
	Only string `help:"One step of the master's rotation: add, wrap or drop. For several machines, which need the new key file between the steps." enum:",add,wrap,drop" default:""`
}

// Run rotates.
func (c *keysRotateCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func (c *keysRotateCmd) run(ctx context.Context, cfg config.Config) error {
	if c.Rows && c.Only != "" {
		return &exitError{2, "--rows and --only are two different rotations: run one after the other"}
	}
	f := keyFile(cfg)
	if c.Only == "add" || c.Only == "" && !c.Rows {
		if err := addKey(f); err != nil || c.Only == "add" {
			return err
		}
	}
	if c.Only == "drop" {
		return dropKeys(f)
	}
	if !c.Rows {
		if err := f.Promote(); err != nil {
			return err
		}
	}
	if err := c.turn(ctx, cfg); err != nil || c.Rows || c.Only != "" {
		return err
	}
	return dropKeys(f)
}

// addKey adds a key, unless an earlier run did and broke off.
func addKey(f seal.File) error {
	n, err := f.Len()
	if err != nil || n > 1 {
		return err
	}
	if err := f.Add(); err != nil {
		return err
	}
	fmt.Println("added a key to " + f.Path)
	return nil
}

func dropKeys(f seal.File) error {
	if err := f.Drop(); err != nil {
		return err
	}
	fmt.Println("dropped the old keys: keep " + f.Path + " and forget its copies, once no backup needs them")
	return nil
}

// turn changes the wrapped keys, and with --rows what they sealed.
func (c *keysRotateCmd) turn(ctx context.Context, cfg config.Config) error {
	keys, err := openKeys(cfg)
	if err != nil {
		return err
	}
	s, err := openTruth(ctx, cfg, keys.master, opener{tool: true})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, t := range cfg.Tenants {
		tenant := tenantOr(t.ID)
		change := rotateRows
		if !c.Rows {
			change = func(ctx context.Context, s ledger.Store, tenant ringfence.TenantID) (int, error) {
				return rotateMaster(ctx, s, keys.master, tenant)
			}
		}
		n, err := change(ctx, s, tenant)
		if err != nil {
			return fmt.Errorf("tenant %s: %w", tenant, err)
		}
		if err := s.Update(ctx, tenant, func(tx ledger.Tx) error {
			_, err := tx.Append(ctx, ledger.Entry{Event: "key.rotated", Object: "store", Data: map[string]string{"rows": fmt.Sprint(c.Rows), "count": fmt.Sprint(n)}})
			return err
		}); err != nil {
			return err
		}
		fmt.Printf("%s: %d done\n", tenant, n)
	}
	return nil
}

// rotateMaster wraps anew every key that the master wrapped.
func rotateMaster(ctx context.Context, s ledger.Store, master *seal.Master, tenant ringfence.TenantID) (int, error) {
	if err := rewrapRecordings(ctx, s, master, tenant); err != nil {
		return 0, err
	}
	return rekeyAll(ctx, s, tenant, rows.Rewrap)
}

// rotateRows gives new keys, seals rows anew until nothing is left that an old
// key sealed, and only then retires the old keys.
func rotateRows(ctx context.Context, s ledger.Store, tenant ringfence.TenantID) (n int, err error) {
	if _, err := rekeyAll(ctx, s, tenant, rows.Renew); err != nil {
		return 0, err
	}
	for {
		changed, err := resealAll(ctx, s, tenant)
		if err != nil {
			return n, err
		}
		if n += changed; changed == 0 {
			break
		}
	}
	_, err = rekeyAll(ctx, s, tenant, rows.Retire)
	return n, err
}

// rekeyPage and resealPage bound how long one transaction keeps others
// waiting.
const (
	rekeyPage  = 200
	resealPage = 100
)

func rekeyAll(ctx context.Context, s ledger.Store, tenant ringfence.TenantID, what rows.Change) (n int, err error) {
	var after *ringfence.SubjectID
	for {
		var page []ringfence.SubjectID
		if err := s.Update(ctx, tenant, func(tx ledger.Tx) (err error) {
			if page, err = rows.Owners(ctx, tx, after, rekeyPage); err != nil || len(page) == 0 {
				return err
			}
			return rows.Rekey(ctx, tx, what, page)
		}); err != nil {
			return n, err
		}
		n += len(page)
		if len(page) < rekeyPage {
			return n, nil
		}
		after = &page[len(page)-1]
	}
}

func resealAll(ctx context.Context, s ledger.Store, tenant ringfence.TenantID) (changed int, err error) {
	var at rows.Place
	for {
		var next rows.Place
		var did, new int
		if err := s.Update(ctx, tenant, func(tx ledger.Tx) (err error) {
			next, did, new, err = rows.Walk(ctx, tx, at, resealPage, true)
			return err
		}); err != nil {
			return changed, err
		}
		at = next
		if changed += new; did < resealPage {
			return changed, nil
		}
	}
}
