package main

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

func labSigner(t *testing.T) *stirshaken.Signer {
	t.Helper()
	ca, err := stirtest.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(stirtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := leaf.Signer("https://cert.example.com/a.pem")
	if err != nil {
		t.Fatal(err)
	}
	s.Inventory = numbers{ours: []string{"442079460000"}, since: time.Now().Add(-time.Hour)}
	return s
}

// What goes on to an agent never gets better than it came.
func TestSignOn(t *testing.T) {
	if newSignOn(nil, config.STIR{}, slog.New(slog.DiscardHandler)) != nil {
		t.Error("a signer without a key")
	}
	sign := newSignOn(labSigner(t), config.STIR{}, slog.New(slog.DiscardHandler))
	const agent = "sip:+442079460055@192.0.2.7:5060"
	now := time.Now()
	for name, k := range map[string]struct {
		call   runner.Onward
		values int
		last   map[string]any // of the last PASSporT's claims
	}{
		"no caller":                {runner.Onward{To: agent}, 0, nil},
		"a place that is no URI":   {runner.Onward{Orig: "447700900123", To: "agent"}, 0, nil},
		"unsigned":                 {runner.Onward{Orig: "447700900123", Called: "442079460000", To: agent, At: now}, 1, map[string]any{"attest": "C"}},
		"our number as caller":     {runner.Onward{Orig: "442079460000", Called: "442079460000", To: agent, At: now}, 1, map[string]any{"attest": "C"}},
		"signed, not valid":        {runner.Onward{Orig: "447700900123", Called: "442079460000", To: agent, Identity: []string{"x"}, At: now}, 1, map[string]any{"attest": "C"}},
		"signed, too long ago":     {runner.Onward{Orig: "447700900123", Called: "442079460000", To: agent, Identity: []string{"x"}, Verified: true, At: now.Add(-time.Minute)}, 1, map[string]any{"attest": "C"}},
		"signed":                   {runner.Onward{Orig: "447700900123", Called: "442079460000", To: agent, Identity: []string{"x"}, Verified: true, At: now}, 2, map[string]any{"div": map[string]any{"tn": "442079460000"}, "dest": map[string]any{"tn": []any{"442079460055"}}}},
		"signed, to a URI":         {runner.Onward{Orig: "447700900123", Called: "442079460000", To: "sip:ann@192.0.2.7;transport=tcp", Identity: []string{"x"}, Verified: true, At: now}, 2, map[string]any{"dest": map[string]any{"uri": []any{"sip:ann@192.0.2.7"}}}},
		"signed, called no number": {runner.Onward{Orig: "447700900123", Called: "desk", To: agent, Identity: []string{"x"}, Verified: true, At: now}, 1, map[string]any{"attest": "C"}},
	} {
		got := sign(t.Context(), k.call)
		if len(got) != k.values {
			t.Errorf("%s: %d values, want %d", name, len(got), k.values)
			continue
		}
		if k.values == 0 {
			continue
		}
		part := strings.Split(got[len(got)-1], ".")
		raw, err := base64.RawURLEncoding.DecodeString(part[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(raw, &claims); err != nil {
			t.Fatal(err)
		}
		for claim, want := range k.last {
			have, _ := json.Marshal(claims[claim])
			if text, _ := json.Marshal(want); string(have) != string(text) {
				t.Errorf("%s: %s is %s, want %s", name, claim, have, text)
			}
		}
	}
}

// A key that cannot be read leaves the one in force; one that can replaces it.
func TestSigningKeyIsTakenAnew(t *testing.T) {
	ca, err := stirtest.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := config.STIR{Sign: config.STIRSign{Key: filepath.Join(dir, "key.pem"), Cert: filepath.Join(dir, "cert.pem"), URL: "https://cert.example.com/a.pem"}}
	put := func(path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write := func() {
		t.Helper()
		leaf, err := ca.Leaf(stirtest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		key, err := leaf.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		put(cfg.Sign.Key, key)
		put(cfg.Sign.Cert, leaf.Bundle)
	}
	write()
	signer, err := newSigner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	works := func(when string) {
		t.Helper()
		_, refusal, err := signer.Sign(stirshaken.SigningRequest{Attest: "C", Orig: stirshaken.Party{TN: "447700900123"}, Dest: []stirshaken.Party{{TN: "442079460000"}}}, time.Now())
		if refusal != "" || err != nil {
			t.Errorf("%s: %s %v", when, refusal, err)
		}
	}
	a := &app{cfg: config.Config{STIR: cfg}, sign: signer, log: slog.New(slog.DiscardHandler)}
	put(cfg.Sign.Key, []byte("nothing"))
	if err := loadKey(signer, cfg); err == nil {
		t.Error("a file without a key was taken")
	}
	a.takeKey()
	works("after a key that cannot be read")
	write()
	if err := loadKey(signer, cfg); err != nil {
		t.Error(err)
	}
	works("after a new key")
}

// A call that goes on tells the network why its signature failed where that is
// configured; one with nothing to check, or refused, does not.
func TestIdentityMarks(t *testing.T) {
	v, err := stirshaken.NewVerifier(stirshaken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	call := ringfence.LegInfo{From: "<sip:+447700900123@a.example>", To: "<sip:+442079460000@b.example>", Identity: []string{"a.b.c"}}
	private := call
	private.Privacy = "id"
	private.Identity = nil
	for name, k := range map[string]struct {
		id    identity
		info  ringfence.LegInfo
		marks string
		code  bool
		shown string
	}{
		"off":        {identity{}, call, "", false, "+447700900123"},
		"stir":       {identity{reason: "stir"}, call, "STIR;cause=436", false, "+447700900123"},
		"sip":        {identity{reason: "sip"}, call, "SIP;cause=436", false, "+447700900123"},
		"refused":    {identity{reason: "stir", reject: true}, call, "", true, "+447700900123"},
		"not signed": {identity{reason: "stir"}, private, "", false, "a withheld number"},
	} {
		k.id.v, k.id.ours = v, func(ringfence.TN) bool { return false }
		c := k.id.Check(t.Context(), k.info, time.Now())
		if got := strings.Join(c.Marks, ", "); !strings.HasPrefix(got, k.marks) || k.marks == "" && got != "" {
			t.Errorf("%s: marks %q, want %q", name, got, k.marks)
		}
		if (c.Code != 0) != k.code || c.Shown != k.shown || c.Verstat == "" || c.Verified {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
