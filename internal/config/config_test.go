package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"an unknown key":                {"sip:\n  listenrs: []\n", "unknown key sip.listenrs; did you mean listeners?"},
		"an unknown key at the top":     {"webb: {}\n", "unknown key webb; did you mean web?"},
		"no YAML":                       {"a: [", "no YAML"},
		"a secret in clear":             {"deliver: {twilio: {auth_token: hunter2}}\n", "file:PATH or env:NAME"},
		"a secret that is not set":      {"deliver: {twilio: {auth_token: env:RF_NOT_SET}}\n", "RF_NOT_SET is not set"},
		"a secret without an end":       {"deliver: {twilio: {auth_token: 'file:/dev/zero'}}\n", "more than"},
		"plain SIP off loopback":        {"sip: {listeners: [{name: a, transport: udp, addr: 0.0.0.0:5060}]}\n", "plaintext: allowed"},
		"TLS without a certificate":     {"sip: {listeners: [{name: a, transport: tls, addr: 127.0.0.1:5061}]}\n", "tls.cert"},
		"the whole Internet as source":  {"sip: {trunks: [{name: a, sources: [0.0.0.0/0]}]}\n", "whole Internet"},
		"a trunk nobody can reach":      {"sip: {trunks: [{name: a}]}\n", "addrs to call it"},
		"a certificate without a key":   {"sip: {trunks: [{name: a, host: a.example, transport: tls, cert: c.pem}]}\n", "both cert and key"},
		"a certificate over UDP":        {"sip: {trunks: [{name: a, host: a.example, cert: c.pem, key: k.pem}]}\n", "only tls shows certificates"},
		"a domain that is an address":   {"sip: {trunks: [{name: a, host: 192.0.2.1}]}\n", "addresses stand in addrs"},
		"a registration of nobody":      {"sip: {trunks: [{name: a, host: a.example, register: true}]}\n", "set username"},
		"emergency by no trunk":         {"sip: {emergency: {numbers: ['112'], trunk: b, notify: [a@b.example]}}\n", "sip.emergency.trunk"},
		"emergency that nobody hears":   {"sip: {emergency: {numbers: ['112']}}\n", "sip.emergency.notify is empty"},
		"an emergency number on a line": {"sip: {emergency: {numbers: ['112']}}\nlines: [{name: l, flow: f, numbers: ['112']}]\n", "is an emergency number"},
		"a transfer by a carrier":       {"sip: {trunks: [{name: a, sources: ['127.0.0.1'], transfer: [agents]}]}\n", "only agents' phones"},
		"a transfer to nowhere":         {"sip: {trunks: [{name: a, sources: ['127.0.0.1'], agents: true, transfer: [q]}]}\n", "neither agents nor a queue"},
		"an unknown trunk":              {"sip: {listeners: [{name: a, transport: udp, addr: 127.0.0.1:5060, trunks: [b]}]}\n", `no trunk "b"`},
		"staff web off localhost":       {"web: {staff: {listen: 0.0.0.0:443, url: https://c.example.com}}\n", "without TLS"},
		"http off localhost":            {"web: {staff: {listen: 127.0.0.1:1, url: http://127.0.0.1:1}}\n", "passkeys need https"},
		"one origin for both":           {"web: {staff: {url: http://localhost:1}, public: {url: http://localhost:1}}\n", "never share an origin"},
		"public metrics":                {"web: {metrics: 0.0.0.0:9090}\n", "loopback only"},
		"an unknown fallback":           {"lines: [{name: a, flow: f, numbers: ['1'], fallback: q}]\n", `no queue "q"`},
		"a wrong zone":                  {"lines: [{name: a, flow: f, numbers: ['1'], timezone: Mars/One}]\n", "no time zone"},
		"a wrong hour":                  {"lines: [{name: a, flow: f, numbers: ['1'], hours: [daily]}]\n", "mon-fri 09:00-17:00"},
		"a wait of a day":               {"queues: [{name: q, people: ['*'], wait: 24h}]\n", "want at most 1h0m0s"},
		"a phone that rings for ever":   {"queues: [{name: q, people: ['*'], ring: 1h}]\n", "want at most 3m0s"},
		"told without a pause":          {"queues: [{name: q, people: ['*'], announce_every: 1s}]\n", "want at least 15s"},
		"told nothing":                  {"queues: [{name: q, people: ['*'], announce: {en: ' '}}]\n", "write what waiting callers are told"},
		"an overflow into itself":       {"queues: [{name: q, people: ['*'], overflow: q}]\n", "no other queue"},
		"an overflow to nowhere":        {"queues: [{name: q, people: ['*'], overflow: r}]\n", "no other queue"},
		"fewer than no callers":         {"queues: [{name: q, people: ['*'], max: -1}]\n", "how many callers may wait"},
		"a queue of nobody":             {"queues: [{name: q}]\n", "name either people or the uri"},
		"a slow checkpoint":             {"ledger: {checkpoints: {every: 1h}}\n", "at most 5m"},
		"a stale PASSporT":              {"stirshaken: {max_age: 1h}\n", "at most 5m"},
		"lab hosts in the open":         {"stirshaken: {lab_certificate_hosts: ['127.0.0.1:1']}\nsip: {listeners: [{name: a, transport: udp, addr: 10.0.0.1:5060, plaintext: allowed}]}\n", "for labs"},
		"an executor without a key":     {"executors: [{name: bank, actions: [payment]}]\n", "credential"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.have), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("have %q: error %v, want one with %q", c.have, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("a secret stands in the error")
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	cfg, err := Parse([]byte("data: /from/file\nweb: {staff: {listen: 127.0.0.1:9001, url: http://localhost:9001}}\n"),
		[]string{"RINGFENCE_DATA=/from/env", "RINGFENCE_STIRSHAKEN_MAX_AGE=30s", "RINGFENCE_SIP_LIMITS_PER_SECOND=7", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Data != "/from/env" || cfg.STIR.MaxAge != 30*time.Second || cfg.SIP.Limits.PerSecond != 7 || cfg.Web.Staff.Listen != "127.0.0.1:9001" || cfg.Media.PortMin != 20000 {
		t.Errorf("got %+v", cfg)
	}
}

func TestSecretsComeByReferenceAndNeverPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("planted-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse([]byte("deliver: {twilio: {account_sid: AC1, auth_token: 'file:"+path+"'}}\n"), nil)
	if err != nil || cfg.Deliver.Twilio.AuthToken.Reveal() != "planted-token" {
		t.Fatalf("%v", err)
	}
	if printed := fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.Deliver.Twilio.AuthToken); strings.Contains(printed, "planted") {
		t.Error("a secret was printed")
	}
}

func TestHours(t *testing.T) {
	h, err := ParseHours("fri-mon 09:00-17:30")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"2026-11-20T09:00": true, "2026-11-20T17:30": false, "2026-11-20T08:59": false, // a Friday
		"2026-11-22T12:00": true, "2026-11-23T12:00": true, "2026-11-24T12:00": false,
	} {
		when, err := time.Parse("2006-01-02T15:04", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Open(when); got != want {
			t.Errorf("open at %s: %v, want %v", at, got, want)
		}
	}
	for _, bad := range []string{"", "mon", "mon 9-17", "mon 17:00-09:00", "xxx 09:00-17:00", "mon-zzz 09:00-10:00"} {
		if _, err := ParseHours(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("sip: {listeners: []}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := Parse(raw, nil); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("a refusal without a word")
		}
	})
}
