package main

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/verifytest"
)

func TestImportCheckExits(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "ringfence.yaml")
	if code := run([]string{"config", "init", conf}); code != 0 {
		t.Fatalf("config init: %d", code)
	}
	for name, c := range map[string]struct {
		file, text string
		code       int
	}{
		"no file":      {"none.csv", "", 2},
		"wrong number": {"bad.csv", "kind,account,mobile\ncustomer,10002000,07700900917\n", 1},
		"wrong JSON":   {"bad.json", "{}", 1},
		"good":         {"good.csv", "kind,account,mobile\ncustomer,10002000,+447700900917\n", 0},
		"good JSON":    {"good.json", `[{"kind":"customer","account":"10002000"}]`, 0},
	} {
		path := filepath.Join(dir, c.file)
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if code := run([]string{"import", "check", "--json", "-c", conf, path}); code != c.code {
			t.Errorf("%s: exit %d, want %d", name, code, c.code)
		}
	}
	if code := run([]string{"import", "check", "-c", filepath.Join(dir, "none.yaml"), filepath.Join(dir, "good.csv")}); code != 2 {
		t.Errorf("no configuration: exit %d", code)
	}
}

// logged keeps everything that is logged.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// Two persons put a subject on file over HTTP; one is not enough. The secrets
// that were made stand in no log and in no file, before and after.
func TestImportedSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	log := &logged{}
	cfg := testConfig(t, agents)
	a, err := newApp(t.Context(), cfg, appOptions{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	var people []*lab.Staff
	var links []string
	for _, name := range []string{"Ada", "Omar"} {
		link, err := a.invite(t.Context(), ringfence.DefaultTenant, ringfence.Person{Name: name, Email: strings.ToLower(name) + "@example.com", Roles: []ringfence.Role{ringfence.RoleAdmin}})
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	if err := a.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	for i, link := range links {
		p := lab.NewStaff("", a.cfg.Web.Staff.URL, passkeytest.New(a.cfg.Web.Staff.URL), nil)
		if err := p.Join(t.Context(), link); err != nil {
			t.Fatal(i, err)
		}
		if err := p.Login(t.Context()); err != nil {
			t.Fatal(i, err)
		}
		people = append(people, p)
	}
	id, report, err := people[0].Import(t.Context(), "csv", "CRM export", "kind,account,mobile,verified_at,pin,totp\ncustomer,10002000,+447700900917,2019-04-01,random,new\n")
	if err != nil || id == "" {
		t.Fatalf("%v %+v", err, report)
	}
	for range 2 { // the same person twice is one person
		if done, secrets, err := people[0].SignImport(t.Context(), id); done || len(secrets) > 0 || err != nil {
			t.Fatalf("one person imported: %v", err)
		}
	}
	waiting := files(t, cfg.Data)
	done, secrets, err := people[1].SignImport(t.Context(), id)
	if !done || err != nil || len(secrets) != 2 || secrets[0].PIN == "" || secrets[1].URI == "" {
		t.Fatalf("%v, %d secrets, %v", done, len(secrets), err)
	}
	if _, _, err := people[1].SignImport(t.Context(), id); err == nil {
		t.Error("it could be signed again")
	}
	at, err := url.Parse(secrets[1].URI)
	if err != nil {
		t.Fatal(err)
	}
	after := files(t, cfg.Data)
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, secret := range []string{secrets[0].PIN, at.Query().Get("secret"), "447700900917"} {
		for where, text := range map[string][]byte{"files before": waiting, "files after": after, "log": log.all.Bytes()} {
			if verifytest.Stands(text, secret) {
				t.Errorf("%.2s… stands in the %s", secret, where)
			}
		}
	}
	err = a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		subjects, err := tx.List(t.Context(), ledger.KindSubject, ledger.Query{Key: "customer:account", Value: "10002000", Limit: 1})
		if err != nil || len(subjects) != 1 {
			t.Fatalf("%d subjects, %v", len(subjects), err)
		}
		points, err := verify.ContactPoints(t.Context(), tx, ringfence.SubjectID(subjects[0].ID))
		if err != nil || len(points) != 1 || points[0].VerifiedAt.Year() != 2019 || points[0].Source != "CRM export" {
			t.Errorf("%+v, %v", points, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// files is everything that stands in a data folder.
func files(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	return all
}
