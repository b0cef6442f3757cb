package main

import (
	"bytes"
	"crypto/ed25519"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/store/sqlite"
)

// A running ringfence takes up what another process publishes, and keeps what
// calls began with.
func TestServeTakesUpAPublication(t *testing.T) {
	t.Parallel()
	a := started(t, newPeer(t, "phones"))
	old := a.shelf.Current(ringfence.DefaultTenant)
	rita, err := a.gate.PutPerson(t.Context(), ringfence.DefaultTenant, ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson),
		Name: "Rita", Email: "rita@example.com", Roles: []ringfence.Role{ringfence.RoleRisk}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := a.cfg
	cfg.SingleOperator = true
	store, err := sqlite.Open(t.Context(), sqlite.Config{Dir: cfg.Data, Master: a.keys.master, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	elsewhere, err := newShelf(cfg, store, a.base, a.verify.staffRP, a.log)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := elsewhere.EnrolKey(t.Context(), ringfence.DefaultTenant, rita.ID, public); err != nil || got.Refused != shelf.Done {
		t.Fatalf("got %+v, %v", got, err)
	}
	b := stricterScripts(t)
	got, err := elsewhere.Publish(t.Context(), ringfence.DefaultTenant, shelf.PublishRequest{Bundle: b,
		Approval: signer{rita, key}.over(flows.ApprovalMessage(b.Hash()))})
	if err != nil || got.Refused != shelf.Done {
		t.Fatalf("got %+v, %v", got, err)
	}
	for deadline := time.Now().Add(20 * time.Second); a.shelf.Current(ringfence.DefaultTenant).HashText() != b.HashText(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the running process never took it up")
		}
	}
	p := policies{a.shelf}
	if p.Current(ringfence.DefaultTenant).Hash() != b.Policy().Hash() || p.ByHash(ringfence.DefaultTenant, old.Policy().Hash()) == nil ||
		a.shelf.ByHash(ringfence.DefaultTenant, old.HashText()) == nil {
		t.Error("the gate has not the new policy, or calls have lost the old one")
	}
	if p.Current("another") != nil {
		t.Error("a tenant that is not there has a policy")
	}
}

func TestUnprovedIsRefused(t *testing.T) {
	if _, err := proved(nil); err == nil {
		t.Error("nothing is proved")
	}
	if _, err := proved(stricterScripts(t)); err != nil {
		t.Errorf("a stricter policy is not proved: %v", err)
	}
}

// What publish would refuse is not served from a folder either, and the error
// says what to do.
func TestUnprovedScriptsAreNotServed(t *testing.T) {
	files := fstest.MapFS{}
	for _, name := range []string{"policy.yaml", "customer-line.yaml", "callback-bank-change.yaml", "prompts/de.yaml"} {
		raw, err := fs.ReadFile(scripts.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: bytes.Replace(raw, []byte("got.attested && got.known_number"), []byte("got.attested || got.known_number"), 1)}
	}
	if b, list := flows.LoadDir(files); b == nil {
		t.Fatalf("it has to load: %v", list)
	}
	_, err := loadBundle(config.Config{Scripts: "mine"}, files)
	if err == nil || !strings.Contains(err.Error(), "P2") || !strings.Contains(err.Error(), "ringfence flow prove") {
		t.Errorf("have %v, want the line and what to do", err)
	}
}

func stricterScripts(t *testing.T) *flows.Bundle {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "scripts")
	if err := scriptsInto(dir, [2]string{"hold: 12h", "hold: 20h"}); err != nil {
		t.Fatal(err)
	}
	b, found := flows.LoadDir(os.DirFS(dir))
	if b == nil {
		t.Fatal(found)
	}
	return b
}
