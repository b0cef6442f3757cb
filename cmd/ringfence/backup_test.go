package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// office is an installation with two administrators, who hold keys, and a
// folder outside for checkpoints.
type office struct {
	t    *testing.T
	cfg  config.Config
	keys map[string]string // address to file
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, cfg: testConfig(t, nil), keys: map[string]string{}}
	o.cfg.Ledger.Checkpoints.CopyTo = t.TempDir()
	a := o.app()
	defer a.store.Close()
	for _, email := range []string{"ada@example.com", "bo@example.com"} {
		p, err := a.gate.PutPerson(t.Context(), ringfence.DefaultTenant, ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson),
			Name: email, Email: email, Roles: []ringfence.Role{ringfence.RoleAdmin}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "key")
		c := userKeyCmd{File: path}
		public, err := c.public()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := a.shelf.EnrolKey(t.Context(), ringfence.DefaultTenant, p.ID, public); err != nil || out.Refused != "" {
			t.Fatal(out, err)
		}
		o.keys[email] = path
	}
	o.grow(a, 5)
	return o
}

func (o *office) app() *app {
	o.t.Helper()
	a, err := newApp(context.WithoutCancel(o.t.Context()), o.cfg, appOptions{Tool: true})
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// grow adds entries and copies a checkpoint out.
func (o *office) grow(a *app, n int) {
	o.t.Helper()
	for range n {
		if err := a.store.Update(o.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			_, err := tx.Append(o.t.Context(), ledger.Entry{Event: "alert.raised"})
			return err
		}); err != nil {
			o.t.Fatal(err)
		}
	}
	if _, err := a.checkpoint(o.t.Context(), ringfence.DefaultTenant, 0); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) refused(what string, err error, word string) {
	o.t.Helper()
	if err == nil || !strings.Contains(err.Error(), word) {
		o.t.Errorf("%s: %v, want a refusal with %q", what, err, word)
	}
}

func (o *office) sign(email, file, reason string) error {
	c := epochCmd{File: file, Reason: reason}
	c.Tenant, c.As, c.Key = "default", email, o.keys[email]
	return c.run(o.t.Context(), o.cfg)
}

// moved is the same installation with an empty store of its own and the same
// keys.
func (o *office) moved(change func(*config.Config)) *office {
	o.t.Helper()
	next := *o
	next.cfg.Data = o.t.TempDir()
	if err := os.CopyFS(filepath.Join(next.cfg.Data, "keys"), os.DirFS(filepath.Join(o.cfg.Data, "keys"))); err != nil {
		o.t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(next.cfg.Data, "keys", "*"))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, k := range keys {
		if err := os.Chmod(k, 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
	change(&next.cfg)
	return &next
}

// TestBackupComesBackFrozenUntilAnEpoch copies a store in use, loses what came
// after, and goes on only after two persons have signed.
func TestBackupComesBackFrozenUntilAnEpoch(t *testing.T) {
	t.Parallel()
	places := map[string]func(*config.Config){"sqlite": func(*config.Config) {}}
	if at := os.Getenv("TEST_POSTGRES"); at != "" {
		places["postgres"] = func(c *config.Config) { c.Store = config.Store{Kind: "postgres", Postgres: emptyDatabase(t, at)} }
	} else if os.Getenv("CI") != "" {
		t.Fatal("no TEST_POSTGRES: run the tests through test/services.sh")
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			dir := filepath.Join(t.TempDir(), "backup")
			a := o.app() // in use meanwhile
			if err := (&backupCmd{Dir: dir}).run(t.Context(), o.cfg); err != nil {
				t.Fatal(err)
			}
			o.refused("a second backup into the folder", (&backupCmd{Dir: dir}).run(t.Context(), o.cfg), "there already")
			o.grow(a, 3) // lost
			a.store.Close()
			if err := (&restoreCmd{Dir: dir, Verify: true}).run(t.Context(), o.cfg); err != nil {
				t.Fatalf("verify: %v", err)
			}
			o.refused("a restore over a store", (&restoreCmd{Dir: dir}).run(t.Context(), o.cfg), "already")

			back := o.moved(place)
			if err := (&restoreCmd{Dir: dir}).run(t.Context(), back.cfg); err != nil {
				t.Fatalf("restore: %v", err)
			}
			back.frozenUntilSigned()
		})
	}
}

