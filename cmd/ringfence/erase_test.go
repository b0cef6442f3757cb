package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// onFile stores a subject with a number, as an import would.
func (o *office) onFile(id ringfence.SubjectID) {
	o.t.Helper()
	a := o.app()
	defer a.store.Close()
	err := a.store.Update(o.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		s := ringfence.Subject{ID: id, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive, StoredAt: time.Now(), Record: map[string]string{"first_name": "Marisol"}}
		if err := ledger.Write(o.t.Context(), tx, &ledger.Record{Kind: ledger.KindSubject, ID: string(id), Subject: id}, s); err != nil {
			return err
		}
		c := ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint), Tenant: ringfence.DefaultTenant, Subject: id, Type: ringfence.ContactMobile, Value: "447700900123", Status: ringfence.StatusActive}
		rec := ledger.Record{Kind: ledger.KindContactPoint, ID: string(c.ID), Subject: id, Keys: map[string]string{"subject": string(id), "value": c.Value}}
		if err := ledger.Write(o.t.Context(), tx, &rec, c); err != nil {
			return err
		}
		_, err := tx.Append(o.t.Context(), ledger.Entry{Event: "contact_point.added", Subject: id, Object: string(c.ID)})
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.grow(a, 1)
}

func (o *office) erases(email, file, subject, reason string) error {
	c := eraseCmd{File: file, Subject: subject, Reason: reason}
	c.Tenant, c.As, c.Key = "default", email, o.keys[email]
	return c.run(o.t.Context(), o.cfg)
}

// Two persons erase a subject at the command line: its rows and its key are
// gone from the database, everybody else's stay, and the log verifies against
// the checkpoint that left before.
func TestErase(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	gone, stays := ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject), ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject)
	o.onFile(gone)
	o.onFile(stays)
	file := filepath.Join(t.TempDir(), "erasure.json")
	o.refused("without a reason", o.erases("ada@example.com", file, string(gone), ""), "--reason")
	o.refused("of nobody", o.erases("ada@example.com", file, "sub_00000000000000000000000009", "asked"), "no such subject")
	if err := o.erases("ada@example.com", file, string(gone), "asked by letter"); err != nil {
		t.Fatal(err)
	}
	o.refused("one person twice", o.erases("ada@example.com", file, "", ""), "two different persons")
	o.refused("another subject", o.erases("bo@example.com", file, string(stays), ""), "another subject")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	if err := os.WriteFile(forged, bytes.ReplaceAll(raw, []byte(gone), []byte(stays)), 0o600); err != nil {
		t.Fatal(err)
	}
	o.refused("a signature for somebody else", o.erases("bo@example.com", forged, "", ""), "two different persons")
	if n := o.kept(gone); n[0] != 2 || n[1] != 1 {
		t.Fatalf("before it there are %d rows and %d keys", n[0], n[1])
	}
	if err := o.erases("bo@example.com", file, "", ""); err != nil {
		t.Fatal(err)
	}
	if n := o.kept(gone); n != [2]int{} {
		t.Errorf("%d rows and %d keys are left", n[0], n[1])
	}
	if n := o.kept(stays); n[0] != 2 || n[1] != 1 {
		t.Errorf("of somebody else there are %d rows and %d keys", n[0], n[1])
	}
	if err := (&ledgerVerifyCmd{Dir: o.cfg.Data, Name: o.cfg.Ledger.Name, Tenant: "default", Checkpoint: o.outside()}).Run(t.Context()); err != nil {
		t.Errorf("the log does not verify: %v", err)
	}
	a := o.app()
	defer a.store.Close()
	if err := a.gate.Erasable(t.Context(), ringfence.DefaultTenant, gone); err == nil {
		t.Error("still there")
	}
}

// kept counts rows and keys of a subject in the database itself.
func (o *office) kept(id ringfence.SubjectID) (n [2]int) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.cfg.Data, databaseName))
	if err != nil {
		o.t.Fatal(err)
	}
	defer db.Close()
	for i, table := range []string{"records", "box_keys"} {
		if err := db.QueryRowContext(o.t.Context(), `SELECT count(*) FROM `+table+` WHERE subject = ?`, string(id)).Scan(&n[i]); err != nil {
			o.t.Fatal(err)
		}
	}
	return n
}

// outside are the checkpoints that left the installation.
func (o *office) outside() (paths []string) {
	o.t.Helper()
	err := filepath.WalkDir(o.cfg.Ledger.Checkpoints.CopyTo, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		o.t.Fatal("no checkpoint left", err)
	}
	return paths
}