func (o *office) frozenUntilSigned() {
	t := o.t
	t.Helper()
	file := filepath.Join(t.TempDir(), "epoch.json")
	a := o.app()
	o.refused("a start", a.checkHead(t.Context()), "ringfence epoch")
	a.store.Close()
	o.refused("without a reason", o.sign("ada@example.com", file, ""), "--reason")
	if err := o.sign("ada@example.com", file, "the disk broke"); err != nil {
		t.Fatal(err)
	}
	o.refused("one person twice", o.sign("ada@example.com", file, ""), "two different persons")
	a = o.app()
	o.refused("half signed", a.checkHead(t.Context()), "ringfence epoch")
	a.store.Close()
	if err := o.sign("bo@example.com", file, ""); err != nil {
		t.Fatal(err)
	}
	a = o.app()
	defer a.store.Close()
	if err := a.checkHead(t.Context()); err != nil {
		t.Errorf("after the epoch: %v", err)
	}
	o.grow(a, 1) // a checkpoint of the new epoch goes out
	if err := a.checkHead(t.Context()); err != nil {
		t.Errorf("after the next checkpoint: %v", err)
	}
}

// TestChangedBackupsAreRefused changes a backup in each of its parts.
func TestChangedBackupsAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, c := range map[string]struct {
		do   func(dir string) error
		says string
	}{
		"no manifest":      {func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }, "ringfence backup wrote"},
		"another database": {func(dir string) error { return os.WriteFile(filepath.Join(dir, databaseName), []byte("x"), 0o600) }, "SHA-256 differs"},
		"manifest garbled": {func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o600) }, "malformed"},
		"a forged entry": {func(dir string) error {
			return meddleAndSeal(dir, `UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), 'alert.raised', 'alert.silent') AS BLOB) WHERE place = 4`)
		}, ""},
		"a row swapped out": {func(dir string) error {
			return meddleAndSeal(dir, `UPDATE records SET version = version + 1 WHERE kind = 'person'`)
		}, "does not verify"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := (&backupCmd{Dir: dir}).run(t.Context(), o.cfg); err != nil {
				t.Fatal(err)
			}
			if err := c.do(dir); err != nil {
				t.Fatal(err)
			}
			o.refused(name, (&restoreCmd{Dir: dir, Verify: true}).run(t.Context(), o.cfg), c.says)
		})
	}
	dir := t.TempDir()
	if err := (&backupCmd{Dir: dir}).run(t.Context(), o.cfg); err != nil {
		t.Fatal(err)
	}
	stranger := o.cfg
	stranger.Data = t.TempDir()
	o.refused("another installation's keys", (&restoreCmd{Dir: dir, Verify: true}).run(t.Context(), stranger), "")
}

// meddleAndSeal changes the database and mends the manifest, as who can write
// the folder would.
func meddleAndSeal(dir, statement string) error {
	path := filepath.Join(dir, databaseName)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	if _, err := db.Exec(statement); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	old, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return err
	}
	sum, err := sumOf(path)
	if err != nil {
		return err
	}
	at := strings.Index(string(old), `"sha256": "`) + len(`"sha256": "`)
	return os.WriteFile(filepath.Join(dir, manifestName), []byte(string(old[:at])+sum+string(old[at+64:])), 0o600)
}

// TestKeysRotateBesideServe rotates both kinds of keys with another process's
// store open, and reads on with it.
func TestKeysRotateBesideServe(t *testing.T) {
	o := newOffice(t)
	a := o.app()
	defer a.store.Close()
	recorded, _, err := recordKeys{a}.New(t.Context(), ringfence.DefaultTenant, "rec_a")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(keyFile(o.cfg).Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]keysRotateCmd{"the master": {}, "rows": {Rows: true}} {
		if err := c.run(t.Context(), o.cfg); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, email := range []string{"ada@example.com", "bo@example.com"} {
			if p, err := a.personByEmail(t.Context(), ringfence.DefaultTenant, email); err != nil || p.Email != email {
				t.Errorf("after rotating %s the running process finds %+v, %v", name, p, err)
			}
		}
		o.grow(a, 1)
	}
	after, err := os.ReadFile(keyFile(o.cfg).Path)
	if err != nil || string(after) == string(before) {
		t.Errorf("the key file is what it was, %v", err)
	}
	again := o.app()
	defer again.store.Close()
	if p, err := again.personByEmail(t.Context(), ringfence.DefaultTenant, "ada@example.com"); err != nil || p.ID == "" {
		t.Errorf("a fresh process finds %+v, %v", p, err)
	}
	if _, err := (recordKeys{again}).Open(t.Context(), ringfence.DefaultTenant, "rec_a", recorded); err != nil {
		t.Errorf("a recording from before: %v", err)
	}
	o.refused("two rotations at once", (&keysRotateCmd{Rows: true, Only: "add"}).run(t.Context(), o.cfg), "one after the other")
}

func emptyDatabase(t *testing.T, at string) string {
	t.Helper()
	raw := make([]byte, 8)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := "c" + hex.EncodeToString(raw)
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
